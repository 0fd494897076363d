//! Every reply held against the schema that `contract/openapi.json` gives for its call and status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Finding;

/// The contract's OpenAPI document.
#[derive(Debug)]
pub struct Schemas {
    document: Value,
    /// Made when they are first needed, by the schema's text.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    /// The document that this suite was built with.
    pub fn of_the_contract() -> Result<Self, Finding> {
        let text = include_str!("../../../contract/openapi.json");
        let document = serde_json::from_str(text)
            .map_err(|_| Finding::new("contract/openapi.json is no JSON"))?;
        Ok(Self {
            document,
            validators: Mutex::default(),
        })
    }

    /// The calls of the document: method in capitals, and path template.
    pub fn calls(&self) -> Vec<(String, String)> {
        let Some(paths) = self.document["paths"].as_object() else {
            return Vec::new();
        };
        paths
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(method, _)| (method.to_ascii_uppercase(), path.clone()))
            })
            .collect()
    }

    /// Checks a reply's JSON. A call or status that the document does not name passes: section 1 has what is true of all.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &[u8]) -> Result<(), Finding> {
        let Some(responses) = self.responses(method, path) else {
            return Ok(());
        };
        let class = format!("{}XX", status / 100);
        let Some(response) = [status.to_string(), class]
            .iter()
            .find_map(|name| responses.get(name))
        else {
            return Ok(());
        };
        let schema = ["application/json", "application/problem+json"]
            .iter()
            .find_map(|kind| response["content"].get(kind))
            .map(|content| content["schema"].clone());
        let Some(schema) = schema else { return Ok(()) };
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| Finding::new(format!("{method} {path} answered {status} without JSON")))?;
        let validator = self.validator(&schema)?;
        match validator.iter_errors(&value).next() {
            None => Ok(()),
            // The value itself may be somebody's data: only its place and the rule.
            Some(error) => Err(Finding::new(format!(
                "{method} {path} answered {status} with a body that breaks its schema at {} ({})",
                error.instance_path(),
                error.schema_path()
            ))),
        }
    }

    fn validator(&self, schema: &Value) -> Result<Arc<Validator>, Finding> {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = schema.to_string();
        if let Some(known) = validators.get(&name) {
            return Ok(Arc::clone(known));
        }
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| Finding::new(format!("contract/openapi.json: {error}")))?;
        let validator = Arc::new(validator);
        validators.insert(name, Arc::clone(&validator));
        Ok(validator)
    }

    fn responses(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let (_, methods) = paths.iter().find(|(template, _)| matches(template, path))?;
        Some(&methods.get(method.to_ascii_lowercase())?["responses"])
    }
}

/// Whether a path is of a template: `{name}` stands for one segment.
fn matches(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name == segment => {}
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_template_stands_for_one_segment() {
        assert!(matches("/v1/apps/{id}/x", "/v1/apps/a/x?y=1"));
        assert!(!matches("/v1/apps/{id}/x", "/v1/apps/a/b/x"));
        assert!(!matches("/v1/apps/{id}", "/v1/apps/"));
    }

    #[test]
    fn a_body_that_breaks_its_schema_is_found_and_a_good_one_is_not() {
        let schemas = Schemas::of_the_contract().unwrap();
        let check =
            |body: Value| schemas.check("GET", "/v1/sessions", 200, body.to_string().as_bytes());
        check(json!({"sessions": []})).unwrap();
        check(json!({"sessions": [{"session_id": 5}]})).unwrap_err();
        check(json!({})).unwrap_err();
        assert!(
            schemas
                .check("GET", "/v1/sessions", 200, b"<html>")
                .is_err()
        );
    }
}
