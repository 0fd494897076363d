#![allow(clippy::unwrap_used)]
//! L11: the counts against a model that counts by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::store::events::{self, FlowEventRow};
use crate::store::funnel::{AttemptRow, ClientEventRow, beginning_of, day_of};
use crate::testing::TestDatabase;

#[test]
fn days_are_those_of_the_calendar() {
    for (text, day) in [
        ("1970-01-01", 0),
        ("2000-02-29", 11_016),
        ("2000-03-01", 11_017),
        ("2026-11-21", 20_778),
    ] {
        assert_eq!(parse_day(text), Some(day), "{text}");
    }
    for text in [
        "",
        "2026-11",
        "2026-13-01",
        "2026-02-29",
        "2026-11-31",
        "26-11-21",
        "2026-11-21-1",
        "2026-1-1",
        "+026-01-01",
    ] {
        assert_eq!(parse_day(text), None, "{text}");
    }
    // A day in China begins at four in the afternoon of UTC.
    assert_eq!(beginning_of(20_778).seconds(), 20_778 * 86_400 - 8 * 3600);
    assert_eq!(
        day_of(Timestamp::from_millis(beginning_of(20_778).millis() - 1)),
        20_777
    );
    assert_eq!(day_of(beginning_of(20_778)), 20_778);
}

/// One thing that happened: on the server (with or without the client's attempt), or on the client.
#[derive(Clone, Debug)]
struct Happened {
    server: bool,
    attempt: u8,
    told: bool,
    kind: u8,
    provider: u8,
    minute: i64,
}

const FIRST: i64 = 20_000;
const DAYS: i64 = 4;

fn happened() -> impl Strategy<Value = Happened> {
    (any::<bool>(), 0..6_u8, 0..4_u8, 0..2_u8, 0..DAYS * 1440).prop_map(
        |(server, attempt, kind, provider, minute)| Happened {
            server,
            attempt,
            // Whether a login's client named its attempt hangs on the attempt.
            told: attempt % 2 == 0,
            kind,
            provider,
            minute,
        },
    )
}

fn at(event: &Happened) -> Timestamp {
    beginning_of(FIRST).plus(Duration::from_secs(event.minute.unsigned_abs() * 60))
}

fn name(kind: &str, number: u8) -> String {
    format!("{kind}-{number}")
}

/// Of an attempt that the client did not name to the server, the two sides do not know that they are one.
fn attempt(event: &Happened) -> String {
    if event.server && !event.told {
        name("login", event.attempt)
    } else {
        name("attempt", event.attempt)
    }
}

