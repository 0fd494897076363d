//! Section 2: the proof (RFC 9449).

use serde_json::{Value, json};

use super::{Check, checks};
use crate::Finding;
use crate::device::{Device, Proof, b64, random128};
use crate::tester::{PROBE, Request, Tester};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![2, Nothing:
        a_good_proof_is_taken,
        a_call_without_a_proof_is_refused,
        no_nonce_or_a_foreign_one_asks_for_the_replys,
        a_wrong_device_clock_changes_nothing,
        a_proof_serves_once,
        a_proof_for_another_call_is_refused,
        a_proof_that_is_not_of_its_key_is_refused,
        a_header_that_is_not_exactly_of_the_form_is_refused,
        claims_that_are_missing_or_twice_are_refused_and_others_passed_over,
        a_proof_over_4096_bytes_is_refused,
        two_proofs_are_refused,
    ]
}

/// Sends a probe whose proof was changed.
async fn changed(
    tester: &Tester,
    change: impl FnOnce(&Device, &mut Proof) + Send,
) -> Result<crate::tester::Reply, Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    let nonce = tester.nonce().await?;
    let mut proof = device.proof(
        "POST",
        &tester.url(PROBE),
        Some(&nonce),
        &request.body,
        None,
    );
    change(&device, &mut proof);
    tester
        .send(&request.instead("DPoP", &device.sign(&proof)?))
        .await
}

async fn refused(
    tester: &Tester,
    what: &str,
    change: impl FnOnce(&Device, &mut Proof) + Send,
) -> Result<(), Finding> {
    changed(tester, change)
        .await?
        .is_problem(401, "invalid_dpop_proof")
        .map_err(|finding| Finding::new(format!("{what}: {finding}")))
}

async fn a_good_proof_is_taken(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    tester.taken(&tester.probe(&device).await?).await?;
    Ok(())
}

async fn a_call_without_a_proof_is_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?.without("DPoP");
    tester
        .send(&request)
        .await?
        .is_problem(401, "invalid_dpop_proof")?;
    let account = Request::get("/v1/account").with("Authorization", "DPoP made-up");
    let reply = tester.send(&account).await?;
    crate::ensure!(reply.status == 401, "an account without a proof: {reply:?}");
    Ok(())
}

async fn no_nonce_or_a_foreign_one_asks_for_the_replys(tester: &Tester) -> Result<(), Finding> {
    for wrong in [None, Some(random128())] {
        let device = Device::new()?;
        let request = tester.probe(&device).await?;
        let url = tester.url(PROBE);
        let proof = device.proof("POST", &url, wrong.as_deref(), &request.body, None);
        let reply = tester
            .send(&request.clone().instead("DPoP", &device.sign(&proof)?))
            .await?;
        reply.is_problem(401, "use_dpop_nonce")?;
        // The client repeats with the nonce of this reply: same bytes, same key.
        let nonce = reply.header("dpop-nonce");
        let proof = device.proof("POST", &url, Some(nonce), &request.body, None);
        tester
            .taken(&request.instead("DPoP", &device.sign(&proof)?))
            .await?;
    }
    Ok(())
}

async fn a_wrong_device_clock_changes_nothing(tester: &Tester) -> Result<(), Finding> {
    for iat in [0_i64, 600, 4_000_000_000] {
        changed(tester, |_, proof| {
            proof.claims.insert("iat".into(), json!(iat));
        })
        .await?
        .is_problem(401, "refresh_token_invalid")?;
    }
    Ok(())
}

async fn a_proof_serves_once(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    tester.taken(&request).await?;
    tester
        .send(&request)
        .await?
        .is_problem(401, "invalid_dpop_proof")?;
    let other_key = request.instead("Idempotency-Key", &random128());
    tester
        .send(&other_key)
        .await?
        .is_problem(401, "invalid_dpop_proof")
}

