//! Section 7: login, step by step.

use serde_json::{Value, json};

use super::{Check, checks};
use crate::device::Device;
use crate::outside::Kind;
use crate::play::{Play, done};
use crate::tester::Tester;
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![7, Nothing:
        an_unknown_app_or_provider_begins_nothing,
        a_body_is_either_a_start_or_an_answer,
        an_unknown_handle_is_unknown,
        a_made_up_code_is_invalid,
    ]
    .into_iter()
    .chain(checks![7, Parties:
        l6_a_new_unsigned_person_registers,
        l7_a_returning_unsigned_person_is_in_with_one_call,
        l5_a_new_customer_proves_the_login_password_and_then_the_face,
        l5_a_new_customer_proves_a_card_and_then_the_face,
        l7_a_returning_customer_passes_the_face_first,
        l5_a_number_of_several_customers_is_nobodys_choice,
        a_handle_answers_only_to_its_device,
        a_stale_step_is_superseded_and_changes_nothing,
        an_answer_of_another_step_is_not_expected,
        a_wrong_sms_code_is_counted_and_the_limit_ends_the_login,
        a_number_of_another_form_uses_nothing_up,
        a_code_is_resent_only_after_a_while,
        the_number_can_be_changed_before_its_code,
        m2_a_code_of_the_provider_serves_once,
        a_cancelled_login_is_over,
        l5_a_face_that_does_not_pass_can_be_tried_again,
        an_alipay_login_needs_its_own_request,
    ])
}

async fn an_unknown_app_or_provider_begins_nothing(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let start = |app: &str, provider: &str| json!({"app_id": app, "start": {"provider": {"provider": provider, "code": "made-up"}}});
    let call = tester
        .login_call(&device, &start("no-such-app", "wechat"))
        .await?;
    tester.send(&call).await?.is_problem(404, "app_unknown")?;
    let call = tester
        .login_call(&device, &start(&tester.target.app_id, "no-such-provider"))
        .await?;
    tester
        .send(&call)
        .await?
        .is_problem(403, "not_offered_here")
}

async fn a_body_is_either_a_start_or_an_answer(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let start = json!({"provider": {"provider": "wechat", "code": "made-up"}});
    let app = tester.target.app_id.as_str();
    for body in [
        json!({}),
        json!({"app_id": app}),
        json!({"app_id": app, "start": {}}),
        json!({"app_id": app, "start": start, "login": "lg_x"}),
        json!({"app_id": app, "start": start, "user_id": "somebody"}),
        json!({"app_id": app, "start": {"provider": {"provider": "wechat", "code": "x", "open_id": "o"}}}),
        json!({"login": "lg_x", "step_id": "s"}),
        json!({"login": "lg_x", "step_id": "s", "answer": {}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"resend": {}, "cancel": {}}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"cancel": {}}, "user_id": "somebody"}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"login_password": "in the clear"}}),
    ] {
        let call = tester.login_call(&device, &body).await?;
        tester
            .send(&call)
            .await?
            .is_problem(400, "invalid_request")
            .map_err(|finding| Finding::new(format!("{body}: {finding}")))?;
    }
    Ok(())
}

async fn an_unknown_handle_is_unknown(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let body = json!({"login": format!("lg_{}", crate::device::random128()), "step_id": "s", "answer": {"cancel": {}}});
    let call = tester.login_call(&device, &body).await?;
    tester.send(&call).await?.is_problem(404, "login_unknown")
}

async fn a_made_up_code_is_invalid(tester: &Tester) -> Result<(), Finding> {
    let options = tester.options().await?.json();
    let offered = options["providers"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|provider| provider["provider"] == "wechat");
    ensure!(offered, "login-options offers no wechat");
    let device = Device::new()?;
    let body = json!({"app_id": tester.target.app_id, "start": {"provider": {"provider": "wechat", "code": "made-up"}}});
    let call = tester.login_call(&device, &body).await?;
    tester
        .send(&call)
        .await?
        .is_problem(400, "provider_code_invalid")
}

