//! `/v1/account`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::super::reply::Reply;
use super::super::{AppState, openapi};
use super::{authorized, respond};
use crate::identity::{AccountView, account_view};
use crate::problem::{Code, Problem};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/v1/account", get(account))
}

/// The account of the access token.
#[utoipa::path(get, path = "/v1/account", tag = "account", operation_id = "getAccount",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = AccountReply, description = "The account."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, `session_ended`, or the proof was refused."),
    ))]
pub(in crate::http) async fn account(State(state): State<AppState>, request: Request) -> Response {
    let read = async {
        let holder = authorized(&state, request).await?;
        let shared = state.clone();
        let account = state
            .store
            .read(move |tx| {
                let (state, holder) = (shared.clone(), holder.clone());
                Box::pin(async move {
                    let session = state.sessions.live(tx, &holder).await?;
                    let account = account_view(tx, &state.keys, &session.user_id).await?;
                    // A session without an account cannot be: the session is as good as over.
                    account.ok_or_else(|| Problem::new(Code::SessionEnded))
                })
            })
            .await?;
        Reply::json(&AccountReply { account })
    };
    respond(read.await)
}

/// The reply of `GET /v1/account`.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AccountReply {
    /// The account.
    account: AccountView,
}