async fn a_proof_for_another_call_is_refused(tester: &Tester) -> Result<(), Finding> {
    let changes: [(&str, &str, String); 6] = [
        ("another path", "htu", tester.url("/v1/login")),
        (
            "another host",
            "htu",
            format!("https://other.example{PROBE}"),
        ),
        ("with a query", "htu", format!("{}?a=1", tester.url(PROBE))),
        ("another method", "htm", "GET".into()),
        ("the method in small letters", "htm", "post".into()),
        ("another body", "bh", b64([7; 32])),
    ];
    for (what, claim, value) in changes {
        refused(tester, what, move |_, proof| {
            proof.claims.insert(claim.into(), json!(value));
        })
        .await?;
    }
    refused(tester, "with ath, and no token", |_, proof| {
        proof.claims.insert("ath".into(), json!(b64([7; 32])));
    })
    .await
}

async fn a_proof_that_is_not_of_its_key_is_refused(tester: &Tester) -> Result<(), Finding> {
    let other = Device::new()?.jwk();
    refused(tester, "another key in the header", move |_, proof| {
        proof.header.insert("jwk".into(), other);
    })
    .await?;
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    let good = request.value("DPoP").to_owned();
    let cut = good
        .rsplit_once('.')
        .map_or("", |(signed, _)| signed)
        .to_owned();
    for bad in [
        format!("{cut}."),
        cut.clone(),
        format!("{cut}.{}", b64([0; 64])),
        format!("{good}AAAA"),
        "made-up".into(),
    ] {
        tester
            .send(&request.clone().instead("DPoP", &bad))
            .await?
            .is_problem(401, "invalid_dpop_proof")?;
    }
    Ok(())
}

async fn a_header_that_is_not_exactly_of_the_form_is_refused(
    tester: &Tester,
) -> Result<(), Finding> {
    for (what, member, value) in [
        ("alg none", "alg", json!("none")),
        ("alg HS256", "alg", json!("HS256")),
        ("typ jwt", "typ", json!("jwt")),
        ("a further member", "kid", json!("k")),
        ("jku", "jku", json!("https://attacker.example/keys")),
    ] {
        refused(tester, what, move |_, proof| {
            proof.header.insert(member.into(), value);
        })
        .await?;
    }
    refused(tester, "a private key in jwk", |_, proof| {
        if let Some(jwk) = proof.header.get_mut("jwk").and_then(Value::as_object_mut) {
            jwk.insert("d".into(), json!(b64([1; 32])));
        }
    })
    .await?;
    refused(tester, "a point that is not on the curve", |_, proof| {
        if let Some(jwk) = proof.header.get_mut("jwk").and_then(Value::as_object_mut) {
            jwk.insert("y".into(), json!(b64([1; 32])));
        }
    })
    .await
}

async fn claims_that_are_missing_or_twice_are_refused_and_others_passed_over(
    tester: &Tester,
) -> Result<(), Finding> {
    for claim in ["jti", "htm", "htu", "iat", "bh"] {
        refused(tester, claim, move |_, proof| {
            proof.claims.remove(claim);
        })
        .await?;
    }
    refused(tester, "jti twice", |_, proof| {
        proof.tail = format!(r#","jti":"{}""#, random128());
    })
    .await?;
    changed(tester, |_, proof| {
        proof.claims.insert("of_tomorrow".into(), json!({"a": 1}));
    })
    .await?
    .is_problem(401, "refresh_token_invalid")
}

async fn a_proof_over_4096_bytes_is_refused(tester: &Tester) -> Result<(), Finding> {
    refused(tester, "a large proof", |_, proof| {
        proof
            .claims
            .insert("padding".into(), json!("x".repeat(4096)));
    })
    .await
}

async fn two_proofs_are_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    let nonce = tester.nonce().await?;
    let second = device.proof(
        "POST",
        &tester.url(PROBE),
        Some(&nonce),
        &request.body,
        None,
    );
    let request = request.with("DPoP", &device.sign(&second)?);
    tester
        .send(&request)
        .await?
        .is_problem(401, "invalid_dpop_proof")
}
