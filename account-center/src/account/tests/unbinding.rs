#![allow(clippy::unwrap_used)]
//! L8, L9, U5: bindings are listed with their history, and taken away at once, and there is always a way in.

use std::sync::Arc;

use postern_server_security::access_token::Acr;
use serde_json::json;

use super::super::outside::Person;
use super::super::world::{Flow, PHONE, World, new_key};
use super::bank::{Bank, registered, tally, together};
use crate::store::bindings;

const WAY_IN: [(&str, &str); 2] = [("wechat", "li"), ("qq", "li")];

/// A fresh login at a provider, as `POST /v1/account/proof` notes it.
async fn logged_in_at(bank: &Arc<Bank>, session_id: &str, provider: &'static str) {
    let session_id = session_id.to_owned();
    let now = bank.engine().parts.context.now();
    bank.world
        .store
        .write(move |tx| {
            let session_id = session_id.clone();
            Box::pin(
                async move { bindings::prove_provider(tx, &session_id, provider, now, now).await },
            )
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn l8_a_binding_goes_at_once_with_its_open_ids_and_its_history_stays() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let device = bank.log_in(&li.holder.user_id, "password").await;
    assert_eq!(bank.world.rows("open_ids").await, 1);
    bank.world.pass(1);

    let seen = device.unbind("wechat").await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(seen.body["provider"], "wechat");
    assert!(
        seen.body["hint"]["zh"]
            .as_str()
            .unwrap()
            .contains("我 > 设置 > 个人信息与权限 > 授权管理")
    );
    assert!(
        seen.body["hint"]["en"]
            .as_str()
            .unwrap()
            .contains("Authorization management")
    );
    for table in ["bindings", "open_ids"] {
        assert_eq!(bank.world.rows(table).await, 0, "{table}");
    }
    let list = device.bindings().await;
    assert_eq!(list["bindings"], json!([]));
    let history: Vec<_> = list["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(history, ["unbound", "bound"]);
    assert_eq!(bank.announced("binding.removed").await, 1);

    // Whoever comes with that WeChat now is somebody new to us.
    let (_, again) = Flow::begin(&bank.world, &Person::new("li")).await;
    again.expect_step("phone");
}

#[tokio::test]
async fn l9_sessions_that_began_with_the_provider_end_and_the_others_go_on() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let other = bank.log_in(&li.holder.user_id, "password").await;
    let stranger = bank.account(None, &[("wechat", "wang")]).await;
    let stranger = bank.log_in(&stranger, "wechat").await;

    let seen = li.unbind("wechat").await;
    assert_eq!(
        (
            seen.status,
            &seen.body["session_ended"],
            &seen.body["sessions_ended"]
        ),
        (200, &json!(true), &json!(1))
    );
    li.unbind("wechat")
        .await
        .expect_problem(401, "session_ended");
    other
        .unbind("wechat")
        .await
        .expect_problem(404, "binding_unknown");
    assert_eq!(stranger.providers().await, ["wechat"]);
    let payload = bank
        .world
        .texts("SELECT payload FROM outbox WHERE kind = 'binding.removed'")
        .await;
    assert!(payload[0].contains(&li.holder.session_id), "{payload:?}");
}

#[tokio::test]
async fn l9_the_customer_is_told_of_an_unbinding() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    li.unbind("wechat").await;
    assert_eq!(bank.world.rows("notices").await, 1);
    assert_eq!(
        bank.delivered().await,
        [(PHONE.to_owned(), "binding_removed".to_owned())]
    );
    assert_eq!(bank.world.rows("notices").await, 0);
    assert_eq!(bank.delivered().await.len(), 1, "and once is enough");
}

#[tokio::test]
async fn l9_a_notice_that_nobody_took_undoes_nothing_and_is_sent_again() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let down = &bank.world.outside.sms_down;
    down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(li.unbind("wechat").await.status, 200);
    assert_eq!(bank.delivered().await, []);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bank.delivered().await, [], "not before its time");
    bank.world.pass(31);
    assert_eq!(bank.delivered().await.len(), 1);

    // And it is given up after a day, so that nobody reads of it a week later.
    down.store(true, std::sync::atomic::Ordering::SeqCst);
    let wang = registered_again(&bank).await;
    assert_eq!(wang.unbind("qq").await.status, 200);
    for _ in 0..40 {
        bank.world.pass(3601);
        bank.delivered().await;
    }
    assert_eq!(bank.world.rows("notices").await, 0);
}

async fn registered_again(bank: &Arc<Bank>) -> super::bank::User {
    let user_id = bank
        .account(Some("+8613700137000"), &[("qq", "wang")])
        .await;
    bank.log_in(&user_id, "password").await
}

#[tokio::test]
async fn u5_with_a_phone_everything_may_be_unbound() {
    let bank = Bank::new().await;
    let user_id = bank.account(Some(PHONE), &WAY_IN).await;
    let li = bank.log_in(&user_id, "password").await;
    assert_eq!(li.unbind("wechat").await.status, 200);
    assert_eq!(li.unbind("qq").await.status, 200);
    assert_eq!(li.providers().await, [""; 0]);
}

