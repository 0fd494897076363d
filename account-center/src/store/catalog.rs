//! What a database says of its own tables: columns, keys, references. Whatever walks over all tables (backup, restore, checks) asks here and so knows the tables
//! that a later migration adds.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, Row as _};

use super::{StoreError, migrations};

/// What a column holds. The schema has these two and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT
    Text,
    /// BIGINT
    Number,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it names a row of its own table.
    pub of_own_table: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, in the key's order.
    pub key: Vec<String>,
    /// The other tables that its rows name.
    pub references: BTreeSet<String>,
}

/// All tables but sqlx's own, each after those that its rows name.
pub async fn tables(connection: &mut AnyConnection) -> Result<Vec<Table>, StoreError> {
    let found = if connection.backend_name() == "PostgreSQL" {
        of_postgres(connection).await?
    } else {
        of_sqlite(connection).await?
    };
    in_order(found)
}

/// Rows of text from a query without parameters that may be written as a constant.
async fn texts<const N: usize>(
    connection: &mut AnyConnection,
    sql: String,
) -> Result<Vec<[String; N]>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut texts = std::array::from_fn(|_| String::new());
            for (index, text) in texts.iter_mut().enumerate() {
                *text = row.try_get(index)?;
            }
            Ok(texts)
        })
        .collect()
}

fn kind(declared: &str) -> Result<Kind, StoreError> {
    match declared.to_ascii_lowercase().as_str() {
        "text" => Ok(Kind::Text),
        "bigint" => Ok(Kind::Number),
        _ => Err(StoreError::Corrupt("a column is neither TEXT nor BIGINT")),
    }
}

async fn of_sqlite(connection: &mut AnyConnection) -> Result<Vec<Table>, StoreError> {
    let names = texts::<1>(
        connection,
        format!(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '{}' ORDER BY name",
            migrations::TABLE
        ),
    )
    .await?;
    let mut found = Vec::new();
    for [name] in names {
        // A name from the schema; it can hold no quote, as our migrations have none.
        let columns = texts::<3>(
            connection,
            format!(
                "SELECT name, type, CAST(pk AS TEXT) FROM pragma_table_info('{name}') ORDER BY cid"
            ),
        )
        .await?;
        let references = texts::<2>(
            connection,
            format!("SELECT \"table\", \"from\" FROM pragma_foreign_key_list('{name}')"),
        )
        .await?;
        let mut key: Vec<(u32, String)> = columns
            .iter()
            .filter_map(|[column, _, place]| {
                let place = place.parse().ok().filter(|place| *place > 0)?;
                Some((place, column.clone()))
            })
            .collect();
        key.sort();
        found.push(table(
            name,
            columns.into_iter().map(|[name, kind, _]| (name, kind)),
            key.into_iter().map(|(_, name)| name).collect(),
            &references,
        )?);
    }
    Ok(found)
}

async fn of_postgres(connection: &mut AnyConnection) -> Result<Vec<Table>, StoreError> {
    let columns = texts::<3>(
        connection,
        format!(
            "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT) FROM information_schema.columns c \
             JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name <> '{}' \
             ORDER BY c.table_name, c.ordinal_position",
            migrations::TABLE
        ),
    )
    .await?;
    let keys = texts::<2>(
        connection,
        "SELECT CAST(k.table_name AS TEXT), CAST(k.column_name AS TEXT) FROM information_schema.table_constraints t \
         JOIN information_schema.key_column_usage k ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name \
         WHERE t.table_schema = current_schema() AND t.constraint_type = 'PRIMARY KEY' ORDER BY k.table_name, k.ordinal_position"
            .to_owned(),
    )
    .await?;
    let references = texts::<3>(
        connection,
        "SELECT CAST(k.table_name AS TEXT), CAST(u.table_name AS TEXT), CAST(k.column_name AS TEXT) FROM information_schema.table_constraints t \
         JOIN information_schema.key_column_usage k ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name \
         JOIN information_schema.constraint_column_usage u ON u.constraint_schema = t.constraint_schema AND u.constraint_name = t.constraint_name \
         WHERE t.table_schema = current_schema() AND t.constraint_type = 'FOREIGN KEY'"
            .to_owned(),
    )
    .await?;
    let mut by_table: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for [table, column, kind] in columns {
        by_table.entry(table).or_default().push((column, kind));
    }
    by_table
        .into_iter()
        .map(|(name, columns)| {
            let key = keys
                .iter()
                .filter(|[of, _]| *of == name)
                .map(|[_, column]| column.clone())
                .collect();
            let references: Vec<[String; 2]> = references
                .iter()
                .filter(|[of, ..]| *of == name)
                .map(|[_, to, column]| [to.clone(), column.clone()])
                .collect();
            table(name, columns.into_iter(), key, &references)
        })
        .collect()
}

fn table(
    name: String,
    columns: impl Iterator<Item = (String, String)>,
    key: Vec<String>,
    references: &[[String; 2]],
) -> Result<Table, StoreError> {
    let columns = columns
        .map(|(column, declared)| {
            Ok(Column {
                kind: kind(&declared)?,
                of_own_table: references
                    .iter()
                    .any(|[to, from]| *to == name && *from == column),
                name: column,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let references = references
        .iter()
        .filter(|[to, _]| *to != name)
        .map(|[to, _]| to.clone())
        .collect();
    Ok(Table {
        name,
        columns,
        key,
        references,
    })
}

fn in_order(mut rest: Vec<Table>) -> Result<Vec<Table>, StoreError> {
    let mut done: Vec<Table> = Vec::new();
    while !rest.is_empty() {
        let known: BTreeSet<String> = done.iter().map(|table| table.name.clone()).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|table| table.references.is_subset(&known));
        if ready.is_empty() {
            return Err(StoreError::Corrupt("tables name each other in a circle"));
        }
        done.extend(ready);
        rest = waiting;
    }
    Ok(done)
}
