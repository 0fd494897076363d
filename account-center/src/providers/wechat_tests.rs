#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::ports::OutboundSettings;
use crate::testing::HttpDouble;

fn app() -> ProviderApp {
    ProviderApp {
        app_id: "wx1".into(),
        secret: "the-app-secret".into(),
        platform: "op1".into(),
        ..ProviderApp::default()
    }
}

fn mini_program() -> ProviderApp {
    ProviderApp {
        kind: AppKind::MiniProgram,
        ..app()
    }
}

fn grant() -> Value {
    json!({"access_token": "AT", "expires_in": 7200, "refresh_token": "RT", "openid": "o1", "scope": "snsapi_userinfo", "unionid": "u1"})
}

fn user() -> Value {
    json!({"openid": "o1", "nickname": "小明", "sex": 1, "headimgurl": "https://thirdwx.qlogo.cn/1", "privilege": [], "unionid": "u1"})
}

/// A WeChat that answers the two calls so; counts the calls.
async fn exchange(
    token: Value,
    info: Value,
) -> (Result<ProviderIdentity, ExchangeError>, u32, u32) {
    let calls = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let seen = Arc::clone(&calls);
    let double = HttpDouble::start(move |asked| {
        let reply = if asked.target.starts_with("/sns/oauth2/access_token?") {
            seen.0.fetch_add(1, Ordering::SeqCst);
            assert_eq!(asked.query("appid").as_deref(), Some("wx1"));
            assert_eq!(asked.query("secret").as_deref(), Some("the-app-secret"));
            assert_eq!(asked.query("code").as_deref(), Some("the-code"));
            assert_eq!(
                asked.query("grant_type").as_deref(),
                Some("authorization_code")
            );
            &token
        } else if asked.target.starts_with("/sns/auth?") {
            &json!({"errcode": 40003, "errmsg": "invalid openid"})
        } else {
            assert!(asked.target.starts_with("/sns/userinfo?"));
            seen.1.fetch_add(1, Ordering::SeqCst);
            assert_eq!(asked.query("access_token").as_deref(), Some("AT"));
            assert_eq!(asked.query("openid").as_deref(), Some("o1"));
            &info
        };
        (
            200,
            reply
                .as_str()
                .map_or_else(|| reply.to_string(), str::to_owned),
        )
    })
    .await;
    let result = connector(&double)
        .exchange(&app(), &"the-code".into())
        .await;
    (
        result,
        calls.0.load(Ordering::SeqCst),
        calls.1.load(Ordering::SeqCst),
    )
}

fn connector(double: &HttpDouble) -> WeChat {
    at(double.url())
}

fn at(base: Url) -> WeChat {
    let settings = ApiSettings {
        base,
        pause: Duration::from_millis(1),
    };
    WeChat::new(
        settings,
        Outbound::new(&OutboundSettings::default()).unwrap(),
    )
}

#[tokio::test]
async fn w1_a_code_becomes_open_id_union_id_and_profile() {
    let (identity, ..) = exchange(grant(), user()).await;
    let identity = identity.unwrap();
    assert_eq!(
        (
            identity.provider.as_str(),
            identity.platform.as_str(),
            identity.app_id.as_str()
        ),
        ("wechat", "op1", "wx1")
    );
    assert_eq!(
        (identity.open_id.as_str(), identity.subject.as_deref()),
        ("o1", Some("u1"))
    );
    assert_eq!(identity.profile.nickname.as_deref(), Some("小明"));
    let shown = format!("{identity:?}");
    assert!(
        !shown.contains("o1") && !shown.contains("u1") && !shown.contains("小明"),
        "{shown}"
    );
}

#[tokio::test]
async fn w2_the_union_id_may_come_from_either_reply_or_from_none() {
    let mut without = grant();
    without.as_object_mut().unwrap().remove("unionid");
    assert_eq!(
        exchange(without.clone(), user())
            .await
            .0
            .unwrap()
            .subject
            .as_deref(),
        Some("u1")
    );
    let (identity, ..) = exchange(without, json!({"openid": "o1", "nickname": "x"})).await;
    assert_eq!(identity.unwrap().subject, None);
}

#[tokio::test]
async fn m3_without_the_scope_no_profile_is_asked_for() {
    let base = json!({"access_token": "AT", "openid": "o1", "scope": "snsapi_base"});
    let (identity, _, asked) = exchange(base, user()).await;
    assert_eq!((identity.unwrap().subject, asked), (None, 0));
}

