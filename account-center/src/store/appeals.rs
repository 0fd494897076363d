//! `security_questions`, `appeals`, `login_places`, and what is known of how an account was used (U6).

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// A security question of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRow {
    /// From 0.
    pub position: i64,
    /// The keyed hash of the question.
    pub question_name: String,
    /// The question, encrypted.
    pub sealed_question: String,
    /// argon2id of the normalised answer.
    pub answer_hash: String,
    /// When it was set.
    pub set_at: Timestamp,
}

/// Replaces the questions of an account.
pub async fn set_questions(
    tx: &mut Tx,
    user_id: &str,
    questions: &[QuestionRow],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM security_questions WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *tx)
        .await?;
    for row in questions {
        sqlx::query(
            "INSERT INTO security_questions (user_id, position, question_name, sealed_question, answer_hash, set_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(user_id)
        .bind(row.position)
        .bind(&row.question_name)
        .bind(&row.sealed_question)
        .bind(&row.answer_hash)
        .bind(row.set_at.millis())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// The questions of an account, in their order.
pub async fn questions(tx: &mut Tx, user_id: &str) -> Result<Vec<QuestionRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT position, question_name, sealed_question, answer_hash, set_at FROM security_questions WHERE user_id = $1 ORDER BY position",
    )
    .bind(user_id)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(QuestionRow {
                position: row.try_get(0)?,
                question_name: row.try_get(1)?,
                sealed_question: row.try_get(2)?,
                answer_hash: row.try_get(3)?,
                set_at: Timestamp::from_millis(row.try_get(4)?),
            })
        })
        .collect()
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealRow {
    /// A `UUIDv7`.
    pub appeal_id: String,
    /// The app that it came from.
    pub app_id: String,
    /// The thumbprint of the device key that it answers to.
    pub device_key: String,
    /// The account that was claimed, where there is one.
    pub user_id: Option<String>,
    /// What was claimed, encrypted.
    pub sealed_claim: String,
    /// JSON.
    pub evidence: String,
    /// `open`, `approved`, `rejected`, `used`
    pub status: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// By whom.
    pub decided_by: Option<String>,
    /// For the appellant.
    pub reason: Option<String>,
    /// Approved: the appellant may set a new login password too.
    pub new_password: bool,
    /// Approved: until when it may be used.
    pub grant_expires_at: Option<Timestamp>,
}

const APPEAL: &str = "appeal_id, app_id, device_key, user_id, sealed_claim, evidence, status, created_at, decided_at, decided_by, reason, new_password, grant_expires_at";

fn appeal(row: &AnyRow) -> Result<AppealRow, StoreError> {
    let instant = |index| -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(row
            .try_get::<Option<i64>, usize>(index)?
            .map(Timestamp::from_millis))
    };
    Ok(AppealRow {
        appeal_id: row.try_get(0)?,
        app_id: row.try_get(1)?,
        device_key: row.try_get(2)?,
        user_id: row.try_get(3)?,
        sealed_claim: row.try_get(4)?,
        evidence: row.try_get(5)?,
        status: row.try_get(6)?,
        created_at: Timestamp::from_millis(row.try_get(7)?),
        decided_at: instant(8)?,
        decided_by: row.try_get(9)?,
        reason: row.try_get(10)?,
        new_password: row.try_get::<i64, usize>(11)? != 0,
        grant_expires_at: instant(12)?,
    })
}

/// Adds an open appeal.
pub async fn insert(tx: &mut Tx, row: &AppealRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO appeals (appeal_id, app_id, device_key, user_id, sealed_claim, evidence, status, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&row.appeal_id)
    .bind(&row.app_id)
    .bind(&row.device_key)
    .bind(row.user_id.as_deref())
    .bind(&row.sealed_claim)
    .bind(&row.evidence)
    .bind(&row.status)
    .bind(row.created_at.millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// An appeal by its id.
pub async fn find(tx: &mut Tx, appeal_id: &str) -> Result<Option<AppealRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {APPEAL} FROM appeals WHERE appeal_id = $1"
    )))
    .bind(appeal_id)
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(appeal).transpose()
}

/// Appeals of a status, oldest first, after the one that is named.
pub async fn of_status(
    tx: &mut Tx,
    status: &str,
    after: Option<(Timestamp, &str)>,
    most: i64,
) -> Result<Vec<AppealRow>, StoreError> {
    let (at, id) = after.map_or((i64::MIN, ""), |(at, id)| (at.millis(), id));
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {APPEAL} FROM appeals WHERE status = $1 AND (created_at > $2 OR (created_at = $2 AND appeal_id > $3)) ORDER BY created_at, appeal_id LIMIT $4"
    )))
    .bind(status)
    .bind(at)
    .bind(id)
    .bind(most)
    .fetch_all(tx)
    .await?;
    rows.iter().map(appeal).collect()
}

