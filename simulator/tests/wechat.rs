//! WeChat's server calls and the app on the phone, quirks included.

#![allow(clippy::unwrap_used)]

mod common;

use common::{APP, Bench, OTHER_APP, OTHER_SECRET, SECRET, assert_errcode};
use reqwest::Method;
use serde_json::{Value, json};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn l3_consent_gives_a_code_that_becomes_tokens_as_text_plain() {
    let bench = Bench::start().await;
    let answer = bench
        .authorize(APP, "snsapi_userinfo", "lin", "agree")
        .await;
    assert_eq!(
        (&answer["errCode"], &answer["state"]),
        (&json!(0), &json!("s1"))
    );
    let reply = bench.exchange(APP, SECRET, text(&answer["code"])).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/plain")
    );
    let tokens = reply.json();
    assert_eq!(tokens["expires_in"], 7200);
    assert_eq!(tokens["scope"], "snsapi_userinfo");
    for name in ["openid", "unionid"] {
        assert_eq!(text(&tokens[name]).len(), 28);
    }
    assert!(tokens.get("errcode").is_none());
}

#[tokio::test]
async fn l3_refusing_is_minus_4_and_closing_is_minus_2_without_a_code() {
    let bench = Bench::start().await;
    for (decision, code) in [("refuse", -4), ("close", -2)] {
        let answer = bench
            .authorize(APP, "snsapi_userinfo", "lin", decision)
            .await;
        assert_eq!(answer, json!({ "errCode": code, "state": "s1" }));
    }
}

#[tokio::test]
async fn an_app_that_is_not_registered_gets_minus_4_at_once_and_an_unknown_scope_minus_1() {
    let bench = Bench::start().await;
    assert_eq!(
        bench
            .authorize("wx_unknown", "snsapi_userinfo", "lin", "agree")
            .await,
        json!({ "errCode": -4, "state": "s1" })
    );
    assert_eq!(
        bench
            .authorize(APP, "snsapi_everything", "lin", "agree")
            .await,
        json!({ "errCode": -1, "state": "s1" })
    );
}

