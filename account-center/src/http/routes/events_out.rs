//! `/v1/outbox/events`: business lines ask for what happened (contract/webhooks.md).

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;

use super::super::reply::Reply;
use super::super::{AppState, openapi};
use super::respond;
use crate::outbox::{MOST, ReplayRequest, Replayed, USUAL};
use crate::problem::{Code, Problem};

const EVENTS: &str = "/v1/outbox/events";

pub(super) fn router() -> Router<AppState> {
    Router::new().route(EVENTS, get(outbox_events))
}

/// Events for the business line that signed this request, in their one order.
#[utoipa::path(get, path = "/v1/outbox/events", tag = "business lines", operation_id = "getOutboxEvents",
    params(
        ("after" = Option<String>, Query, description = "The `cursor` of the answer before; without it, from the beginning of what is kept."),
        ("limit" = Option<u32>, Query, description = "At most so many events: 1 to 500, 100 where it is left out."),
        ("Postern-Line" = String, Header, description = "The line's name."),
        ("Webhook-Id" = String, Header, description = "New for each request; without a dot."),
        ("Webhook-Timestamp" = String, Header, description = "Whole seconds since 1970 UTC, at most five minutes from now."),
        ("Webhook-Signature" = String, Header, description = "By Standard Webhooks; what is signed as the body is `GET /v1/outbox/events?…`."),
    ),
    responses(
        (status = 200, body = Replayed, description = "The events after the cursor."),
        (status = 400, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`cursor_invalid`, `invalid_request`."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`signature_invalid`."),
    ))]
pub(in crate::http) async fn outbox_events(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    respond(events(&state, &uri, &headers).await)
}

async fn events(state: &AppState, uri: &Uri, headers: &HeaderMap) -> Result<Reply, Problem> {
    let query = uri.query();
    let target = query.map_or_else(
        || format!("GET {EVENTS}"),
        |query| format!("GET {EVENTS}?{query}"),
    );
    let signed = ReplayRequest {
        line: only(headers, "postern-line")?,
        id: only(headers, "webhook-id")?,
        timestamp: only(headers, "webhook-timestamp")?,
        signature: only(headers, "webhook-signature")?,
        target: &target,
    };
    let line = state.outbox.authenticate(&signed).await?;
    let (after, limit) = parameters(query.unwrap_or_default())?;
    Reply::json(&state.outbox.replay(&line, after.as_deref(), limit).await?)
}

/// A header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Problem> {
    let mut values = headers.get_all(name).iter();
    values
        .next()
        .filter(|_| values.next().is_none())
        .and_then(|value| value.to_str().ok())
        .filter(|value| value.len() <= 2048)
        .ok_or_else(|| {
            Problem::new(Code::SignatureInvalid).detail(format!("{name}: exactly one is needed"))
        })
}

fn parameters(query: &str) -> Result<(Option<String>, usize), Problem> {
    let (mut after, mut limit) = (None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "after" => &mut after,
            "limit" => &mut limit,
            _ => {
                return Err(Problem::new(Code::InvalidRequest)
                    .detail("the query has after and limit, and nothing else"));
            }
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(Problem::new(Code::InvalidRequest).detail(format!("{name} is there twice")));
        }
    }
    let limit = match limit {
        None => USUAL,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| {
                Problem::new(Code::InvalidRequest).detail("limit is a number from 1 to 500")
            })?,
    };
    Ok((after, limit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_query_is_read_strictly() {
        assert_eq!(parameters("").unwrap(), (None, 100));
        assert_eq!(
            parameters("limit=500&after=abc").unwrap(),
            (Some("abc".to_owned()), 500)
        );
        for wrong in [
            "limit=0",
            "limit=501",
            "limit=x",
            "limit=1&limit=2",
            "line=points",
        ] {
            assert_eq!(
                parameters(wrong).unwrap_err().code,
                Code::InvalidRequest,
                "{wrong}"
            );
        }
    }
}
