//! The routes of the contract.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::edge::{self, RequestId, log_cause};
use super::json::Members;
use super::listener::Peer;
use super::reply::Reply;
use super::{AppState, Call, admission, openapi, work};
use crate::identity::{AccountView, account_view};
use crate::login::prepare::{ProviderRequest, ProviderRequestReply};
use crate::login::wire::{LoginReply, LoginRequest};
use crate::problem::{Code, Problem};
use crate::sessions::wire::{RefreshReply, RefreshRequest};
use crate::sessions::{Holder, Refreshed};

/// Every route, with what is around them.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/v1/apps/{app_id}/login-options", get(login_options))
        .route(LOGIN, post(login))
        .route(PROVIDER_REQUESTS, post(provider_requests))
        .route(REFRESH, post(refresh))
        .route("/v1/sessions/current", delete(end_session))
        .route("/v1/sessions", get(list_sessions))
        .route("/v1/account", get(account))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/openapi.json", get(openapi_document))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(|| async { Problem::new(Code::NotFound).into_response() })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed).into_response()
        })
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            edge::around,
        ))
        .with_state(state)
}

const LOGIN: &str = "/v1/login";
const PROVIDER_REQUESTS: &str = "/v1/provider-requests";
const REFRESH: &str = "/v1/sessions/refresh";

/// Where a request came from: the peer, or what the outermost of our own proxies saw.
fn address_of(state: &AppState, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<Peer>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.0.ip());
    forwarded(request.headers(), state.trusted_proxies).unwrap_or(peer)
}

/// Each proxy of ours appends the address it saw, so with `n` of them the `n`th from the right is the client's; what stands left of it is the client's own
/// invention.
fn forwarded(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let listed: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let place = listed
        .len()
        .checked_sub(trusted_proxies)
        .filter(|_| trusted_proxies > 0)?;
    listed.get(place)?.parse().ok()
}

/// A POST: admission, then the work in its own task, then the reply.
async fn admitted_post<F, W>(
    state: AppState,
    request: Request,
    path: &'static str,
    work: W,
) -> Response
where
    W: FnOnce(Call, axum::body::Bytes) -> F,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let address = address_of(&state, &request);
    let request_id = request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default();
    let (parts, body) = request.into_parts();
    let answered = match admission::post(&state, &parts, body, path, address, request_id).await {
        Ok(admitted) => work::answer(state, admitted, work).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok((reply, replayed)) => {
            let mut response = reply.into_response();
            if replayed {
                response
                    .headers_mut()
                    .insert("idempotency-replayed", HeaderValue::from_static("true"));
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// A request with an access token.
async fn authorized(state: &AppState, request: Request) -> Result<Holder, Problem> {
    let (parts, body) = request.into_parts();
    admission::holder(state, &parts, body).await
}

/// Which buttons an app shows, the issuer's name and the signed key list. Needs no proof, and gives the first nonce.
#[utoipa::path(get, path = "/v1/apps/{app_id}/login-options", tag = "login", operation_id = "getLoginOptions",
    params(
        ("app_id" = String, Path, description = "One of the bank's apps."),
        ("region" = Option<String>, Query, description = "Where the person is, for staged release (L12)."),
        ("app_version" = Option<String>, Query, description = "The app's version, for staged release (L12)."),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the reply that is kept."),
    ),
    responses(
        (status = 200, body = super::options::LoginOptions, description = "The options.", headers(("ETag" = String), ("DPoP-Nonce" = String))),
        (status = 304, description = "Not changed."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`app_unknown`"),
    ))]
pub(super) async fn login_options(
    State(state): State<AppState>,
    app_id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    // An id that is not UTF-8 is nobody's either.
    let page = app_id
        .ok()
        .and_then(|Path(app_id)| state.catalogue.page(&app_id));
    let Some(page) = page else {
        return Problem::new(Code::AppUnknown).into_response();
    };
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| page.is_named_by(value));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )],
            page.body,
        )
            .into_response()
    };
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=60"),
    );
    if let Ok(etag) = HeaderValue::try_from(page.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Begins a login with a provider's credential, or answers its present step (L2 to L7, W7).
#[utoipa::path(post, path = "/v1/login", tag = "login", operation_id = "login", request_body = openapi::LoginRequestBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = LoginReply, description = "The next step, or the session."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the login is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(super) async fn login(State(state): State<AppState>, request: Request) -> Response {
    let engine = state.login.clone();
    admitted_post(state, request, LOGIN, move |call, body| async move {
        let request = LoginRequest::parse(&body)?;
        engine.perform(&call, request).await
    })
    .await
}

