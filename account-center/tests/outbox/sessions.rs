//! Ended sessions reach business lines at once, whatever else waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use postern_account_center::store::sessions;
use serde_json::json;

use crate::world::{Receiver, World, eventually, nothing, points};

/// An account with live sessions of these names.
async fn sessions_of(world: &World, user_id: &'static str, names: &'static [&'static str]) {
    let now = world.now();
    world
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ($1, 'real', 0, 1)")
                    .bind(user_id)
                    .execute(&mut *tx)
                    .await?;
                for name in names {
                    let row = sessions::Row {
                        session_id: (*name).to_owned(),
                        user_id: user_id.to_owned(),
                        app_id: "bank-android".to_owned(),
                        device_key: "k".to_owned(),
                        began_with: "wechat".to_owned(),
                        acr: "unsigned".to_owned(),
                        generation: 0,
                        newest_hash: "h".to_owned(),
                        previous_hash: None,
                        auth_time: now,
                        created_at: now,
                        last_used_at: now,
                        expires_at: now.plus(Duration::from_hours(1)),
                        ended_at: None,
                    };
                    sessions::insert(tx, &row).await?;
                }
                Ok(())
            })
        })
        .await;
}

async fn end(world: &World, session_id: &'static str) -> bool {
    let now = world.now();
    world
        .write(move |tx| Box::pin(sessions::end(tx, session_id, "signed_out", now)))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_told_once_and_waits_for_nothing_of_its_account() {
    let world = World::new().await;
    world.register(&["points"]).await;
    // Everything about accounts hangs, on every lane there is.
    let receiver = Receiver::answering(|it| async move {
        if it.json()["type"] != "session.ended" {
            std::future::pending::<()>().await;
        }
        StatusCode::OK.into_response()
    })
    .await;
    sessions_of(&world, "u1", &["s1", "s2", "s3"]).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    for n in 0..20 {
        world
            .announce(&format!("v{n}"), 2, "account.created", nothing())
            .await;
    }
    world.announce("u1", 2, "account.created", nothing()).await;
    receiver.has(8).await;
    let (ended_at, before) = (world.now().seconds(), std::time::Instant::now());
    assert!(end(&world, "s1").await);
    assert!(!end(&world, "s1").await);
    let told = async || {
        let all = receiver.received();
        let ended = all
            .into_iter()
            .filter(|it| it.json()["type"] == "session.ended");
        ended.collect::<Vec<_>>()
    };
    eventually("s1's end is told", async || told().await.len() == 1).await;
    let first = told().await.remove(0);
    let took = first.at.duration_since(before);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let data = first.json()["data"].clone();
    assert!((ended_at..ended_at + 30).contains(&data["ended_at"].as_i64().unwrap()));
    assert_eq!(
        (&data["user_id"], &data["session_id"], &data["reason"]),
        (&json!("u1"), &json!("s1"), &json!("signed_out"))
    );
    // L9: all sessions that began with a provider, as unbinding ends them.
    let now = world.now();
    let ended = world
        .write(move |tx| Box::pin(sessions::end_of(tx, "u1", Some("wechat"), "unbound", now)))
        .await;
    assert_eq!(ended.len(), 2);
    eventually("all three ends are told", async || told().await.len() == 3).await;
    outbox.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_needs_any_more_is_neither_sent_nor_kept() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::start().await;
    sessions_of(&world, "u1", &["s1"]).await;
    end(&world, "s1").await;
    // Every token of the session has expired.
    world.pass(601);
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    receiver.has(1).await;
    world.taken("points").await;
    assert_eq!(receiver.received()[0].json()["type"], "account.created");
    assert_eq!(receiver.count(), 1);
    assert_eq!(
        outbox.gauges().lines["points"].moot.load(Ordering::Relaxed),
        1
    );
    assert_eq!(world.backlog("points").await.dead, 0);
    outbox.stop(Duration::from_secs(5)).await;
}
