#![allow(clippy::unwrap_used)]
//! U4, U2: another phone number, or the first.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::super::outside::{Customer, Person};
use super::super::world::{Flow, PASSWORD, PHONE, PHONE_TWO};
use super::bank::{Bank, CHEN, registered, signed, tally, together};
use crate::login::LoginPolicy;
use crate::store::limits::Limit;

#[tokio::test]
async fn u4_old_number_and_its_code_then_the_new_one_its_code_and_the_password() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    let seen = li.begin_phone_change().await;
    assert_eq!(
        seen.expect_step("old_sms_code").body["next"],
        json!({"step": "old_sms_code", "sent_to": "138****8000", "digits": 6, "expires_in": 600, "resend_after": 60, "attempts_left": 5})
    );
    li.answer(json!({"phone": PHONE_TWO}))
        .await
        .expect_problem(409, "answer_not_expected");
    li.answer(json!({"change_phone": {}}))
        .await
        .expect_problem(409, "answer_not_expected");
    li.right_code(PHONE).await.expect_step("phone");
    li.answer(json!({"phone": "13900139000"}))
        .await
        .expect_problem(422, "phone_invalid");
    li.answer(json!({"phone": PHONE}))
        .await
        .expect_problem(422, "phone_unchanged");
    let seen = li.answer(json!({"phone": PHONE_TWO})).await;
    assert_eq!(
        seen.expect_step("sms_code").body["next"]["sent_to"],
        "139****9000"
    );
    li.right_code(PHONE_TWO).await.expect_step("verification");
    li.password("Wr0ng-indeed")
        .await
        .expect_problem(422, "password_wrong");
    let done = li.password(PASSWORD).await;
    done.expect_step("done");
    assert_eq!(done.body["account"]["phone_masked"], "139****9000");
    assert_eq!(bank.announced("phone.changed").await, 1);
    let mut told = bank.delivered().await;
    told.sort();
    assert_eq!(
        told,
        [
            (PHONE.to_owned(), "phone_changed".to_owned()),
            (PHONE_TWO.to_owned(), "phone_changed".to_owned())
        ],
        "L9: the number before is told too"
    );

    // U4: the old number is forgotten, and whoever registers with it gets a new account.
    bank.world.pass(3600);
    let wang = registered(&bank, "wang", PHONE).await;
    assert_ne!(wang.holder.user_id, li.holder.user_id);
    // And the new number leads to the old account.
    let (mut flow, _) = Flow::begin(&bank.world, &Person::new("li's second")).await;
    flow.prove_number(PHONE_TWO)
        .await
        .expect_step("verification");
    flow.password(PASSWORD)
        .await
        .expect_over(409, "identity_bound_elsewhere");
}

#[tokio::test]
async fn u4_a_number_that_has_an_account_is_refused_and_only_after_its_code() {
    let bank = Bank::new().await;
    registered(&bank, "wang", PHONE_TWO).await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    li.begin_phone_change().await;
    li.right_code(PHONE).await;
    // Until the code was right, a number that is known and one that is not get the same.
    let mut replies = Vec::new();
    for phone in [PHONE_TWO, "+8613700137000"] {
        let asked = li.answer(json!({"phone": phone})).await;
        let wrong = li.answer(json!({"sms_code": "000000"})).await;
        wrong.expect_problem(422, "sms_code_wrong");
        replies.push((asked.status, asked.step().to_owned(), wrong.status));
        li.answer(json!({"change_phone": {}}))
            .await
            .expect_step("phone");
    }
    assert_eq!(replies[0], replies[1]);
    li.answer(json!({"phone": "+8613700137000"}))
        .await
        .expect_problem(429, "resend_too_soon");
    bank.world.pass(61);
    li.answer(json!({"phone": PHONE_TWO}))
        .await
        .expect_step("sms_code");
    let seen = li.right_code(PHONE_TWO).await;
    seen.expect_problem(409, "phone_bound_elsewhere");
    assert!(seen.body.get("next").is_none());
    assert_eq!(bank.world.rows("operations").await, 0);
    assert_eq!(bank.announced("phone.changed").await, 0);
}

