//! `login-options`, `/v1/login`, `/v1/provider-requests`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::super::address::region_of;
use super::super::fields::Fields;
use super::super::{AppState, openapi, options};
use super::admitted_post;
use crate::login::prepare::{ProviderRequest, ProviderRequestReply};
use crate::login::wire::{LoginReply, LoginRequest};
use crate::problem::{Code, Problem};
use crate::rollout::{self, ClientFacts, Visitor};
use crate::store::StoreError;

const LOGIN: &str = "/v1/login";
const PROVIDER_REQUESTS: &str = "/v1/provider-requests";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/apps/{app_id}/login-options", get(login_options))
        .route(LOGIN, post(login))
        .route(PROVIDER_REQUESTS, post(provider_requests))
}

/// Which buttons an app shows, the issuer's name and the signed key list. Needs no proof, and gives the first nonce.
#[utoipa::path(get, path = "/v1/apps/{app_id}/login-options", tag = "login", operation_id = "getLoginOptions",
    params(
        ("app_id" = String, Path, description = "One of the bank's apps."),
        ("region" = Option<String>, Query, description = "Where the person is, for staged release (L12)."),
        ("app_version" = Option<String>, Query, description = "The app's version, for staged release (L12)."),
        ("device_key" = Option<String>, Query, description = "The device key's thumbprint, for staged release (L12)."),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the reply that is kept."),
    ),
    responses(
        (status = 200, body = options::LoginOptions, description = "The options.", headers(("ETag" = String), ("DPoP-Nonce" = String))),
        (status = 304, description = "Not changed."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`app_unknown`"),
    ))]
pub(in crate::http) async fn login_options(
    State(state): State<AppState>,
    app_id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // An id that is not UTF-8 is nobody's either.
    let page = match app_id {
        Ok(Path(app_id)) => {
            let visitor = visitor_of(&state, app_id, query.as_deref(), &headers);
            shown_to(&state, visitor).await
        }
        Err(_) => Ok(None),
    };
    let page = match page {
        Ok(Some(page)) => page,
        Ok(None) => return Problem::new(Code::AppUnknown).into_response(),
        Err(problem) => return problem.into_response(),
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
    if let Some(name) = &state.region_header {
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from(name.clone()));
    }
    if let Ok(etag) = HeaderValue::try_from(page.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Who asks, as far as a request without a proof can say. What is not of the form is passed over: all of it is a hint.
fn visitor_of(
    state: &AppState,
    app_id: String,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Visitor {
    let mut visitor = Visitor {
        app_id,
        region: region_of(state, headers),
        ..Visitor::default()
    };
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let value = Some(value.into_owned()).filter(|value| (1..=43).contains(&value.len()));
        match &*name {
            "region" => visitor.client.region = value,
            "app_version" => visitor.client.app_version = value,
            "device_key" => visitor.device_key = value,
            _ => {}
        }
    }
    visitor
}

/// The page for a visitor (L12). It only shows: where the database does not answer it shows everything, and the login's start decides.
async fn shown_to(state: &AppState, visitor: Visitor) -> Result<Option<options::Page>, Problem> {
    let Some(providers) = state.catalogue.providers(&visitor.app_id) else {
        return Ok(None);
    };
    let providers: Vec<String> = providers.into_iter().map(str::to_owned).collect();
    let asked = Arc::new((visitor, providers, Arc::clone(&state.keys)));
    let shared = Arc::clone(&asked);
    let offered: Result<Vec<String>, StoreError> = state
        .store
        .read(move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (visitor, providers, keys) = &*shared;
                rollout::offered(tx, keys, visitor, providers).await
            })
        })
        .await;
    match offered {
        Ok(offered) => state.catalogue.narrowed(&asked.0.app_id, &offered),
        Err(error) => {
            tracing::warn!(%error, "the rollout could not be read; every button is shown");
            Ok(state.catalogue.page(&asked.0.app_id))
        }
    }
}

/// Begins a login with a provider's credential, or answers its present step (L2 to L7, W7).
#[utoipa::path(post, path = "/v1/login", tag = "login", operation_id = "login", request_body = openapi::LoginRequestBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = LoginReply, description = "The next step, or the session."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the login is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn login(State(state): State<AppState>, request: Request) -> Response {
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
pub(in crate::http) async fn provider_requests(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let engine = state.login.clone();
    admitted_post(
        state,
        request,
        PROVIDER_REQUESTS,
        move |call, body| async move {
            let mut members = Fields::of(&body)?;
            let asked = ProviderRequest {
                app_id: members.text("app_id", 64)?,
                provider: members.text("provider", 32)?,
                client: match members.optional_object("client")? {
                    Some(client) => ClientFacts::read(client)?,
                    None => ClientFacts::default(),
                },
            };
            members.end()?;
            engine.prepare(&call, asked).await
        },
    )
    .await
}
