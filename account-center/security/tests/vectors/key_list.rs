//! `key_list.json`: lists that a client takes and lists that it does not.

use postern_server_security::base64url;
use postern_server_security::jws;
use postern_server_security::key_list::{KeyList, KeyListError, PROFILE, SealingKey};
use postern_server_security::keys::VerifyingKey;
use postern_server_security::sealing::SealingKeyPair;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{cases, committed, pkcs8, same, signing_key, text};

const ISSUER: &str = "https://login.bank.example";
const NOW: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
const ROOT: u8 = 0x21;

fn list() -> KeyList {
    let pair = |number| {
        SealingKeyPair::derive(&format!("seal-{number}"), &[number; 32]).expect("a key id")
    };
    KeyList {
        issuer: ISSUER.to_owned(),
        version: 7,
        issued_at: NOW - DAY,
        expires_at: NOW + 30 * DAY,
        sealing_keys: vec![(&pair(1)).into(), (&pair(2)).into()],
        tls_pins: vec!["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned()],
    }
}

fn signed(payload: &Value) -> String {
    signed_by(
        ROOT,
        r#"{"typ":"postern-keys+jwt","alg":"ES256"}"#,
        &payload.to_string(),
    )
}

fn signed_by(root: u8, header: &str, payload: &str) -> String {
    jws::sign_parts(
        header.as_bytes(),
        payload.as_bytes(),
        &signing_key(root),
        &same(0x5a),
    )
    .expect("signing works")
}

fn case(name: &str, key_list: &str, reason: Option<&str>) -> Value {
    let mut case = json!({
        "name": name,
        "key_list": key_list,
        "issuer": ISSUER,
        "lowest_version": 7,
        "now": NOW,
    });
    if let Some(reason) = reason {
        case["reason"] = json!(reason);
    }
    case
}

fn with(mut case: Value, member: &str, value: impl Into<Value>) -> Value {
    case[member] = value.into();
    case
}

fn make_good() -> Vec<Value> {
    let plain = list()
        .sign(&signing_key(ROOT), &same(0x5a))
        .expect("a right list");
    let mut newer = list();
    newer.version = 8;
    let mut second_suite = list();
    let sm2 = SealingKey {
        kid: "sm2-1".into(),
        suite: "sm2-sm3-sm4".into(),
        public_key: base64url::encode([4; 65]),
    };
    second_suite.sealing_keys.insert(0, sm2);
    let payload = |list: &KeyList| serde_json::to_value(list).expect("JSON");
    let mut more = payload(&list());
    more["comment"] = json!("a member to come");
    let first = |list: &KeyList| {
        json!(
            list.sealing_keys
                .iter()
                .find(|key| key.suite.starts_with("x25519"))
                .map(|key| &key.kid)
        )
    };
    let good = |name, key_list: &str, of: &KeyList| {
        with(
            with(case(name, key_list, None), "payload", payload(of)),
            "seal_to",
            first(of),
        )
    };
    let mut no_pins = list();
    no_pins.tls_pins.clear();
    vec![
        good("the version accepted before", &plain, &list()),
        with(
            good("the first one ever", &plain, &list()),
            "lowest_version",
            0,
        ),
        with(
            good("the last second", &plain, &list()),
            "now",
            NOW + 30 * DAY - 1,
        ),
        with(
            good("a client whose clock is slow", &plain, &list()),
            "now",
            0,
        ),
        good("a newer version", &signed(&payload(&newer)), &newer),
        good(
            "a suite that is not known comes first",
            &signed(&payload(&second_suite)),
            &second_suite,
        ),
        good("a member that is not known", &signed(&more), &list()),
        good("no pins", &signed(&payload(&no_pins)), &no_pins),
    ]
}

fn make_bad() -> Vec<Value> {
    let payload = serde_json::to_value(list()).expect("JSON");
    let right = signed(&payload);
    let parts: Vec<&str> = right.split('.').collect();
    let mut flipped = base64url::decode(parts[2]).expect("base64url");
    flipped[0] ^= 1;
    let tampered = payload
        .to_string()
        .replace("\"version\":7", "\"version\":9");
    let headed = |header: &str| signed_by(ROOT, header, &payload.to_string());
    let twice = payload.to_string().replacen('{', r#"{"version":9,"#, 1);
    let form = |name: &str, member: &str, value: Value| {
        case(
            name,
            &signed(&with(payload.clone(), member, value)),
            Some("list_form"),
        )
    };
    let keys = payload["sealing_keys"].clone();
    let key = |member: &str, value: &str| json!([with(keys[0].clone(), member, value)]);
    let mut without_version = payload.clone();
    without_version
        .as_object_mut()
        .expect("an object")
        .remove("version");
    vec![
        case("a bit of the signature changed", &format!("{}.{}.{}", parts[0], parts[1], base64url::encode(flipped)), Some("signature")),
        case("another payload under the signature", &format!("{}.{}.{}", parts[0], base64url::encode(tampered), parts[2]), Some("signature")),
        case("signed by another root", &signed_by(0x22, r#"{"typ":"postern-keys+jwt","alg":"ES256"}"#, &payload.to_string()), Some("signature")),
        case("typ of a proof", &headed(r#"{"typ":"dpop+jwt","alg":"ES256"}"#), Some("type")),
        case("no typ", &headed(r#"{"alg":"ES256"}"#), Some("type")),
        case("alg none", &headed(r#"{"typ":"postern-keys+jwt","alg":"none"}"#), Some("algorithm")),
        case("an embedded key", &headed(&json!({"typ": "postern-keys+jwt", "alg": "ES256", "jwk": signing_key(ROOT).public().jwk()}).to_string()), Some("header_members")),
        case("a critical extension", &headed(r#"{"typ":"postern-keys+jwt","alg":"ES256","crit":["x"],"x":1}"#), Some("critical")),
        case("not signed at all", &payload.to_string(), Some("form")),
        case("an empty text", "", Some("form")),
        case("longer than 32 KiB", &signed(&with(payload.clone(), "comment", "x".repeat(32 * 1024))), Some("too_long")),
        with(case("expired", &right, Some("expired")), "now", NOW + 30 * DAY),
        with(case("expired long ago", &right, Some("expired")), "now", u32::MAX),
        with(case("of another issuer", &right, Some("issuer")), "issuer", "https://login.other.example"),
        with(case("a lower version than accepted before", &right, Some("rolled_back")), "lowest_version", 8),
        case("a version twice", &signed_by(ROOT, r#"{"typ":"postern-keys+jwt","alg":"ES256"}"#, &twice), Some("list_form")),
        case("no version", &signed(&without_version), Some("list_form")),
        form("a negative version", "version", json!(-1)),
        form("a version that is text", "version", json!("7")),
        form("an expiry before the issue", "expires_at", json!(NOW - 2 * DAY)),
        form("no keys", "sealing_keys", json!([])),
        form("two keys of one id", "sealing_keys", json!([keys[0], keys[0]])),
        form("a key id that is none", "sealing_keys", key("kid", "seal.1")),
        form("a key of 31 bytes", "sealing_keys", key("public_key", &base64url::encode([9; 31]))),
        form("a key with padding", "sealing_keys", key("public_key", &format!("{}=", base64url::encode([9; 32])))),
        form("a pin of another form", "tls_pins", json!(["sha1/AAAA"])),
        form("a pin of 31 bytes", "tls_pins", json!([format!("sha256/{}==", base64url::encode([0; 31]))])),
    ]
}

fn make() -> Value {
    let root = |byte: u8| {
        json!({
            "pkcs8": base64url::encode(pkcs8(byte)),
            "public_key": base64url::encode(signing_key(byte).public().sec1()),
        })
    };
    json!({
        "$comment": "Contract section 5. Each case is one list, judged with the issuer, the clock (now) and the highest version accepted so far (lowest_version). seal_to is the key that a client seals to. Bad lists have the reason. Made by the test `vectors` of account-center/security.",
        "root": root(ROOT),
        "another_root": root(0x22),
        "good": make_good(),
        "bad": make_bad(),
    })
}

fn verify(case: &Value) -> Result<KeyList, KeyListError> {
    let root = VerifyingKey::from_sec1(signing_key(ROOT).public().sec1()).expect("a point");
    let number = |member: &str| case[member].as_u64().expect("a number");
    KeyList::verify(
        text(case, "key_list"),
        &root,
        text(case, "issuer"),
        number("lowest_version"),
        number("now"),
    )
}

#[test]
fn contract_5_the_vectors_of_key_lists_are_current_and_judged_as_they_say() {
    let vectors = committed("key_list.json", &make());
    for (name, case) in cases(&vectors, "good") {
        let list = verify(case).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            serde_json::to_value(&list).expect("JSON"),
            case["payload"],
            "{name}"
        );
        let first = list
            .sealing_keys
            .iter()
            .find(|key| key.suite == "x25519-sha256-aes128gcm");
        assert_eq!(
            first.map(|key| key.kid.as_str()),
            case["seal_to"].as_str(),
            "{name}"
        );
    }
    for (name, case) in cases(&vectors, "bad") {
        let error = verify(case)
            .err()
            .unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(error.word(), text(case, "reason"), "{name}");
    }
}

#[test]
fn contract_5_a_list_that_no_client_takes_is_not_signed() {
    let sign = |list: &KeyList| list.sign(&signing_key(ROOT), &same(1)).map(|_| ());
    assert_eq!(sign(&list()), Ok(()));
    let mut wrong = [list(), list(), list(), list()];
    wrong[0].sealing_keys.clear();
    wrong[1].expires_at = wrong[1].issued_at;
    wrong[2].tls_pins.push("sha256/".into());
    wrong[3].issuer.clear();
    for list in &wrong {
        assert_eq!(sign(list), Err(KeyListError::Form));
    }
    let mut long = list();
    let pin = long.tls_pins[0].clone();
    long.tls_pins = vec![pin; PROFILE.max_length / 50];
    assert_eq!(sign(&long), Err(KeyListError::Jws(jws::JwsError::TooLong)));
}

proptest! {
    #[test]
    fn any_text_as_a_key_list_is_refused_without_a_panic(text: String, payload: Vec<u8>) {
        let root = signing_key(ROOT);
        let signed = jws::sign(&PROFILE, &payload, &root, &same(1)).expect("signing works");
        for list in [&text, &signed] {
            prop_assert!(KeyList::verify(list, root.public(), ISSUER, 0, NOW).is_err());
        }
    }

    #[test]
    fn a_signed_list_is_read_again(version: u64, expires_at in NOW + 1..u64::MAX, pins in 0_usize..4) {
        let mut list = list();
        (list.version, list.expires_at) = (version, expires_at);
        list.tls_pins = vec![list.tls_pins[0].clone(); pins];
        let root = signing_key(ROOT);
        let signed = list.sign(&root, &same(1)).expect("a right list");
        prop_assert_eq!(KeyList::verify(&signed, root.public(), ISSUER, version, NOW), Ok(list));
    }
}
