//! Any proof, any claims in a proof that is signed, any htu and any nonce.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use postern_fuzz::{KEY, NOW, URL, halves, signed};
use postern_server_security::base64url;
use postern_server_security::dpop::{DpopVerifier, PROFILE, Proof};
use postern_server_security::nonce::NonceKey;
use postern_server_security::public_url::PublicUrl;
use ring::digest::{SHA256, digest};
use serde_json::json;

static VERIFIER: LazyLock<DpopVerifier> = LazyLock::new(|| {
    DpopVerifier::with_nonces(
        PublicUrl::parse(URL).expect("a public URL"),
        NonceKey::new(&[1; 32]),
    )
});

fn verify(header: &str, path: &str, body: &[u8]) -> bool {
    let proof = Proof {
        header,
        method: "POST",
        path,
        body: Some(body),
        access_token: None,
    };
    VERIFIER
        .verify(&proof, NOW)
        .inspect(|verified| assert_eq!(&verified.device_key, KEY.public().thumbprint()))
        .is_ok()
}

fuzz_target!(|data: &[u8]| {
    let raw = String::from_utf8_lossy(data);
    assert!(!verify(&raw, "/v1/login", b""));
    // Nonces cannot be guessed, so claims that come from the input alone are never taken.
    assert!(!verify(&signed(&PROFILE, data), "/v1/login", b""));

    let (path, htu) = halves(data);
    let (path, htu) = (String::from_utf8_lossy(path), String::from_utf8_lossy(htu));
    let claims = json!({
        "jti": "AAECAwQFBgcICQoLDA0ODw",
        "htm": "POST",
        "htu": htu,
        "iat": 0,
        "nonce": VERIFIER.fresh_nonce(NOW),
        "bh": base64url::encode(digest(&SHA256, data)),
    });
    let proof = signed(&PROFILE, claims.to_string().as_bytes());
    if verify(&proof, &path, data) {
        // The comparison in other words: the scheme, the host, the port, and nothing that could hide another host.
        let (scheme, rest) = htu.split_once("://").expect("a scheme");
        let (host, port) = {
            let authority = rest.split('/').next().unwrap_or_default();
            authority.split_once(':').unwrap_or((authority, "443"))
        };
        assert!(scheme.eq_ignore_ascii_case("https"));
        assert_eq!(port.parse(), Ok(443));
        assert!(
            host.eq_ignore_ascii_case("login.bank.example") || host.contains('%'),
            "{host}"
        );
        assert!(path.starts_with('/') && !htu.contains(['?', '#', '\\', ' ']));
    }
});
