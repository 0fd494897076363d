//! `outbox_places`, `outbox_lines`, and `outbox` once it is written: the one order of all events, what each business line has of it, retention.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// Accounts whose events get places in one transaction.
const STREAMS_A_TIME: i64 = 100;
/// Events that get places in one transaction.
const EVENTS_A_TIME: i64 = 400;
/// Events that are looked at to find the one before, of the kinds that a line takes.
const LOOK_BACK: i64 = 64;

/// Accounts begin at version 1, and their first event is version 2 (`store/accounts.rs`).
const FIRST_VERSION: i64 = 2;

/// The kind of an ended session's event. Its stream is the session, not the account: it waits for nothing else and nothing waits for it.
pub const SESSION_ENDED: &str = "session.ended";

/// An event that has its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its place in the one order of all events.
    pub position: i64,
    /// A `UUIDv7`: the webhook's id.
    pub event_id: String,
    /// The account; for [`SESSION_ENDED`] the session.
    pub stream: String,
    /// Counts within the stream.
    pub version: i64,
    /// What happened.
    pub kind: String,
    /// JSON.
    pub payload: String,
    /// When.
    pub at: Timestamp,
}

impl EventRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: row.try_get(0)?,
            event_id: row.try_get(1)?,
            stream: row.try_get(2)?,
            version: row.try_get(3)?,
            kind: row.try_get(4)?,
            payload: row.try_get(5)?,
            at: Timestamp::from_millis(row.try_get(6)?),
        })
    }
}

/// What came of giving places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// So many events have their places now; there may be more.
    Placed {
        /// Events that have their places now.
        events: usize,
        /// Events whose predecessor is not there: a row was lost.
        gaps: usize,
    },
    /// Another account center holds the lease.
    HeldByAnother,
}

/// Whether any event waits for its place.
pub async fn any_unplaced(tx: &mut Tx) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT event_id FROM outbox WHERE position IS NULL LIMIT 1")
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

/// Gives places to committed events, those of one account in the order of their versions. Whoever does it holds the lease, and the one row that all of them
/// update makes their transactions follow one another: who sees a place sees every lower one.
pub async fn place(
    tx: &mut Tx,
    holder: &str,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Placing, StoreError> {
    sqlx::query(
        "INSERT INTO outbox_places (name, last_position, deleted_to, lease_holder, lease_until) VALUES ('outbox', 0, 0, $1, 0) ON CONFLICT (name) DO NOTHING",
    )
    .bind(holder)
    .execute(&mut *tx)
    .await?;
    let leased = sqlx::query(
        "UPDATE outbox_places SET lease_holder = $1, lease_until = $2 WHERE name = 'outbox' AND (lease_holder = $1 OR lease_until <= $3)",
    )
    .bind(holder)
    .bind(lease_until.millis())
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    if leased.rows_affected() == 0 {
        return Ok(Placing::HeldByAnother);
    }
    let mut position: i64 =
        sqlx::query("SELECT last_position FROM outbox_places WHERE name = 'outbox'")
            .fetch_one(&mut *tx)
            .await?
            .try_get(0)?;
    let rows = sqlx::query(
        "SELECT event_id, user_id, version, created_at, kind FROM outbox WHERE position IS NULL AND user_id IN \
         (SELECT user_id FROM outbox WHERE position IS NULL ORDER BY created_at LIMIT $1) ORDER BY user_id, version LIMIT $2",
    )
    .bind(STREAMS_A_TIME)
    .bind(EVENTS_A_TIME)
    .fetch_all(&mut *tx)
    .await?;
    let waiting = in_order(
        rows.iter()
            .map(|row| {
                Ok(Waiting {
                    event_id: row.try_get(0)?,
                    stream: row.try_get(1)?,
                    version: row.try_get(2)?,
                    at: row.try_get(3)?,
                    alone: row.try_get::<String, usize>(4)? == SESSION_ENDED,
                })
            })
            .collect::<Result<_, sqlx::Error>>()?,
    );
    let mut gaps = 0;
    for event in &waiting {
        position += 1;
        sqlx::query("UPDATE outbox SET position = $1, superseded = $2 WHERE event_id = $3")
            .bind(position)
            .bind(event.alone.then_some(1_i64))
            .bind(&event.event_id)
            .execute(&mut *tx)
            .await?;
        let before =
            sqlx::query("UPDATE outbox SET superseded = 1 WHERE user_id = $1 AND version = $2")
                .bind(&event.stream)
                .bind(event.version - 1)
                .execute(&mut *tx)
                .await?;
        if event.version > FIRST_VERSION && before.rows_affected() == 0 {
            gaps += 1;
        }
    }
    sqlx::query("UPDATE outbox_places SET last_position = $1 WHERE name = 'outbox'")
        .bind(position)
        .execute(tx)
        .await?;
    Ok(Placing::Placed {
        events: waiting.len(),
        gaps,
    })
}

struct Waiting {
    event_id: String,
    stream: String,
    version: i64,
    at: i64,
    /// The only event of its stream.
    alone: bool,
}

/// By time, but never a version before a lower one of its account: the clocks of two account centers may differ.
fn in_order(mut by_version: Vec<Waiting>) -> Vec<Waiting> {
    for n in 1..by_version.len() {
        let (before, rest) = by_version.split_at_mut(n);
        let (before, this) = (&before[n - 1], &mut rest[0]);
        if before.stream == this.stream {
            this.at = this.at.max(before.at);
        }
    }
    // Stable: equal times keep the order of versions.
    by_version.sort_by_key(|event| event.at);
    by_version
}

/// Gives the lease back, so that another account center need not wait for its end.
pub async fn release_places(tx: &mut Tx, holder: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE outbox_places SET lease_until = 0 WHERE name = 'outbox' AND lease_holder = $1",
    )
    .bind(holder)
    .execute(tx)
    .await?;
    Ok(())
}

