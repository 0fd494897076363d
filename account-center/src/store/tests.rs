#![allow(clippy::unwrap_used)]
//! The store: on the run's database, and what only SQLite's writer does on a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::context::Timestamp;
use crate::testing::TestDatabase;

/// A file, and each write run once.
async fn sqlite() -> (TestDatabase, Store) {
    let database = TestDatabase::sqlite();
    let store = Store::open(database.database()).await.unwrap();
    (database, store)
}

/// The run's database, and each write run once: these tests count runs.
async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::new().await;
    let store = Store::open(database.database()).await.unwrap();
    (database, store)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn count(store: &Store) -> i64 {
    number(store, "SELECT COUNT(*) FROM used_proofs").await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_are_grouped_and_a_failing_one_harms_no_other() {
    let (_folder, store) = sqlite().await;
    let writes = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    Box::pin(async move {
                        proofs::spend(tx, &format!("p{n}"), at(1)).await?;
                        if n % 10 == 3 {
                            Err(StoreError::Corrupt("on purpose"))
                        } else {
                            Ok(n)
                        }
                    })
                })
                .await
        })
    });
    let results: Vec<_> = futures_util::future::join_all(writes)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(value) => assert_eq!((value, n % 10 == 3), (n, false)),
            Err(error) => assert!(
                n % 10 == 3 && matches!(error, StoreError::Corrupt("on purpose")),
                "{n}: {error}"
            ),
        }
    }
    assert_eq!(count(&store).await, 90);
}

/// Writes that arrive while the writer is held up, and so become one group.
async fn one_group(store: &Store, poison: &'static str) -> Vec<Result<(), StoreError>> {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Arc::clone(&gate);
    let holder = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write(move |_| {
                    let held = Arc::clone(&held);
                    Box::pin(async move {
                        held.acquire().await.unwrap().forget();
                        Ok::<_, StoreError>(())
                    })
                })
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let writes: Vec<_> = (0..5)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        Box::pin(async move {
                            proofs::spend(tx, &format!("g{n}"), at(1)).await?;
                            if n == 2 {
                                sqlx::raw_sql(poison).execute(tx).await?;
                            }
                            Ok::<_, StoreError>(())
                        })
                    })
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(1);
    holder.await.unwrap().unwrap();
    futures_util::future::join_all(writes)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_fails_the_whole_group_and_keeps_nothing_of_it() {
    let (_folder, store) = sqlite().await;
    // A foreign key checked at COMMIT: the statement itself succeeds.
    let results = one_group(
        &store,
        "PRAGMA defer_foreign_keys = ON; INSERT INTO login_passwords (user_id, password_hash, changed_at) VALUES ('nobody', 'x', 0)",
    )
    .await;
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(StoreError::Commit(_)))),
        "{results:?}"
    );
    assert_eq!(count(&store).await, 0);
    // And the writer goes on.
    assert!(
        one_group(&store, "SELECT 1")
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(count(&store).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sqlite_undid_by_itself_fails_the_whole_group() {
    let (_folder, store) = sqlite().await;
    // What a full disk does to a transaction.
    let results = one_group(&store, "ROLLBACK").await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert!(
        one_group(&store, "SELECT 1")
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(count(&store).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_write_is_an_error_of_that_write_alone() {
    let (_folder, store) = store().await;
    let result: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                proofs::spend(tx, "p", at(1)).await?;
                panic!("on purpose");
            })
        })
        .await;
    assert!(matches!(result, Err(StoreError::Panicked)));
    assert_eq!(count(&store).await, 0);
    store.check().await.unwrap();
}

#[tokio::test]
async fn w7_a_unique_violation_is_a_reason_to_look_again() {
    let (_folder, store) = store().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let found = store
        .write(move |tx| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move {
                if first {
                    proofs::spend(tx, "same", at(1)).await?;
                    sqlx::query(
                        "INSERT INTO used_proofs (proof_hash, expires_at) VALUES ('same', 1)",
                    )
                    .execute(tx)
                    .await?;
                }
                Ok::<_, StoreError>("looked again")
            })
        })
        .await;
    assert_eq!(
        (found.unwrap(), runs.load(Ordering::SeqCst)),
        ("looked again", 2)
    );
}

