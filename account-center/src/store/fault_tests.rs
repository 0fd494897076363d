#![allow(clippy::unwrap_used)]
//! A database that fails: no room, read only, connections that end at the worst moment.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, Row as _};

use super::{Database, Store, StoreError, proofs};
use crate::context::Timestamp;
use crate::problem::Problem;
use crate::testing::TestDatabase;

async fn spend(store: &Store, name: String) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let name = name.clone();
            Box::pin(async move { proofs::spend(tx, &name, Timestamp::from_millis(1)).await })
        })
        .await
}

async fn control(store: &Store, sql: &'static str) {
    store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::raw_sql(sql).execute(tx).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

async fn names(store: &Store) -> Vec<String> {
    store
        .read(|tx| {
            Box::pin(async move {
                let rows = sqlx::query("SELECT proof_hash FROM used_proofs ORDER BY proof_hash")
                    .fetch_all(tx)
                    .await?;
                Ok::<_, StoreError>(
                    rows.iter()
                        .map(|row| row.try_get(0))
                        .collect::<Result<_, _>>()?,
                )
            })
        })
        .await
        .unwrap()
}

/// 503 with the time to come again, as every client is told then.
#[track_caller]
fn is_busy(error: StoreError) {
    let problem = Problem::from(error);
    assert_eq!(
        (problem.status().as_u16(), problem.retry_after),
        (503, Some(1)),
        "{problem:?}"
    );
}

/// Writes in groups until the disk is full, and gives the names of what was acknowledged.
async fn fill(store: &Store) -> Vec<String> {
    let mut kept = Vec::new();
    for round in 0..400 {
        let group = (0..8).map(|n| {
            let name = format!("{round:04}-{n}-{}", "x".repeat(2000));
            async { (spend(store, name.clone()).await, name) }
        });
        let mut full = false;
        for (result, name) in futures_util::future::join_all(group).await {
            match result {
                Ok(first) => {
                    assert!(first);
                    kept.push(name);
                }
                Err(error) => {
                    is_busy(error);
                    full = true;
                }
            }
        }
        if full {
            return kept;
        }
    }
    panic!("the disk did not get full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_answers_busy_keeps_what_it_acknowledged_and_goes_on_when_there_is_room() {
    let database = TestDatabase::sqlite();
    let store = Store::open(database.database()).await.unwrap();
    control(&store, "PRAGMA max_page_count = 150").await;
    let kept = fill(&store).await;
    assert_eq!(names(&store).await, kept);
    control(&store, "PRAGMA max_page_count = 100000").await;
    assert!(spend(&store, "z".to_owned()).await.unwrap());
    assert_eq!(names(&store).await.len(), kept.len() + 1);
}

/// A small file system of its own, where this process may mount one.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // Only root can; elsewhere the test above stands for it.
    let Some(_small) = Small::mount(folder.path()) else {
        return;
    };
    let filler = folder.path().join("filler");
    let path = folder.path().join("postern.db");
    let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
    std::fs::write(&filler, vec![0; 400_000]).unwrap();
    let kept = fill(&store).await;
    assert_eq!(names(&store).await, kept);
    std::fs::remove_file(&filler).unwrap();
    assert!(spend(&store, "z".to_owned()).await.unwrap());
    store.close().await;
    // And it is on the disk.
    let store = Store::open(&Database::Sqlite(path)).await.unwrap();
    assert_eq!(names(&store).await.len(), kept.len() + 1);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_read_only_answers_busy_and_still_reads() {
    let database = TestDatabase::sqlite();
    let store = Store::open(database.database()).await.unwrap();
    assert!(spend(&store, "a".to_owned()).await.unwrap());
    control(&store, "PRAGMA query_only = ON").await;
    is_busy(spend(&store, "b".to_owned()).await.unwrap_err());
    assert_eq!(names(&store).await, ["a"]);
    assert_eq!(names(&store).await, ["a"]);
    store.close().await;
    // Opened again it may be written.
    let store = Store::open(database.database()).await.unwrap();
    assert!(spend(&store, "b".to_owned()).await.unwrap());
}

/// The process of the server that has this transaction.
async fn backend(tx: &mut super::Tx) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT CAST(pg_backend_pid() AS BIGINT)")
        .fetch_one(tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// Ends a connection of the server as an operator, a crash or a fail-over would.
async fn end(database: &Database, process: i64) {
    let mut admin = super::connect(database, true).await.unwrap();
    sqlx::query("SELECT pg_terminate_backend(CAST($1 AS INTEGER))")
        .bind(process)
        .execute(&mut admin)
        .await
        .unwrap();
    // It ends a moment after it was told to.
    loop {
        let there = sqlx::query("SELECT 1 FROM pg_stat_activity WHERE pid = $1")
            .bind(process)
            .fetch_optional(&mut admin)
            .await
            .unwrap();
        if there.is_none() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    admin.close().await.unwrap();
}

/// Runs a write whose connection is ended in its first run, at the end of its work or before.
async fn ended(database: &Database, at_the_end: bool) -> (Result<bool, StoreError>, u32, Store) {
    let store = Store::open(database).await.unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let target = database.clone();
    let result = store
        .write(move |tx| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let target = target.clone();
            Box::pin(async move {
                let kept = proofs::spend(tx, "p", Timestamp::from_millis(1)).await?;
                if first {
                    let process = backend(tx).await?;
                    end(&target, process).await;
                }
                if !at_the_end {
                    backend(tx).await?;
                }
                Ok::<_, StoreError>(kept)
            })
        })
        .await;
    (result, runs.load(Ordering::SeqCst), store)
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_a_reason_to_run_the_work_again() {
    let database = TestDatabase::new().await;
    if matches!(database.database(), Database::Sqlite(_)) {
        return;
    }
    let (result, runs, store) = ended(database.database(), false).await;
    assert!(result.unwrap(), "the first run left nothing");
    assert_eq!((runs, names(&store).await), (2, vec!["p".to_owned()]));
}

#[tokio::test]
async fn a_commit_without_an_answer_is_not_run_again_and_not_called_a_success() {
    let database = TestDatabase::new().await;
    if matches!(database.database(), Database::Sqlite(_)) {
        return;
    }
    let (result, runs, store) = ended(database.database(), true).await;
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)), "{error:?}");
    is_busy(error);
    assert_eq!((runs, names(&store).await), (1, Vec::new()));
    // The next one has another connection.
    assert!(spend(&store, "p".to_owned()).await.unwrap());
}

#[tokio::test]
async fn a_statement_over_its_time_is_ended_and_answered_busy() {
    let database = TestDatabase::new().await;
    if matches!(database.database(), Database::Sqlite(_)) {
        return;
    }
    let options = super::Options {
        statement_limit: std::time::Duration::from_millis(200),
        ..super::Options::default()
    };
    let store = Store::open_with(database.database(), &options)
        .await
        .unwrap();
    let slow: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("SELECT COUNT(*) FROM pg_sleep(60)")
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await;
    is_busy(slow.unwrap_err());
    assert!(spend(&store, "p".to_owned()).await.unwrap());
}
