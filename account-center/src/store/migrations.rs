//! The schema's history, run by sqlx. A migration that was ever released is never changed: sqlx compares its checksum. Migrations only expand (new tables, new
//! columns that may be null or have a default, new indexes), so that the release before goes on working beside a migrated schema; what is not used any more is
//! taken away a release later (contract), when nothing reads or writes it.
//!
//! No lock is taken: PostgreSQL's advisory locks are not to be had on every engine that speaks its protocol. Each migration is a transaction with its row in
//! sqlx's table, so of two programs that migrate at once one fails, undoes its part, looks again and finds the work done.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Row as _, SqlSafeStr as _};

use super::StoreError;

/// sqlx's own table.
pub(super) const TABLE: &str = "_sqlx_migrations";

/// How often a migration is tried that another program may be making at the same time.
const ATTEMPTS: u32 = 10;

/// Version, name and SQL of each migration.
const ALL: &[(i64, &str, &str)] = &[
    (
        1,
        "initial",
        include_str!("../../migrations/0001_initial.sql"),
    ),
    (
        2,
        "provider requests",
        include_str!("../../migrations/0002_provider_requests.sql"),
    ),
    (
        3,
        "provider request state",
        include_str!("../../migrations/0003_provider_request_state.sql"),
    ),
    (
        4,
        "imports",
        include_str!("../../migrations/0004_imports.sql"),
    ),
    (
        5,
        "account",
        include_str!("../../migrations/0005_account.sql"),
    ),
    (
        6,
        "appeals",
        include_str!("../../migrations/0006_appeals.sql"),
    ),
    (
        7,
        "identity",
        include_str!("../../migrations/0007_identity.sql"),
    ),
    (
        8,
        "outbox delivery",
        include_str!("../../migrations/0008_outbox_delivery.sql"),
    ),
    (9, "admin", include_str!("../../migrations/0009_admin.sql")),
    (
        10,
        "rollout and funnel",
        include_str!("../../migrations/0010_rollout_and_funnel.sql"),
    ),
    (
        11,
        "closed accounts",
        include_str!("../../migrations/0011_closed_accounts.sql"),
    ),
    (
        20,
        "bindings by account",
        include_str!("../../migrations/0020_bindings_by_account.sql"),
    ),
];

/// All migrations, in order.
pub(crate) fn migrator() -> Migrator {
    let migrations = ALL
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                Cow::Borrowed(*name),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.set_locking(false);
    // A newer release has migrated already: its schema only has more than ours.
    migrator.set_ignore_missing(true);
    migrator
}

/// Where a database's schema stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations of this program that are not applied, as `0002 provider requests`.
    pub pending: Vec<String>,
    /// Applied migrations that this program does not know: a newer release has migrated.
    pub ahead: Vec<i64>,
    /// Applied migrations whose text was another: the database is not ours, or a released migration was changed.
    pub changed: Vec<i64>,
}

impl SchemaState {
    /// Whether nothing was ever migrated.
    pub fn is_fresh(&self) -> bool {
        self.pending.len() == ALL.len() && self.ahead.is_empty()
    }
}

/// The newest migration of this program.
pub fn newest() -> i64 {
    ALL.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

/// One name for exactly this schema.
pub fn fingerprint() -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for migration in migrator().iter() {
        context.update(&migration.version.to_be_bytes());
        context.update(&migration.checksum);
    }
    context.finish().as_ref()[..8]
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Brings the schema up to date.
pub(super) async fn run(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let mut attempt = 1;
    loop {
        match migrator().run(&mut *connection).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt == ATTEMPTS => {
                return Err(StoreError::Migration(Box::new(error)));
            }
            Err(error) => {
                // Where another program made the same migration, there is less to do now; where not, the next attempt says the same again.
                let before = state(connection).await?;
                tracing::debug!(%error, pending = before.pending.len(), "a migration failed; looking again");
                tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt))).await;
                attempt += 1;
            }
        }
    }
}

/// Where a database stands that is not there yet.
pub(super) fn of_nothing() -> SchemaState {
    compare(&BTreeMap::new())
}

/// Compares the database's schema with this program's. Changes nothing.
pub(super) async fn state(connection: &mut AnyConnection) -> Result<SchemaState, StoreError> {
    let applied: BTreeMap<i64, Cow<'static, [u8]>> = if has_table(connection).await? {
        connection
            .list_applied_migrations(TABLE)
            .await
            .map_err(|error| StoreError::Migration(Box::new(error)))?
            .into_iter()
            .map(|migration| (migration.version, migration.checksum))
            .collect()
    } else {
        BTreeMap::new()
    };
    Ok(compare(&applied))
}

fn compare(applied: &BTreeMap<i64, Cow<'static, [u8]>>) -> SchemaState {
    let migrator = migrator();
    let known: BTreeMap<i64, &Migration> = migrator
        .iter()
        .map(|migration| (migration.version, migration))
        .collect();
    SchemaState {
        pending: known
            .values()
            .filter(|migration| !applied.contains_key(&migration.version))
            .map(|migration| format!("{:04} {}", migration.version, migration.description))
            .collect(),
        ahead: applied
            .keys()
            .filter(|version| !known.contains_key(version))
            .copied()
            .collect(),
        changed: known
            .iter()
            .filter(|(version, migration)| {
                applied
                    .get(version)
                    .is_some_and(|checksum| *checksum != migration.checksum)
            })
            .map(|(version, _)| *version)
            .collect(),
    }
}

async fn has_table(connection: &mut AnyConnection) -> Result<bool, StoreError> {
    let sql = if connection.backend_name() == "PostgreSQL" {
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
    } else {
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
    };
    let row = sqlx::query(sql).bind(TABLE).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? == 1)
}
