//! Proofs, nonces and access tokens over HTTP (contract sections 2 and 8, RFC 9449).

#![allow(clippy::unwrap_used)]

mod common;

use common::{Device, REFRESH, Request, Server, random128};
use serde_json::json;

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
