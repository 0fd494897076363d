#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::*;
use crate::ports::OutboundSettings;
use crate::testing::HttpDouble;

type Answer = (u16, String);

fn app() -> ProviderApp {
    ProviderApp {
        app_id: "1019".into(),
        secret: "the-app-key".into(),
        platform: "dev1".into(),
        redirect_uri: "https://bank.example/back".into(),
        ..ProviderApp::default()
    }
}

fn ok(text: &str) -> Answer {
    (200, text.to_owned())
}

fn me() -> Answer {
    ok("callback( {\"client_id\":\"1019\",\"openid\":\"OPEN\",\"unionid\":\"UID_1\"} );\n")
}

fn user() -> Answer {
    ok(&json!({"ret": 0, "msg": "", "nickname": "小明", "figureurl_qq_1": "https://q.qlogo.cn/40", "figureurl_qq_2": ""}).to_string())
}

fn refused(code: i64) -> Answer {
    ok(&format!(
        "callback( {{\"error\":{code},\"error_description\":\"d\"}} );"
    ))
}

async fn exchange_counted(
    credential: Credential,
    token: Answer,
    me: Answer,
    user: Answer,
) -> (Result<ProviderIdentity, ExchangeError>, [u32; 3]) {
    let calls: Arc<[AtomicU32; 3]> = Arc::default();
    let seen = Arc::clone(&calls);
    let double = HttpDouble::start(move |asked| {
        let (place, reply) = if asked.target.starts_with("/oauth2.0/token?") {
            for (name, value) in [
                ("grant_type", "authorization_code"),
                ("client_id", "1019"),
                ("client_secret", "the-app-key"),
                ("code", "the-code"),
                ("redirect_uri", "https://bank.example/back"),
            ] {
                assert_eq!(asked.query(name).as_deref(), Some(value));
            }
            (0, &token)
        } else if asked.target == "/oauth2.0/me?access_token=AT&unionid=1" {
            (1, &me)
        } else {
            assert_eq!(
                asked.target,
                "/user/get_user_info?access_token=AT&oauth_consumer_key=1019&openid=OPEN"
            );
            (2, &user)
        };
        seen[place].fetch_add(1, Ordering::SeqCst);
        reply.clone()
    })
    .await;
    let result = qq(&double, &OutboundSettings::default())
        .exchange(&app(), &credential)
        .await;
    let counts = [0, 1, 2].map(|place: usize| calls[place].load(Ordering::SeqCst));
    (result, counts)
}

fn qq(double: &HttpDouble, settings: &OutboundSettings) -> Qq {
    let api = ApiSettings {
        base: double.url(),
        pause: Duration::from_millis(1),
    };
    Qq::new(api, Outbound::new(settings).unwrap())
}

fn access_token() -> Credential {
    Credential::AccessToken("AT".into())
}

async fn with_token(me: Answer, user: Answer) -> Result<ProviderIdentity, ExchangeError> {
    exchange_counted(access_token(), ok(""), me, user).await.0
}

async fn with_code(token: Answer) -> (Result<ProviderIdentity, ExchangeError>, [u32; 3]) {
    exchange_counted("the-code".into(), token, me(), user()).await
}

fn kind(result: Result<ProviderIdentity, ExchangeError>) -> &'static str {
    match result.unwrap_err() {
        ExchangeError::CredentialInvalid(_) => "credential",
        ExchangeError::ConsentIncomplete(_) => "consent",
        ExchangeError::Misconfigured(_) => "setup",
        ExchangeError::Unavailable(_) => "unavailable",
    }
}

#[tokio::test]
async fn w2_a_token_of_the_app_gives_the_union_id_as_subject() {
    let identity = with_token(me(), user()).await.unwrap();
    assert_eq!(
        (
            identity.provider.as_str(),
            identity.platform.as_str(),
            identity.app_id.as_str(),
            identity.open_id.as_str(),
            identity.subject.as_deref()
        ),
        ("qq", "dev1", "1019", "OPEN", Some("UID_1"))
    );
    assert_eq!(identity.profile.nickname.as_deref(), Some("小明"));
    assert_eq!(
        identity.profile.avatar_url.as_deref(),
        Some("https://q.qlogo.cn/40")
    );
    let without = ok("callback({\"client_id\":1019,\"openid\":\"OPEN\"})");
    assert_eq!(with_token(without, user()).await.unwrap().subject, None);
}

#[tokio::test]
async fn a_token_that_was_given_to_another_app_opens_nothing() {
    let other =
        ok("callback( {\"client_id\":\"666\",\"openid\":\"OPEN\",\"unionid\":\"UID_1\"} );");
    let (result, calls) = exchange_counted(access_token(), ok(""), other, user()).await;
    assert_eq!(kind(result), "credential");
    assert_eq!(calls, [0, 1, 0]);
}

