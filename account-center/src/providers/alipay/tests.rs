#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rsa::KeyPair;
use serde_json::json;

use super::certificate::decode;
use super::*;
use crate::context::{Clock, SystemRandomness, Timestamp};
use crate::ports::OutboundSettings;
use crate::testing::HttpDouble;

const PRIVATE_KEY: &str = include_str!("../../config/simulated/alipay-app-SIMULATOR-ONLY.pem");
const ALIPAY_KEY: &str = include_str!("../../config/simulated/alipay-public-SIMULATOR-ONLY.pem");
const APP_CERTIFICATE: &str = include_str!("fixtures/app.crt");
const ALIPAY_CERTIFICATE: &str = include_str!("fixtures/alipay.crt");
const ROOTS: &str = include_str!("fixtures/root.crt");

struct AtNoon;

impl Clock for AtNoon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
}

/// The public half of the app's key, as key mode's settings have it: in these tests Alipay signs with the same key.
fn own_public_key() -> String {
    let own = KeyPair::from_pkcs8(&decode(PRIVATE_KEY).unwrap()).unwrap();
    let head = decode(ALIPAY_KEY).unwrap()[..24].to_vec();
    STANDARD.encode([&head, own.public().as_ref()].concat())
}

fn keys() -> AlipayKeys {
    AlipayKeys::new(&PRIVATE_KEY.into(), Theirs::PublicKey(&own_public_key())).unwrap()
}

fn certificate_keys() -> AlipayKeys {
    let theirs = Theirs::Certificates {
        app: APP_CERTIFICATE,
        // The app's own, for the tests' Alipay signs with that key.
        alipay: APP_CERTIFICATE,
        root: ROOTS,
    };
    AlipayKeys::new(&PRIVATE_KEY.into(), theirs).unwrap()
}

fn app() -> ProviderApp {
    ProviderApp {
        app_id: "2021".into(),
        ..ProviderApp::default()
    }
}

fn connector(base: url::Url, keys: AlipayKeys, settings: &OutboundSettings) -> Alipay {
    let api = ApiSettings {
        base,
        pause: Duration::from_millis(1),
    };
    let context = Context::new(Arc::new(AtNoon), Arc::new(SystemRandomness));
    let outbound = Outbound::new(settings).unwrap();
    Alipay::new(api, outbound, Arc::new(keys), "2088", context)
}

type Answer = (u16, String);

