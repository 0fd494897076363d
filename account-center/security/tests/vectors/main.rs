//! `contract/vectors/`: made here, compared with what is committed, and read by our own code.
//!
//! The vectors are deterministic: fixed keys, and ECDSA nonces drawn from a source that gives one byte for ever. To write them anew:
//! `POSTERN_WRITE_VECTORS=1 cargo test -p postern-server-security --test vectors`.

mod dpop;
mod dpop_bad;
mod key_list;
mod phone_numbers;
mod sealing;

use std::path::PathBuf;

use postern_server_security::keys::SigningKey;
use serde_json::Value;

/// A source of "randomness" that makes every run the same. Only for vectors.
#[allow(deprecated)]
pub(crate) type SameByte = ring::test::rand::FixedByteRandom;

/// A P-256 key whose private scalar is one byte, 32 times over.
pub(crate) fn signing_key(byte: u8) -> SigningKey {
    SigningKey::from_pkcs8(&pkcs8(byte), &same(byte)).expect("a valid scalar")
}

pub(crate) fn pkcs8(byte: u8) -> Vec<u8> {
    SigningKey::generate_pkcs8(&same(byte))
        .expect("a valid scalar")
        .to_vec()
}

pub(crate) fn same(byte: u8) -> SameByte {
    SameByte { byte }
}

/// Compares a file with what its generator makes; with the switch it writes the file first.
pub(crate) fn committed(name: &str, made: &Value) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../contract/vectors")
        .join(name);
    if std::env::var_os("POSTERN_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(made).expect("JSON") + "\n";
        std::fs::write(&path, text).expect("the vectors' folder can be written");
    }
    let text = std::fs::read(&path).expect("the vectors are committed");
    let read: Value = serde_json::from_slice(&text).expect("the vectors are JSON");
    assert!(
        read == *made,
        "{name} is not what the generator makes: see the head of this file"
    );
    read
}

/// The cases of a list, each with its name, which is unique.
pub(crate) fn cases<'a>(vectors: &'a Value, list: &str) -> Vec<(&'a str, &'a Value)> {
    let cases: Vec<_> = vectors[list]
        .as_array()
        .expect("a list")
        .iter()
        .map(|case| (text(case, "name"), case))
        .collect();
    let names: std::collections::HashSet<_> = cases.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), cases.len(), "names in {list} are unique");
    assert!(!cases.is_empty());
    cases
}

pub(crate) fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is text in {case}"))
}
