//! A reply as bytes: what is sent, and what the ledger of replies keeps.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::{Code, Problem};

/// Status, body and the few headers that belong to the reply itself. Replayed, it is the same byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body; empty for 204.
    pub body: Vec<u8>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u64>,
    /// The problem's code, where it is one.
    pub problem: Option<Code>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body", &"[redacted]")
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// 200 with `value` as JSON.
    pub fn json<T: Serialize>(value: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(Problem::internal)?;
        Ok(Self {
            status: StatusCode::OK,
            body,
            retry_after: None,
            problem: None,
        })
    }

    /// 204.
    pub const fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: Vec::new(),
            retry_after: None,
            problem: None,
        }
    }

    /// A problem, named after the request that met it.
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        Self {
            status: problem.status(),
            body: problem.to_json(request_id),
            retry_after: problem.retry_after,
            problem: Some(problem.code),
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(code) = self.problem {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
            let challenge = match code {
                Code::UseDpopNonce | Code::InvalidDpopProof | Code::InvalidToken => {
                    Some(format!("DPoP error=\"{}\"", code.as_str()))
                }
                Code::SessionEnded => Some("DPoP error=\"invalid_token\"".to_owned()),
                _ => None,
            };
            if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
        } else if !self.body.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(code) = self.problem {
            response.extensions_mut().insert(code);
        }
        *response.body_mut() = Body::from(self.body);
        response
    }
}
