//! The session against a scripted account center.
#![allow(clippy::unwrap_used)]

mod ending;
mod kept;
mod renewal;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use url::Url;

use super::{NeedsLoginReason, Session, SessionFailure, SessionGrant, SessionStatus};
use crate::api::CallFailure;
use crate::postern::Postern;
use crate::secret::SecretBytes;
use crate::testing::{
    BASE, FakeClock, START, Turn, World, account_json, done_json, json_reply, problem, reply,
    session_json,
};
use crate::transport::TransportError;
use crate::vault::{Vault as _, VaultError};

/// The grant at the end of a login, read from its reply.
fn grant(mark: &str) -> SessionGrant {
    match crate::api::read_login_reply(done_json(mark).to_string().as_bytes()) {
        Some(crate::api::LoginReply::Done(grant)) => *grant,
        other => panic!("not the end of a login: {other:?}"),
    }
}

async fn signed_in(world: &World) -> Postern {
    let postern = world.postern();
    postern.session().establish(grant("1")).await.unwrap();
    postern
}

fn api(path: &str) -> Url {
    Url::parse(&format!("{BASE}{path}")).unwrap()
}

fn refreshed(mark: &str) -> crate::transport::HttpReply {
    json_reply(200, &json!({"session": session_json(mark)}))
}

async fn token(session: &Session) -> String {
    let headers = session.authorize("GET", &api("/v1/account")).await.unwrap();
    headers.authorization().expose().to_owned()
}

async fn is_signed_in(session: &Session) -> bool {
    matches!(session.status().await, SessionStatus::SignedIn(_))
}
