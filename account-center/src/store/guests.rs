//! `guests`, `guest_devices`, `guest_cookies`, and `accounts.replaced_by` (W6).

use sqlx::Row as _;

use super::{StoreError, Tx, sessions};
use crate::context::Timestamp;

/// A guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRow {
    /// The virtual user id.
    pub user_id: String,
    /// The app it was made by.
    pub app_id: String,
    /// The privacy notice that was consented to.
    pub consent_version: String,
    /// When it was made: the earlier of two guests wins.
    pub created_at: Timestamp,
}

/// Adds a virtual account and its guest.
pub async fn insert(tx: &mut Tx, row: &GuestRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO accounts (user_id, kind, created_at, version) VALUES ($1, 'virtual', $2, 1)",
    )
    .bind(&row.user_id)
    .bind(row.created_at.millis())
    .execute(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO guests (user_id, app_id, consent_version, consented_at, created_at) VALUES ($1, $2, $3, $4, $4)")
        .bind(&row.user_id)
        .bind(&row.app_id)
        .bind(&row.consent_version)
        .bind(row.created_at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Records a consent to another version of the notice.
pub async fn set_consent(
    tx: &mut Tx,
    user_id: &str,
    version: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE guests SET consent_version = $2, consented_at = $3 WHERE user_id = $1 AND consent_version <> $2")
        .bind(user_id)
        .bind(version)
        .bind(at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

async fn guest(
    tx: &mut Tx,
    sql: &'static str,
    keys: &[&str],
) -> Result<Option<GuestRow>, StoreError> {
    let mut query = sqlx::query(sql);
    for key in keys {
        query = query.bind(*key);
    }
    let row = query.fetch_optional(tx).await?;
    row.map(|row| {
        Ok(GuestRow {
            user_id: row.try_get(0)?,
            app_id: row.try_get(1)?,
            consent_version: row.try_get(2)?,
            created_at: Timestamp::from_millis(row.try_get(3)?),
        })
    })
    .transpose()
}

/// The guest of a device key in an app.
pub async fn of_device(
    tx: &mut Tx,
    app_id: &str,
    device_key: &str,
) -> Result<Option<GuestRow>, StoreError> {
    guest(
        tx,
        "SELECT g.user_id, g.app_id, g.consent_version, g.created_at FROM guest_devices d JOIN guests g ON g.user_id = d.user_id \
         WHERE d.app_id = $1 AND d.device_key = $2",
        &[app_id, device_key],
    )
    .await
}

/// The guest whose cookie it is.
pub async fn of_cookie(tx: &mut Tx, cookie_hash: &str) -> Result<Option<GuestRow>, StoreError> {
    guest(
        tx,
        "SELECT g.user_id, g.app_id, g.consent_version, g.created_at FROM guest_cookies c JOIN guests g ON g.user_id = c.user_id WHERE c.cookie_hash = $1",
        &[cookie_hash],
    )
    .await
}

/// Gives a device key its guest in an app.
pub async fn set_device(
    tx: &mut Tx,
    app_id: &str,
    device_key: &str,
    user_id: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO guest_devices (app_id, device_key, user_id, added_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (app_id, device_key) DO UPDATE SET user_id = $3",
    )
    .bind(app_id)
    .bind(device_key)
    .bind(user_id)
    .bind(at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes a device key away from its guest; a guest may have others.
pub async fn drop_device(tx: &mut Tx, app_id: &str, device_key: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM guest_devices WHERE app_id = $1 AND device_key = $2")
        .bind(app_id)
        .bind(device_key)
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives a cookie to a guest, whosever it was.
pub async fn set_cookie(
    tx: &mut Tx,
    cookie_hash: &str,
    user_id: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO guest_cookies (cookie_hash, user_id, seen_at) VALUES ($1, $2, $3) ON CONFLICT (cookie_hash) DO UPDATE SET user_id = $2, seen_at = $3",
    )
    .bind(cookie_hash)
    .bind(user_id)
    .bind(at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets a cookie: its open id names an account now (W9).
pub async fn drop_cookie(tx: &mut Tx, cookie_hash: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM guest_cookies WHERE cookie_hash = $1")
        .bind(cookie_hash)
        .execute(tx)
        .await?;
    Ok(())
}

/// Devices and cookies of a guest become another guest's.
pub async fn hand_over(tx: &mut Tx, from: &str, to: &str) -> Result<(), StoreError> {
    for sql in [
        "UPDATE guest_devices SET user_id = $2 WHERE user_id = $1",
        "UPDATE guest_cookies SET user_id = $2 WHERE user_id = $1",
    ] {
        sqlx::query(sql)
            .bind(from)
            .bind(to)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Forgets devices and cookies of a guest.
pub async fn forget(tx: &mut Tx, user_id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM guest_devices WHERE user_id = $1",
        "DELETE FROM guest_cookies WHERE user_id = $1",
    ] {
        sqlx::query(sql).bind(user_id).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Marks a virtual id as replaced; `false` where it is none, or was replaced before.
pub async fn set_replaced(tx: &mut Tx, from: &str, to: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE accounts SET replaced_by = $2 WHERE user_id = $1 AND kind = 'virtual' AND replaced_by IS NULL AND user_id <> $2",
    )
    .bind(from)
    .bind(to)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whoever was replaced by `by` is replaced by `to` from now on; gives them, oldest first.
pub async fn shorten(tx: &mut Tx, by: &str, to: &str) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT user_id FROM accounts WHERE replaced_by = $1 ORDER BY created_at, user_id",
    )
    .bind(by)
    .fetch_all(&mut *tx)
    .await?;
    let earlier: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    if !earlier.is_empty() {
        sqlx::query("UPDATE accounts SET replaced_by = $2 WHERE replaced_by = $1")
            .bind(by)
            .bind(to)
            .execute(tx)
            .await?;
    }
    Ok(earlier)
}

/// What a user id is now: itself, or what replaced it; `None` where there never was such an id.
pub async fn current_id(tx: &mut Tx, user_id: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT COALESCE(replaced_by, user_id) FROM accounts WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Whether somebody who is no guest is logged in with this device key in this app.
pub async fn somebody_logged_in(
    tx: &mut Tx,
    app_id: &str,
    device_key: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT 1 FROM sessions WHERE device_key = $1 AND app_id = $2 AND acr IN ('unsigned', 'signed') AND ended_at IS NULL AND expires_at > $3 LIMIT 1",
    )
    .bind(device_key)
    .bind(app_id)
    .bind(now.millis())
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}

/// Ends a guest's sessions, of one device key or of all, and lets business lines know.
pub async fn end_sessions(
    tx: &mut Tx,
    user_id: &str,
    device_key: Option<&str>,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = sqlx::query(
        "UPDATE sessions SET ended_at = $3, end_reason = $4 WHERE user_id = $1 AND ($2 = '' OR device_key = $2) AND ended_at IS NULL RETURNING session_id",
    )
    .bind(user_id)
    .bind(device_key.unwrap_or_default())
    .bind(now.millis())
    .bind(reason)
    .fetch_all(&mut *tx)
    .await?;
    for row in &ended {
        sessions::announce_end(tx, row.try_get(0)?, user_id, reason, now).await?;
    }
    Ok(())
}

/// Whether a guest is known by any open id.
pub async fn has_cookie(tx: &mut Tx, user_id: &str) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM guest_cookies WHERE user_id = $1 LIMIT 1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}
