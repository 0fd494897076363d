//! Replies of `/v1/login` and of the session calls, read defensively: unknown members are passed over, wrong types are refused.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::account::{AccountSummary, SessionSummary};
use crate::json::{self, FromJson};
use crate::session::{SessionGrant, SessionTokens};
use crate::text::LocalizedText;

/// The handle of a login, `lg_…`. It answers only to the device key that began it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginHandle(pub String);

impl fmt::Debug for LoginHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lg_[redacted]")
    }
}

/// Where a login stands: what the next answer must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginPlace {
    /// The login.
    pub login: LoginHandle,
    /// The step's id, which the answer repeats.
    pub step_id: String,
    /// How long the login is still good, where the reply says it.
    pub expires_in: Option<Duration>,
    /// What is asked.
    pub next: NextStep,
}

/// What an account center asks next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// A phone number (L4).
    Phone,
    /// The code that was sent (L4).
    SmsCode {
        /// The masked number.
        sent_to: String,
        /// How many digits the code has.
        digits: u32,
        /// How long the code is good.
        expires_in: Duration,
        /// From when another may be sent, counted from the reply.
        resend_after: Duration,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A proof of who it is (L5, U2).
    Verification {
        /// The ways that are offered; ways that this version does not know are left out.
        methods: Vec<VerificationMethod>,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A login password for the new account (L6).
    Registration(PasswordRules),
    /// Face recognition (L5, L7).
    Face {
        /// What the face service's client needs.
        request: FaceRequest,
        /// What the bank offers to who declines, by language.
        alternative: LocalizedText,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A step that this version does not know: the app must be updated, and the login is left as it is (ADR 0008).
    Unknown,
}

/// A way to prove who one is (L5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationMethod {
    /// The login password.
    LoginPassword,
    /// A registered card and its withdrawal password.
    Card,
}

/// What a new login password must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PasswordRules {
    /// Least number of characters.
    pub min_length: u32,
    /// Greatest number of characters.
    pub max_length: u32,
    /// How many of lower case, upper case, digits and others there must be at least.
    pub min_classes: u32,
}

/// What the face service's client needs.
#[derive(Clone, PartialEq, Eq)]
pub struct FaceRequest {
    /// The face service's session.
    pub face_session: String,
    /// Where the face service is.
    pub url: String,
    /// Binds the ticket to this login.
    pub nonce: String,
}

impl fmt::Debug for FaceRequest {
    /// What opens the face service's session is nobody else's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaceRequest([redacted])")
    }
}

/// A good reply of `/v1/login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginReply {
    /// The login goes on.
    Next(LoginPlace),
    /// It is done.
    Done(Box<SessionGrant>),
    /// It was cancelled.
    Cancelled,
}

crate::json::words!(VerificationMethod {
    "login_password" => LoginPassword,
    "card" => Card,
});

impl FromJson for PasswordRules {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            min_length: json::number(tree, "min_length")?,
            max_length: json::number(tree, "max_length")?,
            min_classes: json::number(tree, "min_classes")?,
        })
    }
}

/// What `next` says: the login goes on with a question, or is over.
enum Asked {
    Next(NextStep),
    Done,
    Cancelled,
}

/// Reads `next`; nothing where a member that the step needs is missing or of another type.
fn asked(next: &mut Value) -> Option<Asked> {
    let step = json::text(next, "step")?;
    Some(Asked::Next(match step.as_str() {
        "phone" => NextStep::Phone,
        "sms_code" => NextStep::SmsCode {
            sent_to: json::text(next, "sent_to")?,
            digits: json::number(next, "digits")?,
            expires_in: seconds(next, "expires_in")?,
            resend_after: seconds(next, "resend_after")?,
            attempts_left: json::number(next, "attempts_left")?,
        },
        "verification" => NextStep::Verification {
            methods: methods(next.get_mut("methods")?)?,
            attempts_left: json::number(next, "attempts_left")?,
        },
        "registration" => NextStep::Registration(json::member(next, "password_rules")?),
        "face" => {
            let request = next.get("request")?;
            NextStep::Face {
                request: FaceRequest {
                    face_session: json::text(request, "face_session")?,
                    url: json::text(request, "url")?,
                    nonce: json::text(request, "nonce")?,
                },
                alternative: json::or_default(next, "alternative")?,
                attempts_left: json::number(next, "attempts_left")?,
            }
        }
        "done" => return Some(Asked::Done),
        "cancelled" => return Some(Asked::Cancelled),
        _ => NextStep::Unknown,
    }))
}

/// The ways that this version knows.
fn methods(names: &mut Value) -> Option<Vec<VerificationMethod>> {
    let names = names.as_array_mut()?;
    let all_words = names.iter().all(Value::is_string);
    all_words.then(|| {
        names
            .iter_mut()
            .filter_map(VerificationMethod::from_json)
            .collect()
    })
}

fn seconds(tree: &Value, name: &str) -> Option<Duration> {
    json::number(tree, name).map(Duration::from_secs)
}

