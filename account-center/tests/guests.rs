//! Guests and providers' notifications over real HTTP: what a guest's session may do (L10), and what the notifications' address answers.
#![allow(clippy::unwrap_used)]

mod common;

use common::{APP, Device, Request, Server, random128};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

const GUESTS: &str = "/v1/guests";

async fn enter(server: &Server, device: &Device) -> Value {
    let body = json!({"app_id": APP, "consent": {"version": "1"}}).to_string();
    let request = server.post(device, GUESTS, body.as_bytes()).await;
    let reply = server.send(request).await;
    assert_eq!(reply.status, 200);
    reply.json()
}

#[tokio::test]
async fn l10_a_guests_session_sees_a_reduced_account_and_does_nothing_with_it() {
    let server = Server::start().await;
    let device = Device::new();
    let seen = enter(&server, &device).await;
    let token = seen["session"]["access_token"].as_str().unwrap();
    let call = async |method, path: &str| {
        let request = server.with_token(&device, method, path, token).await;
        server.send(request).await
    };
    let account = call("GET", "/v1/account").await;
    assert_eq!(
        account.json(),
        json!({"account": {"user_id": seen["account"]["user_id"], "identification": "guest", "bindings": []}})
    );
    for path in ["/v1/sessions", "/v1/account/bindings"] {
        let refused = call("GET", path).await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (403, "forbidden"),
            "{path}"
        );
    }
    let unbind = server
        .with_token(&device, "DELETE", "/v1/account/bindings/wechat", token)
        .await
        .with("Idempotency-Key", &random128());
    let refused = server.send(unbind).await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (403, "forbidden")
    );
    // It goes on by its refresh token, and ends when the holder says so.
    let body =
        json!({"app_id": APP, "refresh_token": seen["session"]["refresh_token"]}).to_string();
    let refresh = server.post(&device, common::REFRESH, body.as_bytes()).await;
    assert_eq!(server.send(refresh).await.status, 200);
    assert_eq!(call("DELETE", "/v1/sessions/current").await.status, 204);
    assert_eq!(call("GET", "/v1/account").await.problem(), "session_ended");
}

#[tokio::test]
async fn w6_a_guest_needs_a_proof_an_idempotency_key_and_a_body_of_the_described_form() {
    let server = Server::start().await;
    let device = Device::new();
    let body = json!({"app_id": APP, "consent": {"version": "1"}}).to_string();
    let good = || server.post(&device, GUESTS, body.as_bytes());
    let code = async |request: Request| server.send(request).await.problem();
    assert_eq!(
        code(good().await.without("DPoP")).await,
        "invalid_dpop_proof"
    );
    assert_eq!(
        code(good().await.without("Idempotency-Key")).await,
        "idempotency_key_required"
    );
    for (body, pointer) in [
        (json!({"consent": {"version": "1"}}), "/app_id"),
        (json!({"app_id": APP, "consent": {}}), "/consent/version"),
        (
            json!({"app_id": APP, "consent": {"version": ""}}),
            "/consent/version",
        ),
        (
            json!({"app_id": APP, "consent": {"version": "1", "user_id": "u"}}),
            "/consent/user_id",
        ),
        (
            json!({"app_id": APP, "consent": {"version": "1"}, "user_id": "u"}),
            "/user_id",
        ),
        (
            json!({"app_id": APP, "consent": {"version": "1"}, "device_key": "k"}),
            "/device_key",
        ),
    ] {
        let request = server
            .post(&device, GUESTS, body.to_string().as_bytes())
            .await;
        let reply = server.send(request).await;
        assert_eq!(reply.problem(), "invalid_request");
        assert_eq!(reply.json()["pointer"], pointer);
    }
    // A session that somebody opened on this device: real beats virtual.
    server.session(&device).await;
    assert_eq!(code(good().await).await, "conflict");
    // The same call again has the same reply.
    let other = Device::new();
    let request = server.post(&other, GUESTS, body.as_bytes()).await;
    let again = server.again(&other, &request).await;
    let first = server.send(request).await;
    let second = server.send(again).await;
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotency-replayed"), "true");
}

fn signature(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    sum.as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[tokio::test]
async fn the_address_of_notifications_answers_wechats_question_and_nobody_elses() {
    let server = Server::start().await;
    let path = |signature: &str, echo: &str| {
        format!(
            "/v1/provider-notifications/wechat?signature={signature}&timestamp=1800000000&nonce=n&echostr={echo}"
        )
    };
    let good = signature(&["simulator-push-token", "1800000000", "n"]);
    let reply = server.get(&path(&good, "2468")).await;
    assert_eq!((reply.status, &reply.body[..]), (200, &b"2468"[..]));
    assert!(reply.header("content-type").starts_with("text/plain"));
    let refused = server.get(&path("0000", "2468")).await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (401, "signature_invalid")
    );
    let unknown = server
        .get("/v1/provider-notifications/weibo?echostr=1")
        .await;
    assert_eq!(
        (unknown.status, unknown.problem().as_str()),
        (404, "not_found")
    );
    let post = |provider: &str, query: &str, body: Vec<u8>| Request {
        method: "POST",
        path: format!("/v1/provider-notifications/{provider}?{query}"),
        headers: Vec::new(),
        body,
    };
    let entity = b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><Encrypt>&e;</Encrypt></xml>";
    for (request, status, code) in [
        (
            post("wechat", "", b"<xml/>".to_vec()),
            400,
            "invalid_request",
        ),
        (
            post(
                "wechat",
                "timestamp=1800000000&nonce=n&msg_signature=x",
                entity.to_vec(),
            ),
            400,
            "invalid_request",
        ),
        (
            post(
                "wechat",
                "timestamp=1800000000&nonce=n&msg_signature=x",
                b"<xml><Encrypt>AAAA</Encrypt></xml>".to_vec(),
            ),
            401,
            "signature_invalid",
        ),
        (
            post(
                "wechat",
                "timestamp=1&nonce=n&msg_signature=x",
                b"<xml><Encrypt>AAAA</Encrypt></xml>".to_vec(),
            ),
            401,
            "signature_invalid",
        ),
        (
            post("wechat", "", vec![b'x'; 70_000]),
            413,
            "body_too_large",
        ),
        (
            post(
                "alipay",
                "",
                b"app_id=2021000000000001&sign_type=RSA2&sign=AAAA".to_vec(),
            ),
            401,
            "signature_invalid",
        ),
        (post("qq", "", b"{}".to_vec()), 404, "not_found"),
    ] {
        let reply = server.send(request).await;
        assert_eq!((reply.status, reply.problem().as_str()), (status, code));
    }
}
