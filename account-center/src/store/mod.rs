//! The database: pools, transactions with retry, migrations, and all SQL, one file per group of tables.
//!
//! `write` and `read` run a closure that does database work only and may be run again, so it has no other effects. On SQLite all writes go through
//! one writer (`writer.rs`), which commits those that arrive together as one group. On PostgreSQL (`postgres.rs`) each is a serializable transaction.
//!
//! What is run again, and what is not: a transaction that lost against another (40001, 40P01, a unique violation it let through), and one whose connection was lost
//! before COMMIT was sent. Where COMMIT was sent and no answer came, nobody here knows what became of it, so it is `OutcomeUnknown` (503 to the client): the
//! repetition with the same Idempotency-Key gets the stored reply if it was kept, and does the work if it was not.

pub mod catalog;
mod direct;
pub mod error;
pub mod migrations;
mod postgres;
mod sqlite;
pub mod transfer;
mod tx;
mod writer;

// One file per group of tables.
pub mod accounts;
pub mod admin;
pub mod appeals;
pub mod bindings;
pub mod deliveries;
pub mod events;
pub mod funnel;
pub mod guests;
pub mod housekeeping;
pub mod imports;
pub mod limits;
pub mod logins;
pub mod notices;
pub mod operations;
pub mod outbox;
pub mod personal;
pub mod proofs;
pub mod provider_requests;
pub mod replies;
pub mod rollout;
pub mod sessions;

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};

pub use error::{Failure, StoreError};
pub use migrations::SchemaState;
pub use postgres::Addresses;
use postgres::{Keep, Postgres};
use sqlite::Readers;
pub use tx::Tx;
use writer::Writer;

/// How long a transaction that collides is run again before its collisions are final: a crowd at one row gets through one by one.
const COLLIDING: Duration = Duration::from_secs(10);

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file; made if missing.
    Sqlite(std::path::PathBuf),
    /// `postgres://…`, one host or several.
    Postgres(Addresses),
}

/// How the database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bring the schema up to date. Otherwise a schema that lacks something is refused.
    pub migrate: bool,
    /// PostgreSQL: connections at most.
    pub connections: u32,
    /// PostgreSQL: how long a transaction waits for a connection, also while the database is away; then `Overloaded`.
    pub acquire_limit: Duration,
    /// PostgreSQL: how long a statement may take.
    pub statement_limit: Duration,
    /// For tests: each transaction is run, undone as if another had been in the way (40001), and run again.
    #[doc(hidden)]
    pub collide_once: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            migrate: true,
            connections: 32,
            acquire_limit: Duration::from_secs(3),
            statement_limit: Duration::from_secs(5),
            collide_once: false,
        }
    }
}

/// The store: cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    options: Options,
    committed: tokio::sync::Notify,
}

