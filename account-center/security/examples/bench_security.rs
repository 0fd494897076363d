//! How long the checks of one request take, as medians of many runs on one thread: `cargo run --release -p postern-server-security --example bench_security`.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use postern_server_security::access_token::{Acr, Claims, Confirmation, TokenVerifier, mint};
use postern_server_security::dpop::{self, DpopVerifier, Proof};
use postern_server_security::keys::{KeySet, SigningKey};
use postern_server_security::nonce::NonceKey;
use postern_server_security::public_url::PublicUrl;
use postern_server_security::sealing::{Place, Recipient, SealingKeyPair, SealingKeys, seal};
use postern_server_security::{base64url, jws};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use serde_json::json;

const RUNS: usize = 2000;
const NOW: u64 = 1_767_225_600;
const URL: &str = "https://login.bank.example";
const BODY: &[u8] =
    br#"{"app_id":"bank-android","start":{"provider":{"provider":"wechat","code":"0815"}}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let random = SystemRandom::new();
    let new_key = || SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random)?, &random);
    let (device, signer) = (new_key()?, new_key()?);

    let message = [7; 400];
    let signature = device.sign(&message, &random)?;
    measure("ES256 sign", || device.sign(&message, &random).is_ok());
    measure("ES256 verify", || {
        device.public().verify(&message, &signature).is_ok()
    });

    let nonces = NonceKey::new(&[1; 32]);
    let claims = json!({
        "jti": "AAECAwQFBgcICQoLDA0ODw", "htm": "POST", "htu": format!("{URL}/v1/login"), "iat": NOW,
        "nonce": nonces.issue(NOW), "bh": base64url::encode(digest(&SHA256, BODY)),
    });
    let header = jws::sign(
        &dpop::PROFILE,
        claims.to_string().as_bytes(),
        &device,
        &random,
    )?;
    let proof = Proof {
        header: &header,
        method: "POST",
        path: "/v1/login",
        body: Some(BODY),
        access_token: None,
    };
    let proofs = DpopVerifier::with_nonces(PublicUrl::parse(URL)?, nonces);
    measure("proof verified", || proofs.verify(&proof, NOW).is_ok());

    let claims = Claims {
        issuer: URL.into(),
        audience: vec!["orders".into()],
        subject: "0190a1b2-0000-7000-8000-000000000000".into(),
        client_id: "bank-android".into(),
        confirmation: Confirmation {
            jkt: device.public().thumbprint().clone(),
        },
        acr: Acr::Signed,
        auth_time: NOW,
        session_id: "0190a1b2-0000-7000-8000-000000000001".into(),
        token_id: "AAECAwQFBgcICQoLDA0ODw".into(),
        issued_at: NOW,
        expires_at: NOW + 300,
    };
    let token = mint(&claims, &signer, &random)?;
    let tokens = TokenVerifier {
        issuer: URL.into(),
        audience: "orders".into(),
        keys: KeySet::new([signer.public()]),
    };
    measure("access token minted", || {
        mint(&claims, &signer, &random).is_ok()
    });
    measure("access token verified", || {
        tokens.verify(token.expose(), NOW).is_ok()
    });

    let pair = SealingKeyPair::generate("seal-1", &random)?;
    let recipient = Recipient {
        issuer: URL,
        app_id: "bank-android",
    };
    let place = Place {
        device_key: device.public().thumbprint(),
        idempotency_key: "EBESExQVFhcYGRobHB0eHw",
        path: "/v1/login",
        field: "login_password",
        login_handle: "lg_AAECAwQFBgcICQoLDA0ODw",
        step_id: "st_1",
    };
    let sealed = seal(
        pair.kid(),
        pair.public_bytes(),
        "Str0ng-enough",
        &recipient,
        &place,
        &random,
    )?;
    let keys = SealingKeys::new(vec![pair]);
    measure("sealed field opened", || {
        keys.open(&sealed, &recipient, &place).is_ok()
    });
    Ok(())
}

/// Prints the median time of a call, and its fifth and ninety-fifth percentile.
fn measure(what: &str, call: impl Fn() -> bool) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            assert!(black_box(call()), "{what} went wrong");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[RUNS * percent / 100].as_secs_f64() * 1e6;
    println!(
        "{what:<24} {:>8.1} us   ({:.1} to {:.1})",
        at(50),
        at(5),
        at(95)
    );
}
