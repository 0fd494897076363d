//! The schema's history, run by sqlx. A migration that was ever released is never changed: sqlx compares its checksum.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, name and SQL of each migration.
const ALL: [(i64, &str, &str); 2] = [
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
];

/// All migrations, in order.
pub(super) fn migrator() -> Migrator {
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
    Migrator::with_migrations(migrations)
}
