//! What every connector has to bear alike, and what each declares: one table and one suite instead of a copy for each.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use url::Url;

use super::alipay::{Alipay, AlipayKeys, Theirs};
use super::oidc::{Oidc, OidcSettings};
use super::*;
use crate::config::{Config, Overrides};
use crate::context::Context;
use crate::ports::{Outbound, OutboundSettings};
use crate::testing::HttpDouble;

const APP_KEY: &str = include_str!("../config/simulated/alipay-app-SIMULATOR-ONLY.pem");
const ALIPAY_KEY: &str = include_str!("../config/simulated/alipay-public-SIMULATOR-ONLY.pem");

fn app(kind: AppKind) -> ProviderApp {
    ProviderApp {
        app_id: "app".into(),
        secret: "the-app-secret".into(),
        redirect_uri: "https://bank.example/back".into(),
        scope: "openid".into(),
        platform: "op".into(),
        kind,
    }
}

/// Every connector with every kind of credential that it takes, all at one address.
fn all(base: &Url, time_limit: Duration) -> Vec<(Arc<dyn Connector>, ProviderApp, Credential)> {
    let api = || ApiSettings {
        base: base.clone(),
        pause: Duration::from_millis(1),
    };
    let outbound = Outbound::new(&OutboundSettings {
        time_limit,
        ..OutboundSettings::default()
    })
    .unwrap();
    let keys = AlipayKeys::new(&APP_KEY.into(), Theirs::PublicKey(ALIPAY_KEY)).unwrap();
    let issuer = OidcSettings {
        name: "bank-sso".into(),
        issuer: base.as_str().trim_end_matches('/').to_owned(),
        plain: true,
    };
    let wechat: Arc<dyn Connector> = Arc::new(WeChat::new(api(), outbound.clone()));
    let qq: Arc<dyn Connector> = Arc::new(Qq::new(api(), outbound.clone()));
    let alipay = Alipay::new(
        api(),
        outbound.clone(),
        keys.into(),
        "2088",
        Context::system(),
    );
    let oidc = Oidc::new(issuer, api(), outbound.clone(), Context::system());
    let answered = Credential::Answered(AnsweredCode {
        code: "the-code".into(),
        iss: None,
        kept: r#"{"nonce":"n","verifier":"v"}"#.into(),
    });
    let code = || Credential::from("the-code");
    vec![
        (Arc::clone(&wechat), app(AppKind::Mobile), code()),
        (Arc::clone(&wechat), app(AppKind::MiniProgram), code()),
        (wechat, app(AppKind::Web), code()),
        (
            Arc::new(Weibo::new(api(), outbound)),
            app(AppKind::Mobile),
            code(),
        ),
        (
            Arc::clone(&qq),
            app(AppKind::Mobile),
            Credential::AccessToken("the-code".into()),
        ),
        (qq, app(AppKind::Web), code()),
        (Arc::new(alipay), app(AppKind::Mobile), code()),
        (Arc::new(oidc), app(AppKind::Web), answered),
    ]
}

