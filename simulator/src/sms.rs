//! The SMS gateway, and the inbox where a test reads what arrived.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, require_bearer},
    context::random_text,
    world::World,
};

const KEY: &str = "simulator-sms-key";
/// Messages kept for one number.
const KEPT: usize = 100;

#[derive(Clone, Serialize)]
struct Message {
    text: String,
    parameters: Parameters,
    /// Seconds since 1970 UTC.
    at: u64,
}

/// What the template `login_code` is filled with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    code: String,
    minutes: String,
}

/// Messages by phone number, newest first.
#[derive(Default)]
pub(crate) struct Inbox(HashMap<String, VecDeque<Message>>);

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/messages", post(send))
        .route_layer(from_fn_with_state(KEY, require_bearer))
        .route("/inbox/{phone}", get(inbox))
        .with_state(world)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    to: String,
    template: String,
    parameters: Parameters,
}

async fn send(State(world): Shared, Body(body): Body<Send>) -> Result<Json<Value>, Failure> {
    if !is_e164(&body.to) {
        return Err(Failure::bad_request("to: not a phone number in E.164"));
    }
    if body.template != "login_code" {
        return Err(Failure::bad_request("template: not registered"));
    }
    let Parameters { code, minutes } = &body.parameters;
    let text = format!(
        "【Postern银行】验证码{code}，{minutes}分钟内有效，请勿告诉他人。 Postern Bank: your code is {code}, good for {minutes} minutes. Never share it."
    );
    let message = Message {
        text,
        parameters: body.parameters,
        at: world.now(),
    };
    let mut inbox = world.inbox();
    let messages = inbox.0.entry(body.to).or_default();
    messages.push_front(message);
    messages.truncate(KEPT);
    Ok(Json(
        json!({ "message_id": format!("sms_{}", random_text(&*world.randomness, 12)) }),
    ))
}

async fn inbox(State(world): Shared, Path(phone): Path<String>) -> Json<Value> {
    let inbox = world.inbox();
    Json(
        json!({ "messages": inbox.0.get(&phone).map(|messages| messages.iter().collect::<Vec<_>>()).unwrap_or_default() }),
    )
}

fn is_e164(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
