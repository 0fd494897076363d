//! Any token, any claims in a token that is signed, and any refresh token.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use postern_fuzz::{KEY, NOW, URL, signed};
use postern_server_security::access_token::{LIFETIME_SECONDS, PROFILE, TokenVerifier};
use postern_server_security::keys::KeySet;
use postern_server_security::refresh::RefreshKey;

static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| TokenVerifier {
    issuer: URL.to_owned(),
    audience: "a".to_owned(),
    keys: KeySet::new([KEY.public()]),
});

static REFRESH: LazyLock<RefreshKey> = LazyLock::new(|| RefreshKey::new(&[2; 32]));

fuzz_target!(|data: &[u8]| {
    let raw = String::from_utf8_lossy(data);
    assert!(VERIFIER.verify(&raw, NOW).is_err());
    if let Ok(claims) = VERIFIER.verify(&signed(&PROFILE, data), NOW) {
        assert_eq!(claims.issuer, URL);
        assert!(
            claims.expires_at > NOW && claims.expires_at - claims.issued_at <= LIFETIME_SECONDS
        );
    }
    assert!(REFRESH.parse(&raw).is_err());
    assert!(REFRESH.parse(&format!("rt_{raw}")).is_err());
});