enum Engine {
    Sqlite {
        writer: Writer,
        readers: Arc<Readers>,
    },
    Postgres(Postgres),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the database and brings its schema up to date.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Self::open_with(database, &Options::default()).await
    }

    /// Opens the database as `options` say.
    pub async fn open_with(database: &Database, options: &Options) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let engine = match database {
            Database::Sqlite(path) => {
                let mut migrating = sqlite::open_migrating(path).await?;
                prepare(&mut migrating, options).await?;
                migrating.close().await?;
                Engine::Sqlite {
                    writer: Writer::start(sqlite::open_writing(path)?, path.clone())
                        .map_err(|error| StoreError::Unavailable(error.into()))?,
                    readers: Arc::new(Readers::new(path.clone())),
                }
            }
            Database::Postgres(addresses) => {
                let postgres = Postgres::open(addresses, options).await?;
                prepare(&mut *postgres.pool().acquire().await?, options).await?;
                Engine::Postgres(postgres)
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                options: options.clone(),
                committed: tokio::sync::Notify::new(),
            }),
        })
    }

    /// How a database's schema compares with this program's. Changes nothing.
    pub async fn schema_state(database: &Database) -> Result<SchemaState, StoreError> {
        match database {
            Database::Sqlite(path) if !path.exists() => Ok(migrations::of_nothing()),
            _ => {
                let mut connection = connect(database, false).await?;
                let state = migrations::state(&mut connection).await;
                connection.close().await?;
                state
            }
        }
    }

    /// Runs `work` in a writing transaction and returns once it is committed. An error of `work` undoes all it did. It is run again after a serialization
    /// failure, after a unique violation that it lets through (the row that another wrote first is there then, and is a reason to look again: W7), and where the
    /// connection was lost before COMMIT was sent. Dropping the returned future does not undo anything that is under way.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        let work = Arc::new(work);
        let mut patience = Patience::of(&self.inner.options);
        loop {
            let collide = patience.collides();
            let result = match &self.inner.engine {
                Engine::Sqlite { writer, .. } => writer.run(Arc::clone(&work), collide).await,
                Engine::Postgres(postgres) => {
                    let keep = if collide { Keep::Collide } else { Keep::Commit };
                    postgres
                        .transact("BEGIN ISOLATION LEVEL SERIALIZABLE", keep, &*work)
                        .await
                }
            };
            match result {
                Err(error) if patience.goes_on_after(&error) => patience.wait().await,
                other => {
                    if other.is_ok() {
                        self.inner.committed.notify_one();
                    }
                    return other;
                }
            }
        }
    }

    /// Returns once a write of this process was committed since the last call. For one caller: the outbox.
    pub async fn committed(&self) {
        self.inner.committed.notified().await;
    }

    /// Runs `work` on one consistent picture of the database, read only.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        self.look(work, false).await
    }

    /// As [`Store::read`], for a few rows of small tables that are in memory anyway: on SQLite they are read on the calling thread, as handing the work to one that
    /// may wait for the disk costs several times as much.
    pub async fn glance<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        self.look(work, true).await
    }

    async fn look<T, E, F>(&self, work: F, here: bool) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        let work = Arc::new(work);
        let mut patience = Patience::of(&self.inner.options);
        loop {
            let collide = patience.collides();
            let result = match &self.inner.engine {
                Engine::Sqlite { readers, .. } => {
                    readers.run(Arc::clone(&work), collide, here).await
                }
                Engine::Postgres(postgres) => {
                    let keep = if collide {
                        Keep::Collide
                    } else {
                        Keep::Nothing
                    };
                    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                    postgres.transact(begin, keep, &*work).await
                }
            };
            match result {
                Err(error) if patience.goes_on_after(&error) => patience.wait().await,
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
        match &self.inner.engine {
            Engine::Sqlite { writer, readers } => {
                writer.close().await;
                readers.close();
            }
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// One connection outside the pools, for an operator's command: no limit to how long a statement may take.
async fn connect(database: &Database, writing: bool) -> Result<AnyConnection, StoreError> {
    sqlx::any::install_default_drivers();
    match database {
        Database::Sqlite(path) if writing => sqlite::open_migrating(path).await,
        Database::Sqlite(path) => {
            let url = format!("{}?mode=ro", sqlite::url_of(path)?);
            Ok(quiet(url.parse()?).connect().await?)
        }
        Database::Postgres(addresses) => postgres::connect(addresses).await,
    }
}

/// Migrates, or looks whether that was done.
async fn prepare(connection: &mut AnyConnection, options: &Options) -> Result<(), StoreError> {
    if options.migrate {
        return migrations::run(connection).await;
    }
    match migrations::state(connection).await?.pending.len() {
        0 => Ok(()),
        pending => Err(StoreError::SchemaBehind(pending)),
    }
}

/// How long one call goes on trying.
struct Patience {
    began: Instant,
    limit: Duration,
    attempt: u32,
    collide: bool,
}

impl Patience {
    fn of(options: &Options) -> Self {
        Self {
            began: Instant::now(),
            limit: options.acquire_limit,
            attempt: 1,
            collide: options.collide_once,
        }
    }

    /// Whether this attempt is to collide; once.
    fn collides(&mut self) -> bool {
        std::mem::take(&mut self.collide)
    }

    fn goes_on_after(&self, error: &impl Failure) -> bool {
        error.store_error().is_some_and(|error| {
            (error.is_collision() && self.began.elapsed() < COLLIDING)
                || (error.is_lost() && self.began.elapsed() < self.limit)
        })
    }

    /// 2, 4, 8, … milliseconds, the other transaction is short; between half and the whole of it, so that those who collided do not collide again.
    async fn wait(&mut self) {
        let longest = 1_u64 << (self.attempt + 1).min(7);
        let chance = std::hash::RandomState::new().build_hasher().finish();
        let micros = longest * 500 + chance % (longest * 500);
        self.attempt += 1;
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

/// What a test's collision looks like.
fn injected_collision() -> StoreError {
    StoreError::Serialization(sqlx::Error::Protocol("a collision, injected".to_owned()))
}

/// Statements are not logged: their bound values are people's data.
fn quiet(options: AnyConnectOptions) -> AnyConnectOptions {
    options.disable_statement_logging()
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transfer_tests;
