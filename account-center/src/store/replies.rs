//! `idempotency_keys`: the rows behind `crate::idempotency`.

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// One Idempotency-Key.
pub struct Row {
    /// Keyed HMAC of the request's bytes.
    pub fingerprint: String,
    /// Until when the request is in work.
    pub lease_until: Timestamp,
    /// HTTP status and sealed reply, once done.
    pub done: Option<(i64, String)>,
    /// When the row stops to count.
    pub expires_at: Timestamp,
}

/// Begins a key; `false` when there is a row already.
pub async fn insert(
    tx: &mut Tx,
    name: &str,
    fingerprint: &str,
    lease_until: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO idempotency_keys (scope_hash, fingerprint, lease_until, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (scope_hash) DO NOTHING",
    )
    .bind(name)
    .bind(fingerprint)
    .bind(lease_until.millis())
    .bind(expires_at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The row of a key.
pub async fn find(tx: &mut Tx, name: &str) -> Result<Option<Row>, StoreError> {
    let row = sqlx::query("SELECT fingerprint, lease_until, http_status, sealed_reply, expires_at FROM idempotency_keys WHERE scope_hash = $1")
        .bind(name)
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let status: Option<i64> = row.try_get(2)?;
    let sealed: Option<String> = row.try_get(3)?;
    Ok(Some(Row {
        fingerprint: row.try_get(0)?,
        lease_until: Timestamp::from_millis(row.try_get(1)?),
        done: status.zip(sealed),
        expires_at: Timestamp::from_millis(row.try_get(4)?),
    }))
}

/// Begins a key anew whose lease or life has ended; `false` when another did so first.
pub async fn take_over(
    tx: &mut Tx,
    name: &str,
    seen: &Row,
    fingerprint: &str,
    lease_until: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE idempotency_keys SET fingerprint = $1, lease_until = $2, http_status = NULL, sealed_reply = NULL, expires_at = $3 \
         WHERE scope_hash = $4 AND lease_until = $5",
    )
    .bind(fingerprint)
    .bind(lease_until.millis())
    .bind(expires_at.millis())
    .bind(name)
    .bind(seen.lease_until.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores the reply of the holder of this lease; `false` when the lease is another's by now, or the reply is there already.
pub async fn finish(
    tx: &mut Tx,
    name: &str,
    lease: Timestamp,
    status: i64,
    sealed: &str,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE idempotency_keys SET http_status = $1, sealed_reply = $2, expires_at = $3 \
         WHERE scope_hash = $4 AND lease_until = $5 AND http_status IS NULL",
    )
    .bind(status)
    .bind(sealed)
    .bind(expires_at.millis())
    .bind(name)
    .bind(lease.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a key in work under this lease.
pub async fn release(tx: &mut Tx, name: &str, lease: Timestamp) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE scope_hash = $1 AND lease_until = $2 AND http_status IS NULL")
        .bind(name)
        .bind(lease.millis())
        .execute(tx)
        .await?;
    Ok(())
}
