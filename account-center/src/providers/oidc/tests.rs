#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding,
};
use serde_json::json;

use super::*;
use crate::context::{Clock, SystemRandomness, Timestamp};
use crate::ports::{OutboundSettings, Reach};
use crate::testing::{Asked as Seen, HttpDouble};

const NOW: i64 = 1_800_000_000;
const RSA_KEY: &str = include_str!("../../config/simulated/alipay-app-SIMULATOR-ONLY.pem");

struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

/// What the issuer does, and what it was asked.
struct Behaviour {
    alg: &'static str,
    kid: String,
    /// Names in the published set.
    published: Vec<String>,
    header: Value,
    claims: Value,
    discovery: Value,
    token_reply: Option<(u16, Value)>,
    userinfo: Value,
    nonce: String,
    challenge: String,
    paths: Vec<String>,
}

struct Issuer {
    _double: HttpDouble,
    behaviour: Arc<Mutex<Behaviour>>,
    clock: Arc<Moved>,
    oidc: Oidc,
}

fn ec() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
    })
}

fn rsa_key() -> &'static rsa::KeyPair {
    static KEY: OnceLock<rsa::KeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        let lines: String = RSA_KEY
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        rsa::KeyPair::from_pkcs8(&STANDARD.decode(lines).unwrap()).unwrap()
    })
}

fn jwk(alg: &str, kid: &str) -> Value {
    if alg == "ES256" {
        let point = ec().public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": alg, "kid": kid, "x": base64url::encode(&point[1..33]), "y": base64url::encode(&point[33..])})
    } else {
        let public: rsa::PublicKeyComponents<Vec<u8>> = rsa_key().public().into();
        json!({"kty": "RSA", "use": "sig", "kid": kid, "n": base64url::encode(public.n), "e": base64url::encode(public.e)})
    }
}

fn sign(header: &Value, claims: &Value) -> String {
    let alg = header["alg"].as_str().unwrap_or_default();
    let text = format!(
        "{}.{}",
        base64url::encode(header.to_string()),
        base64url::encode(claims.to_string())
    );
    let random = SystemRandom::new();
    let with_rsa = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; rsa_key().public().modulus_len()];
        rsa_key()
            .sign(encoding, &random, text.as_bytes(), &mut signature)
            .unwrap();
        signature
    };
    let signature = match alg {
        "ES256" => ec()
            .sign(&random, text.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec(),
        "RS256" => with_rsa(&RSA_PKCS1_SHA256),
        "PS256" => with_rsa(&RSA_PSS_SHA256),
        // The public key, as everybody knows it, taken for a shared secret.
        "HS256" => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, rsa_key().public().as_ref());
            hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
        }
        _ => Vec::new(),
    };
    format!("{text}.{}", base64url::encode(signature))
}

fn app() -> ProviderApp {
    ProviderApp {
        app_id: "the client".into(),
        secret: "the+secret".into(),
        redirect_uri: "https://bank.example/sso/callback".into(),
        scope: "openid profile".into(),
        ..ProviderApp::default()
    }
}

impl Issuer {
    async fn start() -> Self {
        Self::start_reaching(Reach::PublicAndLoopback).await
    }

    async fn start_reaching(reach: Reach) -> Self {
        let behaviour = Arc::new(Mutex::new(Behaviour {
            alg: "ES256",
            kid: "k1".into(),
            published: vec!["k1".into()],
            header: json!({}),
            claims: json!({}),
            discovery: json!({}),
            token_reply: None,
            userinfo: json!({"sub": "person-1", "name": "从用户信息"}),
            nonce: String::new(),
            challenge: String::new(),
            paths: Vec::new(),
        }));
        let (shared, own) = (Arc::clone(&behaviour), Arc::new(OnceLock::new()));
        let known = Arc::clone(&own);
        let double = HttpDouble::start(move |asked| {
            let base: &String = known.get().unwrap();
            answer_of(&mut shared.lock().unwrap(), base, asked)
        })
        .await;
        let base = double.url().as_str().trim_end_matches('/').to_owned();
        own.set(base.clone()).unwrap();
        let clock = Arc::new(Moved(AtomicI64::new(NOW)));
        let settings = OidcSettings {
            name: "bank-sso".into(),
            issuer: base,
            plain: true,
        };
        let api = ApiSettings {
            base: double.url(),
            pause: Duration::from_millis(1),
        };
        let outbound = Outbound::new(&OutboundSettings {
            reach,
            time_limit: Duration::from_secs(2),
            ..OutboundSettings::default()
        })
        .unwrap();
        let context = Context::new(clock.clone(), Arc::new(SystemRandomness));
        Self {
            oidc: Oidc::new(settings, api, outbound, context),
            _double: double,
            behaviour,
            clock,
        }
    }

    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    fn paths(&self) -> Vec<String> {
        std::mem::take(&mut self.behaviour.lock().unwrap().paths)
    }

