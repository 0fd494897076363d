//! Performs what the flow decides: one task for each login, on the runtime that the host gave.
//!
//! A state is announced when all that belongs to it is done: what must be kept is kept, what must be forgotten is forgotten. No lock is held while the
//! host's code runs, and a panic in it ends nothing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{mpsc, oneshot};

use super::announce::announced;
use super::core::{Core, LoginListener, Slot};
use super::events::{Effect, Event, Performed, Request, Restored};
use super::facts::{Failure, FailureKind};
use super::pending::{self, PendingRecord};
use super::state::{Attempt, Handle, Pending, Resolving, State};
use super::steps::LoginState;
use super::{failure, flow, reading};
use crate::api::{AccountCenter, Answer, CallFailure, LoginHandle, LoginStart, PreparedCall};
use crate::offload::off_thread;
use crate::providers::Provider;
use crate::random::{Randomness, token_128};
use crate::refusal::Refusals;
use crate::session::Session;
use crate::time::Clock;
use crate::vault::{Records, VaultError};

/// How long the server is given to hear of a cancel; the person waits for it.
const CANCEL_PATIENCE: Duration = Duration::from_secs(3);
/// How long a journey to the provider means something. Seconds.
const JOURNEY: u64 = 600;

/// What a login is made of.
pub(crate) struct Parts {
    pub(crate) center: Arc<AccountCenter>,
    pub(crate) session: Session,
    pub(crate) records: Records,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) runtime: Runtime,
    /// A denial that comes quicker after leaving was given without a page.
    pub(crate) moment: Duration,
}

/// To the task.
#[allow(clippy::large_enum_variant)] // one or two a minute
pub(super) enum Message {
    /// The person, through a step that won its race. `done` hears when the state after it was announced.
    Act {
        event: Event,
        done: oneshot::Sender<()>,
    },
    Subscribe(Weak<Slot>),
    Stop,
}

struct Driver {
    core: Weak<Core>,
    parts: Arc<Parts>,
    state: State,
    effects: VecDeque<Effect>,
    /// When this process saw the person leave for the provider; monotonic.
    left_at: Option<Duration>,
    waiting: Vec<oneshot::Sender<()>>,
    /// Whether the present state was announced.
    settled: bool,
}

type Work = BoxFuture<'static, Option<Event>>;

/// Runs a login until it is shut down, or nobody holds it any more.
pub(super) async fn run(
    core: Weak<Core>,
    parts: Arc<Parts>,
    mut inbox: mpsc::UnboundedReceiver<Message>,
) {
    let begun = flow::begin();
    let mut driver = Driver {
        core,
        parts,
        state: begun.next,
        effects: begun.effects.into(),
        left_at: None,
        waiting: Vec::new(),
        settled: true,
    };
    let mut work: Option<Work> = None;
    loop {
        if work.is_none() {
            work = driver.next_work();
        }
        let message = match work.as_mut() {
            Some(doing) => match select(doing, Box::pin(inbox.recv())).await {
                Either::Left((event, _)) => {
                    work = None;
                    if let Some(event) = event {
                        driver.happened(event);
                    }
                    continue;
                }
                Either::Right((message, _)) => message,
            },
            None => inbox.recv().await,
        };
        match message {
            Some(Message::Act { event, done }) => {
                driver.waiting.push(done);
                driver.happened(event);
            }
            Some(Message::Subscribe(slot)) => driver.greet(&slot),
            Some(Message::Stop) | None => break,
        }
    }
}

impl Drop for Driver {
    /// However the task ends (a runtime that is shut down, a bug of ours), nobody waits for it in vain.
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.close();
        }
    }
}

