//! Work on the runtime's threads: what may block (vaults, hardware keys, file locks), and what goes on when its caller is gone.
//!
//! The runtime sees one type of task of each kind, whatever the work is: tokio makes some twenty functions for each type of task, and a library that
//! ships inside an app has no room for that (benches/README.md).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

use crate::proof::DeviceKeyError;
use crate::vault::VaultError;

/// An error that can also say that the work itself broke: a host's vault that panicked must not take the app with it.
pub(crate) trait Broken {
    fn broken() -> Self;
}

impl Broken for VaultError {
    fn broken() -> Self {
        Self::Failed {
            what: "the vault's code broke off".to_owned(),
        }
    }
}

impl Broken for DeviceKeyError {
    fn broken() -> Self {
        Self::Failed {
            what: "the device key's code broke off".to_owned(),
        }
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum Lost {
    /// The work panicked, with this.
    Panicked(Box<dyn Any + Send>),
    /// The runtime was shut down.
    ShutDown,
}

/// Work under way. It goes on when this is dropped.
#[must_use = "the work goes on, but nobody hears what came of it"]
pub struct Working<T> {
    task: Option<JoinHandle<()>>,
    result: Slot<T>,
}

impl<T> std::fmt::Debug for Working<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Working")
    }
}

/// Where the work leaves its result.
struct Slot<T>(Arc<Mutex<Option<Result<T, Lost>>>>);

impl<T> Slot<T> {
    fn new(result: Option<Result<T, Lost>>) -> Self {
        Self(Arc::new(Mutex::new(result)))
    }

    fn also(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn put(&self, result: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(result));
    }

    fn take(&self) -> Option<Result<T, Lost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Working<T> {
    /// Nothing had to be done.
    pub fn done(result: T) -> Self {
        Self {
            task: None,
            result: Slot::new(Some(Ok(result))),
        }
    }

    /// What tells whether it has ended, one way or the other; nothing where nothing had to be done.
    pub(crate) fn watch(&self) -> Option<AbortHandle> {
        self.task.as_ref().map(JoinHandle::abort_handle)
    }
}

impl<T> Future for Working<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(task) = self.task.as_mut() {
            let ended = ready!(Pin::new(task).poll(context));
            self.task = None;
            if let Err(error) = ended {
                return Poll::Ready(Err(error
                    .try_into_panic()
                    .map_or(Lost::ShutDown, Lost::Panicked)));
            }
        }
        Poll::Ready(self.result.take().unwrap_or(Err(Lost::ShutDown)))
    }
}

/// Performs `work` on the runtime, to its end, whatever becomes of the caller.
pub fn spawn<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Working<T> {
    let result = Slot::new(None);
    let slot = result.also();
    let task: BoxFuture<'static, ()> = Box::pin(async move { slot.put(work.await) });
    Working {
        task: Some(runtime.spawn(task)),
        result,
    }
}

/// Runs `work` on a thread where it may block; right here where it `blocks` not: handing over costs more than a signature or a look into a table.
pub(crate) fn off_thread<T, E>(
    runtime: &Handle,
    blocks: bool,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> OffThread<T, E>
where
    T: Send + 'static,
    E: Broken + Send + 'static,
{
    if !blocks {
        let done = catch_unwind(AssertUnwindSafe(work));
        return OffThread(Working::done(done.unwrap_or_else(|_| Err(E::broken()))));
    }
    let result = Slot::new(None);
    let slot = result.also();
    let job: Box<dyn FnOnce() + Send> = Box::new(move || slot.put(work()));
    OffThread(Working {
        task: Some(runtime.spawn_blocking(job)),
        result,
    })
}

/// Work that may block, under way.
pub(crate) struct OffThread<T, E>(Working<Result<T, E>>);

impl<T, E: Broken> Future for OffThread<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, E>> {
        let done = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(done.unwrap_or_else(|_| Err(E::broken())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fails() -> Result<(), VaultError> {
        panic!("a bug of the host")
    }

    #[tokio::test]
    async fn work_that_panics_is_broken_wherever_it_runs() {
        for blocks in [true, false] {
            let done = off_thread(&Handle::current(), blocks, fails).await;
            assert_eq!(done, Err(VaultError::broken()));
        }
    }

    #[tokio::test]
    async fn only_work_that_blocks_leaves_the_thread() {
        let here = std::thread::current().id();
        for blocks in [true, false] {
            let there = off_thread(&Handle::current(), blocks, || {
                Ok::<_, VaultError>(std::thread::current().id())
            });
            assert_eq!(there.await.unwrap() != here, blocks);
        }
    }

    #[tokio::test]
    async fn who_lets_go_of_work_does_not_stop_it() {
        let (done, heard) = tokio::sync::oneshot::channel();
        drop(spawn(&Handle::current(), async move {
            tokio::task::yield_now().await;
            done.send(7).unwrap();
        }));
        assert_eq!(heard.await, Ok(7));
    }

    #[test]
    fn work_on_a_runtime_that_ends_is_lost_and_says_so() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let endless = spawn(runtime.handle(), std::future::pending::<()>());
        let bug = spawn(runtime.handle(), async { fails().unwrap() });
        let other = tokio::runtime::Runtime::new().unwrap();
        assert!(matches!(other.block_on(bug), Err(Lost::Panicked(_))));
        drop(runtime);
        assert!(matches!(other.block_on(endless), Err(Lost::ShutDown)));
    }
}
