//! `imports`: how far the import of a file is.

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// Where an import stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportRow {
    /// Lines of the file that were dealt with.
    pub lines_done: i64,
    /// Accounts made of them.
    pub imported: i64,
    /// Lines whose person has an account already.
    pub passed_over: i64,
    /// Whether all lines are done.
    pub finished: bool,
}

/// The import of a file, by the file's hash.
pub async fn find(tx: &mut Tx, file_hash: &str) -> Result<Option<ImportRow>, StoreError> {
    let row = sqlx::query(
        "SELECT lines_done, imported, passed_over, finished_at FROM imports WHERE file_hash = $1",
    )
    .bind(file_hash)
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        Ok(ImportRow {
            lines_done: row.try_get(0)?,
            imported: row.try_get(1)?,
            passed_over: row.try_get(2)?,
            finished: row.try_get::<Option<i64>, _>(3)?.is_some(),
        })
    })
    .transpose()
}

/// Puts an import where it is now, if it was at `before`; `false` where another process goes on with the same file.
pub async fn advance(
    tx: &mut Tx,
    file_hash: &str,
    before: i64,
    now: &ImportRow,
    at: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query(
        "INSERT INTO imports (file_hash, lines_done, imported, passed_over, started_at) VALUES ($1, 0, 0, 0, $2) ON CONFLICT (file_hash) DO NOTHING",
    )
    .bind(file_hash)
    .bind(at.millis())
    .execute(&mut *tx)
    .await?;
    let done = sqlx::query(
        "UPDATE imports SET lines_done = $2, imported = $3, passed_over = $4, finished_at = $5 WHERE file_hash = $1 AND lines_done = $6 AND finished_at IS NULL",
    )
    .bind(file_hash)
    .bind(now.lines_done)
    .bind(now.imported)
    .bind(now.passed_over)
    .bind(now.finished.then(|| at.millis()))
    .bind(before)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}
