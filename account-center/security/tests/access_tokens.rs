//! Access tokens (contract section 8, RFC 9068): each claim counts.

#![allow(clippy::unwrap_used)]

use postern_server_security::access_token::{
    Acr, Claims, Confirmation, LIFETIME_SECONDS, PROFILE, TokenError, TokenVerifier, mint,
};
use postern_server_security::jws::{self, JwsError};
use postern_server_security::keys::{KeySet, SigningKey};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

const NOW: u64 = 1_767_225_600;
const ISSUER: &str = "https://login.bank.example";

fn key() -> SigningKey {
    let random = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap()
}

fn verifier<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> TokenVerifier {
    TokenVerifier {
        issuer: ISSUER.to_owned(),
        audience: "orders".to_owned(),
        keys: KeySet::new(keys.into_iter().map(SigningKey::public)),
    }
}

fn claims(key: &SigningKey) -> Claims {
    Claims {
        issuer: ISSUER.to_owned(),
        audience: vec!["account-center".to_owned(), "orders".to_owned()],
        subject: "u-1".to_owned(),
        client_id: "bank-android".to_owned(),
        confirmation: Confirmation {
            jkt: key.public().thumbprint().clone(),
        },
        acr: Acr::Signed,
        auth_time: NOW - 1000,
        session_id: "s-1".to_owned(),
        token_id: "t-1".to_owned(),
        issued_at: NOW,
        expires_at: NOW + LIFETIME_SECONDS,
    }
}

fn signed(payload: &Value, key: &SigningKey) -> String {
    jws::sign(
        &PROFILE,
        payload.to_string().as_bytes(),
        key,
        &SystemRandom::new(),
    )
    .unwrap()
}

