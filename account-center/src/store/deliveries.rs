//! `outbox_deliveries`: what a business line has not taken yet. Whoever leases the lowest place of a stream has the whole stream, as the others of it wait.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::outbox::EventRow;
use super::{StoreError, Tx};
use crate::context::Timestamp;

/// An event to be sent to a line, leased to whoever holds this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The event.
    pub event: EventRow,
    /// The version of the account's event before it that this line takes.
    pub previous_version: Option<i64>,
    /// An ended session.
    pub urgent: bool,
    /// Tries so far.
    pub attempts: i64,
    /// When it was first tried.
    pub first_tried_at: Option<Timestamp>,
    /// From then on others may take it.
    pub lease_until: Timestamp,
}

impl Claim {
    fn read(row: &AnyRow, lease_until: Timestamp) -> Result<Self, sqlx::Error> {
        Ok(Self {
            event: EventRow::read(row)?,
            previous_version: row.try_get(7)?,
            urgent: row.try_get::<i64, usize>(8)? != 0,
            attempts: row.try_get(9)?,
            first_tried_at: row
                .try_get::<Option<i64>, usize>(10)?
                .map(Timestamp::from_millis),
            lease_until,
        })
    }
}

/// A lease for a number of streams.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Says who: 128 random bits for each.
    pub token: String,
    /// From when.
    pub now: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// Writes down that an event is to be sent to a line.
pub async fn insert(
    tx: &mut Tx,
    line_id: &str,
    event: &EventRow,
    previous_version: Option<i64>,
    urgent: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outbox_deliveries (line_id, position, stream, urgent, previous_version, attempts, due_at, lease_until) VALUES ($1, $2, $3, $4, $5, 0, $6, 0)",
    )
    .bind(line_id)
    .bind(event.position)
    .bind(&event.stream)
    .bind(i64::from(urgent))
    .bind(previous_version)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

// A locked row is being claimed by another account center: the next one is as good. SQLite has one writer, so nothing is ever locked there.
const CLAIM: &str = "SELECT d.position FROM outbox_deliveries d WHERE d.line_id = $1 AND d.urgent = $2 AND d.dead_at IS NULL AND d.due_at <= $3 AND d.lease_until <= $3 \
     AND NOT EXISTS (SELECT 1 FROM outbox_deliveries e WHERE e.line_id = d.line_id AND e.stream = d.stream AND e.position < d.position) \
     ORDER BY d.due_at, d.position LIMIT $4";
const CLAIM_SKIPPING: &str = "SELECT d.position FROM outbox_deliveries d WHERE d.line_id = $1 AND d.urgent = $2 AND d.dead_at IS NULL AND d.due_at <= $3 AND d.lease_until <= $3 \
     AND NOT EXISTS (SELECT 1 FROM outbox_deliveries e WHERE e.line_id = d.line_id AND e.stream = d.stream AND e.position < d.position) \
     ORDER BY d.due_at, d.position LIMIT $4 FOR UPDATE SKIP LOCKED";

/// Leases at most `limit` streams of a line that have something due, by their first events.
pub async fn claim(
    tx: &mut Tx,
    line_id: &str,
    urgent: bool,
    lease: &Lease,
    limit: i64,
) -> Result<Vec<Claim>, StoreError> {
    let sql = if tx.locks_rows() {
        CLAIM_SKIPPING
    } else {
        CLAIM
    };
    let rows = sqlx::query(sql)
        .bind(line_id)
        .bind(i64::from(urgent))
        .bind(lease.now.millis())
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
    let mut claims = Vec::with_capacity(rows.len());
    for row in &rows {
        claims.extend(take(tx, line_id, row.try_get(0)?, lease).await?);
    }
    Ok(claims)
}

/// Leases one delivery that nobody else holds.
async fn take(
    tx: &mut Tx,
    line_id: &str,
    position: i64,
    lease: &Lease,
) -> Result<Option<Claim>, StoreError> {
    let leased = sqlx::query(
        "UPDATE outbox_deliveries SET lease = $3, lease_until = $4 WHERE line_id = $1 AND position = $2 AND lease_until <= $5",
    )
    .bind(line_id)
    .bind(position)
    .bind(&lease.token)
    .bind(lease.until.millis())
    .bind(lease.now.millis())
    .execute(&mut *tx)
    .await?;
    if leased.rows_affected() == 0 {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT o.position, o.event_id, o.user_id, o.version, o.kind, o.payload, o.created_at, d.previous_version, d.urgent, d.attempts, d.first_tried_at \
         FROM outbox_deliveries d JOIN outbox o ON o.position = d.position WHERE d.line_id = $1 AND d.position = $2",
    )
    .bind(line_id)
    .bind(position)
    .fetch_optional(tx)
    .await?;
    let row = row.ok_or(StoreError::Corrupt("a delivery of no event"))?;
    Ok(Some(Claim::read(&row, lease.until)?))
}

/// What is next after a delivery was taken or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The stream goes on, under the same lease.
    Goes(Box<Claim>),
    /// Nothing of the stream can be sent now.
    Ends,
    /// The lease was over, and another has it: what was sent is sent again.
    Lost,
}

