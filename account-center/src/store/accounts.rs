//! `accounts`, `phones`, `login_passwords`, `bindings`, `open_ids`, `binding_history`.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The bank's own user id (U7).
    pub user_id: String,
    /// The core's customer, stored once proved (L5, L10).
    pub customer_ref: Option<String>,
    /// What the provider showed at the last login (M6).
    pub nickname: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
    /// Counts its changes.
    pub version: i64,
}

/// A binding: the link from a provider's lasting subject to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// A `UUIDv7`.
    pub binding_id: String,
    /// The provider.
    pub provider: String,
    /// The open-platform account.
    pub platform: String,
    /// The lasting subject (W2).
    pub subject: String,
    /// The account.
    pub user_id: String,
    /// When it was made.
    pub bound_at: Timestamp,
    /// When the provider said that the person withdrew the authorization there, if it did since the last login.
    pub revoked_at: Option<Timestamp>,
}

const BINDING: &str =
    "b.binding_id, b.provider, b.platform, b.subject, b.user_id, b.bound_at, b.revoked_at";

fn binding(row: &AnyRow) -> Result<BindingRow, StoreError> {
    Ok(BindingRow {
        binding_id: row.try_get(0)?,
        provider: row.try_get(1)?,
        platform: row.try_get(2)?,
        subject: row.try_get(3)?,
        user_id: row.try_get(4)?,
        bound_at: Timestamp::from_millis(row.try_get(5)?),
        revoked_at: row
            .try_get::<Option<i64>, usize>(6)?
            .map(Timestamp::from_millis),
    })
}

/// An account by its user id.
pub async fn account(tx: &mut Tx, user_id: &str) -> Result<Option<AccountRow>, StoreError> {
    let row = sqlx::query("SELECT user_id, customer_ref, nickname, avatar_url, version FROM accounts WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    row.map(|row| {
        Ok(AccountRow {
            user_id: row.try_get(0)?,
            customer_ref: row.try_get(1)?,
            nickname: row.try_get(2)?,
            avatar_url: row.try_get(3)?,
            version: row.try_get(4)?,
        })
    })
    .transpose()
}

async fn user_id(tx: &mut Tx, sql: &'static str, key: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(sql).bind(key).fetch_optional(tx).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The account that has a number, by the number's blind index (U2).
pub async fn by_phone(tx: &mut Tx, blind_index: &str) -> Result<Option<String>, StoreError> {
    user_id(
        tx,
        "SELECT user_id FROM phones WHERE blind_index = $1",
        blind_index,
    )
    .await
}

/// The account that stores a customer reference (L5).
pub async fn by_customer(tx: &mut Tx, customer_ref: &str) -> Result<Option<String>, StoreError> {
    user_id(
        tx,
        "SELECT user_id FROM accounts WHERE customer_ref = $1",
        customer_ref,
    )
    .await
}

/// The binding of a lasting subject (W2, W3).
pub async fn binding_of_subject(
    tx: &mut Tx,
    provider: &str,
    platform: &str,
    subject: &str,
) -> Result<Option<BindingRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {BINDING} FROM bindings b WHERE b.provider = $1 AND b.platform = $2 AND b.subject = $3"
    )))
    .bind(provider)
    .bind(platform)
    .bind(subject)
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(binding).transpose()
}

/// The binding that an open id belongs to (W1, W4).
pub async fn binding_of_open_id(
    tx: &mut Tx,
    provider: &str,
    app_id: &str,
    open_id: &str,
) -> Result<Option<BindingRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {BINDING} FROM open_ids o JOIN bindings b ON b.binding_id = o.binding_id WHERE o.provider = $1 AND o.app_id = $2 AND o.open_id = $3"
    )))
    .bind(provider)
    .bind(app_id)
    .bind(open_id)
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(binding).transpose()
}

/// Whether an open id of this app is linked to a binding.
pub async fn has_open_id(tx: &mut Tx, binding_id: &str, app_id: &str) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM open_ids WHERE binding_id = $1 AND app_id = $2 LIMIT 1")
        .bind(binding_id)
        .bind(app_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

/// Whether an open id of another app is linked to a binding.
pub async fn has_open_id_elsewhere(
    tx: &mut Tx,
    binding_id: &str,
    app_id: &str,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM open_ids WHERE binding_id = $1 AND app_id <> $2 LIMIT 1")
        .bind(binding_id)
        .bind(app_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

/// An account's binding on one open-platform account: there is at most one (W3).
pub async fn binding_on(
    tx: &mut Tx,
    provider: &str,
    platform: &str,
    user_id: &str,
) -> Result<Option<BindingRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {BINDING} FROM bindings b WHERE b.provider = $1 AND b.platform = $2 AND b.user_id = $3"
    )))
    .bind(provider)
    .bind(platform)
    .bind(user_id)
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(binding).transpose()
}

