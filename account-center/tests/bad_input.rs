//! What a stranger may send, and what they get: problem+json, never a panic, never a 500.

#![allow(clippy::unwrap_used)]

mod common;

use common::{APP, Device, REFRESH, Request, Server, random128};
use serde_json::json;

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
async fn rfc9449_a_proof_serves_once() {
    let (server, device) = (Server::start().await, Device::new());
    let first = server.post(&device, REFRESH, b"{}").await;
    let same_proof = Request {
        method: "POST",
        path: REFRESH.to_owned(),
        headers: first.headers.clone(),
        body: first.body.clone(),
    };
    assert_eq!(server.send(first).await.problem(), "invalid_request");
    let reply = server.send(same_proof).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (401, "invalid_dpop_proof")
    );

    // A new signature over the same jti is the same proof; the same jti of another device is not.
    let mut proof = server.good_proof("POST", REFRESH, b"{}").await;
    proof.jti = random128();
    for (who, code) in [
        (&device, "invalid_request"),
        (&device, "invalid_dpop_proof"),
        (&Device::new(), "invalid_request"),
    ] {
        let request = server
            .post(who, REFRESH, b"{}")
            .await
            .instead("DPoP", &who.proof(&proof));
        assert_eq!(server.send(request).await.problem(), code);
    }
}

#[tokio::test]
async fn one_proof_sent_twenty_times_at_once_serves_once() {
    let (server, device) = (Server::start().await, Device::new());
    let proof = device.proof(&server.good_proof("POST", REFRESH, b"{}").await);
    let mut requests = Vec::new();
    for _ in 0..20 {
        requests.push(
            server
                .post(&device, REFRESH, b"{}")
                .await
                .instead("DPoP", &proof),
        );
    }
    let replies =
        futures_util::future::join_all(requests.into_iter().map(|request| server.send(request)))
            .await;
    let good = replies
        .iter()
        .filter(|reply| reply.problem() == "invalid_request")
        .count();
    assert_eq!(good, 1);
}

#[tokio::test]
async fn wrong_proofs_are_invalid_dpop_proof() {
    let (server, device) = (Server::start().await, Device::new());
    let body = b"{}";
    let base = server.base.clone();
    let mut wrong = Vec::new();
    for (what, url) in [
        ("another path", format!("{base}/v1/login")),
        ("another host", format!("https://evil.example{REFRESH}")),
        ("with a query", format!("{base}{REFRESH}?a=1")),
        ("no address", "x".to_owned()),
    ] {
        let mut proof = server.good_proof("POST", REFRESH, body).await;
        proof.url = url;
        wrong.push((what, device.proof(&proof)));
    }
    let mut proof = server.good_proof("GET", REFRESH, body).await;
    wrong.push(("another method", device.proof(&proof)));
    proof = server.good_proof("POST", REFRESH, b"{ }").await;
    wrong.push(("another body", device.proof(&proof)));
    proof = server.good_proof("POST", REFRESH, body).await;
    proof.jti = "short".to_owned();
    wrong.push(("a short jti", device.proof(&proof)));
    proof = server.good_proof("POST", REFRESH, body).await;
    proof.iat = json!("yesterday");
    wrong.push(("an iat that is no number", device.proof(&proof)));
    proof = server.good_proof("POST", REFRESH, body).await;
    proof.token = Some("a token that is not sent");
    wrong.push(("ath without a token", device.proof(&proof)));
    let good = device.proof(&server.good_proof("POST", REFRESH, body).await);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, other_signature) = wrong[0].1.rsplit_once('.').unwrap();
    wrong.push(("another signature", format!("{signed}.{other_signature}")));
    wrong.push(("no signature", format!("{signed}.")));
    wrong.push(("rubbish", "a.b.c".to_owned()));
    wrong.push(("very long", "a".repeat(8000)));
    for (what, proof) in wrong {
        let reply = server
            .send(
                server
                    .post(&device, REFRESH, body)
                    .await
                    .instead("DPoP", &proof),
            )
            .await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (401, "invalid_dpop_proof"),
            "{what}"
        );
    }
    let two = server
        .post(&device, REFRESH, body)
        .await
        .with("DPoP", &good);
    assert_eq!(server.send(two).await.problem(), "invalid_dpop_proof");
    let none = server.post(&device, REFRESH, body).await.without("DPoP");
    assert_eq!(server.send(none).await.problem(), "invalid_dpop_proof");
}

