//! An event as it goes over the wire: one body for webhooks, the broker and replays.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::calendar::Civil;
use crate::context::Timestamp;
use crate::store::StoreError;
use crate::store::outbox::{EventRow, SESSION_ENDED};

/// The body of a webhook (Standard Webhooks).
#[derive(Serialize)]
pub(super) struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: Map<String, Value>,
}

impl<'a> Body<'a> {
    /// `previous`: the version of the account's event before it that the receiver takes.
    pub(super) fn of(event: &'a EventRow, previous: Option<i64>) -> Result<Self, StoreError> {
        let Ok(Value::Object(mut data)) = serde_json::from_str(&event.payload) else {
            return Err(StoreError::Corrupt("an event's payload"));
        };
        if event.kind != SESSION_ENDED {
            data.insert("user_id".to_owned(), event.stream.as_str().into());
            data.insert("version".to_owned(), event.version.into());
            data.insert("previous_version".to_owned(), previous.into());
        }
        Ok(Self {
            r#type: &event.kind,
            timestamp: instant(event.at),
            data,
        })
    }

    /// The exact bytes that are signed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always JSON")
    }
}

/// As Standard Webhooks writes instants: `2026-11-21T08:00:00.123Z`.
fn instant(at: Timestamp) -> String {
    let civil = Civil::utc(at);
    format!(
        "{}T{}.{:03}Z",
        civil.date(),
        civil.time(),
        at.millis().rem_euclid(1000)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(kind: &str, payload: &str) -> EventRow {
        EventRow {
            position: 7,
            event_id: "e".to_owned(),
            stream: "u1".to_owned(),
            version: 3,
            kind: kind.to_owned(),
            payload: payload.to_owned(),
            at: Timestamp::from_millis(1_795_248_000_123),
        }
    }

    #[test]
    fn an_account_s_event_says_whose_it_is_and_what_came_before_whatever_its_payload_says() {
        let event = event(
            "binding.added",
            r#"{"provider":"wechat","user_id":"other"}"#,
        );
        let body = Body::of(&event, Some(2)).unwrap().to_bytes();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            serde_json::json!({"type": "binding.added", "timestamp": "2026-11-21T08:00:00.123Z",
                "data": {"user_id": "u1", "version": 3, "previous_version": 2, "provider": "wechat"}})
        );
    }

    #[test]
    fn an_ended_session_has_no_version_as_it_stands_outside_the_account_s_order() {
        let event = event(SESSION_ENDED, r#"{"user_id":"u1","session_id":"s"}"#);
        let body = Body::of(&event, None).unwrap().to_bytes();
        let data = &serde_json::from_slice::<Value>(&body).unwrap()["data"];
        assert_eq!(
            *data,
            serde_json::json!({"user_id": "u1", "session_id": "s"})
        );
    }

    #[test]
    fn a_payload_that_is_no_object_is_not_sent() {
        assert!(Body::of(&event("binding.added", "[]"), None).is_err());
    }
}