    /// The phone at the page: what it brings back.
    async fn authorize(&self) -> (Credential, Url) {
        let prepared = self.oidc.prepare(&app(), "00ff").await.unwrap();
        let ForPhone::AuthorizationUrl(url) = prepared.for_phone else {
            panic!("no page")
        };
        let url: Url = url.parse().unwrap();
        let of_query = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        if let (Some(nonce), Some(challenge)) = (of_query("nonce"), of_query("code_challenge")) {
            self.set(|behaviour| {
                behaviour.nonce = nonce;
                behaviour.challenge = challenge;
            });
        }
        let answered = AnsweredCode {
            code: "the-code".into(),
            iss: None,
            kept: prepared.kept.unwrap(),
        };
        (Credential::Answered(answered), url)
    }

    async fn login(&self) -> Result<ProviderIdentity, ExchangeError> {
        let (credential, _) = self.authorize().await;
        self.oidc.exchange(&app(), &credential).await
    }
}

fn merged(base: Value, over: &Value) -> Value {
    let mut whole = base;
    for (name, value) in over.as_object().unwrap() {
        if value.is_null() {
            whole.as_object_mut().unwrap().remove(name);
        } else {
            whole[name] = value.clone();
        }
    }
    whole
}

fn answer_of(behaviour: &mut Behaviour, base: &str, asked: &Seen) -> (u16, String) {
    let path = asked.target.split('?').next().unwrap().to_owned();
    behaviour.paths.push(path.clone());
    let form = |name: &str| {
        let form = asked.form();
        form.into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let authenticated = || {
        // RFC 6749, section 2.3.1: "the client" and "the+secret", both form-encoded.
        let expected = format!("Basic {}", STANDARD.encode("the+client:the%2Bsecret"));
        asked.header("authorization") == Some(expected.as_str())
            || form("client_secret").as_deref() == Some("the+secret")
    };
    match path.as_str() {
        "/.well-known/openid-configuration" => {
            let document = json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize?tenant=1"),
                "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/jwks"),
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            });
            let relative: Value =
                serde_json::from_str(&behaviour.discovery.to_string().replace("BASE", base))
                    .unwrap();
            (200, merged(document, &relative).to_string())
        }
        "/jwks" => {
            let keys: Vec<Value> = behaviour
                .published
                .iter()
                .map(|kid| jwk(behaviour.alg, kid))
                .collect();
            (200, json!({ "keys": keys }).to_string())
        }
        "/par" => {
            assert!(authenticated());
            assert_eq!(form("state").as_deref(), Some("00ff"));
            behaviour.nonce = form("nonce").unwrap();
            behaviour.challenge = form("code_challenge").unwrap();
            (
                201,
                json!({"request_uri": "urn:ietf:params:oauth:request_uri:x", "expires_in": 60})
                    .to_string(),
            )
        }
        "/token" => {
            assert!(authenticated());
            assert_eq!(form("grant_type").as_deref(), Some("authorization_code"));
            assert_eq!(form("code").as_deref(), Some("the-code"));
            assert_eq!(
                form("redirect_uri").as_deref(),
                Some("https://bank.example/sso/callback")
            );
            let verifier = form("code_verifier").unwrap();
            assert_eq!(
                base64url::encode(digest(&SHA256, verifier.as_bytes())),
                behaviour.challenge
            );
            if let Some((status, reply)) = &behaviour.token_reply {
                return (
                    *status,
                    reply
                        .as_str()
                        .map_or_else(|| reply.to_string(), str::to_owned),
                );
            }
            let header = merged(
                json!({"alg": behaviour.alg, "kid": behaviour.kid, "typ": "JWT"}),
                &behaviour.header,
            );
            let claims = json!({"iss": base, "aud": "the client", "sub": "person-1", "exp": NOW + 300, "iat": NOW, "nonce": behaviour.nonce});
            let token = sign(&header, &merged(claims, &behaviour.claims));
            (
                200,
                json!({"id_token": token, "access_token": "AT", "token_type": "Bearer"})
                    .to_string(),
            )
        }
        "/userinfo" => {
            assert_eq!(asked.header("authorization"), Some("Bearer AT"));
            (200, behaviour.userinfo.to_string())
        }
        other => panic!("{other}"),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn kind(result: Result<ProviderIdentity, ExchangeError>) -> &'static str {
    match result {
        Ok(_) => "identity",
        Err(ExchangeError::CredentialInvalid(_)) => "credential",
        Err(ExchangeError::ConsentIncomplete(_)) => "consent",
        Err(ExchangeError::Misconfigured(_)) => "setup",
        Err(ExchangeError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn w2_the_subject_is_the_issuers_and_the_request_has_pkce_state_and_nonce() {
    let issuer = Issuer::start().await;
    let (credential, url) = issuer.authorize().await;
    let query: std::collections::HashMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("tenant", "1"),
        ("response_type", "code"),
        ("client_id", "the client"),
        ("redirect_uri", "https://bank.example/sso/callback"),
        ("scope", "openid profile"),
        ("state", "00ff"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value);
    }
    assert_eq!(
        (query["nonce"].len(), query["code_challenge"].len()),
        (22, 43)
    );
    let identity = issuer.oidc.exchange(&app(), &credential).await.unwrap();
    let base = issuer.oidc.settings.issuer.clone();
    assert_eq!(
        (
            identity.provider.as_str(),
            identity.platform,
            identity.app_id.as_str()
        ),
        ("bank-sso", base, "the client")
    );
    assert_eq!(
        (identity.open_id.as_str(), identity.subject.as_deref()),
        ("person-1", Some("person-1"))
    );
    // Each request has a nonce and a verifier of its own.
    let (_, second) = issuer.authorize().await;
    let again: std::collections::HashMap<String, String> =
        second.query_pairs().into_owned().collect();
    assert_ne!(again["nonce"], query["nonce"]);
    assert_ne!(again["code_challenge"], query["code_challenge"]);
    assert!(!format!("{credential:?} {:?}", issuer.oidc).contains("verifier"));
}

#[tokio::test]
async fn rfc_9126_where_requests_can_be_pushed_the_page_is_told_nothing_but_their_name() {
    let issuer = Issuer::start().await;
    issuer.set(|b| b.discovery = json!({"pushed_authorization_request_endpoint": "BASE/par"}));
    let (credential, url) = issuer.authorize().await;
    assert_eq!(
        url.query().unwrap(),
        "tenant=1&client_id=the+client&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax"
    );
    assert_eq!(
        kind(issuer.oidc.exchange(&app(), &credential).await),
        "identity"
    );
}

#[tokio::test]
async fn tokens_of_each_algorithm_are_verified() {
    for alg in ["ES256", "RS256", "PS256"] {
        let issuer = Issuer::start().await;
        issuer.set(|b| b.alg = alg);
        assert_eq!(kind(issuer.login().await), "identity", "{alg}");
        // Without a name, where there is but one key.
        issuer.set(|b| b.header = json!({"kid": null}));
        assert_eq!(kind(issuer.login().await), "identity", "{alg}");
    }
}

#[tokio::test]
async fn a_token_that_is_wrong_in_anything_is_not_taken() {
    let others = json!(["the client", "other"]);
    let issuer = Issuer::start().await;
    for (header, claims, expected) in [
        (json!({}), json!({"nonce": "another"}), "credential"),
        (json!({}), json!({"nonce": null}), "credential"),
        (json!({}), json!({"nonce": ""}), "credential"),
        (json!({}), json!({"iss": "https://evil.example"}), "setup"),
        (json!({}), json!({"iss": null}), "setup"),
        (json!({}), json!({"aud": "other"}), "setup"),
        (json!({}), json!({"aud": []}), "setup"),
        (json!({}), json!({"aud": null}), "setup"),
        (json!({}), json!({"aud": others}), "setup"),
        (json!({}), json!({"aud": others, "azp": "other"}), "setup"),
        (json!({}), json!({"azp": "other"}), "setup"),
        (json!({}), json!({"exp": NOW - 61}), "setup"),
        (json!({}), json!({"exp": null}), "setup"),
        (json!({}), json!({"exp": "soon"}), "setup"),
        (json!({}), json!({"iat": NOW + 120}), "setup"),
        (json!({}), json!({"iat": NOW - 3600}), "setup"),
        (json!({}), json!({"iat": null}), "setup"),
        (json!({}), json!({"nbf": NOW + 120}), "setup"),
        (json!({}), json!({"nbf": "later"}), "setup"),
        (json!({}), json!({"sub": ""}), "setup"),
        (json!({}), json!({"sub": null}), "setup"),
        (json!({}), json!({"sub": 7}), "setup"),
        (json!({}), json!({"sub": "x".repeat(256)}), "setup"),
        (json!({}), json!({"at_hash": "AAAA"}), "setup"),
        (json!({"alg": "none"}), json!({}), "setup"),
        (json!({"alg": "None"}), json!({}), "setup"),
        (json!({"alg": "HS256"}), json!({}), "setup"),
        (json!({"alg": "RS384"}), json!({}), "setup"),
        (json!({"alg": null}), json!({}), "setup"),
        (json!({"crit": ["exp"]}), json!({}), "setup"),
        (json!({"typ": "at+jwt"}), json!({}), "setup"),
        (json!({"kid": 7}), json!({}), "setup"),
        (json!({"kid": "another"}), json!({}), "unavailable"),
        // Another kind of key than the token's algorithm wants.
        (json!({"alg": "RS256"}), json!({}), "unavailable"),
        (json!({}), json!({"aud": ["the client"]}), "identity"),
        (
            json!({}),
            json!({"aud": others, "azp": "the client"}),
            "identity",
        ),
        (json!({}), json!({"exp": NOW - 59}), "identity"),
        (json!({}), json!({"iat": 1_799_999_999.5}), "identity"),
        (
            json!({}),
            json!({"at_hash": base64url::encode(&digest(&SHA256, b"AT").as_ref()[..16])}),
            "identity",
        ),
    ] {
        issuer.set(|b| {
            b.header = header.clone();
            b.claims = claims.clone();
        });
        assert_eq!(kind(issuer.login().await), expected, "{header} {claims}");
    }
}

#[tokio::test]
async fn what_was_changed_after_signing_or_signed_by_another_is_not_taken() {
    let issuer = Issuer::start().await;
    let (credential, _) = issuer.authorize().await;
    let nonce = issuer.behaviour.lock().unwrap().nonce.clone();
    let claims = json!({"iss": issuer.oidc.settings.issuer, "aud": "the client", "sub": "person-1", "exp": NOW + 300, "iat": NOW, "nonce": nonce});
    let header = json!({"alg": "ES256", "kid": "k1"});
    let good = sign(&header, &claims);
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let victim = base64url::encode(merged(claims.clone(), &json!({"sub": "victim"})).to_string());
    let twice = base64url::encode(claims.to_string().replacen('{', "{\"sub\":\"victim\",", 1));
    for token in [
        format!("{head}.{victim}.{signature}"),
        format!("{head}.{twice}.{signature}"),
        format!("{head}.{victim}."),
        format!("{good}="),
        format!("{good}.x.y"),
        head.to_owned(),
        String::new(),
        "a".repeat(16 * 1024),
    ] {
        issuer.set(|b| b.token_reply = Some((200, json!({"id_token": token}))));
        let result = issuer.oidc.exchange(&app(), &credential).await;
        assert!(
            matches!(kind(result), "setup" | "unavailable"),
            "{token:.80}"
        );
    }
    issuer.set(|b| b.token_reply = Some((200, json!({"id_token": good}))));
    assert_eq!(
        kind(issuer.oidc.exchange(&app(), &credential).await),
        "identity"
    );
}

#[tokio::test]
async fn a_new_key_is_looked_for_once_and_made_up_names_do_not_make_us_ask_without_end() {
    let issuer = Issuer::start().await;
    assert_eq!(kind(issuer.login().await), "identity");
    issuer.clock.0.fetch_add(61, Ordering::SeqCst);
    issuer.set(|b| {
        b.kid = "k2".into();
        b.published = vec!["k1".into(), "k2".into()];
    });
    issuer.paths();
    assert_eq!(kind(issuer.login().await), "identity");
    assert_eq!(issuer.paths(), ["/token", "/jwks"]);
    issuer.set(|b| b.kid = "made-up".into());
    for _ in 0..3 {
        assert_eq!(kind(issuer.login().await), "unavailable");
    }
    assert_eq!(issuer.paths(), ["/token", "/token", "/token"]);
}

#[tokio::test]
async fn rfc_9207_another_issuers_answer_is_refused_before_its_code_goes_anywhere() {
    let issuer = Issuer::start().await;
    let (credential, _) = issuer.authorize().await;
    let with = |iss: Option<&str>| {
        let Credential::Answered(answered) = credential.clone() else {
            panic!("no answer")
        };
        Credential::Answered(AnsweredCode {
            iss: iss.map(str::to_owned),
            ..answered
        })
    };
    issuer.paths();
    for iss in [
        "https://evil.example",
        "",
        &format!("{}/", issuer.oidc.settings.issuer),
    ] {
        assert_eq!(
            kind(issuer.oidc.exchange(&app(), &with(Some(iss))).await),
            "credential"
        );
    }
    assert_eq!(issuer.paths(), Vec::<String>::new());
    let own = issuer.oidc.settings.issuer.clone();
    assert_eq!(
        kind(issuer.oidc.exchange(&app(), &with(Some(&own))).await),
        "identity"
    );
    // One that always names itself, and an answer that does not.
    let issuer = Issuer::start().await;
    issuer.set(|b| b.discovery = json!({"authorization_response_iss_parameter_supported": true}));
    assert_eq!(kind(issuer.login().await), "credential");
}

#[tokio::test]
async fn every_error_of_the_token_endpoint_has_its_meaning() {
    let issuer = Issuer::start().await;
    for (status, reply, expected) in [
        (400, json!({"error": "invalid_grant"}), "credential"),
        (400, json!({"error": "access_denied"}), "consent"),
        (401, json!({"error": "invalid_client"}), "setup"),
        (400, json!({"error": "unauthorized_client"}), "setup"),
        (
            400,
            json!({"error": "invalid_request", "error_description": "x"}),
            "setup",
        ),
        (
            400,
            json!({"error": "temporarily_unavailable"}),
            "unavailable",
        ),
        (503, json!({"error": "invalid_grant"}), "unavailable"),
        (302, json!({"id_token": "x"}), "unavailable"),
        (200, json!({"error": "invalid_grant"}), "unavailable"),
        (200, json!({"access_token": "AT"}), "unavailable"),
        (200, json!([]), "unavailable"),
        (200, json!("<html>"), "unavailable"),
        (200, json!("x".repeat(70_000)), "unavailable"),
        (200, json!("DROP"), "unavailable"),
    ] {
        issuer.set(|b| b.token_reply = Some((status, reply.clone())));
        assert_eq!(kind(issuer.login().await), expected, "{status} {reply:.60}");
        // A code that may have been taken is not sent twice.
        let asked = issuer
            .paths()
            .iter()
            .filter(|path| *path == "/token")
            .count();
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn m3_the_profile_comes_from_the_token_or_from_userinfo_of_the_same_person() {
    let issuer = Issuer::start().await;
    issuer.set(|b| b.discovery = json!({"userinfo_endpoint": "BASE/userinfo"}));
    let nickname = |identity: ProviderIdentity| identity.profile.nickname;
    assert_eq!(
        nickname(issuer.login().await.unwrap()).as_deref(),
        Some("从用户信息")
    );
    issuer.set(|b| b.userinfo = json!({"sub": "somebody else", "name": "x"}));
    assert_eq!(nickname(issuer.login().await.unwrap()), None);
    issuer.set(|b| b.claims = json!({"name": "林晓"}));
    issuer.paths();
    assert_eq!(
        nickname(issuer.login().await.unwrap()).as_deref(),
        Some("林晓")
    );
    assert!(!issuer.paths().contains(&"/userinfo".to_owned()));
}

#[tokio::test]
async fn an_issuer_at_an_address_of_ours_is_not_asked() {
    let issuer = Issuer::start_reaching(Reach::Public).await;
    let refused = issuer.oidc.prepare(&app(), "00ff").await;
    assert!(
        matches!(refused, Err(ExchangeError::Misconfigured(_))),
        "{refused:?}"
    );
    assert_eq!(issuer.paths(), Vec::<String>::new());
    // A good issuer whose document points at a neighbour of ours.
    let issuer = Issuer::start().await;
    for member in [
        "token_endpoint",
        "jwks_uri",
        "pushed_authorization_request_endpoint",
    ] {
        issuer.clock.0.fetch_add(7200, Ordering::SeqCst);
        issuer.set(|b| b.discovery = json!({member: "http://169.254.169.254/latest/meta-data"}));
        let result = match issuer.oidc.prepare(&app(), "00ff").await {
            Ok(_) if member == "jwks_uri" => {
                // Keys are asked for when there is a token.
                let metadata = issuer.oidc.metadata().await.unwrap();
                issuer.oidc.keys(&metadata, true).await.map(drop)
            }
            Ok(_) => issuer.login().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(
            matches!(result, Err(ExchangeError::Misconfigured(_))),
            "{member}: {result:?}"
        );
    }
}

#[test]
fn a_configuration_that_lacks_what_is_needed_is_not_taken() {
    let base = json!({
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/a",
        "token_endpoint": "https://id.example/t",
        "jwks_uri": "https://keys.example/j",
    });
    let read = |over: Value| {
        metadata::read(
            merged(base.clone(), &over).to_string().as_bytes(),
            "https://id.example",
            false,
        )
    };
    assert!(read(json!({})).is_ok());
    assert_eq!(
        read(json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}))
            .unwrap()
            .authentication,
        ClientAuthentication::Post
    );
    for over in [
        json!({"issuer": "https://id.example/"}),
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": null}),
        json!({"authorization_endpoint": null}),
        json!({"token_endpoint": "http://id.example/t"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"jwks_uri": "https://user:pass@keys.example/j"}),
        json!({"userinfo_endpoint": "ftp://id.example"}),
        json!({"response_types_supported": ["id_token"]}),
        json!({"code_challenge_methods_supported": ["plain"]}),
        json!({"id_token_signing_alg_values_supported": ["HS256", "none"]}),
        json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
        json!({"require_pushed_authorization_requests": true}),
    ] {
        assert!(read(over.clone()).is_err(), "{over}");
    }
    for body in [
        "",
        "[]",
        "<html>",
        "{\"issuer\":\"https://id.example\",\"issuer\":\"x\"}",
    ] {
        assert!(metadata::read(body.as_bytes(), "https://id.example", false).is_err());
    }
}

#[test]
fn of_published_keys_only_those_for_signatures_of_our_kinds_are_taken() {
    let count = |keys: Value| {
        keys::read_set(json!({ "keys": keys }).to_string().as_bytes()).map(|keys| keys.len())
    };
    let ec = |over: Value| merged(jwk("ES256", "k1"), &over);
    assert_eq!(count(json!([ec(json!({})), jwk("RS256", "k2")])), Some(2));
    for over in [
        json!({"use": "enc"}),
        json!({"use": 1}),
        json!({"key_ops": ["sign"]}),
        json!({"key_ops": "verify"}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"crv": "P-384"}),
        json!({"alg": "ES384"}),
        json!({"x": "AAAA"}),
        json!({"kid": 1}),
        json!({"kty": null}),
    ] {
        assert_eq!(count(json!([ec(over.clone())])), Some(0), "{over}");
    }
    // Two of one name: nobody can say which is meant.
    assert_eq!(count(json!([ec(json!({})), jwk("RS256", "k1")])), Some(0));
    assert_eq!(count(json!([1, "x", null])), Some(0));
    assert_eq!(keys::read_set(b"{}").map(|keys| keys.len()), None);
    assert_eq!(
        keys::read_set(json!({"keys": vec![1; 65]}).to_string().as_bytes()).map(|keys| keys.len()),
        None
    );
}
