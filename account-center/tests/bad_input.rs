//! What a stranger may send, and what they get: problem+json, never a panic, never a 500.

#![allow(clippy::unwrap_used)]

mod common;

use common::{APP, Device, REFRESH, Request, Server, random128};

#[tokio::test]
async fn malformed_json_is_invalid_request() {
    let (server, device) = (Server::start().await, Device::new());
    for body in [
        &b"{"[..],
        b"nonsense",
        b"\xff\xfe{}",
        b"{\"app_id\":\"a\",}",
        b"[1,2",
        "\u{feff}{}".as_bytes(),
        b"null",
        b"[]",
        b"\"text\"",
        b"1",
    ] {
        let reply = server.send(server.post(&device, REFRESH, body).await).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "invalid_request"),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let deep = "[".repeat(30_000);
    let reply = server
        .send(server.post(&device, REFRESH, deep.as_bytes()).await)
        .await;
    assert_eq!(reply.problem(), "invalid_request");
}

#[tokio::test]
async fn unknown_missing_and_duplicate_fields_are_named_by_a_pointer() {
    let (server, device) = (Server::start().await, Device::new());
    for (body, pointer) in [
        (r#"{"app_id":"a","refresh_token":"b","extra":1}"#, "/extra"),
        (
            r#"{"app_id":"a","refresh_token":"b","a/b~c":1}"#,
            "/a~1b~0c",
        ),
        (
            r#"{"app_id":"a","app_id":"a","refresh_token":"b"}"#,
            "/app_id",
        ),
        (r#"{"app_id":"a"}"#, "/refresh_token"),
        (r#"{"app_id":1,"refresh_token":"b"}"#, "/app_id"),
        (r#"{"app_id":null,"refresh_token":"b"}"#, "/app_id"),
    ] {
        let reply = server
            .send(server.post(&device, REFRESH, body.as_bytes()).await)
            .await;
        assert_eq!(reply.problem(), "invalid_request", "{body}");
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_too_large_whether_it_says_so_or_not() {
    let (server, device) = (Server::start().await, Device::new());
    let body = vec![b' '; 64 * 1024 + 1];
    let reply = server
        .send(server.post(&device, REFRESH, &body).await)
        .await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (413, "body_too_large")
    );
    let fits = vec![b' '; 64 * 1024];
    let reply = server
        .send(server.post(&device, REFRESH, &fits).await)
        .await;
    assert_eq!(reply.problem(), "invalid_request");

    // Without a length: chunked.
    let chunk = "x".repeat(16 * 1024);
    let head = format!(
        "POST {REFRESH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let text = head + &format!("4000\r\n{chunk}\r\n").repeat(5) + "0\r\n\r\n";
    let answer = raw(&server, text.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:.200}");
    assert!(
        answer.contains("\"code\":\"body_too_large\""),
        "{answer:.600}"
    );
}

#[tokio::test]
async fn other_content_types_are_unsupported() {
    let (server, device) = (Server::start().await, Device::new());
    let good = |request: Request, value: &str| request.instead("Content-Type", value);
    for value in [
        "text/plain",
        "application/json; charset=latin-1",
        "application/jsonp",
        "application/json, text/plain",
        "application/x-www-form-urlencoded",
        "",
    ] {
        let reply = server
            .send(good(server.post(&device, REFRESH, b"{}").await, value))
            .await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (415, "unsupported_media_type"),
            "{value}"
        );
    }
    let reply = server
        .send(
            server
                .post(&device, REFRESH, b"{}")
                .await
                .without("Content-Type"),
        )
        .await;
    assert_eq!(reply.problem(), "unsupported_media_type");
    let reply = server
        .send(
            server
                .post(&device, REFRESH, b"{}")
                .await
                .with("Content-Encoding", "gzip"),
        )
        .await;
    assert_eq!(reply.problem(), "unsupported_media_type");
    for value in [
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ] {
        let reply = server
            .send(good(server.post(&device, REFRESH, b"{}").await, value))
            .await;
        assert_eq!(reply.problem(), "invalid_request", "{value}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_with_a_nonce_and_an_id() {
    let server = Server::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/login/",
        "/v1/sessions/refresh/x",
        "/v1//sessions",
        "/%00",
        "/../etc/passwd",
    ] {
        let reply = server.get(path).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (404, "not_found"),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("dpop-nonce").len(), 22);
    }
    for (method, path) in [
        ("GET", REFRESH),
        ("PUT", REFRESH),
        ("POST", "/v1/sessions"),
        ("PATCH", "/v1/sessions/current"),
        ("TRACE", "/healthz"),
        ("BREW", "/v1/sessions"),
    ] {
        let reply = server
            .send(Request {
                method,
                path: path.to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
            })
            .await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_clients_request_id_is_kept_when_it_is_of_the_form() {
    let server = Server::start().await;
    let ask = |id: &str| Request {
        method: "GET",
        path: "/nowhere".to_owned(),
        headers: vec![("X-Request-Id".to_owned(), id.to_owned())],
        body: Vec::new(),
    };
    assert_eq!(
        server.send(ask("my_id-1")).await.header("x-request-id"),
        "my_id-1"
    );
    for id in ["", "a b", "x\"y", &"a".repeat(65), "<script>"] {
        let reply = server.send(ask(id)).await;
        let given = reply.header("x-request-id").to_owned();
        assert_eq!(
            (given.len(), given.as_bytes()[14]),
            (36, b'7'),
            "{id} became {given}"
        );
    }
    let two = ask("a").with("X-Request-Id", "b");
    assert_eq!(server.send(two).await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn what_is_not_http_ends_the_connection_and_nothing_else() {
    let server = Server::start().await;
    for text in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = raw(&server, text).await;
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 400")
                || answer.starts_with("HTTP/1.1 505"),
            "{answer}"
        );
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_idempotency_key_must_come_once_and_be_128_bits() {
    let (server, device) = (Server::start().await, Device::new());
    let request = server
        .post(&device, REFRESH, b"{}")
        .await
        .without("Idempotency-Key");
    let reply = server.send(request).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (400, "idempotency_key_required")
    );
    for key in [
        "",
        "short",
        &"a".repeat(23),
        "aaaaaaaaaaaaaaaaaaaaa=",
        "aaaaaaaaaaaaaaaaaaaaa/",
    ] {
        let request = server
            .post(&device, REFRESH, b"{}")
            .await
            .instead("Idempotency-Key", key);
        assert_eq!(
            server.send(request).await.problem(),
            "idempotency_key_required",
            "{key}"
        );
    }
    let request = server
        .post(&device, REFRESH, b"{}")
        .await
        .with("Idempotency-Key", &random128());
    assert_eq!(
        server.send(request).await.problem(),
        "idempotency_key_required"
    );
    // The proof is checked first.
    let request = server
        .post(&device, REFRESH, b"{}")
        .await
        .without("Idempotency-Key")
        .without("DPoP");
    assert_eq!(server.send(request).await.problem(), "invalid_dpop_proof");
}

#[tokio::test]
async fn an_unknown_app_has_no_login_options() {
    let server = Server::start().await;
    for app in [
        "nobody",
        "bank-android%00",
        "%F0%9F%90%BC",
        "..%2Fbank-android",
        "%ff",
        "",
    ] {
        let reply = server.get(&format!("/v1/apps/{app}/login-options")).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (404, "app_unknown"),
            "{app}"
        );
    }
    let reply = server
        .get(&format!(
            "/v1/apps/{APP}/login-options?region=zj&app_version=1.2.3"
        ))
        .await;
    assert_eq!(reply.status, 200);
}

/// Sends bytes as they are, and reads until the server closes or says no more.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.base.trim_start_matches("http://"))
        .await
        .unwrap();
    // The server may close before it has read all of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        stream.read_to_end(&mut answer),
    )
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}