#[tokio::test]
async fn whatever_a_provider_does_wrong_no_connector_takes_it_for_an_identity_or_repeats_a_secret()
{
    for (status, body) in [
        (200, "<!doctype html><title>Welcome to Airport WiFi</title>".to_owned()),
        (200, String::new()),
        (200, "{}".to_owned()),
        (200, "[]".to_owned()),
        (200, "null".to_owned()),
        (200, "\u{0}\u{1}".to_owned()),
        (200, "callback( {} );".to_owned()),
        (200, r#"{"openid":"o","openid":"p","access_token":"t","access_token":"u","uid":"1","uid":"2"}"#.to_owned()),
        (200, format!("{}1", " ".repeat(70 * 1024))),
        (200, "DROP".to_owned()),
        // The double names another address in `Location`, where nobody listens.
        (301, "{}".to_owned()),
        (302, String::new()),
        (307, r#"{"openid":"o","session_key":"k","unionid":"u"}"#.to_owned()),
        (500, r#"{"openid":"o","session_key":"k","unionid":"u"}"#.to_owned()),
        (503, String::new()),
    ] {
        let answer = body.clone();
        let double = HttpDouble::start(move |_| (status, answer.clone())).await;
        for (connector, app, credential) in all(&double.url(), Duration::from_secs(5)) {
            let result = connector.exchange(&app, &credential).await;
            let why = match &result {
                Err(ExchangeError::Unavailable(why)) => why,
                // A configuration that does not name its issuer is another's.
                Err(ExchangeError::Misconfigured(why)) if connector.provider() == "bank-sso" => why,
                _ => panic!("{} {status} {body:.60}: {result:?}", connector.provider()),
            };
            for secret in ["the-code", "the-app-secret", "127.0.0.1"] {
                assert!(!why.contains(secret), "{why}");
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_and_its_code_not_sent_again() {
    let double = HttpDouble::start_slow(Duration::from_mins(1)).await;
    for (connector, app, credential) in all(&double.url(), Duration::from_millis(50)) {
        let result = connector.exchange(&app, &credential).await;
        assert!(
            matches!(result, Err(ExchangeError::Unavailable(_))),
            "{result:?}"
        );
    }
    // What may have been taken is sent once: the reply was lost.
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    let double = HttpDouble::start(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        (200, "DROP".to_owned())
    })
    .await;
    for (connector, app, credential) in all(&double.url(), Duration::from_secs(5)) {
        // A token of QQ's serves any number of times, and an issuer is asked for its configuration first.
        if connector.provider() == "bank-sso" || matches!(credential, Credential::AccessToken(_)) {
            continue;
        }
        asked.store(0, Ordering::SeqCst);
        assert!(connector.exchange(&app, &credential).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{}", connector.provider());
    }
}

#[test]
fn w2_each_connector_declares_its_lasting_subject_and_whether_its_credential_is_bound() {
    let home = BTreeMap::from([("HOME".to_owned(), "/home/dev".to_owned())]);
    let config = Config::read(None, &home, &Overrides::default()).unwrap();
    let registry = registry(&config, &Context::system()).unwrap();
    let mut declared: Vec<_> = registry
        .offers()
        .map(|(_, offer)| {
            let connector = &offer.connector;
            (
                connector.provider().to_owned(),
                connector.credential_kind(),
                connector.lasting_subject(),
                connector.needs_request(),
            )
        })
        .collect();
    declared.sort_by(|one, other| one.0.cmp(&other.0));
    declared.dedup();
    let expected = [
        (
            "alipay",
            CredentialKind::Bearer,
            LastingSubject::OpenIdInApp,
            true,
        ),
        (
            "bank-sso",
            CredentialKind::Bound,
            LastingSubject::IssuerAndSubject,
            true,
        ),
        ("qq", CredentialKind::Bearer, LastingSubject::UnionId, false),
        (
            "wechat",
            CredentialKind::Bearer,
            LastingSubject::UnionId,
            false,
        ),
        ("weibo", CredentialKind::Bearer, LastingSubject::Uid, false),
    ]
    .map(|(name, kind, subject, request)| (name.to_owned(), kind, subject, request));
    assert_eq!(declared, expected);
}

proptest::proptest! {
    #[test]
    fn any_answer_is_read_or_refused_without_a_panic(bytes: Vec<u8>) {
        let _ = untrusted::read_all(&bytes);
    }

    #[test]
    fn any_text_in_a_wrapping_of_the_providers_is_read_or_refused_without_a_panic(
        head in "(callback\\(|access_token=|\\{\"keys\":\\[|eyJhbGciOiJFUzI1NiJ9\\.|\\{\"alipay_system_oauth_token_response\":)",
        inner in "\\PC{0,40}",
        tail in "(\\);|&x=1|\\]\\}|\\.AAAA|,\"sign\":\"x\"\\})",
    ) {
        let _ = untrusted::read_all(format!("{head}{inner}{tail}").as_bytes());
    }
}
