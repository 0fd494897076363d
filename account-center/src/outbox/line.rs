//! One receiver's worker: writes its deliveries down, claims streams, sends them. Each receiver has its own, so that a slow one costs the others nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::event::Body;
use super::schedule::{self, Fate, Tried, URGENT_FOR};
use super::sink::{NATS_LINE, Outcome, Outgoing, Sink};
use super::{Inner, Kinds, LineGauges, count, stopped};
use crate::context::Timestamp;
use crate::store::deliveries::{self, Claim, Failed, Lease, Next};
use crate::store::outbox::{self as rows, LineRow, SESSION_ENDED};
use crate::store::{StoreError, Tx};

/// Events whose deliveries are written down in one transaction.
const FANNED_AT_A_TIME: i64 = 200;
/// Beyond one try's time limit: for the database, and for clocks that differ.
const LEASE_SPARE: Duration = Duration::from_secs(20);
/// Streams of ended sessions that are sent beside all others, so that they wait for nobody.
const URGENT_LANES: usize = 4;
/// Events of one stream before the others get their turn.
const TURN: usize = 50;
/// Between two looks, shortly after work; and when there was none for a while.
const SOON: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(1);
/// Between two notes that a line takes events, and two looks at how much it has before it.
const NOTING: Duration = Duration::from_mins(1);
const SAMPLING: Duration = Duration::from_secs(10);

/// A receiver.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) gauges: Arc<LineGauges>,
    pub(super) wake: Notify,
    kinds: Kinds,
    sink: Arc<dyn Sink>,
    lanes: Arc<Semaphore>,
    urgent_lanes: Arc<Semaphore>,
    noted_at: AtomicI64,
}

impl Line {
    pub(super) fn new(name: &str, kinds: Kinds, concurrency: usize, sink: Arc<dyn Sink>) -> Self {
        Self {
            name: name.to_owned(),
            gauges: Arc::default(),
            wake: Notify::new(),
            kinds,
            sink,
            lanes: Arc::new(Semaphore::new(concurrency)),
            urgent_lanes: Arc::new(Semaphore::new(URGENT_LANES)),
            noted_at: AtomicI64::new(i64::MIN),
        }
    }

    fn lanes(&self, urgent: bool) -> &Arc<Semaphore> {
        if urgent {
            &self.urgent_lanes
        } else {
            &self.lanes
        }
    }
}

/// Until `stop`, and until what is under way then is done.
pub(super) async fn run(line: Arc<Line>, outbox: Arc<Inner>, mut stop: watch::Receiver<bool>) {
    let mut work = JoinSet::new();
    let mut pause = SOON;
    let mut registered = false;
    let mut sampled_at = None::<tokio::time::Instant>;
    while !*stop.borrow() {
        let looked = async {
            if !registered {
                register(&line, &outbox).await?;
                registered = true;
            }
            if sampled_at.is_none_or(|at| at.elapsed() >= SAMPLING) {
                sample(&line, &outbox).await?;
                sampled_at = Some(tokio::time::Instant::now());
            }
            look(&line, &outbox, &mut work, &stop).await
        };
        match looked.await {
            Ok(true) => pause = SOON,
            Ok(false) => pause = (pause * 2).min(IDLE),
            Err(error) => {
                tracing::warn!(line = line.name, %error, "events could not be taken from the outbox; tried again in a second");
                pause = IDLE;
            }
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = line.wake.notified() => {}
            Some(_) = work.join_next(), if !work.is_empty() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while work.join_next().await.is_some() {}
}

async fn register(line: &Line, outbox: &Inner) -> Result<(), StoreError> {
    let (name, now) = (line.name.clone(), outbox.context.now());
    outbox
        .store
        .write(move |tx| {
            let name = name.clone();
            Box::pin(async move { rows::register_line(tx, &name, now).await })
        })
        .await
}

async fn sample(line: &Line, outbox: &Inner) -> Result<(), StoreError> {
    let name = line.name.clone();
    let backlog = outbox
        .store
        .read(move |tx| {
            let name = name.clone();
            Box::pin(async move { deliveries::backlog(tx, &name).await })
        })
        .await?;
    let lag = backlog
        .oldest_at
        .map_or(0, |at| at.seconds_until(outbox.context.now()));
    let gauges = &line.gauges;
    gauges.waiting.store(
        u64::try_from(backlog.waiting).unwrap_or(0),
        Ordering::Relaxed,
    );
    gauges.lag_seconds.store(lag, Ordering::Relaxed);
    Ok(())
}

/// Writes down what is new and begins what is due; whether there was any of it.
async fn look(
    line: &Arc<Line>,
    outbox: &Arc<Inner>,
    work: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> Result<bool, StoreError> {
    let now = outbox.context.now();
    let name = line.name.clone();
    let (row, last_position, due) = outbox
        .store
        .read(move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let row = rows::line(tx, &name).await?;
                let (last, _) = rows::range(tx).await?;
                let due = deliveries::any_due(tx, &name, now).await?;
                Ok::<_, StoreError>((row, last, due))
            })
        })
        .await?;
    let Some(row) = row else {
        // Forgotten from the command line while we run: it is a new line from now on.
        register(line, outbox).await?;
        return Ok(true);
    };
    line.gauges
        .disabled
        .store(row.disabled_at.is_some(), Ordering::Relaxed);
    if row.disabled_at.is_some() {
        return Ok(false);
    }
    let mut busy = false;
    let mut fresh = false;
    if row.fanned_to < last_position {
        fresh = write_down(line, outbox, row.fanned_to).await?;
        busy = true;
        // There may be more: look again at once.
        line.wake.notify_one();
    }
    if row.held_until > now {
        return Ok(busy);
    }
    for urgent in [true, false] {
        if due || fresh {
            busy |= begin(line, outbox, urgent, work, stop).await?;
        }
    }
    Ok(busy)
}

