//! Tells business lines what happened to accounts (W6), and which sessions ended (contract/webhooks.md).
//!
//! 1. Whoever changes an account writes an event in the same transaction (`identity::Changes::announce`, `store::sessions::end`).
//! 2. `places`: one lease holder gives committed events their places in one order, which replays follow.
//! 3. `line`: for each business line, the events of its kinds become deliveries. Of each stream (an account, an ended session) only the lowest one is ever
//!    sent, under a lease, so streams go side by side and each in its order, whatever the number of account centers.
//! 4. `webhook`, `nats`: how one event is sent.
//!
//! At least once: a delivery is deleted after it was taken, so a crash in between sends it again, under the same id.

mod event;
mod hosts;
mod line;
mod nats;
mod places;
mod replay;
mod schedule;
mod sink;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_server_security::webhook::{WebhookSecret, WebhookSigningKey};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::context::{Context, Timestamp};
use crate::keys::Keys;
use crate::secret::SecretText;
use crate::store::{Store, StoreError, outbox as rows};

pub use hosts::{check as check_host, is_public};
pub use replay::ReplayRequest;
pub(crate) use replay::{MOST, Replayed, USUAL};
pub use sink::NATS_LINE;

use line::Line;

/// Rows that one transaction of the retention deletes.
const SWEPT_AT_A_TIME: i64 = 200;

/// Which kinds of events a line takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(Vec<String>);

impl Kinds {
    /// Names of kinds, or `binding.*` for all that begin so. Of none: every kind.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether the line takes events of this kind.
    pub fn take(&self, kind: &str) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|name| match name.strip_suffix('*') {
                Some(beginning) => kind.starts_with(beginning),
                None => name == kind,
            })
    }
}

/// A business line.
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// Where its webhooks go; `None`: it only asks for events itself.
    pub url: Option<Url>,
    /// What webhooks are signed with, and its own requests: the present secret, and the one before while it is exchanged.
    pub secrets: Vec<WebhookSecret>,
    /// Signs with Ed25519 too.
    pub signing_key: Option<Arc<WebhookSigningKey>>,
    /// What it takes.
    pub kinds: Kinds,
    /// For one webhook: connecting, sending, the reply.
    pub time_limit: Duration,
    /// Webhooks under way at a time.
    pub concurrency: usize,
}

/// NATS `JetStream`.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// `nats://` or `tls://`, several separated by commas.
    pub url: String,
    /// The content of a credentials file.
    pub credentials: Option<SecretText>,
    /// A token, where the server wants that.
    pub token: Option<SecretText>,
    /// A stream to make where it is missing; `None`: somebody else makes one that takes `postern.events.>`.
    pub stream: Option<String>,
}

/// What is told to whom.
#[derive(Clone, Debug, Default)]
pub struct OutboxSettings {
    /// How long events are kept that every line has taken.
    pub retention: Duration,
    /// Hosts of lines that may have private addresses.
    pub private_hosts: BTreeSet<String>,
    /// The business lines, by name.
    pub lines: BTreeMap<String, LineSettings>,
    /// The broker, if there is one.
    pub nats: Option<NatsSettings>,
}

/// What a line's worker counts, since the process began; the last two are as of a moment ago.
#[derive(Debug, Default)]
pub struct LineGauges {
    /// Events taken.
    pub taken: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Deliveries given up after the last try: dead letters.
    pub dead: AtomicU64,
    /// Ended sessions that were too old to be told.
    pub moot: AtomicU64,
    /// Nothing is sent, until somebody enables the line.
    pub disabled: AtomicBool,
    /// Events that the line has not taken, dead letters included.
    pub waiting: AtomicU64,
    /// Seconds since the oldest of them happened.
    pub lag_seconds: AtomicU64,
}

/// What the outbox counts, for `/metrics`.
#[derive(Debug, Default)]
pub struct OutboxGauges {
    /// Events that this process gave places.
    pub placed: AtomicU64,
    /// Events whose predecessor is not in the database: a row was lost. Never anything but 0 in health.
    pub gaps: AtomicU64,
    /// Each line, the broker as [`NATS_LINE`].
    pub lines: BTreeMap<String, Arc<LineGauges>>,
}

/// The outbox cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("business line {line}: {wrong}")]
pub struct OutboxError {
    line: String,
    wrong: String,
}

/// The outbox of this process. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox")
    }
}

