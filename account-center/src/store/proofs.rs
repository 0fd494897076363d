//! `used_proofs`: a `jti` serves once for a device key (RFC 9449, section 11.1).

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// Marks a proof as used; `false` when it was used before. `name` is keyed and over device key and `jti`.
pub async fn spend(tx: &mut Tx, name: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO used_proofs (proof_hash, expires_at) VALUES ($1, $2) ON CONFLICT (proof_hash) DO NOTHING")
        .bind(name)
        .bind(expires_at.millis())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
