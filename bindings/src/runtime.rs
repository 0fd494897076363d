//! The SDK's own runtime: named threads, and an end that the host decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use postern_sdk_core::offload::{Lost, Working, spawn};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::boundary::{Crossing, forget_panic};
use crate::log::LogHook;

/// How long `shutdown` waits for a vault or a key store that is at work.
const PATIENCE: Duration = Duration::from_secs(2);

/// Owns the threads `postern-0`, `postern-1`, … on which everything of one `Postern` runs, also the host's callbacks.
pub(crate) struct OwnedRuntime {
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    log: Arc<LogHook>,
}

impl OwnedRuntime {
    pub(crate) fn start(log: Arc<LogHook>) -> std::io::Result<Self> {
        let count = AtomicUsize::new(0);
        let on_start = Arc::clone(&log);
        let runtime = Builder::new_multi_thread()
            // Two: one may wait in a host's callback while the other goes on.
            .worker_threads(2)
            // Vault, device key and sealing block; they run on these.
            .max_blocking_threads(8)
            .thread_name_fn(move || format!("postern-{}", count.fetch_add(1, Ordering::Relaxed)))
            .on_thread_start(move || on_start.attach_thread())
            .on_thread_stop(LogHook::detach_thread)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            log,
        })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn log(&self) -> &Arc<LogHook> {
        &self.log
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Performs `work` on the SDK's threads. Dropping the returned future does not cancel the work, so a rotated screen cancels nothing.
    pub(crate) fn perform<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Performing<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        Performing(spawn(&self.handle, work))
    }

    /// Ends the threads. May be called twice, and from a callback that runs on one of these threads (then it does not wait).
    pub(crate) fn shutdown(&self) {
        let taken = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = taken {
            if Handle::try_current().is_ok() {
                runtime.shutdown_background();
            } else {
                runtime.shutdown_timeout(PATIENCE);
            }
        }
    }
}

/// Work under way on the SDK's threads. A type by itself, not a future of each call, so that the exported functions share what waits for it.
#[must_use = "the work goes on, but nobody hears what came of it"]
pub(crate) struct Performing<T, E>(Working<Result<T, E>>);

impl<T, E> Performing<T, E> {
    /// Nothing could be begun.
    pub(crate) fn refused(error: E) -> Self {
        Self(Working::done(Err(error)))
    }
}

impl<T, E: Crossing> Future for Performing<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, E>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(outcome) => outcome,
            Err(Lost::Panicked(panic)) => {
                forget_panic(panic);
                Err(E::internal())
            }
            Err(Lost::ShutDown) => Err(E::closed()),
        })
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        // The last reference may go on one of our own threads, where dropping a runtime panics; and a destructor must not wait.
        let runtime = self
            .runtime
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Internal,
        Closed,
    }
    impl Crossing for Failure {
        fn internal() -> Self {
            Self::Internal
        }
        fn closed() -> Self {
            Self::Closed
        }
    }

    fn started() -> OwnedRuntime {
        OwnedRuntime::start(Arc::new(LogHook::silent())).unwrap()
    }

    fn wait_for<F: Future>(future: F) -> F::Output {
        Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn work_with_a_bug() -> Result<(), Failure> {
        std::future::ready(()).await;
        panic!("a bug")
    }

    #[test]
    fn its_threads_carry_the_products_name() {
        let runtime = started();
        let name = wait_for(runtime.perform(async {
            Ok::<_, Failure>(std::thread::current().name().map(ToOwned::to_owned))
        }));
        assert!(name.unwrap().unwrap().starts_with("postern-"));
    }

    #[test]
    fn a_panic_in_the_work_is_an_internal_error_and_the_threads_go_on() {
        let runtime = started();
        let outcome = wait_for(runtime.perform(work_with_a_bug()));
        assert_eq!(outcome, Err(Failure::Internal));
        assert_eq!(
            wait_for(runtime.perform(async { Ok::<_, Failure>(1) })),
            Ok(1)
        );
    }

    #[test]
    fn work_after_shutdown_is_closed_and_shutdown_may_be_repeated() {
        let runtime = started();
        runtime.shutdown();
        runtime.shutdown();
        assert_eq!(
            wait_for(runtime.perform(async { Ok::<_, Failure>(1) })),
            Err(Failure::Closed)
        );
    }

    #[test]
    fn work_under_way_ends_as_closed_when_the_host_shuts_down() {
        let runtime = Arc::new(started());
        let waiting = Arc::clone(&runtime);
        let waiter = std::thread::spawn(move || {
            wait_for(waiting.perform(async {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok::<_, Failure>(1)
            }))
        });
        std::thread::sleep(Duration::from_millis(50));
        runtime.shutdown();
        assert_eq!(waiter.join().unwrap(), Err(Failure::Closed));
    }

    #[test]
    fn shutdown_from_one_of_its_own_threads_does_not_panic() {
        let runtime = Arc::new(started());
        let own = Arc::clone(&runtime);
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        runtime.handle().spawn(async move {
            own.shutdown();
            flag.store(true, Ordering::SeqCst);
        });
        for _ in 0..200 {
            if done.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("shutdown never came back");
    }

    #[test]
    fn dropping_a_caller_does_not_cancel_the_work() {
        let runtime = started();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        wait_for(async {
            let work = runtime.perform(async move {
                tokio::time::sleep(Duration::from_millis(60)).await;
                flag.store(true, Ordering::SeqCst);
                Ok::<_, Failure>(())
            });
            let _ = tokio::time::timeout(Duration::from_millis(10), work).await;
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(done.load(Ordering::SeqCst));
    }
}
