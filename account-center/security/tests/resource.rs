//! What a business line checks: token and proof together (RFC 9449, section 7; contract section 8).

#![allow(clippy::unwrap_used)]

use postern_server_security::access_token::{
    Acr, Claims, Confirmation, TokenError, TokenVerifier, mint,
};
use postern_server_security::base64url;
use postern_server_security::dpop::{self, DpopVerifier, Freshness, Proof, ReplayKey};
use postern_server_security::guards::{
    EndedSessions, GuardUnavailable, MemoryEndedSessions, MemoryReplayGuard, ReplayGuard,
};
use postern_server_security::jws;
use postern_server_security::keys::{KeySet, SigningKey};
use postern_server_security::nonce::NonceKey;
use postern_server_security::public_url::PublicUrl;
use postern_server_security::resource::{ResourceError, ResourceRequest, ResourceVerifier};
use proptest::prelude::*;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

const NOW: u64 = 1_767_225_600;
const ISSUER: &str = "https://login.bank.example";
const BODY: &[u8] = b"{\"order\":1}";

fn key() -> SigningKey {
    let random = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap()
}

fn hash(bytes: &[u8]) -> String {
    base64url::encode(digest(&SHA256, bytes))
}

/// A business line, a device, and a token for it.
struct World {
    device: SigningKey,
    token: String,
    verifier: ResourceVerifier<MemoryReplayGuard, MemoryEndedSessions>,
}

impl World {
    fn new(freshness: Freshness) -> Self {
        let (signer, device) = (key(), key());
        let claims = Claims {
            issuer: ISSUER.to_owned(),
            audience: vec!["orders".to_owned()],
            subject: "u-1".to_owned(),
            client_id: "bank-android".to_owned(),
            confirmation: Confirmation {
                jkt: device.public().thumbprint().clone(),
            },
            acr: Acr::Unsigned,
            auth_time: NOW,
            session_id: "s-1".to_owned(),
            token_id: "t-1".to_owned(),
            issued_at: NOW,
            expires_at: NOW + 300,
        };
        let token = mint(&claims, &signer, &SystemRandom::new())
            .unwrap()
            .expose()
            .to_owned();
        let verifier = ResourceVerifier {
            tokens: TokenVerifier {
                issuer: ISSUER.to_owned(),
                audience: "orders".to_owned(),
                keys: KeySet::new([signer.public()]),
            },
            proofs: DpopVerifier {
                public_url: PublicUrl::parse("https://orders.bank.example").unwrap(),
                freshness,
            },
            replays: MemoryReplayGuard::new(10),
            ended: MemoryEndedSessions::default(),
        };
        Self {
            device,
            token,
            verifier,
        }
    }

    fn with_nonces() -> Self {
        Self::new(Freshness::Nonces(nonces()))
    }

    fn claims(&self) -> Value {
        json!({
            "jti": "AAECAwQFBgcICQoLDA0ODw",
            "htm": "POST",
            "htu": "https://orders.bank.example/orders",
            "iat": NOW,
            "nonce": nonces().issue(NOW),
            "bh": hash(BODY),
            "ath": hash(self.token.as_bytes()),
        })
    }

    fn proof(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        proof_by(&self.device, &claims)
    }

    fn verify(&self, proof: &str) -> Result<Claims, ResourceError> {
        self.verify_at(proof, NOW)
    }

    fn verify_at(&self, proof: &str, now: u64) -> Result<Claims, ResourceError> {
        let authorization = format!("DPoP {}", self.token);
        self.verifier
            .verify(&request(&[&authorization], &[proof]), now)
    }
}

fn nonces() -> NonceKey {
    NonceKey::new(&[5; 32])
}

fn proof_by(key: &SigningKey, claims: &Value) -> String {
    jws::sign(
        &dpop::PROFILE,
        claims.to_string().as_bytes(),
        key,
        &SystemRandom::new(),
    )
    .unwrap()
}

fn request<'a>(authorization: &'a [&'a str], dpop: &'a [&'a str]) -> ResourceRequest<'a> {
    ResourceRequest {
        authorization,
        dpop,
        method: "POST",
        path: "/orders",
        body: Some(BODY),
    }
}

#[test]
fn rfc9449_7_token_and_proof_of_its_key_are_let_through() {
    let world = World::with_nonces();
    let claims = world.verify(&world.proof(|_| ())).unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.acr),
        ("u-1", Acr::Unsigned)
    );
}

