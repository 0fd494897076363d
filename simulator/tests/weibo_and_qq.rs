//! Weibo and QQ as their documents have them: each error code reachable, codes that serve once and expire.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, Reply, read};
use reqwest::Method;
use serde_json::{Value, json};

const BACK: &str = "https://bank.example/weibo/callback";
const QQ_BACK: &str = "https://bank.example/qq/callback";

async fn phone(bench: &Bench, party: &str, body: Value) -> Value {
    let url = format!("{party}/phone/authorize");
    let reply = bench.send(Method::POST, url, None, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn weibo_decides(bench: &Bench, client_id: &str, back: &str, decision: &str) -> Value {
    let body = json!({"client_id": client_id, "redirect_uri": back, "state": "s", "person": "lin", "decision": decision});
    phone(bench, &bench.at().weibo, body).await
}

async fn weibo_code(bench: &Bench) -> String {
    let answer = weibo_decides(bench, "3100000001", BACK, "agree").await;
    answer["code"].as_str().unwrap().to_owned()
}

async fn form(bench: &Bench, path: &str, form: &[(&str, &str)]) -> Reply {
    let url = format!("{}{path}", bench.at().weibo);
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    read(bench.client.post(url).body(body.finish())).await
}

async fn weibo_exchange(bench: &Bench, app: (&str, &str), code: &str, back: &str) -> Reply {
    let parameters = [
        ("client_id", app.0),
        ("client_secret", app.1),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", back),
    ];
    form(bench, "/oauth2/access_token", &parameters).await
}

const WEIBO_APP: (&str, &str) = ("3100000001", "simulator-weibo-secret-1");
const WEIBO_APP_2: (&str, &str) = ("3100000002", "simulator-weibo-secret-2");

#[tokio::test]
async fn weibos_page_tells_refusal_close_and_misconfiguration_apart() {
    let bench = Bench::start().await;
    for (app, back, decision, event, error_code) in [
        ("3100000001", BACK, "refuse", "error", json!(21330)),
        ("3100000001", BACK, "close", "cancel", Value::Null),
        ("42", BACK, "agree", "error", json!(21338)),
        (
            "3100000001",
            "https://evil.example",
            "agree",
            "error",
            json!(21322),
        ),
    ] {
        let answer = weibo_decides(&bench, app, back, decision).await;
        assert_eq!(
            (&answer["event"], &answer["error_code"]),
            (&json!(event), &error_code)
        );
        assert!(answer.get("code").is_none());
    }
}

#[tokio::test]
async fn m2_weibos_code_serves_once_for_its_app_and_address_and_failures_use_nothing_up() {
    let bench = Bench::start().await;
    let code = weibo_code(&bench).await;
    for (app, code, back, error_code) in [
        (("42", "x"), code.as_str(), BACK, 21324),
        (("3100000001", "x"), &code, BACK, 21324),
        (WEIBO_APP, "unknown", BACK, 21325),
        (WEIBO_APP_2, &code, BACK, 21325),
        (WEIBO_APP, &code, "https://evil.example", 21322),
    ] {
        let reply = weibo_exchange(&bench, app, code, back).await;
        assert!(reply.status == 400 || reply.status == 401);
        assert_eq!(reply.json()["error_code"], error_code, "{}", reply.text);
    }
    assert_eq!(
        weibo_exchange(&bench, WEIBO_APP, &code, BACK).await.status,
        200
    );
    let again = weibo_exchange(&bench, WEIBO_APP, &code, BACK).await;
    assert_eq!(again.json()["error_code"], 21325);
    let old = weibo_code(&bench).await;
    bench.clock.advance(600);
    let late = weibo_exchange(&bench, WEIBO_APP, &old, BACK).await;
    assert_eq!(late.json()["error_code"], 21325);
}

#[tokio::test]
async fn weibos_uid_is_the_same_for_every_app_and_its_token_says_whose_it_is() {
    let bench = Bench::start().await;
    let code = weibo_code(&bench).await;
    let grant = weibo_exchange(&bench, WEIBO_APP, &code, BACK).await.json();
    let token = grant["access_token"].as_str().unwrap();
    let uid = grant["uid"].as_str().unwrap();
    let info = form(&bench, "/oauth2/get_token_info", &[("access_token", token)])
        .await
        .json();
    assert_eq!(info["uid"].as_u64().unwrap().to_string(), uid);
    assert_eq!(info["appkey"], "3100000001");
    assert_eq!(info["expire_in"], 30 * 24 * 3600);
    let show = |uid: &str| {
        format!(
            "{}/2/users/show.json?access_token={token}&uid={uid}",
            bench.at().weibo
        )
    };
    assert_eq!(bench.get(show(uid)).await.json()["screen_name"], "林晓");
    assert_eq!(bench.get(show("1")).await.json()["error_code"], 20003);

    let second = weibo_decides(
        &bench,
        "3100000002",
        "https://life.bank.example/weibo/callback",
        "agree",
    )
    .await;
    let second = weibo_exchange(
        &bench,
        WEIBO_APP_2,
        second["code"].as_str().unwrap(),
        "https://life.bank.example/weibo/callback",
    )
    .await;
    assert_eq!(second.json()["uid"], uid);

    let revoked = form(&bench, "/oauth2/revokeoauth2", &[("access_token", token)]).await;
    assert_eq!(revoked.json(), json!({"result": true}));
    let dead = form(&bench, "/oauth2/get_token_info", &[("access_token", token)]).await;
    assert_eq!(dead.json()["error_code"], 21332);
}

async fn qq_decides(
    bench: &Bench,
    appid: &str,
    scope: &str,
    wanted: &str,
    decision: &str,
) -> Value {
    let body = json!({"appid": appid, "scope": scope, "wanted": wanted, "person": "lin", "decision": decision});
    phone(bench, &bench.at().qq, body).await
}

async fn qq_get(bench: &Bench, path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = url::Url::parse(&format!("{}{path}", bench.at().qq)).unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    let reply = bench.get(url.into()).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/html"));
    reply.text
}

/// The object in `callback( … );`.
fn unwrapped(text: &str) -> Value {
    let json = text
        .strip_prefix("callback( ")
        .unwrap()
        .strip_suffix(" );\n")
        .unwrap();
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn qqs_app_hands_over_a_token_that_names_its_app() {
    let bench = Bench::start().await;
    assert_eq!(
        qq_decides(&bench, "101900001", "", "token", "close").await,
        json!({"event": "cancel"})
    );
    assert_eq!(
        qq_decides(&bench, "42", "", "token", "agree").await["errorCode"],
        100_008
    );
    let given = qq_decides(&bench, "101900001", "", "token", "agree").await;
    let token = given["access_token"].as_str().unwrap();
    let me = unwrapped(
        &qq_get(
            &bench,
            "/oauth2.0/me",
            &[("access_token", token), ("unionid", "1")],
        )
        .await,
    );
    assert_eq!(
        (&me["client_id"], &me["openid"]),
        (&json!("101900001"), &given["openid"])
    );
    let second = qq_decides(&bench, "101900002", "", "token", "agree").await;
    let second = second["access_token"].as_str().unwrap();
    let other = unwrapped(
        &qq_get(
            &bench,
            "/oauth2.0/me",
            &[("access_token", second), ("unionid", "1")],
        )
        .await,
    );
    assert_eq!(me["unionid"], other["unionid"]);
    assert_ne!(me["openid"], other["openid"]);
    let info = [
        ("access_token", token),
        ("oauth_consumer_key", "101900001"),
        ("openid", me["openid"].as_str().unwrap()),
    ];
    let refused: Value =
        serde_json::from_str(&qq_get(&bench, "/user/get_user_info", &info).await).unwrap();
    assert_eq!(refused["ret"], 100_030);
    let unknown = unwrapped(&qq_get(&bench, "/oauth2.0/me", &[("access_token", "x")]).await);
    assert_eq!(unknown["error"], 100_016);
    bench.clock.advance(7_776_000);
    let old = unwrapped(&qq_get(&bench, "/oauth2.0/me", &[("access_token", token)]).await);
    assert_eq!(old["error"], 100_014);
}

#[tokio::test]
async fn qqs_code_for_a_web_page_serves_once_and_is_answered_as_a_form() {
    let bench = Bench::start().await;
    let given = qq_decides(&bench, "101900001", "get_user_info", "code", "agree").await;
    let code = given["code"].as_str().unwrap();
    let exchange = |appid: &'static str, key: &'static str, back: &'static str| {
        [
            ("grant_type", "authorization_code"),
            ("client_id", appid),
            ("client_secret", key),
            ("redirect_uri", back),
            ("code", code),
        ]
    };
    for (appid, key, back, error) in [
        ("42", "x", QQ_BACK, 100_008),
        ("101900001", "x", QQ_BACK, 100_009),
        ("101900002", "simulator-qq-key-2", QQ_BACK, 100_019),
        (
            "101900001",
            "simulator-qq-key-1",
            "https://evil.example",
            100_010,
        ),
    ] {
        let refused =
            unwrapped(&qq_get(&bench, "/oauth2.0/token", &exchange(appid, key, back)).await);
        assert_eq!(refused["error"], error);
    }
    let good = exchange("101900001", "simulator-qq-key-1", QQ_BACK);
    let text = qq_get(&bench, "/oauth2.0/token", &good).await;
    assert!(
        text.starts_with("access_token=") && text.contains("&expires_in=7776000&refresh_token=")
    );
    let again = unwrapped(&qq_get(&bench, "/oauth2.0/token", &good).await);
    assert_eq!(again["error"], 100_020);
}

#[tokio::test]
async fn a_provider_fails_in_its_own_form_where_a_test_asks_for_it() {
    let bench = Bench::start().await;
    for party in ["weibo", "qq"] {
        bench
            .fault(json!({"party": party, "fault": {"kind": "errcode", "errcode": 42}}))
            .await;
    }
    let reply = form(&bench, "/oauth2/get_token_info", &[]).await;
    assert_eq!(
        (reply.status, &reply.json()["error_code"]),
        (400, &json!(42))
    );
    assert_eq!(
        unwrapped(&qq_get(&bench, "/oauth2.0/me", &[]).await)["error"],
        42
    );
    let own: Value =
        serde_json::from_str(&qq_get(&bench, "/user/get_user_info", &[]).await).unwrap();
    assert_eq!(own["ret"], 42);
    let reply = bench
        .control(
            Method::POST,
            "/faults",
            json!({"party": "core", "fault": {"kind": "errcode", "errcode": 1}}),
        )
        .await;
    assert_eq!(reply.status, 400);
}