/// A signed answer, its raw text written as Alipay may write it.
fn signed(member: &str, raw: &str) -> Answer {
    let signature = keys().sign(raw).unwrap();
    (200, format!(r#"{{"{member}":{raw},"sign":"{signature}"}}"#))
}

const TOKEN: &str = "alipay_system_oauth_token_response";
const SHARE: &str = "alipay_user_info_share_response";

fn token() -> Answer {
    signed(
        TOKEN,
        r#"{"access_token":"AT", "expires_in":1296000,"refresh_token":"RT","open_id":"OPEN"}"#,
    )
}

fn share() -> Answer {
    signed(
        SHARE,
        r#"{"code":"10000","msg":"Success","avatar":"https:\/\/tfs.alipayobjects.com\/1","nick_name":"小明","open_id":"OPEN"}"#,
    )
}

async fn exchange_with(
    keys_of_app: AlipayKeys,
    token: Answer,
    share: Answer,
) -> (Result<ProviderIdentity, ExchangeError>, [u32; 2]) {
    let calls: Arc<[AtomicU32; 2]> = Arc::default();
    let seen = Arc::clone(&calls);
    let double = HttpDouble::start(move |asked| {
        let mut parameters: Vec<(String, String)> = asked.form();
        let url = url::Url::parse("http://x")
            .unwrap()
            .join(&asked.target)
            .unwrap();
        parameters.extend(url.query_pairs().into_owned());
        let sign = parameters
            .iter()
            .position(|(name, _)| name == "sign")
            .unwrap();
        let (_, signature) = parameters.swap_remove(sign);
        let pairs: Vec<_> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert!(keys().verifies(&message::content(&pairs), &signature));
        for (name, value) in [
            ("app_id", "2021"),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("version", "1.0"),
            ("timestamp", "2023-11-15 06:13:20"),
        ] {
            assert!(pairs.contains(&(name, value)), "{name}");
        }
        let (place, answer) = if pairs.contains(&("method", "alipay.system.oauth.token")) {
            assert!(pairs.contains(&("code", "the-code")));
            assert!(pairs.contains(&("grant_type", "authorization_code")));
            (0, &token)
        } else {
            assert!(pairs.contains(&("method", "alipay.user.info.share")));
            assert!(pairs.contains(&("auth_token", "AT")));
            (1, &share)
        };
        seen[place].fetch_add(1, Ordering::SeqCst);
        answer.clone()
    })
    .await;
    let base = double.url().join("/gateway.do").unwrap();
    let result = connector(base, keys_of_app, &OutboundSettings::default())
        .exchange(&app(), &"the-code".into())
        .await;
    (
        result,
        [0, 1].map(|place: usize| calls[place].load(Ordering::SeqCst)),
    )
}

async fn exchange(token: Answer, share: Answer) -> Result<ProviderIdentity, ExchangeError> {
    exchange_with(keys(), token, share).await.0
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
async fn w2_the_open_id_within_the_app_is_the_subject_and_a_user_id_beside_it_an_alias() {
    let identity = exchange(token(), share()).await.unwrap();
    assert_eq!(
        (
            identity.platform.as_str(),
            identity.app_id.as_str(),
            identity.open_id.as_str()
        ),
        ("2021", "2021", "OPEN")
    );
    assert_eq!(identity.subject.as_deref(), Some("OPEN"));
    assert!(identity.aliases.is_empty());
    assert_eq!(identity.profile.nickname.as_deref(), Some("小明"));
    assert_eq!(
        identity.profile.avatar_url.as_deref(),
        Some("https://tfs.alipayobjects.com/1")
    );

    let both = signed(
        TOKEN,
        r#"{"access_token":"AT","open_id":"OPEN","user_id":"2088102"}"#,
    );
    let identity = exchange(both, share()).await.unwrap();
    assert_eq!(identity.subject.as_deref(), Some("OPEN"));
    assert_eq!(identity.aliases, ["2088102"]);

    let older = signed(TOKEN, r#"{"access_token":"AT","user_id":"2088102"}"#);
    let identity = exchange(older, share()).await.unwrap();
    assert_eq!(identity.subject.as_deref(), Some("2088102"));

    let nobody = signed(TOKEN, r#"{"access_token":"AT"}"#);
    assert_eq!(kind(exchange(nobody, share()).await), "unavailable");
}

#[tokio::test]
async fn an_answer_counts_only_with_a_good_signature_of_its_raw_text() {
    let raw = r#"{"access_token":"AT","open_id":"OPEN"}"#;
    let good = keys().sign(raw).unwrap();
    // The same object written otherwise is another text.
    let spaced = r#"{"access_token": "AT","open_id":"OPEN"}"#;
    for (body, expected) in [
        (
            format!(r#"{{"{TOKEN}":{spaced},"sign":"{good}"}}"#),
            "setup",
        ),
        (format!(r#"{{"{TOKEN}":{raw}}}"#), "setup"),
        (format!(r#"{{"{TOKEN}":{raw},"sign":""}}"#), "setup"),
        (format!(r#"{{"{TOKEN}":{raw},"sign":"AAAA"}}"#), "setup"),
        (format!(r#"{{"{TOKEN}":{raw},"sign":7}}"#), "setup"),
        // Signed, but another method's answer.
        (
            format!(r#"{{"{SHARE}":{raw},"sign":"{good}"}}"#),
            "unavailable",
        ),
        // Twice: one for the signature, one for us.
        (
            format!(
                r#"{{"{TOKEN}":{raw},"{TOKEN}":{{"access_token":"AT","open_id":"EVIL"}},"sign":"{good}"}}"#
            ),
            "unavailable",
        ),
        (
            format!(r#"{{"{TOKEN}":"{raw}","sign":"{good}"}}"#),
            "unavailable",
        ),
    ] {
        let (result, calls) = exchange_with(keys(), (200, body.clone()), share()).await;
        assert_eq!(kind(result), expected, "{body}");
        assert_eq!(calls, [1, 0]);
    }
    // White space around, and the signature before: all the same.
    let first = format!(r#" {{ "sign" : "{good}", "{TOKEN}" : {raw} }} "#);
    assert!(exchange((200, first), share()).await.is_ok());
}

#[tokio::test]
async fn each_refusal_has_its_meaning() {
    for (code, sub_code, expected) in [
        ("40002", "isv.code-invalid", "credential"),
        ("40002", "isv.refresh-token-invalid", "credential"),
        ("40002", "isv.refreshed-token-invalid", "credential"),
        ("20001", "aop.invalid-auth-token", "credential"),
        ("40006", "isv.insufficient-user-permissions", "consent"),
        ("40006", "isv.insufficient-isv-permissions", "setup"),
        ("40002", "isv.invalid-signature", "setup"),
        ("40002", "isv.invalid-app-id", "setup"),
        ("40001", "isv.missing-method", "setup"),
        ("99999", "", "setup"),
        ("40005", "isv.call-limited", "unavailable"),
        ("20000", "isp.unknow-error", "unavailable"),
        ("40004", "isp.unknow-error", "unavailable"),
    ] {
        let raw =
            json!({"code": code, "msg": "m", "sub_code": sub_code, "sub_msg": "s"}).to_string();
        for member in [TOKEN, "error_response"] {
            let result = exchange(signed(member, &raw), share()).await;
            assert_eq!(kind(result), expected, "{code} {sub_code}");
            // Some refusals come without a signature.
            let bare = (200, format!(r#"{{"{member}":{raw}}}"#));
            assert_eq!(kind(exchange(bare, share()).await), expected);
        }
    }
}

#[tokio::test]
async fn a_code_is_never_sent_twice_where_alipay_may_have_taken_it() {
    let own = signed(
        TOKEN,
        r#"{"code":"20000","msg":"m","sub_code":"isp.unknow-error"}"#,
    );
    let endless = signed(TOKEN, &format!(r#"{{"x":"{}"}}"#, "a".repeat(70_000)));
    for lost in [
        own,
        endless,
        (503, String::new()),
        (302, String::new()),
        (200, "DROP".to_owned()),
        (200, "<html>portal</html>".to_owned()),
        (200, "{}".to_owned()),
    ] {
        let (result, calls) = exchange_with(keys(), lost, share()).await;
        assert_eq!(kind(result), "unavailable");
        assert_eq!(calls, [1, 0]);
    }
}

#[tokio::test]
async fn m3_a_login_goes_on_without_a_profile_or_with_that_of_another_person() {
    let refused = signed(
        SHARE,
        r#"{"code":"40006","sub_code":"isv.insufficient-user-permissions"}"#,
    );
    let other = signed(
        SHARE,
        r#"{"code":"10000","nick_name":"小红","open_id":"OTHER"}"#,
    );
    let unsigned = (
        200,
        format!(r#"{{"{SHARE}":{{"code":"10000","nick_name":"小红"}}}}"#),
    );
    for share in [refused, other, unsigned, (503, String::new())] {
        let identity = exchange(token(), share).await.unwrap();
        assert_eq!(identity.profile, Profile::default());
        assert_eq!(identity.subject.as_deref(), Some("OPEN"));
    }
}

#[tokio::test]
async fn certificate_mode_names_its_certificates_and_notices_a_new_one() {
    let keys_of_app = certificate_keys();
    let serials = keys_of_app.serials().unwrap();
    // Computed with openssl and md5sum (fixtures/README.md); the root on a curve is left out.
    assert_eq!(serials.app, "cb0f112d9a00f827981bfcd9ac8cf87e");
    assert_eq!(
        serials.root,
        "d55e725ae4a451190ee8f2ee3f853ae0_e48b983e3c5bfddfa56bfe2d9c1e6076"
    );
    assert!(
        exchange_with(certificate_keys(), token(), share())
            .await
            .0
            .is_ok()
    );
    let raw = r#"{"access_token":"AT","open_id":"OPEN"}"#;
    let sign = keys().sign(raw).unwrap();
    for (serial, good) in [
        ("cb0f112d9a00f827981bfcd9ac8cf87e", true),
        ("another", false),
    ] {
        let body = format!(r#"{{"{TOKEN}":{raw},"alipay_cert_sn":"{serial}","sign":"{sign}"}}"#);
        let (result, _) = exchange_with(certificate_keys(), (200, body), share()).await;
        assert_eq!(result.is_ok(), good, "{serial}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let private: SecretText = PRIVATE_KEY.into();
    let public = own_public_key();
    let fault = |private: &SecretText, theirs| AlipayKeys::new(private, theirs).unwrap_err();
    for bad in ["", "nonsense", ALIPAY_KEY] {
        let found = fault(&bad.into(), Theirs::PublicKey(&public));
        assert_eq!(found, AlipayKeyFault::PrivateKey);
    }
    for bad in ["", "AAAA", PRIVATE_KEY] {
        assert_eq!(
            fault(&private, Theirs::PublicKey(bad)),
            AlipayKeyFault::PublicKey
        );
    }
    let theirs = |app, alipay, root| Theirs::Certificates { app, alipay, root };
    for (certificates, expected) in [
        (
            theirs(ALIPAY_CERTIFICATE, ALIPAY_CERTIFICATE, ROOTS),
            AlipayKeyFault::AppCertificate,
        ),
        (
            theirs("", ALIPAY_CERTIFICATE, ROOTS),
            AlipayKeyFault::AppCertificate,
        ),
        (
            theirs(APP_CERTIFICATE, "", ROOTS),
            AlipayKeyFault::AlipayCertificate,
        ),
        (
            theirs(APP_CERTIFICATE, ALIPAY_CERTIFICATE, ""),
            AlipayKeyFault::RootCertificate,
        ),
    ] {
        assert_eq!(fault(&private, certificates), expected);
    }
    assert!(AlipayKeys::new(&private, theirs(APP_CERTIFICATE, ALIPAY_CERTIFICATE, ROOTS)).is_ok());
    assert!(!format!("{:?}", keys()).contains("MII"));
}

#[tokio::test]
async fn the_string_for_the_phone_is_signed_and_only_its_signature_is_escaped() {
    let base = "http://127.0.0.1:9/gateway.do".parse().unwrap();
    let alipay = connector(base, keys(), &OutboundSettings::default());
    let prepared = alipay.prepare(&app(), "00ff").await.unwrap();
    let ForPhone::AuthInfo(auth_info) = prepared.for_phone else {
        panic!("not a string for the SDK")
    };
    let (content, sign) = auth_info.rsplit_once("&sign=").unwrap();
    assert_eq!(
        content,
        "apiname=com.alipay.account.auth&app_id=2021&app_name=mc&auth_type=AUTHACCOUNT&biz_type=openservice&method=alipay.open.auth.sdk.code.get\
         &pid=2088&product_id=APP_FAST_LOGIN&scope=kuaijie&sign_type=RSA2&target_id=00ff"
    );
    assert!(!sign.contains(['+', '/', '=']), "{sign}");
    let parsed: Vec<_> = url::form_urlencoded::parse(auth_info.as_bytes()).collect();
    let (_, signature) = parsed.last().unwrap();
    assert!(keys().verifies(content, signature));
    assert!(alipay.needs_request());
}

#[tokio::test]
async fn an_alipay_that_hangs_is_unavailable_and_what_is_no_code_never_leaves() {
    let double = HttpDouble::start_slow(Duration::from_secs(30)).await;
    let settings = OutboundSettings {
        time_limit: Duration::from_millis(100),
        ..OutboundSettings::default()
    };
    let alipay = connector(double.url(), keys(), &settings);
    let told = alipay.exchange(&app(), &"the-code".into()).await;
    assert!(!format!("{told:?}").contains("the-code"));
    assert_eq!(kind(told), "unavailable");
    for bad in ["".into(), "a b".into(), Credential::AccessToken("t".into())] {
        assert_eq!(kind(alipay.exchange(&app(), &bad).await), "credential");
    }
}