#[tokio::test]
async fn every_error_code_of_the_token_call_has_its_meaning() {
    let kind = |error: &ExchangeError| match error {
        ExchangeError::CredentialInvalid(_) => "code_invalid",
        ExchangeError::ConsentIncomplete(_) => "consent_incomplete",
        ExchangeError::Misconfigured(_) => "misconfigured",
        ExchangeError::Unavailable(_) => "unavailable",
    };
    for (code, expected, calls) in [
        (40029, "code_invalid", 1),
        (40163, "code_invalid", 1),
        (42003, "code_invalid", 1),
        (40226, "code_invalid", 1),
        (48001, "consent_incomplete", 1),
        (40013, "misconfigured", 1),
        (40125, "misconfigured", 1),
        (40001, "misconfigured", 1),
        (99999, "misconfigured", 1),
        (45011, "unavailable", 1),
        (-1, "unavailable", 3),
    ] {
        let (result, asked, _) = exchange(json!({"errcode": code, "errmsg": "x"}), user()).await;
        assert_eq!(
            (kind(&result.unwrap_err()), asked),
            (expected, calls),
            "{code}"
        );
    }
}

#[tokio::test]
async fn every_error_code_of_the_profile_call_has_its_meaning() {
    let mut without = grant();
    without.as_object_mut().unwrap().remove("unionid");
    for (code, expected) in [
        (
            48001,
            ExchangeError::ConsentIncomplete("errcode 48001".into()),
        ),
        (
            40001,
            ExchangeError::CredentialInvalid("errcode 40001".into()),
        ),
        (
            40014,
            ExchangeError::CredentialInvalid("errcode 40014".into()),
        ),
        (-1, ExchangeError::Unavailable("errcode -1".into())),
    ] {
        let (result, asked, _) = exchange(without.clone(), json!({"errcode": code})).await;
        assert_eq!((result, asked), (Err(expected), 1));
    }
}

#[tokio::test]
async fn m6_a_profile_that_cannot_be_had_stops_nobody_whose_union_id_is_known() {
    for info in [
        json!({"errcode": -1}),
        json!({"errcode": 40014}),
        json!("<html>busy</html>"),
    ] {
        let (identity, _, asked) = exchange(grant(), info.clone()).await;
        let identity = identity.unwrap();
        assert_eq!(
            (identity.subject.as_deref(), identity.profile),
            (Some("u1"), Profile::default())
        );
        assert_eq!(
            asked,
            if info == json!({"errcode": 40014}) {
                1
            } else {
                3
            }
        );
    }
}

#[tokio::test]
async fn a_busy_wechat_is_asked_again_and_a_lost_code_is_not_sent_twice() {
    let count = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&count);
    let double = HttpDouble::start(move |asked| {
        if asked.target.starts_with("/sns/userinfo") {
            return (200, user().to_string());
        }
        let busy = seen.fetch_add(1, Ordering::SeqCst) == 0;
        (
            200,
            if busy {
                json!({"errcode": -1})
            } else {
                grant()
            }
            .to_string(),
        )
    })
    .await;
    assert!(
        connector(&double)
            .exchange(&app(), &"c".into())
            .await
            .is_ok()
    );
    assert_eq!(count.load(Ordering::SeqCst), 2);

    for (status, body) in [
        (200, "DROP"),
        (200, "<html>"),
        (502, ""),
        (200, "{}"),
        (200, "[]"),
    ] {
        let count = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&count);
        let double = HttpDouble::start(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            (status, body.to_owned())
        })
        .await;
        let error = connector(&double)
            .exchange(&app(), &"c".into())
            .await
            .unwrap_err();
        assert!(matches!(error, ExchangeError::Unavailable(_)), "{error:?}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{body}");
    }
}

#[tokio::test]
async fn a_profile_of_somebody_else_is_no_identity() {
    let mut other = user();
    other["openid"] = json!("o2");
    assert!(matches!(
        exchange(grant(), other).await.0,
        Err(ExchangeError::Unavailable(_))
    ));
}

#[tokio::test]
async fn what_cannot_be_a_code_is_not_sent() {
    let double = HttpDouble::start(|_| panic!("not asked")).await;
    for code in ["", " ", "a b", "a\nb", "码", &"x".repeat(257)] {
        let error = connector(&double)
            .exchange(&app(), &code.into())
            .await
            .unwrap_err();
        assert!(matches!(error, ExchangeError::CredentialInvalid(_)));
    }
}

#[tokio::test]
async fn odd_profiles_are_made_fit_to_show() {
    let odd = json!({"openid": "o1", "nickname": "a\u{0}\n".to_owned() + &"名".repeat(500), "headimgurl": "javascript:alert(1)"});
    let profile = exchange(grant(), odd).await.0.unwrap().profile;
    assert_eq!(profile.nickname.unwrap().chars().count(), 64);
    assert_eq!(profile.avatar_url, None);
}

