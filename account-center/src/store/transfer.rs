//! Backup and restore: every row of every table, from one consistent picture of the database, in a file that either kind of database takes.
//!
//! The file is lines of JSON (UTF-8):
//! ```text
//! {"postern_backup":1,"made_at":1800000000,"schema":4,"server_secret":"…"}
//! {"table":"accounts","columns":["user_id","kind",…]}
//! ["0190…","real",null,…]
//! {"end":"accounts","rows":1}
//! {"sha256":"…"}
//! ```
//! `schema` is the newest migration, `server_secret` a keyed name that tells whether the same server secret is there again, `sha256` is over all bytes before its
//! line. Tables come after those that their rows name.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use futures_util::TryStreamExt as _;
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::catalog::{self, Column, Kind, Table};
use super::{Database, StoreError, migrations};

/// The form of the file.
const FORM: u32 = 1;
/// Values in one INSERT: below what either database takes.
const VALUES: usize = 2000;
/// A line is a row; none of ours is near this.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// A backup could not be made, or not be restored.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be read or written.
    #[error("the backup: {0}")]
    Io(#[from] std::io::Error),
    /// The file is not a backup, or not whole.
    #[error("the backup, line {line}: {wrong}")]
    Form {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        wrong: String,
    },
    /// Its checksum is not that of its content.
    #[error("the backup was changed or damaged: its checksum is not that of its content")]
    Checksum,
    /// It was made by a newer release.
    #[error(
        "the backup has schema {theirs}, this program knows {ours}: restore it with the release that made it, or a newer one"
    )]
    Newer {
        /// The backup's.
        theirs: i64,
        /// This program's.
        ours: i64,
    },
    /// The server secret is another one.
    #[error(
        "the backup was made under another server secret: what is sealed in it could not be read here. Put that server secret in place first"
    )]
    OtherSecret,
    /// There is something in the database.
    #[error(
        "the database is not empty ({0} has rows): a backup is restored into an empty one only"
    )]
    NotEmpty(String),
    /// The database's schema is not this program's.
    #[error(
        "the database's schema is not this program's: run `postern-account-center migrate` first"
    )]
    Schema,
}

impl From<sqlx::Error> for TransferError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    postern_backup: u32,
    made_at: i64,
    schema: i64,
    server_secret: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    table: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: String,
    rows: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    sha256: String,
}

/// Rows of each table.
pub type Rows = BTreeMap<String, u64>;

/// What a backup says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Seconds since 1970 UTC.
    pub made_at: i64,
    /// The keyed name of the server secret.
    pub server_secret: &'a str,
}

struct Summed<'a> {
    output: &'a mut (dyn Write + Send),
    sum: digest::Context,
}

impl Summed<'_> {
    fn line(&mut self, line: &impl Serialize) -> Result<(), TransferError> {
        let mut bytes = serde_json::to_vec(line).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        self.sum.update(&bytes);
        self.output.write_all(&bytes)?;
        Ok(())
    }
}

fn hex(sum: digest::Context) -> String {
    sum.finish()
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Writes every row of every table. Others go on reading and writing meanwhile; the backup has what was committed when it began. `tell` hears each table's
/// name and rows.
pub async fn back_up(
    database: &Database,
    origin: Origin<'_>,
    output: &mut (dyn Write + Send),
    mut tell: impl FnMut(&str, u64),
) -> Result<Rows, TransferError> {
    let mut connection = super::connect(database, false).await?;
    if !migrations::state(&mut connection).await?.pending.is_empty() {
        return Err(TransferError::Schema);
    }
    let begin = match database {
        Database::Sqlite(_) => "BEGIN",
        Database::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    let mut tx = connection.begin_with(begin).await?;
    let mut output = Summed {
        output,
        sum: digest::Context::new(&digest::SHA256),
    };
    output.line(&Header {
        postern_backup: FORM,
        made_at: origin.made_at,
        schema: migrations::newest(),
        server_secret: origin.server_secret.to_owned(),
    })?;
    let mut all = Rows::new();
    for table in catalog::tables(&mut tx).await? {
        output.line(&Begin {
            table: table.name.clone(),
            columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        })?;
        let columns = names(&table.columns);
        let order = table.key.join(", ");
        let sql = format!("SELECT {columns} FROM {} ORDER BY {order}", table.name);
        let mut rows = 0;
        {
            let mut stream = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch(&mut *tx);
            while let Some(row) = stream.try_next().await? {
                output.line(&values(&row, &table.columns)?)?;
                rows += 1;
            }
        }
        tell(&table.name, rows);
        output.line(&End {
            end: table.name.clone(),
            rows,
        })?;
        all.insert(table.name, rows);
    }
    tx.rollback().await?;
    connection.close().await?;
    let Summed { output, sum } = output;
    serde_json::to_writer(&mut *output, &Sum { sha256: hex(sum) }).map_err(std::io::Error::from)?;
    output.write_all(b"\n")?;
    output.flush()?;
    Ok(all)
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}

fn values(row: &AnyRow, columns: &[Column]) -> Result<Vec<Value>, TransferError> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            Ok(match column.kind {
                Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::from),
                Kind::Number => row.try_get::<Option<i64>, _>(index)?.map(Value::from),
            }
            .unwrap_or(Value::Null))
        })
        .collect()
}

