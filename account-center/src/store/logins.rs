//! `logins`: a login under way.

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// A login's row. What is in `sealed_state` only the login module can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// The keyed hash of its handle.
    pub login_hash: String,
    /// One of the bank's apps.
    pub app_id: String,
    /// The thumbprint of the device key that it answers to.
    pub device_key: String,
    /// The present step.
    pub step_id: String,
    /// The encrypted state.
    pub sealed_state: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Adds a login.
pub async fn insert(tx: &mut Tx, row: &LoginRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO logins (login_hash, app_id, device_key, step_id, sealed_state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&row.login_hash)
    .bind(&row.app_id)
    .bind(&row.device_key)
    .bind(&row.step_id)
    .bind(&row.sealed_state)
    .bind(row.created_at.millis())
    .bind(row.expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Reads a login.
pub async fn find(tx: &mut Tx, login_hash: &str) -> Result<Option<LoginRow>, StoreError> {
    let row = sqlx::query("SELECT login_hash, app_id, device_key, step_id, sealed_state, created_at, expires_at FROM logins WHERE login_hash = $1")
        .bind(login_hash)
        .fetch_optional(tx)
        .await?;
    row.map(|row| {
        Ok(LoginRow {
            login_hash: row.try_get(0)?,
            app_id: row.try_get(1)?,
            device_key: row.try_get(2)?,
            step_id: row.try_get(3)?,
            sealed_state: row.try_get(4)?,
            created_at: Timestamp::from_millis(row.try_get(5)?),
            expires_at: Timestamp::from_millis(row.try_get(6)?),
        })
    })
    .transpose()
}

/// Reads a login and keeps others from answering it until the transaction ends: answers to one login are judged one after the other.
pub async fn lock(tx: &mut Tx, login_hash: &str) -> Result<Option<LoginRow>, StoreError> {
    sqlx::query("UPDATE logins SET step_id = step_id WHERE login_hash = $1")
        .bind(login_hash)
        .execute(&mut *tx)
        .await?;
    find(tx, login_hash).await
}

/// Puts a login where it is now.
pub async fn update(
    tx: &mut Tx,
    login_hash: &str,
    step_id: &str,
    sealed_state: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE logins SET step_id = $2, sealed_state = $3 WHERE login_hash = $1")
        .bind(login_hash)
        .bind(step_id)
        .bind(sealed_state)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends a login.
pub async fn delete(tx: &mut Tx, login_hash: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM logins WHERE login_hash = $1")
        .bind(login_hash)
        .execute(tx)
        .await?;
    Ok(())
}
