//! Admitted work runs to its end in a task of its own: a client that hangs up must not stop a login half way, between a provider's exchange and the row that
//! remembers it. What the work answers is in the ledger then, and the repetition gets it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::admission::Admitted;
use super::edge::panic_text;
use super::reply::Reply;
use super::{AppState, Call, request_id};
use crate::problem::{Code, Problem};
use crate::store::StoreError;

/// Pieces of work that may be under way at once; more are `busy`.
const MOST: u32 = 1024;

/// Counts admitted work, so that stopping can wait for it.
#[derive(Clone, Debug)]
pub struct Running(Arc<Semaphore>);

impl Default for Running {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST as usize)))
    }
}

impl Running {
    /// Waits until nothing is under way. Nothing new starts after that.
    pub async fn finished(&self) {
        if let Ok(all) = self.0.acquire_many(MOST).await {
            all.forget();
        }
    }
}

/// What became of an admitted call.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) reply: Reply,
    /// It comes from the ledger.
    pub(super) replayed: bool,
}

/// Answers an admitted call: does `work` and settles its ticket, or replays.
pub(super) async fn answer<F, W>(
    state: AppState,
    admitted: Admitted,
    work: W,
) -> Result<Done, Problem>
where
    W: FnOnce(Call, axum::body::Bytes) -> F,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let (call, body) = match admitted {
        Admitted::Replay(reply) => {
            return Ok(Done {
                reply,
                replayed: true,
            });
        }
        Admitted::Work(call, body) => (call, body),
    };
    let Ok(place) = Arc::clone(&state.running.0).try_acquire_owned() else {
        release(&state, &call).await;
        return Err(Problem::new(Code::Busy).retry_after(1));
    };
    let running = work(call.clone(), body);
    let id = call.request_id.clone();
    let task = tokio::spawn(request_id::scope(id, async move {
        let _place = place;
        // A panic in the work must not keep the key in flight until its lease ends.
        let result = AssertUnwindSafe(running)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Problem::internal(panic_text(&*panic))));
        settle(&state, &call, result).await
    }));
    task.await.map_err(Problem::internal)?.map(|reply| Done {
        reply,
        replayed: false,
    })
}

/// `Ok` is stored already. A problem is stored now, unless it is one that a repetition may not meet again.
async fn settle(
    state: &AppState,
    call: &Call,
    result: Result<Reply, Problem>,
) -> Result<Reply, Problem> {
    let problem = match result {
        Ok(reply) => return Ok(reply),
        Err(problem) => problem,
    };
    if !problem.may_be_kept() {
        release(state, call).await;
        return Err(problem);
    }
    let reply = Reply::problem(&problem, &call.request_id);
    let (ticket, stored) = (call.ticket.clone(), reply.clone());
    state
        .store
        .write(move |tx| {
            let (ticket, reply) = (ticket.clone(), stored.clone());
            Box::pin(async move { ticket.finish(tx, &reply).await })
        })
        .await
        .map_err(|error: StoreError| Problem::from(error))?;
    Ok(reply)
}

async fn release(state: &AppState, call: &Call) {
    let ticket = call.ticket.clone();
    let released: Result<(), StoreError> = state
        .store
        .write(move |tx| {
            let ticket = ticket.clone();
            Box::pin(async move { ticket.release(tx).await })
        })
        .await;
    if let Err(error) = released {
        // Its lease ends by itself.
        tracing::warn!(request_id = call.request_id, %error, "an Idempotency-Key could not be given back");
    }
}
