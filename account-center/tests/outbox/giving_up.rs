//! Tries, dead letters, disabled lines.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use postern_account_center::outbox::Outbox;
use postern_account_center::store::{StoreError, deliveries, outbox as rows};

use crate::world::{Receiver, World, eventually, first_times, nothing, points};

const HOUR: i64 = 3600;

/// Accounts whose events a receiver refuses at present.
type Refused = Arc<Mutex<BTreeSet<String>>>;

async fn picky(refused: &[&str]) -> (Receiver, Refused) {
    let refused: Refused = Arc::new(Mutex::new(
        refused.iter().map(|&name| name.into()).collect(),
    ));
    let picking = refused.clone();
    let receiver = Receiver::answering(move |it| {
        let refuse = picking.lock().unwrap().contains(&it.version().0);
        async move {
            if refuse {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::OK
            }
            .into_response()
        }
    })
    .await;
    (receiver, refused)
}

fn failed(outbox: &Outbox) -> u64 {
    outbox.gauges().lines["points"]
        .failed
        .load(Ordering::Relaxed)
}

fn dead(outbox: &Outbox) -> u64 {
    outbox.gauges().lines["points"].dead.load(Ordering::Relaxed)
}

/// Lets days pass, nine hours at a time (no delay is longer before the third day is over), until so many are dead letters.
async fn until_dead(world: &World, outbox: &Outbox, letters: u64) {
    while dead(outbox) < letters {
        let before = failed(outbox);
        world.pass(9 * HOUR);
        eventually("another try", async || failed(outbox) > before).await;
    }
}

async fn letters(world: &World) -> Vec<deliveries::DeadLetter> {
    world
        .store
        .read(|tx| Box::pin(deliveries::dead_letters(tx, "points")))
        .await
        .unwrap()
}

async fn disabled(world: &World) -> Option<String> {
    let row = world
        .store
        .read(|tx| Box::pin(rows::line(tx, "points")))
        .await
        .unwrap();
    row.unwrap().disabled_reason
}