fn account_is(account: &Value, identification: &str) -> Result<(), Finding> {
    ensure!(
        account["identification"] == identification,
        "identification is {} in place of {identification}",
        account["identification"]
    );
    let bound = account["bindings"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|binding| binding["provider"] == "wechat");
    ensure!(bound, "the account has no binding of wechat");
    let masked = account["phone_masked"].as_str().unwrap_or_default();
    ensure!(
        masked.len() == 11 && &masked[3..7] == "****",
        "the number is shown as {masked:?}"
    );
    Ok(())
}

async fn l6_a_new_unsigned_person_registers(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    play.send_code(&person).await?;
    let sent = &play.next;
    ensure!(
        sent["digits"] == 6 && sent["expires_in"].as_u64().is_some_and(|left| left <= 600),
        "a code is of six digits and lives ten minutes"
    );
    let masked = sent["sent_to"].as_str().unwrap_or_default();
    ensure!(
        !person.phone.contains(masked) && masked.contains("****"),
        "sent_to is not masked"
    );
    let code = tester.outside()?.sms_code(&person.phone).await?;
    play.answer(&json!({"sms_code": code})).await?;
    play.expect("registration")?;
    let weak = play
        .answer_sealed("registration.login_password", "short")
        .await?;
    weak.is_problem(422, "password_unacceptable")?;
    ensure!(
        weak.json()["step_id"] == play.step_id.as_str(),
        "password_unacceptable used the step up"
    );
    let reply = play
        .answer_sealed("registration.login_password", crate::play::NEW_PASSWORD)
        .await?;
    account_is(&done(&reply)?.account, "unsigned")
}

async fn l7_a_returning_unsigned_person_is_in_with_one_call(
    tester: &Tester,
) -> Result<(), Finding> {
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let first = tester.register(&Device::new()?, &person).await?;
    let device = Device::new()?;
    let start = tester.wechat_start(&person).await?;
    let reply = tester
        .send(&tester.login_call(&device, &start).await?)
        .await?;
    let again = done(&reply)?;
    ensure!(
        again.account["user_id"] == first.account["user_id"],
        "somebody who returned got another account"
    );
    account_is(&again.account, "unsigned")
}

/// A new customer's way, up to the face.
async fn customer<'a>(
    tester: &'a Tester,
    device: &'a Device,
    by_card: bool,
) -> Result<(Play<'a>, crate::outside::Person), Finding> {
    let person = tester.outside()?.person(Kind::Signed).await?;
    let mut play = tester.begin(device, &person).await?;
    play.prove_phone(&person).await?;
    play.expect("verification")?;
    ensure!(
        play.next["methods"] == json!(["login_password", "card"]),
        "a customer is offered {}",
        play.next["methods"]
    );
    let left = play.next["attempts_left"].as_u64();
    let wrong = play
        .answer_sealed("login_password", "not-the-password-1")
        .await?;
    wrong.is_problem(422, "password_wrong")?;
    ensure!(
        wrong.json()["next"]["attempts_left"].as_u64() < left,
        "a wrong password was not counted"
    );
    play.follow(&wrong)?;
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    let reply = if by_card {
        let (number, password) = (
            given(&person.card_number),
            given(&person.withdrawal_password),
        );
        play.answer_sealed_fields(&[
            ("card.number", &number),
            ("card.withdrawal_password", &password),
        ])
        .await?
    } else {
        play.answer_sealed("login_password", &given(&person.login_password))
            .await?
    };
    reply.is(200)?;
    play.follow(&reply)?;
    play.expect("face")?;
    Ok((play, person))
}

async fn l5_a_new_customer_proves_the_login_password_and_then_the_face(
    tester: &Tester,
) -> Result<(), Finding> {
    let device = Device::new()?;
    let (mut play, _) = customer(tester, &device, false).await?;
    account_is(&done(&play.face("pass").await?)?.account, "signed")
}

async fn l5_a_new_customer_proves_a_card_and_then_the_face(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let (mut play, _) = customer(tester, &device, true).await?;
    account_is(&done(&play.face("pass").await?)?.account, "signed")
}