/// A line of a backup.
enum Line {
    Begin(Begin),
    Row(Vec<Value>),
    End(End),
}

/// Reads a backup line by line and holds it to its form: header, tables, checksum, nothing after it.
struct Reader<R> {
    input: R,
    line: u64,
    sum: digest::Context,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            sum: digest::Context::new(&digest::SHA256),
        }
    }

    fn wrong(&self, wrong: impl Into<String>) -> TransferError {
        TransferError::Form {
            line: self.line,
            wrong: wrong.into(),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, TransferError> {
        let mut bytes = Vec::new();
        self.line += 1;
        let mut limited = std::io::Read::take(&mut self.input, LONGEST_LINE);
        limited.read_until(b'\n', &mut bytes)?;
        if bytes.last() == Some(&b'\n') {
            Ok(bytes)
        } else {
            Err(self.wrong("the file ends here; it is not whole"))
        }
    }

    fn header(&mut self) -> Result<Header, TransferError> {
        let bytes = self.bytes()?;
        self.sum.update(&bytes);
        let header: Header = serde_json::from_slice(&bytes)
            .map_err(|_| self.wrong("this is not a backup of an account center"))?;
        if header.postern_backup == FORM {
            Ok(header)
        } else {
            Err(self.wrong(format!("form {} is not known", header.postern_backup)))
        }
    }

    /// The next line, or nothing after the checksum, which is compared then.
    fn next(&mut self) -> Result<Option<Line>, TransferError> {
        let bytes = self.bytes()?;
        let parsed: Option<Line> = if bytes.first() == Some(&b'[') {
            serde_json::from_slice(&bytes).ok().map(Line::Row)
        } else if let Ok(begin) = serde_json::from_slice::<Begin>(&bytes) {
            Some(Line::Begin(begin))
        } else if let Ok(end) = serde_json::from_slice::<End>(&bytes) {
            Some(Line::End(end))
        } else if let Ok(sum) = serde_json::from_slice::<Sum>(&bytes) {
            if !self.input.fill_buf()?.is_empty() {
                return Err(self.wrong("there is something after the checksum"));
            }
            return if hex(self.sum.clone()) == sum.sha256 {
                Ok(None)
            } else {
                Err(TransferError::Checksum)
            };
        } else {
            None
        };
        self.sum.update(&bytes);
        match parsed {
            Some(line) => Ok(Some(line)),
            None => Err(self.wrong("this is no row and no table")),
        }
    }
}

/// Reads a backup from end to end, and says how many rows it has. `server_secret`: the keyed name that it must have.
pub fn verify(input: impl BufRead, server_secret: &str) -> Result<Rows, TransferError> {
    let mut reader = Reader::new(input);
    let header = reader.header()?;
    if header.schema > migrations::newest() {
        return Err(TransferError::Newer {
            theirs: header.schema,
            ours: migrations::newest(),
        });
    }
    if header.server_secret != server_secret {
        return Err(TransferError::OtherSecret);
    }
    let mut all = Rows::new();
    let mut open: Option<(Begin, u64)> = None;
    while let Some(line) = reader.next()? {
        open = match (line, open) {
            (Line::Begin(begin), None) if !all.contains_key(&begin.table) => Some((begin, 0)),
            (Line::Row(row), Some((begin, rows))) if row.len() == begin.columns.len() => {
                Some((begin, rows + 1))
            }
            (Line::End(end), Some((begin, rows))) if end.end == begin.table && end.rows == rows => {
                all.insert(begin.table, rows);
                None
            }
            _ => return Err(reader.wrong("this does not belong here, or rows are missing")),
        };
    }
    match open {
        None => Ok(all),
        Some(_) => Err(reader.wrong("a table does not end")),
    }
}

/// Restores a backup into an empty database, in one transaction: all of it, or nothing. The schema has to be this program's. `fresh`: the database was never
/// used, so what its migrations put into it is replaced. `input` opens the file; it is read three times.
pub async fn restore<R: BufRead + Send>(
    database: &Database,
    fresh: bool,
    server_secret: &str,
    input: impl Fn() -> std::io::Result<R>,
    mut tell: impl FnMut(&str, u64),
) -> Result<Rows, TransferError> {
    // Before anything is written; and again while it is read, should the file be exchanged meanwhile.
    let all = verify(input()?, server_secret)?;
    let mut connection = super::connect(database, true).await?;
    if !migrations::state(&mut connection).await?.pending.is_empty() {
        return Err(TransferError::Schema);
    }
    let begin = match database {
        Database::Sqlite(_) => "BEGIN IMMEDIATE",
        Database::Postgres(_) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    };
    let mut tx = connection.begin_with(begin).await?;
    let tables = catalog::tables(&mut tx).await?;
    for table in tables.iter().rev() {
        if fresh {
            let sql = format!("DELETE FROM {}", table.name);
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(&mut *tx)
                .await?;
        } else if has_rows(&mut tx, &table.name).await? {
            return Err(TransferError::NotEmpty(table.name.clone()));
        }
    }
    let mut reader = Reader::new(input()?);
    reader.header()?;
    while let Some(line) = reader.next()? {
        let Line::Begin(begin) = line else {
            return Err(reader.wrong("the file was changed while it was read"));
        };
        let (table, columns) = place(&tables, &begin).map_err(|wrong| reader.wrong(wrong))?;
        let mut batch: Vec<Vec<Value>> = Vec::new();
        let size = (VALUES / columns.len().max(1)).max(1);
        loop {
            match reader.next()? {
                Some(Line::Row(mut row)) => {
                    // Rows that name others of their table get that name when all are there.
                    for (value, column) in row.iter_mut().zip(&columns) {
                        if column.of_own_table {
                            *value = Value::Null;
                        }
                    }
                    batch.push(row);
                }
                Some(Line::End(end)) => {
                    insert(&mut tx, table, &columns, &batch).await?;
                    tell(&end.end, end.rows);
                    break;
                }
                _ => return Err(reader.wrong("the file was changed while it was read")),
            }
            if batch.len() == size {
                insert(&mut tx, table, &columns, &batch).await?;
                batch.clear();
            }
        }
    }
    name_own_rows(&mut tx, &tables, input()?).await?;
    tx.commit().await?;
    connection.close().await?;
    Ok(all)
}

async fn has_rows(tx: &mut AnyConnection, table: &str) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM {table} LIMIT 1");
    Ok(sqlx::query(sqlx::AssertSqlSafe(sql))
        .fetch_optional(tx)
        .await?
        .is_some())
}