#[tokio::test]
async fn neither_errors_nor_debug_show_the_secret_or_the_code() {
    let wechat = at("http://127.0.0.1:9".parse().unwrap());
    let error = wechat
        .exchange(&app(), &"the-code".into())
        .await
        .unwrap_err();
    let shown = format!("{error:?} {error} {:?} {:?}", wechat, app());
    assert!(
        !shown.contains("the-app-secret") && !shown.contains("the-code"),
        "{shown}"
    );
}

type Script = Vec<(&'static str, Vec<&'static str>)>;

/// A WeChat that answers by path: the n-th answer to the n-th call of it, the last one for ever after.
async fn scripted(script: Script) -> (HttpDouble, Arc<Vec<AtomicU32>>) {
    let calls: Arc<Vec<AtomicU32>> = Arc::new(script.iter().map(|_| AtomicU32::new(0)).collect());
    let seen = Arc::clone(&calls);
    let double = HttpDouble::start(move |asked| {
        let path = asked.target.split('?').next().unwrap();
        let place = script.iter().position(|(known, _)| *known == path).unwrap();
        let count = seen[place].fetch_add(1, Ordering::SeqCst);
        let answers = &script[place].1;
        let answer = answers[usize::try_from(count).unwrap().min(answers.len() - 1)];
        (200, answer.to_owned())
    })
    .await;
    (double, calls)
}

const TOKEN: &str = "/sns/oauth2/access_token";
const REFRESH: &str = "/sns/oauth2/refresh_token";
const INFO: &str = "/sns/userinfo";
const TOKENS: &str =
    r#"{"access_token":"AT","refresh_token":"RT","openid":"o1","scope":"snsapi_userinfo"}"#;
const USER: &str = r#"{"openid":"o1","nickname":"x","unionid":"u1"}"#;

