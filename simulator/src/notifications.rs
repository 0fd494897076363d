//! Control's `POST /notifications`: a provider tells the account center something by itself.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    alipay,
    answer::{Body, Failure},
    gateway,
    wechat::push,
    world::World,
};

/// What is told, and of whom.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) struct Told {
    provider: Provider,
    appid: String,
    person: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    revoke_info: String,
    #[serde(default)]
    json: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Provider {
    Wechat,
    Alipay,
}

/// Sends it to the gateway's target, and gives what came back.
pub(crate) async fn tell(
    State(world): State<Arc<World>>,
    Body(told): Body<Told>,
) -> Result<Json<Value>, Failure> {
    let target = world
        .target()
        .ok_or_else(|| Failure::bad_request("no target: PUT /target first"))?;
    let unknown = || Failure::not_found("app");
    let (path, content_type, body) = match told.provider {
        Provider::Wechat => {
            let event = push::Event {
                appid: &told.appid,
                person: &told.person,
                event: &told.event,
                revoke_info: &told.revoke_info,
                as_json: told.json,
            };
            let (query, body) = push::push(&world, &event).ok_or_else(unknown)?;
            let content_type = if told.json {
                "application/json"
            } else {
                "text/xml"
            };
            (format!("wechat?{query}"), content_type, body)
        }
        Provider::Alipay => (
            "alipay".to_owned(),
            "application/x-www-form-urlencoded",
            alipay::cancelled(&world, &told.appid, &told.person).ok_or_else(unknown)?,
        ),
    };
    let failed = |_| Failure::new(StatusCode::BAD_GATEWAY, "the account center gave no answer");
    let reply = gateway::client()
        .map_err(failed)?
        .post(format!("{target}/v1/provider-notifications/{path}"))
        .header("content-type", content_type)
        .body(body)
        .send()
        .await
        .map_err(failed)?;
    let status = reply.status().as_u16();
    let body = reply.text().await.map_err(failed)?;
    Ok(Json(json!({ "status": status, "body": body })))
}