async fn write(store: &Store, all: &[Happened]) {
    let all = all.to_vec();
    store
        .write(move |tx| {
            let all = all.clone();
            Box::pin(async move {
                for (index, event) in all.iter().enumerate() {
                    let (kind, provider) =
                        (name("kind", event.kind), name("provider", event.provider));
                    if event.server {
                        let login_ref = name("login", event.attempt);
                        if event.told {
                            let row = AttemptRow {
                                login_ref: login_ref.clone(),
                                attempt: name("attempt", event.attempt),
                                region: "r".to_owned(),
                                at: at(event),
                            };
                            rows::insert_attempt(tx, &row).await?;
                        }
                        let row = FlowEventRow {
                            event_id: &index.to_string(),
                            login_ref: &login_ref,
                            app_id: "app",
                            provider: &provider,
                            kind: &kind,
                            at: at(event),
                        };
                        events::record(tx, &row).await?;
                    } else {
                        let row = ClientEventRow {
                            device: "d".to_owned(),
                            event_id: index.to_string(),
                            attempt: name("attempt", event.attempt),
                            app_id: "app".to_owned(),
                            provider,
                            region: "r".to_owned(),
                            kind,
                            at: at(event),
                        };
                        // Twice: a batch whose reply was lost.
                        assert!(rows::insert_client_event(tx, &row).await?);
                        assert!(!rows::insert_client_event(tx, &row).await?);
                    }
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

/// By hand: for each day, step and provider the attempts, each once.
fn model(all: &[Happened], from: i64, until: i64) -> BTreeMap<(String, String), i64> {
    let mut seen: BTreeMap<(i64, String, String, &str), BTreeSet<String>> = BTreeMap::new();
    for event in all {
        let day = FIRST + event.minute / 1440;
        let region = if event.server && !event.told { "" } else { "r" };
        if (from..until).contains(&day) {
            seen.entry((
                day,
                name("provider", event.provider),
                name("kind", event.kind),
                region,
            ))
            .or_default()
            .insert(attempt(event));
        }
    }
    let mut sums = BTreeMap::new();
    for ((_, provider, kind, _), attempts) in seen {
        *sums.entry((provider, kind)).or_default() += i64::try_from(attempts.len()).unwrap();
    }
    sums
}

async fn counted(store: &Store, from: i64, until: i64) -> BTreeMap<(String, String), i64> {
    let counts = store
        .read::<_, StoreError, _>(move |tx| Box::pin(rows::counts(tx, from, until)))
        .await
        .unwrap();
    add_up(&counts, &Filter::default())
        .into_iter()
        .map(|count| ((count.provider, count.step), count.attempts))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn l11_counts_are_those_of_counting_by_hand_before_and_after_the_events_are_gone(
        all in prop::collection::vec(happened(), 0..60),
        from in 0..DAYS, length in 1..=DAYS,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let database = TestDatabase::new().await;
            let store = database.store().await;
            write(&store, &all).await;
            let (from, until) = (FIRST + from, FIRST + from + length);
            let wanted = model(&all, from, until);
            assert_eq!(counted(&store, from, until).await, wanted);
            // Two days are over and closed, the others are not.
            let keep = Retention { events: 1000, activity: 1000 };
            let now = beginning_of(FIRST + 2).plus(LATEST).plus(Duration::from_hours(24));
            sweep(&store, now, keep).await.unwrap();
            assert_eq!(counted(&store, from, until).await, wanted);
            // All are, and their events are gone.
            let now = beginning_of(FIRST + 100);
            sweep(&store, now, Retention { events: 30, activity: 30 }).await.unwrap();
            assert_eq!(counted(&store, from, until).await, wanted);
            let left = store.read::<_, StoreError, _>(|tx| Box::pin(async move {
                Ok(sqlx::query("SELECT at FROM flow_events UNION ALL SELECT at FROM client_events UNION ALL SELECT at FROM login_attempts")
                    .fetch_all(tx).await?.len())
            })).await.unwrap();
            assert_eq!(left, 0);
            store.close().await;
        });
    }

    #[test]
    fn l11_active_people_are_counted_once_for_any_range(
        all in prop::collection::vec((0..40_i64, 0..3_u8, 0..2_u8, 0..8_u8), 0..80),
        from in 0..40_i64, length in 1..40_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let database = TestDatabase::new().await;
            let store = database.store().await;
            let seen = all.clone();
            store.write(move |tx| {
                let seen = seen.clone();
                Box::pin(async move {
                    for (day, provider, app, user) in &seen {
                        rows::note_active(tx, *day, &name("p", *provider), &name("a", *app), &name("u", *user)).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            }).await.unwrap();
            for app in ["", "a-1"] {
                let mut people: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
                people.insert(String::new(), BTreeSet::new());
                for (day, provider, of_app, user) in &all {
                    if (from..from + length).contains(day) && (app.is_empty() || app == name("a", *of_app)) {
                        people.entry(name("p", *provider)).or_default().insert(*user);
                        people.entry(String::new()).or_default().insert(*user);
                    }
                }
                let wanted: BTreeMap<String, i64> = people.into_iter()
                    .map(|(provider, users)| (provider, i64::try_from(users.len()).unwrap())).collect();
                let found = store.read::<_, StoreError, _>(move |tx| Box::pin(async move {
                    rows::active(tx, from, from + length, app).await
                })).await.unwrap();
                assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), wanted);
            }
            store.close().await;
        });
    }
}
