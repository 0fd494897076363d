//! What the targets share: fixed keys and a signature over anything.
//!
//! Base64url and a signature keep a fuzzer out of the code behind them, so each target is given both the bytes as they are and the bytes
//! properly encoded and signed.

use std::sync::LazyLock;

use postern_server_security::jws::{self, Profile};
use postern_server_security::keys::SigningKey;
use ring::rand::SystemRandom;

/// The instant of every check, in seconds.
pub const NOW: u64 = 1_767_225_600;

/// The public URL of the server.
pub const URL: &str = "https://login.bank.example";

/// A key, the same for a whole run.
pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let pkcs8 = SigningKey::generate_pkcs8(&random).expect("the system has randomness");
    SigningKey::from_pkcs8(&pkcs8, &random).expect("a key just made")
});

/// The bytes as the payload of a well-formed token.
pub fn signed(profile: &Profile, payload: &[u8]) -> String {
    jws::sign(profile, payload, &KEY, &SystemRandom::new()).expect("signing works")
}

/// Two parts of an input: what is before the first zero byte and what is after it.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}