impl Driver {
    /// The next effect, or the announcement where none is left.
    fn next_work(&mut self) -> Option<Work> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(Box::pin(perform(Arc::clone(&self.parts), effect)));
        }
        if !self.settled {
            self.announce();
        }
        None
    }

    fn happened(&mut self, event: Event) {
        let before = std::mem::replace(&mut self.state, State::Ready { failure: None });
        let left = matches!(before, State::Resolving(Resolving::Leaving(_)));
        let transition = flow::transition(before, event);
        self.state = transition.next;
        if !transition.moved {
            tracing::debug!(state = self.state.name(), "an event means nothing here");
            // Whoever sent it used the step up: the state is given out anew.
            self.settled = matches!(self.state, State::Resolving(_));
            return;
        }
        if let State::Authorizing(_) = self.state {
            self.left_at = left.then(|| self.parts.clock.monotonic());
        }
        self.effects.extend(transition.effects);
        if let State::Resolving(_) = self.state {
            let told = self.core.upgrade().is_some_and(|core| core.is_resolving());
            if !told {
                self.announce();
            }
            self.settled = true;
        } else {
            self.settled = false;
        }
    }

    /// Tells everybody the present state.
    fn announce(&mut self) {
        self.settled = true;
        let Some(core) = self.core.upgrade() else {
            return;
        };
        tracing::debug!(state = self.state.name(), "login");
        let resolving = matches!(self.state, State::Resolving(_));
        // Even numbers are of states, odd ones of steps that were used.
        let epoch = if resolving {
            core.epoch.load(Ordering::Acquire)
        } else {
            (core.epoch.load(Ordering::Acquire) / 2 + 1) * 2
        };
        let now = self.parts.clock.now().as_secs();
        let state = announced(&self.state, &self.core, epoch, self.left_at, now);
        core.set_current(state.clone());
        core.epoch.store(epoch, Ordering::Release);
        for listener in core.listeners() {
            tell(listener.as_ref(), state.clone());
        }
        if !resolving {
            for done in self.waiting.drain(..) {
                // Nobody may be waiting: dropping the future of a step cancels nothing.
                let _ = done.send(());
            }
        }
    }

    /// A new listener hears the present state first.
    fn greet(&self, slot: &Weak<Slot>) {
        let (Some(core), Some(slot)) = (self.core.upgrade(), slot.upgrade()) else {
            return;
        };
        core.add(&slot);
        if let Some(listener) = slot.listener() {
            tell(listener.as_ref(), core.current());
        }
    }
}

/// A panic in the host's code stays there.
fn tell(listener: &dyn LoginListener, state: LoginState) {
    if catch_unwind(AssertUnwindSafe(|| listener.on_state(state))).is_err() {
        tracing::warn!("a login listener panicked");
    }
}

async fn perform(parts: Arc<Parts>, effect: Effect) -> Option<Event> {
    match effect {
        Effect::ReadPending => Some(Event::Restarted(read_pending(&parts).await)),
        Effect::FetchOffer(provider) => Some(Event::Performed(fetch_offer(&parts, provider).await)),
        Effect::SavePending(pending) => {
            let performed = match save_pending(&parts, pending).await {
                Ok(()) => Performed::PendingSaved,
                Err(error) => {
                    tracing::warn!(%error, "a pending login could not be kept");
                    Performed::PendingNotSaved(failure::of_vault(&error))
                }
            };
            Some(Event::Performed(performed))
        }
        Effect::NotePending(pending) => {
            if let Err(error) = save_pending(&parts, pending).await {
                // What is kept leads to the same step by one more call.
                tracing::warn!(%error, "a login's step could not be kept");
            }
            None
        }
        Effect::ClearPending => {
            let records = parts.records.clone();
            let cleared = off_thread(&parts.runtime, records.blocks(), move || {
                records.delete(pending::RECORD)
            })
            .await;
            if let Err(error) = cleared {
                tracing::warn!(%error, "a pending login could not be removed; it expires by itself");
            }
            None
        }
        Effect::Prepare(request) => Some(Event::Performed(prepare(&parts, request).await)),
        Effect::Send(call) | Effect::Repeat(call) => {
            let key = call.idempotency_key.clone();
            let result = parts.center.perform_login(&call).await;
            let now = parts.clock.now().as_secs();
            Some(Event::Performed(reading::performed(key, result, now)))
        }
        Effect::SaveSession(grant) => {
            let performed = match parts.session.establish(*grant).await {
                Ok(()) => Performed::SessionSaved,
                Err(error) => {
                    tracing::warn!(%error, "the session could not be kept");
                    Performed::SessionNotSaved(failure::of_vault(&error))
                }
            };
            Some(Event::Performed(performed))
        }
        Effect::TellCancel(handle) => {
            let patience = parts.clock.sleep(CANCEL_PATIENCE);
            if let Either::Right(_) = select(Box::pin(tell_cancel(&parts, &handle)), patience).await
            {
                tracing::debug!("the server did not hear of the cancel; the login expires there");
            }
            Some(Event::Performed(Performed::CancelTold))
        }
        Effect::RememberRefusal {
            provider,
            operation,
        } => {
            let refusals = Arc::clone(&parts.refusals);
            let kept = off_thread(&parts.runtime, refusals.blocks(), move || {
                refusals.remember(provider, operation)
            });
            if let Err(error) = kept.await {
                tracing::warn!(%error, "a refusal could not be remembered");
            }
            None
        }
        Effect::ForgetRefusals => {
            let refusals = Arc::clone(&parts.refusals);
            let blocks = refusals.blocks() && !refusals.known_empty();
            if let Err(error) = off_thread(&parts.runtime, blocks, move || refusals.forget()).await
            {
                tracing::warn!(%error, "old refusals could not be removed");
            }
            None
        }
    }
}

