//! `login_attempts`, `client_events`, `funnel_days`, `funnel_daily` and `account_activity` (L11). Days are days in China (UTC+8), counted from 1970.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{StoreError, Tx};
use crate::context::Timestamp;

const DAY: i64 = 86_400_000;
/// China's clocks are ahead of UTC.
const CHINA: i64 = 8 * 3_600_000;

/// The day of an instant.
pub const fn day_of(at: Timestamp) -> i64 {
    (at.millis() + CHINA).div_euclid(DAY)
}

/// When a day begins.
pub const fn beginning_of(day: i64) -> Timestamp {
    Timestamp::from_millis(day * DAY - CHINA)
}

/// Which of the client's attempts a login belongs to, and where the person was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// As in `flow_events`.
    pub login_ref: String,
    /// The attempt's keyed name.
    pub attempt: String,
    /// An administrative code; empty where nobody said one.
    pub region: String,
    /// When the login began.
    pub at: Timestamp,
}

/// Remembers it.
pub async fn insert_attempt(tx: &mut Tx, row: &AttemptRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO login_attempts (login_ref, attempt, region, at) VALUES ($1, $2, $3, $4) ON CONFLICT (login_ref) DO NOTHING")
        .bind(&row.login_ref)
        .bind(&row.attempt)
        .bind(&row.region)
        .bind(row.at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// A step that only the client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEventRow {
    /// The device key's keyed name.
    pub device: String,
    /// The client's `UUIDv7`.
    pub event_id: String,
    /// The attempt's keyed name.
    pub attempt: String,
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider.
    pub provider: String,
    /// An administrative code, or empty.
    pub region: String,
    /// Which step.
    pub kind: String,
    /// When, by our clock.
    pub at: Timestamp,
}

/// Adds a step; `false` where the device sent it before.
pub async fn insert_client_event(tx: &mut Tx, row: &ClientEventRow) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO client_events (device, event_id, attempt, app_id, provider, region, kind, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (device, event_id) DO NOTHING",
    )
    .bind(&row.device)
    .bind(&row.event_id)
    .bind(&row.attempt)
    .bind(&row.app_id)
    .bind(&row.provider)
    .bind(&row.region)
    .bind(&row.kind)
    .bind(row.at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many attempts reached a step on one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountRow {
    /// The day.
    pub day: i64,
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider.
    pub provider: String,
    /// An administrative code, or empty.
    pub region: String,
    /// Which step.
    pub kind: String,
    /// How many.
    pub attempts: i64,
}

impl CountRow {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            day: row.try_get(0)?,
            app_id: row.try_get(1)?,
            provider: row.try_get(2)?,
            region: row.try_get(3)?,
            kind: row.try_get(4)?,
            attempts: row.try_get(5)?,
        })
    }
}

/// The server's own steps and the client's, with the attempt that both belong to: an attempt counts once for a step of a day, whoever told.
const FROM_EVENTS: &str = "SELECT day, app_id, provider, region, kind, COUNT(DISTINCT attempt) FROM ( \
     SELECT (e.at + 28800000) / 86400000 AS day, e.app_id AS app_id, e.provider AS provider, COALESCE(a.region, '') AS region, e.kind AS kind, \
       COALESCE(a.attempt, e.login_ref) AS attempt \
     FROM flow_events e LEFT JOIN login_attempts a ON a.login_ref = e.login_ref WHERE e.at >= $1 AND e.at < $2 \
     UNION ALL \
     SELECT (c.at + 28800000) / 86400000 AS day, c.app_id AS app_id, c.provider AS provider, c.region AS region, c.kind AS kind, c.attempt AS attempt \
     FROM client_events c WHERE c.at >= $1 AND c.at < $2 \
   ) steps WHERE NOT EXISTS (SELECT 1 FROM funnel_days d WHERE d.day = steps.day) \
   GROUP BY day, app_id, provider, region, kind";

/// Counts the days from `from` to before `until` that are not counted for good yet, from the events themselves.
pub async fn count_events(tx: &mut Tx, from: i64, until: i64) -> Result<Vec<CountRow>, StoreError> {
    let rows = sqlx::query(FROM_EVENTS)
        .bind(beginning_of(from).millis())
        .bind(beginning_of(until).millis())
        .fetch_all(tx)
        .await?;
    Ok(rows.iter().map(CountRow::read).collect::<Result<_, _>>()?)
}

