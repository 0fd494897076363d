//! One request to a provider: what may be repeated, and what a failure means.

use std::time::Duration;

use http::StatusCode;
use postern_server_security::strict_json;
use serde_json::Value;
use url::Url;

use super::{ApiSettings, Credential, ExchangeError, Profile};
use crate::ports::outbound::OutboundReply;
use crate::ports::{Outbound, PortError};
use crate::secret::SecretText;

/// How often a request is made in all.
const TRIES: u32 = 3;
/// A code, a token or an id of a person is never longer: what is, is not looked at.
const ID_LIMIT: usize = 256;

/// Why a request gave nothing. `E` is the provider's own error.
pub(super) enum Failure<E> {
    /// The request did not leave: it may be made again.
    Unreached(String),
    /// No reply that can be read: the request may have been performed.
    Lost(String),
    /// The provider says that it is too busy and did nothing.
    Busy(String),
    /// The provider says no.
    Refused(E),
    /// We are set up wrongly.
    SetUp(String),
}

impl<E> From<PortError> for Failure<E> {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable {
                what,
                maybe_done: false,
            } => Self::Unreached(what),
            PortError::Unavailable {
                what,
                maybe_done: true,
            } => Self::Lost(what),
            PortError::Misconfigured { what } => Self::SetUp(what),
        }
    }
}

impl<E> Failure<E> {
    /// What the failure means for the login.
    pub(super) fn meaning(self, of_refusal: impl FnOnce(E) -> ExchangeError) -> ExchangeError {
        match self {
            Self::Unreached(what) | Self::Lost(what) | Self::Busy(what) => {
                ExchangeError::Unavailable(what)
            }
            Self::Refused(error) => of_refusal(error),
            Self::SetUp(what) => ExchangeError::Misconfigured(what),
        }
    }
}

/// Where a provider is, and how patiently it is asked.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// Its base address.
    pub(super) base: Url,
    /// Pause before a repetition; doubled each time.
    pub(super) pause: Duration,
    /// How requests are made.
    pub(super) outbound: Outbound,
}

/// How parameters travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// In the query.
    Get,
    /// In a form.
    Post,
}

impl Api {
    /// Speaks to the provider of these settings.
    pub(super) fn new(settings: ApiSettings, outbound: Outbound) -> Self {
        Self {
            base: settings.base,
            pause: settings.pause,
            outbound,
        }
    }

    /// Makes a request and reads its reply with `read`. What was not performed is repeated; `idempotent`: also what may have been.
    pub(super) async fn call<T, E>(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&str, &str)],
        idempotent: bool,
        read: impl Fn(&OutboundReply) -> Result<T, Failure<E>>,
    ) -> Result<T, Failure<E>> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::SetUp("the base URL cannot have a path".into()))?
            .pop_if_empty()
            .extend(path);
        match method {
            Method::Get => {
                let send = || self.outbound.get(url.clone(), parameters);
                self.repeat(send, idempotent, read).await
            }
            Method::Post => self.post(url, parameters, idempotent, read).await,
        }
    }

    /// As [`Api::call`], to a whole address.
    pub(super) async fn post<T, E>(
        &self,
        url: Url,
        form: &[(&str, &str)],
        idempotent: bool,
        read: impl Fn(&OutboundReply) -> Result<T, Failure<E>>,
    ) -> Result<T, Failure<E>> {
        let send = || self.outbound.post_form(url.clone(), form);
        self.repeat(send, idempotent, read).await
    }

    /// As [`Api::call`], of a request that `send` makes.
    pub(super) async fn repeat<T, E, F>(
        &self,
        send: impl Fn() -> F,
        idempotent: bool,
        read: impl Fn(&OutboundReply) -> Result<T, Failure<E>>,
    ) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<OutboundReply, PortError>>,
    {
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            let reply = send().await;
            let failure = match reply.map_err(Failure::from).and_then(|reply| read(&reply)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let repeat = match &failure {
                Failure::Unreached(_) | Failure::Busy(_) => true,
                Failure::Lost(_) => idempotent,
                Failure::Refused(_) | Failure::SetUp(_) => false,
            };
            if !repeat || tries == TRIES {
                return Err(failure);
            }
            tries += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// A reply of another status than 200, or one that is not the provider's.
pub(super) fn lost<E>(reply: &OutboundReply) -> Failure<E> {
    Failure::Lost(if reply.status == StatusCode::OK {
        "the reply is not the provider's".to_owned()
    } else {
        format!("HTTP {}", reply.status.as_u16())
    })
}

/// The object that a reply holds, with any status but a redirect or an error of the server: what some providers refuse with is a 4xx.
pub(super) fn object<E>(reply: &OutboundReply) -> Result<Value, Failure<E>> {
    object_in(reply, Some(&reply.body))
}

/// As [`object`], of the part of the reply that is JSON.
pub(super) fn object_in<E>(
    reply: &OutboundReply,
    json: Option<&[u8]>,
) -> Result<Value, Failure<E>> {
    if reply.status.is_redirection() || reply.status.is_server_error() {
        return Err(lost(reply));
    }
    json.and_then(|json| strict_json::value(json).ok())
        .filter(Value::is_object)
        .ok_or_else(|| lost(reply))
}

/// The code of a provider that takes nothing else.
pub(super) fn code(credential: &Credential) -> Result<&SecretText, ExchangeError> {
    match credential {
        Credential::Code(code) => well_formed(code),
        Credential::AccessToken(_) | Credential::Answered(_) => {
            Err(ExchangeError::CredentialInvalid("not a code".into()))
        }
    }
}

/// What cannot be a code or a token is not sent.
pub(super) fn well_formed(secret: &SecretText) -> Result<&SecretText, ExchangeError> {
    if acceptable(secret.expose()) {
        Ok(secret)
    } else {
        Err(ExchangeError::CredentialInvalid(
            "not of a credential's form".into(),
        ))
    }
}

/// Where a profile cannot be had, the login goes on without it: its consent is separate (M3), and it is refreshed another time (M6).
pub(super) fn or_none(provider: &str, profile: Result<Profile, ExchangeError>) -> Profile {
    profile.unwrap_or_else(|error| {
        tracing::warn!(provider, %error, "there is no profile; the login goes on without one");
        Profile::default()
    })
}

/// Whether text could be a code, a token or an id: printable ASCII of a sensible length.
pub(super) fn acceptable(id: &str) -> bool {
    (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// A member that some providers write as a number and some as text.
pub(super) fn text_or_number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// An error code, written as a number or as text.
pub(super) fn code_of(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A text member.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}
