//! How long it takes from the commit that ends a session until a business line has taken its `session.ended`, while other events go out beside it.
//!
//! `cargo run -p postern-account-center --example measure_ended_sessions -- FOLDER [ENDS] [EVENTS_A_SECOND]`: one account center on an SQLite file in FOLDER, one
//! line on loopback that takes 5 ms for each webhook.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use postern_account_center::context::Context;
use postern_account_center::keys::Keys;
use postern_account_center::outbox::{Kinds, LineSettings, Outbox, OutboxSettings};
use postern_account_center::store::events::{self, OutboxRow};
use postern_account_center::store::{Database, Store, sessions};
use postern_server_security::webhook::WebhookSecret;
use serde_json::Value;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// When the line took the end of which session.
type Taken = Arc<Mutex<HashMap<String, Instant>>>;

async fn webhook(State(taken): State<Taken>, body: Bytes) -> StatusCode {
    let at = Instant::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(session_id) = event["data"]["session_id"].as_str() {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.entry(session_id.to_owned()).or_insert(at);
    }
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a folder")?);
    let ends: usize = arguments.next().unwrap_or_else(|| "200".into()).parse()?;
    let rate: u64 = arguments.next().unwrap_or_else(|| "100".into()).parse()?;

    let taken = Taken::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?).parse()?;
    let app = Router::new()
        .route("/", post(webhook))
        .with_state(taken.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let context = Context::system();
    let store = Store::open(&Database::Sqlite(folder.join("measured.db"))).await?;
    let line = LineSettings {
        url: Some(url),
        secrets: vec![WebhookSecret::parse(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        )?],
        signing_key: None,
        kinds: Kinds::default(),
        time_limit: Duration::from_secs(10),
        concurrency: 8,
    };
    let settings = OutboxSettings {
        retention: Duration::from_hours(24),
        private_hosts: BTreeSet::from(["127.0.0.1".to_owned()]),
        lines: [("line".to_owned(), line)].into(),
        nats: None,
    };
    let keys = Arc::new(Keys::derive(&[7; 32]));
    let outbox = Outbox::new(settings, store.clone(), context.clone(), keys, None)?;
    outbox.start();
    open_sessions(&store, &context, ends).await?;
    tokio::spawn(beside(store.clone(), context.clone(), rate));
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut took = Vec::new();
    for n in 0..ends {
        let (session_id, now) = (format!("s{n}"), context.now());
        let name = session_id.clone();
        store
            .write(move |tx| {
                let name = name.clone();
                Box::pin(async move { sessions::end(tx, &name, "measured", now).await })
            })
            .await?;
        let committed = Instant::now();
        let at = loop {
            let known = taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&session_id)
                .copied();
            match known {
                Some(at) => break at,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
            if committed.elapsed() > Duration::from_mins(1) {
                return Err("an end was not told within a minute".into());
            }
        };
        took.push(at.saturating_duration_since(committed));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!(
        "{ends} ends beside {rate} other events a second: median {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
        at(50),
        at(99),
        at(100)
    );
    outbox.stop(Duration::from_secs(10)).await;
    store.close().await;
    Ok(())
}

/// Other events, of an account each.
async fn beside(store: Store, context: Context, rate: u64) -> Result<(), Failure> {
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / rate.max(1)));
    loop {
        ticks.tick().await;
        let (event_id, user_id, at) = (context.uuid(), context.uuid(), context.now());
        store
            .write(move |tx| {
                let (event_id, user_id) = (event_id.clone(), user_id.clone());
                Box::pin(async move {
                    let row = OutboxRow {
                        event_id: &event_id,
                        user_id: &user_id,
                        version: 2,
                        kind: "account.created",
                        payload: "{}",
                        at,
                    };
                    events::announce(tx, &row).await
                })
            })
            .await?;
    }
}

async fn open_sessions(store: &Store, context: &Context, count: usize) -> Result<(), Failure> {
    let now = context.now();
    store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('u1', 'real', 0, 1)")
                    .execute(&mut *tx)
                    .await?;
                for n in 0..count {
                    let row = sessions::Row {
                        session_id: format!("s{n}"),
                        user_id: "u1".to_owned(),
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
                Ok::<_, postern_account_center::store::StoreError>(())
            })
        })
        .await?;
    Ok(())
}
