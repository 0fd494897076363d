//! SQLite's one writer. Writes that arrive while a commit is being made durable wait, and then become one group: one transaction, a savepoint for each,
//! one COMMIT. So the number of writes in a second does not end at the number of disk flushes in a second. A write is answered only after COMMIT: a
//! failing one undoes its own savepoint and harms no other, a COMMIT that fails fails all of its group.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Connection as _};
use tokio::sync::{mpsc, oneshot};

use super::Tx;
use super::error::{Failure, StoreError};

/// Writes that may wait; more are `Overloaded`.
const QUEUE: usize = 1024;
/// Writes in one commit.
const GROUP: usize = 64;

/// After a failed attempt to open the connection again: writes that arrive meanwhile fail at once.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// The writer's front: sends work to the task that owns the connection.
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
    /// Starts the task that owns `connection`, which was opened on `url`.
    pub(super) fn start(connection: AnyConnection, url: String) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        tokio::spawn(serve(connection, url, incoming));
        Self { queue }
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

    /// Finishes what was sent before, then ends the task and closes its connection.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

/// The task that owns the connection: takes what waits, up to a group, and commits it.
async fn serve(connection: AnyConnection, url: String, mut incoming: mpsc::Receiver<Message>) {
    let mut connection = Connection::Good(connection);
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = incoming.recv().await else {
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
            connection = connection.commit(group, &url).await;
        }
    }
    incoming.close();
    if let Connection::Good(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "the writing connection did not close cleanly");
    }
    if let Some(done) = closing {
        // Who asked may be gone by now.
        let _ = done.send(());
    }
}

/// The writing connection, or that it has to be opened again. After a group that failed no transaction may be open. Where SQLite undid one by itself (a full disk), the
/// driver still counts it: then the connection is not to be trusted any more.
enum Connection {
    Good(AnyConnection),
    /// Closed; not to be opened before this instant.
    Gone(tokio::time::Instant),
}

impl Connection {
    /// Commits a group, on a connection opened for it where the last one is gone. Nobody waits for a database that cannot be opened: its writes fail.
    async fn commit(self, group: Vec<Box<dyn Job>>, url: &str) -> Self {
        let mut connection = match self.opened(url).await {
            Ok(connection) => connection,
            Err((gone, error)) => {
                let error = Arc::new(error);
                for job in group {
                    job.fail(StoreError::Commit(Arc::clone(&error)));
                }
                return gone;
            }
        };
        if commit(&mut connection, group).await {
            return Self::Good(connection);
        }
        // A rollback by a dropped transaction is only queued. Asking in order sees it done.
        if connection.ping().await.is_ok() && !connection.is_in_transaction() {
            return Self::Good(connection);
        }
        tracing::warn!("the writing connection lost its place; it is opened again");
        drop(connection.close().await);
        Self::Gone(tokio::time::Instant::now())
    }

    async fn opened(self, url: &str) -> Result<AnyConnection, (Self, sqlx::Error)> {
        match self {
            Self::Good(connection) => Ok(connection),
            Self::Gone(until) if until > tokio::time::Instant::now() => Err((
                self,
                sqlx::Error::Io(std::io::ErrorKind::NotConnected.into()),
            )),
            Self::Gone(_) => super::sqlite::open_writing(url).await.map_err(|error| {
                tracing::error!(%error, "the writing connection could not be opened again");
                (
                    Self::Gone(tokio::time::Instant::now() + REOPEN_PAUSE),
                    error,
                )
            }),
        }
    }
}

/// One transaction for the whole group, then the answers; `false` when it failed as a whole.
async fn commit(connection: &mut AnyConnection, mut group: Vec<Box<dyn Job>>) -> bool {
    match transact(connection, &mut group).await {
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

async fn transact(
    connection: &mut AnyConnection,
    group: &mut [Box<dyn Job>],
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let [only] = group {
        // Alone, a write needs no savepoint.
        return if only.run(&mut tx).await {
            tx.commit().await
        } else {
            tx.rollback().await
        };
    }
    let mut kept = false;
    for job in group.iter_mut() {
        let mut savepoint = tx.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
            kept = true;
        } else {
            // Fails when SQLite has undone the whole transaction by itself (disk full): then nothing of the group may be answered as kept.
            savepoint.rollback().await?;
        }
    }
    if kept {
        tx.commit().await
    } else {
        tx.rollback().await
    }
}
