//! Passwords, cards, registrations and faces that are wrong.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{Flow, PASSWORD, PHONE, World, new_key, new_signed};
use crate::login::decision::CustomerRef;
use crate::ports::TicketResult;

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

async fn at_verification(world: &std::sync::Arc<World>, name: &str) -> Flow {
    world.outside.contract(PHONE, &[LI]);
    let (mut flow, _) = Flow::begin(world, &Person::new(name)).await;
    flow.prove_number(PHONE).await.expect_step("verification");
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_five_wrong_proofs_end_the_login_whichever_they_were() {
    let world = World::new().await;
    let mut flow = at_verification(&world, "li").await;
    for (turn, left) in [4, 3, 2, 1].into_iter().enumerate() {
        let seen = if turn % 2 == 0 {
            flow.password("wrong").await
        } else {
            flow.card(LI.card.0, "000000").await
        };
        seen.expect_mendable(
            422,
            if turn % 2 == 0 {
                "password_wrong"
            } else {
                "card_wrong"
            },
            "verification",
        );
        assert_eq!(
            (
                &seen.body["attempts_left"],
                &seen.body["next"]["attempts_left"]
            ),
            (&json!(left), &json!(left))
        );
    }
    flow.password("wrong")
        .await
        .expect_over(429, "too_many_attempts");
    flow.password(LI.password)
        .await
        .expect_over(404, "login_unknown");
    world.assert_nothing_bound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_proofs_of_a_customer_are_limited_over_all_logins() {
    let world = World::new().await;
    for login in 0..3 {
        let mut flow = at_verification(&world, &format!("thief {login}")).await;
        for _ in 0..4 {
            if login == 2 {
                break;
            }
            flow.password("wrong")
                .await
                .expect_problem(422, "password_wrong");
        }
        if login == 2 {
            flow.password("wrong")
                .await
                .expect_problem(422, "password_wrong");
            flow.password("wrong")
                .await
                .expect_problem(422, "password_wrong");
            let seen = flow.password(LI.password).await;
            seen.expect_over(429, "too_many_attempts");
            assert!(
                seen.body["retry_after"]
                    .as_u64()
                    .is_some_and(|wait| (3000..=3600).contains(&wait)),
                "{seen:?}"
            );
        }
    }
    assert_eq!(world.outside.proofs.load(Ordering::SeqCst), 10);
    world.pass(3600);
    let mut flow = at_verification(&world, "li").await;
    flow.password(LI.password).await.expect_step("face");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_lock_of_the_core_ends_the_login_and_says_until_when() {
    let world = World::new().await;
    let mut flow = at_verification(&world, "li").await;
    world.outside.locked.store(true, Ordering::SeqCst);
    let seen = flow.password(LI.password).await;
    seen.expect_over(429, "too_many_attempts");
    assert_eq!(seen.body["retry_after"], 600);
    flow.password(LI.password)
        .await
        .expect_over(404, "login_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_field_opens_only_at_its_own_place() {
    let world = World::new().await;
    let mut flow = at_verification(&world, "li").await;
    let elsewhere = Flow {
        device: world.device(),
        ..flow.clone()
    };
    let other_step = Flow {
        step_id: "another".into(),
        ..flow.clone()
    };
    let other_login = Flow {
        login: "lg_another".into(),
        ..flow.clone()
    };
    let other_app = Flow {
        app_id: "bank-ios".into(),
        ..flow.clone()
    };
    // Each is wrong in one thing alone.
    for case in 0..9 {
        let key = new_key();
        let sealed = match case {
            0 => flow.seal(&new_key(), "login_password", LI.password),
            1 => flow.seal(&key, "card.number", LI.password),
            2 => elsewhere.seal(&key, "login_password", LI.password),
            3 => other_step.seal(&key, "login_password", LI.password),
            4 => other_login.seal(&key, "login_password", LI.password),
            5 => other_app.seal(&key, "login_password", LI.password),
            6 => json!({"sealed": "seal-1.AAAA.AAAA"}),
            7 => json!({"sealed": LI.password}),
            _ => json!({"sealed": ""}),
        };
        let seen = flow.send_as(&key, json!({"login_password": sealed})).await;
        seen.expect_problem(400, "sealed_field_invalid");
        assert_eq!(
            seen.body["pointer"], "/answer/login_password/sealed",
            "{case}"
        );
    }
    let key = new_key();
    let sealed = flow.seal(&key, "login_password", LI.password)["sealed"]
        .as_str()
        .unwrap()
        .replace("seal-1.", "seal-2.");
    flow.send_as(&key, json!({"login_password": {"sealed": sealed}}))
        .await
        .expect_problem(400, "sealing_key_unknown");
    assert_eq!(
        world.outside.proofs.load(Ordering::SeqCst),
        0,
        "nothing was used up"
    );
    flow.password(LI.password).await.expect_step("face");
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a_password_against_the_rules_keeps_the_person_in_the_step() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE).await.expect_step("registration");
    for weak in ["short1", "onlyletters", "x13800138000", ""] {
        let seen = flow.register(weak).await;
        seen.expect_mendable(422, "password_unacceptable", "registration");
        assert!(seen.body["detail"].is_string());
    }
    flow.register(PASSWORD).await.expect_step("done");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_face_that_failed_gets_a_new_session_and_three_end_the_login() {
    let world = World::new().await;
    let mut flow = at_verification(&world, "li").await;
    let mut asked = flow.password(LI.password).await;
    let mut sessions = vec![asked.body["next"]["request"]["face_session"].clone()];
    for left in [2, 1] {
        let failed = flow.face(&asked, false).await;
        failed.expect_mendable(422, "face_failed", "face");
        assert_eq!(
            (
                &failed.body["attempts_left"],
                &failed.body["next"]["attempts_left"]
            ),
            (&json!(left), &json!(left))
        );
        sessions.push(failed.body["next"]["request"]["face_session"].clone());
        asked = failed;
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 3);
    flow.face(&asked, false)
        .await
        .expect_over(429, "too_many_attempts");
    world.assert_nothing_bound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_ticket_of_another_login_customer_device_or_asking_does_not_pass() {
    let world = World::new().await;
    for wrong in 0..6 {
        let mut flow = at_verification(&world, "li").await;
        let asked = flow.password(LI.password).await;
        let mut binding = world.outside.face_binding(
            asked.body["next"]["request"]["face_session"]
                .as_str()
                .unwrap(),
        );
        let ticket = match wrong {
            4 => "unknown".to_owned(),
            5 => world.outside.forge_ticket(TicketResult::TimedOut),
            _ => {
                match wrong {
                    0 => binding.customer = CustomerRef("C2".into()),
                    1 => binding.login = "another".into(),
                    2 => binding.device_key = "another".into(),
                    _ => binding.nonce = "another".into(),
                }
                world.outside.forge_ticket(TicketResult::Passed(binding))
            }
        };
        flow.send(json!({"face": {"ticket": ticket}}))
            .await
            .expect_mendable(422, "face_failed", "face");
        world.pass(3600);
    }
    world.assert_nothing_bound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_ticket_serves_once() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    new_signed(&world, &li, PHONE, LI.password).await;
    let (mut flow, asked) = Flow::begin(&world, &li).await;
    let session = asked.body["next"]["request"]["face_session"]
        .as_str()
        .unwrap();
    let ticket = world.outside.perform_face(session, true);
    let (mut other, _) = Flow::begin(&world, &li).await;
    other
        .send(json!({"face": {"ticket": ticket}}))
        .await
        .expect_mendable(422, "face_failed", "face");
    flow.send(json!({"face": {"ticket": ticket}}))
        .await
        .expect_mendable(422, "face_failed", "face");
    for odd in [String::new(), "x".repeat(5000)] {
        let seen = flow.send(json!({"face": {"ticket": odd}})).await;
        seen.expect_problem(400, "invalid_request");
        assert_eq!(seen.body["pointer"], "/answer/face/ticket");
    }
}
