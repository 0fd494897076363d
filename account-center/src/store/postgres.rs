//! PostgreSQL, or an engine that speaks its protocol: a pool of connections to whichever of the named hosts takes writes.
//!
//! With one host (a proxy, a virtual address) the pool connects there. With several, libpq's `host1:port1,host2:port2` form, a task of ours looks for the one
//! whose sessions are read-write, as libpq does for `target_session_attrs=read-write`; sqlx knows neither. It looks again when a connection is lost.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, select_ok};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyTransactionManager};
use sqlx::pool::PoolConnection;
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _,
};
use sqlx_core::transaction::TransactionManager as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use url::Url;

use super::tx::{On, Tx};
use super::{Failure, Options, StoreError, quiet};

/// Between two searches for the host that takes writes.
const SEARCH_PAUSE: Duration = Duration::from_millis(300);
/// For one host to answer in a search.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// A connection that was idle for so long is asked whether it still lives before it is used; sqlx asks when it is given back anyway.
const IDLE_UNTESTED: Duration = Duration::from_secs(1);
/// What the client waits beyond the server's own limit for a statement.
const BEYOND_STATEMENT: Duration = Duration::from_secs(2);

/// `postgres://user:password@host[:port][,host[:port]…]/database?…`: one address for each host. Debug shows none: they may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses(Vec<Url>);

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addresses([{} hosts])", self.0.len())
    }
}

impl From<Url> for Addresses {
    fn from(url: Url) -> Self {
        Self(vec![url])
    }
}

impl Addresses {
    /// Reads the form above; nothing where it is not of it.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let urls = hosts
            .split(',')
            .map(|host| Url::parse(&format!("{scheme}://{user}{host}{tail}")).ok())
            .collect::<Option<Vec<_>>>()?;
        urls.iter().all(Url::has_host).then_some(Self(urls))
    }

    /// The same hosts with another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut urls = self.0.clone();
        for url in &mut urls {
            url.set_path(name);
        }
        Self(urls)
    }

    /// Hosts that are reached over a network without proof of who they are: neither a local socket, nor loopback, nor `sslmode=verify-full`.
    pub fn unproved_hosts(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|url| {
                let named = |name: &str| {
                    url.query_pairs()
                        .find(|(key, _)| key == name)
                        .map(|(_, value)| value.into_owned())
                };
                let host = named("host").unwrap_or_else(|| url.host_str().unwrap_or("").to_owned());
                let here = host.starts_with('/')
                    || host.to_lowercase().starts_with("%2f")
                    || host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback());
                let proved = named("sslmode").or_else(|| named("ssl-mode")).as_deref()
                    == Some("verify-full");
                !here && !proved
            })
            .map(|url| url.host_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn options(&self) -> Result<Vec<AnyConnectOptions>, StoreError> {
        self.0
            .iter()
            .map(|url| Ok(quiet(AnyConnectOptions::from_str(url.as_str())?)))
            .collect()
    }
}

/// The pool, and who looks after it.
pub(super) struct Postgres {
    shared: Arc<Shared>,
    search: Option<JoinHandle<()>>,
}

struct Shared {
    hosts: Vec<AnyConnectOptions>,
    options: Options,
    /// The host of the present pool, and the pool.
    present: RwLock<(usize, AnyPool)>,
    lost: Notify,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(search) = &self.search {
            search.abort();
        }
    }
}

impl Postgres {
    /// Finds the host that takes writes, and connects.
    pub(super) async fn open(addresses: &Addresses, options: &Options) -> Result<Self, StoreError> {
        let hosts = addresses.options()?;
        let first = if hosts.len() == 1 {
            0
        } else {
            tokio::time::timeout(options.acquire_limit, writable_host(&hosts))
                .await
                .map_err(|_| StoreError::Overloaded)??
        };
        let pool = pool(&hosts[first], options);
        // Not lazily: whoever starts a server wants to know that its address is wrong.
        drop(pool.acquire().await?);
        let shared = Arc::new(Shared {
            options: options.clone(),
            present: RwLock::new((first, pool)),
            lost: Notify::new(),
            hosts,
        });
        let search =
            (shared.hosts.len() > 1).then(|| tokio::spawn(follow_writes(Arc::clone(&shared))));
        Ok(Self { shared, search })
    }

    pub(super) fn pool(&self) -> AnyPool {
        self.shared
            .present
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clone()
    }

