//! Contract sections 5, 6 and 8, over HTTP.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;

use common::{APP, Device, REFRESH, Request, Server};
use postern_server_security::base64url;
use postern_server_security::key_list::KeyList;
use postern_server_security::keys::VerifyingKey;
use serde_json::{Value, json};

#[tokio::test]
async fn twenty_concurrent_refreshes_with_one_token_give_one_successor() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let mut requests = Vec::new();
    for _ in 0..20 {
        requests.push(
            server
                .post(&device, REFRESH, &Server::refresh_body(&grant))
                .await,
        );
    }
    let replies =
        futures_util::future::join_all(requests.into_iter().map(|request| server.send(request)))
            .await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let successors: HashSet<String> = replies
        .iter()
        .map(|reply| {
            reply.json()["session"]["refresh_token"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(successors.len(), 1);
}

#[tokio::test]
async fn a_reused_refresh_token_ends_the_session_for_its_access_token_too() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let first = Server::refresh_body(&grant);
    let second = server
        .send(server.post(&device, REFRESH, &first).await)
        .await
        .json();
    let body = |reply: &Value| {
        json!({"app_id": APP, "refresh_token": reply["session"]["refresh_token"]})
            .to_string()
            .into_bytes()
    };
    let third = server
        .send(server.post(&device, REFRESH, &body(&second)).await)
        .await
        .json();
    let reply = server
        .send(server.post(&device, REFRESH, &first).await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (401, "refresh_token_reused")
    );
    let reply = server
        .send(server.post(&device, REFRESH, &body(&third)).await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (401, "refresh_token_invalid")
    );
    let token = third["session"]["access_token"].as_str().unwrap();
    let reply = server
        .send(
            server
                .with_token(&device, "GET", "/v1/sessions", token)
                .await,
        )
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (401, "session_ended")
    );
}

#[tokio::test]
async fn a_session_is_listed_and_ended_and_its_end_may_be_repeated() {
    let (server, device) = (Server::start().await, Device::new());
    let other = server.session(&Device::new()).await;
    server.pass(1);
    let grant = server.session(&device).await;
    let token = grant.access_token.expose();
    let list = server
        .send(
            server
                .with_token(&device, "GET", "/v1/sessions", token)
                .await,
        )
        .await
        .json();
    assert_eq!(
        list,
        json!({"sessions": [
            {"session_id": grant.session_id, "created_at": 1_800_000_001, "last_used_at": 1_800_000_001, "began_with": "wechat", "current": true},
            {"session_id": other.session_id, "created_at": 1_800_000_000, "last_used_at": 1_800_000_000, "began_with": "wechat", "current": false},
        ]})
    );
    for _ in 0..2 {
        let reply = server
            .send(
                server
                    .with_token(&device, "DELETE", "/v1/sessions/current", token)
                    .await,
            )
            .await;
        assert_eq!((reply.status, reply.body.len()), (204, 0));
    }
    let reply = server
        .send(
            server
                .with_token(&device, "GET", "/v1/sessions", token)
                .await,
        )
        .await;
    assert_eq!(reply.problem(), "session_ended");
    let reply = server
        .send(
            server
                .post(&device, REFRESH, &Server::refresh_body(&grant))
                .await,
        )
        .await;
    assert_eq!(reply.problem(), "refresh_token_invalid");
}

#[tokio::test]
async fn login_options_are_cached_by_their_tag_and_give_the_first_nonce() {
    let server = Server::start().await;
    let path = format!("/v1/apps/{APP}/login-options");
    let reply = server.get(&path).await;
    assert_eq!(
        (
            reply.status,
            reply.header("cache-control"),
            reply.header("dpop-nonce").len()
        ),
        (200, "private, max-age=60", 22)
    );
    let body = reply.json();
    assert_eq!(
        (body["app_id"].as_str(), body["issuer"].as_str()),
        (Some(APP), Some(server.base.as_str()))
    );
    assert_eq!(
        body["providers"][0]["provider_app_id"],
        "wx5b1e0c6a7d000001"
    );
    let etag = reply.header("etag").to_owned();
    let ask = |tag: &str| Request {
        method: "GET",
        path: path.clone(),
        headers: vec![("If-None-Match".to_owned(), tag.to_owned())],
        body: Vec::new(),
    };
    let same = server.send(ask(&etag)).await;
    assert_eq!(
        (
            same.status,
            same.body.len(),
            same.header("etag"),
            same.header("dpop-nonce").len()
        ),
        (304, 0, etag.as_str(), 22)
    );
    assert_eq!(server.send(ask("\"other\"")).await.status, 200);
}

#[tokio::test]
async fn the_key_list_is_signed_by_the_root_and_good_for_this_issuer() {
    let server = Server::start().await;
    let body = server
        .get(&format!("/v1/apps/{APP}/login-options"))
        .await
        .json();
    let root_file =
        std::fs::read_to_string(server.database.folder.path().join("data/root-key")).unwrap();
    let pkcs8 = base64url::decode(root_file.split_whitespace().last().unwrap()).unwrap();
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(
        &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &pkcs8,
        &ring::rand::SystemRandom::new(),
    )
    .unwrap();
    let root =
        VerifyingKey::from_sec1(ring::signature::KeyPair::public_key(&pair).as_ref()).unwrap();
    let list = KeyList::verify(
        body["key_list"].as_str().unwrap(),
        &root,
        &server.base,
        0,
        1_800_000_000,
    )
    .unwrap();
    assert_eq!(
        (list.sealing_keys.len(), list.sealing_keys[0].suite.as_str()),
        (1, "x25519-sha256-aes128gcm")
    );
}

#[tokio::test]
async fn the_published_key_verifies_access_tokens() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let reply = server.get("/.well-known/jwks.json").await;
    assert_eq!(
        (reply.header("cache-control"), reply.header("dpop-nonce")),
        ("public, max-age=300", "")
    );
    let jwks = reply.json();
    let parts: Vec<&str> = grant.access_token.expose().split('.').collect();
    let header: Value = serde_json::from_slice(&base64url::decode(parts[0]).unwrap()).unwrap();
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .unwrap();
    let coordinate = |name: &str| base64url::decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(
            format!("{}.{}", parts[0], parts[1]).as_bytes(),
            &base64url::decode(parts[2]).unwrap(),
        )
        .unwrap();
    assert_eq!(
        (header["typ"].as_str(), header["alg"].as_str()),
        (Some("at+jwt"), Some("ES256"))
    );
}

#[tokio::test]
async fn health_readiness_and_the_document_answer_anybody() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(
        server.get("/readyz").await.json(),
        json!({"status": "ready"})
    );
    let document = server.get("/openapi.json").await;
    assert_eq!(document.header("dpop-nonce"), "");
    assert_eq!(document.json()["openapi"], "3.1.0");
    server.state.store.close().await;
    let reply = server.get("/readyz").await;
    assert_eq!((reply.status, reply.problem().as_str()), (503, "busy"));
    assert_eq!(server.get("/healthz").await.status, 200);
}