/// The delivery is done with. Leases the next one of its stream.
pub async fn settle(
    tx: &mut Tx,
    line_id: &str,
    claim: &Claim,
    lease: &Lease,
) -> Result<Next, StoreError> {
    let gone = sqlx::query(
        "DELETE FROM outbox_deliveries WHERE line_id = $1 AND position = $2 AND lease = $3",
    )
    .bind(line_id)
    .bind(claim.event.position)
    .bind(&lease.token)
    .execute(&mut *tx)
    .await?;
    if gone.rows_affected() == 0 {
        return Ok(Next::Lost);
    }
    let row = sqlx::query(
        "SELECT position, dead_at, due_at FROM outbox_deliveries WHERE line_id = $1 AND stream = $2 ORDER BY position LIMIT 1",
    )
    .bind(line_id)
    .bind(&claim.event.stream)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        return Ok(Next::Ends);
    };
    let dead = row.try_get::<Option<i64>, usize>(1)?.is_some();
    if dead || row.try_get::<i64, usize>(2)? > lease.now.millis() {
        return Ok(Next::Ends);
    }
    let next = take(tx, line_id, row.try_get(0)?, lease).await?;
    Ok(next.map_or(Next::Ends, |next| Next::Goes(Box::new(next))))
}

/// What becomes of a delivery that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed<'a> {
    /// When it is tried again; `None`: never by itself (a dead letter).
    pub due_at: Option<Timestamp>,
    /// Why, for people: no address, no secret, nothing of the person's.
    pub why: &'a str,
    /// It was tried now; otherwise the try does not count.
    pub counts: bool,
}

/// Puts a delivery back; `false` where the lease is another's by now.
pub async fn put_back(
    tx: &mut Tx,
    line_id: &str,
    claim: &Claim,
    lease: &Lease,
    failed: &Failed<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox_deliveries SET attempts = attempts + $4, first_tried_at = COALESCE(first_tried_at, $5), due_at = $6, dead_at = $7, last_failure = $8, \
         lease = NULL, lease_until = 0 WHERE line_id = $1 AND position = $2 AND lease = $3",
    )
    .bind(line_id)
    .bind(claim.event.position)
    .bind(&lease.token)
    .bind(i64::from(failed.counts))
    .bind(failed.counts.then_some(lease.now.millis()))
    .bind(failed.due_at.unwrap_or(lease.now).millis())
    .bind(failed.due_at.is_none().then_some(lease.now.millis()))
    .bind(failed.why)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a lease back without a try.
pub async fn release(
    tx: &mut Tx,
    line_id: &str,
    claim: &Claim,
    lease: &Lease,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE outbox_deliveries SET lease = NULL, lease_until = 0 WHERE line_id = $1 AND position = $2 AND lease = $3",
    )
    .bind(line_id)
    .bind(claim.event.position)
    .bind(&lease.token)
    .execute(tx)
    .await?;
    Ok(())
}

/// How much a line has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that it has not taken, dead letters included.
    pub waiting: i64,
    /// Dead letters.
    pub dead: i64,
    /// When the oldest of those that wait happened.
    pub oldest_at: Option<Timestamp>,
}

/// How much a line has before it, as far as deliveries are written down.
pub async fn backlog(tx: &mut Tx, line_id: &str) -> Result<Backlog, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*), COUNT(dead_at), MIN(position) FROM outbox_deliveries WHERE line_id = $1",
    )
    .bind(line_id)
    .fetch_one(&mut *tx)
    .await?;
    let oldest = match row.try_get::<Option<i64>, usize>(2)? {
        None => None,
        Some(position) => sqlx::query("SELECT created_at FROM outbox WHERE position = $1")
            .bind(position)
            .fetch_optional(tx)
            .await?
            .map(|row| row.try_get::<i64, usize>(0))
            .transpose()?,
    };
    Ok(Backlog {
        waiting: row.try_get(0)?,
        dead: row.try_get(1)?,
        oldest_at: oldest.map(Timestamp::from_millis),
    })
}

/// A dead letter, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event's place.
    pub position: i64,
    /// The account.
    pub stream: String,
    /// What happened.
    pub kind: String,
    /// Tries.
    pub attempts: i64,
    /// The last failure.
    pub last_failure: String,
    /// When it was given up.
    pub dead_at: Timestamp,
}

/// A line's dead letters, oldest first, at most 100.
pub async fn dead_letters(tx: &mut Tx, line_id: &str) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.position, d.stream, o.kind, d.attempts, d.last_failure, d.dead_at FROM outbox_deliveries d JOIN outbox o ON o.position = d.position \
         WHERE d.line_id = $1 AND d.dead_at IS NOT NULL ORDER BY d.position LIMIT 100",
    )
    .bind(line_id)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(DeadLetter {
                position: row.try_get(0)?,
                stream: row.try_get(1)?,
                kind: row.try_get(2)?,
                attempts: row.try_get(3)?,
                last_failure: row.try_get::<Option<String>, usize>(4)?.unwrap_or_default(),
                dead_at: Timestamp::from_millis(row.try_get(5)?),
            })
        })
        .collect()
}

/// Tries a line's dead letters again, all or one, with a new three days; says how many.
pub async fn retry_dead(
    tx: &mut Tx,
    line_id: &str,
    position: Option<i64>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox_deliveries SET dead_at = NULL, attempts = 0, first_tried_at = NULL, due_at = $3 \
         WHERE line_id = $1 AND dead_at IS NOT NULL AND (position = $2 OR $2 = 0)",
    )
    .bind(line_id)
    .bind(position.unwrap_or(0))
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

/// Gives a dead letter up, so that its account goes on without it; the line finds the gap by `previous_version`. `false`: no such dead letter.
pub async fn skip_dead(tx: &mut Tx, line_id: &str, position: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "DELETE FROM outbox_deliveries WHERE line_id = $1 AND position = $2 AND dead_at IS NOT NULL",
    )
    .bind(line_id)
    .bind(position)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether anything of a line may be due: cheap, and right when it says no.
pub async fn any_due(tx: &mut Tx, line_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT position FROM outbox_deliveries WHERE line_id = $1 AND urgent IN (0, 1) AND dead_at IS NULL AND due_at <= $2 AND lease_until <= $2 LIMIT 1",
    )
    .bind(line_id)
    .bind(now.millis())
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}