async fn l7_a_returning_customer_passes_the_face_first(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let (mut play, person) = customer(tester, &device, false).await?;
    let first = done(&play.face("pass").await?)?;
    let other = Device::new()?;
    let mut play = tester.begin(&other, &person).await?;
    let again = done(&play.face("pass").await?)?;
    ensure!(
        again.account["user_id"] == first.account["user_id"],
        "a customer who returned got another account"
    );
    account_is(&again.account, "signed")
}

async fn l5_a_number_of_several_customers_is_nobodys_choice(
    tester: &Tester,
) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Ambiguous).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    play.send_code(&person).await?;
    let code = tester.outside()?.sms_code(&person.phone).await?;
    play.try_answer(&json!({"sms_code": code}))
        .await?
        .is_problem(409, "customer_ambiguous")
}

async fn a_handle_answers_only_to_its_device(tester: &Tester) -> Result<(), Finding> {
    let (device, thief) = (Device::new()?, Device::new()?);
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let mut play = tester.begin(&device, &person).await?;
    let call = tester
        .login_call(&thief, &play.body(&json!({"cancel": {}})))
        .await?;
    tester.send(&call).await?.is_problem(404, "login_unknown")?;
    // Nothing happened to it.
    play.send_code(&person).await
}

async fn a_stale_step_is_superseded_and_changes_nothing(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    let stale = play.body(&json!({"phone": person.phone}));
    play.send_code(&person).await?;
    let reply = tester
        .send(&tester.login_call(&device, &stale).await?)
        .await?;
    reply.is_problem(409, "superseded")?;
    ensure!(
        reply.json()["step_id"] == play.step_id.as_str()
            && reply.json()["next"]["step"] == "sms_code",
        "superseded does not say where the login stands"
    );
    let code = tester.outside()?.sms_code(&person.phone).await?;
    play.answer(&json!({"sms_code": code})).await?;
    play.expect("registration")
}

async fn an_answer_of_another_step_is_not_expected(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let play = tester.begin(&device, &person).await?;
    for answer in [
        json!({"sms_code": "123456"}),
        json!({"resend": {}}),
        json!({"face": {"ticket": "made-up"}}),
    ] {
        let reply = play.try_answer(&answer).await?;
        reply.is_problem(409, "answer_not_expected")?;
        ensure!(
            reply.json()["step_id"] == play.step_id.as_str(),
            "an answer that was not expected used the step up"
        );
    }
    Ok(())
}

async fn a_wrong_sms_code_is_counted_and_the_limit_ends_the_login(
    tester: &Tester,
) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    play.send_code(&person).await?;
    let right = tester.outside()?.sms_code(&person.phone).await?;
    let wrong = if right == "000000" {
        "000001"
    } else {
        "000000"
    };
    let mut left = play.next["attempts_left"].as_u64().unwrap_or(0);
    ensure!((1..=10).contains(&left), "{left} attempts for an SMS code");
    while left > 1 {
        let before = play.step_id.clone();
        let reply = play.try_answer(&json!({"sms_code": wrong})).await?;
        reply.is_problem(422, "sms_code_wrong")?;
        play.follow(&reply)?;
        ensure!(play.step_id != before, "a wrong code kept its step id");
        let now = play.next["attempts_left"].as_u64().unwrap_or(0);
        ensure!(
            now + 1 == left,
            "{left} attempts, and after one of them {now}"
        );
        left = now;
    }
    play.try_answer(&json!({"sms_code": wrong}))
        .await?
        .is_problem(429, "too_many_attempts")?;
    // Not even the right one.
    let reply = play.try_answer(&json!({"sms_code": right})).await?;
    ensure!(
        reply.status >= 400 && reply.json()["next"].is_null(),
        "a login that is over took an answer: {reply:?}"
    );
    Ok(())
}

async fn a_number_of_another_form_uses_nothing_up(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    for number in [
        "13800000000",
        "+86",
        "+8613800",
        "tel:+8613800000000",
        "+86 138 0000 0000",
        "+0123456789",
    ] {
        let reply = play.try_answer(&json!({"phone": number})).await?;
        reply
            .is_problem(422, "phone_invalid")
            .map_err(|finding| Finding::new(format!("{number:?}: {finding}")))?;
        ensure!(
            reply.json()["step_id"] == play.step_id.as_str(),
            "a number of another form used the step up"
        );
    }
    play.send_code(&person).await
}