/// Events after a place, in order.
pub async fn after(tx: &mut Tx, position: i64, limit: i64) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT position, event_id, user_id, version, kind, payload, created_at FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
    )
    .bind(position)
    .bind(limit)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(EventRow::read).collect::<Result<_, _>>()?)
}

/// The version of the account's event before this one that a line takes; `None` where there is none, or none is kept any more. Where the row before it is
/// missing, that row's version: nobody knows its kind, so every line is told of it, and will find that it never came.
pub async fn previous_version(
    tx: &mut Tx,
    event: &EventRow,
    takes: impl Fn(&str) -> bool,
) -> Result<Option<i64>, StoreError> {
    if event.kind == SESSION_ENDED {
        return Ok(None);
    }
    let rows = sqlx::query(
        "SELECT version, kind FROM outbox WHERE user_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
    )
    .bind(&event.stream)
    .bind(event.version)
    .bind(LOOK_BACK)
    .fetch_all(tx)
    .await?;
    let mut expected = event.version - 1;
    if rows.is_empty() && expected >= FIRST_VERSION {
        return Ok(Some(expected));
    }
    for row in &rows {
        let (version, kind): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        if version != expected || takes(&kind) {
            return Ok(Some(expected));
        }
        expected -= 1;
    }
    Ok(None)
}

/// The last place given, and the highest whose event is deleted; 0 where there is none.
pub async fn range(tx: &mut Tx) -> Result<(i64, i64), StoreError> {
    let row =
        sqlx::query("SELECT last_position, deleted_to FROM outbox_places WHERE name = 'outbox'")
            .fetch_optional(tx)
            .await?;
    match row {
        Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
        None => Ok((0, 0)),
    }
}

/// A line's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// Its name in the settings.
    pub line_id: String,
    /// The last place whose delivery is written down.
    pub fanned_to: i64,
    /// It asked to be left alone until then (Retry-After).
    pub held_until: Timestamp,
    /// When it last took an event, to the minute.
    pub last_taken_at: Option<Timestamp>,
    /// Since when nothing is sent.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub disabled_reason: Option<String>,
}

impl LineRow {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let instant = |index| {
            row.try_get::<Option<i64>, usize>(index)
                .map(|millis| millis.map(Timestamp::from_millis))
        };
        Ok(Self {
            line_id: row.try_get(0)?,
            fanned_to: row.try_get(1)?,
            held_until: Timestamp::from_millis(row.try_get(2)?),
            last_taken_at: instant(3)?,
            disabled_at: instant(4)?,
            disabled_reason: row.try_get(5)?,
        })
    }
}

