//! Guests (W6), their cookies (W2, W9), and what becomes of them.

use std::collections::HashMap;
use std::sync::Arc;

use postern_server_security::Thumbprint;
use serde_json::{Value, json};

use super::outside::Person;
use super::races::{tally, together};
use super::world::{APP, APP_TWO, Flow, PASSWORD, PHONE, Seen, World, new_key, new_unsigned};
use crate::login::LoginPolicy;
use crate::store::StoreError;
use crate::store::guests;
use crate::store::limits::Limit;

fn guest_body(code: Option<&str>) -> Value {
    let mut body = json!({"app_id": APP, "consent": {"version": "2026-01"}});
    if let Some(code) = code {
        body["provider"] = json!({"provider": "wechat", "code": code});
    }
    body
}

async fn enter(world: &World, device: &Thumbprint) -> Seen {
    world.guest(device, &new_key(), &guest_body(None)).await
}

/// With an open id that came without a union id.
async fn enter_with(world: &World, device: &Thumbprint, name: &str) -> Seen {
    let person = Person {
        union_id: None,
        ..Person::new(name)
    };
    let code = world.outside.agree(&person);
    world
        .guest(device, &new_key(), &guest_body(Some(&code)))
        .await
}

async fn begin_bringing(world: &Arc<World>, device: &Thumbprint, person: &Person) -> (Flow, Seen) {
    let mut body = World::start_body(APP, &world.outside.agree(person));
    body["bring_guest"] = json!(true);
    let seen = world.request(device, &new_key(), &body).await;
    let mut flow = Flow {
        world: Arc::clone(world),
        device: device.clone(),
        login: String::new(),
        step_id: String::new(),
        app_id: APP.to_owned(),
    };
    flow.follow(&seen);
    (flow, seen)
}

/// A new person logs in on this device and brings its guest.
async fn register_bringing(
    world: &Arc<World>,
    device: &Thumbprint,
    person: &Person,
    phone: &str,
) -> String {
    let (mut flow, _) = begin_bringing(world, device, person).await;
    flow.prove_number(phone).await.expect_step("registration");
    let done = flow.register(PASSWORD).await;
    done.expect_step("done");
    done.user_id()
}

async fn now_is(world: &World, user_id: &str) -> String {
    let user_id = user_id.to_owned();
    world
        .store
        .read(move |tx| {
            let user_id = user_id.clone();
            Box::pin(async move { guests::current_id(tx, &user_id).await })
        })
        .await
        .unwrap()
        .unwrap()
}

