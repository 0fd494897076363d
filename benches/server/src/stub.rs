//! The parties outside, in this process and so outside of what is measured: WeChat, the SMS gateway, the bank's core, the face service, and the `OpenID` Connect
//! issuer that Keycloak asks. They answer at once and keep nothing but what a later call needs. The simulator would do the same work with more care, and would then
//! be a good part of what two cores are busy with.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::people;
use crate::wire::{find, header};

/// The parties, as long as this process lives.
#[derive(Clone)]
pub(crate) struct Parties {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Codes by phone number.
    messages: Mutex<HashMap<String, String>>,
    /// Face sessions and what they are bound to.
    faces: Mutex<Vec<Value>>,
}

impl Parties {
    /// Starts them on a thread of their own.
    pub(crate) fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        std::thread::Builder::new()
            .name("parties".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let Ok(listener) = TcpListener::from_std(listener) else {
                        return;
                    };
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, Arc::clone(&shared)));
                    }
                });
            })?;
        Ok(Self { address, state })
    }

    /// The base URL of one of them.
    pub(crate) fn url(&self, party: &str) -> String {
        format!("http://{}/{party}", self.address)
    }

    /// The code that was sent to a number.
    pub(crate) fn code(&self, phone: &str) -> Option<String> {
        let messages = self
            .state
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        messages.get(phone).cloned()
    }
}

/// The ticket of a face session.
pub(crate) fn ticket(face_session: &str) -> String {
    format!("t{face_session}")
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    // The other side closes when it is done.
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let head = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let Ok(text) = std::str::from_utf8(&buffer[..head]) else {
            return;
        };
        let length = header(text, "content-length")
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or(0);
        let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let bearer = header(text, "authorization").unwrap_or_default().to_owned();
        let end = head + 4 + length;
        while buffer.len() < end {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        let answer = state.answer(&target, &bearer, &buffer[head + 4..end]);
        buffer.drain(..end);
        let (status, body) = match answer {
            Some(body) => (200, body.to_string()),
            None => (404, "{}".to_owned()),
        };
        let reply = format!(
            "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

impl State {
    fn answer(&self, target: &str, bearer: &str, body: &[u8]) -> Option<Value> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/wechat/sns/oauth2/access_token" => {
                let person = people::of_code(parameter(query, "code")?)?;
                Some(json!({
                    "access_token": format!("wt.{person}"), "expires_in": 7200, "refresh_token": "not-kept",
                    "openid": people::open_id(person), "scope": "snsapi_userinfo", "unionid": people::union_id(person),
                }))
            }
            "/wechat/sns/userinfo" => {
                let person: u64 = parameter(query, "access_token")?
                    .strip_prefix("wt.")?
                    .parse()
                    .ok()?;
                Some(json!({
                    "openid": people::open_id(person), "unionid": people::union_id(person), "nickname": format!("Person {person}"),
                    "headimgurl": "https://thirdwx.example/mmopen/0/132", "sex": 0, "privilege": [],
                }))
            }
            "/sms/messages" => {
                let message: Value = serde_json::from_slice(body).ok()?;
                let mut messages = self.messages.lock().ok()?;
                messages.insert(
                    message["to"].as_str()?.to_owned(),
                    message["parameters"]["code"].as_str()?.to_owned(),
                );
                Some(json!({"message_id": messages.len().to_string()}))
            }
            "/core/customers/lookup" => {
                let asked: Value = serde_json::from_slice(body).ok()?;
                let reference = format!("C{}", asked["phone"].as_str()?.trim_start_matches('+'));
                Some(json!({"customers": [{"reference": reference}]}))
            }
            _ if path.starts_with("/core/customers/") && path.ends_with("/login-password") => {
                Some(json!({"result": "ok"}))
            }
            "/face/sessions" => {
                let mut faces = self.faces.lock().ok()?;
                faces.push(serde_json::from_slice(body).ok()?);
                let face_session = format!("{}", faces.len() - 1);
                Some(json!({"face_session": face_session, "url": "http://face.example/"}))
            }
            "/face/tickets/verify" => {
                let asked: Value = serde_json::from_slice(body).ok()?;
                let number: usize = asked["ticket"].as_str()?.strip_prefix('t')?.parse().ok()?;
                let mut passed = self.faces.lock().ok()?.get(number)?.clone();
                passed["result"] = json!("passed");
                Some(passed)
            }
            "/issuer/userinfo" => {
                let person: u64 = bearer.split_once("issuer.")?.1.parse().ok()?;
                Some(json!({
                    "sub": people::union_id(person), "preferred_username": format!("person-{person}"), "name": format!("Person {person}"),
                }))
            }
            _ => None,
        }
    }
}
