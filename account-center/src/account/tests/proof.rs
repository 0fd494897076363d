#![allow(clippy::unwrap_used)]
//! L9: who holds the session proves who they are; and U5: that they can log in at a provider.

use std::sync::atomic::Ordering;

use postern_server_security::access_token::Acr;
use serde_json::json;

use super::super::outside::Person;
use super::super::world::{APP, Flow, PASSWORD, PHONE, new_key};
use super::bank::{Bank, CHEN, registered, signed, tally, together};

#[tokio::test]
async fn l9_an_unsigned_person_proves_by_the_login_password() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    let seen = li.begin_proof().await;
    assert_eq!(
        seen.expect_step("verification").body["next"],
        json!({"step": "verification", "methods": ["login_password"], "attempts_left": 5})
    );
    assert!(seen.body["operation"].as_str().unwrap().starts_with("op_"));
    let seen = li.password("Wr0ng-indeed").await;
    seen.expect_problem(422, "password_wrong");
    assert_eq!(
        (&seen.body["attempts_left"], &seen.body["next"]["step"]),
        (&json!(4), &json!("verification"))
    );
    assert!(seen.body.get("login").is_none());
    let seen = li.password(PASSWORD).await;
    seen.expect_step("done");
    assert_eq!(
        (&seen.body["proved"], &seen.body["fresh_for"]),
        (&json!(true), &json!(300))
    );
    assert_eq!(bank.world.rows("operations").await, 0);
    assert_eq!(
        bank.world.texts("SELECT action FROM account_history").await,
        ["proved"]
    );
}

#[tokio::test]
async fn l9_a_signed_customer_proves_as_in_l5_and_the_password_alone_is_nothing() {
    let bank = Bank::new().await;
    let mut chen = signed(&bank, "chen", PHONE, CHEN).await.later();
    let seen = chen.begin_proof().await;
    assert_eq!(
        seen.body["next"]["methods"],
        json!(["login_password", "card"])
    );
    chen.card(CHEN.card.0, "654321")
        .await
        .expect_problem(422, "card_wrong");
    let face = chen.card(CHEN.card.0, CHEN.card.1).await;
    face.expect_step("face");
    let code = bank.world.outside.agree(&Person::new("wang"));
    chen.bind(&code)
        .await
        .expect_problem(403, "reauthentication_required");
    chen.path = "/v1/account/proof".to_owned();
    let again = chen.face(&face, false).await;
    again.expect_problem(422, "face_failed");
    assert_eq!(chen.face(&again, true).await.body["proved"], true);
}

#[tokio::test]
async fn l9_a_face_ticket_of_another_operation_is_none_here() {
    let bank = Bank::new().await;
    let mut chen = signed(&bank, "chen", PHONE, CHEN).await.later();
    chen.begin_proof().await;
    let first = chen.password(CHEN.password).await;
    let stolen = bank.world.outside.perform_face(
        first.body["next"]["request"]["face_session"]
            .as_str()
            .unwrap(),
        true,
    );
    chen.begin_proof().await;
    chen.password(CHEN.password).await.expect_step("face");
    chen.answer(json!({"face": {"ticket": stolen}}))
        .await
        .expect_problem(422, "face_failed");
}

#[tokio::test]
async fn l9_logins_and_proofs_have_one_budget_of_tries() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    for _ in 0..2 {
        li.begin_proof().await.expect_step("verification");
        for _ in 0..4 {
            li.password("Wr0ng-indeed")
                .await
                .expect_problem(422, "password_wrong");
        }
        let seen = li.password("Wr0ng-indeed").await;
        seen.expect_problem(429, "too_many_attempts");
        assert!(seen.body.get("next").is_none());
        li.password(PASSWORD)
            .await
            .expect_problem(404, "operation_unknown");
    }
    // Ten are used up: the right password is not looked at any more, neither here nor in a login.
    li.begin_proof().await.expect_step("verification");
    let seen = li.password(PASSWORD).await;
    seen.expect_problem(429, "too_many_attempts");
    assert!(seen.body["retry_after"].as_u64().unwrap() > 3000);
    let (mut flow, _) = Flow::begin(&bank.world, &Person::new("wang")).await;
    bank.world.pass(61);
    flow.prove_number(PHONE).await.expect_step("verification");
    flow.password(PASSWORD)
        .await
        .expect_over(429, "too_many_attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l9_twenty_guesses_at_once_are_worth_five() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    li.begin_proof().await.expect_step("verification");
    let seen = together((0..20).map(|n| {
        let mut li = li.clone();
        async move { li.password(&format!("Wr0ng-{n}")).await }
    }))
    .await;
    let tally = tally(&seen);
    assert!(
        tally.get("password_wrong").copied().unwrap_or(0) <= 5,
        "{tally:?}"
    );
    assert!(!tally.contains_key("200"), "{tally:?}");
}