    /// One transaction, run once. Where the connection or the database was lost on the way it is not used again, and who looks for hosts is told.
    pub(super) async fn transact<T, E, F>(
        &self,
        begin: &'static str,
        keep: Keep,
        work: &F,
    ) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
        E: Failure,
    {
        let connection = match self.pool().acquire().await.map_err(StoreError::from) {
            Ok(connection) => connection,
            // The pool was just replaced by that of another host.
            Err(StoreError::Closed) if !self.pool().is_closed() => {
                return Err(StoreError::Lost(sqlx::Error::PoolClosed).into());
            }
            Err(error) => {
                self.shared.lost.notify_one();
                return Err(error.into());
            }
        };
        let committing = AtomicBool::new(false);
        let limit = self.shared.options.transaction_limit();
        let mut tx = Tx(On::Postgres(Session::new(connection)));
        let running = run(&mut tx, begin, keep, work, &committing);
        let result = tokio::time::timeout(limit, running)
            .await
            .unwrap_or_else(|_| {
                let silent = sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                Err(if committing.load(Ordering::SeqCst) {
                    StoreError::OutcomeUnknown(silent)
                } else {
                    StoreError::Unavailable(silent)
                }
                .into())
            });
        if let Err(error) = &result
            && error
                .store_error()
                .is_some_and(StoreError::spoils_connection)
        {
            // Closed without a word: a server that hangs would not hear it.
            if let On::Postgres(session) = tx.0 {
                session.discard();
            }
            self.shared.lost.notify_one();
        }
        result
    }

    pub(super) async fn close(&self) {
        if let Some(search) = &self.search {
            search.abort();
        }
        self.pool().close().await;
    }
}

/// What becomes of a transaction whose work went well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Commit,
    /// It only read.
    Nothing,
    /// As if another transaction had been in the way: for tests.
    Collide,
}

/// A connection of the pool with at most one transaction on it, which is undone where the session is dropped before its end.
pub(super) struct Session {
    connection: Option<PoolConnection<Any>>,
    open: bool,
}

impl Session {
    fn new(connection: PoolConnection<Any>) -> Self {
        Self {
            connection: Some(connection),
            open: false,
        }
    }

    /// What queries run on.
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        self.connection
            .as_mut()
            .expect("only `discard` and `drop` take it, and both are the end of the session")
    }

    async fn begin(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        // Before it is sent: whoever gives up meanwhile cannot know that it did not arrive.
        self.open = true;
        AnyTransactionManager::begin(self.connection(), Some(sql.into_sql_str())).await
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        AnyTransactionManager::commit(self.connection()).await?;
        self.open = false;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        AnyTransactionManager::rollback(self.connection()).await?;
        self.open = false;
        Ok(())
    }

    /// Closes the connection without a word.
    fn discard(mut self) {
        self.connection.take().map(PoolConnection::detach);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.open
            && let Some(connection) = &mut self.connection
        {
            // Sent before the next query on this connection.
            AnyTransactionManager::start_rollback(connection);
        }
    }
}

async fn run<T, E, F>(
    tx: &mut Tx,
    begin: &'static str,
    keep: Keep,
    work: &F,
    committing: &AtomicBool,
) -> Result<T, E>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    E: Failure,
{
    session(tx)?.begin(begin).await.map_err(StoreError::from)?;
    let value = AssertUnwindSafe(work(tx))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(StoreError::Panicked.into()))?;
    match keep {
        Keep::Commit => {
            committing.store(true, Ordering::SeqCst);
            session(tx)?.commit().await.map_err(StoreError::of_commit)?;
        }
        Keep::Nothing => session(tx)?.rollback().await.map_err(StoreError::from)?,
        Keep::Collide => {
            session(tx)?.rollback().await.map_err(StoreError::from)?;
            return Err(super::injected_collision().into());
        }
    }
    Ok(value)
}

fn session(tx: &mut Tx) -> Result<&mut Session, StoreError> {
    match &mut tx.0 {
        On::Postgres(session) => Ok(session),
        On::Sqlite(_) => Err(StoreError::Corrupt("a transaction of the other database")),
    }
}

fn pool(host: &AnyConnectOptions, options: &Options) -> AnyPool {
    let set_up = options.session_set_up();
    AnyPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.acquire_limit)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE_UNTESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let set_up = set_up.clone();
            Box::pin(async move {
                sqlx::raw_sql(sqlx::AssertSqlSafe(set_up))
                    .execute(&mut *connection)
                    .await?;
                if takes_writes(connection).await? {
                    Ok(())
                } else {
                    Err(sqlx::Error::Configuration(
                        "this host takes no writes: it is a standby".into(),
                    ))
                }
            })
        })
        .connect_lazy_with(host.clone())
}