#[test]
fn rfc9449_7_the_scheme_is_dpop_in_any_case_and_nothing_else() {
    let world = World::with_nonces();
    let proof = world.proof(|_| ());
    let token = &world.token;
    let bad = [
        format!("Bearer {token}"),
        token.clone(),
        format!("DPoP{token}"),
        "DPoP".to_owned(),
        "DPoP ".to_owned(),
        String::new(),
    ];
    for authorization in &bad {
        let refused = world
            .verifier
            .verify(&request(&[authorization], &[&proof]), NOW);
        assert_eq!(refused, Err(ResourceError::NoToken), "{authorization}");
    }
    let right = format!("dpop  {token}");
    let twice = world
        .verifier
        .verify(&request(&[&right, &right], &[&proof]), NOW);
    assert_eq!(twice, Err(ResourceError::NoToken));
    assert_eq!(
        world.verifier.verify(&request(&[], &[&proof]), NOW),
        Err(ResourceError::NoToken)
    );
    assert!(
        world
            .verifier
            .verify(&request(&[&right], &[&proof]), NOW)
            .is_ok()
    );
}

#[test]
fn rfc9449_4_3_there_is_exactly_one_proof() {
    let world = World::with_nonces();
    let (proof, authorization) = (world.proof(|_| ()), format!("DPoP {}", world.token));
    for proofs in [&[][..], &[proof.as_str(), &proof], &[""]] {
        let refused = world
            .verifier
            .verify(&request(&[&authorization], proofs), NOW);
        assert_eq!(refused, Err(ResourceError::Proof));
    }
}

#[test]
fn contract_8_a_stolen_token_is_worth_nothing_without_its_key() {
    let world = World::with_nonces();
    let thief = proof_by(&key(), &world.claims());
    assert_eq!(world.verify(&thief), Err(ResourceError::OtherKey));
}