#[test]
fn contract_8_a_minted_token_has_the_claims_and_header_of_the_contract() {
    let key = key();
    let claims = claims(&key);
    let token = mint(&claims, &key, &SystemRandom::new()).unwrap();
    let parts: Vec<&str> = token.expose().split('.').collect();
    let json_of = |part: &str| -> Value {
        serde_json::from_slice(&postern_server_security::base64url::decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        json_of(parts[0]),
        json!({"typ": "at+jwt", "alg": "ES256", "kid": key.kid()})
    );
    assert_eq!(
        json_of(parts[1]),
        json!({
            "iss": ISSUER,
            "aud": ["account-center", "orders"],
            "sub": "u-1",
            "client_id": "bank-android",
            "cnf": {"jkt": key.public().thumbprint()},
            "acr": "signed",
            "auth_time": NOW - 1000,
            "sid": "s-1",
            "jti": "t-1",
            "iat": NOW,
            "exp": NOW + 300,
        })
    );
    assert_eq!(verifier([&key]).verify(token.expose(), NOW), Ok(claims));
}

#[test]
fn l10_each_way_of_identification_has_its_word() {
    let words = [
        (Acr::Guest, "guest"),
        (Acr::Identified, "identified"),
        (Acr::Unsigned, "unsigned"),
        (Acr::Signed, "signed"),
    ];
    for (acr, word) in words {
        assert_eq!(acr.as_str(), word);
        assert_eq!(json!(acr), json!(word));
        assert_eq!(serde_json::from_value::<Acr>(json!(word)).unwrap(), acr);
    }
    assert!(serde_json::from_value::<Acr>(json!("admin")).is_err());
}

#[test]
fn contract_8_a_token_is_good_for_five_minutes() {
    let key = key();
    let token = mint(&claims(&key), &key, &SystemRandom::new()).unwrap();
    let at = |now| {
        verifier([&key])
            .verify(token.expose(), now)
            .map(|claims| claims.subject)
    };
    assert_eq!(at(NOW + 299), Ok("u-1".to_owned()));
    assert_eq!(at(NOW + 300), Err(TokenError::Expired));
    assert_eq!(at(u64::MAX), Err(TokenError::Expired));
    assert_eq!(at(NOW - 60), Ok("u-1".to_owned()));
    assert_eq!(at(NOW - 61), Err(TokenError::Times));
    let with = |change: fn(&mut Claims)| {
        let mut claims = claims(&key);
        change(&mut claims);
        let token = mint(&claims, &key, &SystemRandom::new()).unwrap();
        verifier([&key]).verify(token.expose(), NOW).unwrap_err()
    };
    assert_eq!(
        with(|claims| claims.expires_at = NOW + 301),
        TokenError::Times
    );
    assert_eq!(
        with(|claims| claims.expires_at = u64::MAX),
        TokenError::Times
    );
    assert_eq!(
        with(|claims| (claims.issued_at, claims.expires_at) = (NOW + 20, NOW + 10)),
        TokenError::Times
    );
}

#[test]
fn contract_8_a_token_of_another_issuer_audience_or_key_is_refused() {
    let (key, other) = (key(), key());
    let token = mint(&claims(&key), &key, &SystemRandom::new()).unwrap();
    let refused = |verifier: TokenVerifier| verifier.verify(token.expose(), NOW).unwrap_err();
    assert_eq!(
        refused(TokenVerifier {
            issuer: format!("{ISSUER}/"),
            ..verifier([&key])
        }),
        TokenError::Issuer
    );
    assert_eq!(
        refused(TokenVerifier {
            audience: "order".to_owned(),
            ..verifier([&key])
        }),
        TokenError::Audience
    );
    assert_eq!(refused(verifier([&other])), TokenError::UnknownKey);
    assert_eq!(refused(verifier([])), TokenError::UnknownKey);
    // Both keys are published while one replaces the other.
    for minted_with in [&key, &other] {
        let token = mint(&claims(&key), minted_with, &SystemRandom::new()).unwrap();
        assert!(verifier([&key, &other]).verify(token.expose(), NOW).is_ok());
    }
    // The key id of one key, the signature of the other.
    let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": key.kid()}).to_string();
    let payload = serde_json::to_vec(&claims(&key)).unwrap();
    let forged =
        jws::sign_parts(header.as_bytes(), &payload, &other, &SystemRandom::new()).unwrap();
    let refused = verifier([&key, &other]).verify(&forged, NOW);
    assert_eq!(refused, Err(TokenError::Jws(JwsError::Signature)));
}

#[test]
fn contract_8_a_proof_or_key_list_is_never_an_access_token() {
    let key = key();
    let payload = serde_json::to_vec(&claims(&key)).unwrap();
    for typ in ["dpop+jwt", "postern-keys+jwt", "JWT", "application/at+jwt"] {
        let header = json!({"typ": typ, "alg": "ES256", "kid": key.kid()}).to_string();
        let token =
            jws::sign_parts(header.as_bytes(), &payload, &key, &SystemRandom::new()).unwrap();
        let refused = verifier([&key]).verify(&token, NOW);
        assert_eq!(refused, Err(TokenError::Jws(JwsError::Type)), "{typ}");
    }
}

#[test]
fn contract_8_every_claim_is_needed_and_has_its_type() {
    let key = key();
    let right = serde_json::to_value(claims(&key)).unwrap();
    assert!(verifier([&key]).verify(&signed(&right, &key), NOW).is_ok());
    for (name, value) in right.as_object().unwrap() {
        let mut without = right.clone();
        without.as_object_mut().unwrap().remove(name);
        let refused = verifier([&key]).verify(&signed(&without, &key), NOW);
        assert_eq!(refused, Err(TokenError::Claims), "without {name}");

        let mut other_type = right.clone();
        other_type[name] = if value.is_string() {
            json!(1)
        } else {
            json!("1")
        };
        let refused = verifier([&key]).verify(&signed(&other_type, &key), NOW);
        assert_eq!(refused, Err(TokenError::Claims), "{name} of another type");
    }
    let mut bad_key = right.clone();
    bad_key["cnf"]["jkt"] = json!("short");
    assert_eq!(
        verifier([&key]).verify(&signed(&bad_key, &key), NOW),
        Err(TokenError::Claims)
    );
    let twice = right.to_string().replacen('{', r#"{"sub":"u-2","#, 1);
    let twice = jws::sign(&PROFILE, twice.as_bytes(), &key, &SystemRandom::new()).unwrap();
    assert_eq!(
        verifier([&key]).verify(&twice, NOW),
        Err(TokenError::Claims)
    );
}

proptest! {
    #[test]
    fn any_text_as_an_access_token_is_refused_without_a_panic(text: String, tail in "[A-Za-z0-9_.-]{0,90}", now: u64) {
        let key = key();
        let header = postern_server_security::base64url::encode(
            json!({"typ": "at+jwt", "alg": "ES256", "kid": key.kid()}).to_string(),
        );
        prop_assert!(verifier([&key]).verify(&text, now).is_err());
        let token = format!("{header}.{tail}");
        prop_assert!(verifier([&key]).verify(&token, now).is_err());
    }

    #[test]
    fn any_signed_payload_that_is_no_claims_is_refused_without_a_panic(payload: Vec<u8>) {
        let key = key();
        let token = jws::sign(&PROFILE, &payload, &key, &SystemRandom::new()).unwrap();
        prop_assert_eq!(verifier([&key]).verify(&token, NOW), Err(TokenError::Claims));
    }
}