async fn a_code_is_resent_only_after_a_while(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let mut play = tester.begin(&device, &person).await?;
    play.send_code(&person).await?;
    ensure!(
        play.next["resend_after"]
            .as_u64()
            .is_some_and(|wait| wait > 0),
        "a code may be resent at once"
    );
    let reply = play.try_answer(&json!({"resend": {}})).await?;
    reply.is_problem(429, "resend_too_soon")?;
    ensure!(
        reply.json()["retry_after"].is_u64(),
        "resend_too_soon does not say when"
    );
    Ok(())
}

async fn the_number_can_be_changed_before_its_code(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let mut play = tester.begin(&device, &person).await?;
    play.send_code(&person).await?;
    play.answer(&json!({"change_phone": {}})).await?;
    play.expect("phone")
}

async fn m2_a_code_of_the_provider_serves_once(tester: &Tester) -> Result<(), Finding> {
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let start = tester.wechat_start(&person).await?;
    let (first, second) = (Device::new()?, Device::new()?);
    let call = tester.login_call(&first, &start).await?;
    tester.send(&call).await?.is(200)?;
    for device in [&first, &second] {
        let call = tester.login_call(device, &start).await?;
        tester
            .send(&call)
            .await?
            .is_problem(400, "provider_code_invalid")?;
    }
    Ok(())
}

async fn a_cancelled_login_is_over(tester: &Tester) -> Result<(), Finding> {
    let (device, person) = (
        Device::new()?,
        tester.outside()?.person(Kind::Unsigned).await?,
    );
    let play = tester.begin(&device, &person).await?;
    let reply = play.try_answer(&json!({"cancel": {}})).await?;
    reply.is(200)?;
    ensure!(
        reply.json()["next"]["step"] == "cancelled",
        "cancel was answered with {}",
        reply.json()["next"]
    );
    play.try_answer(&json!({"phone": person.phone}))
        .await?
        .is_problem(404, "login_unknown")
}

async fn l5_a_face_that_does_not_pass_can_be_tried_again(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let (mut play, _) = customer(tester, &device, false).await?;
    let left = play.next["attempts_left"].as_u64();
    let failed = play.face("fail").await?;
    failed.is_problem(422, "face_failed")?;
    play.follow(&failed)?;
    ensure!(
        play.next["attempts_left"].as_u64() < left,
        "a face that did not pass was not counted"
    );
    let made_up = play
        .try_answer(&json!({"face": {"ticket": "made-up"}}))
        .await?;
    made_up.is_problem(422, "face_failed")?;
    play.follow(&made_up)?;
    done(&play.face("pass").await?)?;
    Ok(())
}

async fn an_alipay_login_needs_its_own_request(tester: &Tester) -> Result<(), Finding> {
    let (device, thief) = (Device::new()?, Device::new()?);
    let app = tester.target.app_id.as_str();
    let body = json!({"app_id": app, "provider": "alipay"}).to_string();
    let call = tester
        .call(
            &device,
            "POST",
            "/v1/provider-requests",
            body.as_bytes(),
            None,
        )
        .await?;
    let reply = tester.send(&call).await?;
    reply.is(200)?;
    let prepared = reply.json();
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    let auth_info = prepared["auth_info"].as_str().unwrap_or_default();
    let code = tester.outside()?.alipay_code(&person, auth_info).await?;
    let start = json!({"app_id": app, "start": {"provider":
        {"provider": "alipay", "code": code, "request": prepared["request"]}}});
    let call = tester.login_call(&thief, &start).await?;
    tester
        .send(&call)
        .await?
        .is_problem(400, "provider_code_invalid")?;
    // The code was not spent by the other device.
    let call = tester.login_call(&device, &start).await?;
    let reply = tester.send(&call).await?;
    reply.is(200)?;
    Play::at(tester, &device, &reply)?.expect("phone")
}
