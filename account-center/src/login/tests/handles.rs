//! Credentials, handles, steps that are past, and what a reader of the database sees.

use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{APP, Flow, PASSWORD, PHONE, PHONE_TWO, World, new_key, new_unsigned};

#[tokio::test(flavor = "multi_thread")]
async fn m2_a_code_serves_once_whoever_brings_it() {
    let world = World::new().await;
    world
        .outside
        .codes_serve_for_ever
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let code = world.outside.agree(&Person::new("li"));
    let device = world.device();
    let (_, seen) = Flow::begin_in(&world, APP, &device, &code).await;
    seen.expect_step("phone");
    for device in [world.device(), device] {
        let (_, seen) = Flow::begin_in(&world, APP, &device, &code).await;
        seen.expect_over(400, "provider_code_invalid");
    }
    let (_, seen) = Flow::begin_in(&world, APP, &world.device(), "made-up").await;
    seen.expect_over(400, "provider_code_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_unknown_apps_and_providers_that_are_not_offered_are_told() {
    let world = World::new().await;
    let device = world.device();
    let seen = world
        .request(&device, &new_key(), &World::start_body("nobody", "c"))
        .await;
    seen.expect_problem(404, "app_unknown");
    let seen = world
        .request(&device, &new_key(), &World::start_body("bank-web", "c"))
        .await;
    seen.expect_over(403, "not_offered_here");
    for provider in ["qq", "myspace"] {
        let start =
            json!({"app_id": APP, "start": {"provider": {"provider": provider, "code": "c"}}});
        world
            .request(&device, &new_key(), &start)
            .await
            .expect_over(403, "not_offered_here");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_answers_only_to_the_device_key_that_began_it() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let mut thief = Flow {
        device: world.device(),
        ..flow.clone()
    };
    thief.phone(PHONE).await.expect_over(404, "login_unknown");
    thief
        .send(json!({"cancel": {}}))
        .await
        .expect_over(404, "login_unknown");
    let mut lost = Flow {
        login: "lg_AAAAAAAAAAAAAAAAAAAAAA".into(),
        ..flow.clone()
    };
    lost.phone(PHONE).await.expect_over(404, "login_unknown");
    flow.phone(PHONE).await.expect_step("sms_code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_lasts_ten_minutes() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    world.pass(599);
    flow.phone(PHONE).await.expect_step("sms_code");
    world.pass(1);
    flow.right_code(PHONE)
        .await
        .expect_over(410, "login_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_step_is_superseded_and_told_where_the_login_stands() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let mut stale = flow.clone();
    flow.phone(PHONE).await.expect_step("sms_code");
    stale
        .phone(PHONE_TWO)
        .await
        .expect_mendable(409, "superseded", "sms_code");
    assert_eq!(
        stale.step_id, flow.step_id,
        "a client that lost its place goes on from there"
    );
    assert_eq!(world.outside.messages(), 1, "nothing was sent");
    stale.right_code(PHONE).await.expect_step("registration");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_step_is_not_expected() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    for answer in [
        json!({"sms_code": "123456"}),
        json!({"resend": {}}),
        json!({"change_phone": {}}),
        json!({"face": {"ticket": "t"}}),
    ] {
        let before = flow.step_id.clone();
        flow.send(answer)
            .await
            .expect_mendable(409, "answer_not_expected", "phone");
        assert_eq!(flow.step_id, before);
    }
    flow.register(PASSWORD)
        .await
        .expect_mendable(409, "answer_not_expected", "phone");
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_a_login_can_be_cancelled_at_every_step() {
    let world = World::new().await;
    for steps in 0..3 {
        let phone = format!("+861380013800{steps}");
        let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
        if steps > 0 {
            flow.phone(&phone).await;
        }
        if steps > 1 {
            flow.right_code(&phone).await.expect_step("registration");
        }
        let cancelled = flow.send(json!({"cancel": {}})).await;
        assert_eq!(cancelled.body, json!({"next": {"step": "cancelled"}}));
        flow.phone(&phone).await.expect_over(404, "login_unknown");
    }
    assert_eq!(world.rows("logins").await, 0);
    world.assert_nothing_bound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_readable_in_the_database() {
    let world = World::new().await;
    let customer = Customer {
        reference: "customer-reference",
        password: "p",
        card: ("1", "2"),
    };
    world.outside.contract(PHONE_TWO, &[customer]);
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("wang")).await;
    flow.prove_number(PHONE_TWO)
        .await
        .expect_step("verification");
    for sql in [
        "SELECT sealed_state FROM logins",
        "SELECT sealed_number || blind_index FROM phones",
        "SELECT bucket FROM rate_buckets",
        "SELECT kind || payload FROM outbox",
        "SELECT kind || login_ref FROM flow_events",
        "SELECT COALESCE(sealed_reply, '') FROM idempotency_keys",
    ] {
        let texts = world.texts(sql).await;
        assert!(!texts.is_empty(), "{sql}");
        for text in texts {
            for personal in [
                "138001380",
                "139001390",
                "union-",
                "open-",
                "wang",
                "customer-reference",
                &flow.login,
            ] {
                assert!(!text.contains(personal), "{sql}: {text}");
            }
        }
    }
}
