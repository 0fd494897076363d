//! `dpop.json`: proofs that are right, and what they tell.

use postern_server_security::base64url;
use postern_server_security::dpop::{DpopError, DpopVerifier, Proof, VerifiedProof};
use postern_server_security::jws;
use postern_server_security::keys::{SigningKey, VerifyingKey};
use postern_server_security::nonce::NonceKey;
use postern_server_security::public_url::PublicUrl;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{cases, committed, dpop_bad, pkcs8, same, signing_key, text};

pub(crate) const PUBLIC_URL: &str = "https://login.bank.example/gate";
pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const BODY: &str =
    r#"{"app_id":"bank-android","start":{"provider":{"provider":"wechat","code":"0815"}}}"#;
pub(crate) const TOKEN: &str = "an.access.token";
const NONCE_SECRET: [u8; 32] = [0x4e; 32];

pub(crate) fn nonce_key() -> NonceKey {
    NonceKey::new(&NONCE_SECRET)
}

pub(crate) fn hash(bytes: &str) -> String {
    base64url::encode(digest(&SHA256, bytes.as_bytes()))
}

/// The device key of the vectors.
pub(crate) fn device_key() -> SigningKey {
    signing_key(0x11)
}

/// A request with its proof, both right until something is changed.
pub(crate) struct Case {
    pub name: &'static str,
    pub header: Value,
    pub claims: Value,
    pub method: &'static str,
    pub path: &'static str,
    pub body: &'static str,
    pub access_token: Option<&'static str>,
    pub now: u64,
}

impl Case {
    /// A login request of the device key.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            header: json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": device_key().public().jwk()}),
            claims: json!({
                "jti": "AAECAwQFBgcICQoLDA0ODw",
                "htm": "POST",
                "htu": "https://login.bank.example/gate/v1/login",
                "iat": NOW,
                "nonce": nonce_key().issue(NOW),
                "bh": hash(BODY),
            }),
            method: "POST",
            path: "/v1/login",
            body: BODY,
            access_token: None,
            now: NOW,
        }
    }

    pub(crate) fn header(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.header[member] = value.into();
        self
    }

    pub(crate) fn claim(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.claims[member] = value.into();
        self
    }

    pub(crate) fn without_claim(mut self, member: &str) -> Self {
        self.claims
            .as_object_mut()
            .expect("an object")
            .remove(member);
        self
    }

    pub(crate) fn without_header(mut self, member: &str) -> Self {
        self.header
            .as_object_mut()
            .expect("an object")
            .remove(member);
        self
    }

    /// A request for the account: GET, no body, with a token.
    pub(crate) fn get(mut self) -> Self {
        (self.method, self.path, self.body) = ("GET", "/v1/account", "");
        self.access_token = Some(TOKEN);
        self.claim("htm", "GET")
            .claim("htu", "https://login.bank.example/gate/v1/account")
            .claim("bh", hash(""))
            .claim("ath", hash(TOKEN))
    }

    pub(crate) fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    pub(crate) fn signed(&self) -> String {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        signed_parts(header.as_bytes(), claims.as_bytes())
    }

    /// The case as it stands in the file, with a given proof.
    pub(crate) fn with_proof(&self, proof: &str) -> Value {
        json!({
            "name": self.name,
            "proof": proof,
            "method": self.method,
            "path": self.path,
            "body": self.body,
            "access_token": self.access_token,
            "now": self.now,
        })
    }

    fn good(&self, good_until: u64) -> Value {
        let mut case = self.with_proof(&self.signed());
        case["claims"] = self.claims.clone();
        case["device_key"] = json!(device_key().public().thumbprint());
        case["good_until"] = json!(good_until);
        case
    }
}

pub(crate) fn signed_parts(header: &[u8], claims: &[u8]) -> String {
    jws::sign_parts(header, claims, &device_key(), &same(0x5a)).expect("signing works")
}

