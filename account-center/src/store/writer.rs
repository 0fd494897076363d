//! SQLite's one writer. Writes that arrive while a commit is being made durable wait, and then become one group: one transaction, a savepoint for each,
//! one COMMIT. So the number of writes in a second does not end at the number of disk flushes in a second. A write is answered only after COMMIT: a
//! failing one undoes its own savepoint and harms no other, a COMMIT that fails fails all of its group.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::direct::control;
use super::error::{Failure, StoreError};
use super::sqlite::{open_writing, wait_for};
use super::tx::{On, Tx};

/// Writes that may wait; more are `Overloaded`.
const QUEUE: usize = 1024;
/// Writes in one commit.
const GROUP: usize = 64;

/// After a failed attempt to open the connection again: writes that arrive meanwhile fail at once.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// The writer's front: sends work to the thread that owns the connection.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Work(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// One write, whatever its types.
trait Job: Send {
    /// Does the work; `true` when its effects are to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;
    /// Answers the caller, after COMMIT.
    fn settle(self: Box<Self>);
    /// Answers the caller that nothing was kept.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Typed<F, T, E> {
    work: Arc<F>,
    /// For tests: see `Options::collide_once`.
    collide: bool,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Typed<F, T, E>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    T: Send + 'static,
    E: Failure,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let work = &self.work;
            let running = AssertUnwindSafe(async move { work(tx).await });
            let result = running
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(StoreError::Panicked.into()));
            let result = match result {
                Ok(_) if self.collide => Err(super::injected_collision().into()),
                other => other,
            };
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        })
    }

    fn settle(self: Box<Self>) {
        // A caller that went away does not undo what it asked for.
        let result = self
            .result
            .unwrap_or_else(|| Err(StoreError::Closed.into()));
        drop(self.caller.send(result));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        // Work that failed by itself keeps its own reason.
        let result = match self.result {
            Some(Err(own)) => Err(own),
            _ => Err(error.into()),
        };
        drop(self.caller.send(result));
    }
}

impl Writer {
    /// Starts the thread that owns `connection`, which was opened on `path`.
    pub(super) fn start(connection: rusqlite::Connection, path: PathBuf) -> std::io::Result<Self> {
        let (queue, incoming) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(connection, &path, incoming))?;
        Ok(Self { queue })
    }

    pub(super) async fn run<T, E, F>(&self, work: Arc<F>, collide: bool) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: Failure,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Typed {
            work,
            collide,
            result: None,
            caller,
        });
        self.queue
            .try_send(Message::Work(job))
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Finishes what was sent before, then ends the thread and closes its connection.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

/// The thread that owns the connection: takes what waits, up to a group, and commits it.
fn serve(connection: rusqlite::Connection, path: &Path, mut incoming: mpsc::Receiver<Message>) {
    let mut connection = Connection::Good(Tx(On::Sqlite(connection)));
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = incoming.blocking_recv() else {
            break;
        };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Work(job) => group.push(job),
                Message::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            if group.len() < GROUP {
                next = incoming.try_recv().ok();
            }
        }
        if !group.is_empty() {
            connection = connection.commit(group, path);
        }
    }
    incoming.close();
    if let Connection::Good(Tx(On::Sqlite(connection))) = connection
        && let Err((_, error)) = connection.close()
    {
        tracing::warn!(%error, "the writing connection did not close cleanly");
    }
    if let Some(done) = closing {
        // Who asked may be gone by now.
        let _ = done.send(());
    }
}

/// The writing connection, or that it has to be opened again. After a group that failed no transaction may be open; a connection that cannot end one is not to be
/// trusted any more.
enum Connection {
    Good(Tx),
    /// Closed; not to be opened before this instant.
    Gone(Instant),
}

impl Connection {
    /// Commits a group, on a connection opened for it where the last one is gone. Nobody waits for a database that cannot be opened: its writes fail.
    fn commit(self, group: Vec<Box<dyn Job>>, path: &Path) -> Self {
        let mut tx = match self.opened(path) {
            Ok(tx) => tx,
            Err((gone, error)) => {
                let error = Arc::new(error);
                for job in group {
                    job.fail(StoreError::Commit(Arc::clone(&error)));
                }
                return gone;
            }
        };
        if commit(&mut tx, group) || at_rest(&tx) || move_on(&tx, "ROLLBACK").is_ok() {
            return Self::Good(tx);
        }
        tracing::warn!("the writing connection lost its place; it is opened again");
        Self::Gone(Instant::now())
    }

    #[allow(
        clippy::result_large_err,
        reason = "gives itself back, once in a long while"
    )]
    fn opened(self, path: &Path) -> Result<Tx, (Self, sqlx::Error)> {
        match self {
            Self::Good(tx) => Ok(tx),
            Self::Gone(until) if until > Instant::now() => Err((
                self,
                sqlx::Error::Io(std::io::ErrorKind::NotConnected.into()),
            )),
            Self::Gone(_) => open_writing(path)
                .map(|connection| Tx(On::Sqlite(connection)))
                .map_err(|error| {
                    tracing::error!(%error, "the writing connection could not be opened again");
                    (Self::Gone(Instant::now() + REOPEN_PAUSE), error)
                }),
        }
    }
}

/// One transaction for the whole group, then the answers; `false` when it failed as a whole.
fn commit(tx: &mut Tx, mut group: Vec<Box<dyn Job>>) -> bool {
    match transact(tx, &mut group) {
        Ok(()) => {
            group.into_iter().for_each(Job::settle);
            true
        }
        Err(error) => {
            let error = Arc::new(error);
            for job in group {
                job.fail(StoreError::Commit(Arc::clone(&error)));
            }
            false
        }
    }
}

fn transact(tx: &mut Tx, group: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    move_on(tx, "BEGIN IMMEDIATE")?;
    if let [only] = group {
        // Alone, a write needs no savepoint.
        let keep = wait_for(only.run(tx));
        if at_rest(tx) {
            return Err(ended());
        }
        return move_on(tx, if keep { "COMMIT" } else { "ROLLBACK" });
    }
    let mut kept = false;
    for job in group.iter_mut() {
        move_on(tx, "SAVEPOINT one")?;
        let keep = wait_for(job.run(tx));
        if at_rest(tx) {
            // SQLite has undone the whole transaction by itself (disk full): nothing of the group may be answered as kept.
            return Err(ended());
        }
        if keep {
            kept = true;
        } else {
            move_on(tx, "ROLLBACK TO one")?;
        }
        move_on(tx, "RELEASE one")?;
    }
    move_on(tx, if kept { "COMMIT" } else { "ROLLBACK" })
}

/// What the others of a group are told where SQLite ended the transaction: the same work may be sent again.
fn ended() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(
        "SQLite undid the group's transaction by itself",
    ))
}

/// Whether no transaction is open.
fn at_rest(tx: &Tx) -> bool {
    matches!(&tx.0, On::Sqlite(connection) if connection.is_autocommit())
}

fn move_on(tx: &Tx, sql: &str) -> Result<(), sqlx::Error> {
    match &tx.0 {
        On::Sqlite(connection) => control(connection, sql),
        On::Postgres(_) => Err(sqlx::Error::Protocol("the writer is for SQLite".to_owned())),
    }
}
