//! contract/account.md over HTTP: who may call, and what is refused before anything is looked at.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Device, Request, Server, random128};
use serde_json::json;

/// A call that changes something: proof with the token's hash, and an Idempotency-Key.
async fn change(
    server: &Server,
    device: &Device,
    (method, path): (&'static str, &str),
    token: &str,
    body: &[u8],
) -> Request {
    let mut proof = server.good_proof(method, path, body).await;
    proof.token = Some(token);
    let request = Request {
        method,
        path: path.to_owned(),
        headers: Vec::new(),
        body: body.to_vec(),
    }
    .with("DPoP", &device.proof(&proof))
    .with("Authorization", &format!("DPoP {token}"))
    .with("Idempotency-Key", &random128());
    if body.is_empty() {
        request
    } else {
        request.with("Content-Type", "application/json")
    }
}

const CHANGES: [(&str, &str, &str); 5] = [
    ("DELETE", "/v1/account/bindings/wechat", ""),
    (
        "POST",
        "/v1/account/bindings",
        r#"{"provider":{"provider":"wechat","code":"c"}}"#,
    ),
    ("POST", "/v1/account/proof", r#"{"start":{"person":{}}}"#),
    ("POST", "/v1/account/phone-change", r#"{"start":{}}"#),
    (
        "PUT",
        "/v1/account/security-questions",
        r#"{"questions":[]}"#,
    ),
];

#[tokio::test]
async fn every_change_needs_a_token_a_proof_of_its_key_and_an_idempotency_key() {
    let (server, device, other) = (Server::start().await, Device::new(), Device::new());
    let grant = server.session(&device).await;
    let token = grant.access_token.expose();
    for (method, path, body) in CHANGES {
        let body = body.as_bytes();
        let good = || change(&server, &device, (method, path), token, body);
        for (request, status, code) in [
            (good().await.without("Authorization"), 401, "invalid_token"),
            (good().await.without("DPoP"), 401, "invalid_dpop_proof"),
            (
                good().await.without("Idempotency-Key"),
                400,
                "idempotency_key_required",
            ),
            (
                change(&server, &other, (method, path), token, body).await,
                401,
                "invalid_dpop_proof",
            ),
            (
                good().await.instead("Authorization", "DPoP x.y.z"),
                401,
                "invalid_dpop_proof",
            ),
        ] {
            let reply = server.send(request).await;
            assert_eq!(
                (reply.status, reply.problem().as_str()),
                (status, code),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn l8_unbinding_works_over_http_and_a_repetition_gets_the_same_reply() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let token = grant.access_token.expose();
    let path = "/v1/account/bindings/wechat";
    let reply = server
        .send(change(&server, &device, ("DELETE", path), token, b"").await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (404, "binding_unknown")
    );
    let reply = server
        .send(change(&server, &device, ("DELETE", path), token, b"{}").await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (400, "invalid_request")
    );

    server
        .state
        .store
        .write(|tx| {
            Box::pin(async move {
                for sql in [
                    "INSERT INTO bindings (binding_id, provider, platform, subject, user_id, bound_at) VALUES ('b1', 'wechat', 'op', 's', 'u1', 0)",
                    "INSERT INTO bindings (binding_id, provider, platform, subject, user_id, bound_at) VALUES ('b2', 'qq', 'op', 's', 'u1', 1)",
                ] {
                    sqlx::query(sql)
                        .execute(&mut *tx)
                        .await
                        .map_err(postern_account_center::store::StoreError::from)?;
                }
                Ok::<_, postern_account_center::store::StoreError>(())
            })
        })
        .await
        .unwrap();
    // The session began with WeChat just now: that is U5's fresh login.
    let request = change(&server, &device, ("DELETE", path), token, b"").await;
    let mut again = Request {
        method: "DELETE",
        path: path.to_owned(),
        headers: request.headers.clone(),
        body: Vec::new(),
    };
    let reply = server.send(request).await;
    assert_eq!(
        (reply.status, &reply.json()["session_ended"]),
        (200, &json!(true))
    );
    let mut proof = server.good_proof("DELETE", path, b"").await;
    proof.token = Some(token);
    again = again.instead("DPoP", &device.proof(&proof));
    let replayed = server.send(again).await;
    assert_eq!(
        (replayed.status, replayed.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(replayed.body, reply.body);
    let list = server
        .send(
            server
                .with_token(&device, "GET", "/v1/account/bindings", token)
                .await,
        )
        .await;
    assert_eq!(
        (list.status, list.problem().as_str()),
        (401, "session_ended")
    );
}

#[tokio::test]
async fn a_body_that_is_not_described_is_refused_with_a_pointer() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let token = grant.access_token.expose();
    for (method, path, body, pointer) in [
        ("POST", "/v1/account/proof", json!({}), "/start"),
        (
            "POST",
            "/v1/account/proof",
            json!({"start": {}}),
            "/start/person",
        ),
        (
            "POST",
            "/v1/account/proof",
            json!({"start": {"person": {}, "user_id": "u2"}}),
            "/start/user_id",
        ),
        (
            "POST",
            "/v1/account/phone-change",
            json!({"start": {}, "phone": "+8613800138000"}),
            "/phone",
        ),
        (
            "POST",
            "/v1/account/phone-change",
            json!({"operation": "op_x", "step_id": "s", "answer": {}}),
            "/answer",
        ),
        (
            "POST",
            "/v1/account/bindings",
            json!({"provider": {"provider": "wechat", "code": "c"}, "user_id": "u2"}),
            "/user_id",
        ),
        (
            "PUT",
            "/v1/account/security-questions",
            json!({"questions": [{"question": {"id": "x", "text": "y"}, "answer": {"sealed": "z"}}]}),
            "/questions/0/question/text",
        ),
        (
            "PUT",
            "/v1/account/security-questions",
            json!({"questions": {}}),
            "/questions",
        ),
    ] {
        let request = change(
            &server,
            &device,
            (method, path),
            token,
            body.to_string().as_bytes(),
        )
        .await;
        let reply = server.send(request).await;
        assert_eq!(
            (
                reply.status,
                reply.problem().as_str(),
                &reply.json()["pointer"]
            ),
            (400, "invalid_request", &json!(pointer)),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn u6_appeals_need_a_device_and_no_session_and_answer_to_that_device() {
    let (server, device) = (Server::start().await, Device::new());
    let body = json!({"app_id": "no-such-app", "start": {"contact_phone": "+8613700137000"}});
    let body = body.to_string();
    let reply = server
        .send(server.post(&device, "/v1/appeals", body.as_bytes()).await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (404, "app_unknown")
    );
    let path = "/v1/appeals/0198f000-0000-7000-8000-000000000000";
    let proof = server.good_proof("GET", path, b"").await;
    let ask = |dpop: Option<String>| {
        let request = Request {
            method: "GET",
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        match dpop {
            Some(dpop) => request.with("DPoP", &dpop),
            None => request,
        }
    };
    let dpop = device.proof(&proof);
    let reply = server.send(ask(Some(dpop.clone()))).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (404, "appeal_unknown")
    );
    for bad in [Some(dpop), None] {
        let reply = server.send(ask(bad)).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (401, "invalid_dpop_proof")
        );
    }
    // The decisions are not on this listener.
    let reply = server.get("/v1/admin/appeals").await;
    assert_eq!(reply.status, 404);
}
