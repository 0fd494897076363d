#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::ports::OutboundSettings;
use crate::testing::HttpDouble;

fn app() -> ProviderApp {
    ProviderApp {
        app_id: "3100".into(),
        secret: "the-app-secret".into(),
        platform: String::new(),
        redirect_uri: "https://bank.example/back".into(),
        ..ProviderApp::default()
    }
}

fn grant() -> String {
    json!({"access_token": "2.00AT", "expires_in": 2_592_000, "remind_in": "2592000", "uid": "1404376560"}).to_string()
}

fn info() -> String {
    json!({"uid": 1_404_376_560, "appkey": "3100", "scope": null, "create_at": 1, "expire_in": 2_592_000}).to_string()
}

fn user() -> String {
    json!({"id": 1_404_376_560, "idstr": "1404376560", "screen_name": "小明", "profile_image_url": "https://tvax.sinaimg.cn/50", "avatar_large": "https://tvax.sinaimg.cn/180"}).to_string()
}

fn error(code: i64) -> String {
    json!({"error": "e", "error_code": code, "error_description": "d"}).to_string()
}

type Answer = (u16, String);

fn ok(text: String) -> Answer {
    (200, text)
}

/// A Weibo that answers its three calls so; how often each was asked.
async fn exchange_counted(
    token: Answer,
    info: Answer,
    user: Answer,
) -> (Result<ProviderIdentity, ExchangeError>, [u32; 3]) {
    let calls: Arc<[AtomicU32; 3]> = Arc::default();
    let seen = Arc::clone(&calls);
    let double = HttpDouble::start(move |asked| {
        let (place, reply) = if asked.target == "/oauth2/access_token" {
            let form = asked.form();
            let expected = [
                ("client_id", "3100"),
                ("client_secret", "the-app-secret"),
                ("grant_type", "authorization_code"),
                ("code", "the-code"),
                ("redirect_uri", "https://bank.example/back"),
            ];
            assert_eq!(form, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
            (0, &token)
        } else if asked.target == "/oauth2/get_token_info" {
            assert_eq!(
                asked.form(),
                [("access_token".to_owned(), "2.00AT".to_owned())]
            );
            (1, &info)
        } else {
            assert_eq!(
                asked.target,
                "/2/users/show.json?access_token=2.00AT&uid=1404376560"
            );
            (2, &user)
        };
        seen[place].fetch_add(1, Ordering::SeqCst);
        reply.clone()
    })
    .await;
    let result = weibo(&double, &OutboundSettings::default())
        .exchange(&app(), &"the-code".into())
        .await;
    let counts = [0, 1, 2].map(|place: usize| calls[place].load(Ordering::SeqCst));
    (result, counts)
}

async fn exchange(
    token: Answer,
    info: Answer,
    user: Answer,
) -> Result<ProviderIdentity, ExchangeError> {
    exchange_counted(token, info, user).await.0
}

fn weibo(double: &HttpDouble, settings: &OutboundSettings) -> Weibo {
    let api = ApiSettings {
        base: double.url(),
        pause: Duration::from_millis(1),
    };
    Weibo::new(api, Outbound::new(settings).unwrap())
}

#[tokio::test]
async fn w2_the_uid_is_the_lasting_subject_and_the_same_in_every_app() {
    let identity = exchange(ok(grant()), ok(info()), ok(user())).await.unwrap();
    assert_eq!(identity.subject.as_deref(), Some("1404376560"));
    assert_eq!(
        (
            identity.provider.as_str(),
            identity.platform.as_str(),
            identity.app_id.as_str(),
            identity.open_id.as_str()
        ),
        ("weibo", "weibo.com", "3100", "1404376560")
    );
    let shown = (identity.profile.nickname, identity.profile.avatar_url);
    assert_eq!(
        shown,
        (
            Some("小明".to_owned()),
            Some("https://tvax.sinaimg.cn/180".to_owned())
        )
    );
}

#[tokio::test]
async fn a_token_of_another_app_or_person_or_that_is_over_opens_nothing() {
    for (uid, appkey, left) in [
        (1_404_376_560_u64, "3101", 100),
        (1_404_376_561, "3100", 100),
        (1_404_376_560, "3100", 0),
        (1_404_376_560, "3100", -5),
    ] {
        let info = json!({"uid": uid, "appkey": appkey, "expire_in": left}).to_string();
        let result = exchange(ok(grant()), ok(info), ok(user())).await;
        assert!(
            matches!(result, Err(ExchangeError::CredentialInvalid(_))),
            "{uid} {appkey} {left}: {result:?}"
        );
    }
    // The app key as a number, as Weibo's documents have it.
    let info = json!({"uid": "1404376560", "appkey": 3100, "expire_in": 1}).to_string();
    assert!(exchange(ok(grant()), ok(info), ok(user())).await.is_ok());
}

#[tokio::test]
async fn each_error_code_has_its_meaning_whatever_the_status() {
    for (code, expected) in [
        (21_325, "credential"),
        (21_327, "credential"),
        (21_332, "credential"),
        (21_315, "credential"),
        (21_330, "consent"),
        (21_322, "setup"),
        (21_323, "setup"),
        (21_324, "setup"),
        (21_338, "setup"),
        (10_006, "setup"),
        (99_999, "setup"),
        (21_331, "unavailable"),
        (10_001, "unavailable"),
        (10_009, "unavailable"),
        (10_023, "unavailable"),
    ] {
        for status in [200, 400, 401, 403] {
            let result = exchange((status, error(code)), ok(info()), ok(user())).await;
            let found = match result.unwrap_err() {
                ExchangeError::CredentialInvalid(_) => "credential",
                ExchangeError::ConsentIncomplete(_) => "consent",
                ExchangeError::Misconfigured(_) => "setup",
                ExchangeError::Unavailable(_) => "unavailable",
            };
            assert_eq!(found, expected, "{code} {status}");
        }
    }
}

#[tokio::test]
async fn a_code_is_sent_again_only_where_weibo_did_nothing_with_it() {
    let (_, calls) = exchange_counted((403, error(10_009)), ok(info()), ok(user())).await;
    assert_eq!(calls, [3, 0, 0]);
    for lost in [
        (200, "DROP".to_owned()),
        (503, String::new()),
        (403, error(10_001)),
    ] {
        let (result, calls) = exchange_counted(lost, ok(info()), ok(user())).await;
        assert!(matches!(result, Err(ExchangeError::Unavailable(_))));
        assert_eq!(calls, [1, 0, 0]);
    }
    // What only asks is repeated.
    let (_, calls) = exchange_counted(ok(grant()), (503, String::new()), ok(user())).await;
    assert_eq!(calls, [1, 3, 0]);
}

#[tokio::test]
async fn m6_a_login_goes_on_without_a_profile() {
    let other = json!({"id": 7, "screen_name": "somebody else"}).to_string();
    for user in [
        (503, String::new()),
        ok("<html>".to_owned()),
        (400, error(10_006)),
        ok(other),
    ] {
        let identity = exchange(ok(grant()), ok(info()), user).await.unwrap();
        assert_eq!(identity.profile, Profile::default());
        assert!(identity.subject.is_some());
    }
}

#[tokio::test]
async fn rubbish_redirects_and_endless_replies_are_unavailable() {
    let endless = format!("{{\"x\":\"{}\"}}", "a".repeat(70_000));
    for bad in [
        ok("<html>portal</html>".to_owned()),
        ok(String::new()),
        ok("[]".to_owned()),
        ok(json!({"access_token": "2.00AT"}).to_string()),
        ok(json!({"access_token": "2.00AT", "uid": "12x"}).to_string()),
        ok(json!({"access_token": "", "uid": "12"}).to_string()),
        ok(json!({"access_token": "2.00AT", "uid": 0}).to_string()),
        ok(r#"{"access_token":"a","uid":"1","uid":"2"}"#.to_owned()),
        ok(endless),
        (302, String::new()),
        (302, grant()),
        (400, grant()),
    ] {
        let result = exchange(bad.clone(), ok(info()), ok(user())).await;
        assert!(
            matches!(result, Err(ExchangeError::Unavailable(_))),
            "{} {result:?}",
            bad.0
        );
        let result = exchange(ok(grant()), bad, ok(user())).await;
        assert!(matches!(result, Err(ExchangeError::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_weibo_that_hangs_is_unavailable() {
    let double = HttpDouble::start_slow(Duration::from_secs(30)).await;
    let settings = OutboundSettings {
        time_limit: Duration::from_millis(100),
        ..OutboundSettings::default()
    };
    let result = weibo(&double, &settings)
        .exchange(&app(), &"the-code".into())
        .await;
    assert!(matches!(result, Err(ExchangeError::Unavailable(_))));
}

#[tokio::test]
async fn m2_what_is_no_code_never_leaves_and_no_error_repeats_a_secret() {
    let double = HttpDouble::start(|_| (400, error(21_325))).await;
    let weibo = weibo(&double, &OutboundSettings::default());
    let token = Credential::AccessToken("2.00AT".into());
    for credential in [
        "".into(),
        "a b".into(),
        "x".repeat(300).as_str().into(),
        token,
    ] {
        let result = weibo.exchange(&app(), &credential).await;
        assert!(
            matches!(result, Err(ExchangeError::CredentialInvalid(what)) if !what.contains("21325"))
        );
    }
    let told = format!("{:?}", weibo.exchange(&app(), &"the-code".into()).await);
    assert!(!told.contains("the-code") && !told.contains("the-app-secret"));
}
