//! SQLite, called on the thread that runs the transaction. sqlx's own driver hands every statement to a thread and waits for it: a login has twenty statements, and
//! the hand-overs cost more than the statements (benches/server/README.md). A `Tx` still takes sqlx's queries and gives sqlx's rows, so that the SQL of this module
//! runs on both databases alike.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{Batch, Connection, Statement, ffi};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyTypeInfo, AnyTypeInfoKind, AnyValue};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx_core::any::{AnyColumn, AnyValueKind};
use sqlx_core::ext::ustr::UStr;

/// Runs a statement that only moves a transaction along.
pub(super) fn control(connection: &Connection, sql: &str) -> Result<(), sqlx::Error> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    statement.raw_execute().map_err(failed)?;
    Ok(())
}

/// What a query gave: how many rows it changed, and its rows.
pub(super) struct Answer {
    pub(super) changed: u64,
    pub(super) rows: Vec<AnyRow>,
}

impl Answer {
    #[allow(
        clippy::field_reassign_with_default,
        reason = "it cannot be made otherwise"
    )]
    pub(super) fn result(&self) -> AnyQueryResult {
        let mut result = AnyQueryResult::default();
        result.rows_affected = self.changed;
        result
    }
}

/// Runs one query; without arguments (`raw_sql`) it may have several statements.
pub(super) fn query(
    connection: &Connection,
    sql: &str,
    arguments: Option<&AnyArguments>,
) -> Result<Answer, sqlx::Error> {
    // SQLite ends a transaction by itself where it cannot go on (a full disk). What comes after would be committed statement by statement.
    if connection.is_autocommit() {
        return Err(sqlx::Error::Protocol(
            "the transaction is over already".to_owned(),
        ));
    }
    let Some(arguments) = arguments else {
        let mut all = Answer {
            changed: 0,
            rows: Vec::new(),
        };
        let mut batch = Batch::new(connection, sql);
        while let Some(mut statement) = batch.next().map_err(failed)? {
            let answer = step(connection, &mut statement)?;
            all.changed += answer.changed;
            all.rows.extend(answer.rows);
        }
        return Ok(all);
    };
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    bind(&mut statement, &arguments.values.0)?;
    step(connection, &mut statement)
}

/// `$2` is the second argument, wherever it stands: SQLite itself numbers names by their first appearance.
fn bind(statement: &mut Statement<'_>, arguments: &[AnyValueKind]) -> Result<(), sqlx::Error> {
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.get(1..)?.parse::<usize>().ok())
            .unwrap_or(index);
        let argument = number
            .checked_sub(1)
            .and_then(|number| arguments.get(number))
            .ok_or_else(|| sqlx::Error::Protocol(format!("there is no argument ${number}")))?;
        statement
            .raw_bind_parameter(index, to_sqlite(argument)?)
            .map_err(failed)?;
    }
    Ok(())
}

fn to_sqlite(argument: &AnyValueKind) -> Result<ToSqlOutput<'_>, sqlx::Error> {
    Ok(match argument {
        AnyValueKind::Null(_) => ToSqlOutput::Owned(SqliteValue::Null),
        AnyValueKind::Bool(value) => ToSqlOutput::from(i64::from(*value)),
        AnyValueKind::SmallInt(value) => ToSqlOutput::from(i64::from(*value)),
        AnyValueKind::Integer(value) => ToSqlOutput::from(i64::from(*value)),
        AnyValueKind::BigInt(value) => ToSqlOutput::from(*value),
        AnyValueKind::Real(value) => ToSqlOutput::from(f64::from(*value)),
        AnyValueKind::Double(value) => ToSqlOutput::from(*value),
        AnyValueKind::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        AnyValueKind::TextSlice(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        AnyValueKind::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        _ => {
            return Err(sqlx::Error::Protocol(
                "an argument of a kind that SQLite has not".to_owned(),
            ));
        }
    })
}