#[tokio::test]
async fn sqlite_is_durable_and_checks_foreign_keys() {
    let (_folder, store) = sqlite().await;
    let settings = store
        .write(|tx| {
            Box::pin(async move {
                let mut values = Vec::new();
                for pragma in ["PRAGMA synchronous", "PRAGMA foreign_keys"] {
                    values.push(sqlx::Row::try_get::<i64, _>(
                        &sqlx::query(pragma).fetch_one(&mut *tx).await?,
                        0,
                    )?);
                }
                let mode: String = sqlx::Row::try_get(
                    &sqlx::query("PRAGMA journal_mode")
                        .fetch_one(&mut *tx)
                        .await?,
                    0,
                )?;
                Ok::<_, StoreError>((values, mode))
            })
        })
        .await
        .unwrap();
    assert_eq!(settings, (vec![2, 1], "wal".to_owned()));
    let refused: Result<_, StoreError> = store
        .read(|tx| {
            Box::pin(async move {
                Ok(sqlx::query("DELETE FROM used_proofs")
                    .execute(tx)
                    .await?
                    .rows_affected())
            })
        })
        .await;
    assert!(refused.is_err(), "a reading connection cannot write");
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_is_opened_again() {
    let database = TestDatabase::new().await;
    let store = Store::open(database.database()).await.unwrap();
    assert!(
        store
            .write(|tx| Box::pin(async move { proofs::spend(tx, "p", at(1)).await }))
            .await
            .unwrap()
    );
    store.close().await;
    assert!(matches!(
        store
            .write(|tx| Box::pin(async move { proofs::spend(tx, "q", at(1)).await }))
            .await,
        Err(StoreError::Closed)
    ));
    let store = Store::open(database.database()).await.unwrap();
    assert!(
        !store
            .write(|tx| Box::pin(async move { proofs::spend(tx, "p", at(1)).await }))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn housekeeping_deletes_expired_rows_in_batches_and_leaves_the_others() {
    let (_folder, store) = store().await;
    store
        .write(|tx| {
            Box::pin(async move {
                for n in 0..1203 {
                    proofs::spend(tx, &format!("old{n}"), at(1000)).await?;
                }
                proofs::spend(tx, "young", at(3000)).await
            })
        })
        .await
        .unwrap();
    assert_eq!(housekeeping::sweep(&store, at(2000)).await.unwrap(), 1203);
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_path_of_any_form_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("what? #1 100%.db");
    let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
    store.close().await;
    assert!(path.exists());
}

#[tokio::test]
async fn e40001_each_transaction_is_run_again_after_a_collision_and_its_first_run_leaves_nothing() {
    let database = TestDatabase::new().await;
    let options = Options {
        collide_once: true,
        ..Options::default()
    };
    let store = Store::open_with(database.database(), &options)
        .await
        .unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let first = store
        .write(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { proofs::spend(tx, "p", at(1)).await })
        })
        .await
        .unwrap();
    // Where the first run had left its row, the second would have found it.
    assert!(first);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn an_error_of_the_work_itself_is_not_run_again() {
    let (_database, store) = store().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let failed: Result<(), _> = store
        .write(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                proofs::spend(tx, "p", at(1)).await?;
                Err(StoreError::LeaseLost)
            })
        })
        .await;
    assert!(matches!(failed, Err(StoreError::LeaseLost)));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn two_programs_that_migrate_at_once_both_find_the_schema() {
    let database = TestDatabase::empty().await;
    let opened = (0..6).map(|_| Store::open(database.database()));
    for store in futures_util::future::join_all(opened).await {
        store.unwrap().check().await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_that_is_behind_is_refused_unless_it_may_be_migrated() {
    let database = TestDatabase::empty().await;
    let careful = Options {
        migrate: false,
        ..Options::default()
    };
    let refused = Store::open_with(database.database(), &careful).await;
    assert!(matches!(refused, Err(StoreError::SchemaBehind(pending)) if pending > 0));
    let store = Store::open(database.database()).await.unwrap();
    Store::open_with(database.database(), &careful)
        .await
        .unwrap();
    // A newer release was here: what it added harms nobody.
    store
        .write(|tx| {
            Box::pin(async move {
                let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                           SELECT 9999, 'of a newer release', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
                sqlx::query(sql).execute(tx).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let state = Store::schema_state(database.database()).await.unwrap();
    assert_eq!(
        (state.pending.len(), state.ahead, state.changed.len()),
        (0, vec![9999], 0)
    );
    Store::open_with(database.database(), &careful)
        .await
        .unwrap();
}

/// The words of a file's code and SQL, without comments.
fn words(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let end = ["//", "--"]
                .iter()
                .filter_map(|mark| line.find(mark))
                .min()
                .unwrap_or(line.len());
            &line[..end]
        })
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_sequence_advisory_lock_or_notification_is_used_so_that_a_distributed_engine_can_carry_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["migrations", "src/store"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests.rs") || !path.is_file() {
                continue;
            }
            seen += 1;
            let schema = folder == "migrations";
            for word in words(&std::fs::read_to_string(&path).unwrap()) {
                // SQL is written in capitals here; in a schema any case counts.
                let word = if schema { word.to_uppercase() } else { word };
                let forbidden = [
                    "SERIAL",
                    "BIGSERIAL",
                    "SMALLSERIAL",
                    "SEQUENCE",
                    "NEXTVAL",
                    "AUTOINCREMENT",
                    "GENERATED",
                    "LISTEN",
                    "NOTIFY",
                    "TRIGGER",
                    "FUNCTION",
                    "XMIN",
                    "CTID",
                ]
                .contains(&word.as_str())
                    || word.to_lowercase().contains("advisory_")
                    || word == "nextval"
                    || word == "pg_notify";
                assert!(!forbidden, "{word} in {}", path.display());
            }
        }
    }
    assert!(seen > 10, "{seen} files");
}

#[tokio::test]
async fn the_schema_on_postgresql_has_tables_and_indexes_and_nothing_else() {
    let database = TestDatabase::new().await;
    if matches!(database.database(), Database::Sqlite(_)) {
        // What SQLite has besides: nothing either.
        let store = Store::open(database.database()).await.unwrap();
        let others = number(
            &store,
            "SELECT COUNT(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')",
        )
        .await;
        assert_eq!(others, 0);
        return;
    }
    let store = database.store().await;
    for (what, sql) in [
        ("sequences", "SELECT COUNT(*) FROM pg_sequences"),
        (
            "triggers",
            "SELECT COUNT(*) FROM pg_trigger WHERE NOT tgisinternal",
        ),
        (
            "functions",
            "SELECT COUNT(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        ),
        (
            "locks",
            "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'",
        ),
    ] {
        assert_eq!(number(&store, sql).await, 0, "{what}");
    }
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store
        .read(move |tx| {
            Box::pin(async move {
                let row = sqlx::query(sql).fetch_one(tx).await?;
                Ok::<_, StoreError>(sqlx::Row::try_get(&row, 0)?)
            })
        })
        .await
        .unwrap()
}
