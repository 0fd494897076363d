//! Rows whose time has passed, deleted in bounded batches.

use super::{Store, StoreError, Tx};
use crate::context::Timestamp;

/// Rows of one table in one transaction: short enough to harm nobody who waits for the writer.
const BATCH: i64 = 500;

/// One statement for each table: its expired rows, at most `$2` of them.
const EXPIRED: &[&str] = &[
    "DELETE FROM used_proofs WHERE proof_hash IN (SELECT proof_hash FROM used_proofs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM idempotency_keys WHERE scope_hash IN (SELECT scope_hash FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM logins WHERE login_hash IN (SELECT login_hash FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM used_credentials WHERE credential_hash IN \
     (SELECT credential_hash FROM used_credentials WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM provider_requests WHERE request_hash IN \
     (SELECT request_hash FROM provider_requests WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM provider_proofs WHERE expires_at <= $1 AND session_id IN \
     (SELECT session_id FROM provider_proofs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM operations WHERE operation_hash IN (SELECT operation_hash FROM operations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM provider_notifications WHERE notification_hash IN \
     (SELECT notification_hash FROM provider_notifications WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    "DELETE FROM rate_buckets WHERE bucket IN (SELECT bucket FROM rate_buckets WHERE window_ends_at <= $1 ORDER BY window_ends_at LIMIT $2)",
    "DELETE FROM admin_sessions WHERE session_id IN (SELECT session_id FROM admin_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
];

/// Sessions are kept for a while after their end, so that their tokens are told apart from unknown ones.
const SESSIONS: &str = "DELETE FROM sessions WHERE session_id IN (SELECT session_id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Days that an ended or expired session's row is kept.
const SESSION_KEPT_SECONDS: u64 = 30 * 24 * 3600;

/// Deletes what had expired by `now`, batch after batch, and says how many rows went. Other writes go in between.
pub async fn sweep(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let sessions_before = now.minus(std::time::Duration::from_secs(SESSION_KEPT_SECONDS));
    let mut gone = 0;
    for (statement, before) in EXPIRED
        .iter()
        .map(|sql| (*sql, now))
        .chain([(SESSIONS, sessions_before)])
    {
        loop {
            let deleted = store
                .write(move |tx| Box::pin(delete(tx, statement, before)))
                .await?;
            gone += deleted;
            if deleted < BATCH.unsigned_abs() {
                break;
            }
        }
    }
    Ok(gone)
}

async fn delete(
    tx: &mut Tx,
    statement: &'static str,
    before: Timestamp,
) -> Result<u64, StoreError> {
    Ok(sqlx::query(statement)
        .bind(before.millis())
        .bind(BATCH)
        .execute(tx)
        .await?
        .rows_affected())
}