#[tokio::test]
async fn u5_without_a_phone_the_last_binding_stays() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &[("wechat", "li")]).await;
    let li = bank.log_in(&user_id, "wechat").await;
    li.unbind("wechat")
        .await
        .expect_problem(409, "phone_required");
    li.unbind("myspace")
        .await
        .expect_problem(404, "binding_unknown");
    assert_eq!(li.providers().await, ["wechat"]);
    assert_eq!(bank.announced("binding.removed").await, 0);
}

#[tokio::test]
async fn u5_the_earliest_binding_goes_only_after_a_fresh_login_there() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &WAY_IN).await;
    let thief = bank.log_in(&user_id, "qq").await;
    thief
        .unbind("wechat")
        .await
        .expect_problem(403, "provider_login_required");
    // A login at another provider is none at this one, and one of somebody else's session is not this one's.
    logged_in_at(&bank, &thief.holder.session_id, "qq").await;
    let owner = bank.log_in(&user_id, "wechat").await;
    logged_in_at(&bank, &owner.holder.session_id, "wechat").await;
    thief
        .unbind("wechat")
        .await
        .expect_problem(403, "provider_login_required");

    bank.world.pass(301);
    owner
        .unbind("wechat")
        .await
        .expect_problem(403, "provider_login_required");
    logged_in_at(&bank, &owner.holder.session_id, "wechat").await;
    let seen = owner.unbind("wechat").await;
    assert_eq!(
        (seen.status, &seen.body["session_ended"]),
        (200, &json!(true))
    );
    assert_eq!(thief.providers().await, ["qq"]);
    assert_eq!(thief.bindings().await["bindings"][0]["earliest"], true);
}

#[tokio::test]
async fn u5_a_session_that_began_there_just_now_is_a_fresh_login() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &WAY_IN).await;
    let late = bank.log_in(&user_id, "wechat").await;
    bank.world.pass(300);
    late.unbind("wechat")
        .await
        .expect_problem(403, "provider_login_required");
    let fresh = bank.log_in(&user_id, "wechat").await;
    bank.world.pass(299);
    assert_eq!(fresh.unbind("wechat").await.status, 200);
}

#[tokio::test]
async fn u5_a_later_binding_needs_no_login_there() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &WAY_IN).await;
    let li = bank.log_in(&user_id, "wechat").await;
    assert_eq!(li.unbind("qq").await.status, 200);
    li.unbind("wechat")
        .await
        .expect_problem(409, "phone_required");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u5_fifty_unbinds_at_once_leave_a_way_in() {
    let bank = Bank::new().await;
    let user_id = bank.account(None, &WAY_IN).await;
    let li = bank.log_in(&user_id, "password").await;
    logged_in_at(&bank, &li.holder.session_id, "wechat").await;
    let seen = together((0..50).map(|n| {
        let li = li.clone();
        async move { li.unbind(if n % 2 == 0 { "wechat" } else { "qq" }).await }
    }))
    .await;
    // On a loaded server some are told to come back: nothing changed then.
    let tally = tally(&seen);
    assert_eq!(tally.get("200"), Some(&1), "{tally:?}");
    assert!(
        tally
            .keys()
            .all(|code| ["200", "binding_unknown", "phone_required", "busy"]
                .contains(&code.as_str())),
        "{tally:?}"
    );
    assert_eq!(li.providers().await.len(), 1);
    assert_eq!(bank.announced("binding.removed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repetition_gets_the_first_reply_also_when_that_ended_its_session() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let key = new_key();
    let first = li.unbind_as(&key, "wechat").await;
    let again = li.unbind_as(&key, "wechat").await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    let key = new_key();
    let seen = together((0..50).map(|_| {
        let (li, key) = (li.clone(), key.clone());
        async move { li.unbind_as(&key, "wechat").await }
    }))
    .await;
    assert!(
        seen.iter()
            .all(|one| ["session_ended", "request_in_flight"].contains(&one.code())),
        "{seen:?}"
    );
    assert_eq!(bank.announced("binding.removed").await, 1);
}

#[tokio::test]
async fn w6_a_guest_has_no_bindings_to_see_or_remove() {
    let bank = Bank::new().await;
    let user_id = bank.account(Some(PHONE), &WAY_IN).await;
    for acr in [Acr::Guest, Acr::Identified] {
        let guest = bank.log_in_as(&user_id, "guest", acr).await;
        guest
            .unbind("wechat")
            .await
            .expect_problem(403, "forbidden");
        let problem = bank.accounts.bindings(&guest.holder).await.unwrap_err();
        assert_eq!(problem.code.as_str(), "forbidden");
    }
    // And a session of one account is none of another.
    let other = bank.account(Some("+8613700137000"), &[]).await;
    let mut crossed = bank.log_in(&user_id, "wechat").await;
    crossed.holder.user_id = other;
    crossed
        .unbind("wechat")
        .await
        .expect_problem(401, "session_ended");
    let world: &World = &bank.world;
    assert_eq!(world.rows("bindings").await, 2);
}
