//! `admins`, `admin_sessions` and `audit_log`.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// An operator of the admin API. Debug shows no hash.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminRow {
    /// A `UUIDv7`.
    pub admin_id: String,
    /// What they log in with.
    pub name: String,
    /// What they may do: a word of [`crate::admin::Role`].
    pub role: String,
    /// argon2id; none before the set-up.
    pub password_hash: Option<String>,
    /// The keyed hash of the set-up secret, while there is one.
    pub setup_hash: Option<String>,
    /// When the set-up secret ends.
    pub setup_expires_at: Option<Timestamp>,
    /// The second factor's secret, sealed.
    pub sealed_totp: Option<String>,
    /// The last time step whose code was taken.
    pub totp_step: i64,
    /// When they were shut out.
    pub disabled_at: Option<Timestamp>,
    /// When they were made.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: i64,
}

impl std::fmt::Debug for AdminRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminRow")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

const ADMIN: &str = "SELECT admin_id, name, role, password_hash, setup_hash, setup_expires_at, sealed_totp, totp_step, disabled_at, created_at, version FROM admins";

impl AdminRow {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let instant = |index| {
            row.try_get::<Option<i64>, usize>(index)
                .map(|at| at.map(Timestamp::from_millis))
        };
        Ok(Self {
            admin_id: row.try_get(0)?,
            name: row.try_get(1)?,
            role: row.try_get(2)?,
            password_hash: row.try_get(3)?,
            setup_hash: row.try_get(4)?,
            setup_expires_at: instant(5)?,
            sealed_totp: row.try_get(6)?,
            totp_step: row.try_get(7)?,
            disabled_at: instant(8)?,
            created_at: Timestamp::from_millis(row.try_get(9)?),
            version: row.try_get(10)?,
        })
    }
}

/// The operator of this name.
pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<AdminRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ADMIN} WHERE name = $1")))
        .bind(name)
        .fetch_optional(tx)
        .await?;
    Ok(row.as_ref().map(AdminRow::read).transpose()?)
}

/// The operator of this id.
pub async fn by_id(tx: &mut Tx, admin_id: &str) -> Result<Option<AdminRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ADMIN} WHERE admin_id = $1")))
        .bind(admin_id)
        .fetch_optional(tx)
        .await?;
    Ok(row.as_ref().map(AdminRow::read).transpose()?)
}

/// All operators, by name.
pub async fn all(tx: &mut Tx) -> Result<Vec<AdminRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{ADMIN} ORDER BY name")))
        .fetch_all(tx)
        .await?;
    Ok(rows.iter().map(AdminRow::read).collect::<Result<_, _>>()?)
}

/// Adds an operator; `false` where the name is taken.
pub async fn insert(tx: &mut Tx, row: &AdminRow) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO admins (admin_id, name, role, password_hash, setup_hash, setup_expires_at, sealed_totp, totp_step, disabled_at, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&row.admin_id)
    .bind(&row.name)
    .bind(&row.role)
    .bind(&row.password_hash)
    .bind(&row.setup_hash)
    .bind(row.setup_expires_at.map(Timestamp::millis))
    .bind(&row.sealed_totp)
    .bind(row.totp_step)
    .bind(row.disabled_at.map(Timestamp::millis))
    .bind(row.created_at.millis())
    .bind(row.version)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes an operator who was read at `row.version - 1`; `false` where another change came in between.
pub async fn update(tx: &mut Tx, row: &AdminRow) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE admins SET role = $3, password_hash = $4, setup_hash = $5, setup_expires_at = $6, sealed_totp = $7, totp_step = $8, disabled_at = $9, version = $2 \
         WHERE admin_id = $1 AND version = $2 - 1",
    )
    .bind(&row.admin_id)
    .bind(row.version)
    .bind(&row.role)
    .bind(&row.password_hash)
    .bind(&row.setup_hash)
    .bind(row.setup_expires_at.map(Timestamp::millis))
    .bind(&row.sealed_totp)
    .bind(row.totp_step)
    .bind(row.disabled_at.map(Timestamp::millis))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A code of a later time step was taken, so this one and those before it serve no more; `false` where they do not already (RFC 6238, 5.2).
pub async fn take_totp_step(tx: &mut Tx, admin_id: &str, step: i64) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE admins SET totp_step = $2 WHERE admin_id = $1 AND totp_step < $2")
            .bind(admin_id)
            .bind(step)
            .execute(tx)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// The set-up secret serves no more.
pub async fn end_setup(tx: &mut Tx, admin_id: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE admins SET setup_hash = NULL, setup_expires_at = NULL WHERE admin_id = $1")
        .bind(admin_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// A session of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// A `UUIDv7`.
    pub session_id: String,
    /// The keyed hash of its token.
    pub token_hash: String,
    /// Whose it is.
    pub admin_id: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When a request last came.
    pub last_used_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

const SESSION: &str = "SELECT session_id, token_hash, admin_id, created_at, last_used_at, expires_at, ended_at FROM admin_sessions";

impl SessionRow {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            session_id: row.try_get(0)?,
            token_hash: row.try_get(1)?,
            admin_id: row.try_get(2)?,
            created_at: Timestamp::from_millis(row.try_get(3)?),
            last_used_at: Timestamp::from_millis(row.try_get(4)?),
            expires_at: Timestamp::from_millis(row.try_get(5)?),
            ended_at: row
                .try_get::<Option<i64>, usize>(6)?
                .map(Timestamp::from_millis),
        })
    }
}