#[tokio::test]
async fn a_proof_that_nobody_could_judge_is_not_counted() {
    let bank = Bank::new().await;
    let mut chen = signed(&bank, "chen", PHONE, CHEN).await.later();
    chen.begin_proof().await;
    bank.world.outside.core_down.store(true, Ordering::SeqCst);
    for _ in 0..12 {
        chen.password(CHEN.password)
            .await
            .expect_problem(503, "core_unavailable");
    }
    bank.world.outside.core_down.store(false, Ordering::SeqCst);
    bank.world.outside.face_down.store(true, Ordering::SeqCst);
    chen.password(CHEN.password)
        .await
        .expect_problem(503, "face_unavailable");
    bank.world.outside.face_down.store(false, Ordering::SeqCst);
    let face = chen.password(CHEN.password).await;
    face.expect_step("face");
    assert_eq!(chen.face(&face, true).await.body["proved"], true);
    bank.world.outside.locked.store(true, Ordering::SeqCst);
    chen.begin_proof().await;
    let seen = chen.password(CHEN.password).await;
    seen.expect_problem(429, "too_many_attempts");
    assert_eq!(seen.body["retry_after"], 600);
}

#[tokio::test]
async fn an_operation_answers_to_its_own_session_and_device_alone_and_ends_after_ten_minutes() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    li.begin_proof().await.expect_step("verification");
    let same_account = bank.log_in(&li.holder.user_id, "password").await;
    let mut other_session = same_account.clone();
    (
        other_session.operation,
        other_session.step_id,
        other_session.path,
    ) = (li.operation.clone(), li.step_id.clone(), li.path.clone());
    other_session
        .password(PASSWORD)
        .await
        .expect_problem(404, "operation_unknown");
    other_session.device = li.device.clone();
    other_session
        .password(PASSWORD)
        .await
        .expect_problem(404, "operation_unknown");
    let mut other_path = li.clone();
    other_path.path = "/v1/account/phone-change".to_owned();
    other_path
        .answer(json!({"cancel": {}}))
        .await
        .expect_problem(404, "operation_unknown");

    let mut stale = li.clone();
    li.password("Wr0ng-indeed").await;
    let seen = stale.password(PASSWORD).await;
    seen.expect_problem(409, "superseded");
    assert_eq!(seen.body["step_id"], json!(li.step_id));
    li.answer(json!({"sms_code": "123456"}))
        .await
        .expect_problem(409, "answer_not_expected");
    li.answer(json!({"cancel": {}}))
        .await
        .expect_step("cancelled");
    li.answer(json!({"cancel": {}}))
        .await
        .expect_problem(404, "operation_unknown");

    li.begin_proof().await.expect_step("verification");
    bank.world.pass(600);
    li.password(PASSWORD)
        .await
        .expect_problem(410, "operation_expired");
}

#[tokio::test]
async fn a_sealed_field_of_one_step_opens_in_no_other() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    li.begin_proof().await;
    let key = new_key();
    let sealed = li.seal(&key, "login_password", PASSWORD);
    li.password("Wr0ng-indeed").await;
    for key in [key, new_key()] {
        li.answer_as(&key, json!({"login_password": sealed}))
            .await
            .expect_problem(400, "sealed_field_invalid");
    }
}

