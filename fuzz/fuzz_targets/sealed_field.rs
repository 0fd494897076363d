//! Any sealed field, any ciphertext in one that is well-formed, in any place.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use postern_fuzz::{KEY, URL, halves};
use postern_server_security::base64url;
use postern_server_security::sealing::{Place, Recipient, SealingKeyPair, SealingKeys};

static KEYS: LazyLock<SealingKeys> = LazyLock::new(|| {
    SealingKeys::new(vec![
        SealingKeyPair::derive("k", &[3; 32]).expect("a key id"),
    ])
});

fuzz_target!(|data: &[u8]| {
    let (kid, rest) = halves(data);
    let kid = String::from_utf8_lossy(kid);
    let raw = String::from_utf8_lossy(data);
    let place = Place {
        device_key: KEY.public().thumbprint(),
        idempotency_key: &raw,
        path: "/v1/login",
        field: "login_password",
        login_handle: &kid,
        step_id: "",
    };
    let recipient = Recipient {
        issuer: URL,
        app_id: &kid,
    };
    let (enc, ciphertext) = rest.split_at(rest.len().min(32));
    let enc = base64url::encode(enc);
    let ciphertext = base64url::encode(ciphertext);
    for field in [
        raw.to_string(),
        format!("{kid}.{enc}.{ciphertext}"),
        format!("k.{enc}.{ciphertext}"),
    ] {
        assert!(KEYS.open(&field, &recipient, &place).is_err());
    }
});
