//! What goes over the wire, shown without what must not be seen: sealed fields stay sealed, tokens, codes and numbers are masked.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use postern_sdk_core::transport::{HttpReply, HttpRequest, SpkiPin, Transport, TransportError};
use serde_json::{Map, Value};

use crate::voice::{Voice, Who, masked_phone};

/// The SDK's own transport, with a look at what passes.
pub(crate) struct Watched {
    own: Arc<dyn Transport>,
    voice: Arc<Voice>,
}

/// As the trait has it, without another dependency.
type Sending<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<HttpReply, TransportError>> + Send + 'a>>;

impl Watched {
    pub(crate) fn new(own: Arc<dyn Transport>, voice: Arc<Voice>) -> Self {
        Self { own, voice }
    }
}

impl Transport for Watched {
    fn send(&self, request: HttpRequest) -> Sending<'_> {
        Box::pin(async move {
            self.voice.say(Who::Wire, &shown_request(&request));
            let start = Instant::now();
            let reply = self.own.send(request).await;
            let took = start.elapsed().as_millis();
            let text = match &reply {
                Ok(reply) => shown_reply(reply, took),
                Err(error) => format!("no reply after {took} ms: {error}"),
            };
            self.voice.say(Who::Wire, &format!("<- {text}"));
            reply
        })
    }

    fn set_pins(&self, pins: &[SpkiPin]) {
        self.own.set_pins(pins);
    }
}

fn shown_request(request: &HttpRequest) -> String {
    let mut text = format!("-> {} {}", request.method, request.url.path());
    if let Some(query) = request.url.query() {
        let _ = write!(text, "?{query}");
    }
    for (name, meaning) in [
        (
            "dpop",
            "DPoP: a proof by the device key, for this request alone",
        ),
        ("authorization", "Authorization: DPoP (access token)"),
    ] {
        if request.headers.contains_key(name) {
            let _ = write!(text, "\n   {meaning}");
        }
    }
    if let Some(key) = request
        .headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
    {
        let _ = write!(text, "\n   Idempotency-Key: {}", shortened(key));
    }
    if !request.body.is_empty() {
        let _ = write!(text, "\n   {}", shown_body(&request.body));
    }
    text
}

fn shown_reply(reply: &HttpReply, milliseconds: u128) -> String {
    let mut text = format!("{} after {milliseconds} ms", reply.status);
    if reply.headers.contains_key("idempotency-replayed") {
        text.push_str(", again (the stored reply of the first time)");
    }
    if reply.headers.contains_key("dpop-nonce") {
        text.push_str(", with the next nonce");
    }
    if !reply.body.is_empty() {
        let _ = write!(text, "\n   {}", shown_body(&reply.body));
    }
    text
}

fn shown_body(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => masked("", &value).to_string(),
        Err(_) => format!("({} bytes that are no JSON)", body.len()),
    }
}

/// The value with what must not be seen replaced, by the name that it goes under.
fn masked(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), masked(name, value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(name, item)).collect()),
        Value::String(text) => Value::String(masked_text(name, text)),
        other => other.clone(),
    }
}

fn masked_text(name: &str, text: &str) -> String {
    match name {
        "sealed" => {
            let kid = text.split('.').next().unwrap_or_default();
            format!("SEALED for key {kid} ({} characters)", text.len())
        }
        "access_token" | "refresh_token" | "ticket" => {
            format!("MASKED ({} characters)", text.len())
        }
        // A problem's code is a word to read; a provider's is a credential.
        "code"
            if text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                && text.contains('_') =>
        {
            text.to_owned()
        }
        "code" | "sms_code" => "MASKED".to_owned(),
        "phone" => masked_phone(text),
        "key_list" => format!("(signed by the offline root, {} characters)", text.len()),
        "login" | "step_id" | "nonce" | "session_id" | "face_session" | "user_id"
        | "request_id" => shortened(text),
        _ => text.to_owned(),
    }
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(8).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_secret_is_shown() {
        let body = json!({
            "login": "lg_abcdefghijklmnop", "step_id": "0123456789abcdef",
            "start": {"provider": {"provider": "wechat", "code": "0815SECRETCODE"}},
            "answer": {"phone": "+8613812345678", "sms_code": "493817",
                "card": {"number": {"sealed": "k1.SECRETENC.SECRETTEXT"}}, "face": {"ticket": "SECRETTICKET"}},
            "session": {"access_token": "SECRETACCESS", "refresh_token": "rt_SECRETREFRESH"}
        });
        let shown = shown_body(body.to_string().as_bytes());
        for secret in ["SECRET", "493817", "12345678", "ijklmnop"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("SEALED for key k1"), "{shown}");
    }

    #[test]
    fn a_problem_can_be_read() {
        let body = json!({"code": "sms_code_wrong", "attempts_left": 4});
        let shown = shown_body(body.to_string().as_bytes());
        assert!(
            shown.contains("sms_code_wrong") && shown.contains('4'),
            "{shown}"
        );
    }
}
