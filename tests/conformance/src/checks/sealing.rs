//! Section 4: sealed fields open in one place only.

use serde_json::{Value, json};

use super::{Check, checks};
use crate::device::{Device, random128};
use crate::outside::Kind;
use crate::play::{NEW_PASSWORD, Play, done};
use crate::seal::Seal;
use crate::tester::Tester;
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![4, Parties:
        a_field_sealed_for_another_place_does_not_open,
        a_field_sealed_to_an_unknown_key_says_so,
        a_field_that_is_no_sealed_field_is_refused,
    ]
}

/// Makes a seal wrong.
type Change = fn(&mut Seal);

/// A login of a new person that asks for a new password.
async fn at_registration<'a>(tester: &'a Tester, device: &'a Device) -> Result<Play<'a>, Finding> {
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let mut play = tester.begin(device, &person).await?;
    play.prove_phone(&person).await?;
    play.expect("registration")?;
    Ok(play)
}

fn answer(sealed: &str) -> Value {
    json!({"registration": {"login_password": {"sealed": sealed}}})
}

async fn a_field_sealed_for_another_place_does_not_open(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let play = at_registration(tester, &device).await?;
    let changes: [(&str, Change); 8] = [
        ("another issuer", |seal| seal.issuer.push('x')),
        ("another app", |seal| seal.app_id.push('x')),
        ("another device", |seal| seal.device_key = random128()),
        ("another call", |seal| seal.idempotency_key = random128()),
        ("another path", |seal| seal.path.push('x')),
        ("another field", |seal| seal.field = "login_password".into()),
        ("another login", |seal| {
            seal.login = format!("lg_{}", random128());
        }),
        ("another step", |seal| seal.step_id.push('x')),
    ];
    for (what, change) in changes {
        let key = random128();
        let (mut seal, sealing_key) = play.seal("registration.login_password", &key).await?;
        change(&mut seal);
        let sealed = seal.seal(&sealing_key, NEW_PASSWORD)?;
        play.answer_with_key(&answer(&sealed), &key)
            .await?
            .is_problem(400, "sealed_field_invalid")
            .map_err(|finding| Finding::new(format!("{what}: {finding}")))?;
    }
    // None of it used the step up.
    let reply = play
        .answer_sealed("registration.login_password", NEW_PASSWORD)
        .await?;
    done(&reply)?;
    Ok(())
}

async fn a_field_sealed_to_an_unknown_key_says_so(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let play = at_registration(tester, &device).await?;
    let key = random128();
    let (seal, mut sealing_key) = play.seal("registration.login_password", &key).await?;
    "no-such-key".clone_into(&mut sealing_key.kid);
    let sealed = seal.seal(&sealing_key, NEW_PASSWORD)?;
    play.answer_with_key(&answer(&sealed), &key)
        .await?
        .is_problem(400, "sealing_key_unknown")
}

async fn a_field_that_is_no_sealed_field_is_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let play = at_registration(tester, &device).await?;
    let (seal, sealing_key) = play
        .seal("registration.login_password", &random128())
        .await?;
    let good = seal.seal(&sealing_key, NEW_PASSWORD)?;
    let parts: Vec<&str> = good.split('.').collect();
    let long = "A".repeat(2049);
    for bad in [
        String::new(),
        "in the clear".to_owned(),
        parts[..2].join("."),
        format!("{good}.AA"),
        format!("{}.{}.{long}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], "A".repeat(43), parts[2]),
    ] {
        let reply = play.try_answer(&answer(&bad)).await?;
        ensure!(
            reply.status == 400,
            "a field of {} characters that is no sealed field: {reply:?}",
            bad.len()
        );
    }
    Ok(())
}