fn make() -> Value {
    let start = NOW / 900 * 900;
    let good = [
        Case::new("login without a token").good(start + 1800),
        Case::new("account with a token, no body")
            .get()
            .good(start + 1800),
        Case::new("a device clock that is ten minutes slow")
            .claim("iat", NOW - 600)
            .good(start + 1800),
        Case::new("a device clock at the epoch")
            .claim("iat", 0)
            .good(start + 1800),
        Case::new("a device clock before the epoch")
            .claim("iat", -5)
            .good(start + 1800),
        Case::new("a device clock with a fraction")
            .claim("iat", 1.5)
            .good(start + 1800),
        Case::new("the default port and an upper-case host")
            .claim("htu", "HTTPS://LOGIN.bank.example:443/gate/v1/login")
            .good(start + 1800),
        Case::new("an escaped unreserved character")
            .claim("htu", "https://login.bank.example/gate/v1/%6cogin")
            .good(start + 1800),
        Case::new("a claim that is not ours")
            .claim("x", json!({"y": [1]}))
            .good(start + 1800),
        Case::new("the previous window's nonce")
            .claim("nonce", nonce_key().issue(start - 1))
            .good(start + 900),
        Case::new("the last second of a nonce")
            .at(start + 1799)
            .good(start + 1800),
    ];
    let key = |name: &str, byte: u8| {
        let key = signing_key(byte);
        json!({
            "name": name,
            "pkcs8": base64url::encode(pkcs8(byte)),
            "d": base64url::encode([byte; 32]),
            "jwk": key.public().jwk(),
            "thumbprint": key.public().thumbprint(),
        })
    };
    json!({
        "$comment": "Contract section 2. body is the body's text (UTF-8); now is the server's clock; good proofs tell the device key and from when on they are stale; bad ones have the reason: use_nonce for use_dpop_nonce, all others are invalid_dpop_proof. Made by the test `vectors` of account-center/security.",
        "public_url": PUBLIC_URL,
        "nonces": {
            "secret": base64url::encode(NONCE_SECRET),
            "window_seconds": 900,
            "now": NOW,
            "current": nonce_key().issue(NOW),
            "previous": nonce_key().issue(NOW - 900),
        },
        "keys": [key("the device key of the proofs", 0x11), key("another device key", 0x12)],
        "thumbprints": [{
            "source": "RFC 9449, section 6.1",
            "jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
            },
            "thumbprint": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        }],
        "good": good,
        "bad": dpop_bad::make(),
    })
}

fn verify(case: &Value) -> Result<VerifiedProof, DpopError> {
    let public_url = PublicUrl::parse(PUBLIC_URL).expect("a public URL");
    let proof = Proof {
        header: text(case, "proof"),
        method: text(case, "method"),
        path: text(case, "path"),
        body: Some(text(case, "body").as_bytes()),
        access_token: case["access_token"].as_str(),
    };
    DpopVerifier::with_nonces(public_url, nonce_key())
        .verify(&proof, case["now"].as_u64().expect("an instant"))
}

#[test]
fn contract_2_the_vectors_of_proofs_are_current_and_judged_as_they_say() {
    let vectors = committed("dpop.json", &make());
    for (name, case) in cases(&vectors, "good") {
        let verified = verify(case).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            verified.device_key.as_str(),
            text(case, "device_key"),
            "{name}"
        );
        assert_eq!(verified.jti, text(&case["claims"], "jti"), "{name}");
        assert_eq!(verified.good_until, case["good_until"], "{name}");
    }
    for (name, case) in cases(&vectors, "bad") {
        let reason = match verify(case) {
            Ok(_) => panic!("{name} was taken"),
            Err(DpopError::UseNonce) => "use_nonce",
            Err(DpopError::Invalid(reason)) => reason.word(),
        };
        assert_eq!(reason, text(case, "reason"), "{name}");
    }
}

#[test]
fn rfc7638_the_thumbprints_of_the_vectors_are_ours() {
    let vectors = make();
    for list in ["keys", "thumbprints"] {
        for entry in vectors[list].as_array().expect("a list") {
            let key = VerifyingKey::from_exact_jwk(&entry["jwk"]).expect("a key");
            assert_eq!(key.thumbprint().as_str(), text(entry, "thumbprint"));
            assert_eq!(key.jwk(), entry["jwk"]);
        }
    }
}

#[test]
fn contract_2_a_replay_key_is_of_one_device_key_and_one_jti() {
    let seen = |proof: &str, name| {
        verify(&Case::new(name).with_proof(proof))
            .expect("right")
            .replay_key
    };
    let first = Case::new("first").signed();
    assert_eq!(seen(&first, "again"), seen(&first, "and again"));
    let other_jti = Case::new("other")
        .claim("jti", "BAECAwQFBgcICQoLDA0ODw")
        .signed();
    assert_ne!(seen(&first, "x"), seen(&other_jti, "y"));

    let other = signing_key(0x12);
    let case = Case::new("other key").header("jwk", other.public().jwk());
    let other_key = jws::sign_parts(
        case.header.to_string().as_bytes(),
        case.claims.to_string().as_bytes(),
        &other,
        &same(1),
    )
    .expect("signing works");
    assert_ne!(seen(&first, "x"), seen(&other_key, "y"));
    assert_eq!(seen(&first, "x").as_str().len(), 43);
}