/// Prepares what only the server can build before the phone goes to a provider: Alipay's signed string. It answers to the device key.
#[utoipa::path(post, path = "/v1/provider-requests", tag = "login", operation_id = "prepareProviderRequest", request_body = ProviderRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = ProviderRequestReply, description = "For the provider's SDK on the phone."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "The request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(super) async fn provider_requests(State(state): State<AppState>, request: Request) -> Response {
    let engine = state.login.clone();
    admitted_post(
        state,
        request,
        PROVIDER_REQUESTS,
        move |call, body| async move {
            let mut members = Members::of(&body)?;
            let asked = ProviderRequest {
                app_id: members.text("app_id", 64)?,
                provider: members.text("provider", 32)?,
            };
            members.end()?;
            engine.prepare(&call, asked).await
        },
    )
    .await
}

/// Exchanges a refresh token for its successor and a new access token.
#[utoipa::path(post, path = "/v1/sessions/refresh", tag = "sessions", operation_id = "refreshSession", request_body = RefreshRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = RefreshReply, description = "The session goes on."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`refresh_token_invalid`, `refresh_token_reused`: both definite; or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(super) async fn refresh(State(state): State<AppState>, request: Request) -> Response {
    let shared = state.clone();
    admitted_post(state, request, REFRESH, move |call, body| async move {
        do_refresh(shared, call, &body).await
    })
    .await
}

async fn do_refresh(state: AppState, call: Call, body: &[u8]) -> Result<Reply, Problem> {
    let mut members = Members::of(body)?;
    let request = std::sync::Arc::new(RefreshRequest {
        app_id: members.text("app_id", 64)?,
        refresh_token: members.text("refresh_token", 512)?,
    });
    members.end()?;
    let shared = state.clone();
    state
        .store
        .write(move |tx| {
            let (state, call, request) = (shared.clone(), call.clone(), request.clone());
            Box::pin(async move {
                let reply = match state
                    .sessions
                    .refresh(
                        tx,
                        &request.app_id,
                        &call.device_key,
                        &request.refresh_token,
                    )
                    .await?
                {
                    Refreshed::Granted(session) => {
                        Reply::json(&RefreshReply { session: *session })?
                    }
                    Refreshed::Refused(problem) => Reply::problem(&problem, &call.request_id),
                };
                call.ticket.finish(tx, &reply).await?;
                Ok::<_, Problem>(reply)
            })
        })
        .await
}

/// Ends the session of the access token; 204 also when it is ended already.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", operation_id = "endSession",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 204, description = "The session is over."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, or the proof was refused."),
    ))]
pub(super) async fn end_session(State(state): State<AppState>, request: Request) -> Response {
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
pub(super) async fn list_sessions(State(state): State<AppState>, request: Request) -> Response {
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

/// The account of the access token.
#[utoipa::path(get, path = "/v1/account", tag = "account", operation_id = "getAccount",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = AccountReply, description = "The account."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_token`, `session_ended`, or the proof was refused."),
    ))]
pub(super) async fn account(State(state): State<AppState>, request: Request) -> Response {
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
pub(super) struct AccountReply {
    /// The account.
    account: AccountView,
}

/// The public keys of access tokens (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "operation", operation_id = "getKeys",
    responses((status = 200, body = Object, description = "A JWK set.")))]
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    public_json(state.sessions.jwks().to_string())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", operation_id = "getOpenApi",
    responses((status = 200, body = Object, description = "OpenAPI 3.1.")))]
pub(super) async fn openapi_document() -> Response {
    public_json(openapi::document())
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth", responses((status = 200, description = "It does.")))]
pub(super) async fn healthz() -> Response {
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
pub(super) async fn readyz(State(state): State<AppState>) -> Response {
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

fn public_json(body: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "public, max-age=300"),
        ],
        body,
    )
        .into_response()
}

fn respond(answered: Result<Reply, Problem>) -> Response {
    match answered {
        Ok(reply) => reply.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// For problems outside the ledger of replies; the request id is that of the running request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        log_cause(&self);
        Reply::problem(&self, &super::request_id::current()).into_response()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_our_own_proxies_appended_says_where_a_request_came_from() {
        let headers = |value: &str| {
            HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), value.parse().unwrap())])
        };
        assert_eq!(forwarded(&headers("1.2.3.4"), 0), None);
        assert_eq!(
            forwarded(&headers("6.6.6.6, 1.2.3.4"), 1),
            Some([1, 2, 3, 4].into())
        );
        assert_eq!(
            forwarded(&headers("6.6.6.6, 1.2.3.4, 10.0.0.1"), 2),
            Some([1, 2, 3, 4].into())
        );
        assert_eq!(forwarded(&headers("1.2.3.4"), 2), None);
        assert_eq!(forwarded(&headers("nonsense"), 1), None);
    }
}
