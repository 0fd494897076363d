//! `/v1/provider-notifications/{provider}`: called by providers, so with their signatures instead of proofs and keys.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::super::{AppState, admission, openapi};
use crate::problem::{Code, Problem};

pub(super) fn router() -> Router<AppState> {
    Router::new().route(
        "/v1/provider-notifications/{provider}",
        get(confirm_address).post(take_notification),
    )
}

/// The provider asks whether this address is the bank's (WeChat's `echostr`).
#[utoipa::path(get, path = "/v1/provider-notifications/{provider}", tag = "notifications", operation_id = "confirmNotificationAddress",
    params(("provider" = String, Path, description = "`wechat`")),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The text that was asked for."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`signature_invalid`, `invalid_request`, `not_found`"),
    ))]
pub(in crate::http) async fn confirm_address(
    State(state): State<AppState>,
    provider: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let answered = name(provider).and_then(|provider| {
        state
            .notifications
            .echo(&provider, &query.unwrap_or_default())
    });
    match answered {
        Ok(echo) => text(echo),
        Err(problem) => problem.into_response(),
    }
}

/// Takes what a provider tells by itself: marks the binding whose authorization was withdrawn. Repetitions change nothing.
#[utoipa::path(post, path = "/v1/provider-notifications/{provider}", tag = "notifications", operation_id = "takeNotification",
    params(("provider" = String, Path, description = "`wechat` or `alipay`")),
    request_body(content = String, description = "As the provider sends it: XML or JSON, a form."),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`success`"),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`signature_invalid`, `invalid_request`, `not_found`"),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "The provider repeats it."),
    ))]
pub(in crate::http) async fn take_notification(
    State(state): State<AppState>,
    provider: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let taken = async {
        let provider = name(provider)?;
        let (parts, body) = request.into_parts();
        let body = admission::read(&parts.headers, body).await?;
        state
            .notifications
            .take(&provider, &query.unwrap_or_default(), &body)
            .await
    };
    match taken.await {
        Ok(()) => text("success".to_owned()),
        Err(problem) => problem.into_response(),
    }
}

fn name(provider: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    provider
        .map(|Path(provider)| provider)
        .map_err(|_| Problem::new(Code::NotFound))
}

fn text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