fn step(connection: &Connection, statement: &mut Statement<'_>) -> Result<Answer, sqlx::Error> {
    let count = statement.column_count();
    let columns: Vec<AnyColumn> = (0..count)
        .map(|ordinal| {
            Ok(AnyColumn {
                ordinal,
                name: UStr::new(statement.column_name(ordinal).map_err(failed)?),
                type_info: AnyTypeInfo {
                    kind: AnyTypeInfoKind::Null,
                },
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    let mut names = None;
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        let values = (0..count)
            .map(|index| from_sqlite(row.get_ref(index).map_err(failed)?))
            .collect::<Result<_, sqlx::Error>>()?;
        let names = names.get_or_insert_with(|| {
            Arc::new(
                columns
                    .iter()
                    .map(|column| (column.name.clone(), column.ordinal))
                    .collect(),
            )
        });
        found.push(AnyRow {
            column_names: Arc::clone(names),
            columns: columns.clone(),
            values,
        });
    }
    drop(rows);
    Ok(Answer {
        changed: if count == 0 { connection.changes() } else { 0 },
        rows: found,
    })
}

fn from_sqlite(value: ValueRef<'_>) -> Result<AnyValue, sqlx::Error> {
    let kind = match value {
        ValueRef::Null => AnyValueKind::Null(AnyTypeInfoKind::Null),
        ValueRef::Integer(value) => AnyValueKind::BigInt(value),
        ValueRef::Real(value) => AnyValueKind::Double(value),
        ValueRef::Text(bytes) => {
            let text =
                std::str::from_utf8(bytes).map_err(|error| sqlx::Error::Decode(error.into()))?;
            AnyValueKind::Text(Arc::new(text.to_owned()))
        }
        ValueRef::Blob(bytes) => AnyValueKind::Blob(Arc::new(bytes.to_vec())),
    };
    Ok(AnyValue { kind })
}

/// SQLite's errors as sqlx gives them, with the extended result code.
pub(super) fn failed(error: rusqlite::Error) -> sqlx::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            sqlx::Error::Database(Box::new(SqliteFailure {
                code: code.extended_code,
                message: message.unwrap_or_else(|| code.to_string()),
            }))
        }
        other => sqlx::Error::Protocol(other.to_string()),
    }
}

#[derive(Debug)]
struct SqliteFailure {
    code: i32,
    message: String,
}

impl fmt::Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl StdError for SqliteFailure {}

impl DatabaseError for SqliteFailure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                ErrorKind::UniqueViolation
            }
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sqlite;
    use super::super::tx::{On, Tx};
    use super::*;
    use sqlx::Row as _;

    fn transaction() -> (tempfile::TempDir, Tx) {
        let folder = tempfile::tempdir().unwrap();
        let connection = sqlite::open_writing(&folder.path().join("a.db")).unwrap();
        control(&connection, "BEGIN IMMEDIATE").unwrap();
        (folder, Tx(On::Sqlite(connection)))
    }

    #[tokio::test]
    async fn an_argument_is_bound_by_its_number_and_comes_back_as_it_was() {
        let (_folder, mut tx) = transaction();
        let row = sqlx::query("SELECT $3, $1, $2, $1")
            .bind("first")
            .bind(i64::MIN)
            .bind(None::<String>)
            .fetch_one(&mut tx)
            .await
            .unwrap();
        assert_eq!(row.try_get::<Option<String>, _>(0).unwrap(), None);
        assert_eq!(row.try_get::<String, _>(1).unwrap(), "first");
        assert_eq!(row.try_get::<i64, _>(2).unwrap(), i64::MIN);
        assert_eq!(row.try_get::<&str, _>(3).unwrap(), "first");
        assert!(row.try_get::<i64, _>(1).is_err(), "text is no number");
        assert!(
            sqlx::query("SELECT $2")
                .bind("only one")
                .fetch_one(&mut tx)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn changes_are_counted_and_a_repeated_key_is_a_unique_violation() {
        let (_folder, mut tx) = transaction();
        sqlx::raw_sql("CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('a'); INSERT INTO t VALUES ('b')")
            .execute(&mut tx)
            .await
            .unwrap();
        let again = sqlx::query("INSERT INTO t VALUES ($1)")
            .bind("a")
            .execute(&mut tx)
            .await
            .unwrap_err();
        assert!(again.as_database_error().unwrap().is_unique_violation());
        let none = sqlx::query("INSERT INTO t VALUES ('a') ON CONFLICT DO NOTHING");
        assert_eq!(none.execute(&mut tx).await.unwrap().rows_affected(), 0);
        let all = sqlx::query("DELETE FROM t").execute(&mut tx).await.unwrap();
        assert_eq!(all.rows_affected(), 2);
        assert!(
            sqlx::query("SELECT k FROM t")
                .fetch_optional(&mut tx)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            sqlx::query("DELETE FROM t; DELETE FROM t")
                .execute(&mut tx)
                .await
                .is_err(),
            "only raw_sql may have several statements"
        );
    }

    #[tokio::test]
    async fn after_a_transaction_that_ended_by_itself_no_statement_is_run() {
        let (_folder, mut tx) = transaction();
        sqlx::raw_sql("CREATE TABLE t (k TEXT); ROLLBACK")
            .execute(&mut tx)
            .await
            .unwrap();
        let late = sqlx::raw_sql("CREATE TABLE t (k TEXT)")
            .execute(&mut tx)
            .await;
        assert!(matches!(late, Err(sqlx::Error::Protocol(_))), "{late:?}");
    }
}
