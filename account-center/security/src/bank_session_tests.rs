#![allow(clippy::unwrap_used)]
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::json;

use super::*;
use crate::keys::SigningKey;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://bank.example";
const US: &str = "https://login.bank.example";

fn device() -> Thumbprint {
    Thumbprint::parse(&base64url::encode([7; 32])).unwrap()
}

struct Bank {
    es256: SigningKey,
    rs256: KeyPair,
}

impl Bank {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = SigningKey::generate_pkcs8(&random).unwrap();
        let pem = include_str!("../../src/config/simulated/alipay-app-SIMULATOR-ONLY.pem");
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        Self {
            es256: SigningKey::from_pkcs8(&pkcs8, &random).unwrap(),
            rs256: KeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap(),
        }
    }

    fn jwks(&self) -> Value {
        let mut ec = self.es256.public().jwk();
        ec["kid"] = json!("e1");
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rs256.public());
        let (n, e) = (base64url::encode(&public.n), base64url::encode(&public.e));
        json!({"keys": [ec, {"kty": "RSA", "kid": "r1", "alg": "RS256", "n": n, "e": e}]})
    }

    fn keys(&self) -> TrustedKeys {
        TrustedKeys::from_jwks(self.jwks().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(payload)
        );
        let signature = if header.contains("\"r1\"") {
            let mut signature = vec![0; self.rs256.public().modulus_len()];
            self.rs256
                .sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    signed.as_bytes(),
                    &mut signature,
                )
                .unwrap();
            signature
        } else {
            self.es256
                .sign(signed.as_bytes(), &SystemRandom::new())
                .unwrap()
        };
        format!("{signed}.{}", base64url::encode(signature))
    }
}

fn header(alg: &str, kid: &str) -> Value {
    json!({"typ": TYPE, "alg": alg, "kid": kid})
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": US, "iat": NOW, "exp": NOW + 60, "jti": "0123456789abcdef0123",
        "cnf": {"jkt": device().as_str()}, "sub": "C1", "phone_number": "+8613800138000",
        "method": "password", "amr": ["pwd", "face"], "anything": {"else": 1},
    })
}

fn check(bank: &Bank, token: &str) -> Result<Assertion, Refused> {
    let expected = Expected {
        issuer: ISSUER,
        audience: US,
        device_key: &device(),
        now: NOW,
    };
    verify(token, &bank.keys(), &expected)
}

fn with(name: &str, value: Value) -> Value {
    let mut changed = claims();
    changed[name] = value;
    changed
}