#[tokio::test]
async fn jsonp_is_read_strictly() {
    for bad in [
        "",
        "callback",
        "callback()",
        "callback( );",
        "callback( {} );",
        "{\"client_id\":\"1019\",\"openid\":\"OPEN\"}",
        "evil( {\"client_id\":\"1019\",\"openid\":\"OPEN\"} );",
        "callback( {\"client_id\":\"1019\",\"openid\":\"OPEN\"} ); alert(1)",
        "callback( {\"client_id\":\"1019\",\"openid\":\"OPEN\"} ); callback( {} );",
        "callback( [\"client_id\"] );",
        "callback( {\"client_id\":\"666\",\"client_id\":\"1019\",\"openid\":\"OPEN\"} );",
        "callback( {\"client_id\":\"1019\",\"openid\":\"a b\"} );",
        "callback( {\"client_id\":\"1019\",\"openid\":\"OPEN\"} ",
        "<html>callback( {\"client_id\":\"1019\",\"openid\":\"OPEN\"} );</html>",
    ] {
        assert_eq!(
            kind(with_token(ok(bad), user()).await),
            "unavailable",
            "{bad}"
        );
    }
    let endless = format!(
        "callback( {{\"client_id\":\"1019\",\"openid\":\"OPEN\",\"x\":\"{}\"}} );",
        "a".repeat(70_000)
    );
    assert_eq!(kind(with_token(ok(&endless), user()).await), "unavailable");
    assert_eq!(kind(with_token((302, me().1), user()).await), "unavailable");
    assert_eq!(kind(with_token((502, me().1), user()).await), "unavailable");
}

#[tokio::test]
async fn each_error_code_has_its_meaning() {
    for (code, expected) in [
        (100_013, "credential"),
        (100_014, "credential"),
        (100_015, "credential"),
        (100_016, "credential"),
        (100_019, "credential"),
        (100_020, "credential"),
        (100_021, "credential"),
        (100_030, "consent"),
        (100_048, "setup"),
        (110_406, "setup"),
        (100_008, "setup"),
        (42, "setup"),
        (-1, "unavailable"),
    ] {
        assert_eq!(
            kind(with_token(refused(code), user()).await),
            expected,
            "{code}"
        );
        assert_eq!(kind(with_code(refused(code)).await.0), expected, "{code}");
    }
}

#[tokio::test]
async fn a_web_pages_code_is_exchanged_first_and_only_once() {
    let form = "access_token=AT&expires_in=7776000&refresh_token=RT";
    let (result, calls) = with_code(ok(form)).await;
    assert_eq!(result.unwrap().subject.as_deref(), Some("UID_1"));
    assert_eq!(calls, [1, 1, 1]);
    for lost in [
        (503, String::new()),
        ok("DROP"),
        ok("<html>"),
        ok("expires_in=1"),
        ok("access_token=&expires_in=1"),
        ok("access_token=AT&access_token=BT"),
        ok("callback( {\"access_token\":\"AT\"} );"),
        (302, form.to_owned()),
    ] {
        let (result, calls) = with_code(lost.clone()).await;
        assert_eq!(kind(result), "unavailable", "{lost:?}");
        assert_eq!(calls, [1, 0, 0]);
    }
}

#[tokio::test]
async fn a_code_without_secret_or_address_is_our_own_fault() {
    let double = HttpDouble::start(|_| (200, String::new())).await;
    let app = ProviderApp {
        secret: "".into(),
        ..app()
    };
    let result = qq(&double, &OutboundSettings::default())
        .exchange(&app, &"the-code".into())
        .await;
    assert_eq!(kind(result), "setup");
}

#[tokio::test]
async fn m3_a_login_goes_on_without_a_profile() {
    for user in [
        (503, String::new()),
        ok("<html>"),
        ok("{\"ret\":100030,\"msg\":\"no\"}"),
        ok("{\"nickname\":\"x\"}"),
    ] {
        let identity = with_token(me(), user).await.unwrap();
        assert_eq!(identity.profile, Profile::default());
    }
}

#[tokio::test]
async fn a_qq_that_hangs_is_unavailable_and_no_error_repeats_a_secret() {
    let double = HttpDouble::start_slow(Duration::from_secs(30)).await;
    let settings = OutboundSettings {
        time_limit: Duration::from_millis(50),
        ..OutboundSettings::default()
    };
    let result = qq(&double, &settings)
        .exchange(&app(), &Credential::AccessToken("SECRET".into()))
        .await;
    assert!(!format!("{result:?}").contains("SECRET"));
    assert_eq!(kind(result), "unavailable");
    assert!(!format!("{:?}", Credential::AccessToken("SECRET".into())).contains("SECRET"));
}
