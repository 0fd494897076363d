//! `provider_requests`: what was prepared for a provider's page.

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// A prepared request's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// The keyed hash of its name.
    pub request_hash: String,
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider.
    pub provider: String,
    /// The thumbprint of the device key that it answers to.
    pub device_key: String,
}

/// Adds a request.
pub async fn insert(
    tx: &mut Tx,
    row: &RequestRow,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO provider_requests (request_hash, app_id, provider, device_key, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&row.request_hash)
        .bind(&row.app_id)
        .bind(&row.provider)
        .bind(&row.device_key)
        .bind(expires_at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether the request is waiting: for this app, provider and device key, and still good.
pub async fn is_waiting(tx: &mut Tx, row: &RequestRow, now: Timestamp) -> Result<bool, StoreError> {
    let found = sqlx::query(
        "SELECT 1 FROM provider_requests WHERE request_hash = $1 AND app_id = $2 AND provider = $3 AND device_key = $4 AND expires_at > $5",
    )
    .bind(&row.request_hash)
    .bind(&row.app_id)
    .bind(&row.provider)
    .bind(&row.device_key)
    .bind(now.millis())
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// Uses a request up; `false` when somebody did before.
pub async fn spend(tx: &mut Tx, request_hash: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM provider_requests WHERE request_hash = $1")
        .bind(request_hash)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
