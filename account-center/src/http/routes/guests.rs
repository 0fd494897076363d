//! `/v1/guests`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;

use super::super::{AppState, openapi};
use super::admitted_post;
use crate::guests::wire::GuestRequest;
use crate::login::wire::LoginReply;

const GUESTS: &str = "/v1/guests";

pub(super) fn router() -> Router<AppState> {
    Router::new().route(GUESTS, post(guests))
}

/// Gives the device key its guest in an app, after consent; or identifies whoever a provider's silent credential names (W4, W6).
#[utoipa::path(post, path = "/v1/guests", tag = "guests", operation_id = "enterAsGuest", request_body = GuestRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = LoginReply, description = "With `done`: the guest, or the account that was identified, and a session of that kind."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`consent_required`, `conflict` where somebody is logged in, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn guests(State(state): State<AppState>, request: Request) -> Response {
    let engine = state.login.clone();
    admitted_post(state, request, GUESTS, move |call, body| async move {
        let request = GuestRequest::parse(&body)?;
        engine.guest(&call, request).await
    })
    .await
}
