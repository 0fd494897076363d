//! The account-center client against a script: bytes, proofs, nonces, repetitions, sealing.
#![allow(clippy::unwrap_used)]

mod exchange;
mod sealing;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::sealing::KeyListError;
use crate::secret::SecretString;
use crate::testing::{BASE, Root, START, Seen, Turn, World, done_json, json_reply, problem, reply};
use crate::transport::{HttpReply, TransportError};

fn start() -> LoginStart {
    LoginStart::Provider {
        provider: "wechat".to_owned(),
        code: SecretString::from("0815"),
    }
}

fn handle() -> LoginHandle {
    LoginHandle("lg_1".to_owned())
}

fn phone_step() -> HttpReply {
    json_reply(
        200,
        &json!({"login": "lg_1", "step_id": "st_1", "expires_in": 600, "next": {"step": "phone"}}),
    )
}

fn code_of(failure: &CallFailure) -> ProblemCode {
    failure.problem().unwrap().code
}

fn assert_same_call(one: &Seen, other: &Seen) {
    assert_eq!(one.body, other.body);
    assert_eq!(one.header("idempotency-key").unwrap().len(), 22);
    assert_eq!(
        one.header("idempotency-key"),
        other.header("idempotency-key")
    );
}
