//! ID tokens and the keys that sign them; and tokens that are wrong, where a test asks for one.

use std::sync::{Arc, LazyLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, subject};
use crate::{context::random_text, world::World};

const RSA_KEY: &str = include_str!("../../keys/oidc-SIMULATOR-ONLY.pem");

static RSA: LazyLock<rsa::KeyPair> = LazyLock::new(|| {
    let lines: String = RSA_KEY
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let document = STANDARD.decode(lines).expect("the key file is base64");
    rsa::KeyPair::from_pkcs8(&document).expect("the key file is PKCS#8")
});

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }
}

/// A key with its name.
#[derive(Clone)]
pub(crate) struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    /// Of ES256; RSA's is always the same one.
    ec: Option<Arc<EcdsaKeyPair>>,
}

impl SigningKey {
    /// A new key under a new name.
    pub(crate) fn make(world: &World, algorithm: Algorithm) -> Self {
        let ec = (algorithm == Algorithm::Es256).then(|| {
            let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
            let document =
                EcdsaKeyPair::generate_pkcs8(kind, &random).expect("the system has randomness");
            let key = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random);
            Arc::new(key.expect("it was just made"))
        });
        Self {
            kid: format!("sim-{}", random_text(&*world.randomness, 6)),
            algorithm,
            ec,
        }
    }

    /// Its name in the published set.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn public(&self) -> Value {
        let mut jwk = if let Some(key) = &self.ec {
            let point = key.public_key().as_ref();
            json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
        } else {
            let public: rsa::PublicKeyComponents<Vec<u8>> = RSA.public().into();
            json!({ "kty": "RSA", "n": b64(public.n), "e": b64(public.e) })
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm.name().into();
        jwk
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        let encoding: &'static dyn RsaEncoding = match (&self.ec, self.algorithm) {
            (Some(key), _) => {
                let signature = key.sign(&random, text.as_bytes());
                return signature.expect("a good key signs").as_ref().to_vec();
            }
            (None, Algorithm::Ps256) => &RSA_PSS_SHA256,
            (None, _) => &RSA_PKCS1_SHA256,
        };
        let mut signature = vec![0; RSA.public().modulus_len()];
        RSA.sign(encoding, &random, text.as_bytes(), &mut signature)
            .expect("a good key signs");
        signature
    }
}

/// The key that signs now.
pub(super) fn current(world: &World) -> SigningKey {
    let made = SigningKey::make(world, Algorithm::Es256);
    world.oidc().key.get_or_insert(made).clone()
}

/// What is wrong with the next ID token: put on the request by the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wrong {
    /// Another nonce than the request's.
    Nonce,
    /// Another issuer.
    Issuer,
    /// Made for another client.
    Audience,
    /// Signed with a key that is not published.
    UnknownKey,
    /// Not signed, and saying so.
    None,
    /// "Signed" with the public key as an HMAC's secret.
    Hmac,
    /// Too old.
    Expired,
    /// The signature is of another text.
    Signature,
}

/// The ID token of a code.
pub(super) fn id_token(
    world: &World,
    asked: &Asked,
    person: &str,
    access_token: &str,
    wrong: Option<Wrong>,
) -> String {
    let key = current(world);
    let now = world.now();
    let mut header = json!({ "alg": key.algorithm.name(), "kid": key.kid, "typ": "JWT" });
    let mut claims = json!({
        "iss": world.addresses.oidc,
        "aud": asked.client.client_id,
        "sub": subject(person),
        "iat": now,
        "exp": now + 300,
        "nonce": asked.nonce,
        "at_hash": b64(&digest(&SHA256, access_token.as_bytes()).as_ref()[..16]),
    });
    match wrong {
        Some(Wrong::Nonce) => claims["nonce"] = "another".into(),
        Some(Wrong::Issuer) => claims["iss"] = "https://evil.example".into(),
        Some(Wrong::Audience) => claims["aud"] = "another-client".into(),
        Some(Wrong::UnknownKey) => header["kid"] = "unpublished".into(),
        Some(Wrong::None) => header["alg"] = "none".into(),
        Some(Wrong::Hmac) => header["alg"] = "HS256".into(),
        Some(Wrong::Expired) => {
            claims["iat"] = now.saturating_sub(400).into();
            claims["exp"] = now.saturating_sub(100).into();
        }
        Some(Wrong::Signature) | None => {}
    }
    let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = match wrong {
        Some(Wrong::None) => Vec::new(),
        Some(Wrong::Hmac) => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public().to_string().as_bytes());
            hmac::sign(&secret, text.as_bytes()).as_ref().to_vec()
        }
        Some(Wrong::Signature) => key.sign("another text"),
        _ => key.sign(&text),
    };
    format!("{text}.{}", b64(signature))
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What was form-encoded.
pub(super) fn unescaped(text: &str) -> String {
    url::form_urlencoded::parse(format!("v={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
