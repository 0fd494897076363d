//! The broker: a nats-server of our own with `JetStream` (Debian's nats-server).

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream;
use postern_account_center::outbox::{NATS_LINE, NatsSettings, OutboxSettings};
use serde_json::Value;

use crate::world::{World, eventually, lines, nothing};

/// A server on loopback; it ends when dropped.
struct Broker {
    child: Child,
    port: u16,
    folder: std::sync::Arc<tempfile::TempDir>,
}

impl Broker {
    fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::start_at(port, tempfile::tempdir().unwrap().into())
    }

    fn start_at(port: u16, folder: std::sync::Arc<tempfile::TempDir>) -> Self {
        let child = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is there: cargo xtask setup --only nats");
        Self {
            child,
            port,
            folder,
        }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// As after a power failure, and back with the same files.
    fn restart(mut self, down: impl FnOnce()) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        down();
        let (port, folder) = (self.port, self.folder.clone());
        drop(self);
        Self::start_at(port, folder)
    }

    async fn context(&self) -> jetstream::Context {
        let url = self.url();
        let connected = std::sync::Mutex::new(None);
        eventually("the broker answers", async || {
            let client = async_nats::connect(&url).await.ok();
            let there = client.is_some();
            *connected.lock().unwrap() = client;
            there
        })
        .await;
        jetstream::new(connected.into_inner().unwrap().unwrap())
    }

    /// Subject, id and body of everything in the stream.
    async fn messages(&self) -> Vec<(String, String, Value)> {
        let context = self.context().await;
        let Ok(mut stream) = context.get_stream("POSTERN").await else {
            return Vec::new();
        };
        let state = stream.info().await.unwrap().state.clone();
        let mut messages = Vec::new();
        for sequence in state.first_sequence.max(1)..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let id = message.headers.get("Nats-Msg-Id").unwrap().to_string();
            let body = serde_json::from_slice(&message.payload).unwrap();
            messages.push((message.subject.to_string(), id, body));
        }
        messages
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Fails where it was killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn to(broker: &Broker, stream: Option<&str>) -> OutboxSettings {
    OutboxSettings {
        nats: Some(NatsSettings {
            url: broker.url(),
            credentials: None,
            token: None,
            stream: stream.map(str::to_owned),
        }),
        ..lines([])
    }
}

fn versions_of(messages: &[(String, String, Value)], user_id: &str) -> Vec<i64> {
    messages
        .iter()
        .filter(|(_, _, body)| body["data"]["user_id"] == user_id)
        .map(|(_, _, body)| body["data"]["version"].as_i64().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_has_every_event_once_in_order_though_a_dispatcher_dies() {
    let broker = Broker::start();
    let world = World::new().await;
    world.register(&[NATS_LINE]).await;
    for version in 2..12 {
        for user_id in ["u1", "u2", "u3"] {
            world
                .announce(user_id, version, "binding.added", nothing())
                .await;
        }
    }
    let dying = world.dispatcher(to(&broker, Some("POSTERN"))).await;
    eventually("some are published", async || {
        dying.gauges().lines[NATS_LINE]
            .taken
            .load(Ordering::Relaxed)
            >= 3
    })
    .await;
    dying.kill().await;
    world.pass(60);
    let next = world.dispatcher(to(&broker, Some("POSTERN"))).await;
    world.taken(NATS_LINE).await;
    let messages = broker.messages().await;
    assert_eq!(messages.len(), 30);
    for user_id in ["u1", "u2", "u3"] {
        assert_eq!(versions_of(&messages, user_id), (2..12).collect::<Vec<_>>());
    }
    assert!(
        messages
            .iter()
            .all(|(subject, ..)| subject == "postern.events.binding.added")
    );
    next.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_or_has_no_stream_is_tried_until_it_takes_everything() {
    let broker = Broker::start();
    let world = World::new().await;
    world.register(&[NATS_LINE]).await;
    let context = broker.context().await;
    let outbox = world.dispatcher(to(&broker, None)).await;
    let failed = || {
        outbox.gauges().lines[NATS_LINE]
            .failed
            .load(Ordering::Relaxed)
    };
    world.announce("u1", 2, "account.created", nothing()).await;
    eventually("nobody takes it", async || failed() > 0).await;
    context
        .create_stream(jetstream::stream::Config {
            name: "POSTERN".to_owned(),
            subjects: vec!["postern.events.>".to_owned()],
            ..Default::default()
        })
        .await
        .unwrap();
    world.pass(60);
    world.taken(NATS_LINE).await;
    let broker = broker.restart(|| ());
    world.announce("u1", 3, "binding.added", nothing()).await;
    // The next tries come when the test's clock says so.
    eventually("it is taken", async || {
        world.pass(30);
        world.backlog(NATS_LINE).await.waiting == 0
            && outbox.gauges().lines[NATS_LINE]
                .taken
                .load(Ordering::Relaxed)
                == 2
    })
    .await;
    assert_eq!(versions_of(&broker.messages().await, "u1"), [2, 3]);
    // The broker is never given up.
    assert_eq!(
        outbox.gauges().lines[NATS_LINE]
            .dead
            .load(Ordering::Relaxed),
        0
    );
    outbox.stop(Duration::from_secs(20)).await;
}