/// Adds a session.
pub async fn insert_session(tx: &mut Tx, row: &SessionRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO admin_sessions (session_id, token_hash, admin_id, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&row.session_id)
        .bind(&row.token_hash)
        .bind(&row.admin_id)
        .bind(row.created_at.millis())
        .bind(row.last_used_at.millis())
        .bind(row.expires_at.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// The session of a token.
pub async fn session_by_token(
    tx: &mut Tx,
    token_hash: &str,
) -> Result<Option<SessionRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SESSION} WHERE token_hash = $1"
    )))
    .bind(token_hash)
    .fetch_optional(tx)
    .await?;
    Ok(row.as_ref().map(SessionRow::read).transpose()?)
}

/// The session of this id.
pub async fn session(tx: &mut Tx, session_id: &str) -> Result<Option<SessionRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SESSION} WHERE session_id = $1"
    )))
    .bind(session_id)
    .fetch_optional(tx)
    .await?;
    Ok(row.as_ref().map(SessionRow::read).transpose()?)
}

/// The sessions of an operator that are not over at `now` and were used after `idle_since`, newest first.
pub async fn live_sessions(
    tx: &mut Tx,
    admin_id: &str,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Vec<SessionRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SESSION} WHERE admin_id = $1 AND ended_at IS NULL AND expires_at > $2 AND last_used_at > $3 ORDER BY session_id DESC"
    )))
    .bind(admin_id)
    .bind(now.millis())
    .bind(idle_since.millis())
    .fetch_all(tx)
    .await?;
    Ok(rows
        .iter()
        .map(SessionRow::read)
        .collect::<Result<_, _>>()?)
}

/// A request came.
pub async fn touch_session(
    tx: &mut Tx,
    session_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE admin_sessions SET last_used_at = $2 WHERE session_id = $1 AND last_used_at < $2",
    )
    .bind(session_id)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a session; `false` where it is over already.
pub async fn end_session(
    tx: &mut Tx,
    session_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE admin_sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL",
    )
    .bind(session_id)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all sessions of an operator but one.
pub async fn end_sessions(
    tx: &mut Tx,
    admin_id: &str,
    except: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE admin_sessions SET ended_at = $3 WHERE admin_id = $1 AND session_id <> $2 AND ended_at IS NULL")
        .bind(admin_id)
        .bind(except)
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// 1, 2, 3, … without a gap.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who: an operator's name, or `(command line)`.
    pub actor: String,
    /// What was done: `rollout.changed`.
    pub action: String,
    /// To what.
    pub target: String,
    /// JSON: how it was.
    pub before: String,
    /// JSON: how it is.
    pub after: String,
    /// `X-Request-Id`.
    pub request_id: String,
    /// The hash of the entry before; empty for the first.
    pub previous_hash: String,
    /// The keyed hash of all this.
    pub entry_hash: String,
}

const AUDIT: &str = "SELECT seq, at, actor, action, target, before_value, after_value, request_id, previous_hash, entry_hash FROM audit_log";

impl AuditRow {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.try_get(0)?,
            at: Timestamp::from_millis(row.try_get(1)?),
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            target: row.try_get(4)?,
            before: row.try_get(5)?,
            after: row.try_get(6)?,
            request_id: row.try_get(7)?,
            previous_hash: row.try_get(8)?,
            entry_hash: row.try_get(9)?,
        })
    }
}

/// The newest entry.
pub async fn newest_entry(tx: &mut Tx) -> Result<Option<AuditRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{AUDIT} ORDER BY seq DESC LIMIT 1"
    )))
    .fetch_optional(tx)
    .await?;
    Ok(row.as_ref().map(AuditRow::read).transpose()?)
}

/// Adds an entry. Two that would be the same number collide, and the later one looks again.
pub async fn insert_entry(tx: &mut Tx, row: &AuditRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_log (seq, at, actor, action, target, before_value, after_value, request_id, previous_hash, entry_hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(row.seq)
    .bind(row.at.millis())
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.target)
    .bind(&row.before)
    .bind(&row.after)
    .bind(&row.request_id)
    .bind(&row.previous_hash)
    .bind(&row.entry_hash)
    .execute(tx)
    .await?;
    Ok(())
}

/// Entries after `seq`, oldest first.
pub async fn entries_after(tx: &mut Tx, seq: i64, most: i64) -> Result<Vec<AuditRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{AUDIT} WHERE seq > $1 ORDER BY seq LIMIT $2"
    )))
    .bind(seq)
    .bind(most)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(AuditRow::read).collect::<Result<_, _>>()?)
}

/// Entries before `seq`, newest first; `actor` and `target` narrow them where they are not empty.
pub async fn entries_before(
    tx: &mut Tx,
    seq: i64,
    actor: &str,
    target: &str,
    most: i64,
) -> Result<Vec<AuditRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{AUDIT} WHERE seq < $1 AND ($2 = '' OR actor = $2) AND ($3 = '' OR target = $3) ORDER BY seq DESC LIMIT $4"
    )))
    .bind(seq)
    .bind(actor)
    .bind(target)
    .bind(most)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(AuditRow::read).collect::<Result<_, _>>()?)
}
