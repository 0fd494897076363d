//! The `OpenID` Connect issuer: pushed requests, PKCE, tokens, keys that change.

#![allow(clippy::unwrap_used)]

mod common;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{Bench, Reply, read};
use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const CLIENT: (&str, &str) = ("postern-bank-page", "simulator-oidc-secret");
const RETURN_TO: &str = "https://bank.example/sso/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-in-all";

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

async fn form(bench: &Bench, path: &str, pairs: &[(&str, &str)]) -> Reply {
    let request = bench
        .client
        .post(format!("{}{path}", bench.at().oidc))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encoded(pairs));
    read(request).await
}

async fn pushed(bench: &Bench) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let reply = form(
        bench,
        "/par",
        &[
            ("client_id", CLIENT.0),
            ("client_secret", CLIENT.1),
            ("response_type", "code"),
            ("redirect_uri", RETURN_TO),
            ("scope", "openid profile"),
            ("state", "s1"),
            ("nonce", "n1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let uri = reply.json()["request_uri"].as_str().unwrap().to_owned();
    let page = encoded(&[("client_id", CLIENT.0), ("request_uri", &uri)]);
    format!("{}/authorize?{page}", bench.at().oidc)
}

async fn authorize(bench: &Bench, page: &str, decision: &str) -> Reply {
    let body = json!({ "authorization_url": page, "person": "lin", "decision": decision });
    let url = format!("{}/phone/authorize", bench.at().oidc);
    bench.send(Method::POST, url, None, &body).await
}

async fn exchange(bench: &Bench, code: &str, verifier: &str) -> Reply {
    form(
        bench,
        "/token",
        &[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT.0),
            ("client_secret", CLIENT.1),
            ("code", code),
            ("redirect_uri", RETURN_TO),
            ("code_verifier", verifier),
        ],
    )
    .await
}

fn part(token: &Value, place: usize) -> Value {
    let part = token.as_str().unwrap().split('.').nth(place).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_pushed_request_serves_once_and_its_code_only_with_the_verifier() {
    let bench = Bench::start().await;
    let page = pushed(&bench).await;
    let answer = authorize(&bench, &page, "agree").await.json();
    assert_eq!(
        (answer["state"].as_str(), answer["iss"].as_str()),
        (Some("s1"), Some(bench.at().oidc.as_str()))
    );
    assert_eq!(authorize(&bench, &page, "agree").await.status, 400);
    let code = answer["code"].as_str().unwrap();
    assert_eq!(
        exchange(&bench, code, "another").await.json()["error"],
        "invalid_grant"
    );
    let tokens = exchange(&bench, code, VERIFIER).await.json();
    let claims = part(&tokens["id_token"], 1);
    assert_eq!(
        (claims["nonce"].as_str(), claims["aud"].as_str()),
        (Some("n1"), Some(CLIENT.0))
    );
    assert_eq!(
        exchange(&bench, code, VERIFIER).await.json()["error"],
        "invalid_grant"
    );
    let refused = authorize(&bench, &pushed(&bench).await, "refuse")
        .await
        .json();
    assert_eq!(refused["error"], "access_denied");
    let closed = authorize(&bench, &pushed(&bench).await, "close")
        .await
        .json();
    assert_eq!(closed, json!({}));
}

#[tokio::test]
async fn keys_change_where_control_says_so_and_tokens_can_be_wrong() {
    let bench = Bench::start().await;
    let published = async || bench.get(format!("{}/jwks", bench.at().oidc)).await.json();
    for alg in ["RS256", "PS256", "ES256"] {
        let made = bench
            .control(Method::POST, "/oidc-key", json!({ "alg": alg }))
            .await
            .json();
        let keys = published().await;
        assert_eq!(
            (&keys["keys"][0]["kid"], &keys["keys"][0]["alg"]),
            (&made["kid"], &json!(alg))
        );
    }
    bench.fault(json!({"party": "oidc", "path": "/token", "fault": {"kind": "id_token", "wrong": "none"}, "times": 1})).await;
    let answer = authorize(&bench, &pushed(&bench).await, "agree")
        .await
        .json();
    let tokens = exchange(&bench, answer["code"].as_str().unwrap(), VERIFIER)
        .await
        .json();
    assert_eq!(part(&tokens["id_token"], 0)["alg"], "none");
    assert!(tokens["id_token"].as_str().unwrap().ends_with('.'));
}

#[tokio::test]
async fn a_human_chooses_who_they_are_and_is_sent_back_with_the_issuers_name() {
    let bench = Bench::start().await;
    let page = pushed(&bench).await;
    let shown = bench.get(page.clone()).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("postern-bank-page") && shown.text.contains("林晓"));
    let query = page.split_once('?').unwrap().1;
    let request = bench
        .client
        .post(format!("{}/authorize", bench.at().oidc))
        .body(format!("{query}&person=lin&decision=agree"));
    let reply = read(request).await;
    let location = url::Url::parse(reply.header("location")).unwrap();
    assert!(location.as_str().starts_with(RETURN_TO), "{location}");
    for name in ["code", "state", "iss"] {
        assert!(location.query_pairs().any(|(key, _)| key == name), "{name}");
    }
    assert_eq!(bench.get(page).await.status, 400, "it served once");
}

#[tokio::test]
async fn a_redirect_an_endless_answer_and_a_vendors_error_are_to_be_had() {
    let bench = Bench::start().await;
    bench
        .fault(json!({"party": "oidc", "fault": {"kind": "redirect"}, "times": 1}))
        .await;
    let reply = bench.get(format!("{}/jwks", bench.at().oidc)).await;
    assert_eq!((reply.status, reply.header("location")), (307, "/followed"));
    bench
        .fault(
            json!({"party": "core", "fault": {"kind": "oversized", "bytes": 100_000}, "times": 1}),
        )
        .await;
    let url = format!("{}/customers/lookup", bench.at().core);
    assert_eq!(bench.post(url, "x", json!({})).await.text.len(), 100_001);
    bench.fault(json!({"party": "sms", "fault": {"kind": "errcode", "errcode": 0, "errmsg": "LimitExceeded"}, "times": 1})).await;
    let reply = bench
        .post(format!("{}/", bench.at().sms), "x", json!({}))
        .await
        .json();
    assert_eq!(reply["Response"]["Error"]["Code"], "LimitExceeded");
    // Unsigned.
    let reply = bench
        .post(format!("{}/", bench.at().sms), "x", json!({}))
        .await
        .json();
    assert_eq!(reply["Response"]["Error"]["Code"], "MissingParameter");
}
