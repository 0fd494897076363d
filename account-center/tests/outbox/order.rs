//! What arrives, and in which order.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use postern_account_center::outbox::Kinds;
use postern_server_security::webhook::{
    WebhookHeaders, WebhookPublicKey, WebhookSecret, WebhookSigningKey, WebhookVerifier,
};
use serde_json::json;

use crate::world::{
    OTHER_SECRET, Receiver, SECRET, World, eventually, first_times, line, lines, nothing, points,
};

#[tokio::test(flavor = "multi_thread")]
async fn w6_each_line_is_told_what_it_takes_signed_by_the_book() {
    let world = World::new().await;
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    world.register(&["all", "some"]).await;
    let mut few = line(&some.url);
    few.kinds = Kinds::new(vec!["account.*".to_owned(), "user_id.*".to_owned()]);
    let outbox = world
        .dispatcher(lines([("all", line(&all.url)), ("some", few)]))
        .await;
    let binding = json!({"provider": "wechat", "platform": "op_bank"});
    world
        .announce("u1", 2, "account.created", json!({"signed": false}))
        .await;
    world
        .announce("u1", 3, "binding.added", binding.clone())
        .await;
    world
        .announce(
            "u1",
            4,
            "user_id.replaced",
            json!({"from": "u1", "to": "u2"}),
        )
        .await;
    let told = all.has(3).await;
    world.taken("some").await;
    for it in &told {
        assert!(it.is_signed_with(SECRET, world.now()));
        assert!(!it.is_signed_with(OTHER_SECRET, world.now()));
        assert_eq!(it.header("content-type"), "application/json");
    }
    let event = told[1].json();
    assert_eq!(event["type"], "binding.added");
    assert_eq!(
        event["data"],
        json!({"user_id": "u1", "version": 3, "previous_version": 2, "provider": "wechat", "platform": "op_bank"})
    );
    let few = some.received();
    let data = |n: usize| few[n].json()["data"].clone();
    assert_eq!(few.len(), 2);
    assert_eq!(
        data(0),
        json!({"user_id": "u1", "version": 2, "previous_version": null, "signed": false})
    );
    // The binding is not this line's, so it misses nothing.
    assert_eq!(
        data(1),
        json!({"user_id": "u1", "version": 4, "previous_version": 2, "from": "u1", "to": "u2"})
    );
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_an_account_s_events_come_in_order_however_many_dispatchers_there_are() {
    const ACCOUNTS: i64 = 12;
    const EVENTS: i64 = 8;
    let world = World::new().await;
    world.register(&["points"]).await;
    // Slower or quicker by chance, so that a second event sent beside the first would often overtake it.
    let receiver = Receiver::answering(|it| async move {
        let pause = u64::from(it.id.bytes().last().unwrap_or(0) % 16);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        StatusCode::OK.into_response()
    })
    .await;
    let first = world.dispatcher(points(&receiver.url)).await;
    let second = world.dispatcher(points(&receiver.url)).await;
    for version in 2..2 + EVENTS {
        let all = (0..ACCOUNTS).map(|account| {
            let world = &world;
            async move {
                let user_id = format!("u{account}");
                world
                    .announce(&user_id, version, "binding.added", nothing())
                    .await;
            }
        });
        futures_util::future::join_all(all).await;
    }
    world.taken("points").await;
    let came = receiver.received();
    let order = first_times(&came);
    assert_eq!(order.len(), usize::try_from(ACCOUNTS).unwrap());
    for (user_id, versions) in order {
        assert_eq!(versions, (2..2 + EVENTS).collect::<Vec<_>>(), "{user_id}");
    }
    for outbox in [first, second] {
        outbox.stop(Duration::from_secs(5)).await;
        assert_eq!(
            outbox.gauges().lines["points"]
                .failed
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    }
    // Nobody was killed, so nothing came twice: two never lease the same account.
    assert_eq!(came.len(), usize::try_from(ACCOUNTS * EVENTS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_secrets_are_exchanged_a_line_verifies_with_either_and_with_the_public_key() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::start().await;
    let key = "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let mut settings = points(&receiver.url);
    let line = settings.lines.get_mut("points").unwrap();
    line.secrets
        .insert(0, WebhookSecret::parse(OTHER_SECRET).unwrap());
    line.signing_key = Some(WebhookSigningKey::parse(key).unwrap().into());
    let outbox = world.dispatcher(settings).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    let it = &receiver.has(1).await[0];
    assert!(it.is_signed_with(SECRET, world.now()));
    assert!(it.is_signed_with(OTHER_SECRET, world.now()));
    let public = WebhookSigningKey::parse(key).unwrap().public_text();
    let by_key = WebhookVerifier {
        secrets: Vec::new(),
        public_keys: vec![WebhookPublicKey::parse(&public).unwrap()],
    };
    let headers = WebhookHeaders {
        id: &it.id,
        timestamp: it.header("webhook-timestamp"),
        signature: it.header("webhook-signature"),
    };
    let now = u64::try_from(world.now().seconds()).unwrap();
    assert_eq!(by_key.verify(&headers, &it.body, now), Ok(()));
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_settings_change_leaves_behind_is_still_sent_once_the_line_is_back() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::start().await;
    // A dispatcher that does not know the line gives places, and sends nothing.
    let without = world.dispatcher(lines([])).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    eventually("it has its place", async || {
        without
            .gauges()
            .placed
            .load(std::sync::atomic::Ordering::Relaxed)
            == 1
    })
    .await;
    without.stop(Duration::from_secs(5)).await;
    let with = world.dispatcher(points(&receiver.url)).await;
    assert_eq!(receiver.has(1).await[0].version(), ("u1".to_owned(), 2));
    with.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_lost_is_counted_and_shows_to_the_line_as_a_version_it_never_had() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::start().await;
    world.announce("u1", 2, "account.created", nothing()).await;
    world
        .announce(
            "u1",
            3,
            "user_id.replaced",
            json!({"from": "u1", "to": "u2"}),
        )
        .await;
    world.announce("u1", 4, "binding.added", nothing()).await;
    world
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM outbox WHERE version = 3")
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await;
    // Also where the line takes only what was lost.
    let mut settings = points(&receiver.url);
    settings.lines.get_mut("points").unwrap().kinds = Kinds::new(vec![
        "account.created".to_owned(),
        "binding.added".to_owned(),
    ]);
    let outbox = world.dispatcher(settings).await;
    let told = receiver.has(2).await;
    assert_eq!(told[1].json()["data"]["previous_version"], 3);
    assert_eq!(
        outbox
            .gauges()
            .gaps
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    outbox.stop(Duration::from_secs(5)).await;
}
