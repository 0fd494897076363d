//! What the bank's server signed, before and after its signature is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_server_security::Thumbprint;
use postern_server_security::bank_session::{Expected, TrustedKeys, key_id, verify};

fuzz_target!(|data: &[u8]| {
    if let Ok(keys) = TrustedKeys::from_jwks(data) {
        let _ = keys.has("e1");
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = key_id(text);
    let device_key = Thumbprint::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .expect("43 characters of base64url");
    let expected = Expected {
        issuer: "https://bank.example",
        audience: "https://login.bank.example",
        device_key: &device_key,
        now: 1_800_000_000,
    };
    assert!(verify(text, &TrustedKeys::default(), &expected).is_err());
});
