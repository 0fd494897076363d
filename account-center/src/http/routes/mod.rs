//! The routes of the contract, one file for each area, and what they share: how a request is admitted and answered.

mod account;
mod admin;
mod appeals;
mod events;
mod events_out;
mod guests;
mod login;
mod notifications;
mod operation;
mod personal;
mod rollout;
mod sessions;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;

use super::address::address_of;
use super::edge::{self, RequestId, log_cause};
use super::reply::Reply;
use super::work::Done;
use super::{AppState, Call, admission, work};
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::Tx;

// For the OpenAPI document: utoipa looks for what its macro makes beside each handler.
pub(super) use account::*;
pub(super) use admin::*;
pub(super) use appeals::*;
pub(super) use events::*;
pub(super) use events_out::*;
pub(super) use guests::*;
pub(super) use login::*;
pub(super) use notifications::*;
pub(super) use operation::*;
pub(super) use personal::*;
pub(super) use rollout::*;
pub(super) use sessions::*;

/// Every route, with what is around them.
pub fn router(state: AppState) -> Router {
    Router::new()
        .merge(login::router())
        .merge(notifications::router())
        .merge(sessions::router())
        .merge(account::router())
        .merge(events::router())
        .merge(appeals::router())
        .merge(guests::router())
        .merge(events_out::router())
        .merge(operation::router())
        .merge(personal::router())
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

/// What the admin listener answers, and nothing of it is answered elsewhere: each area's admin routes are merged here.
pub fn admin_router(state: AppState) -> Router {
    Router::new()
        .merge(admin::router())
        .merge(rollout::router())
        .merge(events::admin_router())
        .merge(appeals::admin_router())
        .fallback(|| async { Problem::new(Code::NotFound).into_response() })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed).into_response()
        })
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            edge::around_admin,
        ))
        .with_state(state)
}

/// A POST without a token: admission, then the work in its own task, then the reply.
async fn admitted_post<F, W>(
    state: AppState,
    request: Request,
    path: impl Into<std::borrow::Cow<'static, str>>,
    work: W,
) -> Response
where
    W: FnOnce(Call, Bytes) -> F,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let arrived = Arrived::of(&state, request);
    let admitted = admission::keyed(
        &state,
        &arrived.parts,
        arrived.body,
        path.into(),
        arrived.address,
        arrived.request_id,
    )
    .await;
    finish(match admitted {
        Ok(admitted) => work::answer(state, admitted, work).await,
        Err(problem) => Err(problem),
    })
}

/// As [`admitted_post`], for work that asks nobody outside: one transaction for all of it.
async fn admitted_at_once<W>(
    state: AppState,
    request: Request,
    path: &'static str,
    work: W,
) -> Response
where
    W: for<'t> Fn(&'t mut Tx, &'t Call, &'t [u8]) -> BoxFuture<'t, Result<Reply, Problem>>
        + Send
        + Sync
        + 'static,
{
    let arrived = Arrived::of(&state, request);
    finish(
        admission::keyed_at_once(
            &state,
            &arrived.parts,
            arrived.body,
            path,
            arrived.address,
            arrived.request_id,
            work,
        )
        .await,
    )
}

/// A call that changes something of the holder's account: proof, access token and Idempotency-Key. Whether the session is still alive is the work's to ask, in
/// its own transaction ([`crate::sessions::Sessions::live`]). `path` is the route's as the client called it, without the public URL's prefix.
async fn authorized_change<F, W>(
    state: AppState,
    request: Request,
    path: impl Into<std::borrow::Cow<'static, str>>,
    work: W,
) -> Response
where
    W: FnOnce(Call, Holder, Bytes) -> F,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let arrived = Arrived::of(&state, request);
    let admitted = admission::keyed_holder(
        &state,
        &arrived.parts,
        arrived.body,
        path.into(),
        arrived.address,
        arrived.request_id,
    )
    .await;
    finish(match admitted {
        Ok((admitted, holder)) => {
            work::answer(state, admitted, |call, body| work(call, holder, body)).await
        }
        Err(problem) => Err(problem),
    })
}

/// A request with an access token that changes nothing, or may be repeated by itself.
async fn authorized(state: &AppState, request: Request) -> Result<Holder, Problem> {
    let (parts, body) = request.into_parts();
    admission::holder(state, &parts, body).await
}

/// A request taken apart.
struct Arrived {
    address: std::net::IpAddr,
    request_id: String,
    parts: Parts,
    body: axum::body::Body,
}

impl Arrived {
    fn of(state: &AppState, request: Request) -> Self {
        let address = address_of(state, &request);
        let request_id = request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        let (parts, body) = request.into_parts();
        Self {
            address,
            request_id,
            parts,
            body,
        }
    }
}

fn finish(answered: Result<Done, Problem>) -> Response {
    match answered {
        Ok(Done { reply, replayed }) => {
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