async fn read_pending(parts: &Parts) -> Restored {
    let (records, now) = (parts.records.clone(), parts.clock.now().as_secs());
    let read = off_thread(&parts.runtime, records.blocks(), move || {
        Ok::<_, VaultError>(pending::read(&records, now))
    });
    match read.await {
        Ok((restored, nonce)) => {
            if let Some(nonce) = nonce {
                parts.center.restore_nonce(&nonce);
            }
            restored
        }
        Err(error) => Restored::Unavailable(failure::of_vault(&error)),
    }
}

async fn save_pending(parts: &Parts, pending: Pending) -> Result<(), VaultError> {
    let record = PendingRecord {
        pending,
        nonce: parts.center.nonce(),
    };
    let records = parts.records.clone();
    off_thread(&parts.runtime, records.blocks(), move || {
        records.store(pending::RECORD, &record)
    })
    .await
}

async fn fetch_offer(parts: &Parts, provider: Provider) -> Performed {
    let options = match parts.center.login_options().await {
        Ok(options) => options,
        Err(error) => return Performed::NotOffered(failure::of_call(&error)),
    };
    let offered = options
        .providers
        .into_iter()
        .find(|offered| offered.provider == provider.as_str());
    match offered {
        Some(offered) => Performed::Offered(Attempt {
            provider,
            provider_app_id: offered.provider_app_id,
            scope: offered.scope,
            state: token_128(parts.randomness.as_ref()),
            operation: parts.refusals.take_question(),
            expires_at: parts.clock.now().as_secs().saturating_add(JOURNEY),
            resumed: false,
        }),
        None => Performed::NotOffered(Failure::of_this_device(
            FailureKind::NotOffered,
            "not_offered_here",
        )),
    }
}

async fn prepare(parts: &Parts, request: Request) -> Performed {
    let prepared = match request {
        Request::Start { provider, code } => parts.center.prepare_start(&LoginStart::Provider {
            provider: provider.as_str().to_owned(),
            code,
        }),
        Request::Answer { handle, answer } => prepare_answer(parts, &handle, &answer).await,
    };
    match prepared {
        Ok(call) => Performed::Prepared(call),
        Err(error) => {
            tracing::warn!(%error, "a call of the login could not be prepared");
            Performed::NotPrepared(failure::of_call(&error))
        }
    }
}

async fn prepare_answer(
    parts: &Parts,
    handle: &Handle,
    answer: &Answer,
) -> Result<PreparedCall, CallFailure> {
    let login = LoginHandle(handle.login.clone());
    parts
        .center
        .prepare_answer(&login, &handle.step_id, answer)
        .await
}

async fn tell_cancel(parts: &Parts, handle: &Handle) {
    let told = match prepare_answer(parts, handle, &Answer::Cancel).await {
        Ok(call) => parts.center.perform_login(&call).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the server did not take the cancel; the login expires there");
    }
}
