//! `outbox` and `flow_events`.

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// What business lines are told (W6).
#[derive(Clone, Debug)]
pub struct OutboxRow<'a> {
    /// A `UUIDv7`.
    pub event_id: &'a str,
    /// The account (for an ended session: the session).
    pub user_id: &'a str,
    /// The account's version after the change.
    pub version: i64,
    /// What happened: `account.created`, `binding.added`, …
    pub kind: &'a str,
    /// JSON.
    pub payload: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Writes to the outbox.
pub async fn announce(tx: &mut Tx, row: &OutboxRow<'_>) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO outbox (event_id, user_id, version, kind, payload, created_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(row.event_id)
        .bind(row.user_id)
        .bind(row.version)
        .bind(row.kind)
        .bind(row.payload)
        .bind(row.at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// A step of a login (L11), without personal data.
#[derive(Clone, Debug)]
pub struct FlowEventRow<'a> {
    /// A `UUIDv7`.
    pub event_id: &'a str,
    /// Names the login, and is no handle.
    pub login_ref: &'a str,
    /// One of the bank's apps.
    pub app_id: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// Which step.
    pub kind: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Writes a step.
pub async fn record(tx: &mut Tx, row: &FlowEventRow<'_>) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO flow_events (event_id, login_ref, app_id, provider, kind, at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(row.event_id)
        .bind(row.login_ref)
        .bind(row.app_id)
        .bind(row.provider)
        .bind(row.kind)
        .bind(row.at.millis())
        .execute(tx)
        .await?;
    Ok(())
}
