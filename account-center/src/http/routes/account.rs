//! `/v1/account`.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post};

use super::super::reply::Reply;
use super::super::{AppState, openapi};
use super::{authorized, authorized_change, respond};
use crate::account::wire::{
    BindRequest, BindingList, Bound, OperationReply, PhoneChangeRequest, ProofRequest, Unbound,
};
use crate::identity::{AccountView, account_view_as};
use crate::problem::{Code, Problem};
use crate::sessions::acr_of;

const BINDINGS: &str = "/v1/account/bindings";
const PROOF: &str = "/v1/account/proof";
const PHONE_CHANGE: &str = "/v1/account/phone-change";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/account", get(account))
        .route(BINDINGS, get(list_bindings).post(bind))
        .route("/v1/account/bindings/{provider}", delete(unbind))
        .route(PROOF, post(prove))
        .route(PHONE_CHANGE, post(change_phone))
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
                    let session = state.sessions.live_of_any_kind(tx, &holder).await?;
                    let acr = acr_of(&session.acr)?;
                    let account = account_view_as(tx, &state.keys, &session.user_id, acr).await?;
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

/// What is bound, and what became of bindings (L8).
#[utoipa::path(get, path = "/v1/account/bindings", tag = "account", operation_id = "listBindings",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = BindingList, description = "The bindings."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, `session_ended`, `forbidden` for a guest, or the proof was refused."),
    ))]
pub(in crate::http) async fn list_bindings(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let read = async {
        let holder = authorized(&state, request).await?;
        state.accounts.bindings(&holder).await
    };
    respond(read.await)
}

/// Unbinds a provider, at once (L8, U5). Sessions that began with it end (L9), also the one of this call.
#[utoipa::path(delete, path = "/v1/account/bindings/{provider}", tag = "account", operation_id = "unbind",
    params(("provider" = String, Path, description = "`wechat`"), openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = Unbound, description = "It is not bound any more."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`binding_unknown`, `provider_login_required`, `phone_required`, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn unbind(
    State(state): State<AppState>,
    provider: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    let path = request.uri().path().to_owned();
    authorized_change(state, request, path, move |call, holder, body| async move {
        if !body.is_empty() {
            return Err(Problem::invalid("", "this call has no body"));
        }
        // A name that is not UTF-8 is no provider's.
        let Ok(Path(provider)) = provider else {
            return Err(Problem::new(Code::BindingUnknown));
        };
        accounts.unbind(&call, &holder, &provider).await
    })
    .await
}

/// Binds a provider to the account of this session (L9, U3). Needs a proof of the person that is under five minutes old.
#[utoipa::path(post, path = "/v1/account/bindings", tag = "account", operation_id = "bind", request_body = BindRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = Bound, description = "It is bound; also where it was before."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`reauthentication_required`, `identity_bound_elsewhere`, `provider_already_bound`, `provider_code_invalid`, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn bind(State(state): State<AppState>, request: Request) -> Response {
    let accounts = state.accounts.clone();
    authorized_change(
        state,
        request,
        BINDINGS,
        move |call, holder, body| async move {
            let request = BindRequest::parse(&body)?;
            accounts.bind(&call, &holder, request.provider).await
        },
    )
    .await
}

/// Proves who holds the session (L9), or that they can log in at a provider that is bound (U5): begins, or answers the present step.
#[utoipa::path(post, path = "/v1/account/proof", tag = "account", operation_id = "prove", request_body = openapi::ProofRequestBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = OperationReply, description = "The next step, or done."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the operation is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn prove(State(state): State<AppState>, request: Request) -> Response {
    let accounts = state.accounts.clone();
    authorized_change(
        state,
        request,
        PROOF,
        move |call, holder, body| async move {
            let request = ProofRequest::parse(&body)?;
            accounts.proof(&call, &holder, request).await
        },
    )
    .await
}

/// Changes the account's phone number, or gives it the first (U4, U2): begins, or answers the present step.
#[utoipa::path(post, path = "/v1/account/phone-change", tag = "account", operation_id = "changePhone", request_body = openapi::PhoneChangeRequestBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = OperationReply, description = "The next step, or done."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the operation is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn change_phone(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    authorized_change(
        state,
        request,
        PHONE_CHANGE,
        move |call, holder, body| async move {
            let request = PhoneChangeRequest::parse(&body)?;
            accounts.change_phone(&call, &holder, request).await
        },
    )
    .await
}
