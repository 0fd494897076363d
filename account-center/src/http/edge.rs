//! Around every request: its id, its time limit, the headers that each reply carries, what becomes of a panic, and one line in the log with nothing personal.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{AppState, request_id};
use crate::problem::{Code, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Paths that are not of the API proper: no nonce (contract section 1).
const WITHOUT_NONCE: [&str; 4] = [
    "/.well-known/jwks.json",
    "/openapi.json",
    "/healthz",
    "/readyz",
];

/// The id of this request, for handlers.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// The outermost layer.
pub(super) async fn around(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = id_of(request.headers()).unwrap_or_else(|| state.context.uuid());
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));

    let work = async {
        match tokio::time::timeout(
            state.time_limit,
            AssertUnwindSafe(next.run(request)).catch_unwind(),
        )
        .await
        {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => Problem::internal(panic_text(&*panic)).into_response(),
            Err(_) => Problem::new(Code::Busy)
                .detail("this request took too long")
                .retry_after(1)
                .into_response(),
        }
    };
    let mut response = request_id::scope(id.clone(), work).await;

    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(&id) {
        headers.insert(REQUEST_ID, value);
    }
    if !path
        .as_deref()
        .is_some_and(|path| WITHOUT_NONCE.contains(&path))
        && let Some(nonce) = state
            .fresh_nonce()
            .and_then(|nonce| HeaderValue::try_from(nonce).ok())
    {
        headers.insert(DPOP_NONCE, nonce);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );

    let status = response.status();
    let problem = response
        .extensions()
        .get::<Code>()
        .map_or("", |code| code.as_str());
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // Unmatched paths are a stranger's text and stay out of the log.
    let path = path.as_deref().unwrap_or("-");
    tracing::info!(
        request_id = id,
        method = known(&method),
        path,
        status = status.as_u16(),
        problem,
        milliseconds,
        "request"
    );
    response
}

/// Around the admin listener's requests: as [`around`], but without what is of the device API alone.
pub(super) async fn around_admin(state: State<AppState>, request: Request, next: Next) -> Response {
    let mut response = around(state, request, next).await;
    let headers = response.headers_mut();
    headers.remove(DPOP_NONCE);
    if headers.contains_key(header::WWW_AUTHENTICATE) {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer error=\"invalid_token\""),
        );
    }
    response
}

/// A client's own id is kept when it is of the form, and came once.
fn id_of(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let id = values.next()?.to_str().ok()?;
    (values.next().is_none() && request_id::acceptable(id)).then(|| id.to_owned())
}

fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("without a text"))
}

/// Logs what a problem of ours has behind it. Nothing of it goes to the client.
pub(super) fn log_cause(problem: &Problem) {
    let Some(cause) = problem.cause() else { return };
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(deeper) = next {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        next = deeper.source();
    }
    let (request_id, code) = (request_id::current(), problem.code.as_str());
    if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id, code, cause = text, "internal");
    } else {
        tracing::warn!(request_id, code, cause = text, "refused");
    }
}
