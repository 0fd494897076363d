//! Keys and compact JWS: the RFCs' examples, what is refused, and anything at all as a token.

#![allow(clippy::unwrap_used)]

use postern_server_security::base64url;
use postern_server_security::jws::{JwsError, KeyHint, Profile, Unverified, sign, sign_parts};
use postern_server_security::keys::{
    BadSignature, JwkError, KeySet, SigningKey, SigningKeyError, VerifyingKey,
};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

const KNOWN: Profile = Profile {
    typ: "test+jwt",
    key: KeyHint::Known,
    max_length: 1000,
};
const BY_ID: Profile = Profile {
    key: KeyHint::ById,
    ..KNOWN
};
const EMBEDDED: Profile = Profile {
    key: KeyHint::Embedded,
    ..KNOWN
};

fn key() -> SigningKey {
    let random = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap()
}

fn signed(header: &Value, key: &SigningKey) -> String {
    sign_parts(
        header.to_string().as_bytes(),
        b"payload",
        key,
        &SystemRandom::new(),
    )
    .unwrap()
}

/// RFC 7515, appendix A.3: made by others, so that we do not only agree with ourselves.
#[test]
fn rfc7515_a_3_verifies() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = base64url::decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    )
    .unwrap();
    let key = VerifyingKey::from_exact_jwk(&jwk).unwrap();
    assert_eq!(key.verify(signed.as_bytes(), &signature), Ok(()));
    assert_eq!(
        key.verify(&signed.as_bytes()[1..], &signature),
        Err(BadSignature)
    );
    assert_eq!(
        key.verify(signed.as_bytes(), &signature[..63]),
        Err(BadSignature)
    );
    // Its header has no typ, so no profile of ours takes it.
    let token = format!("{signed}.{}", base64url::encode(signature));
    assert_eq!(
        Unverified::parse(&token, &KNOWN).unwrap_err(),
        JwsError::Type
    );
}

#[test]
fn each_profile_takes_what_it_signs_and_nothing_of_the_others() {
    let key = key();
    for profile in [KNOWN, BY_ID, EMBEDDED] {
        let token = sign(&profile, b"payload", &key, &SystemRandom::new()).unwrap();
        for other in [KNOWN, BY_ID, EMBEDDED] {
            let read = Unverified::parse(&token, &other);
            if other.key == profile.key {
                let read = read.unwrap();
                let kid = if profile.key == KeyHint::ById {
                    key.kid()
                } else {
                    ""
                };
                assert_eq!(read.kid(), kid);
                assert_eq!(read.verify(key.public()), Ok(b"payload".to_vec()));
            } else {
                assert_eq!(read.unwrap_err(), JwsError::HeaderMembers);
            }
        }
        let other_typ = Profile {
            typ: "other+jwt",
            ..profile
        };
        assert_eq!(
            Unverified::parse(&token, &other_typ).unwrap_err(),
            JwsError::Type
        );
        let shorter = Profile {
            max_length: token.len() - 1,
            ..profile
        };
        assert_eq!(
            Unverified::parse(&token, &shorter).unwrap_err(),
            JwsError::TooLong
        );
        let exact = Profile {
            max_length: token.len(),
            ..profile
        };
        assert!(Unverified::parse(&token, &exact).is_ok());
    }
}

#[test]
fn an_embedded_key_verifies_its_own_token_only() {
    let (key, other) = (key(), key());
    let token = sign(&EMBEDDED, b"payload", &key, &SystemRandom::new()).unwrap();
    let (embedded, payload) = Unverified::parse(&token, &EMBEDDED)
        .unwrap()
        .verify_embedded()
        .unwrap();
    assert_eq!((&embedded, &payload[..]), (key.public(), &b"payload"[..]));

    let header = json!({"typ": "test+jwt", "alg": "ES256", "jwk": other.public().jwk()});
    let forged = signed(&header, &key);
    let refused = Unverified::parse(&forged, &EMBEDDED)
        .unwrap()
        .verify_embedded();
    assert_eq!(refused.unwrap_err(), JwsError::Signature);

    let token = sign(&KNOWN, b"payload", &key, &SystemRandom::new()).unwrap();
    let none_embedded = Unverified::parse(&token, &KNOWN).unwrap().verify_embedded();
    assert_eq!(none_embedded.unwrap_err(), JwsError::HeaderMembers);
}

#[test]
fn a_header_has_exactly_its_members() {
    let key = key();
    let right = json!({"typ": "test+jwt", "alg": "ES256"});
    assert!(Unverified::parse(&signed(&right, &key), &KNOWN).is_ok());
    let with = |member: &str, value: Value| {
        let mut header = right.clone();
        header[member] = value;
        Unverified::parse(&signed(&header, &key), &KNOWN).unwrap_err()
    };
    assert_eq!(with("x", json!(1)), JwsError::HeaderMembers);
    assert_eq!(with("kid", json!("k")), JwsError::HeaderMembers);
    assert_eq!(with("b64", json!(false)), JwsError::HeaderMembers);
    assert_eq!(with("crit", json!(["b64"])), JwsError::Critical);
    assert_eq!(with("crit", Value::Null), JwsError::Critical);
    assert_eq!(with("alg", json!("none")), JwsError::Algorithm);
    assert_eq!(with("typ", json!("TEST+JWT")), JwsError::Type);
    let kid_number = json!({"typ": "test+jwt", "alg": "ES256", "kid": 1});
    let refused = Unverified::parse(&signed(&kid_number, &key), &BY_ID).unwrap_err();
    assert_eq!(refused, JwsError::HeaderMembers);
}