/// An account's bindings, oldest first.
pub async fn bindings(tx: &mut Tx, user_id: &str) -> Result<Vec<BindingRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {BINDING} FROM bindings b WHERE b.user_id = $1 ORDER BY b.bound_at, b.binding_id"
    )))
    .bind(user_id)
    .fetch_all(tx)
    .await?;
    rows.iter().map(binding).collect()
}

/// The hash of an account's login password.
pub async fn password_hash(tx: &mut Tx, user_id: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT password_hash FROM login_passwords WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// An account's sealed phone number.
pub async fn sealed_phone(tx: &mut Tx, user_id: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT sealed_number FROM phones WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Adds a real account, at version 1.
pub async fn insert(
    tx: &mut Tx,
    user_id: &str,
    customer_ref: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO accounts (user_id, kind, customer_ref, created_at, version) VALUES ($1, 'real', $2, $3, 1)")
        .bind(user_id)
        .bind(customer_ref)
        .bind(at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts a change of an account, and gives the new version. The row is held until the transaction ends.
pub async fn next_version(tx: &mut Tx, user_id: &str) -> Result<i64, StoreError> {
    sqlx::query("UPDATE accounts SET version = version + 1 WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query("SELECT version FROM accounts WHERE user_id = $1")
        .bind(user_id)
        .fetch_one(tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// Stores the customer reference of a real account that has none. `false`: it has one by now.
pub async fn set_customer(
    tx: &mut Tx,
    user_id: &str,
    customer_ref: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE accounts SET customer_ref = $2 WHERE user_id = $1 AND kind = 'real' AND customer_ref IS NULL",
    )
    .bind(user_id)
    .bind(customer_ref)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A profile that has not changed is noted again after this time, not at each login: that would be a row written for nothing.
const PROFILE_NOTED: Duration = Duration::from_hours(24);

/// Refreshes the profile (M6). What the provider did not show stays.
pub async fn set_profile(
    tx: &mut Tx,
    user_id: &str,
    nickname: Option<&str>,
    avatar_url: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE accounts SET nickname = COALESCE($2, nickname), avatar_url = COALESCE($3, avatar_url), profile_at = $4 WHERE user_id = $1 \
         AND (profile_at IS NULL OR profile_at <= $5 OR COALESCE($2, nickname) IS DISTINCT FROM nickname \
         OR COALESCE($3, avatar_url) IS DISTINCT FROM avatar_url)",
    )
    .bind(user_id)
    .bind(nickname)
    .bind(avatar_url)
    .bind(at.millis())
    .bind(at.minus(PROFILE_NOTED).millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets what a provider showed: the person took it back (M3). The next login shows it anew, where the person lets it (M6).
pub async fn forget_profile(tx: &mut Tx, user_id: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET nickname = NULL, avatar_url = NULL WHERE user_id = $1")
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives an account its number; one that it had is forgotten (U4).
pub async fn set_phone(
    tx: &mut Tx,
    user_id: &str,
    blind_index: &str,
    sealed_number: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM phones WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *tx)
        .await?;
    let done = sqlx::query(
        "INSERT INTO phones (blind_index, user_id, sealed_number, bound_at) SELECT $1, user_id, $3, $4 FROM accounts WHERE user_id = $2 AND kind = 'real'",
    )
    .bind(blind_index)
    .bind(user_id)
    .bind(sealed_number)
    .bind(at.millis())
    .execute(tx)
    .await?;
    real(done.rows_affected())
}

/// W6: a virtual id holds nothing. A statement that gives an account something gives it to a real one, or to nobody, and that is an error.
fn real(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt(
            "something for an id that is not a real account's",
        ))
    }
}

/// Gives an account its login password.
pub async fn insert_password(
    tx: &mut Tx,
    user_id: &str,
    password_hash: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let done = sqlx::query(
        "INSERT INTO login_passwords (user_id, password_hash, changed_at) SELECT user_id, $2, $3 FROM accounts WHERE user_id = $1 AND kind = 'real'",
    )
    .bind(user_id)
    .bind(password_hash)
    .bind(at.millis())
    .execute(tx)
    .await?;
    real(done.rows_affected())
}

/// Adds a binding.
pub async fn insert_binding(tx: &mut Tx, row: &BindingRow) -> Result<(), StoreError> {
    let done = sqlx::query(
        "INSERT INTO bindings (binding_id, provider, platform, subject, user_id, bound_at, revoked_at) \
         SELECT $1, $2, $3, $4, user_id, $6, $7 FROM accounts WHERE user_id = $5 AND kind = 'real'",
    )
    .bind(&row.binding_id)
    .bind(&row.provider)
    .bind(&row.platform)
    .bind(&row.subject)
    .bind(&row.user_id)
    .bind(row.bound_at.millis())
    .bind(row.revoked_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    real(done.rows_affected())
}

/// Gives a binding another platform and subject: an app moved, or the provider renamed the person (M5).
pub async fn set_subject(
    tx: &mut Tx,
    binding_id: &str,
    platform: &str,
    subject: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE bindings SET platform = $2, subject = $3 WHERE binding_id = $1")
        .bind(binding_id)
        .bind(platform)
        .bind(subject)
        .execute(tx)
        .await?;
    Ok(())
}

/// Marks a binding as withdrawn at the provider, or clears the mark.
pub async fn set_revoked(
    tx: &mut Tx,
    binding_id: &str,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE bindings SET revoked_at = $2 WHERE binding_id = $1")
        .bind(binding_id)
        .bind(at.map(Timestamp::millis))
        .execute(tx)
        .await?;
    Ok(())
}

/// An app's open ids go from one binding to another (M5).
pub async fn move_open_ids(
    tx: &mut Tx,
    from: &str,
    to: &str,
    app_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE open_ids SET binding_id = $2 WHERE binding_id = $1 AND app_id = $3")
        .bind(from)
        .bind(to)
        .bind(app_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes a binding that no open id is linked to any more.
pub async fn delete_binding(tx: &mut Tx, binding_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM bindings WHERE binding_id = $1")
        .bind(binding_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// The record of a subject that changed (M5).
#[derive(Clone, Copy, Debug)]
pub struct SubjectChange<'a> {
    /// A `UUIDv7`.
    pub change_id: &'a str,
    /// The binding as it was.
    pub old: &'a BindingRow,
    /// The binding that the identity belongs to now.
    pub new: &'a BindingRow,
    /// The app by which it was seen.
    pub app_id: &'a str,
    /// The login by which it was seen.
    pub login_ref: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Keeps the record of a subject that changed (M5).
pub async fn insert_subject_change(
    tx: &mut Tx,
    change: &SubjectChange<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO subject_changes (change_id, user_id, provider, app_id, old_platform, old_subject, new_platform, new_subject, login_ref, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(change.change_id)
    .bind(&change.new.user_id)
    .bind(&change.new.provider)
    .bind(change.app_id)
    .bind(&change.old.platform)
    .bind(&change.old.subject)
    .bind(&change.new.platform)
    .bind(&change.new.subject)
    .bind(change.login_ref)
    .bind(change.at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Links an open id to a binding (W1, W5); one that was linked to another is linked to this one.
pub async fn link_open_id(
    tx: &mut Tx,
    provider: &str,
    app_id: &str,
    open_id: &str,
    binding_id: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO open_ids (provider, app_id, open_id, binding_id, first_seen_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (provider, app_id, open_id) DO UPDATE SET binding_id = $4 WHERE open_ids.binding_id <> $4",
    )
    .bind(provider)
    .bind(app_id)
    .bind(open_id)
    .bind(binding_id)
    .bind(at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps what became of a binding (L8). `action`: `bound`, `renamed`, `moved`, `provider_revoked`, …
pub async fn insert_history(
    tx: &mut Tx,
    entry_id: &str,
    binding: &BindingRow,
    action: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO binding_history (entry_id, user_id, provider, platform, subject, action, at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(entry_id)
        .bind(&binding.user_id)
        .bind(&binding.provider)
        .bind(&binding.platform)
        .bind(&binding.subject)
        .bind(action)
        .bind(at.millis())
        .execute(tx)
        .await?;
    Ok(())
}