#[tokio::test]
async fn nobody_authorizes_whom_wechat_does_not_know() {
    let bench = Bench::start().await;
    let without = bench
        .control(
            Method::POST,
            "/people",
            json!({ "kind": "unsigned", "wechat": false }),
        )
        .await
        .json();
    assert!(without.get("wechat_person").is_none());
    let body = json!({ "appid": APP, "scope": "snsapi_userinfo", "state": "s", "person": "nobody", "decision": "agree" });
    assert_eq!(
        bench
            .send(
                Method::POST,
                format!("{}/phone/authorize", bench.at().wechat),
                None,
                &body
            )
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn exchange_names_each_cause_with_its_own_errcode() {
    let bench = Bench::start().await;
    let code = bench.code("snsapi_userinfo", "lin").await;
    assert_errcode(&bench.exchange("wx_unknown", SECRET, &code).await, 40013);
    assert_errcode(&bench.exchange(APP, "wrong", &code).await, 40125);
    assert_errcode(&bench.exchange(APP, OTHER_SECRET, &code).await, 40125);
    assert_errcode(&bench.exchange(APP, SECRET, "0815").await, 40029);
    assert_errcode(&bench.exchange(OTHER_APP, OTHER_SECRET, &code).await, 40029);
    assert_errcode(
        &bench
            .sns(
                "oauth2/access_token",
                &[("appid", APP), ("secret", SECRET), ("code", &code)],
            )
            .await,
        40002,
    );
    for (without, errcode) in [("appid", 41002), ("secret", 41004), ("code", 41008)] {
        let all = [
            ("appid", APP),
            ("secret", SECRET),
            ("code", &*code),
            ("grant_type", "authorization_code"),
        ];
        let some: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| *name != without)
            .collect();
        assert_errcode(&bench.sns("oauth2/access_token", &some).await, errcode);
    }
    // None of these used the code up.
    assert!(bench.exchange(APP, SECRET, &code).await.json()["openid"].is_string());
    assert_errcode(&bench.exchange(APP, SECRET, &code).await, 40163);
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    let bench = Bench::start().await;
    let (early, late) = (
        bench.code("snsapi_userinfo", "lin").await,
        bench.code("snsapi_userinfo", "lin").await,
    );
    bench.clock.advance(299);
    assert!(bench.exchange(APP, SECRET, &early).await.json()["openid"].is_string());
    bench.clock.advance(1);
    assert_errcode(&bench.exchange(APP, SECRET, &late).await, 42003);
}

#[tokio::test]
async fn expire_codes_ends_the_codes_given_so_far_and_no_later_one() {
    let bench = Bench::start().await;
    let before = bench.code("snsapi_userinfo", "lin").await;
    bench
        .fault(json!({ "party": "wechat", "fault": { "kind": "expire_codes" } }))
        .await;
    assert_errcode(&bench.exchange(APP, SECRET, &before).await, 42003);
    let after = bench.code("snsapi_userinfo", "lin").await;
    assert!(bench.exchange(APP, SECRET, &after).await.json()["openid"].is_string());
}

#[tokio::test]
async fn w1_open_ids_differ_by_app_and_w5_the_union_id_is_shared() {
    let bench = Bench::start().await;
    let here = bench.tokens("snsapi_userinfo", "lin").await;
    let code = bench
        .authorize(OTHER_APP, "snsapi_userinfo", "lin", "agree")
        .await;
    let there = bench
        .exchange(OTHER_APP, OTHER_SECRET, text(&code["code"]))
        .await
        .json();
    assert_ne!(here["openid"], there["openid"]);
    assert_eq!(here["unionid"], there["unionid"]);
    assert_eq!(
        bench.tokens("snsapi_userinfo", "lin").await["openid"],
        here["openid"]
    );
    assert_ne!(
        bench.tokens("snsapi_userinfo", "chen").await["unionid"],
        here["unionid"]
    );
}

#[tokio::test]
async fn w2_the_union_id_is_missing_for_a_person_without_one_and_for_the_base_scope() {
    let bench = Bench::start().await;
    let zhao = bench.tokens("snsapi_userinfo", "zhao").await;
    assert!(zhao["openid"].is_string() && zhao.get("unionid").is_none());
    let (token, open_id) = (text(&zhao["access_token"]), text(&zhao["openid"]));
    let profile = bench
        .sns("userinfo", &[("access_token", token), ("openid", open_id)])
        .await
        .json();
    assert!(profile["nickname"].is_string() && profile.get("unionid").is_none());
    let base = bench.tokens("snsapi_base", "lin").await;
    assert_eq!(base["scope"], "snsapi_base");
    assert!(base["openid"].is_string() && base.get("unionid").is_none());
}

#[tokio::test]
async fn m3_userinfo_gives_the_profile_in_the_language_asked_for() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("snsapi_userinfo", "lin").await;
    let known = [
        ("access_token", text(&tokens["access_token"])),
        ("openid", text(&tokens["openid"])),
    ];
    let reply = bench
        .sns("userinfo", &[&known[..], &[("lang", "zh_CN")]].concat())
        .await;
    assert_eq!(reply.header("content-type"), "text/plain");
    let profile = reply.json();
    assert_eq!(
        (&profile["nickname"], &profile["country"]),
        (&json!("林晓"), &json!("中国"))
    );
    assert_eq!(
        (&profile["openid"], &profile["unionid"]),
        (&tokens["openid"], &tokens["unionid"])
    );
    assert_eq!(
        (&profile["sex"], &profile["privilege"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(bench.sns("userinfo", &known).await.json()["country"], "CN");
    let avatar = bench.get(text(&profile["headimgurl"]).to_owned()).await;
    assert_eq!(
        (avatar.status, avatar.header("content-type")),
        (200, "image/svg+xml")
    );
    assert!(avatar.text.contains('林'));
}

#[tokio::test]
async fn m3_userinfo_without_its_scope_is_48001() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("snsapi_base", "lin").await;
    let known = [
        ("access_token", text(&tokens["access_token"])),
        ("openid", text(&tokens["openid"])),
    ];
    assert_errcode(&bench.sns("userinfo", &known).await, 48001);
    assert_errcode(&bench.sns("auth", &known).await, 0);
}

#[tokio::test]
async fn userinfo_and_auth_refuse_bad_tokens_and_open_ids_of_others() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("snsapi_userinfo", "lin").await;
    let (token, open_id) = (text(&tokens["access_token"]), text(&tokens["openid"]));
    let unknown = format!("{}A", &token[..token.len() - 1]);
    let unknown = if unknown == token {
        format!("{}B", &token[..token.len() - 1])
    } else {
        unknown
    };
    for path in ["userinfo", "auth"] {
        assert_errcode(
            &bench
                .sns(path, &[("access_token", "nonsense"), ("openid", open_id)])
                .await,
            40014,
        );
        assert_errcode(
            &bench
                .sns(path, &[("access_token", &unknown), ("openid", open_id)])
                .await,
            40001,
        );
        assert_errcode(
            &bench
                .sns(path, &[("access_token", token), ("openid", "oNobody")])
                .await,
            40003,
        );
        assert_errcode(&bench.sns(path, &[("openid", open_id)]).await, 41001);
        assert_errcode(&bench.sns(path, &[("access_token", token)]).await, 41009);
    }
    assert_errcode(
        &bench
            .sns("auth", &[("access_token", token), ("openid", open_id)])
            .await,
        0,
    );
    bench.clock.advance(7200);
    for path in ["userinfo", "auth"] {
        assert_errcode(
            &bench
                .sns(path, &[("access_token", token), ("openid", open_id)])
                .await,
            42001,
        );
    }
}

async fn refresh(bench: &Bench, app: &str, token: &str) -> common::Reply {
    bench
        .sns(
            "oauth2/refresh_token",
            &[
                ("appid", app),
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
            ],
        )
        .await
}

#[tokio::test]
async fn refreshing_keeps_and_prolongs_a_valid_access_token_and_replaces_an_expired_one() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("snsapi_userinfo", "lin").await;
    let (token, open_id, refresh_token) = (
        text(&tokens["access_token"]),
        text(&tokens["openid"]),
        text(&tokens["refresh_token"]),
    );
    bench.clock.advance(7000);
    let kept = refresh(&bench, APP, refresh_token).await.json();
    assert_eq!(
        (&kept["access_token"], &kept["expires_in"], &kept["openid"]),
        (&tokens["access_token"], &json!(7200), &tokens["openid"])
    );
    bench.clock.advance(7000);
    assert_errcode(
        &bench
            .sns("auth", &[("access_token", token), ("openid", open_id)])
            .await,
        0,
    );
    bench.clock.advance(200);
    let new = refresh(&bench, APP, refresh_token).await.json();
    assert_ne!(new["access_token"], tokens["access_token"]);
    assert_errcode(
        &bench
            .sns("auth", &[("access_token", token), ("openid", open_id)])
            .await,
        40001,
    );
    assert_errcode(
        &bench
            .sns(
                "auth",
                &[
                    ("access_token", text(&new["access_token"])),
                    ("openid", open_id),
                ],
            )
            .await,
        0,
    );
}

