//! `/v1/sessions`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post};

use super::super::json::Members;
use super::super::reply::Reply;
use super::super::{AppState, Call, openapi};
use super::{admitted_at_once, authorized, respond};
use crate::problem::Problem;
use crate::sessions::Refreshed;
use crate::sessions::wire::{RefreshReply, RefreshRequest};
use crate::store::Tx;

const REFRESH: &str = "/v1/sessions/refresh";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route(REFRESH, post(refresh))
        .route("/v1/sessions/current", delete(end_session))
        .route("/v1/sessions", get(list_sessions))
}

/// Exchanges a refresh token for its successor and a new access token.
#[utoipa::path(post, path = "/v1/sessions/refresh", tag = "sessions", operation_id = "refreshSession", request_body = RefreshRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = RefreshReply, description = "The session goes on."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`refresh_token_invalid`, `refresh_token_reused`: both definite; or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn refresh(State(state): State<AppState>, request: Request) -> Response {
    let shared = state.clone();
    admitted_at_once(state, request, REFRESH, move |tx, call, body| {
        let state = shared.clone();
        Box::pin(async move { do_refresh(&state, tx, call, body).await })
    })
    .await
}

async fn do_refresh(
    state: &AppState,
    tx: &mut Tx,
    call: &Call,
    body: &[u8],
) -> Result<Reply, Problem> {
    let mut members = Members::of(body)?;
    let request = RefreshRequest {
        app_id: members.text("app_id", 64)?,
        refresh_token: members.text("refresh_token", 512)?,
    };
    members.end()?;
    let refreshed = state
        .sessions
        .refresh(
            tx,
            &request.app_id,
            &call.device_key,
            &request.refresh_token,
        )
        .await?;
    Ok(match refreshed {
        Refreshed::Granted(session) => Reply::json(&RefreshReply { session: *session })?,
        Refreshed::Refused(problem) => Reply::problem(&problem, &call.request_id),
    })
}

/// Ends the session of the access token; 204 also when it is ended already.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", operation_id = "endSession",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 204, description = "The session is over."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, or the proof was refused."),
    ))]
pub(in crate::http) async fn end_session(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let ended = async {
        let holder = authorized(&state, request).await?;
        state.sessions.end(&state.store, &holder).await?;
        Ok(Reply::no_content())
    };
    respond(ended.await)
}

/// The account's live sessions.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", operation_id = "listSessions",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = crate::sessions::wire::SessionList, description = "Newest first."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, `session_ended`, or the proof was refused."),
    ))]
pub(in crate::http) async fn list_sessions(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let listed = async {
        let holder = authorized(&state, request).await?;
        let sessions = state.sessions.clone();
        let list = state
            .store
            .read(move |tx| {
                let (sessions, holder) = (sessions.clone(), holder.clone());
                Box::pin(async move { sessions.list(tx, &holder).await })
            })
            .await?;
        Reply::json(&list)
    };
    respond(listed.await)
}
