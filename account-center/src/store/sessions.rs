//! `sessions`: a session and its refresh family (contract section 8).

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::events::{self, OutboxRow};
use super::outbox::SESSION_ENDED;
use super::{StoreError, Tx};
use crate::context::Timestamp;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// A `UUIDv7`.
    pub session_id: String,
    /// Whose it is.
    pub user_id: String,
    /// The app it was opened by.
    pub app_id: String,
    /// The device key it is bound to.
    pub device_key: String,
    /// The provider, or another way to log in, that it began with (L9).
    pub began_with: String,
    /// How the holder was identified (L10).
    pub acr: String,
    /// Rotations of the refresh token so far.
    pub generation: i64,
    /// Hash of the newest refresh token.
    pub newest_hash: String,
    /// Hash of the one before it.
    pub previous_hash: Option<String>,
    /// When the holder last proved who they are.
    pub auth_time: Timestamp,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its refresh token was last used.
    pub last_used_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Row {
    /// Whether it is neither ended nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let instant = |index| row.try_get::<i64, usize>(index).map(Timestamp::from_millis);
        Ok(Self {
            session_id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            app_id: row.try_get(2)?,
            device_key: row.try_get(3)?,
            began_with: row.try_get(4)?,
            acr: row.try_get(5)?,
            generation: row.try_get(6)?,
            newest_hash: row.try_get(7)?,
            previous_hash: row.try_get(8)?,
            auth_time: instant(9)?,
            created_at: instant(10)?,
            last_used_at: instant(11)?,
            expires_at: instant(12)?,
            ended_at: row
                .try_get::<Option<i64>, usize>(13)?
                .map(Timestamp::from_millis),
        })
    }
}

/// Writes a new session.
pub async fn insert(tx: &mut Tx, row: &Row) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (session_id, user_id, app_id, device_key, began_with, acr, generation, newest_hash, auth_time, created_at, last_used_at, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(&row.session_id)
    .bind(&row.user_id)
    .bind(&row.app_id)
    .bind(&row.device_key)
    .bind(&row.began_with)
    .bind(&row.acr)
    .bind(row.generation)
    .bind(&row.newest_hash)
    .bind(row.auth_time.millis())
    .bind(row.created_at.millis())
    .bind(row.last_used_at.millis())
    .bind(row.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// A session by its id.
pub async fn find(tx: &mut Tx, session_id: &str) -> Result<Option<Row>, StoreError> {
    let row = sqlx::query(
        "SELECT session_id, user_id, app_id, device_key, began_with, acr, generation, newest_hash, previous_hash, auth_time, created_at, last_used_at, \
         expires_at, ended_at FROM sessions WHERE session_id = $1",
    )
    .bind(session_id)
    .fetch_optional(tx)
    .await?;
    Ok(row.as_ref().map(Row::read).transpose()?)
}

/// The live sessions of an account, newest first, at most 100.
pub async fn live_of(tx: &mut Tx, user_id: &str, now: Timestamp) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query(
        "SELECT session_id, user_id, app_id, device_key, began_with, acr, generation, newest_hash, previous_hash, auth_time, created_at, last_used_at, \
         expires_at, ended_at FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, session_id DESC LIMIT 100",
    )
    .bind(user_id)
    .bind(now.millis())
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(Row::read).collect::<Result<_, _>>()?)
}

/// The newest refresh token becomes the previous one; `false` when the session is not of `generation` any more.
pub async fn rotate(
    tx: &mut Tx,
    row: &Row,
    newest_hash: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE sessions SET generation = generation + 1, previous_hash = newest_hash, newest_hash = $1, last_used_at = $2, expires_at = $3 \
         WHERE session_id = $4 AND generation = $5 AND ended_at IS NULL",
    )
    .bind(newest_hash)
    .bind(now.millis())
    .bind(expires_at.millis())
    .bind(&row.session_id)
    .bind(row.generation)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a session, and lets business lines know (contract/webhooks.md); `false` when it was ended before, or there is none.
pub async fn end(
    tx: &mut Tx,
    session_id: &str,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = sqlx::query("UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE session_id = $3 AND ended_at IS NULL RETURNING user_id")
        .bind(now.millis())
        .bind(reason)
        .bind(session_id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = ended else {
        return Ok(false);
    };
    let user_id: String = row.try_get(0)?;
    announce_end(tx, session_id, &user_id, reason, now).await?;
    Ok(true)
}

/// Lets business lines know that a session has ended: whatever sets `ended_at` says so here. A stream of its own, of one event: it waits for no other event of
/// the account, and a session ends once.
pub(super) async fn announce_end(
    tx: &mut Tx,
    session_id: &str,
    user_id: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let payload = serde_json::json!({"user_id": user_id, "session_id": session_id, "reason": reason, "ended_at": now.seconds()});
    let row = OutboxRow {
        event_id: &format!("ended-{session_id}"),
        user_id: session_id,
        version: 1,
        kind: SESSION_ENDED,
        payload: &payload.to_string(),
        at: now,
    };
    events::announce(tx, &row).await
}

/// Ends the live sessions of an account, lets business lines know, and gives their ids: those that began with `began_with`, or all.
pub async fn end_of(
    tx: &mut Tx,
    user_id: &str,
    began_with: Option<&str>,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE user_id = $3 AND ended_at IS NULL AND expires_at > $1 \
         AND began_with = COALESCE($4, began_with) RETURNING session_id",
    )
    .bind(now.millis())
    .bind(reason)
    .bind(user_id)
    .bind(began_with)
    .fetch_all(&mut *tx)
    .await?;
    let ended: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    for session_id in &ended {
        announce_end(tx, session_id, user_id, reason, now).await?;
    }
    Ok(ended)
}

/// When the holder last proved who they are in this session (L9).
pub async fn proved_at(tx: &mut Tx, session_id: &str) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query("SELECT proved_at FROM sessions WHERE session_id = $1")
        .bind(session_id)
        .fetch_optional(tx)
        .await?;
    let at: Option<i64> = match row {
        Some(row) => row.try_get(0)?,
        None => None,
    };
    Ok(at.map(Timestamp::from_millis))
}

/// The holder has proved who they are in this session (L9).
pub async fn prove(tx: &mut Tx, session_id: &str, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE sessions SET proved_at = $2 WHERE session_id = $1")
        .bind(session_id)
        .bind(at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// The holder was identified further than before (L10).
pub async fn set_acr(tx: &mut Tx, session_id: &str, acr: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE sessions SET acr = $2 WHERE session_id = $1")
        .bind(session_id)
        .bind(acr)
        .execute(tx)
        .await?;
    Ok(())
}
