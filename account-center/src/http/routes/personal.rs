//! What the law gives people over their data: `GET /v1/account/data`, `DELETE /v1/account`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{delete, get};

use super::super::{AppState, openapi};
use super::{authorized, authorized_change, respond};
use crate::account::wire::{Closed, PersonalData};
use crate::problem::Problem;

const ACCOUNT: &str = "/v1/account";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/account/data", get(personal_data))
        .route(ACCOUNT, delete(close_account))
}

/// Everything that is kept of the holder (PIPL, article 45). Needs a fresh proof (L9).
#[utoipa::path(get, path = "/v1/account/data", tag = "account", operation_id = "getPersonalData",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = PersonalData, description = "The data."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`reauthentication_required`, `session_ended`, `forbidden`, or the request was refused."),
    ))]
pub(in crate::http) async fn personal_data(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let read = async {
        let holder = authorized(&state, request).await?;
        state.accounts.data(&holder).await
    };
    respond(read.await)
}

/// Closes the account and erases what is kept of the holder (PIPL, article 47). Needs a fresh proof (L9); all sessions end.
#[utoipa::path(delete, path = "/v1/account", tag = "account", operation_id = "closeAccount",
    params(openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = Closed, description = "It is closed."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`reauthentication_required`, `session_ended`, `forbidden`, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn close_account(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    authorized_change(state, request, ACCOUNT, |call, holder, body| async move {
        if !body.is_empty() {
            return Err(Problem::invalid("", "this call has no body"));
        }
        accounts.close(&call, &holder).await
    })
    .await
}
