//! Somebody was quicker (W7). Constraints decide, and nobody sees a 500.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{APP, Flow, PASSWORD, PHONE, PHONE_TWO, Seen, World, new_key, new_unsigned};
use crate::login::LoginPolicy;
use crate::store::limits::Limit;

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

pub(super) async fn with_many_messages() -> Arc<World> {
    let many = vec![Limit {
        count: 1000,
        window: std::time::Duration::from_hours(1),
    }];
    World::with(LoginPolicy {
        sms_per_phone: many.clone(),
        sms_per_address: many,
        ..LoginPolicy::default()
    })
    .await
}

/// All at once, on all threads.
pub(super) async fn together<F, T>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

pub(super) fn tally(seen: &[Seen]) -> HashMap<String, usize> {
    let mut tally = HashMap::new();
    for one in seen {
        let what = if one.status == 200 {
            one.step()
        } else {
            one.code()
        };
        *tally.entry(what.to_owned()).or_default() += 1;
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_fifty_first_logins_of_one_identity_at_once_end_in_one_account() {
    let world = with_many_messages().await;
    let li = Person::new("li");
    // Half of them give the same number; the newest message to it is the one that was just asked for.
    let one_phone = Arc::new(tokio::sync::Mutex::new(()));
    let logins = (0..50).map(|n| {
        let (world, li, one_phone) = (Arc::clone(&world), li.clone(), Arc::clone(&one_phone));
        async move {
            let phone = if n % 2 == 0 {
                PHONE.to_owned()
            } else {
                format!("+86138{n:08}")
            };
            let (mut flow, mut seen) = Flow::begin(&world, &li).await;
            if seen.step() == "phone" {
                let guard = one_phone.lock().await;
                flow.phone(&phone).await.expect_step("sms_code");
                let code = world.outside.inbox(&phone);
                drop(guard);
                seen = flow.send(json!({"sms_code": code})).await;
            }
            if seen.step() == "registration" {
                seen = flow.register(PASSWORD).await;
            }
            seen
        }
    });
    let seen = together(logins).await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    let accounts: HashSet<_> = seen.iter().map(Seen::user_id).collect();
    assert_eq!(accounts.len(), 1);
    for (table, rows) in [
        ("accounts", 1),
        ("bindings", 1),
        ("phones", 1),
        ("binding_history", 1),
        ("sessions", 50),
        ("logins", 0),
    ] {
        assert_eq!(world.rows(table).await, rows, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_fifty_last_steps_of_one_identity_at_the_same_instant_make_one_account() {
    let world = with_many_messages().await;
    let li = Person::new("li");
    let mut flows = Vec::new();
    for n in 0..50 {
        let phone = format!("+86138{n:08}");
        let (mut flow, _) = Flow::begin(&world, &li).await;
        flow.prove_number(&phone).await.expect_step("registration");
        flows.push(flow);
    }
    let seen = together(
        flows
            .into_iter()
            .map(|mut flow| async move { flow.register(PASSWORD).await }),
    )
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    assert_eq!(
        seen.iter().map(Seen::user_id).collect::<HashSet<_>>().len(),
        1
    );
    for (table, rows) in [
        ("accounts", 1),
        ("bindings", 1),
        ("open_ids", 1),
        ("phones", 1),
        ("login_passwords", 1),
        ("logins", 0),
        ("sessions", 50),
    ] {
        assert_eq!(world.rows(table).await, rows, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_two_logins_that_bind_one_number_make_one_account_and_the_other_must_prove_it() {
    let world = World::new().await;
    let mut flows = Vec::new();
    for name in ["li", "wang"] {
        let (mut flow, _) = Flow::begin(&world, &Person::new(name)).await;
        flow.prove_number(PHONE).await.expect_step("registration");
        flows.push(flow);
    }
    let seen = together(flows.clone().into_iter().map(|mut flow| async move {
        let seen = flow.register(PASSWORD).await;
        (flow, seen)
    }))
    .await;
    let tally = tally(
        &seen
            .iter()
            .map(|(_, seen)| seen.clone())
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        tally,
        HashMap::from([("done".to_owned(), 1), ("verification".to_owned(), 1)])
    );
    assert_eq!(
        (
            world.rows("accounts").await,
            world.rows("bindings").await,
            world.rows("phones").await
        ),
        (1, 1, 1)
    );
    let (mut loser, _) = seen
        .into_iter()
        .find(|(_, seen)| seen.step() == "verification")
        .unwrap();
    loser
        .password("guess")
        .await
        .expect_problem(422, "password_wrong");
    loser
        .password(PASSWORD)
        .await
        .expect_over(409, "identity_bound_elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l5_two_logins_of_one_customer_end_in_one_account() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    let mut asked = Vec::new();
    for _ in 0..2 {
        let (mut flow, _) = Flow::begin(&world, &li).await;
        flow.prove_number(PHONE).await.expect_step("verification");
        let face = flow.password(LI.password).await;
        face.expect_step("face");
        asked.push((flow, face));
    }
    let seen = together(
        asked
            .into_iter()
            .map(|(mut flow, face)| async move { flow.face(&face, true).await }),
    )
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 2)]));
    assert_eq!(seen[0].user_id(), seen[1].user_id());
    assert_eq!(
        (world.rows("accounts").await, world.rows("bindings").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_sent_many_times_at_once_is_done_once() {
    let world = World::new().await;
    let (flow, _) = Flow::begin(&world, &Person::new("li")).await;
    world.outside.slow_millis.store(100, Ordering::SeqCst);
    let (key, body) = (new_key(), flow.body(&json!({"phone": PHONE})));
    let send = || {
        let (world, device, key, body) = (
            Arc::clone(&world),
            flow.device.clone(),
            key.clone(),
            body.clone(),
        );
        async move { world.request(&device, &key, &body).await }
    };
    let seen = together((0..10).map(|_| send())).await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("sms_code".to_owned(), 1),
            ("request_in_flight".to_owned(), 9)
        ])
    );
    assert_eq!(world.outside.messages(), 1);
    let replayed = send().await;
    let first = seen.iter().find(|seen| seen.status == 200).unwrap();
    assert_eq!(replayed.body, first.body, "the stored reply, byte for byte");
    assert_eq!(world.outside.messages(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_answer_under_other_keys_counts_once_and_the_others_are_superseded() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.phone(PHONE).await;
    world.outside.slow_millis.store(50, Ordering::SeqCst);
    let code = world.outside.inbox(PHONE);
    let seen = together((0..10).map(|_| {
        let (mut flow, code) = (flow.clone(), code.clone());
        async move { flow.send(json!({"sms_code": code})).await }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([("registration".to_owned(), 1), ("superseded".to_owned(), 9)])
    );
    let after: HashSet<_> = seen
        .iter()
        .map(|seen| seen.body["step_id"].clone())
        .collect();
    assert_eq!(after.len(), 1, "all are told the same place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l4_many_guesses_at_once_are_no_better_than_one() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("thief")).await;
    flow.phone(PHONE).await;
    let right = world.outside.inbox(PHONE);
    world.outside.core_down.store(true, Ordering::SeqCst);
    let guesses = (0..100)
        .map(|n| format!("{n:06}"))
        .filter(|guess| *guess != right)
        .collect::<Vec<_>>();
    let count = guesses.len();
    let seen = together(guesses.into_iter().map(|guess| {
        let mut flow = flow.clone();
        async move { flow.send(json!({"sms_code": guess})).await }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("sms_code_wrong".to_owned(), 1),
            ("superseded".to_owned(), count - 1)
        ])
    );
    // The right one at a step that is past tells nothing, not even by way of a core that is down.
    flow.send(json!({"sms_code": right}))
        .await
        .expect_mendable(409, "superseded", "sms_code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l5_many_passwords_at_once_are_counted_before_they_are_judged() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("thief")).await;
    flow.prove_number(PHONE).await.expect_step("verification");
    world.outside.slow_millis.store(100, Ordering::SeqCst);
    let seen = together((0..30).map(|n| {
        let mut flow = flow.clone();
        async move { flow.password(&format!("guess {n}")).await }
    }))
    .await;
    assert!(
        world.outside.proofs.load(Ordering::SeqCst) <= 5,
        "{:?}",
        tally(&seen)
    );
    assert!(
        seen.iter()
            .all(|seen| seen.status != 200 && seen.status != 500),
        "{:?}",
        tally(&seen)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m2_a_code_brought_by_many_devices_at_once_begins_one_login() {
    let world = World::new().await;
    world
        .outside
        .codes_serve_for_ever
        .store(true, Ordering::SeqCst);
    world.outside.slow_millis.store(50, Ordering::SeqCst);
    let code = world.outside.agree(&Person::new("li"));
    let seen = together((0..20).map(|_| {
        let (world, code) = (Arc::clone(&world), code.clone());
        async move { Flow::begin_in(&world, APP, &world.device(), &code).await.1 }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("phone".to_owned(), 1),
            ("provider_code_invalid".to_owned(), 19)
        ])
    );
    assert_eq!(world.rows("logins").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repetition_after_a_crash_between_exchange_and_commit_gets_a_clear_answer() {
    let world = World::new().await;
    let code = world.outside.agree(&Person::new("li"));
    let (device, key) = (world.device(), new_key());
    let body = World::start_body(APP, &code);
    world.outside.slow_millis.store(60_000, Ordering::SeqCst);
    let crashing = tokio::spawn({
        let (world, device, key, body) = (
            Arc::clone(&world),
            device.clone(),
            key.clone(),
            body.clone(),
        );
        async move { world.request(&device, &key, &body).await }
    });
    while world.outside.exchanges.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    crashing.abort();
    assert!(crashing.await.unwrap_err().is_cancelled());
    world.outside.slow_millis.store(0, Ordering::SeqCst);

    world
        .request(&device, &key, &body)
        .await
        .expect_problem(409, "request_in_flight");
    world.pass(30);
    // The lease is over, the work is taken over; the provider says that the code is used, and the person taps once more.
    let seen = world.request(&device, &key, &body).await;
    seen.expect_over(400, "provider_code_invalid");
    assert_eq!(
        world.request(&device, &key, &body).await.body,
        seen.body,
        "and it stays so"
    );
    world.assert_nothing_bound().await;
    let (_, seen) = Flow::begin_in(
        &world,
        APP,
        &device,
        &world.outside.agree(&Person::new("li")),
    )
    .await;
    seen.expect_step("phone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repetition_after_a_crash_before_the_commit_of_the_last_step_finishes_it() {
    let world = World::new().await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE).await.expect_step("registration");
    let key = new_key();
    let sealed = flow.seal(&key, "registration.login_password", PASSWORD);
    let body = flow.body(&json!({"registration": {"login_password": sealed}}));
    // Admitted, and then nothing: as after kill -9.
    world
        .admit(&flow.device, &key, body.to_string().as_bytes())
        .await
        .unwrap();
    world
        .request(&flow.device, &key, &body)
        .await
        .expect_problem(409, "request_in_flight");
    world.pass(30);
    let done = world.request(&flow.device, &key, &body).await;
    done.expect_step("done");
    // A reply that was lost on its way is given again, whole.
    assert_eq!(
        world.request(&flow.device, &key, &body).await.body,
        done.body
    );
    assert_eq!(
        (world.rows("accounts").await, world.rows("sessions").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_an_identity_bound_while_another_login_of_it_goes_on_logs_in_there() {
    let world = World::new().await;
    let li = Person::new("li");
    let (mut slow, _) = Flow::begin(&world, &li).await;
    let first = new_unsigned(&world, &li, PHONE).await;
    let done = slow.prove_number(PHONE_TWO).await;
    done.expect_step("done");
    assert_eq!(done.user_id(), first.user_id());
    assert_eq!(
        world.rows("phones").await,
        1,
        "the second number is bound to nothing"
    );
}
