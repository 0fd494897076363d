//! Section 3: the Idempotency-Key.

use futures_util::future::join_all;
use serde_json::json;

use super::{Check, checks};
use crate::device::{Device, random128};
use crate::outside::Kind;
use crate::tester::{PROBE, Tester};
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![3, Nothing:
        a_post_without_a_good_key_is_refused,
        a_repetition_gets_the_same_bytes,
        a_key_used_with_other_bytes_is_refused,
        a_key_is_the_devices_own,
        repetitions_at_once_are_one_call,
    ]
    .into_iter()
    .chain(checks![3, Parties: a_repeated_start_begins_one_login])
}

async fn a_post_without_a_good_key_is_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?.without("Idempotency-Key");
    tester
        .send(&request)
        .await?
        .is_problem(400, "idempotency_key_required")?;
    for key in ["short", &"x".repeat(23), "has=padding/and+more=="] {
        let request = tester.probe(&device).await?.instead("Idempotency-Key", key);
        tester
            .send(&request)
            .await?
            .is_problem(400, "idempotency_key_required")?;
    }
    Ok(())
}

async fn a_repetition_gets_the_same_bytes(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    let first = tester.taken(&request).await?;
    ensure!(
        first.header("idempotency-replayed").is_empty(),
        "a first reply says that it is a repetition"
    );
    let second = tester
        .taken(&tester.again(&device, &request).await?)
        .await?;
    ensure!(
        second.header("idempotency-replayed") == "true",
        "a repetition came without Idempotency-Replayed"
    );
    ensure!(
        first.body == second.body,
        "a repetition's body is not the first's, byte for byte"
    );
    ensure!(
        first.header("x-request-id") != second.header("x-request-id"),
        "a repetition's X-Request-Id is not its own"
    );
    Ok(())
}

async fn a_key_used_with_other_bytes_is_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let first = tester.probe(&device).await?;
    tester.taken(&first).await?;
    let other = tester
        .probe(&device)
        .await?
        .instead("Idempotency-Key", first.value("Idempotency-Key"));
    tester
        .send(&other)
        .await?
        .is_problem(422, "idempotency_key_reused")?;
    // The proof is checked first.
    tester
        .send(&other.instead("DPoP", "made-up"))
        .await?
        .is_problem(401, "invalid_dpop_proof")
}

async fn a_key_is_the_devices_own(tester: &Tester) -> Result<(), Finding> {
    let (one, other) = (Device::new()?, Device::new()?);
    let first = tester.probe(&one).await?;
    tester.taken(&first).await?;
    let reply = tester.taken(&tester.again(&other, &first).await?).await?;
    ensure!(
        reply.header("idempotency-replayed").is_empty(),
        "another device got the reply of a key that is not its own"
    );
    Ok(())
}

async fn repetitions_at_once_are_one_call(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let request = tester.probe(&device).await?;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(tester.again(&device, &request).await?);
    }
    let replies = join_all(calls.iter().map(|call| tester.send(call))).await;
    let mut first = 0;
    for reply in replies {
        let reply = reply?;
        match (reply.status, reply.header("idempotency-replayed")) {
            (401, "") => first += 1,
            (401, "true") => {}
            _ => reply.is_problem(409, "request_in_flight")?,
        }
    }
    ensure!(first == 1, "eight repetitions at once were {first} calls");
    Ok(())
}

/// A lost reply: the code is spent, and the repetition still gets the login.
async fn a_repeated_start_begins_one_login(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let start = tester.wechat_start(&person).await?;
    let request = tester.login_call(&device, &start).await?;
    let first = tester.send(&request).await?;
    first.is(200)?;
    let second = tester.send(&tester.again(&device, &request).await?).await?;
    ensure!(
        first.body == second.body,
        "a repeated start got another reply: {second:?}"
    );
    let other = json!({"app_id": tester.target.app_id, "refresh_token": random128()});
    let elsewhere = tester
        .call(&device, "POST", PROBE, other.to_string().as_bytes(), None)
        .await?
        .instead("Idempotency-Key", request.value("Idempotency-Key"));
    // The path is part of a key's scope.
    tester.taken(&elsewhere).await?;
    Ok(())
}