#[tokio::test]
async fn u4_a_signed_customers_number_changes_at_the_bank_first() {
    let bank = Bank::new().await;
    let mut chen = signed(&bank, "chen", PHONE, CHEN).await.later();
    let change = async |chen: &mut super::bank::User| {
        chen.begin_phone_change().await.expect_step("old_sms_code");
        chen.right_code(PHONE).await;
        chen.answer(json!({"phone": PHONE_TWO}))
            .await
            .expect_step("sms_code");
        chen.right_code(PHONE_TWO).await
    };
    change(&mut chen)
        .await
        .expect_problem(409, "phone_changes_at_bank");
    let wu = Customer {
        reference: "C2",
        ..CHEN
    };
    bank.world
        .outside
        .contract(PHONE_TWO, std::slice::from_ref(&wu));
    bank.world.pass(3600);
    change(&mut chen)
        .await
        .expect_problem(409, "phone_changes_at_bank");
    bank.world.outside.contract(PHONE_TWO, &[CHEN, wu]);
    bank.world.pass(3600);
    change(&mut chen)
        .await
        .expect_problem(409, "customer_ambiguous");

    // The bank knows the new number by now: L5's whole proof, and it is done.
    bank.world.outside.contract(PHONE_TWO, &[CHEN]);
    bank.world.pass(3600);
    let asked = change(&mut chen).await;
    assert_eq!(
        asked.body["next"]["methods"],
        json!(["login_password", "card"])
    );
    let face = chen.card(CHEN.card.0, CHEN.card.1).await;
    let done = chen.face(&face, true).await;
    assert_eq!(
        done.expect_step("done").body["account"]["phone_masked"],
        "139****9000"
    );
    assert_eq!(done.body["account"]["identification"], "signed");
}

#[tokio::test]
async fn l5_an_unsigned_account_gets_a_contracts_number_only_with_its_customers_proof() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    bank.world.outside.contract(PHONE_TWO, &[CHEN]);
    li.begin_phone_change().await;
    li.right_code(PHONE).await;
    li.answer(json!({"phone": PHONE_TWO})).await;
    let own = li.right_code(PHONE_TWO).await;
    assert_eq!(own.body["next"]["methods"], json!(["login_password"]));
    let core = li.password(PASSWORD).await;
    assert_eq!(
        core.body["next"]["methods"],
        json!(["login_password", "card"])
    );
    li.password(PASSWORD)
        .await
        .expect_problem(422, "password_wrong");
    let face = li.password(CHEN.password).await;
    let done = li.face(&face, true).await;
    assert_eq!(
        done.expect_step("done").body["account"]["identification"],
        "signed"
    );
    assert_eq!(bank.announced("account.signed").await, 1);
    assert_eq!(
        bank.world.texts("SELECT acr FROM sessions").await,
        ["signed"],
        "L10"
    );
}

#[tokio::test]
async fn l5_a_contracts_number_whose_customer_has_an_account_is_refused() {
    let bank = Bank::new().await;
    signed(&bank, "chen", PHONE_TWO, CHEN).await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    let third = "+8613700137000";
    bank.world.outside.contract(third, &[CHEN]);
    li.begin_phone_change().await;
    li.right_code(PHONE).await;
    li.answer(json!({"phone": third})).await;
    li.right_code(third)
        .await
        .expect_problem(409, "phone_bound_elsewhere");
}

#[tokio::test]
async fn u2_the_first_number_needs_a_fresh_proof_and_its_code() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &[("wechat", "li")]).await;
    let mut li = bank.log_in(&user_id, "wechat").await;
    li.begin_phone_change()
        .await
        .expect_problem(403, "reauthentication_required");
    let code = bank.world.outside.agree(&Person::new("li"));
    li.log_in_there(&code).await.expect_step("done");
    registered(&bank, "wang", PHONE_TWO).await;
    bank.world.pass(61);
    li.begin_phone_change().await.expect_step("phone");
    li.answer(json!({"phone": PHONE_TWO})).await;
    li.right_code(PHONE_TWO)
        .await
        .expect_problem(409, "phone_bound_elsewhere");
    li.begin_phone_change().await.expect_step("phone");
    li.answer(json!({"phone": PHONE})).await;
    let done = li.right_code(PHONE).await;
    assert_eq!(
        done.expect_step("done").body["account"]["phone_masked"],
        "138****8000"
    );
    assert_eq!(
        li.unbind("wechat").await.status,
        200,
        "U5: a phone is bound now"
    );
}