#[tokio::test]
async fn m6_a_token_that_wechat_calls_expired_is_refreshed_and_one_that_it_does_not_know_is_asked_about()
 {
    for (doubt, path, remedy) in [
        (
            r#"{"errcode":42001}"#,
            "/sns/oauth2/refresh_token",
            r#"{"access_token":"AT2","openid":"o1","scope":"snsapi_userinfo"}"#,
        ),
        (
            r#"{"errcode":40001}"#,
            "/sns/auth",
            r#"{"errcode":0,"errmsg":"ok"}"#,
        ),
        (
            r#"{"errcode":40014}"#,
            "/sns/auth",
            r#"{"errcode":0,"errmsg":"ok"}"#,
        ),
    ] {
        let calls = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&calls);
        let double = HttpDouble::start(move |asked| {
            let reply = if asked.target.starts_with("/sns/oauth2/access_token?") {
                TOKENS
            } else if asked.target.starts_with(path) {
                if path == "/sns/oauth2/refresh_token" {
                    assert_eq!(asked.query("refresh_token").as_deref(), Some("RT"));
                    assert_eq!(asked.query("appid").as_deref(), Some("wx1"));
                    assert_eq!(asked.query("secret"), None);
                }
                remedy
            } else {
                assert!(asked.target.starts_with("/sns/userinfo?"));
                let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
                let expected = if path == "/sns/auth" || first {
                    "AT"
                } else {
                    "AT2"
                };
                assert_eq!(asked.query("access_token").as_deref(), Some(expected));
                if first { doubt } else { USER }
            };
            (200, reply.to_owned())
        })
        .await;
        let identity = connector(&double)
            .exchange(&app(), &"c".into())
            .await
            .unwrap();
        assert_eq!(identity.subject.as_deref(), Some("u1"), "{doubt}");
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_doubt_that_stays_ends_the_exchange_and_is_not_asked_about_twice() {
    let expired = r#"{"errcode":42001}"#;
    // Refreshed and still refused; the refresh token unknown; too old: what was said of the access token stands.
    for (refreshed, asked) in [
        (TOKENS, 2),
        (r#"{"errcode":40030}"#, 1),
        (r#"{"errcode":42002}"#, 1),
    ] {
        let (double, calls) = scripted(vec![
            (TOKEN, vec![TOKENS]),
            (INFO, vec![expired]),
            (REFRESH, vec![refreshed]),
        ])
        .await;
        assert_eq!(
            connector(&double).exchange(&app(), &"c".into()).await,
            Err(ExchangeError::CredentialInvalid("errcode 42001".into()))
        );
        assert_eq!(calls[1].load(Ordering::SeqCst), asked);
        assert_eq!(calls[2].load(Ordering::SeqCst), 1);
    }
    let other = r#"{"access_token":"AT2","openid":"o2","scope":"snsapi_userinfo"}"#;
    let (double, _) = scripted(vec![
        (TOKEN, vec![TOKENS]),
        (INFO, vec![expired]),
        (REFRESH, vec![other]),
    ])
    .await;
    assert!(matches!(
        connector(&double).exchange(&app(), &"c".into()).await,
        Err(ExchangeError::Unavailable(_))
    ));
}

async fn of_mini_program(reply: &'static str) -> (Result<ProviderIdentity, ExchangeError>, u32) {
    let count = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&count);
    let double = HttpDouble::start(move |asked| {
        seen.fetch_add(1, Ordering::SeqCst);
        assert_eq!(
            asked.target,
            "/sns/jscode2session?appid=wx1&secret=the-app-secret&js_code=the-code&grant_type=authorization_code"
        );
        (200, reply.to_owned())
    })
    .await;
    let result = connector(&double)
        .exchange(&mini_program(), &"the-code".into())
        .await;
    (result, count.load(Ordering::SeqCst))
}

#[tokio::test]
async fn m3_a_mini_programs_code_names_the_person_without_a_page_and_its_session_key_goes_nowhere()
{
    let reply = r#"{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o1","unionid":"u1"}"#;
    let identity = of_mini_program(reply).await.0.unwrap();
    assert_eq!(
        (
            identity.open_id.as_str(),
            identity.subject.as_deref(),
            identity.platform.as_str()
        ),
        ("o1", Some("u1"), "op1")
    );
    assert!(!serde_json::to_string(&identity).unwrap().contains("tiiht"));
    // W2: of an app without an open-platform account the open id alone.
    let alone = of_mini_program(r#"{"session_key":"k","openid":"o1"}"#)
        .await
        .0
        .unwrap();
    assert_eq!((alone.open_id.as_str(), alone.subject), ("o1", None));
}

#[tokio::test]
async fn every_error_code_of_a_mini_programs_code_has_its_meaning() {
    for (reply, expected, calls) in [
        (r#"{"errcode":40029}"#, "CredentialInvalid", 1),
        (r#"{"errcode":40163}"#, "CredentialInvalid", 1),
        (r#"{"errcode":42003}"#, "CredentialInvalid", 1),
        (r#"{"errcode":40226}"#, "CredentialInvalid", 1),
        (r#"{"errcode":45011}"#, "Unavailable", 1),
        (r#"{"errcode":-1}"#, "Unavailable", 3),
        (r#"{"errcode":40013}"#, "Misconfigured", 1),
        (r#"{"errcode":40125}"#, "Misconfigured", 1),
        // No session, no identity.
        (r#"{"openid":"o1","unionid":"u1"}"#, "Unavailable", 1),
        (r#"{"session_key":"k"}"#, "Unavailable", 1),
        (r#"{"errcode":"x","openid":"o1"}"#, "Unavailable", 1),
        (
            r#"{"openid":"o1","openid":"o2","session_key":"k"}"#,
            "Unavailable",
            1,
        ),
    ] {
        let (result, asked) = of_mini_program(reply).await;
        let error = format!("{:?}", result.unwrap_err());
        assert!(
            error.starts_with(expected) && asked == calls,
            "{reply}: {error}"
        );
    }
}

#[tokio::test]
async fn w4_a_web_page_is_told_the_open_id_alone_or_with_consent_the_rest() {
    let web = ProviderApp {
        kind: AppKind::Web,
        ..app()
    };
    let base = r#"{"access_token":"AT","openid":"o1","scope":"snsapi_base"}"#;
    let (double, _) = scripted(vec![(TOKEN, vec![base])]).await;
    let silent = connector(&double)
        .exchange(&web, &"c".into())
        .await
        .unwrap();
    assert_eq!((silent.open_id.as_str(), silent.subject), ("o1", None));
    let (double, _) = scripted(vec![(TOKEN, vec![TOKENS]), (INFO, vec![USER])]).await;
    let asked = connector(&double)
        .exchange(&web, &"c".into())
        .await
        .unwrap();
    assert_eq!(asked.subject.as_deref(), Some("u1"));
    // A page that WeChat shows as a snapshot: the open id is nobody's.
    let nobody = r#"{"access_token":"AT","openid":"o9","scope":"snsapi_base","is_snapshotuser":1}"#;
    let (double, _) = scripted(vec![(TOKEN, vec![nobody])]).await;
    assert!(matches!(
        connector(&double).exchange(&web, &"c".into()).await,
        Err(ExchangeError::ConsentIncomplete(_))
    ));
}
