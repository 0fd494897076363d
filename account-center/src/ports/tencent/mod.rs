//! Tencent Cloud's API 3.0 by its public documents: SMS (`SendSms` of 2021-01-11) and face verification (`DetectAuth` and `GetDetectInfoEnhanced` of
//! 2018-03-01). Tested against the simulator, which speaks the same protocol and checks signatures on its own; the vendor itself was never reached.

mod face;
mod signature;
mod sms;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use postern_server_security::strict_json;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use self::signature::{Request, Signer};
use super::outbound::{Outbound, OutboundReply};
use super::{Endpoint, PortError};
use crate::context::Context;
use crate::secret::SecretText;

pub use face::TencentFace;
pub use sms::{TencentSms, TencentSmsSettings};

/// What is sent, and signed as it is written here.
const JSON: &str = "application/json; charset=utf-8";

/// An account at Tencent Cloud.
#[derive(Clone, Debug)]
pub struct TencentAccount {
    /// Where the service is: `https://sms.tencentcloudapi.com`.
    pub base: Url,
    /// `AKID…`
    pub secret_id: String,
    /// Its key.
    pub secret_key: SecretText,
}

/// One service of Tencent Cloud.
#[derive(Clone, Debug)]
struct Api {
    account: TencentAccount,
    service: &'static str,
    version: &'static str,
    outbound: Outbound,
    context: Context,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Of the way to the vendor.
    Port(PortError),
    /// The vendor's error code.
    Code(String),
}

impl Failure {
    /// What the code means for any service.
    fn into_port_error(self) -> PortError {
        match self {
            Self::Port(error) => error,
            Self::Code(code) => error_of(&code),
        }
    }
}

/// An error code of the vendor. What is unpaid or not approved is for somebody to mend; what is too often or too much passes by itself.
fn error_of(code: &str) -> PortError {
    let what = format!("the vendor says {code}");
    let kind = code.split('.').next().unwrap_or_default();
    match kind {
        "LimitExceeded" | "RequestLimitExceeded" | "ResourceInsufficient" => {
            PortError::unavailable(what)
        }
        // Of the vendor's own systems: who knows what was done.
        "InternalError" | "ResourceUnavailable" => PortError::Unavailable {
            what,
            maybe_done: true,
        },
        _ => PortError::misconfigured(what),
    }
}

impl Api {
    async fn call(
        &self,
        action: &'static str,
        region: Option<&str>,
        parameters: &impl Serialize,
    ) -> Result<Value, Failure> {
        let body = serde_json::to_vec(parameters)
            .map_err(|_| Failure::Port(PortError::misconfigured("cannot be written as JSON")))?;
        let headers = self
            .headers(action, region, &body)
            .ok_or_else(|| Failure::Port(PortError::misconfigured("cannot be put into headers")))?;
        let mut url = self.account.base.clone();
        url.set_path("/");
        let reply = self
            .outbound
            .post_signed(url, headers, body)
            .await
            .map_err(Failure::Port)?;
        answer(&reply)
    }

    fn headers(
        &self,
        action: &'static str,
        region: Option<&str>,
        body: &[u8],
    ) -> Option<HeaderMap> {
        let base = &self.account.base;
        let host = match base.port() {
            Some(port) => format!("{}:{port}", base.host_str()?),
            None => base.host_str()?.to_owned(),
        };
        let now = self.context.now();
        let action_in_lower_case = action.to_ascii_lowercase();
        let signer = Signer {
            secret_id: &self.account.secret_id,
            secret_key: &self.account.secret_key,
            service: self.service,
        };
        let authorization = signer.authorization(&Request {
            headers: &[
                ("content-type", JSON),
                ("host", &host),
                ("x-tc-action", &action_in_lower_case),
            ],
            body,
            at: now,
        });
        let mut headers = HeaderMap::new();
        let mut authorization = HeaderValue::from_str(&authorization).ok()?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
        for (name, value) in [
            ("x-tc-action", action),
            ("x-tc-version", self.version),
            ("x-tc-timestamp", &now.seconds().to_string()),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).ok()?,
            );
        }
        if let Some(region) = region {
            let name = HeaderName::from_static("x-tc-region");
            headers.insert(name, HeaderValue::from_str(region).ok()?);
        }
        Some(headers)
    }
}

/// The answer in a reply: HTTP 200 and `{"Response":{…}}` whatever happens.
fn answer(reply: &OutboundReply) -> Result<Value, Failure> {
    let lost = |what: &str| {
        Failure::Port(PortError::Unavailable {
            what: what.to_owned(),
            maybe_done: true,
        })
    };
    if reply.status != StatusCode::OK {
        return Err(lost(&format!("HTTP {}", reply.status.as_u16())));
    }
    let not_theirs = || lost("the reply is not the vendor's");
    let mut whole = strict_json::value(&reply.body).map_err(|_| not_theirs())?;
    let answer = whole
        .get_mut("Response")
        .map(Value::take)
        .filter(Value::is_object)
        .ok_or_else(not_theirs)?;
    match answer.get("Error") {
        None => Ok(answer),
        Some(error) => Err(code_in(error).map_or_else(not_theirs, Failure::Code)),
    }
}

/// A code that may go into the log.
fn code_in(value: &Value) -> Option<String> {
    value
        .get("Code")?
        .as_str()
        .filter(|code| {
            (1..=96).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        })
        .map(str::to_owned)
}

/// The bank's core, for what the vendor has to compare with.
type Core = Endpoint;

#[cfg(test)]
mod tests;
