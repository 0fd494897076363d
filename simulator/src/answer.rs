//! What all parties but WeChat share: JSON in, JSON out, a bearer key in front of server calls.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use subtle::ConstantTimeEq;
use url::{Host, Url};

/// A refusal in the simulator's own words: `{"error": …}`. The text never repeats what was sent.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
        }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

/// The answer to an unknown path.
pub(crate) async fn unknown_path() -> Failure {
    Failure::not_found("path")
}

/// A JSON body, whatever the Content-Type says. Errors name line and column, never the value.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Data => {
                    "a field that is missing, unknown or of another type"
                }
                _ => "not JSON",
            };
            Failure::bad_request(format!(
                "body: {kind} (line {}, column {})",
                error.line(),
                error.column()
            ))
            .into_response()
        })
    }
}

/// Lets only the holder of the party's key through (for `axum::middleware::from_fn_with_state`).
pub(crate) async fn require_bearer(
    State(key): State<&'static str>,
    request: Request,
    next: Next,
) -> Response {
    if is_bearer(request.headers(), key) {
        next.run(request).await
    } else {
        Failure::new(
            StatusCode::UNAUTHORIZED,
            "the key in Authorization is missing or wrong",
        )
        .into_response()
    }
}

fn is_bearer(headers: &HeaderMap, key: &str) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("bearer") && same_secret(given, key)
        })
}

/// Compares in time that depends on the lengths only.
pub(crate) fn same_secret(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What each party's handlers are given.
pub(crate) type Shared = State<Arc<crate::world::World>>;
