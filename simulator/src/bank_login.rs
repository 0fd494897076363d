//! The bank's own login: its server says of somebody that they logged in with password, phone or fingerprint (the account center's contract/identity.md), and
//! publishes the key that it signs with. The key is new in each run.

use std::sync::{Arc, LazyLock};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared},
    context::random_text,
    world::World,
};

/// The bank's name in its assertions.
const ISSUER: &str = "https://app.bank.example";
const KEY_ID: &str = "simulator-bank-login";
/// How long an assertion is good, in seconds.
const LIFETIME: u64 = 60;

static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .expect("the operating system gives random bytes");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
        .expect("what was just made can be read")
});

/// Open calls: the key set is public, and the bank's app on the phone has no key of the server's.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/bank-session-keys", get(keys))
        .route("/phone/bank-session", post(assertion))
        .with_state(world)
}

async fn keys() -> Json<Value> {
    let point = KEY.public_key().as_ref();
    let (x, y) = (
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..]),
    );
    Json(json!({"keys": [
        {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": KEY_ID, "use": "sig", "alg": "ES256"},
    ]}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    phone: String,
    method: String,
    #[serde(default)]
    amr: Vec<String>,
    audience: String,
    device_key: String,
}

/// Somebody logs in at the bank.
async fn assertion(State(world): Shared, Body(login): Body<Login>) -> Result<Json<Value>, Failure> {
    let person = world
        .people()
        .list()
        .iter()
        .find(|person| person.phone == login.phone)
        .cloned()
        .ok_or_else(|| Failure::not_found("person"))?;
    let now = world.now();
    let mut claims = json!({
        "iss": ISSUER, "aud": login.audience, "iat": now, "exp": now + LIFETIME,
        "jti": random_text(&*world.randomness, 16), "cnf": {"jkt": login.device_key},
        "phone_number": person.phone, "method": login.method, "amr": login.amr,
    });
    if let Some(reference) = person.customer_reference {
        claims["sub"] = reference.into();
    }
    let header = json!({"typ": "bank-session+jwt", "alg": "ES256", "kid": KEY_ID});
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = KEY
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a good key signs");
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(Json(
        json!({ "assertion": format!("{signed}.{signature}") }),
    ))
}
