//! `sealing.json`: the RFC's own numbers for our suite, and fields sealed as the contract says.

use postern_server_security::Thumbprint;
use postern_server_security::base64url;
use postern_server_security::sealing::{
    MAX_SEALED_LENGTH, OpenError, Place, Plaintext, Recipient, SealingKeyPair, SealingKeys, seal,
};
use serde_json::{Value, json};

use crate::{cases, committed, same, signing_key, text};

const ISSUER: &str = "https://login.bank.example";
const APP: &str = "bank-android";

fn pair(number: u8) -> SealingKeyPair {
    SealingKeyPair::derive(&format!("seal-{number}"), &[number; 32]).expect("a key id")
}

fn hex(digits: &str) -> String {
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex"))
        .collect();
    base64url::encode(bytes)
}

/// The frame of contract section 4, written a second time, so that the library's own is compared with something.
fn frame(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).expect("short");
        bytes.extend([(length >> 8) as u8, (length & 0xff) as u8]);
        bytes.extend(part.as_bytes());
    }
    base64url::encode(bytes)
}

/// A field in its place.
fn field(name: &str, kid: u8, field: &str, plaintext: &str, login: &str, step: &str) -> Value {
    let ephemeral = 0x30 + u8::try_from(name.len() % 64).expect("small");
    let device_key = signing_key(0x11).public().thumbprint().clone();
    let place = Place {
        device_key: &device_key,
        idempotency_key: "EBESExQVFhcYGRobHB0eHw",
        path: "/v1/login",
        field,
        login_handle: login,
        step_id: step,
    };
    let (pair, recipient) = (
        pair(kid),
        Recipient {
            issuer: ISSUER,
            app_id: APP,
        },
    );
    let sealed = seal(
        pair.kid(),
        pair.public_bytes(),
        plaintext,
        &recipient,
        &place,
        &same(ephemeral),
    )
    .expect("sealing works");
    json!({
        "name": name,
        "kid": pair.kid(),
        "issuer": ISSUER,
        "app_id": APP,
        "device_key": device_key,
        "idempotency_key": place.idempotency_key,
        "path": place.path,
        "field": field,
        "login_handle": login,
        "step_id": step,
        "info": frame(&["postern-seal-v1", ISSUER, APP, pair.kid()]),
        "aad": frame(&[device_key.as_str(), place.idempotency_key, place.path, field, login, step]),
        "ephemeral_seed": base64url::encode([ephemeral; 32]),
        "plaintext": plaintext,
        "sealed": sealed,
    })
}

fn login_password() -> Value {
    field(
        "a login password",
        1,
        "login_password",
        "Str0ng-enough",
        "lg_AAECAwQFBgcICQoLDA0ODw",
        "st_1",
    )
}

fn make_good() -> Vec<Value> {
    vec![
        login_password(),
        field(
            "a card number",
            1,
            "card.number",
            "6222020200112233445",
            "lg_AAECAwQFBgcICQoLDA0ODw",
            "st_1",
        ),
        field(
            "a withdrawal password",
            1,
            "card.withdrawal_password",
            "204060",
            "lg_AAECAwQFBgcICQoLDA0ODw",
            "st_1",
        ),
        field(
            "a new login password",
            1,
            "registration.login_password",
            "口令-Password-1",
            "lg_x",
            "st_2",
        ),
        field("before there is a login", 1, "login_password", "p", "", ""),
        field("an empty text", 1, "login_password", "", "lg_x", "st_2"),
        field(
            "an older key that is still in use",
            2,
            "login_password",
            "Str0ng-enough",
            "lg_x",
            "st_2",
        ),
    ]
}

