#![allow(clippy::unwrap_used)]
//! The store over an SQLite file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::context::Timestamp;

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Database::Sqlite(folder.path().join("a folder? #1.db")))
        .await
        .unwrap();
    (folder, store)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn count(store: &Store) -> i64 {
    store
        .read(|tx| {
            Box::pin(async move {
                let row = sqlx::query("SELECT COUNT(*) FROM used_proofs")
                    .fetch_one(tx)
                    .await?;
                Ok::<_, StoreError>(sqlx::Row::try_get(&row, 0)?)
            })
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_are_grouped_and_a_failing_one_harms_no_other() {
    let (_folder, store) = store().await;
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
    let (_folder, store) = store().await;
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
    let (_folder, store) = store().await;
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
    let (_folder, store) = store().await;
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
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("postern.db"));
    let store = Store::open(&database).await.unwrap();
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
    let store = Store::open(&database).await.unwrap();
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
