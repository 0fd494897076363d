//! What costs money or tells something is limited, and a number is not told apart by whether it is known.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::outside::{Customer, Person};
use super::world::{APP, Flow, PHONE, PHONE_TWO, World, new_key, new_signed, new_unsigned};
use crate::login::LoginPolicy;
use crate::store::limits::Limit;

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

fn three_faces_an_hour() -> LoginPolicy {
    LoginPolicy {
        faces: vec![Limit {
            count: 3,
            window: Duration::from_hours(1),
        }],
        ..LoginPolicy::default()
    }
}

#[tokio::test]
async fn l7_face_sessions_are_limited_for_a_customer_on_whatever_device() {
    let world = World::with(three_faces_an_hour()).await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    new_signed(&world, &li, PHONE, LI.password).await;
    for _ in 0..2 {
        Flow::begin(&world, &li).await.1.expect_step("face");
    }
    let code = world.outside.agree(&li);
    let (device, key, body) = (world.device(), new_key(), World::start_body(APP, &code));
    let refused = world.request(&device, &key, &body).await;
    refused.expect_problem(429, "rate_limited");
    let wait = refused.body["retry_after"].as_i64().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");

    // What the provider gave is kept for the same device: it needs no second consent when the limit has passed.
    world.pass(wait.min(590));
    world
        .request(&device, &key, &body)
        .await
        .expect_problem(429, "rate_limited");
    world.pass(3600);
    Flow::begin(&world, &li).await.1.expect_step("face");
}

#[tokio::test]
async fn l5_face_sessions_are_limited_for_a_device_whoever_it_asks_for() {
    let world = World::with(three_faces_an_hour()).await;
    let other = Customer {
        reference: "C2",
        ..LI
    };
    world.outside.contract(PHONE, &[LI]);
    world.outside.contract(PHONE_TWO, &[other]);
    let (li, wang) = (Person::new("li"), Person::new("wang"));
    new_signed(&world, &li, PHONE, LI.password).await;
    new_signed(&world, &wang, PHONE_TWO, LI.password).await;
    let device = world.device();
    let mut codes = Vec::new();
    for person in [&li, &wang, &li, &wang] {
        let body = World::start_body(APP, &world.outside.agree(person));
        codes.push(world.request(&device, &new_key(), &body).await);
    }
    for seen in &codes[..3] {
        seen.expect_step("face");
    }
    codes[3].expect_problem(429, "rate_limited");
    // The customer can still come from another device.
    Flow::begin(&world, &wang).await.1.expect_step("face");
}

#[tokio::test]
async fn l5_a_right_password_before_a_face_that_may_not_be_opened_costs_no_attempt() {
    let world = World::with(LoginPolicy {
        faces: vec![Limit {
            count: 1,
            window: Duration::from_mins(5),
        }],
        ..LoginPolicy::default()
    })
    .await;
    world.outside.contract(PHONE, &[LI]);
    // Somebody else has used up the customer's one face session.
    let (mut first, _) = Flow::begin(&world, &Person::new("wang")).await;
    first.prove_number(PHONE).await.expect_step("verification");
    first.password(LI.password).await.expect_step("face");

    world.pass(61);
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE).await.expect_step("verification");
    for _ in 0..4 {
        flow.password(LI.password)
            .await
            .expect_problem(429, "rate_limited");
    }
    world.pass(300);
    flow.password(LI.password).await.expect_step("face");
}

/// U2, L13: before its code, a number gets the same answer whether it is nobody's, an account's or a customer's, and nothing is looked up that could take
/// another time.
#[tokio::test]
async fn u2_a_number_is_answered_alike_before_its_code_whoever_has_it() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    world.outside.contract(PHONE_TWO, &[LI]);
    world.pass(3600);
    let asked = world.outside.lookups.load(Ordering::SeqCst);
    let mut answers = Vec::new();
    for (name, number) in [("a", PHONE), ("b", PHONE_TWO), ("c", "+8613800008999")] {
        let (mut flow, _) = Flow::begin(&world, &Person::new(name)).await;
        let mut answer = flow
            .phone(number)
            .await
            .expect_step("sms_code")
            .body
            .clone();
        for own in ["login", "step_id"] {
            answer[own] = "…".into();
        }
        answer["next"]["sent_to"] = "…".into();
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    assert_eq!(
        world.outside.lookups.load(Ordering::SeqCst),
        asked,
        "the core is not asked before the code was right"
    );
}