/// Makes the line known; a new one gets what happens from now on.
pub async fn register_line(tx: &mut Tx, line_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let (last, _) = range(tx).await?;
    sqlx::query(
        "INSERT INTO outbox_lines (line_id, fanned_to, held_until, registered_at) VALUES ($1, $2, 0, $3) ON CONFLICT (line_id) DO NOTHING",
    )
    .bind(line_id)
    .bind(last)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// A line, if it is known.
pub async fn line(tx: &mut Tx, line_id: &str) -> Result<Option<LineRow>, StoreError> {
    let row = sqlx::query(
        "SELECT line_id, fanned_to, held_until, last_taken_at, disabled_at, disabled_reason FROM outbox_lines WHERE line_id = $1",
    )
    .bind(line_id)
    .fetch_optional(tx)
    .await?;
    Ok(row.as_ref().map(LineRow::read).transpose()?)
}

/// Every line that was ever registered and not forgotten.
pub async fn lines(tx: &mut Tx) -> Result<Vec<LineRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT line_id, fanned_to, held_until, last_taken_at, disabled_at, disabled_reason FROM outbox_lines ORDER BY line_id",
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(LineRow::read).collect::<Result<_, _>>()?)
}

/// Sends nothing more to a line; `false` where it is disabled already.
pub async fn disable_line(
    tx: &mut Tx,
    line_id: &str,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox_lines SET disabled_at = $2, disabled_reason = $3 WHERE line_id = $1 AND disabled_at IS NULL",
    )
    .bind(line_id)
    .bind(now.millis())
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sends to a line again, from where it stopped; `false` where there is no such line. Its dead letters stay dead.
pub async fn enable_line(tx: &mut Tx, line_id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox_lines SET disabled_at = NULL, disabled_reason = NULL, held_until = 0 WHERE line_id = $1",
    )
    .bind(line_id)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Leaves a line alone until `until`.
pub async fn hold_line(tx: &mut Tx, line_id: &str, until: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE outbox_lines SET held_until = $2 WHERE line_id = $1 AND held_until < $2")
        .bind(line_id)
        .bind(until.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes that a line takes events.
pub async fn line_took(tx: &mut Tx, line_id: &str, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE outbox_lines SET last_taken_at = $2 WHERE line_id = $1")
        .bind(line_id)
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Moves a line on; `false` where another account center did it meanwhile.
pub async fn advance_line(
    tx: &mut Tx,
    line_id: &str,
    from: i64,
    to: i64,
) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE outbox_lines SET fanned_to = $3 WHERE line_id = $1 AND fanned_to = $2")
            .bind(line_id)
            .bind(from)
            .bind(to)
            .execute(tx)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// A line that is gone for good: nothing is kept for it any more. `false` where there is no such line.
pub async fn forget_line(tx: &mut Tx, line_id: &str) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM outbox_deliveries WHERE line_id = $1")
        .bind(line_id)
        .execute(&mut *tx)
        .await?;
    let done = sqlx::query("DELETE FROM outbox_lines WHERE line_id = $1")
        .bind(line_id)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes at most `limit` events that happened before `before` and that every line has taken. Of each account the oldest goes first, and the newest stays: a
/// missing row between two others is always a lost one. Says how many went; call it again until none does.
pub async fn delete_old(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "SELECT o.position FROM outbox o WHERE o.superseded = 1 AND o.position IS NOT NULL AND o.created_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM outbox_lines l WHERE l.fanned_to < o.position) \
         AND NOT EXISTS (SELECT 1 FROM outbox_deliveries d WHERE d.position = o.position) \
         AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.user_id = o.user_id AND p.version < o.version) \
         ORDER BY o.position LIMIT $2",
    )
    .bind(before.millis())
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    let mut highest = 0;
    for row in &rows {
        let position: i64 = row.try_get(0)?;
        highest = position;
        sqlx::query("DELETE FROM outbox WHERE position = $1")
            .bind(position)
            .execute(&mut *tx)
            .await?;
    }
    if highest > 0 {
        sqlx::query(
            "UPDATE outbox_places SET deleted_to = $1 WHERE name = 'outbox' AND deleted_to < $1",
        )
        .bind(highest)
        .execute(tx)
        .await?;
    }
    Ok(rows.len() as u64)
}
