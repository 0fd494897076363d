//! Outside parties that are down: 503, nothing changed, and the same answer may be sent again (contract section 7).

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{APP, Flow, PHONE, World, new_key, new_signed};

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

fn set(flag: &AtomicBool, value: bool) {
    flag.store(value, Ordering::SeqCst);
}

/// Sends the same bytes twice, with the party down and up again.
async fn down_and_up(
    flow: &mut Flow,
    key: &str,
    answer: serde_json::Value,
    party: &AtomicBool,
    code: &str,
) -> super::world::Seen {
    let body = flow.body(&answer);
    let before = flow
        .world
        .texts("SELECT sealed_state FROM logins")
        .await
        .len();
    set(party, true);
    for _ in 0..2 {
        let seen = flow.world.request(&flow.device, key, &body).await;
        seen.expect_problem(503, code);
        assert!(seen.body.get("next").is_none());
    }
    assert_eq!(
        flow.world
            .texts("SELECT sealed_state FROM logins")
            .await
            .len(),
        before
    );
    set(party, false);
    let seen = flow.world.request(&flow.device, key, &body).await;
    flow.follow(&seen);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_costs_nobody_the_code() {
    let world = World::new().await;
    let code = world.outside.agree(&Person::new("li"));
    let (device, key) = (world.device(), new_key());
    set(&world.outside.provider_down, true);
    world
        .request(&device, &key, &World::start_body(APP, &code))
        .await
        .expect_problem(503, "provider_unavailable");
    set(&world.outside.provider_down, false);
    world
        .request(&device, &key, &World::start_body(APP, &code))
        .await
        .expect_step("phone");
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_lost_sms_gateway_changes_nothing() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let party = &world.outside.sms_down;
    down_and_up(
        &mut flow,
        &new_key(),
        json!({"phone": PHONE}),
        party,
        "sms_unavailable",
    )
    .await
    .expect_step("sms_code");
    assert_eq!(
        world
            .scalar("SELECT MAX(used) FROM rate_buckets".into())
            .await,
        1,
        "what was not sent is not counted"
    );
    world.pass(60);
    let seen = down_and_up(
        &mut flow,
        &new_key(),
        json!({"resend": {}}),
        party,
        "sms_unavailable",
    )
    .await;
    seen.expect_step("sms_code");
    flow.right_code(PHONE).await.expect_step("registration");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_core_that_is_down_uses_up_neither_code_nor_attempts() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.phone(PHONE).await;
    let code = world.outside.inbox(PHONE);
    let party = &world.outside.core_down;
    down_and_up(
        &mut flow,
        &new_key(),
        json!({"sms_code": code}),
        party,
        "core_unavailable",
    )
    .await
    .expect_step("verification");

    let key = new_key();
    let wrong = flow.seal(&key, "login_password", "wrong");
    let seen = down_and_up(
        &mut flow,
        &key,
        json!({"login_password": wrong}),
        party,
        "core_unavailable",
    )
    .await;
    seen.expect_problem(422, "password_wrong");
    assert_eq!(seen.body["attempts_left"], 4);
    assert_eq!(world.outside.proofs.load(Ordering::SeqCst), 1);
    flow.password(LI.password).await.expect_step("face");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_face_service_that_is_down_lets_the_same_answer_be_sent_again() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE).await.expect_step("verification");
    let key = new_key();
    let sealed = flow.seal(&key, "login_password", LI.password);
    let party = &world.outside.face_down;
    let asked = down_and_up(
        &mut flow,
        &key,
        json!({"login_password": sealed}),
        party,
        "face_unavailable",
    )
    .await;
    asked.expect_step("face");
    let ticket = world.outside.perform_face(
        asked.body["next"]["request"]["face_session"]
            .as_str()
            .unwrap(),
        true,
    );
    down_and_up(
        &mut flow,
        &new_key(),
        json!({"face": {"ticket": ticket}}),
        party,
        "face_unavailable",
    )
    .await
    .expect_step("done");
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_face_service_that_is_down_costs_a_returning_customer_no_second_consent() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    new_signed(&world, &li, PHONE, LI.password).await;
    let code = world.outside.agree(&li);
    let (device, key) = (world.device(), new_key());
    let body = World::start_body(APP, &code);
    let exchanges = world.outside.exchanges.load(Ordering::SeqCst);
    set(&world.outside.face_down, true);
    for _ in 0..3 {
        world
            .request(&device, &key, &body)
            .await
            .expect_problem(503, "face_unavailable");
    }
    // The code is spent at the provider; nobody else can use what it gave.
    world
        .request(&world.device(), &new_key(), &body)
        .await
        .expect_over(400, "provider_code_invalid");
    set(&world.outside.face_down, false);
    world
        .request(&device, &key, &body)
        .await
        .expect_step("face");
    assert_eq!(
        world.outside.exchanges.load(Ordering::SeqCst),
        exchanges + 1,
        "the provider was asked once"
    );
    // It serves once: the same device with another key gets no second login of it.
    world
        .request(&device, &new_key(), &body)
        .await
        .expect_over(400, "provider_code_invalid");
    assert_eq!(world.rows("logins").await, 1);
}