/// The line's events among the next ones become deliveries; whether there was any.
async fn write_down(line: &Arc<Line>, outbox: &Inner, from: i64) -> Result<bool, StoreError> {
    let (line, now) = (Arc::clone(line), outbox.context.now());
    outbox
        .store
        .write(move |tx| {
            let line = Arc::clone(&line);
            Box::pin(async move { fan_out(tx, &line, from, now).await })
        })
        .await
}

async fn fan_out(tx: &mut Tx, line: &Line, from: i64, now: Timestamp) -> Result<bool, StoreError> {
    let events = rows::after(tx, from, FANNED_AT_A_TIME).await?;
    let Some(last) = events.last() else {
        return Ok(false);
    };
    if !rows::advance_line(tx, &line.name, from, last.position).await? {
        return Ok(true);
    }
    let mut any = false;
    for event in events.iter().filter(|event| line.kinds.take(&event.kind)) {
        any = true;
        let previous = rows::previous_version(tx, event, |kind| line.kinds.take(kind)).await?;
        let urgent = event.kind == SESSION_ENDED;
        deliveries::insert(tx, &line.name, event, previous, urgent, now).await?;
    }
    Ok(any)
}

/// Claims as many streams as there are free lanes, and begins to send them.
async fn begin(
    line: &Arc<Line>,
    outbox: &Arc<Inner>,
    urgent: bool,
    work: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> Result<bool, StoreError> {
    let mut free: Vec<OwnedSemaphorePermit> = Vec::new();
    while let Ok(permit) = Arc::clone(line.lanes(urgent)).try_acquire_owned() {
        free.push(permit);
    }
    let limit = i64::try_from(free.len()).unwrap_or(0);
    if limit == 0 {
        return Ok(false);
    }
    let lease = new_lease(line, outbox);
    let (name, leasing) = (line.name.clone(), lease.clone());
    let claims = outbox
        .store
        .write(move |tx| {
            let (name, lease) = (name.clone(), leasing.clone());
            Box::pin(async move { deliveries::claim(tx, &name, urgent, &lease, limit).await })
        })
        .await?;
    let any = !claims.is_empty();
    for claim in claims {
        let Some(permit) = free.pop() else { break };
        let stream = Stream {
            line: Arc::clone(line),
            outbox: Arc::clone(outbox),
            stop: stop.clone(),
            token: lease.token.clone(),
        };
        work.spawn(async move {
            stream.send(claim).await;
            // The lane is free before the worker looks again.
            drop(permit);
        });
    }
    Ok(any)
}

fn new_lease(line: &Line, outbox: &Inner) -> Lease {
    let now = outbox.context.now();
    Lease {
        token: outbox.context.token128(),
        now,
        until: now.plus(line.sink.time_limit() + LEASE_SPARE),
    }
}

/// A stream that is leased to us.
struct Stream {
    line: Arc<Line>,
    outbox: Arc<Inner>,
    stop: watch::Receiver<bool>,
    token: String,
}

impl Stream {
    /// Sends the stream's events in their order, until one fails, none is due, or it is others' turn.
    async fn send(&self, first: Claim) {
        let mut next = Some(first);
        let mut sent = 0;
        while let Some(claim) = next.take() {
            let done = if *self.stop.borrow() || sent >= TURN || self.is_late(&claim) {
                self.release(&claim).await.map(|()| None)
            } else {
                sent += 1;
                self.try_once(claim).await
            };
            match done {
                Ok(Some(claim)) => next = Some(claim),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(line = self.line.name, %error, "what became of a webhook could not be written down; it is sent again when its lease ends");
                }
            }
        }
    }

    /// So little is left of the lease that another could send meanwhile.
    fn is_late(&self, claim: &Claim) -> bool {
        self.outbox.context.now().plus(self.line.sink.time_limit()) >= claim.lease_until
    }

    async fn try_once(&self, claim: Claim) -> Result<Option<Claim>, StoreError> {
        let (line, context) = (&self.line, &self.outbox.context);
        if claim.urgent && claim.event.at.plus(URGENT_FOR) < context.now() {
            count(&line.gauges.moot);
            return self.settle(claim).await;
        }
        let outgoing = Outgoing {
            id: &claim.event.event_id,
            kind: &claim.event.kind,
            body: Body::of(&claim.event, claim.previous_version)?.to_bytes(),
            at: context.now(),
        };
        let limit = line.sink.time_limit();
        let outcome = tokio::time::timeout(limit, line.sink.send(&outgoing))
            .await
            .unwrap_or_else(|_| Outcome::failed("no reply within the time limit"));
        match outcome {
            Outcome::Taken => {
                count(&line.gauges.taken);
                tracing::debug!(
                    line = line.name,
                    event = claim.event.event_id,
                    kind = claim.event.kind,
                    milliseconds = context.now().millis() - claim.event.at.millis(),
                    "delivered"
                );
                self.note_taken().await;
                self.settle(claim).await
            }
            // Counted once it is written down.
            Outcome::Gone => {
                self.disable(&claim, "it answered 410 Gone").await?;
                count(&line.gauges.failed);
                Ok(None)
            }
            Outcome::Failed { why, retry_after } => {
                let next = self.failed(claim, &why, retry_after).await?;
                count(&line.gauges.failed);
                Ok(next)
            }
        }
    }

    fn lease(&self) -> Lease {
        Lease {
            token: self.token.clone(),
            ..new_lease(&self.line, &self.outbox)
        }
    }

    /// The delivery is done with; the next one of the stream, if it can be sent.
    async fn settle(&self, claim: Claim) -> Result<Option<Claim>, StoreError> {
        let (name, lease, claim) = (self.line.name.clone(), self.lease(), Arc::new(claim));
        let next = self
            .outbox
            .store
            .write(move |tx| {
                let (name, lease, claim) = (name.clone(), lease.clone(), Arc::clone(&claim));
                Box::pin(async move { deliveries::settle(tx, &name, &claim, &lease).await })
            })
            .await?;
        Ok(match next {
            Next::Goes(claim) => Some(*claim),
            Next::Ends => None,
            Next::Lost => {
                tracing::warn!(
                    line = self.line.name,
                    "a webhook took longer than its lease; it is sent again"
                );
                None
            }
        })
    }

    async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        let (name, lease, claim) = (
            self.line.name.clone(),
            self.lease(),
            Arc::new(claim.clone()),
        );
        self.outbox
            .store
            .write(move |tx| {
                let (name, lease, claim) = (name.clone(), lease.clone(), Arc::clone(&claim));
                Box::pin(async move { deliveries::release(tx, &name, &claim, &lease).await })
            })
            .await
    }

    async fn failed(
        &self,
        claim: Claim,
        why: &str,
        retry_after: Option<Duration>,
    ) -> Result<Option<Claim>, StoreError> {
        let context = &self.outbox.context;
        let now = context.now();
        let random = u32::from_be_bytes(context.bytes::<4>());
        let first_at = claim.first_tried_at.unwrap_or(now);
        let fate = self.line.sink.schedule(claim.urgent).after(Tried {
            tries: u32::try_from(claim.attempts + 1).unwrap_or(u32::MAX),
            first_at,
            now,
            retry_after,
            jitter: f64::from(random) / f64::from(u32::MAX),
        });
        tracing::info!(
            line = self.line.name,
            event = claim.event.event_id,
            tries = claim.attempts + 1,
            why,
            ?fate,
            "a webhook was not taken"
        );
        let due_at = match fate {
            Fate::Moot => {
                count(&self.line.gauges.moot);
                return self.settle(claim).await;
            }
            Fate::Again(due) => Some(due),
            Fate::Dead => None,
        };
        let position = claim.event.position;
        let held = retry_after.map(|retry_after| schedule::hold(now, retry_after));
        let (name, lease, claim) = (self.line.name.clone(), self.lease(), Arc::new(claim));
        let why: Arc<str> = why.into();
        let disabled = self
            .outbox
            .store
            .write(move |tx| {
                let (name, lease, claim) = (name.clone(), lease.clone(), Arc::clone(&claim));
                let why = Arc::clone(&why);
                Box::pin(async move {
                    let failed = Failed {
                        due_at,
                        why: &why,
                        counts: true,
                    };
                    deliveries::put_back(tx, &name, &claim, &lease, &failed).await?;
                    if let Some(until) = held {
                        rows::hold_line(tx, &name, until).await?;
                    }
                    let line = rows::line(tx, &name).await?;
                    if due_at.is_none() && line.is_some_and(|line| took_nothing(&line, first_at)) {
                        return rows::disable_line(
                            tx,
                            &name,
                            "it took nothing for three days",
                            now,
                        )
                        .await;
                    }
                    Ok::<_, StoreError>(false)
                })
            })
            .await?;
        if due_at.is_none() {
            count(&self.line.gauges.dead);
            tracing::warn!(
                line = self.line.name,
                position,
                "a dead letter: its account waits until somebody says `outbox retry` or `outbox skip`"
            );
        }
        if disabled {
            self.say_disabled("it took nothing for three days");
        }
        Ok(None)
    }

    /// Nothing more is sent; the delivery stays, and this try does not count.
    async fn disable(&self, claim: &Claim, reason: &'static str) -> Result<(), StoreError> {
        let (name, lease, claim) = (
            self.line.name.clone(),
            self.lease(),
            Arc::new(claim.clone()),
        );
        let disabled = self
            .outbox
            .store
            .write(move |tx| {
                let (name, lease, claim) = (name.clone(), lease.clone(), Arc::clone(&claim));
                Box::pin(async move {
                    let failed = Failed {
                        due_at: Some(lease.now),
                        why: reason,
                        counts: false,
                    };
                    deliveries::put_back(tx, &name, &claim, &lease, &failed).await?;
                    rows::disable_line(tx, &name, reason, lease.now).await
                })
            })
            .await?;
        if disabled {
            self.say_disabled(reason);
        }
        Ok(())
    }

    fn say_disabled(&self, reason: &str) {
        self.line.gauges.disabled.store(true, Ordering::Relaxed);
        tracing::warn!(
            line = self.line.name,
            reason,
            "nothing more is sent to this business line until somebody says `outbox enable`"
        );
    }

    /// Once a minute; a failure to write it down harms nobody.
    async fn note_taken(&self) {
        let now = self.outbox.context.now();
        let noted_at = &self.line.noted_at;
        let before = noted_at.load(Ordering::Relaxed);
        if self.line.name == NATS_LINE
            || now.millis() < before.saturating_add(millis(NOTING))
            || noted_at
                .compare_exchange(before, now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let name = self.line.name.clone();
        let noted = self
            .outbox
            .store
            .write(move |tx| {
                let name = name.clone();
                Box::pin(async move { rows::line_took(tx, &name, now).await })
            })
            .await;
        if let Err(error) = noted {
            tracing::debug!(line = self.line.name, %error, "not noted that the line takes events");
        }
    }
}

fn took_nothing(line: &LineRow, since: Timestamp) -> bool {
    line.last_taken_at.is_none_or(|taken| taken < since)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
