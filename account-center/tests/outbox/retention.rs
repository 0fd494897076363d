//! What is deleted, and what never.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use postern_account_center::store::outbox as rows;

use crate::world::{Receiver, World, nothing, points};

/// Account and version of every event that is kept.
async fn kept(world: &World) -> Vec<(String, i64)> {
    let rows = world
        .store
        .read(|tx| Box::pin(rows::after(tx, 0, 100)))
        .await
        .unwrap();
    let mut kept: Vec<_> = rows
        .into_iter()
        .map(|row| (row.stream, row.version))
        .collect();
    kept.sort();
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_go_once_all_lines_have_them_but_never_the_newest_of_an_account() {
    let world = World::new().await;
    world.register(&["points", "away"]).await;
    let receiver = Receiver::start().await;
    for version in 2..5 {
        world
            .announce("u1", version, "binding.added", nothing())
            .await;
    }
    world.announce("u2", 2, "account.created", nothing()).await;
    world.announce("s1", 1, "session.ended", nothing()).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.taken("points").await;
    // Young.
    assert_eq!(outbox.sweep(world.now()).await.unwrap(), 0);
    world.pass(3601);
    // Old, but one line has not had them.
    assert_eq!(outbox.sweep(world.now()).await.unwrap(), 0);
    let forgotten = world
        .write(|tx| Box::pin(rows::forget_line(tx, "away")))
        .await;
    assert!(forgotten);
    assert_eq!(outbox.sweep(world.now()).await.unwrap(), 3);
    let expected = [("u1", 4), ("u2", 2)].map(|(name, version)| (name.to_owned(), version));
    assert_eq!(kept(&world).await, expected);
    // What is newest today is old once there is another; the line finds no gap at the seam.
    world.announce("u1", 5, "binding.removed", nothing()).await;
    world.taken("points").await;
    let last = receiver.received().pop().unwrap();
    assert_eq!(last.json()["data"]["previous_version"], 4);
    assert_eq!(outbox.sweep(world.now()).await.unwrap(), 1);
    assert_eq!(
        outbox
            .gauges()
            .gaps
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_line_has_not_taken_is_kept_however_old() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::answering(|_| async { StatusCode::BAD_GATEWAY.into_response() }).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    world.announce("u1", 3, "user_id.replaced", nothing()).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    receiver.has(1).await;
    world.pass(100 * 3600);
    assert_eq!(outbox.sweep(world.now()).await.unwrap(), 0);
    assert_eq!(kept(&world).await.len(), 2);
    outbox.stop(Duration::from_secs(5)).await;
}
