//! `rollout_rules`, `trial_groups` and `trial_members` (L12).

use std::collections::BTreeSet;

use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// The rule of a provider in an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider.
    pub provider: String,
    /// JSON.
    pub rule: String,
    /// Counts changes.
    pub version: i64,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// The rules of an app.
pub async fn rules(tx: &mut Tx, app_id: &str) -> Result<Vec<RuleRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT app_id, provider, rule, version, changed_at FROM rollout_rules WHERE app_id = $1",
    )
    .bind(app_id)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(RuleRow {
                app_id: row.try_get(0)?,
                provider: row.try_get(1)?,
                rule: row.try_get(2)?,
                version: row.try_get(3)?,
                changed_at: Timestamp::from_millis(row.try_get(4)?),
            })
        })
        .collect()
}

/// Writes a rule that was read at `row.version - 1` (0: there was none); `false` where another change came in between.
pub async fn put_rule(tx: &mut Tx, row: &RuleRow) -> Result<bool, StoreError> {
    let done = if row.version == 1 {
        sqlx::query("INSERT INTO rollout_rules (app_id, provider, rule, version, changed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (app_id, provider) DO NOTHING")
    } else {
        sqlx::query("UPDATE rollout_rules SET rule = $3, version = $4, changed_at = $5 WHERE app_id = $1 AND provider = $2 AND version = $4 - 1")
    }
    .bind(&row.app_id)
    .bind(&row.provider)
    .bind(&row.rule)
    .bind(row.version)
    .bind(row.changed_at.millis())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a device is in one of the groups: by its own key, or because one of the group's people has had a session on it.
pub async fn in_group(
    tx: &mut Tx,
    groups: &[String],
    device_key: &str,
) -> Result<bool, StoreError> {
    for group in groups {
        let found = sqlx::query(
            "SELECT 1 FROM trial_members WHERE group_name = $1 AND kind = 'device' AND member = $2 \
             UNION ALL SELECT 1 FROM sessions s JOIN trial_members m ON m.group_name = $1 AND m.kind = 'user' AND m.member = s.user_id WHERE s.device_key = $2 LIMIT 1",
        )
        .bind(group)
        .bind(device_key)
        .fetch_optional(&mut *tx)
        .await?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A trial group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// Counts changes; 0: there is none.
    pub version: i64,
    /// Thumbprints of device keys.
    pub devices: BTreeSet<String>,
    /// User ids.
    pub users: BTreeSet<String>,
}

/// The names and versions of all groups.
pub async fn group_names(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query("SELECT name, version FROM trial_groups ORDER BY name")
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// A group; version 0 and empty where there is none.
pub async fn group(tx: &mut Tx, name: &str) -> Result<GroupRow, StoreError> {
    let version = sqlx::query("SELECT version FROM trial_groups WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut *tx)
        .await?;
    let mut group = GroupRow {
        name: name.to_owned(),
        version: version.map_or(Ok(0), |row| row.try_get(0))?,
        ..GroupRow::default()
    };
    let rows = sqlx::query("SELECT kind, member FROM trial_members WHERE group_name = $1")
        .bind(name)
        .fetch_all(tx)
        .await?;
    for row in rows {
        let (kind, member): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        match kind.as_str() {
            "device" => group.devices.insert(member),
            _ => group.users.insert(member),
        };
    }
    Ok(group)
}

/// Writes a group whole, read at `group.version - 1`; `false` where another change came in between.
pub async fn put_group(tx: &mut Tx, group: &GroupRow, now: Timestamp) -> Result<bool, StoreError> {
    let done = if group.version == 1 {
        sqlx::query("INSERT INTO trial_groups (name, version, changed_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
    } else {
        sqlx::query("UPDATE trial_groups SET version = $2, changed_at = $3 WHERE name = $1 AND version = $2 - 1")
    }
    .bind(&group.name)
    .bind(group.version)
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM trial_members WHERE group_name = $1")
        .bind(&group.name)
        .execute(&mut *tx)
        .await?;
    let members = group
        .devices
        .iter()
        .map(|device| ("device", device))
        .chain(group.users.iter().map(|user| ("user", user)));
    for (kind, member) in members {
        sqlx::query("INSERT INTO trial_members (group_name, kind, member) VALUES ($1, $2, $3)")
            .bind(&group.name)
            .bind(kind)
            .bind(member)
            .execute(&mut *tx)
            .await?;
    }
    Ok(true)
}