#[tokio::test]
async fn l9_a_login_that_asked_for_it_all_is_a_proof_and_one_that_did_not_is_none() {
    let bank = Bank::new().await;
    let is_proved = async |li: &mut super::bank::User| {
        let code = bank.world.outside.agree(&Person::new("nobody's"));
        let seen = li.bind(&code).await;
        // W3 is looked at after the proof.
        match seen.code() {
            "provider_already_bound" => true,
            "reauthentication_required" => false,
            _ => panic!("{seen:?}"),
        }
    };
    let mut registered = registered(&bank, "li", PHONE).await;
    assert!(is_proved(&mut registered).await, "L6");
    let mut customer = signed(&bank, "chen", "+8613900139000", CHEN).await;
    assert!(is_proved(&mut customer).await, "L5");
    bank.world.pass(299);
    assert!(is_proved(&mut registered).await);
    bank.world.pass(1);
    assert!(!is_proved(&mut registered).await, "five minutes");

    let again = async |name: &str| {
        let (flow, seen) = Flow::begin_in(
            &bank.world,
            APP,
            &bank.world.device(),
            &bank.world.outside.agree(&Person::new(name)),
        )
        .await;
        (flow, seen)
    };
    let (flow, done) = again("li").await;
    let session = done.body["session"]["session_id"].as_str().unwrap();
    let mut returned = bank.user(flow.device.clone(), &done.user_id(), session);
    assert!(
        !is_proved(&mut returned).await,
        "L7: a bound identity alone"
    );
    let (mut flow, face) = again("chen").await;
    let done = flow.face(&face, true).await;
    let session = done.body["session"]["session_id"].as_str().unwrap();
    let mut returned = bank.user(flow.device.clone(), &done.user_id(), session);
    assert!(
        !is_proved(&mut returned).await,
        "L7: the face without the password"
    );
}

#[tokio::test]
async fn u5_a_login_there_within_the_session_opens_the_way_to_unbind_the_earliest() {
    let bank = Bank::new().await;
    let li = Person::new("li");
    let (flow, _) = Flow::begin(&bank.world, &li).await;
    drop(flow);
    let user_id = bank.account(None, &[("wechat", "li"), ("qq", "li")]).await;
    let mut holder = bank.log_in(&user_id, "qq").await;
    holder
        .begin_proof()
        .await
        .expect_problem(403, "provider_login_required");
    let code = bank.world.outside.agree(&li);
    let seen = holder.log_in_there(&code).await;
    seen.expect_step("done");
    assert_eq!(
        (&seen.body["proved"], &seen.body["fresh_for"]),
        (&json!(true), &json!(300)),
        "the account has nothing else to be proved by"
    );
    holder
        .log_in_there(&code)
        .await
        .expect_problem(400, "provider_code_invalid");
    assert_eq!(holder.unbind("wechat").await.status, 200);
    assert_eq!(holder.providers().await, ["qq"]);
}

#[tokio::test]
async fn u5_a_login_with_another_identity_proves_nothing() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let user_id = bank.account(None, &[("wechat", "wu"), ("qq", "wu")]).await;
    let mut holder = bank.log_in(&user_id, "qq").await;
    let nobody = bank.world.outside.agree(&Person::new("nobody's"));
    holder
        .log_in_there(&nobody)
        .await
        .expect_problem(404, "binding_unknown");
    let lis = bank.world.outside.agree(&Person::new("li"));
    holder
        .log_in_there(&lis)
        .await
        .expect_problem(409, "identity_bound_elsewhere");
    holder
        .unbind("wechat")
        .await
        .expect_problem(403, "provider_login_required");
    // Where there is a password, a provider's login is not what L9 asks for.
    let mut li = li.later();
    let code = bank.world.outside.agree(&Person::new("li"));
    assert_eq!(li.log_in_there(&code).await.body["proved"], false);
    let code = bank.world.outside.agree(&Person::new("wang"));
    li.bind(&code)
        .await
        .expect_problem(403, "reauthentication_required");
}

#[tokio::test]
async fn w6_a_guest_proves_nothing_and_a_session_that_is_over_neither() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    let mut guest = bank
        .log_in_as(&li.holder.user_id, "guest", Acr::Guest)
        .await;
    guest.begin_proof().await.expect_problem(403, "forbidden");
    guest
        .begin_phone_change()
        .await
        .expect_problem(403, "forbidden");
    guest.bind("code").await.expect_problem(403, "forbidden");
    li.begin_proof().await.expect_step("verification");
    li.unbind("wechat").await;
    li.password(PASSWORD)
        .await
        .expect_problem(401, "session_ended");
    li.begin_proof().await.expect_problem(401, "session_ended");
    assert_eq!(bank.world.outside.exchanges.load(Ordering::SeqCst), 1);
}
