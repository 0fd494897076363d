//! Taking bindings away, and reading what became of them: `bindings`, `open_ids`, `binding_history`, `provider_proofs`.

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// What became of a binding (L8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The provider.
    pub provider: String,
    /// `bound`, `renamed`, `unbound`, …
    pub action: String,
    /// When.
    pub at: Timestamp,
}

/// The newest entries of an account's history, newest first.
pub async fn history(tx: &mut Tx, user_id: &str, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT provider, action, at FROM binding_history WHERE user_id = $1 ORDER BY at DESC, entry_id DESC LIMIT $2",
    )
    .bind(user_id)
    .bind(most)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(HistoryRow {
                provider: row.try_get(0)?,
                action: row.try_get(1)?,
                at: Timestamp::from_millis(row.try_get(2)?),
            })
        })
        .collect()
}

/// Holds an account until the transaction ends, so that its changes are decided one after the other. `false`: there is no such account.
pub async fn hold_account(tx: &mut Tx, user_id: &str) -> Result<bool, StoreError> {
    let held = sqlx::query("UPDATE accounts SET version = version WHERE user_id = $1")
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(held.rows_affected() == 1)
}

/// Deletes a binding with the open ids that belong to it (L8).
pub async fn delete(tx: &mut Tx, binding_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM open_ids WHERE binding_id = $1")
        .bind(binding_id)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM bindings WHERE binding_id = $1")
        .bind(binding_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether the account has a phone number.
pub async fn has_phone(tx: &mut Tx, user_id: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query("SELECT 1 FROM phones WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?
        .is_some())
}

/// When the holder of a session last logged in anew at a provider (U5).
pub async fn provider_proved_at(
    tx: &mut Tx,
    session_id: &str,
    provider: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(
        "SELECT proved_at FROM provider_proofs WHERE session_id = $1 AND provider = $2",
    )
    .bind(session_id)
    .bind(provider)
    .fetch_optional(tx)
    .await?;
    Ok(row
        .map(|row| row.try_get(0).map(Timestamp::from_millis))
        .transpose()?)
}

/// The holder of a session has logged in anew at a provider.
pub async fn prove_provider(
    tx: &mut Tx,
    session_id: &str,
    provider: &str,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO provider_proofs (session_id, provider, proved_at, expires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (session_id, provider) DO UPDATE SET proved_at = $3, expires_at = $4",
    )
    .bind(session_id)
    .bind(provider)
    .bind(at.millis())
    .bind(expires_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}
