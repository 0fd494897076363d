//! Query and form parameters, as providers read them.

use std::collections::HashMap;

/// Parameters by name; of a repeated one the first counts.
#[derive(Default)]
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Of a query, a form, or both: the form counts before the query.
    pub(crate) fn parse(form: &[u8], query: Option<&str>) -> Self {
        let mut parameters = HashMap::new();
        for text in [form, query.unwrap_or_default().as_bytes()] {
            for (name, value) in url::form_urlencoded::parse(text) {
                parameters
                    .entry(name.into_owned())
                    .or_insert_with(|| value.into_owned());
            }
        }
        Self(parameters)
    }

    /// The parameter, where it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there with this value.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// All that are not empty, sorted by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        all.sort_unstable();
        all
    }
}