fn without(name: &str) -> Value {
    let mut changed = claims();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

fn checked(claims: &Value) -> Result<Assertion, Refused> {
    let bank = Bank::new();
    let token = bank.sign(&header("ES256", "e1").to_string(), &claims.to_string());
    check(&bank, &token)
}

#[test]
fn l1_an_assertion_by_either_kind_of_key_says_who_it_is_and_how_they_logged_in() {
    let bank = Bank::new();
    for (alg, kid) in [("ES256", "e1"), ("RS256", "r1")] {
        let token = bank.sign(&header(alg, kid).to_string(), &claims().to_string());
        assert_eq!(key_id(&token).as_deref(), Some(kid));
        let assertion = check(&bank, &token).unwrap();
        assert_eq!(assertion.customer.as_deref(), Some("C1"));
        assert_eq!(assertion.phone.as_deref(), Some("+8613800138000"));
        assert_eq!(assertion.method, Method::Password);
        assert_eq!(assertion.shown, ["pwd", "face"]);
        assert_eq!(assertion.remember_until, NOW + 70);
        assert!(!format!("{assertion:?}").contains("C1"));
    }
    assert!(checked(&without("sub")).unwrap().customer.is_none());
    assert!(checked(&without("phone_number")).unwrap().phone.is_none());
    assert!(checked(&without("amr")).unwrap().shown.is_empty());
    assert!(checked(&with("aud", json!([US]))).is_ok());
}

#[test]
fn l1_no_algorithm_but_the_keys_own_is_taken() {
    let bank = Bank::new();
    let payload = claims().to_string();
    let refused = |token: &str| check(&bank, token).unwrap_err();
    for (alg, kid) in [
        ("none", "e1"),
        ("HS256", "e1"),
        ("HS256", "r1"),
        ("RS256", "e1"),
        ("ES256", "r1"),
        ("PS256", "r1"),
        ("es256", "e1"),
    ] {
        let token = bank.sign(&header(alg, kid).to_string(), &payload);
        assert_eq!(refused(&token), Refused::Algorithm, "{alg} {kid}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(refused(&unsigned), Refused::Algorithm, "{alg} {kid}");
    }
    // HMAC under what everybody knows of the public keys.
    let signed = format!(
        "{}.{}",
        base64url::encode(header("HS256", "e1").to_string()),
        base64url::encode(&payload)
    );
    let jwks = bank.jwks();
    for secret in [
        bank.es256.public().sec1().to_vec(),
        jwks["keys"][0].to_string().into_bytes(),
        jwks["keys"][1]["n"].as_str().unwrap().as_bytes().to_vec(),
    ] {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", base64url::encode(tag.as_ref()));
        assert_eq!(refused(&token), Refused::Algorithm);
    }
}

#[test]
fn l1_an_assertion_with_another_header_or_signature_is_refused() {
    let bank = Bank::new();
    let payload = claims().to_string();
    let good = bank.sign(&header("ES256", "e1").to_string(), &payload);
    let refused = |token: &str| check(&bank, token).unwrap_err();
    let signed_with = |header: &str| refused(&bank.sign(header, &payload));
    for (header, reason) in [
        (header("ES256", "e2").to_string(), Refused::UnknownKey),
        (
            json!({"typ": "JWT", "alg": "ES256", "kid": "e1"}).to_string(),
            Refused::Type,
        ),
        (
            json!({"typ": "at+jwt", "alg": "ES256", "kid": "e1"}).to_string(),
            Refused::Type,
        ),
        (
            json!({"alg": "ES256", "kid": "e1"}).to_string(),
            Refused::Header,
        ),
        (
            json!({"typ": TYPE, "alg": "ES256", "kid": "e1", "crit": ["b64"], "b64": false})
                .to_string(),
            Refused::Header,
        ),
        (
            json!({"typ": TYPE, "alg": "ES256", "kid": "e1", "jku": "https://evil.example"})
                .to_string(),
            Refused::Header,
        ),
        (
            json!({"typ": TYPE, "alg": "ES256", "kid": "e1", "jwk": bank.es256.public().jwk()})
                .to_string(),
            Refused::Header,
        ),
        (
            format!(r#"{{"typ":"{TYPE}","alg":"none","alg":"ES256","kid":"e1"}}"#),
            Refused::Form,
        ),
        ("[]".to_owned(), Refused::Form),
    ] {
        assert_eq!(signed_with(&header), reason, "{header}");
    }
    let stranger = Bank::new().sign(&header("ES256", "e1").to_string(), &payload);
    assert_eq!(refused(&stranger), Refused::Signature);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = with("sub", json!("C2")).to_string();
    let (head, _) = signed.split_once('.').unwrap();
    let swapped = format!("{head}.{}.{signature}", base64url::encode(other));
    assert_eq!(refused(&swapped), Refused::Signature);
    for broken in [
        String::new(),
        "a.b".to_owned(),
        format!("{good}="),
        format!("{good}.x"),
        "x".repeat(5000),
    ] {
        assert_eq!(refused(&broken), Refused::Form, "{broken:.20}");
    }
}

#[test]
fn l1_every_claim_counts() {
    for (changed, name) in [
        (with("iss", json!("https://evil.example")), "iss"),
        (without("iss"), "iss"),
        (with("aud", json!("https://other.example")), "aud"),
        (with("aud", json!([US, "https://other.example"])), "aud"),
        (with("aud", json!([])), "aud"),
        (without("aud"), "aud"),
        (with("exp", json!(NOW + 61)), "exp"),
        (with("exp", json!(NOW - 10)), "exp"),
        (with("exp", json!("1900000000")), "exp"),
        (with("exp", json!(1_800_000_030.5)), "exp"),
        (with("exp", json!(u64::MAX)), "exp"),
        (without("exp"), "exp"),
        (with("iat", json!(NOW + 11)), "iat"),
        (with("iat", json!(NOW - 1)), "exp"),
        (with("iat", json!(-1)), "iat"),
        (without("iat"), "iat"),
        (with("nbf", json!(NOW + 11)), "nbf"),
        (with("nbf", json!(null)), "nbf"),
        (with("jti", json!("short")), "jti"),
        (with("jti", json!("with spaces in the middle")), "jti"),
        (without("jti"), "jti"),
        (
            with("cnf", json!({"jkt": base64url::encode([8; 32])})),
            "cnf",
        ),
        (with("cnf", json!({})), "cnf"),
        (with("cnf", json!(device().as_str())), "cnf"),
        (without("cnf"), "cnf"),
        (with("method", json!("sms")), "method"),
        (without("method"), "method"),
        (with("sub", json!("")), "sub"),
        (with("sub", json!(7)), "sub"),
        (with("sub", json!("x".repeat(65))), "sub"),
        (with("phone_number", json!(null)), "phone_number"),
        (with("amr", json!("pwd")), "amr"),
        (with("amr", json!(["pwd", 1])), "amr"),
    ] {
        assert_eq!(checked(&changed), Err(Refused::Claim(name)), "{changed}");
    }
    let mut nobody = without("sub");
    nobody.as_object_mut().unwrap().remove("phone_number");
    assert_eq!(checked(&nobody), Err(Refused::Claim("sub")));
    let bank = Bank::new();
    let twice = claims().to_string().replacen('{', r#"{"sub":"C2","#, 1);
    let token = bank.sign(&header("ES256", "e1").to_string(), &twice);
    assert_eq!(check(&bank, &token), Err(Refused::Form));
    let late = Expected {
        issuer: ISSUER,
        audience: US,
        device_key: &device(),
        now: NOW + 70,
    };
    let token = bank.sign(&header("ES256", "e1").to_string(), &claims().to_string());
    assert_eq!(
        verify(&token, &bank.keys(), &late),
        Err(Refused::Claim("exp"))
    );
}

#[test]
fn a_key_set_with_anything_doubtful_in_it_is_not_taken() {
    let bank = Bank::new();
    let jwks = bank.jwks();
    let (ec, rsa) = (&jwks["keys"][0], &jwks["keys"][1]);
    let change = |key: &Value, name: &str, value: Value| {
        let mut changed = key.clone();
        changed[name] = value;
        changed
    };
    for keys in [
        json!([ec, change(rsa, "kid", json!("e1"))]),
        json!([change(ec, "d", json!("AAAA"))]),
        json!([change(ec, "kid", json!(""))]),
        json!([change(ec, "x", json!("AAAA"))]),
        json!([7]),
        json!(vec![ec; 33]),
    ] {
        let document = json!({ "keys": keys }).to_string();
        assert!(
            TrustedKeys::from_jwks(document.as_bytes()).is_err(),
            "{document:.80}"
        );
    }
    assert!(TrustedKeys::from_jwks(b"{}").is_err());
    let passed_over = json!({"keys": [
        change(ec, "use", json!("enc")), change(rsa, "alg", json!("RS512")),
        {"kty": "oct", "kid": "o", "use": "enc"}, {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "AA"},
    ]});
    let keys = TrustedKeys::from_jwks(passed_over.to_string().as_bytes()).unwrap();
    assert!(!keys.has("e1") && !keys.has("r1"));
}