#[tokio::test]
async fn refreshing_names_each_cause_with_its_own_errcode() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("snsapi_userinfo", "lin").await;
    let refresh_token = text(&tokens["refresh_token"]);
    assert_errcode(&refresh(&bench, "wx_unknown", refresh_token).await, 40013);
    assert_errcode(&refresh(&bench, APP, "nonsense").await, 40030);
    assert_errcode(
        &refresh(&bench, APP, text(&tokens["access_token"])).await,
        40030,
    );
    assert_errcode(&refresh(&bench, OTHER_APP, refresh_token).await, 40030);
    assert_errcode(&refresh(&bench, APP, "").await, 41003);
    assert_errcode(
        &bench
            .sns(
                "oauth2/refresh_token",
                &[("appid", APP), ("refresh_token", refresh_token)],
            )
            .await,
        40002,
    );
    // Control's clock does what the injected one does, for whoever runs the binary.
    let moved = bench
        .control(
            Method::POST,
            "/clock",
            json!({ "advance_seconds": 30 * 24 * 3600 }),
        )
        .await;
    assert_eq!(moved.json()["now"], 1_700_000_000_u64 + 30 * 24 * 3600);
    assert_errcode(&refresh(&bench, APP, refresh_token).await, 42002);
}

#[tokio::test]
async fn any_errcode_can_be_injected_for_a_path_and_a_number_of_times() {
    let bench = Bench::start().await;
    let code = bench.code("snsapi_userinfo", "lin").await;
    for errcode in [-1, 40226, 45011] {
        bench.fault(json!({ "party": "wechat", "path": "/sns/oauth2/access_token", "fault": { "kind": "errcode", "errcode": errcode }, "times": 1 })).await;
    }
    bench.fault(json!({ "party": "wechat", "path": "/sns/userinfo", "fault": { "kind": "errcode", "errcode": 7, "errmsg": "mine" } })).await;
    for errcode in [-1, 40226, 45011] {
        assert_errcode(&bench.exchange(APP, SECRET, &code).await, errcode);
    }
    assert!(bench.exchange(APP, SECRET, &code).await.json()["openid"].is_string());
    assert_eq!(
        bench.sns("userinfo", &[]).await.json(),
        json!({ "errcode": 7, "errmsg": "mine" })
    );
}