/// The days from `from` to before `until`: those that are counted for good, and the others from their events.
pub async fn counts(tx: &mut Tx, from: i64, until: i64) -> Result<Vec<CountRow>, StoreError> {
    let rows = sqlx::query("SELECT day, app_id, provider, region, kind, attempts FROM funnel_daily WHERE day >= $1 AND day < $2")
        .bind(from)
        .bind(until)
        .fetch_all(&mut *tx)
        .await?;
    let mut all: Vec<CountRow> = rows.iter().map(CountRow::read).collect::<Result<_, _>>()?;
    all.extend(count_events(tx, from, until).await?);
    Ok(all)
}

/// The first day that has events and is not counted for good, if it is before `until`.
pub async fn first_open_day(tx: &mut Tx, until: i64) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(day) FROM (SELECT (at + 28800000) / 86400000 AS day FROM flow_events WHERE at < $1 \
         UNION SELECT (at + 28800000) / 86400000 AS day FROM client_events WHERE at < $1) days \
         WHERE NOT EXISTS (SELECT 1 FROM funnel_days d WHERE d.day = days.day)",
    )
    .bind(beginning_of(until).millis())
    .fetch_one(tx)
    .await?;
    Ok(row.try_get(0)?)
}

/// Counts a day for good; `false` where it is counted already.
pub async fn close_day(
    tx: &mut Tx,
    day: i64,
    counts: &[CountRow],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO funnel_days (day, counted_at) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING",
    )
    .bind(day)
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    for row in counts {
        sqlx::query("INSERT INTO funnel_daily (day, app_id, provider, region, kind, attempts) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(day)
            .bind(&row.app_id)
            .bind(&row.provider)
            .bind(&row.region)
            .bind(&row.kind)
            .bind(row.attempts)
            .execute(&mut *tx)
            .await?;
    }
    Ok(true)
}

/// One statement for each table: rows of before an instant, at most `$2` of them. Events go only with a day that is counted for good.
const OLD: [&str; 3] = [
    "DELETE FROM flow_events WHERE event_id IN (SELECT e.event_id FROM flow_events e JOIN funnel_days d ON d.day = (e.at + 28800000) / 86400000 WHERE e.at < $1 LIMIT $2)",
    "DELETE FROM client_events WHERE at < $1 AND event_id IN \
     (SELECT c.event_id FROM client_events c JOIN funnel_days d ON d.day = (c.at + 28800000) / 86400000 WHERE c.at < $1 LIMIT $2)",
    "DELETE FROM login_attempts WHERE login_ref IN (SELECT a.login_ref FROM login_attempts a WHERE a.at < $1 AND NOT EXISTS \
     (SELECT 1 FROM flow_events e WHERE e.login_ref = a.login_ref) LIMIT $2)",
];

/// Deletes events of before an instant, in bounded batches: `table` from 0 to 2. Says how many went.
pub async fn delete_old(
    tx: &mut Tx,
    table: usize,
    before: Timestamp,
    most: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query(OLD[table])
        .bind(before.millis())
        .bind(most)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// The tables that [`delete_old`] knows.
pub const OLD_TABLES: usize = OLD.len();

/// Somebody was active. Once a day, provider and app.
pub async fn note_active(
    tx: &mut Tx,
    day: i64,
    provider: &str,
    app_id: &str,
    user_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO account_activity (day, provider, app_id, user_id) VALUES ($1, $2, $3, $4) ON CONFLICT (day, provider, app_id, user_id) DO NOTHING")
        .bind(day)
        .bind(provider)
        .bind(app_id)
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many different people were active from `from` to before `until`, by provider, and (with an empty name) altogether. `app_id` narrows where it is not empty.
pub async fn active(
    tx: &mut Tx,
    from: i64,
    until: i64,
    app_id: &str,
) -> Result<Vec<(String, i64)>, StoreError> {
    let by_provider = "SELECT provider, COUNT(DISTINCT user_id) FROM account_activity WHERE day >= $1 AND day < $2 AND ($3 = '' OR app_id = $3) GROUP BY provider ORDER BY provider";
    let all = "SELECT '', COUNT(DISTINCT user_id) FROM account_activity WHERE day >= $1 AND day < $2 AND ($3 = '' OR app_id = $3)";
    let mut found = Vec::new();
    for sql in [by_provider, all] {
        let rows = sqlx::query(sql)
            .bind(from)
            .bind(until)
            .bind(app_id)
            .fetch_all(&mut *tx)
            .await?;
        for row in rows {
            found.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(found)
}

/// Activity of before a day goes, in bounded batches.
pub async fn delete_activity(tx: &mut Tx, before: i64, most: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM account_activity WHERE day < $1 AND user_id IN (SELECT user_id FROM account_activity WHERE day < $1 LIMIT $2)",
    )
    .bind(before)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
