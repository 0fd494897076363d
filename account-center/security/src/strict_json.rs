//! JSON (RFC 8259) of which every reader makes the same: a member that occurs twice in an object is refused, at any depth.
//!
//! Two parsers that disagree about which of two members counts are a way past a check, so there may be only one.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// The bytes are no UTF-8 JSON, a member occurs twice, or the shape is not the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not strict JSON of the expected shape")]
pub struct NotStrict;

/// Reads a value, refusing duplicate members.
pub fn value(bytes: &[u8]) -> Result<Value, NotStrict> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = UniqueMembers
        .deserialize(&mut reader)
        .map_err(|_| NotStrict)?;
    reader.end().map_err(|_| NotStrict)?;
    Ok(value)
}

/// Reads a value of a type, refusing duplicate members, also those which the type ignores.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotStrict> {
    serde_json::from_value(value(bytes)?).map_err(|_| NotStrict)
}

/// For `#[serde(default, deserialize_with = "…")]`: a member may be absent, but where it is there it must be text, not null.
pub(crate) fn text_where_present<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<String>, D::Error> {
    <String as serde::Deserialize>::deserialize(reader).map(Some)
}

struct UniqueMembers;

impl<'de> DeserializeSeed<'de> for UniqueMembers {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
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
        while let Some(item) = items.next_element_seed(UniqueMembers)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(UniqueMembers)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_of_every_kind_are_read() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"x",{"b":{}}],"c":""}"#;
        assert_eq!(
            value(text.as_bytes()).unwrap(),
            json!({"a": [null, true, -1, 18_446_744_073_709_551_615_u64, 1.5, "x", {"b": {}}], "c": ""})
        );
    }

    #[test]
    fn a_member_that_occurs_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":[{"c":{},"c":{}}]}]"#,
        ] {
            assert_eq!(value(text.as_bytes()), Err(NotStrict), "{text}");
        }
    }

    #[test]
    fn what_follows_or_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "nul",
            "1e999",
            "\u{feff}{}",
            "{'a':1}",
        ] {
            assert_eq!(value(text.as_bytes()), Err(NotStrict), "{text}");
        }
        assert_eq!(value(b"\"\xff\""), Err(NotStrict));
        assert_eq!(value("[".repeat(100_000).as_bytes()), Err(NotStrict));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            if let Ok(read) = value(&bytes) {
                // Not compared: a number with many digits may come back one step beside itself.
                prop_assert!(value(&serde_json::to_vec(&read).unwrap()).is_ok());
            }
        }
    }
}