#[tokio::test]
async fn u4_wrong_codes_are_counted_over_numbers_and_the_fifth_is_the_last() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    li.begin_phone_change().await;
    for left in (1..5).rev() {
        let seen = li.answer(json!({"sms_code": "000000"})).await;
        seen.expect_problem(422, "sms_code_wrong");
        assert_eq!(seen.body["attempts_left"], left);
    }
    li.answer(json!({"sms_code": "000000"}))
        .await
        .expect_problem(429, "too_many_attempts");
    li.right_code(PHONE)
        .await
        .expect_problem(404, "operation_unknown");
}

#[tokio::test]
async fn a_code_that_is_late_is_sent_anew_and_a_gateway_that_is_down_costs_no_message() {
    let bank = Bank::with(LoginPolicy {
        lifetime: Duration::from_mins(20),
        ..LoginPolicy::default()
    })
    .await;
    let mut li = bank
        .log_in(&bank.account(Some(PHONE), &[]).await, "password")
        .await;
    bank.world.outside.sms_down.store(true, Ordering::SeqCst);
    for _ in 0..8 {
        li.begin_phone_change()
            .await
            .expect_problem(503, "sms_unavailable");
    }
    bank.world.outside.sms_down.store(false, Ordering::SeqCst);
    li.begin_phone_change().await.expect_step("old_sms_code");
    let first = bank.world.outside.inbox(PHONE);
    li.answer(json!({"resend": {}}))
        .await
        .expect_problem(429, "resend_too_soon");
    bank.world.pass(600);
    li.right_code(PHONE)
        .await
        .expect_problem(422, "sms_code_expired");
    li.answer(json!({"resend": {}}))
        .await
        .expect_step("old_sms_code");
    if first != bank.world.outside.inbox(PHONE) {
        li.answer(json!({"sms_code": first}))
            .await
            .expect_problem(422, "sms_code_wrong");
    }
    li.right_code(PHONE).await.expect_step("phone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u4_fifty_accounts_that_want_one_number_at_once_one_gets_it() {
    let many = vec![Limit {
        count: 1000,
        window: Duration::from_hours(1),
    }];
    let bank = Bank::with(LoginPolicy {
        sms_per_phone: many.clone(),
        sms_per_address: many,
        ..LoginPolicy::default()
    })
    .await;
    let mut ready = Vec::new();
    for n in 0..50 {
        let user_id = bank.account(None, &[("qq", &format!("li-{n}"))]).await;
        let mut user = bank.log_in(&user_id, "qq").await;
        bank.mark_proved(&user).await;
        user.begin_phone_change().await.expect_step("phone");
        user.answer(json!({"phone": PHONE})).await;
        let code = bank.world.outside.inbox(PHONE);
        ready.push((user, code));
    }
    let seen = together(
        ready
            .into_iter()
            .map(|(mut user, code)| async move { user.answer(json!({"sms_code": code})).await }),
    )
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("200".to_owned(), 1),
            ("phone_bound_elsewhere".to_owned(), 49)
        ])
    );
    assert_eq!(bank.world.rows("phones").await, 1);
    assert_eq!(bank.announced("phone.changed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u4_a_change_and_a_registration_with_one_number_at_once_end_in_one_account_for_it() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    li.begin_phone_change().await;
    li.right_code(PHONE).await;
    li.answer(json!({"phone": PHONE_TWO})).await;
    li.right_code(PHONE_TWO).await.expect_step("verification");
    let (mut flow, _) = Flow::begin(&bank.world, &Person::new("wang")).await;
    bank.world.pass(61);
    flow.prove_number(PHONE_TWO)
        .await
        .expect_step("registration");
    let (changed, registered) = tokio::join!(li.password(PASSWORD), flow.register(PASSWORD));
    match (changed.status, registered.status) {
        (200, 200) => {
            assert_eq!(changed.step(), "done");
            registered.expect_step("verification");
        }
        (409, 200) => {
            changed.expect_problem(409, "phone_bound_elsewhere");
            registered.expect_step("done");
        }
        other => panic!("{other:?} {changed:?} {registered:?}"),
    }
    assert_eq!(
        bank.world
            .scalar("SELECT COUNT(DISTINCT user_id) FROM phones".to_owned())
            .await,
        bank.world.rows("phones").await
    );
}
