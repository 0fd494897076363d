//! SMS codes: their form, their life, their limits.

use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{Flow, PHONE, PHONE_TWO, World, new_unsigned};
use crate::login::LoginPolicy;

fn not(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn u2_a_number_that_is_not_e164_is_refused_and_the_person_stays() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let step = flow.step_id.clone();
    for odd in [
        "13800138000",
        "",
        "+86 13800138000",
        "+8612800138000",
        "tel:+8613800138000",
        "0",
    ] {
        let seen = flow.phone(odd).await;
        seen.expect_mendable(422, "phone_invalid", "phone");
        assert_eq!(seen.body["pointer"], "/answer/phone");
    }
    assert_eq!(
        (flow.step_id.as_str(), world.outside.messages()),
        (step.as_str(), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_the_answers_are_the_same_whether_or_not_a_number_is_known() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    let signed = "+8613700137000";
    world.outside.contract(
        signed,
        &[Customer {
            reference: "C1",
            password: "p",
            card: ("1", "2"),
        }],
    );
    world.pass(60);
    let mut shapes = Vec::new();
    for phone in [PHONE, PHONE_TWO, signed] {
        let (mut flow, begun) = Flow::begin(&world, &Person::new("stranger")).await;
        let mut asked = flow.phone(phone).await;
        asked.body["next"]["sent_to"] = json!("masked");
        let mut wrong = flow
            .send(json!({"sms_code": not(&world.outside.inbox(phone))}))
            .await;
        wrong.body["next"]["sent_to"] = json!("masked");
        for seen in [&mut asked, &mut wrong] {
            seen.body["login"] = json!("");
            seen.body["step_id"] = json!("");
        }
        shapes.push((begun.status, asked.body, wrong.body));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0], shapes[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_five_wrong_codes_end_the_login_also_over_resends_and_other_numbers() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.phone(PHONE).await;
    let mut steps = vec![flow.step_id.clone()];
    for left in [4, 3] {
        let seen = flow
            .send(json!({"sms_code": not(&world.outside.inbox(PHONE))}))
            .await;
        seen.expect_mendable(422, "sms_code_wrong", "sms_code");
        assert_eq!(
            (
                &seen.body["attempts_left"],
                &seen.body["next"]["attempts_left"]
            ),
            (&json!(left), &json!(left))
        );
        steps.push(flow.step_id.clone());
    }
    world.pass(60);
    let seen = flow.send(json!({"resend": {}})).await;
    seen.expect_step("sms_code");
    assert_eq!(seen.body["next"]["attempts_left"], 3);
    let seen = flow
        .send(json!({"sms_code": not(&world.outside.inbox(PHONE))}))
        .await;
    assert_eq!(seen.body["attempts_left"], 2);
    flow.send(json!({"change_phone": {}}))
        .await
        .expect_step("phone");
    let seen = flow.phone(PHONE_TWO).await;
    assert_eq!(seen.body["next"]["attempts_left"], 2);
    let seen = flow.send(json!({"sms_code": "not a code"})).await;
    assert_eq!(seen.body["attempts_left"], 1);
    flow.send(json!({"sms_code": not(&world.outside.inbox(PHONE_TWO))}))
        .await
        .expect_over(429, "too_many_attempts");
    flow.right_code(PHONE_TWO)
        .await
        .expect_over(404, "login_unknown");
    steps.dedup();
    assert_eq!(
        steps.len(),
        3,
        "a step id is new after every answer that counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_code_serves_for_its_login_alone_and_an_older_one_no_more() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let (mut other, _) = Flow::begin(&world, &Person::new("wang")).await;
    flow.phone(PHONE).await;
    let first = world.outside.inbox(PHONE);
    other.phone(PHONE).await;
    let second = world.outside.inbox(PHONE);
    if first != second {
        flow.send(json!({"sms_code": second}))
            .await
            .expect_problem(422, "sms_code_wrong");
    }
    world.pass(60);
    flow.send(json!({"resend": {}}))
        .await
        .expect_step("sms_code");
    let third = world.outside.inbox(PHONE);
    if first != third {
        flow.send(json!({"sms_code": first}))
            .await
            .expect_problem(422, "sms_code_wrong");
    }
    flow.send(json!({"sms_code": third}))
        .await
        .expect_step("registration");
    flow.send(json!({"sms_code": third})).await.expect_mendable(
        409,
        "answer_not_expected",
        "registration",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_code_expires_and_another_can_be_asked_for() {
    let world = World::with(LoginPolicy {
        code_lifetime: std::time::Duration::from_mins(10),
        lifetime: std::time::Duration::from_mins(30),
        ..LoginPolicy::default()
    })
    .await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.phone(PHONE).await;
    world.pass(599);
    let mut early = flow.clone();
    early
        .send(json!({"sms_code": not(&world.outside.inbox(PHONE))}))
        .await
        .expect_problem(422, "sms_code_wrong");
    flow.follow(&super::world::Seen {
        status: 0,
        body: json!({"login": early.login, "step_id": early.step_id}),
    });
    world.pass(1);
    let seen = flow.right_code(PHONE).await;
    seen.expect_mendable(422, "sms_code_expired", "sms_code");
    assert_eq!(
        (
            &seen.body["next"]["expires_in"],
            &seen.body["next"]["attempts_left"]
        ),
        (&json!(0), &json!(4)),
        "it used nothing up"
    );
    flow.send(json!({"resend": {}}))
        .await
        .expect_step("sms_code");
    flow.right_code(PHONE).await.expect_step("registration");
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_resend_waits_its_time_also_by_way_of_changing_the_number() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.phone(PHONE).await;
    world.pass(20);
    let seen = flow.send(json!({"resend": {}})).await;
    seen.expect_mendable(429, "resend_too_soon", "sms_code");
    assert_eq!(
        (
            &seen.body["retry_after"],
            &seen.body["next"]["resend_after"]
        ),
        (&json!(40), &json!(40))
    );
    flow.send(json!({"change_phone": {}}))
        .await
        .expect_step("phone");
    flow.phone(PHONE)
        .await
        .expect_mendable(429, "resend_too_soon", "phone");
    flow.phone(PHONE_TWO).await.expect_step("sms_code");
    assert_eq!(world.outside.messages(), 2);
    world.pass(60);
    flow.send(json!({"resend": {}}))
        .await
        .expect_step("sms_code");
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_messages_to_a_number_are_limited_over_all_logins_and_devices() {
    let world = World::new().await;
    for _ in 0..5 {
        let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
        flow.phone(PHONE).await.expect_step("sms_code");
    }
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    let seen = flow.phone(PHONE).await;
    seen.expect_mendable(429, "sms_limit_reached", "phone");
    assert_eq!(seen.body["retry_after"], 3600);
    flow.phone(PHONE_TWO).await.expect_step("sms_code");
    world.pass(3600);
    for round in 0..2 {
        for _ in 0..5 {
            let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
            let seen = flow.phone(PHONE).await;
            assert_eq!(seen.status, if round == 0 { 200 } else { 429 }, "ten a day");
        }
        world.pass(3600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_messages_caused_from_an_address_are_limited_over_all_numbers() {
    let world = World::new().await;
    let send = async |n: u32| {
        let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
        flow.phone(&format!("+86138{n:08}")).await
    };
    world.come_from("2001:db8::1");
    for n in 0..100 {
        send(n).await.expect_step("sms_code");
    }
    world.come_from("2001:db8::2");
    send(100)
        .await
        .expect_mendable(429, "sms_limit_reached", "phone");
    world.come_from("2001:db8:0:1::1");
    send(101).await.expect_step("sms_code");
    assert_eq!(world.outside.messages(), 101);
}