#[tokio::test]
async fn only_get_reaches_the_server_calls_and_other_paths_do_not_exist() {
    let bench = Bench::start().await;
    let at = &bench.at().wechat;
    assert_eq!(
        bench
            .send(Method::POST, format!("{at}/sns/userinfo"), None, &json!({}))
            .await
            .status,
        405
    );
    assert_eq!(bench.get(format!("{at}/sns/nothing")).await.status, 404);
}

const MINI_PROGRAM: (&str, &str) = ("wx5b1e0c6a7d000003", "simulator-secret-of-app-3");
const OFFICIAL_ACCOUNT: (&str, &str) = ("wx5b1e0c6a7d000004", "simulator-secret-of-app-4");

async fn mini_program_code(bench: &Bench, person: &str) -> String {
    let url = format!("{}/phone/login", bench.at().wechat);
    let body = json!({ "appid": MINI_PROGRAM.0, "person": person });
    let answer = bench.send(Method::POST, url, None, &body).await.json();
    assert_eq!(answer["errMsg"], "login:ok");
    text(&answer["code"]).to_owned()
}

async fn session(bench: &Bench, (appid, secret): (&str, &str), code: &str) -> Value {
    let url = format!(
        "{}/sns/jscode2session?appid={appid}&secret={secret}&js_code={code}&grant_type=authorization_code",
        bench.at().wechat
    );
    let reply = bench.get(url).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/plain")
    );
    reply.json()
}

#[tokio::test]
async fn m3_a_mini_programs_code_gives_a_session_and_the_union_id_without_a_page() {
    let bench = Bench::start().await;
    let code = mini_program_code(&bench, "lin").await;
    let given = session(&bench, MINI_PROGRAM, &code).await;
    assert_eq!(text(&given["session_key"]).len(), 24);
    assert_eq!(text(&given["openid"]).len(), 28);
    // W5: the same union id as the bank's app is told with consent.
    let app = bench
        .authorize(APP, "snsapi_userinfo", "lin", "agree")
        .await;
    let tokens = bench.exchange(APP, SECRET, text(&app["code"])).await.json();
    assert_eq!(given["unionid"], tokens["unionid"]);
    assert_ne!(given["openid"], tokens["openid"]);
    assert_eq!(session(&bench, MINI_PROGRAM, &code).await["errcode"], 40163);
    // W2: somebody without a union id.
    let code = mini_program_code(&bench, "zhao").await;
    assert!(
        session(&bench, MINI_PROGRAM, &code)
            .await
            .get("unionid")
            .is_none()
    );
    let code = mini_program_code(&bench, "lin").await;
    bench.clock.advance(300);
    assert_eq!(session(&bench, MINI_PROGRAM, &code).await["errcode"], 42003);
}

#[tokio::test]
async fn codes_of_one_kind_of_app_are_worth_nothing_at_the_calls_of_another() {
    let bench = Bench::start().await;
    let code = mini_program_code(&bench, "lin").await;
    assert_errcode(
        &bench.exchange(MINI_PROGRAM.0, MINI_PROGRAM.1, &code).await,
        40013,
    );
    assert_eq!(
        session(&bench, (APP, SECRET), &code).await["errcode"],
        40013
    );
    let wrong = (MINI_PROGRAM.0, "wrong");
    assert_eq!(session(&bench, wrong, &code).await["errcode"], 40125);
    assert_eq!(
        session(&bench, MINI_PROGRAM, "unknown").await["errcode"],
        40029
    );
    let answer = bench
        .authorize(MINI_PROGRAM.0, "snsapi_userinfo", "lin", "agree")
        .await;
    assert_eq!(answer["errCode"], -4);
}

#[tokio::test]
async fn w4_a_web_page_with_snsapi_base_shows_no_page_and_is_told_the_open_id_alone() {
    let bench = Bench::start().await;
    let (appid, secret) = OFFICIAL_ACCOUNT;
    let silent = bench.authorize(appid, "snsapi_base", "lin", "refuse").await;
    assert_eq!(silent["errCode"], 0);
    let tokens = bench
        .exchange(appid, secret, text(&silent["code"]))
        .await
        .json();
    assert_eq!(tokens["scope"], "snsapi_base");
    assert!(tokens.get("unionid").is_none());
    let refused = bench
        .authorize(appid, "snsapi_userinfo", "lin", "refuse")
        .await;
    assert_eq!(refused["errCode"], -4);
    let agreed = bench
        .authorize(appid, "snsapi_userinfo", "lin", "agree")
        .await;
    let full = bench
        .exchange(appid, secret, text(&agreed["code"]))
        .await
        .json();
    assert_eq!(full["openid"], tokens["openid"]);
    assert_eq!(text(&full["unionid"]).len(), 28);
}