/// What business lines read of one user id, in order.
async fn told_of(world: &World, user_id: &str) -> Vec<(String, String)> {
    let user_id = user_id.to_owned();
    let payloads: Vec<String> = world
        .store
        .read(move |tx| {
            let user_id = user_id.clone();
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT payload FROM outbox WHERE user_id = $1 AND kind = 'user_id.replaced' ORDER BY version",
                )
                .bind(user_id)
                .fetch_all(tx)
                .await?;
                rows.iter()
                    .map(|row| Ok(sqlx::Row::try_get(row, 0)?))
                    .collect::<Result<_, StoreError>>()
            })
        })
        .await
        .unwrap();
    payloads
        .iter()
        .map(|text| {
            let payload: Value = serde_json::from_str(text).unwrap();
            let text = |name: &str| payload[name].as_str().unwrap().to_owned();
            (text("from"), text("to"))
        })
        .collect()
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_guest_comes_only_after_consent_and_its_version_is_recorded() {
    let world = World::with(LoginPolicy {
        privacy_notice: Some("2026-01".into()),
        ..LoginPolicy::default()
    })
    .await;
    let device = world.device();
    for body in [
        json!({"app_id": APP}),
        json!({"app_id": APP, "consent": {"version": "2025-07"}}),
    ] {
        world
            .guest(&device, &new_key(), &body)
            .await
            .expect_problem(403, "consent_required");
    }
    world.assert_nothing_bound().await;
    let seen = enter(&world, &device).await;
    seen.expect_step("done");
    assert_eq!(
        seen.body["account"],
        json!({"user_id": seen.user_id(), "identification": "guest", "bindings": []})
    );
    assert_eq!(world.texts("SELECT acr FROM sessions").await, ["guest"]);
    assert_eq!(world.texts("SELECT kind FROM accounts").await, ["virtual"]);
    assert_eq!(
        world.texts("SELECT consent_version FROM guests").await,
        ["2026-01"]
    );
    world
        .guest(
            &device,
            &new_key(),
            &json!({"app_id": "nobody", "consent": {"version": "2026-01"}}),
        )
        .await
        .expect_problem(404, "app_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_device_key_has_one_guest_in_an_app() {
    let world = World::new().await;
    let (one, two) = (world.device(), world.device());
    let first = enter(&world, &one).await.user_id();
    assert_eq!(enter(&world, &one).await.user_id(), first);
    assert_ne!(enter(&world, &two).await.user_id(), first);
    let mut elsewhere = guest_body(None);
    elsewhere["app_id"] = json!(APP_TWO);
    let seen = world.guest(&one, &new_key(), &elsewhere).await;
    assert_ne!(seen.user_id(), first);
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM sessions WHERE end_reason = 'renewed'".into())
            .await,
        1,
        "a device holds one session of its guest"
    );
    // The same call again has the same reply.
    let key = new_key();
    let first = world.guest(&one, &key, &guest_body(None)).await;
    let again = world.guest(&one, &key, &guest_body(None)).await;
    assert_eq!(first.body, again.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_real_beats_virtual_by_the_guests_own_device_key_and_only_when_asked() {
    let world = World::new().await;
    let (own, other) = (world.device(), world.device());
    let guest = enter(&world, &own).await.user_id();
    let strangers = enter(&world, &other).await.user_id();
    // Nothing is brought unasked, and nothing by another device key.
    new_unsigned(&world, &Person::new("wang"), "+8613900139001").await;
    assert_eq!(now_is(&world, &guest).await, guest);
    let user_id = register_bringing(&world, &own, &Person::new("li"), PHONE).await;
    assert_eq!(now_is(&world, &guest).await, user_id);
    assert_eq!(told_of(&world, &guest).await, [pair(&guest, &user_id)]);
    assert_eq!(
        world
            .texts("SELECT end_reason FROM sessions WHERE acr = 'guest' AND ended_at IS NOT NULL")
            .await,
        ["replaced"]
    );
    assert_eq!(now_is(&world, &strangers).await, strangers);
    // It is gone: the device has no guest to bring any more, and gets none while somebody is logged in.
    enter(&world, &own).await.expect_problem(409, "conflict");
    let (_, seen) = begin_bringing(&world, &own, &Person::new("li")).await;
    seen.expect_step("done");
    assert_eq!(told_of(&world, &guest).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_between_two_virtual_ids_the_earlier_wins_whichever_comes_first() {
    for earlier_brings_the_cookie_first in [true, false] {
        let world = World::new().await;
        let (early, late) = (world.device(), world.device());
        let earlier = enter(&world, &early).await.user_id();
        world.pass(1);
        let later = enter(&world, &late).await.user_id();
        let order = if earlier_brings_the_cookie_first {
            [&early, &late]
        } else {
            [&late, &early]
        };
        for device in order {
            enter_with(&world, device, "li").await.expect_step("done");
        }
        if !earlier_brings_the_cookie_first {
            // Only its own device key has it replaced: the later guest goes on until its device comes again.
            assert_eq!(now_is(&world, &later).await, later);
        }
        assert_eq!(enter_with(&world, &late, "li").await.user_id(), earlier);
        assert_eq!(enter(&world, &early).await.user_id(), earlier);
        assert_eq!(now_is(&world, &later).await, earlier);
        assert_eq!(now_is(&world, &earlier).await, earlier);
        assert_eq!(told_of(&world, &later).await, [pair(&later, &earlier)]);
        assert!(told_of(&world, &earlier).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_chain_of_replacements_is_told_in_order_and_resolves_to_its_end() {
    let world = World::new().await;
    let (early, late) = (world.device(), world.device());
    let earlier = enter_with(&world, &early, "li").await.user_id();
    world.pass(1);
    let later = enter(&world, &late).await.user_id();
    assert_eq!(enter_with(&world, &late, "li").await.user_id(), earlier);
    // The two devices have one guest now; either of its keys may bring it.
    let real = register_bringing(&world, &late, &Person::new("li"), PHONE).await;
    assert_eq!(
        told_of(&world, &later).await,
        [pair(&later, &earlier), pair(&later, &real)]
    );
    assert_eq!(told_of(&world, &earlier).await, [pair(&earlier, &real)]);
    for id in [&later, &earlier, &real] {
        assert_eq!(now_is(&world, id).await, real);
    }
    assert_eq!(
        (
            world.rows("guest_devices").await,
            world.rows("guest_cookies").await
        ),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_another_person_at_the_provider_takes_nothing_over_from_the_guest_of_the_same_device() {
    let world = World::new().await;
    let device = world.device();
    let li = enter_with(&world, &device, "li").await.user_id();
    world.pass(1);
    let wang = enter_with(&world, &device, "wang").await.user_id();
    assert_ne!(li, wang);
    assert_eq!(now_is(&world, &li).await, li);
    assert_eq!(enter_with(&world, &device, "li").await.user_id(), li);
    assert_eq!(now_is(&world, &wang).await, wang);
    let told = world.texts("SELECT kind FROM outbox").await;
    assert!(told.iter().all(|kind| kind == "session.ended"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_an_open_id_that_was_a_guests_cookie_is_filled_in_and_forks_no_account() {
    let world = World::new().await;
    let device = world.device();
    let guest = enter_with(&world, &device, "li").await.user_id();
    assert_eq!(world.rows("open_ids").await, 0, "W2");
    let kept = world.texts("SELECT cookie_hash FROM guest_cookies").await;
    assert!(!kept[0].contains("open-li"), "W2: {kept:?}");
    let user_id = register_bringing(&world, &device, &Person::new("li"), PHONE).await;
    assert_eq!(now_is(&world, &guest).await, user_id);
    // On another device, with the open id alone: the account, not another guest.
    let seen = enter_with(&world, &world.device(), "li").await;
    assert_eq!(
        (seen.user_id(), &seen.body["account"]["identification"]),
        (user_id, &json!("identified"))
    );
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM accounts WHERE kind = 'real'".into())
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_a_guest_whose_person_logged_in_elsewhere_becomes_them_when_its_own_device_comes() {
    let world = World::new().await;
    let (device, strange) = (world.device(), world.device());
    let li = enter_with(&world, &device, "li").await.user_id();
    let without_cookie = enter(&world, &strange).await.user_id();
    let real = new_unsigned(&world, &Person::new("li"), PHONE)
        .await
        .user_id();
    assert_eq!(now_is(&world, &li).await, li, "not by another device key");
    // The cookie is the account's by now, so it does not speak for the guest any more: the guest is brought by name only.
    assert_eq!(enter_with(&world, &device, "li").await.user_id(), real);
    assert_eq!(enter_with(&world, &strange, "li").await.user_id(), real);
    assert_eq!(now_is(&world, &without_cookie).await, without_cookie);
    let (_, seen) = begin_bringing(&world, &device, &Person::new("li")).await;
    assert_eq!(seen.user_id(), real);
    assert_eq!(now_is(&world, &li).await, real);
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_silent_credential_may_bring_the_guest_of_its_device() {
    let world = World::new().await;
    let real = new_unsigned(&world, &Person::new("li"), PHONE)
        .await
        .user_id();
    let device = world.device();
    let guest = enter(&world, &device).await.user_id();
    let code = world.outside.agree(&Person::new("li"));
    let body = json!({"app_id": APP, "start": {"silent": {"provider": "wechat", "code": code}}, "bring_guest": true});
    world
        .request(&device, &new_key(), &body)
        .await
        .expect_step("done");
    assert_eq!(now_is(&world, &guest).await, real);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_fifty_guests_of_one_device_at_once_are_one() {
    let world = World::new().await;
    let device = world.device();
    let seen = together((0..50).map(|_| {
        let (world, device) = (Arc::clone(&world), device.clone());
        async move { enter(&world, &device).await }
    }))
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    assert!(seen.iter().all(|one| one.user_id() == seen[0].user_id()));
    assert_eq!(
        (world.rows("accounts").await, world.rows("guests").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w6_fifty_guests_that_turn_out_to_be_one_person_are_replaced_once_each() {
    let world = World::new().await;
    let first = enter_with(&world, &world.device(), "li").await.user_id();
    world.pass(1);
    let mut devices = Vec::new();
    for _ in 0..50 {
        let device = world.device();
        devices.push((enter(&world, &device).await.user_id(), device));
    }
    // Each device twice at the same instant.
    let seen = together(devices.iter().chain(&devices).map(|(_, device)| {
        let (world, device) = (Arc::clone(&world), device.clone());
        async move { enter_with(&world, &device, "li").await }
    }))
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 100)]));
    assert!(seen.iter().all(|one| one.user_id() == first));
    for (guest, _) in &devices {
        assert_eq!(told_of(&world, guest).await, [pair(guest, &first)]);
    }
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM accounts WHERE replaced_by IS NULL".into())
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w6_fifty_logins_that_bring_one_guest_replace_it_once() {
    let world = World::new().await;
    let device = world.device();
    let guest = enter(&world, &device).await.user_id();
    let li = Person::new("li");
    let real = new_unsigned(&world, &li, PHONE).await.user_id();
    let seen = together((0..50).map(|_| {
        let (world, device, li) = (Arc::clone(&world), device.clone(), li.clone());
        async move { begin_bringing(&world, &device, &li).await.1 }
    }))
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    assert_eq!(told_of(&world, &guest).await, [pair(&guest, &real)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w6_a_guest_made_while_a_login_completes_ends_as_the_real_one_in_either_order() {
    let world = World::new().await;
    let li = Person::new("li");
    new_unsigned(&world, &li, PHONE).await;
    for _ in 0..20 {
        let device = world.device();
        let (guest, login) = tokio::join!(enter(&world, &device), async {
            begin_bringing(&world, &device, &li).await.1
        });
        login.expect_step("done");
        if guest.status == 200 {
            assert_eq!(now_is(&world, &guest.user_id()).await, login.user_id());
        } else {
            guest.expect_problem(409, "conflict");
        }
    }
    assert_eq!(world.rows("guest_devices").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_guests_made_from_one_address_are_limited() {
    let world = World::with(LoginPolicy {
        guests_per_address: vec![Limit {
            count: 2,
            window: std::time::Duration::from_hours(1),
        }],
        ..LoginPolicy::default()
    })
    .await;
    let device = world.device();
    for _ in 0..3 {
        enter(&world, &device).await.expect_step("done");
    }
    enter(&world, &world.device()).await.expect_step("done");
    enter(&world, &world.device())
        .await
        .expect_problem(429, "rate_limited");
    world.come_from("192.0.2.9");
    enter(&world, &world.device()).await.expect_step("done");
    assert_eq!(world.rows("guests").await, 3);
}