#[test]
fn rfc7517_a_key_set_is_written_and_read_again() {
    let (a, b) = (key(), key());
    let set = KeySet::new([a.public(), b.public(), a.public()]);
    let document = set.to_jwks();
    assert_eq!(document["keys"].as_array().unwrap().len(), 2);
    assert_eq!(document["keys"][0]["kid"], a.kid());
    assert_eq!(document["keys"][0]["use"], "sig");
    assert_eq!(document["keys"][0]["alg"], "ES256");
    assert!(document["keys"][0].get("d").is_none());
    let read = KeySet::from_jwks(document.to_string().as_bytes()).unwrap();
    assert_eq!(read, set);
    assert_eq!(read.get(b.kid()), Some(b.public()));
    assert_eq!(read.get("other"), None);
}

#[test]
fn rfc7517_foreign_keys_are_passed_over_and_private_or_doubtful_ones_spoil_the_set() {
    let ours = KeySet::new([key().public()]).to_jwks()["keys"][0].clone();
    let with = |member: &str, value: Value| {
        let mut jwk = ours.clone();
        jwk[member] = value;
        jwk
    };
    let read =
        |keys: Value| KeySet::from_jwks(json!({"keys": keys, "x": 1}).to_string().as_bytes());
    let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"});
    let alone = read(json!([ours])).unwrap();
    for foreign in [
        rsa,
        with("use", json!("enc")),
        with("alg", json!("ES384")),
        with("crv", json!("P-384")),
    ] {
        assert_eq!(read(json!([foreign, ours])), Ok(alone.clone()), "{foreign}");
    }
    assert_eq!(read(json!([with("x5t", json!("a"))])), Ok(alone));
    assert_eq!(
        read(json!([with("d", json!("AAAA"))])),
        Err(JwkError::PrivateKey)
    );
    assert_eq!(read(json!([ours, ours])), Err(JwkError::Members));
    assert_eq!(
        read(json!([with("kid", Value::Null)])),
        Err(JwkError::Members)
    );
    assert_eq!(
        read(json!([with("x", json!("AAAA"))])),
        Err(JwkError::Coordinates)
    );
    assert_eq!(read(json!(["a"])), Err(JwkError::Members));
    assert_eq!(read(json!({})), Err(JwkError::Members));
    for document in ["", "[]", "{}", r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(
            KeySet::from_jwks(document.as_bytes()),
            Err(JwkError::Members),
            "{document}"
        );
    }
}

#[test]
fn only_an_uncompressed_point_is_a_public_key() {
    let point = *key().public().sec1();
    assert!(VerifyingKey::from_sec1(&point).is_ok());
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2;
    let mut hybrid = point.to_vec();
    hybrid[0] = 6;
    for bad in [&compressed[..], &hybrid, &point[..64], &[], &[0]] {
        assert_eq!(VerifyingKey::from_sec1(bad), Err(JwkError::Coordinates));
    }
}

#[test]
fn a_signing_key_is_read_from_pkcs8_of_p256_only() {
    let random = SystemRandom::new();
    let pkcs8 = SigningKey::generate_pkcs8(&random).unwrap();
    let twice = [(); 2].map(|()| SigningKey::from_pkcs8(&pkcs8, &random).unwrap());
    assert_eq!(twice[0].kid(), twice[1].kid());
    assert_eq!(twice[0].kid(), twice[0].public().thumbprint().as_str());
    let mut changed = pkcs8.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [&pkcs8[..pkcs8.len() - 1], &changed, &[]] {
        assert_eq!(
            SigningKey::from_pkcs8(bad, &random).unwrap_err(),
            SigningKeyError
        );
    }
}

#[test]
fn debug_of_a_signing_key_shows_its_name_alone() {
    let key = key();
    assert_eq!(
        format!("{key:?}"),
        format!("SigningKey({}, [redacted])", key.kid())
    );
    assert_eq!(
        format!("{:?}", key.public()),
        format!("VerifyingKey({})", key.kid())
    );
}

proptest! {
    #[test]
    fn any_text_as_a_token_is_refused_without_a_panic(
        text: String,
        header: Vec<u8>,
        payload: Vec<u8>,
        signature in prop::collection::vec(any::<u8>(), 63..66),
    ) {
        let key = VerifyingKey::from_sec1(&[4; 65]).unwrap();
        let token = [&header, &payload, &signature].map(base64url::encode).join(".");
        for profile in [KNOWN, BY_ID, EMBEDDED] {
            for token in [&text, &token] {
                prop_assert!(Unverified::parse(token, &profile).and_then(|read| read.verify(&key)).is_err());
            }
        }
    }

    #[test]
    fn any_jwk_set_is_read_or_refused_without_a_panic(bytes: Vec<u8>, x in ".{0,50}", kid in ".{0,5}") {
        prop_assert!(KeySet::from_jwks(&bytes).is_err());
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "kid": kid});
        let document = json!({"keys": [jwk]}).to_string();
        prop_assert_eq!(KeySet::from_jwks(document.as_bytes()).is_ok(), base64url::decode_array::<32>(&x).is_ok());
    }

    #[test]
    fn whatever_is_signed_verifies_until_a_byte_changes(payload: Vec<u8>, at: prop::sample::Index) {
        let key = key();
        let long = Profile { max_length: 10_000, ..KNOWN };
        let token = sign(&long, &payload, &key, &SystemRandom::new()).unwrap();
        let read = Unverified::parse(&token, &long).unwrap().verify(key.public());
        prop_assert_eq!(read, Ok(payload));

        let mut bytes = token.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = match bytes[at] { b'A' => b'Q', b'.' => b'-', _ => b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(Unverified::parse(&changed, &long).and_then(|read| read.verify(key.public())).is_err());
    }
}
