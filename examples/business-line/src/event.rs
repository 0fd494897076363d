//! An event of the account center, as far as this line needs it (contract/webhooks.md).

use serde::Deserialize;
use serde_json::{Map, Value};

/// A webhook's body, or one of a replay.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// About whom and what. Members that are not known are passed over.
    pub data: Map<String, Value>,
}

/// A member that has to be there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has no {0}")]
pub struct Malformed(pub &'static str);

impl Event {
    /// A text in `data`.
    pub fn text(&self, name: &'static str) -> Result<&str, Malformed> {
        self.data
            .get(name)
            .and_then(Value::as_str)
            .ok_or(Malformed(name))
    }

    /// A number in `data`.
    pub fn number(&self, name: &'static str) -> Result<i64, Malformed> {
        self.data
            .get(name)
            .and_then(Value::as_i64)
            .ok_or(Malformed(name))
    }

    /// The version of the account's event before, of those that this line takes.
    pub fn previous_version(&self) -> Option<i64> {
        self.number("previous_version").ok()
    }
}
