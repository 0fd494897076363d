//! `provider_requests`: what was prepared for a provider's page.

use sqlx::Row as _;

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

/// Adds a request. `sealed_state`: what its connector keeps, encrypted.
pub async fn insert(
    tx: &mut Tx,
    row: &RequestRow,
    sealed_state: Option<&str>,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO provider_requests (request_hash, app_id, provider, device_key, sealed_state, expires_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&row.request_hash)
        .bind(&row.app_id)
        .bind(&row.provider)
        .bind(&row.device_key)
        .bind(sealed_state)
        .bind(expires_at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// What was kept with a request that is waiting: for this app, provider and device key, and still good. `None`: there is no such request.
pub async fn waiting(
    tx: &mut Tx,
    row: &RequestRow,
    now: Timestamp,
) -> Result<Option<Option<String>>, StoreError> {
    let found = sqlx::query(
        "SELECT sealed_state FROM provider_requests WHERE request_hash = $1 AND app_id = $2 AND provider = $3 AND device_key = $4 AND expires_at > $5",
    )
    .bind(&row.request_hash)
    .bind(&row.app_id)
    .bind(&row.provider)
    .bind(&row.device_key)
    .bind(now.millis())
    .fetch_optional(tx)
    .await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

/// Uses a request up; `false` when somebody did before.
pub async fn spend(tx: &mut Tx, request_hash: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM provider_requests WHERE request_hash = $1")
        .bind(request_hash)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
