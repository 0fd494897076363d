//! Clients that hang up and servers that stop, while a provider takes its time.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{APP, Device, Request, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LOGIN: &str = "/v1/login";

/// A WeChat that takes half a second to say that the code is invalid, and how often it was asked.
async fn slow_wechat() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!(
        "[wechat]\nbase_url = \"http://{}\"",
        listener.local_addr().unwrap()
    );
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                let body = r#"{"errcode":40029,"errmsg":"invalid code"}"#;
                let reply = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(reply.as_bytes()).await;
            });
        }
    });
    (settings, asked)
}

fn body() -> Vec<u8> {
    json!({"app_id": APP, "start": {"provider": {"provider": "wechat", "code": "0815"}}})
        .to_string()
        .into_bytes()
}

/// The bytes of a request, for a connection of one's own.
fn bytes(request: &Request) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n",
        request.method,
        request.path,
        request.body.len()
    );
    for (name, value) in &request.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.into_bytes(), request.body.clone()].concat()
}

#[tokio::test]
async fn a_login_goes_on_when_the_client_hangs_up_and_its_repetition_gets_the_reply() {
    let (settings, asked) = slow_wechat().await;
    let (server, device) = (Server::start_with(&settings).await, Device::new());
    let request = server.post(&device, LOGIN, &body()).await;
    let (during, after) = (
        server.again(&device, &request).await,
        server.again(&device, &request).await,
    );

    let mut connection = TcpStream::connect(server.base.trim_start_matches("http://"))
        .await
        .unwrap();
    connection.write_all(&bytes(&request)).await.unwrap();
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(connection);
    let reply = server.send(during).await;
    assert_eq!(
        (
            reply.status,
            reply.problem().as_str(),
            reply.header("retry-after")
        ),
        (409, "request_in_flight", "1")
    );
    tokio::time::sleep(Duration::from_millis(800)).await;
    let reply = server.send(after).await;
    assert_eq!(
        (
            reply.problem().as_str(),
            reply.header("idempotency-replayed")
        ),
        ("provider_code_invalid", "true")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let (settings, asked) = slow_wechat().await;
    let (mut server, device) = (Server::start_with(&settings).await, Device::new());
    let request = server.post(&device, LOGIN, &body()).await;
    let mut connection = TcpStream::connect(server.base.trim_start_matches("http://"))
        .await
        .unwrap();
    connection.write_all(&bytes(&request)).await.unwrap();
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = tokio::spawn(async move {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    });
    server.stop().await;
    let answer = answer.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("provider_code_invalid"),
        "{answer}"
    );
    assert!(
        TcpStream::connect(server.base.trim_start_matches("http://"))
            .await
            .is_err()
    );
}

/// A WeChat that knows everybody as one person.
async fn friendly_wechat() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!(
        "[wechat]\nbase_url = \"http://{}\"",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let body = if String::from_utf8_lossy(&request[..length]).contains("/sns/userinfo") {
                r#"{"openid":"o1","nickname":"n","headimgurl":"","unionid":"u1"}"#
            } else {
                r#"{"access_token":"t","expires_in":7200,"refresh_token":"r","openid":"o1","scope":"snsapi_userinfo","unionid":"u1"}"#
            };
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    settings
}

#[tokio::test]
async fn a_login_handle_of_another_device_is_unknown_as_if_it_did_not_exist() {
    let (server, device, thief) = (
        Server::start_with(&friendly_wechat().await).await,
        Device::new(),
        Device::new(),
    );
    let begun = server
        .send(server.post(&device, LOGIN, &body()).await)
        .await
        .json();
    assert_eq!(begun["next"]["step"], "phone", "{begun}");
    let answer = |login: &serde_json::Value, step_id: &serde_json::Value| {
        json!({"login": login, "step_id": step_id, "answer": {"cancel": {}}})
            .to_string()
            .into_bytes()
    };
    let real = answer(&begun["login"], &begun["step_id"]);
    for (who, body) in [
        (&thief, real.clone()),
        (
            &thief,
            answer(&json!("lg_AAAAAAAAAAAAAAAAAAAAAA"), &begun["step_id"]),
        ),
        (&device, answer(&json!("lg_"), &begun["step_id"])),
        (&device, answer(&json!("x".repeat(2000)), &begun["step_id"])),
    ] {
        let reply = server.send(server.post(who, LOGIN, &body).await).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (404, "login_unknown")
        );
        let mut told = reply.json();
        told["request_id"].take();
        assert_eq!(
            told.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["code", "request_id", "status", "title", "type"]
        );
    }
    // A stale step changes nothing and says where the login stands.
    let stale = server
        .send(
            server
                .post(&device, LOGIN, &answer(&begun["login"], &json!("old")))
                .await,
        )
        .await;
    assert_eq!(
        (stale.status, stale.problem().as_str()),
        (409, "superseded")
    );
    assert_eq!(
        (&stale.json()["step_id"], &stale.json()["next"]["step"]),
        (&begun["step_id"], &json!("phone"))
    );
    let cancelled = server.send(server.post(&device, LOGIN, &real).await).await;
    assert_eq!(cancelled.json()["next"]["step"], "cancelled");
}

#[tokio::test]
async fn a_login_request_is_exactly_a_beginning_or_an_answer() {
    let (server, device) = (Server::start().await, Device::new());
    for (body, pointer) in [
        (json!({}), "/app_id"),
        (
            json!({"app_id": APP, "start": {"provider": {"provider": "wechat", "code": "x"}}, "login": "lg_x"}),
            "/step_id",
        ),
        (
            json!({"app_id": APP, "start": {"provider": {"provider": "wechat", "code": "x", "openid": "o"}}}),
            "/start/provider/openid",
        ),
        (
            json!({"app_id": APP, "start": {"user_id": "u"}}),
            "/start/provider",
        ),
        (
            json!({"login": "lg_x", "step_id": "s", "answer": {"sms_code": "1", "cancel": {}}}),
            "/answer/cancel",
        ),
        (
            json!({"login": "lg_x", "step_id": "s", "answer": {}}),
            "/answer",
        ),
    ] {
        let reply = server
            .send(
                server
                    .post(&device, LOGIN, body.to_string().as_bytes())
                    .await,
            )
            .await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "invalid_request"),
            "{body}"
        );
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
    let twice =
        br#"{"app_id":"a","start":{"provider":{"provider":"wechat","code":"x","code":"y"}}}"#;
    let reply = server.send(server.post(&device, LOGIN, twice).await).await;
    assert_eq!(reply.json()["pointer"], "/start/provider/code");
}
