//! Keys, the OpenAPI document, health.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::super::{AppState, openapi};
use super::public_json;
use crate::problem::{Code, Problem};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/openapi.json", get(openapi_document))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

/// The public keys of access tokens (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "operation", operation_id = "getKeys",
    responses((status = 200, body = Object, description = "A JWK set.")))]
pub(in crate::http) async fn jwks(State(state): State<AppState>) -> Response {
    public_json(state.sessions.jwks().to_string())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", operation_id = "getOpenApi",
    responses((status = 200, body = Object, description = "OpenAPI 3.1.")))]
pub(in crate::http) async fn openapi_document() -> Response {
    public_json(openapi::document())
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth", responses((status = 200, description = "It does.")))]
pub(in crate::http) async fn healthz() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        r#"{"status":"ok"}"#,
    )
        .into_response()
}

/// Whether requests can be served: the database answers, to read and to write.
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "getReadiness",
    responses(
        (status = 200, description = "They can."),
        (status = 503, body = openapi::ProblemBody, content_type = "application/problem+json", description = "They cannot."),
    ))]
pub(in crate::http) async fn readyz(State(state): State<AppState>) -> Response {
    match tokio::time::timeout(Duration::from_secs(2), state.store.check()).await {
        Ok(Ok(())) => (
            [(header::CONTENT_TYPE, "application/json")],
            r#"{"status":"ready"}"#,
        )
            .into_response(),
        Ok(Err(error)) => Problem::new(Code::Busy)
            .detail("the database does not answer")
            .caused_by(error)
            .into_response(),
        Err(_) => Problem::new(Code::Busy)
            .detail("the database does not answer in time")
            .into_response(),
    }
}
