//! `operations`: a change of an account in several steps, under way. And `account_history`: what became of it.

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// An operation's row. What is in `sealed_state` only the account module can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRow {
    /// The keyed hash of its handle.
    pub operation_hash: String,
    /// What it is for: `proof`, `phone_change`, …
    pub kind: String,
    /// The session that it answers to, where it needs one.
    pub session_id: Option<String>,
    /// The thumbprint of the device key that it answers to.
    pub device_key: String,
    /// The present step.
    pub step_id: String,
    /// The encrypted state.
    pub sealed_state: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When its row may be swept.
    pub expires_at: Timestamp,
}

/// Adds an operation.
pub async fn insert(tx: &mut Tx, row: &OperationRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO operations (operation_hash, kind, session_id, device_key, step_id, sealed_state, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&row.operation_hash)
    .bind(&row.kind)
    .bind(row.session_id.as_deref())
    .bind(&row.device_key)
    .bind(&row.step_id)
    .bind(&row.sealed_state)
    .bind(row.created_at.millis())
    .bind(row.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Reads an operation.
pub async fn find(tx: &mut Tx, operation_hash: &str) -> Result<Option<OperationRow>, StoreError> {
    let row = sqlx::query(
        "SELECT operation_hash, kind, session_id, device_key, step_id, sealed_state, created_at, expires_at FROM operations WHERE operation_hash = $1",
    )
    .bind(operation_hash)
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        Ok(OperationRow {
            operation_hash: row.try_get(0)?,
            kind: row.try_get(1)?,
            session_id: row.try_get(2)?,
            device_key: row.try_get(3)?,
            step_id: row.try_get(4)?,
            sealed_state: row.try_get(5)?,
            created_at: Timestamp::from_millis(row.try_get(6)?),
            expires_at: Timestamp::from_millis(row.try_get(7)?),
        })
    })
    .transpose()
}

/// Reads an operation and keeps others from answering it until the transaction ends.
pub async fn lock(tx: &mut Tx, operation_hash: &str) -> Result<Option<OperationRow>, StoreError> {
    sqlx::query("UPDATE operations SET step_id = step_id WHERE operation_hash = $1")
        .bind(operation_hash)
        .execute(&mut *tx)
        .await?;
    find(tx, operation_hash).await
}

/// Puts an operation where it is now.
pub async fn update(
    tx: &mut Tx,
    operation_hash: &str,
    step_id: &str,
    sealed_state: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE operations SET step_id = $2, sealed_state = $3 WHERE operation_hash = $1")
        .bind(operation_hash)
        .bind(step_id)
        .bind(sealed_state)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends an operation.
pub async fn delete(tx: &mut Tx, operation_hash: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM operations WHERE operation_hash = $1")
        .bind(operation_hash)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps what became of an account.
pub async fn keep_history(
    tx: &mut Tx,
    entry_id: &str,
    user_id: &str,
    action: &str,
    session_id: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO account_history (entry_id, user_id, action, session_id, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(entry_id)
        .bind(user_id)
        .bind(action)
        .bind(session_id)
        .bind(at.millis())
        .execute(tx)
        .await?;
    Ok(())
}
