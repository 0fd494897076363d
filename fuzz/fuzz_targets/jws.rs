//! Any token, any header over any payload, any JSON and any set of keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_fuzz::{KEY, halves};
use postern_server_security::jws::{self, KeyHint, Profile, Unverified};
use postern_server_security::keys::KeySet;
use postern_server_security::strict_json;
use ring::rand::SystemRandom;

fuzz_target!(|data: &[u8]| {
    let (header, payload) = halves(data);
    let signed =
        jws::sign_parts(header, payload, &KEY, &SystemRandom::new()).expect("signing works");
    let raw = String::from_utf8_lossy(data);
    for key in [KeyHint::Known, KeyHint::ById, KeyHint::Embedded] {
        let profile = Profile {
            typ: "t",
            key,
            max_length: 1 << 16,
        };
        if let Ok(read) = Unverified::parse(&raw, &profile) {
            assert!(read.verify(KEY.public()).is_err());
        }
        if let Ok(read) = Unverified::parse(&signed, &profile) {
            assert_eq!(read.verify(KEY.public()).as_deref(), Ok(payload));
        }
    }
    if let Ok(value) = strict_json::value(data) {
        // Not compared: a number with many digits may come back one step beside itself.
        let text = serde_json::to_vec(&value).expect("JSON");
        assert!(strict_json::value(&text).is_ok());
    }
    if let Ok(keys) = KeySet::from_jwks(data) {
        let document = keys.to_jwks().to_string();
        assert_eq!(KeySet::from_jwks(document.as_bytes()), Ok(keys));
    }
});
