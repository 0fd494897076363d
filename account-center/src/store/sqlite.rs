//! One SQLite file: one writing connection (`writer.rs`), a few reading ones. Queries run on them as `direct.rs` says.

use std::future::Future;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use sqlx::{AnyConnection, ConnectOptions as _, Executor as _};
use tokio::sync::Semaphore;

use super::direct::{control, failed};
use super::error::{Failure, StoreError};
use super::quiet;
use super::tx::{On, Tx};

/// How long a reading waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps: more than there are in this module.
const STATEMENTS: usize = 256;
/// For every connection: wait for a lock that another process holds; keep to foreign keys; no files for what is only needed until the end of a statement.
const SETTINGS: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;";
/// For the writing one: durable at each COMMIT; 8 MiB of pages in memory; the log goes back into the file when it has 16 MiB, so that a page which many
/// transactions change is written there once for all of them.
const WRITING: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4096;";
/// For reading ones: 2 MiB of pages.
const READING: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -2048;";

/// Makes the file if it is missing, for its owner alone.
pub(super) fn touch(path: &Path) -> Result<(), StoreError> {
    // Before SQLite makes it readable for everybody; its journal gets the same permissions.
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| StoreError::Unavailable(error.into()))
}

/// Opens the file for migrations, which sqlx runs.
pub(super) async fn open_migrating(path: &Path) -> Result<AnyConnection, StoreError> {
    touch(path)?;
    let url = format!("{}?mode=rwc", url_of(path)?);
    let mut connection = quiet(url.parse()?).connect().await?;
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        connection.execute(pragma).await?;
    }
    Ok(connection)
}

/// Opens the one connection that writes.
pub(super) fn open_writing(path: &Path) -> Result<Connection, sqlx::Error> {
    open(path, WRITING)
}

fn open(path: &Path, settings: &str) -> Result<Connection, sqlx::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(SETTINGS).map_err(failed)?;
    connection.execute_batch(settings).map_err(failed)?;
    Ok(connection)
}

/// Reading connections, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        let most = thread::available_parallelism()
            .map_or(2, usize::from)
            .clamp(2, 8);
        Self {
            path,
            idle: Mutex::new(Vec::new()),
            places: Semaphore::new(most),
        }
    }

    /// Runs `work` on one consistent picture of the database, on a thread that may wait for the disk, or `here`.
    pub(super) async fn run<T, E, F>(
        self: &Arc<Self>,
        work: Arc<F>,
        collide: bool,
        here: bool,
    ) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        let _place = tokio::time::timeout(PATIENCE, self.places.acquire())
            .await
            .map_err(|_| StoreError::Overloaded)?
            .map_err(|_| StoreError::Closed)?;
        if here {
            return self.on_this_thread(&*work, collide);
        }
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || readers.on_this_thread(&*work, collide))
            .await
            .map_err(|_| StoreError::Panicked)?
    }

    fn on_this_thread<T, E, F>(&self, work: &F, collide: bool) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: Failure,
    {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open(&self.path, READING).map_err(StoreError::from)?,
        };
        control(&connection, "BEGIN").map_err(StoreError::from)?;
        let mut tx = Tx(On::Sqlite(connection));
        let result = wait_for(work(&mut tx));
        // A connection that cannot end its transaction is closed.
        if let Tx(On::Sqlite(connection)) = tx
            && control(&connection, "ROLLBACK").is_ok()
        {
            self.idle().push(connection);
        }
        match result {
            Ok(_) if collide => Err(super::injected_collision().into()),
            other => other,
        }
    }

    /// No reading begins any more, and what is idle is closed.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a future to its end on this thread. A transaction's work waits for nothing but its database, which answers at once.
pub(super) fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    if let Poll::Ready(output) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

pub(super) fn url_of(path: &Path) -> Result<String, StoreError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_future_that_waits_is_woken() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.send(7).unwrap();
        });
        assert_eq!(wait_for(receiver), Ok(7));
        other.join().unwrap();
    }
}
