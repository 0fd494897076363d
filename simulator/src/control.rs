//! The control endpoint: people, faults, the gateway's target, the clock, what was requested.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, de::value::StrDeserializer};
use serde_json::{Value, json};
use url::Url;

use crate::{
    answer::{Body, Failure, Shared, is_loopback, unknown_path},
    faults::{Fault, Party, Rule},
    oidc::{Algorithm, SigningKey},
    people::Kind,
    world::World,
};

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/target", put(set_target))
        .route("/people", post(make_person).get(people))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/clock", post(move_clock))
        .route("/oidc-key", post(change_key))
        .route("/notifications", post(crate::notifications::tell))
        .fallback(unknown_path)
        .with_state(world)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    account_center: String,
}

async fn set_target(State(world): Shared, Body(body): Body<Target>) -> Result<StatusCode, Failure> {
    let url = Url::parse(&body.account_center)
        .ok()
        .filter(|url| {
            url.scheme() == "http"
                && is_loopback(url)
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
        })
        .ok_or_else(|| {
            Failure::bad_request("account_center: not a plain http:// URL of this machine")
        })?;
    world.set_target(url.as_str().trim_end_matches('/').to_owned());
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    kind: Kind,
    #[serde(default = "yes")]
    wechat: bool,
    #[serde(default = "yes")]
    union_id: bool,
}

fn yes() -> bool {
    true
}

async fn make_person(State(world): Shared, Body(body): Body<NewPerson>) -> Response {
    (
        StatusCode::CREATED,
        Json(world.make_person(body.kind, body.wechat, body.union_id)),
    )
        .into_response()
}

async fn people(State(world): Shared) -> Json<Value> {
    Json(json!({ "people": world.people().list() }))
}

async fn add_fault(State(world): Shared, Body(rule): Body<Rule>) -> Result<StatusCode, Failure> {
    if let Some(complaint) = rule.complaint() {
        return Err(Failure::bad_request(complaint));
    }
    if matches!(rule.fault, Fault::ExpireCodes {}) {
        match rule.party {
            Party::Weibo => world.weibo().expire_codes(),
            Party::Qq => world.qq().expire_codes(),
            Party::Alipay => world.alipay().expire_codes(),
            Party::Oidc => world.oidc().expire_codes(),
            _ => world.wechat().expire_codes(),
        }
    } else {
        world.faults.add(rule);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(world): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Failure> {
    let mut party = None;
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "party" {
            return Err(Failure::bad_request("the only parameter is party"));
        }
        let known = Party::deserialize(StrDeserializer::<serde::de::value::Error>::new(&value));
        party = Some(known.map_err(|_| {
            Failure::bad_request(
                "party: wechat, weibo, qq, alipay, oidc, sms, core, face, notices or gateway",
            )
        })?);
    }
    Ok(Json(json!({ "requests": world.requests.list(party) })))
}

async fn clear_requests(State(world): Shared) -> StatusCode {
    world.requests.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveClock {
    advance_seconds: u32,
}

async fn move_clock(State(world): Shared, Body(body): Body<MoveClock>) -> Json<Value> {
    world.move_clock(body.advance_seconds);
    Json(json!({ "now": world.now() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    alg: Algorithm,
}

/// The issuer signs with another key from now on, and publishes that one alone.
async fn change_key(State(world): Shared, Body(body): Body<NewKey>) -> Json<Value> {
    let key = SigningKey::make(&world, body.alg);
    let kid = key.kid().to_owned();
    world.oidc().key = Some(key);
    Json(json!({ "kid": kid }))
}