/// The tokens of a reply's `session`. Tokens that are not bound to the device key would go out without a proof: refused.
fn tokens(reply: &mut Value) -> Option<SessionTokens> {
    let session = reply.get_mut("session")?;
    let bound = session
        .get("token_type")?
        .as_str()?
        .eq_ignore_ascii_case("DPoP");
    let tokens = SessionTokens {
        session_id: json::text(session, "session_id")?,
        access_token: json::member(session, "access_token")?,
        expires_in: seconds(session, "expires_in")?,
        refresh_token: json::member(session, "refresh_token")?,
        refresh_expires_in: seconds(session, "refresh_expires_in")?,
    };
    let usable =
        bound && header_safe(tokens.access_token.expose()) && !tokens.refresh_token.is_empty();
    usable.then_some(tokens)
}

/// Whether the text can stand in a header as it is.
fn header_safe(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where the login stands, from the members of a reply or a problem; nothing unless all of it is there and understood.
fn place_asked(reply: &Value, next: NextStep) -> Option<LoginPlace> {
    Some(LoginPlace {
        login: LoginHandle(json::text(reply, "login")?),
        step_id: json::text(reply, "step_id")?,
        expires_in: seconds(reply, "expires_in"),
        next,
    })
}

/// Reads a reply of `/v1/login`; nothing where it is not the contract's.
pub(crate) fn login_reply(body: &[u8]) -> Option<LoginReply> {
    let mut reply = json::tree(body)?;
    match asked(reply.get_mut("next")?)? {
        Asked::Done => Some(LoginReply::Done(Box::new(SessionGrant {
            account: json::member(&mut reply, "account")?,
            tokens: tokens(&mut reply)?,
        }))),
        Asked::Cancelled => Some(LoginReply::Cancelled),
        Asked::Next(next) => place_asked(&reply, next).map(LoginReply::Next),
    }
}

/// The place inside a problem (`login`, `step_id`, `next`), where all of it is there and understood.
pub(crate) fn place(problem: &mut Value) -> Option<LoginPlace> {
    match asked(problem.get_mut("next")?)? {
        Asked::Next(next) => place_asked(problem, next),
        Asked::Done | Asked::Cancelled => None,
    }
}

/// Reads a reply of `/v1/sessions/refresh`.
pub(crate) fn refresh_reply(body: &[u8]) -> Option<SessionTokens> {
    tokens(&mut json::tree(body)?)
}

/// Reads a reply of `/v1/account`.
pub(crate) fn account_reply(body: &[u8]) -> Option<AccountSummary> {
    json::member(&mut json::tree(body)?, "account")
}

/// Reads a reply of `/v1/sessions`.
pub(crate) fn sessions_reply(body: &[u8]) -> Option<Vec<SessionSummary>> {
    json::member(&mut json::tree(body)?, "sessions")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reply_prints_neither_its_handle_nor_what_opens_the_face_service_nor_a_token() {
        let face = br#"{"login":"lg_hidden1","step_id":"st","next":{"step":"face","attempts_left":3,
            "request":{"face_session":"hidden2","url":"https://face.example/hidden3","nonce":"hidden4"}}}"#;
        let done = br#"{"next":{"step":"done"},"account":{"user_id":"hidden5","identification":"signed"},"session":{"session_id":"hidden6",
            "access_token":"hidden7","token_type":"DPoP","expires_in":300,"refresh_token":"hidden8","refresh_expires_in":9}}"#;
        for body in [&face[..], &done[..]] {
            let reply = login_reply(body).unwrap();
            let printed = format!("{reply:?} {reply:#?}");
            assert!(!printed.contains("hidden"), "{printed}");
        }
        let handle = LoginHandle("lg_hidden".to_owned());
        assert_eq!(format!("{handle:?}"), "lg_[redacted]");
    }

    #[test]
    fn what_a_step_needs_must_be_there_and_of_its_type() {
        let step = |members: &str| {
            let body = format!(
                r#"{{"login":"lg_1","step_id":"st","next":{{"step":"sms_code",{members}}}}}"#
            );
            login_reply(body.as_bytes())
        };
        let good = r#""sent_to":"138****0000","digits":6,"expires_in":600,"resend_after":60,"attempts_left":5"#;
        assert!(matches!(step(good), Some(LoginReply::Next(_))));
        assert!(step(&format!(r#"{good},"of_tomorrow":[1]"#)).is_some());
        for (there, wrong) in [
            (r#""digits":6,"#, ""),
            (r#""digits":6"#, r#""digits":"6""#),
            (r#""digits":6"#, r#""digits":-6"#),
            (r#""digits":6"#, r#""digits":4294967296"#),
            (r#""sent_to":"138****0000""#, r#""sent_to":null"#),
        ] {
            assert_eq!(step(&good.replace(there, wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn a_step_of_tomorrow_is_unknown_whatever_it_holds() {
        let body =
            br#"{"login":"lg_1","step_id":"st","next":{"step":"palm","digits":{},"methods":7}}"#;
        let Some(LoginReply::Next(place)) = login_reply(body) else {
            panic!("it says where the login stands");
        };
        assert_eq!(place.next, NextStep::Unknown);
    }

    #[test]
    fn ways_to_prove_that_this_version_does_not_know_are_left_out() {
        let body = br#"{"login":"lg_1","step_id":"st","next":{"step":"verification","methods":["palm","card"],"attempts_left":5}}"#;
        let Some(LoginReply::Next(place)) = login_reply(body) else {
            panic!("it says where the login stands");
        };
        let expected = NextStep::Verification {
            methods: vec![VerificationMethod::Card],
            attempts_left: 5,
        };
        assert_eq!(place.next, expected);
    }
}
