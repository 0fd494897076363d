//! The database: pools, transactions with retry, migrations, and all SQL, one file per group of tables.
//!
//! `write` and `read` run a closure that does database work only and may be run again, so it has no other effects. On SQLite all writes go through
//! one writer (`writer.rs`), which commits those that arrive together as one group.

pub mod error;
mod migrations;
mod writer;

// One file per group of tables.
pub mod accounts;
pub mod events;
pub mod housekeeping;
pub mod limits;
pub mod logins;
pub mod proofs;
pub mod provider_requests;
pub mod replies;
pub mod sessions;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _, Executor as _};

pub use error::{Failure, StoreError};
use writer::Writer;

/// A transaction under way: what the closures of `write` and `read` execute on (`sqlx::query(…).execute(&mut *tx)`). Never begin or commit on it.
pub type Tx = sqlx::AnyConnection;

/// How often a transaction is run before its failure is final.
const ATTEMPTS: u32 = 8;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file; made if missing.
    Sqlite(std::path::PathBuf),
    /// `postgres://…`. The URL may hold a password.
    Postgres(url::Url),
}

/// The store: cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: AnyPool,
    writer: Option<Writer>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the database and brings its schema up to date.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match database {
            Database::Sqlite(path) => Self::open_sqlite(path).await,
            Database::Postgres(url) => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let url = sqlite_url(path)?;
        // Before SQLite makes it readable for everybody; its journal gets the same permissions.
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::Database(error.into()))?;
        let mut writing = open_writing(&url).await?;
        migrations::migrator()
            .run(&mut writing)
            .await
            .map_err(|error| StoreError::Migration(Box::new(error)))?;
        let readers = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .clamp(2, 8);
        let pool = AnyPoolOptions::new()
            .max_connections(u32::try_from(readers).unwrap_or(2))
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    for pragma in [
                        "PRAGMA busy_timeout = 5000",
                        "PRAGMA foreign_keys = ON",
                        "PRAGMA query_only = ON",
                    ] {
                        connection.execute(pragma).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(quiet(AnyConnectOptions::from_str(&url)?))
            .await?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool,
                writer: Some(Writer::start(writing, url)),
            }),
        })
    }

    async fn open_postgres(url: &url::Url) -> Result<Self, StoreError> {
        let pool = AnyPoolOptions::new()
            .max_connections(32)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(quiet(AnyConnectOptions::from_str(url.as_str())?))
            .await?;
        migrations::migrator()
            .run(&pool)
            .await
            .map_err(|error| StoreError::Migration(Box::new(error)))?;
        Ok(Self {
            inner: Arc::new(Inner { pool, writer: None }),
        })
    }

    /// Runs `work` in a writing transaction and returns once it is committed. An error of `work` undoes all it did. It is run again after a serialization
    /// failure, and after a unique violation that it lets through: the row that another wrote first is there then, and is a reason to look again (W7).
    /// Dropping the returned future does not undo anything that is under way.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        let work = Arc::new(work);
        let mut attempt = 1;
        loop {
            let result = match &self.inner.writer {
                Some(writer) => writer.run(Arc::clone(&work)).await,
                None => self.write_alone(&*work).await,
            };
            match result {
                Err(error)
                    if attempt < ATTEMPTS
                        && error.store_error().is_some_and(StoreError::is_transient) =>
                {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// PostgreSQL: each write is a transaction of its own, serializable, on a connection of its own.
    async fn write_alone<T, E, F>(&self, work: &F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: Failure,
    {
        let mut tx = self
            .inner
            .pool
            .begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE")
            .await
            .map_err(StoreError::from)?;
        let value = work(&mut tx).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(value)
    }

    /// Runs `work` on one consistent picture of the database, read only.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: Failure,
    {
        let begin = if self.inner.writer.is_some() {
            "BEGIN"
        } else {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        };
        let mut attempt = 1;
        loop {
            let result = async {
                let mut tx = self
                    .inner
                    .pool
                    .begin_with(begin)
                    .await
                    .map_err(StoreError::from)?;
                let value = work(&mut tx).await?;
                tx.rollback().await.map_err(StoreError::from)?;
                Ok(value)
            }
            .await;
            match result {
                Err::<T, E>(error)
                    if attempt < ATTEMPTS
                        && error.store_error().is_some_and(StoreError::is_transient) =>
                {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Whether the database answers, to read and to write: for `/readyz`.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.read(|tx| {
            Box::pin(async move {
                sqlx::query("SELECT 1").fetch_one(&mut *tx).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await?;
        self.write(|tx| {
            Box::pin(async move {
                sqlx::query("SELECT 1").fetch_one(&mut *tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Lets writes under way finish, then closes every connection.
    pub async fn close(&self) {
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
        }
        self.inner.pool.close().await;
    }
}

/// SQLite's one writing connection: durable at each COMMIT, with foreign keys.
async fn open_writing(url: &str) -> Result<sqlx::AnyConnection, sqlx::Error> {
    let mut writing = quiet(AnyConnectOptions::from_str(&format!("{url}?mode=rwc"))?)
        .connect()
        .await?;
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        writing.execute(pragma).await?;
    }
    Ok(writing)
}

/// Statements are not logged: their bound values are people's data.
fn quiet(options: AnyConnectOptions) -> AnyConnectOptions {
    options.disable_statement_logging()
}

fn sqlite_url(path: &Path) -> Result<String, StoreError> {
    let path = path.to_str().ok_or(StoreError::Path)?;
    let mut encoded = String::from("sqlite://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    Ok(encoded)
}

/// 2, 4, 8, … milliseconds: the other transaction is short.
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(1 << attempt.min(7))
}

#[cfg(test)]
mod tests;
