//! A transaction under way, on either database, as an executor of sqlx's queries.

use std::fmt;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Either, Error, Execute, Executor, SqlStr};

use super::direct::{self, Answer};
use super::postgres::Session;

/// What the closures of `write` and `read` execute on (`sqlx::query(…).execute(&mut *tx)`). Never begin or commit on it.
#[derive(Debug)]
pub struct Tx(pub(super) On);

impl Tx {
    /// Whether writers go side by side and lock the rows they write. SQLite has one writer.
    pub(super) fn locks_rows(&self) -> bool {
        matches!(self.0, On::Postgres(_))
    }
}

/// Where it runs.
pub(super) enum On {
    /// On the thread that runs the transaction.
    Sqlite(rusqlite::Connection),
    /// On a connection of the pool.
    Postgres(Session),
}

impl fmt::Debug for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(_) => "Postgres",
        })
    }
}

fn run<'q, E: Execute<'q, Any>>(
    connection: &rusqlite::Connection,
    mut query: E,
) -> Result<Answer, Error> {
    let arguments = query.take_arguments().map_err(Error::Encode)?;
    direct::query(connection, query.sql().as_str(), arguments.as_ref())
}

impl<'c> Executor<'c> for &'c mut Tx {
    type Database = Any;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<AnyQueryResult, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            On::Sqlite(connection) => {
                let answer = run(connection, query);
                future::ready(answer.map(|answer| answer.result())).boxed()
            }
            On::Postgres(session) => session.connection().execute(query),
        }
    }

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            On::Sqlite(connection) => match run(connection, query) {
                Ok(answer) => {
                    let result = Either::Left(answer.result());
                    let rows = answer.rows.into_iter().map(Either::Right);
                    stream::iter(rows.chain([result]).map(Ok)).boxed()
                }
                Err(error) => stream::once(future::ready(Err(error))).boxed(),
            },
            On::Postgres(session) => session.connection().fetch_many(query),
        }
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            On::Sqlite(connection) => {
                let answer = run(connection, query);
                future::ready(answer.map(|answer| answer.rows)).boxed()
            }
            On::Postgres(session) => session.connection().fetch_all(query),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            // All rows, as an INSERT … RETURNING is done only at its end.
            On::Sqlite(connection) => {
                let answer = run(connection, query);
                future::ready(answer.map(|answer| answer.rows.into_iter().next())).boxed()
            }
            On::Postgres(session) => session.connection().fetch_optional(query),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        match &mut self.0 {
            On::Sqlite(_) => {
                let error = Error::Protocol("statements are prepared by running them".to_owned());
                future::ready(Err(error)).boxed()
            }
            On::Postgres(session) => session.connection().prepare_with(sql, parameters),
        }
    }
}