async fn retry(world: &World, position: Option<i64>) -> u64 {
    let now = world.now();
    world
        .write(move |tx| Box::pin(deliveries::retry_dead(tx, "points", position, now)))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_tried_again_by_the_schedule_and_not_before() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let (receiver, refused) = picky(&["u1"]).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    receiver.has(1).await;
    eventually("it is counted", async || failed(&outbox) == 1).await;
    // 5 s and then 30 s, each 10 % either way; the test itself takes a moment, so only the longer one says "not before".
    world.pass(6);
    receiver.has(2).await;
    eventually("it is counted", async || failed(&outbox) == 2).await;
    world.pass(15);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), 2);
    refused.lock().unwrap().clear();
    world.pass(19);
    world.taken("points").await;
    let ids: BTreeSet<_> = receiver.received().into_iter().map(|it| it.id).collect();
    assert_eq!((receiver.count(), ids.len()), (3, 1));
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_holds_its_account_and_no_other_until_somebody_decides() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let (receiver, refused) = picky(&["u1", "u2"]).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    for user_id in ["u1", "u2"] {
        world
            .announce(user_id, 2, "account.created", nothing())
            .await;
        world
            .announce(user_id, 3, "user_id.replaced", nothing())
            .await;
    }
    eventually("both were tried", async || failed(&outbox) >= 2).await;
    world.pass(60);
    // The line is well, as others see.
    world.announce("u3", 2, "account.created", nothing()).await;
    eventually("u3 is told", async || {
        first_times(&receiver.received()).contains_key("u3")
    })
    .await;
    until_dead(&world, &outbox, 2).await;
    let found = letters(&world).await;
    let streams: Vec<_> = found.iter().map(|letter| letter.stream.as_str()).collect();
    assert_eq!(streams, ["u1", "u2"]);
    assert!(
        found
            .iter()
            .all(|letter| letter.last_failure == "HTTP 400" && letter.attempts > 3)
    );
    assert_eq!(disabled(&world).await, None);

    // Nobody is sent what comes after a dead letter, however long it takes.
    refused.lock().unwrap().clear();
    world.pass(100 * HOUR);
    world.announce("u4", 2, "account.created", nothing()).await;
    eventually("u4 is told", async || {
        first_times(&receiver.received()).contains_key("u4")
    })
    .await;
    let order = first_times(&receiver.received());
    assert_eq!((&order["u1"][..], &order["u2"][..]), (&[2][..], &[2][..]));

    assert_eq!(retry(&world, Some(found[0].position)).await, 1);
    let position = found[1].position;
    let skipped = world
        .write(move |tx| Box::pin(deliveries::skip_dead(tx, "points", position)))
        .await;
    assert!(skipped);
    world.taken("points").await;
    let order = first_times(&receiver.received());
    assert_eq!(
        (&order["u1"][..], &order["u2"][..]),
        (&[2, 3][..], &[2, 3][..])
    );
    // What was skipped shows as a version that the line never took.
    let last = receiver
        .received()
        .into_iter()
        .rfind(|it| it.version() == ("u2".to_owned(), 3));
    assert_eq!(last.unwrap().json()["data"]["previous_version"], 2);
    // Nothing is left to decide.
    assert_eq!(retry(&world, None).await, 0);
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_takes_nothing_for_three_days_is_disabled_and_goes_on_where_it_stopped() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let (receiver, refused) = picky(&["u1"]).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    receiver.has(1).await;
    until_dead(&world, &outbox, 1).await;
    eventually("it is disabled", async || disabled(&world).await.is_some()).await;
    assert_eq!(
        disabled(&world).await.as_deref(),
        Some("it took nothing for three days")
    );
    let before = receiver.count();
    world.announce("u2", 2, "account.created", nothing()).await;
    world.announce("u1", 3, "user_id.replaced", nothing()).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), before);

    refused.lock().unwrap().clear();
    assert_eq!(retry(&world, None).await, 1);
    let enabled = world
        .write(|tx| Box::pin(rows::enable_line(tx, "points")))
        .await;
    assert!(enabled);
    world.taken("points").await;
    let order = first_times(&receiver.received()[before..]);
    assert_eq!(
        (&order["u1"][..], &order["u2"][..]),
        (&[2, 3][..], &[2][..])
    );
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_disables_the_line_at_once_and_loses_nothing() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let gone = Arc::new(Mutex::new(true));
    let going = gone.clone();
    let receiver = Receiver::answering(move |_| {
        let gone = *going.lock().unwrap();
        async move {
            if gone {
                StatusCode::GONE
            } else {
                StatusCode::OK
            }
            .into_response()
        }
    })
    .await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    eventually("it is disabled", async || disabled(&world).await.is_some()).await;
    assert_eq!(
        disabled(&world).await.as_deref(),
        Some("it answered 410 Gone")
    );
    assert!(
        outbox.gauges().lines["points"]
            .disabled
            .load(Ordering::Relaxed)
    );
    world.announce("u1", 3, "user_id.replaced", nothing()).await;
    world.pass(HOUR);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), 1);
    *gone.lock().unwrap() = false;
    world
        .write(|tx| Box::pin(rows::enable_line(tx, "points")))
        .await;
    world.taken("points").await;
    assert_eq!(first_times(&receiver.received())["u1"], [2, 3]);
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_holds_the_whole_line_and_no_longer() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let first = Arc::new(Mutex::new(true));
    let receiver = Receiver::answering(move |_| {
        let refuse = std::mem::take(&mut *first.lock().unwrap());
        async move {
            if refuse {
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    [(header::RETRY_AFTER, "600")],
                )
                    .into_response();
            }
            StatusCode::OK.into_response()
        }
    })
    .await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    eventually("it is counted", async || failed(&outbox) == 1).await;
    eventually("the line is held", async || {
        let held = world
            .store
            .read(|tx| Box::pin(rows::line(tx, "points")))
            .await;
        held.unwrap().unwrap().held_until > world.now()
    })
    .await;
    world.announce("u2", 2, "account.created", nothing()).await;
    world.pass(500);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), 1);
    world.pass(101);
    world.taken("points").await;
    assert_eq!(receiver.count(), 3);
    outbox.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_went_to_another_marks_nothing() {
    let world = World::new().await;
    world.register(&["points"]).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    let outbox = world.dispatcher(crate::world::lines([])).await;
    eventually("it has its place", async || {
        outbox.gauges().placed.load(Ordering::Relaxed) == 1
    })
    .await;
    let lease = |token: &str, now| deliveries::Lease {
        token: token.to_owned(),
        now,
        until: now.plus(Duration::from_secs(30)),
    };
    let now = world.now();
    let (late, early) = (
        lease("a", now),
        lease("b", now.plus(Duration::from_secs(31))),
    );
    let outcome = world
        .write(move |tx| {
            let (late, early) = (late.clone(), early.clone());
            Box::pin(async move {
                let event = rows::after(tx, 0, 1).await?.remove(0);
                deliveries::insert(tx, "points", &event, None, false, now).await?;
                let mine = deliveries::claim(tx, "points", false, &late, 8).await?;
                // While it holds, nobody else gets it.
                let other = lease_of_other(&late);
                assert!(
                    deliveries::claim(tx, "points", false, &other, 8)
                        .await?
                        .is_empty()
                );
                let theirs = deliveries::claim(tx, "points", false, &early, 8).await?;
                assert_eq!((mine.len(), theirs.len()), (1, 1));
                let failed = deliveries::Failed {
                    due_at: None,
                    why: "x",
                    counts: true,
                };
                let put_back = deliveries::put_back(tx, "points", &mine[0], &late, &failed).await?;
                let lost = deliveries::settle(tx, "points", &mine[0], &late).await?;
                let done = deliveries::settle(tx, "points", &theirs[0], &early).await?;
                Ok::<_, StoreError>((put_back, lost, done))
            })
        })
        .await;
    assert_eq!(
        outcome,
        (false, deliveries::Next::Lost, deliveries::Next::Ends)
    );
    outbox.stop(Duration::from_secs(5)).await;
}

fn lease_of_other(lease: &deliveries::Lease) -> deliveries::Lease {
    deliveries::Lease {
        token: "c".to_owned(),
        ..lease.clone()
    }
}
