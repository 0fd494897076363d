//! An account center that is small enough to read: it plays the steps of a login behind a `Transport`, keeps replies by Idempotency-Key as the
//! contract says, and counts what it did. Proofs and seals are not checked here; other tests do that.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::testing::{Root, account_json, json_reply, problem, session_json};
use crate::transport::{HttpReply, HttpRequest, Transport, TransportError};

/// What the network or the server does to one login request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Never arrives.
    DropRequest,
    /// Is carried out; the reply is lost.
    DropReply,
    /// 200 and a page of HTML.
    Rubbish,
    /// 502 and a page of HTML, as a gateway would.
    BadGateway,
}

/// Whom the provider's code and the phone number lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    NewUnsigned,
    NewSigned,
    ReturningUnsigned,
    ReturningSigned,
}

/// A login as it came over the wire.
#[derive(Debug, Clone)]
pub(super) struct SeenLogin {
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) nonce: Option<String>,
}

impl SeenLogin {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inside {
    step: Option<&'static str>,
    step_number: u32,
    attempts: u32,
    faces: u32,
    stored: HashMap<String, (Vec<u8>, u16, Value)>,
    faults: VecDeque<Fault>,
    next_reply: Option<(u16, Value)>,
    seen: Vec<SeenLogin>,
    started: u32,
    messages: u32,
    accounts: u32,
    sessions: u32,
    cancels: u32,
}

pub(super) struct FakeCenter {
    person: Person,
    options: Value,
    inside: Mutex<Inside>,
}

/// The code of every SMS.
pub(super) const SMS_CODE: &str = "246810";

impl FakeCenter {
    pub(super) fn new(root: &Root, person: Person) -> Arc<Self> {
        Arc::new(Self {
            person,
            options: root.options(1),
            inside: Mutex::new(Inside {
                attempts: 5,
                faces: 3,
                ..Inside::default()
            }),
        })
    }