/// What a person decided.
#[derive(Clone, Debug)]
pub struct Decided<'a> {
    /// `approved`, `rejected`
    pub status: &'a str,
    /// By whom.
    pub by: &'a str,
    /// For the appellant.
    pub reason: Option<&'a str>,
    /// The appellant may set a new login password too.
    pub new_password: bool,
    /// Until when it may be used.
    pub grant_expires_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// Decides an open appeal; `false` when it is not open any more.
pub async fn decide(
    tx: &mut Tx,
    appeal_id: &str,
    decided: &Decided<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE appeals SET status = $2, decided_by = $3, reason = $4, new_password = $5, grant_expires_at = $6, decided_at = $7 \
         WHERE appeal_id = $1 AND status = 'open'",
    )
    .bind(appeal_id)
    .bind(decided.status)
    .bind(decided.by)
    .bind(decided.reason)
    .bind(i64::from(decided.new_password))
    .bind(decided.grant_expires_at.map(Timestamp::millis))
    .bind(decided.at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses an approved appeal up; `false` when that is not possible (any more).
pub async fn spend(tx: &mut Tx, appeal_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE appeals SET status = 'used' WHERE appeal_id = $1 AND status = 'approved' AND grant_expires_at > $2",
    )
    .bind(appeal_id)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An account was logged in to from this network; noted once a day, so that a returning login dirties no row.
pub async fn seen_at(
    tx: &mut Tx,
    user_id: &str,
    place_name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO login_places (user_id, place_name, last_seen_at) VALUES ($1, $2, $3) ON CONFLICT (user_id, place_name) DO UPDATE SET last_seen_at = $3 \
         WHERE login_places.last_seen_at < $4",
    )
    .bind(user_id)
    .bind(place_name)
    .bind(now.millis())
    .bind(now.minus(std::time::Duration::from_hours(24)).millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// How an account was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// A session of it was opened with the device key.
    pub device_known: bool,
    /// It was logged in to from the network.
    pub place_known: bool,
    /// When a session of it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When its number was last changed.
    pub phone_changed_at: Option<Timestamp>,
    /// Other appeals for it that are open.
    pub open_appeals: i64,
}

/// How an account was used, seen from a device and a network. The queries are the same where there is no such account.
pub async fn usage(
    tx: &mut Tx,
    user_id: &str,
    device_key: &str,
    place_name: &str,
) -> Result<Use, StoreError> {
    let there = |row: Option<AnyRow>| row.is_some();
    let device_known = there(
        sqlx::query("SELECT 1 FROM sessions WHERE user_id = $1 AND device_key = $2 LIMIT 1")
            .bind(user_id)
            .bind(device_key)
            .fetch_optional(&mut *tx)
            .await?,
    );
    let place_known = there(
        sqlx::query("SELECT 1 FROM login_places WHERE user_id = $1 AND place_name = $2")
            .bind(user_id)
            .bind(place_name)
            .fetch_optional(&mut *tx)
            .await?,
    );
    let instant = |row: AnyRow| -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(row
            .try_get::<Option<i64>, usize>(0)?
            .map(Timestamp::from_millis))
    };
    let last_used_at = instant(
        sqlx::query("SELECT MAX(last_used_at) FROM sessions WHERE user_id = $1")
            .bind(user_id)
            .fetch_one(&mut *tx)
            .await?,
    )?;
    let phone_changed_at = instant(
        sqlx::query(
            "SELECT MAX(at) FROM account_history WHERE user_id = $1 AND action = 'phone_changed'",
        )
        .bind(user_id)
        .fetch_one(&mut *tx)
        .await?,
    )?;
    let open_appeals =
        sqlx::query("SELECT COUNT(*) FROM appeals WHERE user_id = $1 AND status = 'open'")
            .bind(user_id)
            .fetch_one(&mut *tx)
            .await?
            .try_get(0)?;
    Ok(Use {
        device_known,
        place_known,
        last_used_at,
        phone_changed_at,
        open_appeals,
    })
}

/// Gives an account another login password, or its first.
pub async fn set_password(
    tx: &mut Tx,
    user_id: &str,
    password_hash: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO login_passwords (user_id, password_hash, changed_at) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id) DO UPDATE SET password_hash = $2, changed_at = $3",
    )
    .bind(user_id)
    .bind(password_hash)
    .bind(at.millis())
    .execute(tx)
    .await?;
    Ok(())
}
