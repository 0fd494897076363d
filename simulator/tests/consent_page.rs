//! The consent page that a human uses.

#![allow(clippy::unwrap_used)]

mod common;

use common::{APP, Bench, Reply, SECRET, read};
use reqwest::{Method, RequestBuilder};
use url::{Url, form_urlencoded};

const BACK: &str = "http://127.0.0.1:9/back?keep=1";

async fn page(bench: &Bench, parameters: &[(&str, &str)]) -> Reply {
    let mut url = Url::parse(&format!("{}/connect/authorize", bench.at().wechat)).unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    bench.get(url.into()).await
}

fn form(bench: &Bench, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    bench
        .client
        .request(
            Method::POST,
            format!("{}/connect/authorize", bench.at().wechat),
        )
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

async fn decide(bench: &Bench, person: &str, decision: &str) -> Reply {
    let fields = [
        ("appid", APP),
        ("scope", "snsapi_userinfo"),
        ("state", "a b&c"),
        ("redirect_uri", BACK),
        ("person", person),
        ("decision", decision),
    ];
    read(form(bench, &fields)).await
}

fn pairs(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("cache-control"), "no-store");
    let location = Url::parse(reply.header("location")).unwrap();
    assert_eq!(
        (location.host_str(), location.path()),
        (Some("127.0.0.1"), "/back")
    );
    location.query_pairs().into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn l3_the_page_speaks_chinese_and_english_and_offers_everybody_and_three_ways_out() {
    let bench = Bench::start().await;
    let reply = page(
        &bench,
        &[
            ("appid", APP),
            ("scope", "snsapi_userinfo"),
            ("state", "s"),
            ("redirect_uri", BACK),
        ],
    )
    .await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    for part in [
        "Postern 手机银行",
        "Postern Mobile Bank",
        "林晓",
        "value=\"zhao\"",
        "无 UnionID",
        "同意",
        "Refuse",
        "value=\"close\"",
        "lang=\"zh-CN\"",
    ] {
        assert!(reply.text.contains(part), "{part} is missing");
    }
    assert!(
        reply
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let silent = page(
        &bench,
        &[
            ("appid", APP),
            ("scope", "snsapi_base"),
            ("redirect_uri", BACK),
        ],
    )
    .await;
    assert!(silent.text.contains("静默登录"));
}

#[tokio::test]
async fn nothing_from_the_query_or_a_nickname_becomes_markup() {
    let bench = Bench::start().await;
    let attack = "\"><script>alert(1)</script>";
    let reply = page(
        &bench,
        &[
            ("appid", APP),
            ("scope", "snsapi_userinfo"),
            ("state", attack),
            ("redirect_uri", BACK),
        ],
    )
    .await;
    assert!(!reply.text.contains("<script"));
    assert!(
        reply
            .text
            .contains("value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\"")
    );
    assert!(reply.text.contains("Zoë &lt;周敏&gt; &amp; &quot;Co&quot;"));
}

#[tokio::test]
async fn l3_agreeing_returns_with_code_and_state_and_the_code_works() {
    let bench = Bench::start().await;
    let pairs = pairs(&decide(&bench, "lin", "agree").await);
    assert_eq!(
        (&pairs[0], &pairs[2]),
        (&pair("keep", "1"), &pair("state", "a b&c"))
    );
    assert_eq!(pairs[1].0, "code");
    assert!(bench.exchange(APP, SECRET, &pairs[1].1).await.json()["unionid"].is_string());
}

#[tokio::test]
async fn l3_refusing_and_closing_return_with_an_error_and_no_code() {
    let bench = Bench::start().await;
    for (decision, error, errcode) in [
        ("refuse", "access_denied", "-4"),
        ("close", "cancelled", "-2"),
    ] {
        let expected = [
            pair("keep", "1"),
            pair("error", error),
            pair("errcode", errcode),
            pair("state", "a b&c"),
        ];
        assert_eq!(pairs(&decide(&bench, "lin", decision).await), expected);
    }
}

#[tokio::test]
async fn a_bad_request_is_explained_to_the_human_and_never_redirected() {
    let bench = Bench::start().await;
    for (appid, scope, back) in [
        ("wx<b>", "snsapi_userinfo", BACK),
        (APP, "snsapi_login", BACK),
        (APP, "snsapi_userinfo", "javascript:alert(1)"),
        (APP, "snsapi_userinfo", "data:text/html,x"),
        (APP, "snsapi_userinfo", "https://elsewhere.example/"),
        (
            APP,
            "snsapi_userinfo",
            "http://127.0.0.1.elsewhere.example/",
        ),
        (APP, "snsapi_userinfo", "not a url"),
    ] {
        let fields = [
            ("appid", appid),
            ("scope", scope),
            ("redirect_uri", back),
            ("person", "lin"),
            ("decision", "agree"),
        ];
        for reply in [
            page(&bench, &fields).await,
            read(form(&bench, &fields)).await,
        ] {
            assert_eq!(reply.status, 400, "{appid} {scope} {back}");
            assert!(reply.text.contains("无法打开页面") && !reply.text.contains("wx<b>"));
            assert!(reply.headers.get("location").is_none());
        }
    }
    for (person, decision) in [("nobody", "agree"), ("lin", "shrug"), ("lin", "")] {
        assert_eq!(decide(&bench, person, decision).await.status, 400);
    }
}

#[tokio::test]
async fn an_app_may_be_returned_to_by_its_own_scheme() {
    let bench = Bench::start().await;
    for back in [
        "com.example.bank://login",
        "wx5b1e0c6a7d000001://oauth",
        "http://demo.localhost:8080/x",
        "http://[::1]:80/",
    ] {
        let reply = page(
            &bench,
            &[
                ("appid", APP),
                ("scope", "snsapi_userinfo"),
                ("redirect_uri", back),
            ],
        )
        .await;
        assert_eq!(reply.status, 200, "{back}");
    }
}