fn make_bad() -> Vec<Value> {
    let sealed = login_password()["sealed"]
        .as_str()
        .expect("text")
        .to_owned();
    let parts: Vec<String> = sealed.split('.').map(str::to_owned).collect();
    let case = |name: &str, sealed: &str, change: Option<(&str, Value)>, code: &str| {
        let mut case = login_password();
        let members = case.as_object_mut().expect("an object");
        for made in ["info", "aad", "ephemeral_seed", "plaintext", "kid"] {
            members.remove(made);
        }
        case["name"] = json!(name);
        case["sealed"] = json!(sealed);
        if let Some((member, value)) = change {
            case[member] = value;
        }
        case["code"] = json!(code);
        case
    };
    let invalid = |name: &str, sealed: &str| case(name, sealed, None, "sealed_field_invalid");
    let moved = |name: &str, member: &str, value: &str| {
        case(
            name,
            &sealed,
            Some((member, json!(value))),
            "sealed_field_invalid",
        )
    };
    let join = |kid: &str, enc: &str, ciphertext: &str| format!("{kid}.{enc}.{ciphertext}");
    let changed = |part: &str, at: usize| {
        let mut bytes = base64url::decode(part).expect("base64url");
        bytes[at] ^= 0x80;
        base64url::encode(bytes)
    };
    let last = base64url::decode(&parts[2]).expect("base64url").len() - 1;
    let other = signing_key(0x12).public().thumbprint().to_string();
    vec![
        case(
            "an unknown key",
            &join("seal-9", &parts[1], &parts[2]),
            None,
            "sealing_key_unknown",
        ),
        invalid("another known key", &join("seal-2", &parts[1], &parts[2])),
        invalid(
            "the ciphertext's first bit changed",
            &join(&parts[0], &parts[1], &changed(&parts[2], 0)),
        ),
        invalid(
            "the tag's last byte changed",
            &join(&parts[0], &parts[1], &changed(&parts[2], last)),
        ),
        invalid(
            "the encapsulated key changed",
            &join(&parts[0], &changed(&parts[1], 0), &parts[2]),
        ),
        invalid(
            "the encapsulated key's ignored bit changed",
            &join(&parts[0], &changed(&parts[1], 31), &parts[2]),
        ),
        invalid(
            "an encapsulated key of zeros",
            &join(&parts[0], &base64url::encode([0; 32]), &parts[2]),
        ),
        invalid(
            "an encapsulated key of 31 bytes",
            &join(&parts[0], &base64url::encode([9; 31]), &parts[2]),
        ),
        invalid(
            "a ciphertext shorter than its tag",
            &join(&parts[0], &parts[1], "AAAA"),
        ),
        invalid("no ciphertext", &join(&parts[0], &parts[1], "")),
        invalid("no key id", &join("", &parts[1], &parts[2])),
        invalid(
            "a key id that is none",
            &join("seal 1", &parts[1], &parts[2]),
        ),
        invalid("two parts", &format!("{}.{}", parts[0], parts[1])),
        invalid("four parts", &format!("{sealed}.AAAA")),
        invalid("padding", &format!("{sealed}=")),
        invalid("a blank after", &format!("{sealed} ")),
        invalid("an empty text", ""),
        invalid(
            "longer than 2048 characters",
            &format!("{sealed}{}", "A".repeat(MAX_SEALED_LENGTH)),
        ),
        moved("of another issuer", "issuer", "https://login.evil.example"),
        moved("of another app", "app_id", "bank-ios"),
        moved("of another device key", "device_key", &other),
        moved(
            "of another call",
            "idempotency_key",
            "IBESExQVFhcYGRobHB0eHw",
        ),
        moved("of another path", "path", "/v1/account/phone-change"),
        moved("of another field", "field", "card.withdrawal_password"),
        moved(
            "of another login",
            "login_handle",
            "lg_BAECAwQFBgcICQoLDA0ODw",
        ),
        moved("of another step", "step_id", "st_2"),
        moved("of no step", "step_id", ""),
    ]
}

fn make() -> Value {
    let key = |number| {
        let pair = pair(number);
        json!({
            "kid": pair.kid(),
            "private_key": base64url::encode(pair.private_bytes()),
            "public_key": base64url::encode(pair.public_bytes()),
        })
    };
    json!({
        "$comment": "Contract section 4. Binary values are base64url. ephemeral_seed is the ikm from which the sender's ephemeral key is derived (RFC 9180, DeriveKeyPair), so that sealing can be compared too. Made by the test `vectors` of account-center/security.",
        "suite": "x25519-sha256-aes128gcm",
        "rfc9180_a_1_1": {
            "source": "RFC 9180, appendix A.1.1 and the first encryption of A.1.1.1",
            "info": hex("4f6465206f6e2061204772656369616e2055726e"),
            "ikm_e": hex("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234"),
            "ikm_r": hex("6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037"),
            "sk_r": hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"),
            "pk_r": hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"),
            "enc": hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
            "pt": hex("4265617574792069732074727574682c20747275746820626561757479"),
            "aad": hex("436f756e742d30"),
            "ct": hex("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"),
        },
        "keys": [key(1), key(2)],
        "good": make_good(),
        "bad": make_bad(),
    })
}

fn open(case: &Value) -> Result<Plaintext, OpenError> {
    let device_key = Thumbprint::parse(text(case, "device_key")).expect("a thumbprint");
    let place = Place {
        device_key: &device_key,
        idempotency_key: text(case, "idempotency_key"),
        path: text(case, "path"),
        field: text(case, "field"),
        login_handle: text(case, "login_handle"),
        step_id: text(case, "step_id"),
    };
    let recipient = Recipient {
        issuer: text(case, "issuer"),
        app_id: text(case, "app_id"),
    };
    SealingKeys::new(vec![pair(1), pair(2)]).open(text(case, "sealed"), &recipient, &place)
}

#[test]
fn contract_4_the_vectors_of_sealed_fields_are_current_and_judged_as_they_say() {
    let vectors = committed("sealing.json", &make());
    for (name, case) in cases(&vectors, "good") {
        let opened = open(case).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.expose(), text(case, "plaintext"), "{name}");
    }
    for (name, case) in cases(&vectors, "bad") {
        let code = match open(case) {
            Ok(_) => panic!("{name} was opened"),
            Err(OpenError::UnknownKey) => "sealing_key_unknown",
            Err(OpenError::Invalid) => "sealed_field_invalid",
        };
        assert_eq!(code, text(case, "code"), "{name}");
    }
}

#[test]
fn contract_4_the_private_keys_of_the_vectors_are_of_the_public_ones() {
    for key in make()["keys"].as_array().expect("a list") {
        let private = base64url::decode(text(key, "private_key")).expect("base64url");
        let pair = SealingKeyPair::from_private_bytes(text(key, "kid"), &private).expect("a key");
        assert_eq!(
            base64url::encode(pair.public_bytes()),
            text(key, "public_key")
        );
    }
}