#[test]
fn rfc9449_7_a_proof_is_of_this_request_and_this_token() {
    let world = World::with_nonces();
    for (claim, value) in [
        ("htm", "GET"),
        ("htu", "https://orders.bank.example/orders/2"),
        ("htu", "https://login.bank.example/orders"),
        ("ath", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
        ("bh", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
    ] {
        let proof = world.proof(|claims| claims[claim] = json!(value));
        assert_eq!(
            world.verify(&proof),
            Err(ResourceError::Proof),
            "{claim} {value}"
        );
    }
    let without = world.proof(|claims| drop(claims.as_object_mut().unwrap().remove("ath")));
    assert_eq!(world.verify(&without), Err(ResourceError::Proof));
}

#[test]
fn a_business_line_that_streams_bodies_does_without_their_hash() {
    let world = World::with_nonces();
    let proof = world.proof(|claims| drop(claims.as_object_mut().unwrap().remove("bh")));
    assert_eq!(world.verify(&proof), Err(ResourceError::Proof));
    let authorization = format!("DPoP {}", world.token);
    let (authorization, proofs) = ([authorization.as_str()], [proof.as_str()]);
    let mut request = request(&authorization, &proofs);
    request.body = None;
    assert!(world.verifier.verify(&request, NOW).is_ok());
}

#[test]
fn rfc9449_11_1_a_proof_serves_once() {
    let world = World::with_nonces();
    let proof = world.proof(|_| ());
    assert!(world.verify(&proof).is_ok());
    assert_eq!(world.verify(&proof), Err(ResourceError::Replayed));
    // Signed anew the jti is the same, and so is the proof.
    assert_eq!(
        world.verify(&world.proof(|_| ())),
        Err(ResourceError::Replayed)
    );
    let other = world.proof(|claims| claims["jti"] = json!("BAECAwQFBgcICQoLDA0ODw"));
    assert!(world.verify(&other).is_ok());
}

#[test]
fn a_refused_proof_does_not_use_up_its_jti() {
    let world = World::with_nonces();
    let thief = proof_by(&key(), &world.claims());
    assert_eq!(world.verify(&thief), Err(ResourceError::OtherKey));
    assert_eq!(
        world.verify(&world.proof(|claims| claims["nonce"] = json!(""))),
        Err(ResourceError::UseNonce)
    );
    assert!(world.verify(&world.proof(|_| ())).is_ok());
}

#[test]
fn contract_8_a_session_that_has_ended_opens_nothing() {
    let world = World::with_nonces();
    world.verifier.ended.end("s-1");
    world.verifier.ended.end("s-2");
    assert_eq!(
        world.verify(&world.proof(|_| ())),
        Err(ResourceError::SessionEnded)
    );
    world.verifier.ended.forget("s-1");
    let proof = world.proof(|claims| claims["jti"] = json!("BAECAwQFBgcICQoLDA0ODw"));
    assert!(world.verify(&proof).is_ok());
}

#[test]
fn contract_8_an_expired_token_is_refused_whatever_the_proof() {
    let world = World::with_nonces();
    let refused = world.verify_at(&world.proof(|_| ()), NOW + 300);
    assert_eq!(refused, Err(ResourceError::Token(TokenError::Expired)));
}

#[test]
fn a_business_line_without_nonces_goes_by_the_devices_clock() {
    let world = World::new(Freshness::IssuedAt {
        max_age: 60,
        max_ahead: 5,
    });
    let at = |seconds: u64, jti: &str| {
        let proof = world.proof(|claims| {
            claims.as_object_mut().unwrap().remove("nonce");
            claims["jti"] = json!(jti);
        });
        world
            .verify_at(&proof, seconds)
            .map(|claims| claims.subject)
    };
    assert_eq!(at(NOW + 59, "BAECAwQFBgcICQoLDA0ODw"), Ok("u-1".to_owned()));
    assert_eq!(
        at(NOW + 60, "CAECAwQFBgcICQoLDA0ODw"),
        Err(ResourceError::Proof)
    );
    assert_eq!(at(NOW - 5, "DAECAwQFBgcICQoLDA0ODw"), Ok("u-1".to_owned()));
    assert_eq!(
        at(NOW - 6, "EAECAwQFBgcICQoLDA0ODw"),
        Err(ResourceError::Proof)
    );
    for iat in [json!(-1), json!(1.5), json!(u64::MAX)] {
        let proof = world.proof(|claims| claims["iat"] = iat);
        assert_eq!(world.verify(&proof), Err(ResourceError::Proof));
    }
    assert_eq!(world.verifier.proofs.fresh_nonce(NOW), None);
}

#[test]
fn the_age_of_a_proof_bounds_how_long_its_replay_is_remembered() {
    let freshness = Freshness::IssuedAt {
        max_age: 60,
        max_ahead: 5,
    };
    let world = World::new(freshness);
    let header = world.proof(|claims| claims["iat"] = json!(NOW + 3));
    let proof = Proof {
        header: &header,
        method: "POST",
        path: "/orders",
        body: Some(BODY),
        access_token: Some(&world.token),
    };
    assert_eq!(
        world
            .verifier
            .proofs
            .verify(&proof, NOW)
            .unwrap()
            .good_until,
        NOW + 63
    );
}

#[test]
fn contract_2_a_refusal_says_how_it_is_to_be_repeated() {
    let unavailable = ResourceError::Unavailable(GuardUnavailable);
    let says = [
        (
            ResourceError::NoToken,
            401,
            "invalid_token",
            Some(r#"DPoP algs="ES256""#),
        ),
        (
            ResourceError::Token(TokenError::Expired),
            401,
            "invalid_token",
            Some(r#"DPoP error="invalid_token", algs="ES256""#),
        ),
        (
            ResourceError::SessionEnded,
            401,
            "session_ended",
            Some(r#"DPoP error="invalid_token", algs="ES256""#),
        ),
        (
            ResourceError::UseNonce,
            401,
            "use_dpop_nonce",
            Some(r#"DPoP error="use_dpop_nonce", algs="ES256""#),
        ),
        (
            ResourceError::Proof,
            401,
            "invalid_dpop_proof",
            Some(r#"DPoP error="invalid_dpop_proof", algs="ES256""#),
        ),
        (
            ResourceError::OtherKey,
            401,
            "invalid_dpop_proof",
            Some(r#"DPoP error="invalid_dpop_proof", algs="ES256""#),
        ),
        (
            ResourceError::Replayed,
            401,
            "invalid_dpop_proof",
            Some(r#"DPoP error="invalid_dpop_proof", algs="ES256""#),
        ),
        (unavailable, 503, "busy", None),
    ];
    for (error, status, code, header) in says {
        assert_eq!((error.status(), error.code()), (status, code));
        assert_eq!(error.www_authenticate().as_deref(), header);
    }
}

struct Broken;

impl ReplayGuard for Broken {
    fn first_use(&self, _: &ReplayKey, _: u64, _: u64) -> Result<bool, GuardUnavailable> {
        Err(GuardUnavailable)
    }
}

impl EndedSessions for Broken {
    fn is_ended(&self, _: &str) -> Result<bool, GuardUnavailable> {
        Err(GuardUnavailable)
    }
}

#[test]
fn a_guard_that_cannot_answer_lets_nobody_through() {
    let world = World::with_nonces();
    let proof = world.proof(|_| ());
    let authorization = format!("DPoP {}", world.token);
    let (tokens, proofs) = (world.verifier.tokens, world.verifier.proofs);
    let no_replays = ResourceVerifier {
        tokens: tokens.clone(),
        proofs: proofs.clone(),
        replays: Broken,
        ended: MemoryEndedSessions::default(),
    };
    let no_ended = ResourceVerifier {
        tokens,
        proofs,
        replays: MemoryReplayGuard::new(1),
        ended: Broken,
    };
    let expected = Err(ResourceError::Unavailable(GuardUnavailable));
    assert_eq!(
        no_replays.verify(&request(&[&authorization], &[&proof]), NOW),
        expected
    );
    assert_eq!(
        no_ended.verify(&request(&[&authorization], &[&proof]), NOW),
        expected
    );
}

#[test]
fn a_full_replay_guard_forgets_stale_proofs_and_else_refuses() {
    let world = World::with_nonces();
    let replay_key = |number: u8| {
        let mut jti = [0; 16];
        jti[0] = number;
        let header = world.proof(|claims| claims["jti"] = json!(base64url::encode(jti)));
        let proof = Proof {
            header: &header,
            method: "POST",
            path: "/orders",
            body: Some(BODY),
            access_token: Some(&world.token),
        };
        world
            .verifier
            .proofs
            .verify(&proof, NOW)
            .unwrap()
            .replay_key
    };
    let guard = MemoryReplayGuard::new(2);
    assert_eq!(guard.first_use(&replay_key(1), 100, 10), Ok(true));
    assert_eq!(guard.first_use(&replay_key(2), 200, 10), Ok(true));
    assert_eq!(guard.first_use(&replay_key(1), 100, 10), Ok(false));
    assert_eq!(
        guard.first_use(&replay_key(3), 200, 99),
        Err(GuardUnavailable)
    );
    assert_eq!(guard.first_use(&replay_key(3), 200, 100), Ok(true));
    assert_eq!(guard.first_use(&replay_key(2), 200, 100), Ok(false));
}

#[test]
fn debug_of_a_request_shows_neither_token_nor_proof() {
    let request = request(&["DPoP secret-token"], &["secret-proof"]);
    assert_eq!(format!("{request:?}"), "ResourceRequest(POST /orders)");
    let proof = Proof {
        header: "secret",
        method: "GET",
        path: "/a",
        body: None,
        access_token: Some("secret"),
    };
    assert_eq!(format!("{proof:?}"), "Proof(GET /a)");
    let verifier = format!("{:?}", World::with_nonces().verifier);
    assert!(verifier.contains("NonceKey([redacted])"), "{verifier}");
}

proptest! {
    #[test]
    fn any_headers_are_refused_without_a_panic(authorization: String, proof: String, claims: Vec<u8>, now: u64) {
        let world = World::with_nonces();
        prop_assert!(world.verifier.verify(&request(&[&authorization], &[&proof]), now).is_err());
        prop_assert_eq!(world.verify(&proof), Err(ResourceError::Proof));
        let signed = jws::sign(&dpop::PROFILE, &claims, &world.device, &SystemRandom::new()).unwrap();
        prop_assert_eq!(world.verify(&signed), Err(ResourceError::Proof));
    }
}