/// The table and columns that a backup names, as this database has them. Only names that the database has come into SQL.
fn place<'a>(tables: &'a [Table], begin: &Begin) -> Result<(&'a Table, Vec<&'a Column>), String> {
    let table = tables
        .iter()
        .find(|table| table.name == begin.table)
        .ok_or_else(|| format!("this schema has no table {}", begin.table))?;
    let columns = begin
        .columns
        .iter()
        .map(|name| {
            table
                .columns
                .iter()
                .find(|column| column.name == *name)
                .ok_or_else(|| format!("{} has no column {name}", begin.table))
        })
        .collect::<Result<_, _>>()?;
    Ok((table, columns))
}

async fn insert(
    tx: &mut AnyConnection,
    table: &Table,
    columns: &[&Column],
    rows: &[Vec<Value>],
) -> Result<(), TransferError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut number = 0;
    let places: Vec<String> = rows
        .iter()
        .map(|row| {
            let row: Vec<String> = row
                .iter()
                .map(|_| {
                    number += 1;
                    format!("${number}")
                })
                .collect();
            format!("({})", row.join(", "))
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        names.join(", "),
        places.join(", ")
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for row in rows {
        for (value, column) in row.iter().zip(columns) {
            query = bind(query, value, column)?;
        }
    }
    query.execute(tx).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: Query<'q>, value: &Value, column: &Column) -> Result<Query<'q>, TransferError> {
    match (column.kind, value) {
        (Kind::Text, Value::Null) => Ok(query.bind(None::<String>)),
        (Kind::Number, Value::Null) => Ok(query.bind(None::<i64>)),
        (Kind::Text, Value::String(text)) => Ok(query.bind(text.clone())),
        (Kind::Number, Value::Number(number)) if number.is_i64() => Ok(query.bind(number.as_i64())),
        _ => Err(StoreError::Corrupt("a backup's value is not of its column's kind").into()),
    }
}

/// Reads the backup once more for the columns that name rows of their own table.
async fn name_own_rows(
    tx: &mut AnyConnection,
    tables: &[Table],
    input: impl BufRead,
) -> Result<(), TransferError> {
    let mut reader = Reader::new(input);
    reader.header()?;
    let mut columns: Vec<&Column> = Vec::new();
    let mut table = None;
    while let Some(line) = reader.next()? {
        match line {
            Line::Begin(begin) => {
                let (found, names) = place(tables, &begin).map_err(|wrong| reader.wrong(wrong))?;
                (table, columns) = (Some(found), names);
            }
            Line::End(_) => table = None,
            Line::Row(row) => {
                let Some(table) = table else { continue };
                let of = |name: &String| {
                    let place = columns.iter().position(|column| column.name == *name)?;
                    Some((columns[place], row.get(place)?))
                };
                for (column, value) in columns.iter().zip(&row) {
                    if !column.of_own_table || value.is_null() {
                        continue;
                    }
                    let places: Vec<String> = table
                        .key
                        .iter()
                        .enumerate()
                        .map(|(index, name)| format!("{name} = ${}", index + 2))
                        .collect();
                    let sql = format!(
                        "UPDATE {} SET {} = $1 WHERE {}",
                        table.name,
                        column.name,
                        places.join(" AND ")
                    );
                    let mut query = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), value, column)?;
                    for (column, value) in table.key.iter().filter_map(of) {
                        query = bind(query, value, column)?;
                    }
                    query.execute(&mut *tx).await?;
                }
            }
        }
    }
    Ok(())
}
