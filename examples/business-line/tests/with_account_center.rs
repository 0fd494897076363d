//! The line beside a real account center: webhooks and replay over HTTP, events from the database.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_account_center::app::App;
use postern_account_center::config::{Config, Overrides};
use postern_account_center::context::Context;
use postern_account_center::http::AppState;
use postern_account_center::store::events::{self, OutboxRow};
use postern_business_line::{AccountCenter, BusinessLine, router};
use postern_server_security::guards::{EndedSessions as _, MemoryEndedSessions};
use postern_server_security::webhook::{WebhookSecret, WebhookVerifier};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct World {
    line: BusinessLine,
    ended: Arc<MemoryEndedSessions>,
    center: AppState,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    _folder: tempfile::TempDir,
}

impl World {
    /// `before` happens while the account center runs and does not know the line yet.
    async fn new(before: &[(&str, i64, &str, Value)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let start = async |lines: String| {
            let overrides = Overrides {
                data_dir: Some(folder.path().join("data")),
                listen: Some("127.0.0.1:0".to_owned()),
                public_url: None,
            };
            let file = format!("mode = \"development\"\n{lines}");
            let config = Config::read(Some(&file), &BTreeMap::new(), &overrides).unwrap();
            App::start(config, Context::system()).await.unwrap()
        };
        let earlier = start(String::new()).await;
        for (user_id, version, kind, payload) in before {
            tell(earlier.state(), user_id, *version, kind, payload.clone()).await;
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let state = earlier.state().clone();
        let running = tokio::spawn(earlier.run(async move {
            let _ = stopped.await;
        }));
        eventually("what was before has its places", async || {
            let placed = state
                .outbox
                .gauges()
                .placed
                .load(std::sync::atomic::Ordering::Relaxed);
            placed == before.len() as u64
        })
        .await;
        drop((stop, state));
        running.await.unwrap().unwrap();

        let app = start(format!(
            "[lines.points]\nurl = \"{url}/postern/events\"\nsecret = \"{SECRET}\"\n"
        ))
        .await;
        let base = app.facts().listen.parse().unwrap();
        let center = app.state().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(app.run(async move {
            let _ = stopped.await;
        }));
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let verifier = WebhookVerifier {
            secrets: vec![secret.clone()],
            public_keys: Vec::new(),
        };
        let ended = Arc::new(MemoryEndedSessions::default());
        let account_center = AccountCenter::new(base, "points", secret).unwrap();
        let line = BusinessLine::new(verifier, account_center, ended.clone());
        let app = router(line.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        eventually("the line is registered", async || {
            let known = center
                .store
                .read(|tx| Box::pin(postern_account_center::store::outbox::lines(tx)))
                .await;
            !known.unwrap().is_empty()
        })
        .await;
        Self {
            line,
            ended,
            center,
            url,
            stop: Some(stop),
            running: Some(running),
            _folder: folder,
        }
    }

    fn points(&self, user_id: &str) -> i64 {
        self.line.ledger(|ledger| ledger.points(user_id))
    }

    async fn end(mut self) {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap().unwrap();
    }
}

async fn tell(center: &AppState, user_id: &str, version: i64, kind: &str, payload: Value) {
    let row = Arc::new((
        center.context.uuid(),
        user_id.to_owned(),
        kind.to_owned(),
        payload.to_string(),
        center.context.now(),
    ));
    center
        .store
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

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn replaced(from: &str, to: &str) -> Value {
    json!({"from": from, "to": to})
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_points_follow_over_chains_and_an_ended_session_is_known() {
    let world = World::new(&[]).await;
    world.line.ledger(|ledger| {
        ledger.earn("g1", 1);
        ledger.earn("g2", 10);
        ledger.earn("li", 100);
    });
    tell(
        &world.center,
        "g2",
        2,
        "user_id.replaced",
        replaced("g2", "g1"),
    )
    .await;
    tell(
        &world.center,
        "g1",
        2,
        "user_id.replaced",
        replaced("g1", "li"),
    )
    .await;
    tell(
        &world.center,
        "g2",
        3,
        "user_id.replaced",
        replaced("g2", "li"),
    )
    .await;
    let now = world.center.context.now().seconds();
    let end = json!({"user_id": "g1", "session_id": "s1", "reason": "replaced", "ended_at": now});
    tell(&world.center, "s1", 1, "session.ended", end).await;
    eventually("all points are li's", async || world.points("li") == 111).await;
    eventually("the session is known to have ended", async || {
        world.ended.is_ended("s1") == Ok(true)
    })
    .await;
    assert_eq!((world.points("g1"), world.points("g2")), (111, 111));
    assert_eq!(world.ended.is_ended("s2"), Ok(false));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_missed_something_asks_for_it_and_takes_it_first() {
    // Before the line's time: it was never sent.
    let world = World::new(&[
        ("g1", 2, "user_id.replaced", replaced("g1", "g0")),
        ("g3", 2, "user_id.replaced", replaced("g3", "g0")),
    ])
    .await;
    world.line.ledger(|ledger| {
        ledger.earn("g1", 1);
        ledger.earn("g3", 30);
    });
    // g0 becomes li, of which g1 hears too: its `previous_version` is 2, which this line never had.
    tell(
        &world.center,
        "g1",
        3,
        "user_id.replaced",
        replaced("g1", "li"),
    )
    .await;
    eventually("what was before is asked for", async || {
        world.points("g0") == 31
    })
    .await;
    tell(
        &world.center,
        "g0",
        2,
        "user_id.replaced",
        replaced("g0", "li"),
    )
    .await;
    eventually("all is li's", async || world.points("li") == 31).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_secret_tells_the_line_anything() {
    let world = World::new(&[]).await;
    world.line.ledger(|ledger| ledger.earn("g1", 1));
    let body = json!({"type": "user_id.replaced", "timestamp": "2026-11-21T08:00:00.000Z",
        "data": {"user_id": "g1", "version": 2, "previous_version": null, "from": "g1", "to": "thief"}})
    .to_string();
    let now = u64::try_from(world.center.context.now().seconds()).unwrap();
    let post = async |secret: &str, at: u64, signed: &str, body: String| {
        let secret = WebhookSecret::parse(secret).unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("{}/postern/events", world.url))
            .header("webhook-id", "e1")
            .header("webhook-timestamp", at)
            .header(
                "webhook-signature",
                secret.sign("e1", at, signed.as_bytes()),
            )
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(post(other, now, &body, body.clone()).await, 401);
    assert_eq!(post(SECRET, now - 301, &body, body.clone()).await, 401);
    assert_eq!(
        post(SECRET, now, &body.replace("thief", "li"), body.clone()).await,
        401
    );
    assert_eq!(post(SECRET, now, "[]", "[]".to_owned()).await, 400);
    assert_eq!(world.points("thief"), 0);
    assert_eq!(post(SECRET, now, &body, body.clone()).await, 204);
    assert_eq!(world.points("thief"), 1);
    world.end().await;
}
