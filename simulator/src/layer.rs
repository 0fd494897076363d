//! What every party's requests pass through: counting, then the faults.

use std::sync::Arc;

use axum::{
    Json,
    body::Body as AnswerBody,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::{
    alipay::Injected,
    connection::Connection,
    faults::{Fault, Party},
    oidc::OidcError,
    qq::QqError,
    tencent::error_reply,
    wechat::{WeChatError, errcode_reply},
    weibo::WeiboError,
    world::World,
};

const RUBBISH: &str = "<!doctype html><html><head><title>Welcome to Airport WiFi</title></head><body><h1>Please accept our terms</h1></body></html>";

/// Counts the request and lets the faults have it (for `axum::middleware::from_fn_with_state`).
pub(crate) async fn observe(
    State((world, party)): State<(Arc<World>, Party)>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    // The route and not the path: paths hold phone numbers and references.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let method = request.method().clone();
    let number = world.requests.arrived(party, &method, &path);
    let connection = request
        .extensions()
        .get::<ConnectInfo<Connection>>()
        .map(|info| info.0.clone());

    let plan = world.faults.take(party, &path);
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let fault = plan.fault.as_ref().map_or("none", Fault::name);
    let response = match plan.fault {
        None | Some(Fault::Delay { .. } | Fault::ExpireCodes {}) => next.run(request).await,
        Some(Fault::Status { status, body }) => status_reply(status, body),
        Some(Fault::Rubbish {}) => Html(RUBBISH).into_response(),
        // Alipay's answer is signed and named after its method: only the party itself can make it.
        Some(Fault::Errcode { errcode, errmsg }) if party == Party::Alipay => {
            request.extensions_mut().insert(Injected {
                code: errcode,
                sub_code: errmsg,
            });
            next.run(request).await
        }
        Some(Fault::WrongSignature {}) => {
            let mut response = next.run(request).await;
            *response.body_mut() = wrongly_signed(std::mem::take(response.body_mut())).await;
            response.headers_mut().remove(CONTENT_LENGTH);
            response
        }
        Some(Fault::Errcode { errcode, errmsg }) => {
            provider_failure(&world, party, &path, errcode, errmsg)
        }
        Some(Fault::Redirect {}) => {
            (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/followed")]).into_response()
        }
        Some(Fault::Oversized { bytes }) => {
            let mut text = " ".repeat(bytes);
            text.push('1');
            ([(CONTENT_TYPE, "application/json")], text).into_response()
        }
        Some(Fault::IdToken { wrong }) => {
            request.extensions_mut().insert(wrong);
            next.run(request).await
        }
        Some(Fault::DropRequest {}) => return sever(connection.as_ref(), party, "drop_request"),
        Some(Fault::DropReply {}) => {
            // Read to the end, so that whoever answers has really finished.
            let mut body = next.run(request).await.into_body().into_data_stream();
            while let Some(Ok(_)) = body.next().await {}
            return sever(connection.as_ref(), party, "drop_reply");
        }
    };
    let status = response.status().as_u16();
    world.requests.answered(number, status);
    tracing::debug!(party = party.name(), %method, route, status, fault, "answered");
    response
}

/// The answer with another member in it than the signature is for.
async fn wrongly_signed(body: AnswerBody) -> AnswerBody {
    let mut text = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&text);
    AnswerBody::from(text.replacen("_response\":{", "_response\":{\"x\":1,", 1))
}

/// The provider's own way to fail.
fn provider_failure(
    world: &World,
    party: Party,
    path: &str,
    errcode: i64,
    errmsg: Option<String>,
) -> Response {
    match party {
        Party::Oidc => OidcError::injected(errmsg).into_response(),
        Party::Sms | Party::Face => {
            error_reply(world, errmsg.as_deref().unwrap_or("InternalError"))
        }
        Party::Weibo => WeiboError::injected(errcode, errmsg).into_response(),
        Party::Qq => QqError::injected(errcode, errmsg).reply(path),
        _ => errcode_reply(&WeChatError::injected(errcode, errmsg)),
    }
}

fn status_reply(status: u16, body: Option<Value>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        None => status.into_response(),
        Some(Value::String(text)) => {
            (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        }
        Some(json) => (status, Json(json)).into_response(),
    }
}

/// The response given back is never written: the connection refuses.
fn sever(connection: Option<&Connection>, party: Party, fault: &str) -> Response {
    if let Some(connection) = connection {
        connection.sever();
    }
    tracing::debug!(
        party = party.name(),
        fault,
        "connection closed without an answer"
    );
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
