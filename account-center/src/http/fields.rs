//! A strict reader of JSON objects with members of every kind (contract section 1): each member is taken once, and what is left at the end was not described. A
//! refusal names the member by its RFC 6901 pointer, and repeats no value.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::json::{self, child};
use crate::problem::Problem;

/// An object being read.
#[derive(Debug)]
pub struct Fields {
    pointer: String,
    rest: Map<String, Value>,
}

impl Fields {
    /// The members of a body.
    pub fn of(body: &[u8]) -> Result<Self, Problem> {
        Self::from_value(json::value(body)?, String::new())
    }

    fn from_value(value: Value, pointer: String) -> Result<Self, Problem> {
        match value {
            Value::Object(rest) => Ok(Self { pointer, rest }),
            _ => Err(Problem::invalid(pointer, "this is not an object")),
        }
    }

    /// A problem about a member.
    pub fn refuse(&self, name: &str, detail: &'static str) -> Problem {
        Problem::invalid(child(&self.pointer, name), detail)
    }

    /// Where this object is.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Whether the member is there.
    pub fn has(&self, name: &str) -> bool {
        self.rest.contains_key(name)
    }

    fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| self.refuse(name, "this member is missing"))
    }

    /// A text of at most `longest` bytes, if it is there; never an empty one.
    pub fn optional_text(&mut self, name: &str, longest: usize) -> Result<Option<String>, Problem> {
        match self.rest.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= longest => {
                Ok(Some(text))
            }
            Some(Value::String(_)) => Err(self.refuse(name, "this text is empty or too long")),
            Some(_) => Err(self.refuse(name, "this is not a text")),
        }
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str, longest: usize) -> Result<String, Problem> {
        let text = self.optional_text(name, longest)?;
        self.needed(name, text)
    }

    /// One of a few words.
    pub fn word<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Problem> {
        let text = self.text(name, 64)?;
        read(&text).ok_or_else(|| self.refuse(name, "this is none of the words that are known"))
    }

    /// A whole number within a range, if it is there.
    pub fn optional_integer(
        &mut self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Problem> {
        match self.rest.remove(name) {
            None => Ok(None),
            Some(value) => match value.as_i64().filter(|number| range.contains(number)) {
                Some(number) => Ok(Some(number)),
                None => Err(self.refuse(name, "this is not a whole number within its range")),
            },
        }
    }

    /// A whole number that must be there.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Problem> {
        let number = self.optional_integer(name, range)?;
        self.needed(name, number)
    }

    /// `true` or `false`; `false` where it is missing.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.rest.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.refuse(name, "this is neither true nor false")),
        }
    }

    /// A list of at most `most` items; empty where it is missing.
    fn list(&mut self, name: &str, most: usize) -> Result<Vec<Value>, Problem> {
        match self.rest.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= most => Ok(items),
            Some(Value::Array(_)) => Err(self.refuse(name, "this list is too long")),
            Some(_) => Err(self.refuse(name, "this is not a list")),
        }
    }

    /// A list of texts; empty where it is missing.
    pub fn texts(
        &mut self,
        name: &str,
        most: usize,
        longest: usize,
    ) -> Result<Vec<String>, Problem> {
        let place = child(&self.pointer, name);
        self.list(name, most)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::String(text) if !text.is_empty() && text.len() <= longest => Ok(text),
                _ => Err(Problem::invalid(
                    format!("{place}/{index}"),
                    "this is not a text, or empty, or too long",
                )),
            })
            .collect()
    }

    /// A list of objects; empty where it is missing.
    pub fn objects(&mut self, name: &str, most: usize) -> Result<Vec<Fields>, Problem> {
        let place = child(&self.pointer, name);
        self.list(name, most)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| Fields::from_value(item, format!("{place}/{index}")))
            .collect()
    }

    /// An object, if it is there.
    pub fn optional_object(&mut self, name: &str) -> Result<Option<Fields>, Problem> {
        let place = child(&self.pointer, name);
        self.rest
            .remove(name)
            .map(|value| Fields::from_value(value, place))
            .transpose()
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Problem> {
        match self.rest.keys().next() {
            // A stranger's name of any length is not repeated at full length.
            Some(name) => {
                let short: String = name.chars().take(64).collect();
                Err(self.refuse(&short, "this member is not described"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pointer_of<T>(read: impl FnOnce(&mut Fields) -> Result<T, Problem>, body: &str) -> String {
        let mut fields = Fields::of(body.as_bytes()).unwrap();
        let Err(problem) = read(&mut fields) else {
            panic!("{body} was taken")
        };
        problem.pointer.clone().unwrap()
    }

    #[test]
    fn every_refusal_names_its_member() {
        assert_eq!(pointer_of(|f| f.text("a", 3), "{}"), "/a");
        assert_eq!(pointer_of(|f| f.text("a", 3), r#"{"a":"long"}"#), "/a");
        assert_eq!(pointer_of(|f| f.integer("a", 0..=5), r#"{"a":6}"#), "/a");
        assert_eq!(pointer_of(|f| f.integer("a", 0..=5), r#"{"a":1.5}"#), "/a");
        assert_eq!(pointer_of(|f| f.flag("a"), r#"{"a":0}"#), "/a");
        assert_eq!(
            pointer_of(|f| f.texts("a", 2, 3), r#"{"a":["x",1]}"#),
            "/a/1"
        );
        assert_eq!(
            pointer_of(|f| f.texts("a", 2, 3), r#"{"a":["x","y","z"]}"#),
            "/a"
        );
        assert_eq!(
            pointer_of(
                |f| {
                    let mut inner = f.objects("a", 2)?.remove(0);
                    inner.text("b", 3)?;
                    inner.end()
                },
                r#"{"a":[{"b":"x","c/d":1}]}"#
            ),
            "/a/0/c~1d"
        );
    }

    #[test]
    fn what_may_be_missing_has_its_default() {
        let mut fields = Fields::of(b"{}").unwrap();
        assert_eq!(fields.optional_text("a", 3).unwrap(), None);
        assert_eq!(fields.optional_integer("a", 0..=1).unwrap(), None);
        assert!(!fields.flag("a").unwrap());
        assert!(fields.texts("a", 1, 1).unwrap().is_empty());
        assert!(fields.optional_object("a").unwrap().is_none());
        fields.end().unwrap();
    }
}