/// What the tasks of the outbox share.
struct Inner {
    store: Store,
    context: Context,
    keys: Arc<Keys>,
    settings: OutboxSettings,
    gauges: OutboxGauges,
    lines: Vec<Arc<Line>>,
    running: Mutex<Option<Tasks>>,
}

struct Tasks {
    stop: watch::Sender<bool>,
    set: JoinSet<()>,
}

impl Outbox {
    /// Prepares lines and sinks; nothing is sent before [`Outbox::start`]. `proxy` is the way out for hosts that are not private.
    pub fn new(
        settings: OutboxSettings,
        store: Store,
        context: Context,
        keys: Arc<Keys>,
        proxy: Option<&Url>,
    ) -> Result<Self, OutboxError> {
        let mut lines = Vec::new();
        for (name, line) in &settings.lines {
            if let Some(url) = &line.url {
                let sink = webhook::WebhookSink::new(url, line, &settings.private_hosts, proxy)
                    .map_err(|wrong| OutboxError {
                        line: name.clone(),
                        wrong,
                    })?;
                lines.push(Arc::new(Line::new(
                    name,
                    line.kinds.clone(),
                    line.concurrency,
                    Arc::new(sink),
                )));
            }
        }
        if let Some(nats) = &settings.nats {
            let sink = nats::NatsSink::new(nats.clone());
            let concurrency = nats::CONCURRENCY;
            lines.push(Arc::new(Line::new(
                NATS_LINE,
                Kinds::default(),
                concurrency,
                Arc::new(sink),
            )));
        }
        let gauges = OutboxGauges {
            lines: lines
                .iter()
                .map(|line| (line.name.clone(), Arc::clone(&line.gauges)))
                .collect(),
            ..OutboxGauges::default()
        };
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                context,
                keys,
                settings,
                gauges,
                lines,
                running: Mutex::new(None),
            }),
        })
    }

    /// Begins to give places and to send. A second call does nothing.
    pub fn start(&self) {
        let mut running = self.running();
        if running.is_some() {
            return;
        }
        let (stop, stopped) = watch::channel(false);
        let mut set = JoinSet::new();
        set.spawn(places::run(Arc::clone(&self.inner), stopped.clone()));
        for line in &self.inner.lines {
            set.spawn(line::run(
                Arc::clone(line),
                Arc::clone(&self.inner),
                stopped.clone(),
            ));
        }
        *running = Some(Tasks { stop, set });
    }

    /// Sends nothing new, waits for what is under way and marks it, and gives all leases back: at most `limit` long.
    pub async fn stop(&self, limit: Duration) {
        let Some(mut tasks) = self.running().take() else {
            return;
        };
        // The tasks may be gone by now.
        let _ = tasks.stop.send(true);
        let all = async { while tasks.set.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(
                "some webhooks took longer than the time for stopping; they are sent again when their leases end"
            );
        }
    }

    /// As after a kill: everything under way is dropped where it stands.
    #[doc(hidden)]
    pub async fn kill(&self) {
        let tasks = self.running().take();
        if let Some(mut tasks) = tasks {
            tasks.set.shutdown().await;
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Tasks>> {
        self.inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is counted.
    pub fn gauges(&self) -> &OutboxGauges {
        &self.inner.gauges
    }

    /// Deletes events of which nobody will ask any more, batch after batch, and says how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.minus(self.inner.settings.retention);
        let mut gone = 0;
        loop {
            let deleted = self
                .inner
                .store
                .write(move |tx| Box::pin(rows::delete_old(tx, before, SWEPT_AT_A_TIME)))
                .await?;
            gone += deleted;
            if deleted == 0 {
                return Ok(gone);
            }
        }
    }
}

impl Inner {
    /// Whoever waits for events looks again.
    fn wake_lines(&self) {
        for line in &self.lines {
            line.wake.notify_one();
        }
    }
}

/// One more.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Returns once the outbox is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error is the sender's end, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_the_kinds_it_names_or_all() {
        let kinds = |names: &[&str]| Kinds::new(names.iter().map(|&name| name.into()).collect());
        assert!(kinds(&[]).take("user_id.replaced"));
        let some = kinds(&["user_id.replaced", "binding.*"]);
        for (kind, taken) in [
            ("user_id.replaced", true),
            ("account.created", false),
            ("binding.added", true),
            ("bindings", false),
            ("session.ended", false),
        ] {
            assert_eq!(some.take(kind), taken, "{kind}");
        }
    }
}