    pub(super) fn fault(&self, fault: Fault, times: usize) {
        self.inside
            .lock()
            .unwrap()
            .faults
            .extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn clear_faults(&self) {
        self.inside.lock().unwrap().faults.clear();
    }

    /// The next login request is answered so, whatever it says.
    pub(super) fn answer_next(&self, status: u16, body: Value) {
        self.inside.lock().unwrap().next_reply = Some((status, body));
    }

    pub(super) fn seen(&self) -> Vec<SeenLogin> {
        self.inside.lock().unwrap().seen.clone()
    }

    /// Logins begun, messages sent, accounts made, sessions opened, cancels heard.
    pub(super) fn counts(&self) -> [u32; 5] {
        let inside = self.inside.lock().unwrap();
        [
            inside.started,
            inside.messages,
            inside.accounts,
            inside.sessions,
            inside.cancels,
        ]
    }

    fn login(&self, request: &HttpRequest) -> Result<HttpReply, TransportError> {
        let key = request.headers["idempotency-key"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut inside = self.inside.lock().unwrap();
        inside.seen.push(SeenLogin {
            key: key.clone(),
            body: request.body.clone(),
            nonce: nonce(request),
        });
        let fault = inside.faults.pop_front();
        match fault {
            Some(Fault::DropRequest) => return Err(TransportError::Offline),
            Some(Fault::Rubbish) => return Ok(crate::testing::reply(200, &[], "<html>")),
            Some(Fault::BadGateway) => return Ok(crate::testing::reply(502, &[], "<html>")),
            Some(Fault::DropReply) | None => {}
        }
        let (status, body) = if let Some(reply) = inside.next_reply.take() {
            reply
        } else if let Some((bytes, status, body)) = inside.stored.get(&key).cloned() {
            assert_eq!(bytes, request.body, "a repetition has identical bytes");
            (status, body)
        } else {
            let (status, body) =
                self.carry_out(&mut inside, &serde_json::from_slice(&request.body).unwrap());
            inside
                .stored
                .insert(key, (request.body.clone(), status, body.clone()));
            (status, body)
        };
        if fault == Some(Fault::DropReply) {
            return Err(TransportError::Other);
        }
        Ok(match status {
            200 => json_reply(200, &body),
            _ => problem(status, body["code"].as_str().unwrap(), &body),
        })
    }

    fn carry_out(&self, inside: &mut Inside, request: &Value) -> (u16, Value) {
        if request.get("start").is_some() {
            inside.started += 1;
            return match self.person {
                Person::NewUnsigned | Person::NewSigned => inside.go("phone"),
                Person::ReturningUnsigned => inside.done(),
                Person::ReturningSigned => inside.go("face"),
            };
        }
        let Some(step) = inside.step else {
            return (404, json!({"code": "login_unknown"}));
        };
        if request["step_id"] != inside.step_id() {
            return inside.trouble(409, "superseded");
        }
        let answer = request["answer"].as_object().unwrap();
        let (name, value) = answer.iter().next().unwrap();
        match (step, name.as_str()) {
            (_, "cancel") => {
                inside.cancels += 1;
                inside.step = None;
                (200, json!({"next": {"step": "cancelled"}}))
            }
            ("phone", "phone") | ("sms_code", "resend") => {
                inside.messages += 1;
                inside.go("sms_code")
            }
            ("sms_code", "change_phone") => inside.go("phone"),
            ("sms_code", "sms_code") if value == SMS_CODE => match self.person {
                Person::NewUnsigned | Person::ReturningUnsigned => inside.go("registration"),
                Person::NewSigned | Person::ReturningSigned => {
                    inside.attempts = 5;
                    inside.go("verification")
                }
            },
            ("sms_code", "sms_code") => inside.wrong("sms_code_wrong"),
            ("verification", "login_password") => {
                assert!(value["sealed"].as_str().unwrap().starts_with("key-1."));
                inside.go("face")
            }
            ("verification", "card") => {
                for field in ["number", "withdrawal_password"] {
                    assert!(
                        value[field]["sealed"]
                            .as_str()
                            .unwrap()
                            .starts_with("key-1.")
                    );
                }
                inside.go("face")
            }
            ("registration", "registration") => {
                assert!(
                    value["login_password"]["sealed"]
                        .as_str()
                        .unwrap()
                        .starts_with("key-1.")
                );
                inside.accounts += 1;
                inside.done()
            }
            ("face", "face") if value["ticket"] == "ft_pass" => inside.done(),
            ("face", "face") => {
                inside.faces -= 1;
                inside.trouble(422, "face_failed")
            }
            _ => inside.trouble(409, "answer_not_expected"),
        }
    }
}

impl Inside {
    fn step_id(&self) -> String {
        format!("step-{}", self.step_number)
    }

    fn place(&self) -> Value {
        let step = self.step.unwrap();
        let next = match step {
            "phone" => json!({"step": "phone"}),
            "sms_code" => {
                json!({"step": "sms_code", "sent_to": "138****0000", "digits": 6, "expires_in": 600, "resend_after": 60,
                                 "attempts_left": self.attempts})
            }
            "verification" => {
                json!({"step": "verification", "methods": ["login_password", "card"], "attempts_left": self.attempts})
            }
            "registration" => {
                json!({"step": "registration", "password_rules": {"min_length": 8, "max_length": 64, "min_classes": 2}})
            }
            "face" => {
                json!({"step": "face", "request": {"face_session": "fs-1", "url": "https://face.example", "nonce": "fn-1"},
                             "alternative": {"zh": "请到柜台办理", "en": "Please visit a branch"}, "attempts_left": self.faces})
            }
            other => panic!("no such step: {other}"),
        };
        json!({"login": "lg_AAAAAAAAAAAAAAAAAAAAAA", "step_id": self.step_id(), "expires_in": 600, "next": next})
    }

    fn go(&mut self, step: &'static str) -> (u16, Value) {
        self.step = Some(step);
        self.step_number += 1;
        (200, self.place())
    }

    fn done(&mut self) -> (u16, Value) {
        self.step = None;
        self.sessions += 1;
        let mark = format!("session-{}", self.sessions);
        (
            200,
            json!({"next": {"step": "done"}, "account": account_json(), "session": session_json(&mark)}),
        )
    }

    fn wrong(&mut self, code: &str) -> (u16, Value) {
        self.attempts -= 1;
        if self.attempts == 0 {
            self.step = None;
            return (
                429,
                json!({"code": "too_many_attempts", "retry_after": 900}),
            );
        }
        self.step_number += 1;
        self.trouble(422, code)
    }

    fn trouble(&self, status: u16, code: &str) -> (u16, Value) {
        let mut body = self.place();
        body["code"] = json!(code);
        (status, body)
    }
}

fn nonce(request: &HttpRequest) -> Option<String> {
    use base64::Engine as _;
    let proof = request.headers.get("dpop")?.to_str().ok()?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(proof.split('.').nth(1)?)
        .ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["nonce"].as_str().map(str::to_owned)
}

impl Transport for FakeCenter {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>> {
        async move {
            match request.url.path() {
                "/v1/login" => self.login(&request),
                path if path.ends_with("/login-options") => Ok(json_reply(200, &self.options)),
                _ => Ok(problem(404, "not_found", &json!({}))),
            }
        }
        .boxed()
    }
}
