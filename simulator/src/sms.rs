//! The SMS gateway, and the inbox where a test reads what arrived.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
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
    template: String,
    parameters: Parameters,
    /// Seconds since 1970 UTC.
    at: u64,
}

/// What a template is filled with, by name.
type Parameters = BTreeMap<String, String>;

/// The text of a registered template; `None` where the parameters are not the template's.
fn text(template: &str, parameters: &Parameters) -> Result<Option<String>, Failure> {
    let names: &[&str] = match template {
        "login_code" => &["code", "minutes"],
        "binding_added" | "binding_removed" => &["at", "provider"],
        "phone_changed" | "password_changed" | "appeal_opened" => &["at"],
        _ => return Err(Failure::bad_request("template: not registered")),
    };
    if !parameters.keys().eq(names) {
        return Ok(None);
    }
    let [first, second] = [0, 1].map(|place| {
        names
            .get(place)
            .and_then(|name| parameters.get(*name))
            .map_or("", String::as_str)
    });
    let text = match template {
        "login_code" => format!(
            "验证码{first}，{second}分钟内有效，请勿告诉他人。 Postern Bank: your code is {first}, good for {second} minutes. Never share it."
        ),
        "binding_added" => format!(
            "您的账户于{first}绑定了{second}登录，如非本人操作请立即联系我们。 {second} login was added to your account at {first}. If this was not you, contact us at once."
        ),
        "binding_removed" => format!(
            "您的账户于{first}解除了{second}登录。 {second} login was removed from your account at {first}."
        ),
        "phone_changed" => format!(
            "您的账户于{first}更换了手机号。 The phone number of your account was changed at {first}."
        ),
        "password_changed" => {
            format!("您的登录密码于{first}修改。 Your login password was changed at {first}.")
        }
        _ => {
            format!("您的账户于{first}收到申诉。 An appeal for your account was opened at {first}.")
        }
    };
    Ok(Some(format!("【Postern银行】{text}")))
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
    let text = text(&body.template, &body.parameters)?
        .ok_or_else(|| Failure::bad_request("parameters: not those of the template"))?;
    let message = Message {
        text,
        template: body.template,
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
