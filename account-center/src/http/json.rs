//! Strict JSON (contract section 1): a member that occurs twice or is not described is refused, with an RFC 6901 pointer to it. Refusals repeat nothing of
//! a body but the names of its members.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::Problem;

/// Parses a body. Its nesting is limited (128 levels).
pub fn value(bytes: &[u8]) -> Result<Value, Problem> {
    let mut duplicate = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = Strict {
        path: &Path::Root,
        duplicate: &mut duplicate,
    };
    match seed
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
    {
        Ok(value) => Ok(value),
        Err(_) => Err(match duplicate {
            Some(pointer) => Problem::invalid(pointer, "this member occurs twice"),
            None => Problem::invalid("", "the body is not JSON in UTF-8"),
        }),
    }
}

/// Where the reader is.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Member(parent, name) => child(&parent.pointer(), name),
            Path::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// `pointer` and one more member (RFC 6901 section 3: `~` and `/` are escaped).
pub fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

struct Strict<'a> {
    path: &'a Path<'a>,
    duplicate: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict {
            path: &Path::Item(self.path, list.len()),
            duplicate: self.duplicate,
        })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                *self.duplicate = Some(Path::Member(self.path, &name).pointer());
                return Err(A::Error::custom("a member occurs twice"));
            }
            let value = members.next_value_seed(Strict {
                path: &Path::Member(self.path, &name),
                duplicate: self.duplicate,
            })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// An object being read: each member is taken once, and what is left at the end was not described.
#[derive(Debug)]
pub struct Members {
    pointer: String,
    rest: Map<String, Value>,
}

impl Members {
    /// The members of a body.
    pub fn of(body: &[u8]) -> Result<Self, Problem> {
        match value(body)? {
            Value::Object(rest) => Ok(Self {
                pointer: String::new(),
                rest,
            }),
            _ => Err(Problem::invalid("", "the body is not a JSON object")),
        }
    }

    /// Takes a text member of at most `longest` bytes, which must be there and not empty.
    pub fn text(&mut self, name: &str, longest: usize) -> Result<String, Problem> {
        let refuse =
            |detail: &'static str| Err(Problem::invalid(child(&self.pointer, name), detail));
        match self.rest.remove(name) {
            Some(Value::String(text)) if !text.is_empty() && text.len() <= longest => Ok(text),
            Some(Value::String(_)) => refuse("this text is empty or too long"),
            Some(_) => refuse("this is not a text"),
            None => refuse("this member is missing"),
        }
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Problem> {
        match self.rest.keys().next() {
            Some(name) => Err(Problem::invalid(
                child(&self.pointer, name),
                "this member is not described",
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::problem::Code;

    #[test]
    fn a_duplicate_key_is_named_by_its_pointer_at_any_depth() {
        for (body, pointer) in [
            (r#"{"a":1,"a":2}"#, "/a"),
            (r#"{"a":[{},{"b/c":{"~":1,"~":1}}]}"#, "/a/1/b~1c/~0"),
            (r#"{"a":{"\u0061":1,"a":2}}"#, "/a/a"),
        ] {
            let problem = value(body.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.code, problem.pointer.as_deref()),
                (Code::InvalidRequest, Some(pointer)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_not_json_is_refused_as_a_whole() {
        let deep = "[".repeat(10_000);
        for body in [
            "",
            "{",
            "{}x",
            "nul",
            "{'a':1}",
            "[1e999]",
            "\u{feff}{}",
            deep.as_str(),
        ] {
            let problem = value(body.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.code, problem.pointer.as_deref()),
                (Code::InvalidRequest, Some("")),
                "{body:.20}"
            );
        }
        assert!(value(b"\"\xff\"").is_err());
    }

    #[test]
    fn members_are_taken_once_and_what_is_left_is_refused() {
        let read = |body: &str| {
            let mut members = Members::of(body.as_bytes())?;
            let text = members.text("a", 3)?;
            members.end().map(|()| text)
        };
        assert_eq!(read(r#"{"a":"x"}"#).unwrap(), "x");
        for (body, pointer) in [
            ("[]", ""),
            ("{}", "/a"),
            (r#"{"a":null}"#, "/a"),
            (r#"{"a":""}"#, "/a"),
            (r#"{"a":"1234"}"#, "/a"),
            (r#"{"a":"x","z/z":1}"#, "/z~1z"),
        ] {
            assert_eq!(
                read(body).unwrap_err().pointer.as_deref(),
                Some(pointer),
                "{body}"
            );
        }
    }
}
