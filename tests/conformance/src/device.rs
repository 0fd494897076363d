//! A device: its key, its proofs (contract section 2), and every way to make a proof wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

use crate::Finding;

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 128 random bits: 22 base64url characters.
pub fn random128() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has randomness");
    b64(bytes)
}

/// A device with a key of its own.
pub struct Device {
    pair: EcdsaKeyPair,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.thumbprint())
    }
}

/// A proof before it is signed: `header` and `claims` may be changed at will.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// Text to put before the closing brace of the claims: a member that occurs twice cannot be said with a map.
    pub tail: String,
}

impl Device {
    /// A new device.
    pub fn new() -> Result<Self, Finding> {
        let random = SystemRandom::new();
        let failed = |_| Finding::new("this machine could not make a key");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(failed)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .map_err(|_| Finding::new("this machine could not read a key that it made"))?;
        Ok(Self { pair })
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
    }

    /// RFC 7638: over the required members in lexicographic order.
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let canonical = format!(
            r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
            jwk["x"], jwk["y"]
        );
        b64(digest(&SHA256, canonical.as_bytes()))
    }

    /// A good proof for a request.
    pub fn proof(
        &self,
        method: &str,
        url: &str,
        nonce: Option<&str>,
        body: &[u8],
        token: Option<&str>,
    ) -> Proof {
        let mut header = Map::new();
        header.insert("typ".into(), json!("dpop+jwt"));
        header.insert("alg".into(), json!("ES256"));
        header.insert("jwk".into(), self.jwk());
        let mut claims = Map::new();
        claims.insert("jti".into(), json!(random128()));
        claims.insert("htm".into(), json!(method));
        claims.insert("htu".into(), json!(url));
        claims.insert("iat".into(), json!(1_800_000_000));
        claims.insert("bh".into(), json!(b64(digest(&SHA256, body))));
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), json!(nonce));
        }
        if let Some(token) = token {
            claims.insert("ath".into(), json!(b64(digest(&SHA256, token.as_bytes()))));
        }
        Proof {
            header,
            claims,
            tail: String::new(),
        }
    }

    /// Signs a proof: the header's value.
    pub fn sign(&self, proof: &Proof) -> Result<String, Finding> {
        let mut claims = Value::Object(proof.claims.clone()).to_string();
        claims.insert_str(claims.len() - 1, &proof.tail);
        let header = Value::Object(proof.header.clone()).to_string();
        let signed = format!("{}.{}", b64(header), b64(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| Finding::new("this machine could not sign"))?;
        Ok(format!("{signed}.{}", b64(signature)))
    }
}
