//! `rate_buckets`, `used_credentials` and `provider_notifications`.

use std::time::Duration;

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// How many in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// In a window of this length, which begins with the first.
    pub window: Duration,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One was taken.
    Yes,
    /// The bucket is used up until this instant.
    UsedUp(Timestamp),
}

/// Takes one out of a bucket. `bucket` is a keyed name.
pub async fn take(
    tx: &mut Tx,
    bucket: &str,
    limit: Limit,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let ends_at = now.plus(limit.window).millis();
    sqlx::query(
        "INSERT INTO rate_buckets (bucket, used, window_ends_at) VALUES ($1, 0, $2) ON CONFLICT (bucket) DO UPDATE SET \
         used = CASE WHEN rate_buckets.window_ends_at <= $3 THEN 0 ELSE rate_buckets.used END, \
         window_ends_at = CASE WHEN rate_buckets.window_ends_at <= $3 THEN $2 ELSE rate_buckets.window_ends_at END",
    )
    .bind(bucket)
    .bind(ends_at)
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    let taken =
        sqlx::query("UPDATE rate_buckets SET used = used + 1 WHERE bucket = $1 AND used < $2")
            .bind(bucket)
            .bind(i64::from(limit.count))
            .execute(&mut *tx)
            .await?;
    if taken.rows_affected() == 1 {
        return Ok(Taken::Yes);
    }
    let row = sqlx::query("SELECT window_ends_at FROM rate_buckets WHERE bucket = $1")
        .bind(bucket)
        .fetch_one(tx)
        .await?;
    Ok(Taken::UsedUp(Timestamp::from_millis(row.try_get(0)?)))
}

/// Puts one back that turned out not to be used.
pub async fn give_back(tx: &mut Tx, bucket: &str, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE rate_buckets SET used = used - 1 WHERE bucket = $1 AND used > 0 AND window_ends_at > $2")
        .bind(bucket)
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Empties a bucket: the person has proved who they are.
pub async fn clear(tx: &mut Tx, bucket: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM rate_buckets WHERE bucket = $1")
        .bind(bucket)
        .execute(tx)
        .await?;
    Ok(())
}

/// Marks a provider credential as used (M2); `false` when it was used before. `name` is keyed.
pub async fn spend_credential(
    tx: &mut Tx,
    name: &str,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO used_credentials (credential_hash, expires_at) VALUES ($1, $2) ON CONFLICT (credential_hash) DO NOTHING")
        .bind(name)
        .bind(expires_at.millis())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a provider credential was used.
pub async fn credential_used(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    Ok(
        sqlx::query("SELECT 1 FROM used_credentials WHERE credential_hash = $1")
            .bind(name)
            .fetch_optional(tx)
            .await?
            .is_some(),
    )
}

/// Marks a provider's notification as taken; `false` when it was taken before. `name` is keyed.
pub async fn first_notification(
    tx: &mut Tx,
    name: &str,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO provider_notifications (notification_hash, expires_at) VALUES ($1, $2) ON CONFLICT (notification_hash) DO NOTHING",
    )
    .bind(name)
    .bind(expires_at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}