/// One connection to the host that takes writes.
pub(super) async fn connect(addresses: &Addresses) -> Result<AnyConnection, StoreError> {
    let hosts = addresses.options()?;
    let host = if hosts.len() == 1 {
        0
    } else {
        writable_host(&hosts).await?
    };
    Ok(hosts[host].connect().await?)
}

/// Whether a new transaction on this connection could write: what `target_session_attrs=read-write` asks.
async fn takes_writes(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SHOW transaction_read_only")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}

/// The first host whose sessions are read-write, all asked at once.
async fn writable_host(hosts: &[AnyConnectOptions]) -> Result<usize, StoreError> {
    loop {
        let asked = hosts.iter().enumerate().map(|(index, host)| {
            Box::pin(async move {
                let probe = async {
                    let mut connection = host.connect().await?;
                    let takes = takes_writes(&mut connection).await;
                    drop(connection.close().await);
                    takes
                };
                match tokio::time::timeout(PROBE_LIMIT, probe).await {
                    Ok(Ok(true)) => Ok(index),
                    Ok(Ok(false)) => Err(None),
                    Ok(Err(error)) => Err(Some(error)),
                    Err(_) => Err(Some(sqlx::Error::PoolTimedOut)),
                }
            })
        });
        match select_ok(asked).await {
            Ok((index, _)) => return Ok(index),
            // A wrong password or a missing database is not mended by waiting.
            Err(Some(error @ sqlx::Error::Database(_))) if !super::error::passes(&error) => {
                return Err(error.into());
            }
            Err(_) => tokio::time::sleep(SEARCH_PAUSE).await,
        }
    }
}

/// Whenever a connection is lost: looks for the host that takes writes, and where it is another one, puts a pool for it in the place of the present one.
async fn follow_writes(shared: Arc<Shared>) {
    loop {
        shared.lost.notified().await;
        match writable_host(&shared.hosts).await {
            Ok(host) => {
                let before = {
                    let mut present = shared
                        .present
                        .write()
                        .unwrap_or_else(PoisonError::into_inner);
                    (present.0 != host).then(|| {
                        tracing::warn!(
                            from = present.0,
                            to = host,
                            "another host takes writes now"
                        );
                        std::mem::replace(
                            &mut *present,
                            (host, pool(&shared.hosts[host], &shared.options)),
                        )
                        .1
                    })
                };
                if let Some(before) = before {
                    // In a task: it waits for whoever still holds a connection.
                    tokio::spawn(async move { before.close().await });
                }
            }
            Err(error) => tracing::error!(%error, "no host of the database can be used"),
        }
        tokio::time::sleep(SEARCH_PAUSE).await;
    }
}

impl Options {
    fn transaction_limit(&self) -> Duration {
        // Several statements, each within its limit; a server that is silent for longer is gone.
        self.statement_limit * 2 + BEYOND_STATEMENT
    }

    fn session_set_up(&self) -> String {
        let limit = self.statement_limit.as_millis();
        format!(
            "SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {}",
            self.transaction_limit().as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        Addresses::parse(text)
            .unwrap()
            .0
            .iter()
            .map(Url::to_string)
            .collect()
    }

    #[test]
    fn several_hosts_become_one_address_each() {
        assert_eq!(
            shown(
                "postgres://u:p%40w@a.example:5432,b.example,[::1]:6000/login?sslmode=verify-full"
            ),
            [
                "postgres://u:p%40w@a.example:5432/login?sslmode=verify-full",
                "postgres://u:p%40w@b.example/login?sslmode=verify-full",
                "postgres://u:p%40w@[::1]:6000/login?sslmode=verify-full"
            ]
        );
        for wrong in [
            "mysql://h/d",
            "postgres:///d",
            "postgres://a,,b/d",
            "postgres://a:x/d",
            "h/d",
        ] {
            assert_eq!(Addresses::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let addresses = Addresses::parse("postgres://u:hidden@a,b/d").unwrap();
        assert_eq!(format!("{addresses:?}"), "Addresses([2 hosts])");
    }

    #[test]
    fn a_host_over_the_network_must_prove_itself() {
        let unproved = |text: &str| Addresses::parse(text).unwrap().unproved_hosts();
        assert_eq!(
            unproved("postgres://u@a.example,127.0.0.1/d?sslmode=require"),
            ["a.example"]
        );
        for fine in [
            "postgres://u@a.example/d?sslmode=verify-full&sslrootcert=/etc/postern/ca.pem",
            "postgres://u@localhost/d?host=/run/postgresql",
            "postgres://u@[::1]:5432/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
        ] {
            assert!(unproved(fine).is_empty(), "{fine}");
        }
    }
}