#[tokio::test]
async fn a_device_clock_that_is_wrong_by_any_amount_changes_nothing() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    for iat in [
        json!(0),
        json!(1_800_000_000 - 600),
        json!(1_800_000_000 + 600),
        json!(99_999_999_999_u64),
        json!(1.5),
    ] {
        let body = Server::refresh_body(&grant);
        let mut proof = server.good_proof("POST", REFRESH, &body).await;
        proof.iat = iat.clone();
        let request = server
            .post(&device, REFRESH, &body)
            .await
            .instead("DPoP", &device.proof(&proof));
        assert_eq!(server.send(request).await.status, 200, "{iat}");
    }
}

#[tokio::test]
async fn no_nonce_or_a_stale_one_gets_a_fresh_one_and_the_repetition_is_good() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let body = Server::refresh_body(&grant);
    let old = server.nonce().await;
    // The previous window's is good, an older one is not.
    server.pass(15 * 60);
    for (nonce, pass, good) in [
        (Some(old.clone()), 0, true),
        (Some(old), 15 * 60, false),
        (Some(random128()), 0, false),
        (Some("x".into()), 0, false),
        (None, 0, false),
    ] {
        server.pass(pass);
        let mut proof = server.good_proof("POST", REFRESH, &body).await;
        proof.nonce = nonce;
        let key = random128();
        let request = server
            .post(&device, REFRESH, &body)
            .await
            .instead("DPoP", &device.proof(&proof))
            .instead("Idempotency-Key", &key);
        let again = server.again(&device, &request).await;
        let reply = server.send(request).await;
        if good {
            assert_eq!(reply.status, 200);
            continue;
        }
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (401, "use_dpop_nonce")
        );
        let fresh = reply.header("dpop-nonce").to_owned();
        let mut proof = server.good_proof("POST", REFRESH, &body).await;
        proof.nonce = Some(fresh);
        let reply = server
            .send(again.instead("DPoP", &device.proof(&proof)))
            .await;
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn tokens_that_are_no_good_are_invalid_token() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let token = grant.access_token.expose();
    let good = server
        .with_token(&device, "GET", "/v1/sessions", token)
        .await;
    assert_eq!(server.send(good).await.status, 200);

    for scheme in ["Bearer", "", "DPoPx"] {
        let request = server
            .with_token(&device, "GET", "/v1/sessions", token)
            .await
            .instead("Authorization", &format!("{scheme} {token}"));
        assert_eq!(
            server.send(request).await.problem(),
            "invalid_token",
            "{scheme}"
        );
    }
    let request = server
        .with_token(&device, "GET", "/v1/sessions", token)
        .await
        .without("Authorization");
    assert_eq!(server.send(request).await.problem(), "invalid_token");
    for wrong in [
        "a.b.c".to_owned(),
        format!("{token}A"),
        token.replace('.', ".."),
    ] {
        let request = server
            .with_token(&device, "GET", "/v1/sessions", &wrong)
            .await;
        assert_eq!(
            server.send(request).await.problem(),
            "invalid_token",
            "{wrong}"
        );
    }
    // Somebody else's proof, and a proof without the token's hash.
    let request = server
        .with_token(&Device::new(), "GET", "/v1/sessions", token)
        .await;
    assert_eq!(server.send(request).await.problem(), "invalid_dpop_proof");
    let proof = server.good_proof("GET", "/v1/sessions", b"").await;
    let request = server
        .with_token(&device, "GET", "/v1/sessions", token)
        .await
        .instead("DPoP", &device.proof(&proof));
    assert_eq!(server.send(request).await.problem(), "invalid_dpop_proof");
    server.pass(300);
    let request = server
        .with_token(&device, "GET", "/v1/sessions", token)
        .await;
    assert_eq!(server.send(request).await.problem(), "invalid_token");
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
