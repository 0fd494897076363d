#![allow(clippy::unwrap_used)]
//! L9, U3, W3, W7: a provider is bound to the account of somebody who is logged in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::super::outside::Person;
use super::super::world::{Flow, PHONE, PHONE_TWO, new_key};
use super::bank::{Bank, User, registered, tally, together};

const WEIXIN: &str = "wechat";

/// Somebody who has a phone and a password, and no provider.
async fn without_provider(bank: &Arc<Bank>, name: &str, phone: &str) -> User {
    let first = registered(bank, name, phone).await;
    let li = bank.log_in(&first.holder.user_id, "password").await;
    first.unbind(WEIXIN).await;
    li
}

#[tokio::test]
async fn l9_a_binding_needs_a_fresh_proof_and_the_customer_is_told() {
    let bank = Bank::new().await;
    let mut li = without_provider(&bank, "li", PHONE).await;
    let wechat = Person::new("li's second");
    let exchanged = bank.world.outside.exchanges.load(Ordering::SeqCst);
    let code = bank.world.outside.agree(&wechat);
    li.bind(&code)
        .await
        .expect_problem(403, "reauthentication_required");
    assert_eq!(
        bank.world.outside.exchanges.load(Ordering::SeqCst),
        exchanged,
        "the code is not spent for nothing"
    );
    let mut li = li.proved().await;
    bank.world.pass(1);
    bank.delivered().await;
    let seen = li.bind(&code).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(
        (&seen.body["added"], &seen.body["binding"]["provider"]),
        (&json!(true), &json!(WEIXIN))
    );
    assert_eq!(
        bank.delivered().await.last().unwrap(),
        &(PHONE.to_owned(), "binding_added".to_owned())
    );
    let history = li.bindings().await["history"].clone();
    assert_eq!(history[0]["action"], "bound");

    // It is a login from now on.
    let (_, done) = Flow::begin(&bank.world, &wechat).await;
    done.expect_step("done");
    assert_eq!(done.user_id(), li.holder.user_id);
}

#[tokio::test]
async fn u3_an_identity_of_another_account_stays_there() {
    let bank = Bank::new().await;
    registered(&bank, "wang", PHONE_TWO).await;
    let mut li = without_provider(&bank, "li", PHONE).await.proved().await;
    let code = bank.world.outside.agree(&Person::new("wang"));
    let seen = li.bind(&code).await;
    seen.expect_problem(409, "identity_bound_elsewhere");
    li.bind(&code)
        .await
        .expect_problem(400, "provider_code_invalid");
    assert_eq!(li.providers().await, [""; 0]);
}

#[tokio::test]
async fn w3_a_second_identity_of_a_provider_is_refused() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    let code = bank.world.outside.agree(&Person::new("li's second"));
    li.bind(&code)
        .await
        .expect_problem(409, "provider_already_bound");
    assert_eq!(bank.world.rows("bindings").await, 1);
}

#[tokio::test]
async fn w7_what_is_bound_already_is_bound_again_without_a_trace() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await;
    let code = bank.world.outside.agree(&Person::new("li"));
    let key = new_key();
    let seen = li.bind_as(&key, &code).await;
    assert_eq!((seen.status, &seen.body["added"]), (200, &json!(false)));
    assert_eq!(li.bind_as(&key, &code).await.body, seen.body);
    assert_eq!(bank.world.rows("binding_history").await, 1);
    assert_eq!(bank.announced("binding.added").await, 1);
}

#[tokio::test]
async fn a_provider_that_is_down_costs_nothing_and_the_same_call_may_be_sent_again() {
    let bank = Bank::new().await;
    let mut li = without_provider(&bank, "li", PHONE).await.proved().await;
    let code = bank.world.outside.agree(&Person::new("li's second"));
    let down = &bank.world.outside.provider_down;
    down.store(true, Ordering::SeqCst);
    li.bind(&code)
        .await
        .expect_problem(503, "provider_unavailable");
    down.store(false, Ordering::SeqCst);
    assert_eq!(li.bind(&code).await.status, 200);
    li.bind("made-up")
        .await
        .expect_problem(400, "provider_code_invalid");
}

#[tokio::test]
async fn a_code_serves_once_over_logins_and_bindings() {
    let bank = Bank::new().await;
    bank.world
        .outside
        .codes_serve_for_ever
        .store(true, Ordering::SeqCst);
    let mut li = without_provider(&bank, "li", PHONE).await.proved().await;
    let code = bank.world.outside.agree(&Person::new("wang"));
    let device = bank.world.device();
    let (_, seen) = Flow::begin_in(&bank.world, "bank-android", &device, &code).await;
    seen.expect_step("phone");
    li.bind(&code)
        .await
        .expect_problem(400, "provider_code_invalid");
    let other = bank.world.outside.agree(&Person::new("wang"));
    assert_eq!(li.bind(&other).await.status, 200);
    let (_, seen) = Flow::begin_in(&bank.world, "bank-android", &device, &other).await;
    seen.expect_over(400, "provider_code_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_one_identity_for_fifty_accounts_at_once_is_bound_to_one() {
    let bank = Bank::new().await;
    let person = Person::new("li");
    let mut users = Vec::new();
    for n in 0..50 {
        let user_id = bank.account(Some(&format!("+86138{n:08}")), &[]).await;
        let user = bank.log_in(&user_id, "password").await;
        bank.mark_proved(&user).await;
        users.push(user);
    }
    bank.world.outside.slow_millis.store(20, Ordering::SeqCst);
    let seen = together(users.iter().cloned().map(|mut user| {
        let code = bank.world.outside.agree(&person);
        async move { user.bind(&code).await }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("200".to_owned(), 1),
            ("identity_bound_elsewhere".to_owned(), 49)
        ])
    );
    assert_eq!(bank.world.rows("bindings").await, 1);
    assert_eq!(bank.world.rows("notices").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w3_fifty_identities_for_one_account_at_once_leave_one() {
    let bank = Bank::new().await;
    let user_id = bank.account(Some(PHONE), &[]).await;
    let li = bank.log_in(&user_id, "password").await;
    bank.mark_proved(&li).await;
    let seen = together((0..50).map(|n| {
        let mut li = li.clone();
        let code = bank.world.outside.agree(&Person::new(&format!("li-{n}")));
        async move { li.bind(&code).await }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("200".to_owned(), 1),
            ("provider_already_bound".to_owned(), 49)
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u5_binding_and_unbinding_at_once_always_leave_a_way_in() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &[("qq", "li")]).await;
    let li = bank.log_in(&user_id, "password").await;
    bank.mark_proved(&li).await;
    let person = Person::new("li");
    // WeChat comes and goes, QQ tries to go: never both are gone.
    let seen = together((0..50).map(|n| {
        let mut li = li.clone();
        let code = bank.world.outside.agree(&person);
        async move {
            match n % 3 {
                0 => li.bind(&code).await,
                1 => li.unbind(WEIXIN).await,
                _ => li.unbind("qq").await,
            }
        }
    }))
    .await;
    for one in &seen {
        let expected = [
            "",
            "binding_unknown",
            "phone_required",
            "provider_login_required",
        ];
        assert!(expected.contains(&one.code()), "{one:?}");
    }
    assert!(!li.providers().await.is_empty());
    let (added, removed) = (
        bank.announced("binding.added").await,
        bank.announced("binding.removed").await,
    );
    assert_eq!(added - removed, li.providers().await.len());
}
