//! Durable writes in a second, by how many arrive together: what SQLite's one writer gains by grouping (README, "How a request goes through").
//!
//! `cargo run -p postern-account-center --example bench_store -- FOLDER`, on a disk like the server's.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postern_account_center::context::Timestamp;
use postern_account_center::store::{Database, Store, StoreError, proofs};

const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let file = folder.join(format!("bench-store-{}.db", std::process::id()));
    let store = Store::open(&Database::Sqlite(file.clone())).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    println!("writers  writes/s  median ms");
    for writers in [1, 4, 16, 64, 256] {
        let started = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let (store, next) = (store.clone(), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while started.elapsed() < TIME {
                        let name = format!("proof-{}", next.fetch_add(1, Ordering::Relaxed));
                        let began = Instant::now();
                        store
                            .write(move |tx| {
                                let name = name.clone();
                                Box::pin(async move {
                                    proofs::spend(tx, &name, Timestamp::from_seconds(1)).await?;
                                    Ok::<_, StoreError>(())
                                })
                            })
                            .await
                            .unwrap();
                        took.push(began.elapsed());
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await.unwrap());
        }
        took.sort();
        let rate = f64::from(u32::try_from(took.len()).unwrap()) / started.elapsed().as_secs_f64();
        println!(
            "{writers:>7}  {rate:>8.0}  {:>9.2}",
            took[took.len() / 2].as_secs_f64() * 1000.0
        );
    }
    store.close().await;
    for end in ["", "-wal", "-shm"] {
        // The journal goes with the last connection.
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
