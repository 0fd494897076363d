//! A database with events in it, receivers that do what a test says, and dispatchers between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use postern_account_center::context::{Clock, Context, SystemClock, SystemRandomness, Timestamp};
use postern_account_center::keys::Keys;
use postern_account_center::outbox::{Kinds, LineSettings, Outbox, OutboxSettings};
use postern_account_center::store::events::{self, OutboxRow};
use postern_account_center::store::{Store, StoreError, deliveries, outbox as rows};
use postern_server_security::webhook::{WebhookHeaders, WebhookSecret, WebhookVerifier};
use serde_json::{Value, json};

use crate::common::TestDatabase;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The machine's clock, and what a test adds to it.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().millis() + self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    pub database: TestDatabase,
    pub store: Store,
    pub clock: Arc<TestClock>,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        let store = database.store().await;
        Self {
            database,
            store,
            clock: Arc::default(),
        }
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub fn context(&self) -> Context {
        Context::new(self.clock.clone(), Arc::new(SystemRandomness))
    }

    pub fn now(&self) -> Timestamp {
        self.context().now()
    }

    /// A dispatcher as of one account center; each opens the database by itself.
    pub async fn dispatcher(&self, settings: OutboxSettings) -> Outbox {
        let outbox = self.idle(settings).await;
        outbox.start();
        outbox
    }

    pub async fn idle(&self, settings: OutboxSettings) -> Outbox {
        let keys = Arc::new(Keys::derive(&[7; 32]));
        let store = self.database.store().await;
        Outbox::new(settings, store, self.context(), keys, None).unwrap()
    }

    /// Lines are known from now on, so that nothing that follows is before their time.
    pub async fn register(&self, names: &[&str]) {
        for name in names {
            let (name, now) = ((*name).to_owned(), self.now());
            self.write(move |tx| {
                let name = name.clone();
                Box::pin(async move { rows::register_line(tx, &name, now).await })
            })
            .await;
        }
    }

    pub async fn write<T: Send + 'static>(
        &self,
        work: impl for<'t> Fn(
            &'t mut postern_account_center::store::Tx,
        ) -> BoxFuture<'t, Result<T, StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> T {
        self.store.write(work).await.unwrap()
    }

    /// What `identity::Changes::announce` leaves behind, at version `version` of the account.
    pub async fn announce(&self, user_id: &str, version: i64, kind: &str, payload: Value) {
        announce(
            &self.store,
            &self.context(),
            user_id,
            version,
            kind,
            payload,
        )
        .await;
    }

    pub async fn backlog(&self, line: &str) -> deliveries::Backlog {
        let line = line.to_owned();
        self.store
            .read(move |tx| {
                let line = line.clone();
                Box::pin(async move { deliveries::backlog(tx, &line).await })
            })
            .await
            .unwrap()
    }

    /// Until the line has taken everything.
    pub async fn taken(&self, line: &str) {
        eventually(&format!("{line} has taken everything"), async || {
            let name = line.to_owned();
            let (row, range) = self
                .store
                .read(move |tx| {
                    let name = name.clone();
                    Box::pin(async move {
                        let unplaced = rows::any_unplaced(tx).await?;
                        let row = rows::line(tx, &name).await?;
                        let (last, _) = rows::range(tx).await?;
                        Ok::<_, StoreError>((row, if unplaced { i64::MAX } else { last }))
                    })
                })
                .await
                .unwrap();
            row.is_some_and(|row| row.fanned_to == range) && self.backlog(line).await.waiting == 0
        })
        .await;
    }
}

pub async fn announce(
    store: &Store,
    context: &Context,
    user_id: &str,
    version: i64,
    kind: &str,
    payload: Value,
) {
    let row = Arc::new((
        context.uuid(),
        user_id.to_owned(),
        kind.to_owned(),
        payload.to_string(),
        context.now(),
    ));
    store
        .write(move |tx| {
            let row = Arc::clone(&row);
            Box::pin(async move {
                let (event_id, user_id, kind, payload, at) = &*row;
                let row = OutboxRow {
                    event_id,
                    user_id,
                    version,
                    kind,
                    payload,
                    at: *at,
                };
                events::announce(tx, &row).await
            })
        })
        .await
        .unwrap();
}

/// Waits for a condition, generously: the machine is loaded.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A webhook as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub body: Vec<u8>,
    pub headers: HeaderMap,
    pub at: Instant,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// User id and version.
    pub fn version(&self) -> (String, i64) {
        let data = &self.json()["data"];
        (
            data["user_id"].as_str().unwrap().to_owned(),
            data["version"].as_i64().unwrap(),
        )
    }

    pub fn is_signed_with(&self, secret: &str, now: Timestamp) -> bool {
        let verifier = WebhookVerifier {
            secrets: vec![WebhookSecret::parse(secret).unwrap()],
            public_keys: Vec::new(),
        };
        let headers = WebhookHeaders {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        let now = u64::try_from(now.seconds()).unwrap();
        verifier.verify(&headers, &self.body, now).is_ok()
    }
}

type Answer = dyn Fn(Received) -> BoxFuture<'static, Response> + Send + Sync;

/// A business line's server on loopback; it ends when dropped.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Vec<Received>>>, Arc<Answer>);

impl Receiver {
    pub async fn start() -> Self {
        Self::answering(|_| async { StatusCode::NO_CONTENT.into_response() }).await
    }

    pub async fn answering<F>(answer: impl Fn(Received) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared(
            received.clone(),
            Arc::new(move |it| Box::pin(answer(it)) as BoxFuture<'static, Response>),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let app = Router::new().fallback(take).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            received,
            task,
        }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Until there are so many.
    pub async fn has(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} webhooks"), async || self.count() >= count).await;
        self.received()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    State(Shared(received, answer)): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let it = Received {
        id: headers
            .get("webhook-id")
            .map(|id| id.to_str().unwrap().to_owned())
            .unwrap_or_default(),
        body: body.to_vec(),
        headers,
        at: Instant::now(),
    };
    received.lock().unwrap().push(it.clone());
    answer(it).await
}

pub fn line(url: &str) -> LineSettings {
    LineSettings {
        url: Some(url.parse().unwrap()),
        secrets: vec![WebhookSecret::parse(SECRET).unwrap()],
        signing_key: None,
        kinds: Kinds::default(),
        time_limit: Duration::from_secs(10),
        concurrency: 8,
    }
}

pub fn lines(lines: impl IntoIterator<Item = (&'static str, LineSettings)>) -> OutboxSettings {
    OutboxSettings {
        retention: Duration::from_hours(1),
        private_hosts: BTreeSet::from(["127.0.0.1".to_owned()]),
        lines: lines
            .into_iter()
            .map(|(name, line)| (name.to_owned(), line))
            .collect(),
        nats: None,
    }
}

/// One line, `points`.
pub fn points(url: &str) -> OutboxSettings {
    lines([("points", line(url))])
}

/// The versions of each account in the order in which they first came.
pub fn first_times(received: &[Received]) -> BTreeMap<String, Vec<i64>> {
    let mut seen = BTreeSet::new();
    let mut order: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for it in received.iter().filter(|it| seen.insert(it.id.clone())) {
        let (user_id, version) = it.version();
        order.entry(user_id).or_default().push(version);
    }
    order
}

pub fn nothing() -> Value {
    json!({})
}
