//! `notices`: what customers have yet to be told (L9).

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// A notice on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// A `UUIDv7`.
    pub notice_id: String,
    /// What and to whom, encrypted.
    pub sealed_notice: String,
    /// How often it was tried.
    pub tries: i64,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Adds a notice.
pub async fn insert(tx: &mut Tx, row: &NoticeRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO notices (notice_id, sealed_notice, tries, due_at, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&row.notice_id)
        .bind(&row.sealed_notice)
        .bind(row.tries)
        .bind(row.due_at.millis())
        .bind(row.created_at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// The notices whose time has come, oldest first.
pub async fn due(tx: &mut Tx, now: Timestamp, most: i64) -> Result<Vec<NoticeRow>, StoreError> {
    let rows = sqlx::query("SELECT notice_id, sealed_notice, tries, due_at, created_at FROM notices WHERE due_at <= $1 ORDER BY due_at, notice_id LIMIT $2")
        .bind(now.millis())
        .bind(most)
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(NoticeRow {
                notice_id: row.try_get(0)?,
                sealed_notice: row.try_get(1)?,
                tries: row.try_get(2)?,
                due_at: Timestamp::from_millis(row.try_get(3)?),
                created_at: Timestamp::from_millis(row.try_get(4)?),
            })
        })
        .collect()
}

/// Takes a notice for one try and puts the next one off; `false` when somebody else was quicker.
pub async fn claim(tx: &mut Tx, row: &NoticeRow, next: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE notices SET tries = tries + 1, due_at = $2 WHERE notice_id = $1 AND due_at = $3 AND tries = $4")
        .bind(&row.notice_id)
        .bind(next.millis())
        .bind(row.due_at.millis())
        .bind(row.tries)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The notice is delivered, or given up.
pub async fn delete(tx: &mut Tx, notice_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM notices WHERE notice_id = $1")
        .bind(notice_id)
        .execute(tx)
        .await?;
    Ok(())
}
