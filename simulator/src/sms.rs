//! The SMS gateway, and the inbox where a test reads what arrived.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    middleware::from_fn_with_state,
    response::Response,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, require_bearer},
    context::random_text,
    tencent::{self, TencentError},
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
        .route("/", post(tencent_send))
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
    if !deliver(&world, body.to, body.template, body.parameters)? {
        return Err(Failure::bad_request(
            "parameters: not those of the template",
        ));
    }
    Ok(Json(
        json!({ "message_id": format!("sms_{}", random_text(&*world.randomness, 12)) }),
    ))
}

/// Puts a message into the inbox; `false` where the parameters are not the template's.
fn deliver(
    world: &World,
    to: String,
    template: String,
    parameters: Parameters,
) -> Result<bool, Failure> {
    let Some(text) = text(&template, &parameters)? else {
        return Ok(false);
    };
    let message = Message {
        text,
        template,
        parameters,
        at: world.now(),
    };
    let mut inbox = world.inbox();
    let messages = inbox.0.entry(to).or_default();
    messages.push_front(message);
    messages.truncate(KEPT);
    Ok(true)
}

/// The registered templates at Tencent Cloud: id, name, and the parameters in their order there.
const TENCENT_TEMPLATES: [(&str, &str, &[&str]); 3] = [
    ("2100001", "login_code", &["code", "minutes"]),
    ("2100002", "binding_added", &["provider", "at"]),
    ("2100003", "binding_removed", &["provider", "at"]),
];
const TENCENT_APP: &str = "1400000001";
const TENCENT_SIGN: &str = "Postern银行";

/// Tencent Cloud SMS, `SendSms` of 2021-01-11.
async fn tencent_send(State(world): Shared, headers: HeaderMap, body: Bytes) -> Response {
    match tencent_sent(&world, &headers, &body) {
        Ok(answer) => tencent::reply(&world, answer),
        Err(TencentError(code)) => tencent::error_reply(&world, &code),
    }
}

fn tencent_sent(world: &World, headers: &HeaderMap, body: &[u8]) -> Result<Value, TencentError> {
    let (action, parameters) = tencent::read(world, "sms", "2021-01-11", headers, body)?;
    if action != "SendSms" {
        return Err("InvalidAction".into());
    }
    if !headers.contains_key("x-tc-region") {
        return Err("MissingParameter".into());
    }
    let text = |name: &str| parameters[name].as_str().unwrap_or_default();
    if text("SmsSdkAppId") != TENCENT_APP {
        return Err("UnauthorizedOperation.SmsSdkAppIdVerifyFail".into());
    }
    let numbers = parameters["PhoneNumberSet"].as_array();
    let [Value::String(number)] = numbers.map_or(&[][..], Vec::as_slice) else {
        return Err("InvalidParameterValue.ContentLengthLimit".into());
    };
    let status = |code: &str| {
        json!({ "SendStatusSet": [{
            "SerialNo": if code == "Ok" { random_text(&*world.randomness, 9) } else { String::new() },
            "PhoneNumber": number, "Fee": u8::from(code == "Ok"), "SessionContext": "", "Code": code, "Message": code, "IsoCode": "CN",
        }] })
    };
    if text("SignName") != TENCENT_SIGN {
        return Ok(status("FailedOperation.SignatureIncorrectOrUnapproved"));
    }
    let Some((_, template, names)) = TENCENT_TEMPLATES
        .iter()
        .find(|(id, ..)| *id == text("TemplateId"))
    else {
        return Ok(status("FailedOperation.TemplateIncorrectOrUnapproved"));
    };
    if !is_e164(number) {
        return Ok(status("InvalidParameterValue.IncorrectPhoneNumber"));
    }
    let given = parameters["TemplateParamSet"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let filled: Parameters = names
        .iter()
        .zip(&given)
        .filter_map(|(name, value)| Some(((*name).to_owned(), value.as_str()?.to_owned())))
        .collect();
    let fits = given.len() == names.len()
        && deliver(world, number.clone(), (*template).to_owned(), filled).unwrap_or(false);
    Ok(status(if fits {
        "Ok"
    } else {
        "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
    }))
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
