//! A circuit breaker for each provider, so that a dead one costs the others nothing: after some failures in a row nobody waits for it for a while, then one
//! request tries it; and never more than so many wait for one provider at a time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Connector, Credential, CredentialKind, ExchangeError, LastingSubject, Prepared, ProviderApp,
    ProviderIdentity,
};
use crate::context::{Context, Timestamp};

/// When a provider is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row.
    pub failures: u32,
    /// How long nobody asks then.
    pub rest: Duration,
    /// Exchanges under way at a time: a part of the requests that the server works on at all.
    pub at_a_time: usize,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            rest: Duration::from_secs(10),
            at_a_time: 128,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All is well; so many failures in a row.
    Closed(u32),
    /// Nobody asks until then.
    Open(Timestamp),
    /// One asks.
    Trying,
}

/// The breaker of one provider. All of its apps share it.
pub struct Breaker {
    settings: BreakerSettings,
    context: Context,
    state: Mutex<State>,
    places: Arc<Semaphore>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &*self.lock())
            .finish_non_exhaustive()
    }
}

impl Breaker {
    /// Closed.
    pub fn new(settings: BreakerSettings, context: Context) -> Self {
        Self {
            settings,
            context,
            state: Mutex::new(State::Closed(0)),
            places: Arc::new(Semaphore::new(settings.at_a_time)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request through, or says why not.
    fn enter(&self) -> Result<Entered<'_>, &'static str> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| "too many exchanges are under way")?;
        let mut state = self.lock();
        let tries = match *state {
            State::Closed(_) => false,
            State::Open(until) if self.context.now() >= until => {
                *state = State::Trying;
                true
            }
            State::Open(_) | State::Trying => return Err("resting after failures"),
        };
        Ok(Entered {
            breaker: self,
            tries,
            done: false,
            _place: place,
        })
    }

    fn note(&self, tries: bool, good: bool) {
        let mut state = self.lock();
        *state = match (*state, good) {
            (_, true) => State::Closed(0),
            (State::Closed(failures), false) if failures + 1 < self.settings.failures => {
                State::Closed(failures + 1)
            }
            // Late news of a request that began before it opened.
            (State::Trying, false) if !tries => State::Trying,
            (State::Open(until), false) => State::Open(until),
            (State::Closed(_) | State::Trying, false) => {
                State::Open(self.context.now().plus(self.settings.rest))
            }
        };
    }
}

/// A request under way. One that is given up (a time limit dropped it) has failed.
struct Entered<'a> {
    breaker: &'a Breaker,
    tries: bool,
    done: bool,
    _place: OwnedSemaphorePermit,
}

impl Entered<'_> {
    fn finish(mut self, good: bool) {
        self.done = true;
        self.breaker.note(self.tries, good);
    }
}

impl Entered<'_> {
    /// Nothing was learnt; whoever comes next may try.
    fn leave(mut self) {
        self.done = true;
        if self.tries {
            let mut state = self.breaker.lock();
            if *state == State::Trying {
                *state = State::Open(self.breaker.context.now());
            }
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.breaker.note(self.tries, false);
        }
    }
}

/// A connector behind its provider's breaker. Only `Unavailable` counts as a failure: every other answer is one.
pub struct Guarded {
    inner: Arc<dyn Connector>,
    breaker: Arc<Breaker>,
}

impl Guarded {
    /// Puts `inner` behind `breaker`.
    pub fn new(inner: Arc<dyn Connector>, breaker: Arc<Breaker>) -> Self {
        Self { inner, breaker }
    }
}

impl Connector for Guarded {
    fn provider(&self) -> &str {
        self.inner.provider()
    }

    fn credential_kind(&self) -> CredentialKind {
        self.inner.credential_kind()
    }

    fn lasting_subject(&self) -> LastingSubject {
        self.inner.lasting_subject()
    }

    fn credential_memory(&self) -> Duration {
        self.inner.credential_memory()
    }

    fn needs_request(&self) -> bool {
        self.inner.needs_request()
    }

    fn asks_to_prepare(&self) -> bool {
        self.inner.asks_to_prepare()
    }

    fn prepare<'a>(
        &'a self,
        app: &'a ProviderApp,
        request: &'a str,
    ) -> BoxFuture<'a, Result<Prepared, ExchangeError>> {
        if !self.asks_to_prepare() {
            return self.inner.prepare(app, request);
        }
        Box::pin(async move {
            let entered = self
                .breaker
                .enter()
                .map_err(|why| ExchangeError::Unavailable(why.into()))?;
            let result = self.inner.prepare(app, request).await;
            if matches!(result, Err(ExchangeError::Unavailable(_))) {
                entered.finish(false);
            } else {
                // It may have been made from what is known already, so it proves nothing of the provider.
                entered.leave();
            }
            result
        })
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(async move {
            let entered = self
                .breaker
                .enter()
                .map_err(|why| ExchangeError::Unavailable(why.into()))?;
            let result = self.inner.exchange(app, credential).await;
            entered.finish(!matches!(result, Err(ExchangeError::Unavailable(_))));
            result
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

    use super::*;
    use crate::context::{Clock, SystemRandomness};

    #[derive(Default)]
    struct Moved(AtomicI64);

    impl Clock for Moved {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
        }
    }

    /// Down, hanging, or refusing the code.
    #[derive(Default)]
    struct Provider {
        down: AtomicBool,
        hangs: AtomicBool,
        asked: AtomicU32,
    }

    impl Connector for Provider {
        fn provider(&self) -> &'static str {
            "weibo"
        }

        fn credential_kind(&self) -> CredentialKind {
            CredentialKind::Bearer
        }

        fn lasting_subject(&self) -> LastingSubject {
            LastingSubject::Uid
        }

        fn exchange<'a>(
            &'a self,
            _: &'a ProviderApp,
            _: &'a Credential,
        ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
            Box::pin(async move {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if self.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Err(if self.down.load(Ordering::SeqCst) {
                    ExchangeError::Unavailable("down".into())
                } else {
                    ExchangeError::CredentialInvalid("wrong".into())
                })
            })
        }
    }

    struct World {
        clock: Arc<Moved>,
        provider: Arc<Provider>,
        guarded: Guarded,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(Moved::default());
            let context = Context::new(clock.clone(), Arc::new(SystemRandomness));
            let settings = BreakerSettings {
                failures: 3,
                rest: Duration::from_secs(10),
                at_a_time: 4,
            };
            let provider = Arc::new(Provider::default());
            let breaker = Arc::new(Breaker::new(settings, context));
            Self {
                clock,
                guarded: Guarded::new(provider.clone(), breaker),
                provider,
            }
        }

        async fn ask(&self) -> &'static str {
            let result = self
                .guarded
                .exchange(&ProviderApp::default(), &"code".into())
                .await;
            match result {
                Err(ExchangeError::Unavailable(why)) if why == "down" => "down",
                Err(ExchangeError::Unavailable(_)) => "resting",
                _ => "answered",
            }
        }

        fn asked(&self) -> u32 {
            self.provider.asked.load(Ordering::SeqCst)
        }
    }

    /// Asked once, it is not done.
    async fn is_waiting<T>(future: &mut BoxFuture<'_, T>) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn after_failures_in_a_row_nobody_asks_until_one_try_succeeds() {
        let world = World::new();
        world.provider.down.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(world.ask().await, "down");
        }
        for _ in 0..5 {
            assert_eq!(world.ask().await, "resting");
        }
        assert_eq!(world.asked(), 3);
        world.clock.0.store(10, Ordering::SeqCst);
        assert_eq!((world.ask().await, world.ask().await), ("down", "resting"));
        world.clock.0.store(20, Ordering::SeqCst);
        world.provider.down.store(false, Ordering::SeqCst);
        assert_eq!(world.ask().await, "answered");
        assert_eq!(world.ask().await, "answered");
    }

    #[tokio::test]
    async fn a_refused_code_is_an_answer_and_failures_must_be_in_a_row() {
        let world = World::new();
        for _ in 0..3 {
            world.provider.down.store(true, Ordering::SeqCst);
            assert_eq!((world.ask().await, world.ask().await), ("down", "down"));
            world.provider.down.store(false, Ordering::SeqCst);
            assert_eq!(world.ask().await, "answered");
        }
    }

    #[tokio::test]
    async fn an_exchange_that_was_given_up_has_failed_and_no_more_than_so_many_wait() {
        let world = World::new();
        world.provider.hangs.store(true, Ordering::SeqCst);
        let (app, code) = (ProviderApp::default(), Credential::from("code"));
        let mut hanging: Vec<_> = (0..4)
            .map(|_| world.guarded.exchange(&app, &code))
            .collect();
        for one in &mut hanging {
            assert!(is_waiting(one).await);
        }
        assert_eq!(world.ask().await, "resting");
        assert_eq!(world.asked(), 4);
        // All four are given up: the breaker is open though places are free again.
        drop(hanging);
        world.provider.hangs.store(false, Ordering::SeqCst);
        assert_eq!(world.ask().await, "resting");
        world.clock.0.store(10, Ordering::SeqCst);
        assert_eq!(world.ask().await, "answered");
    }

    #[tokio::test]
    async fn one_try_at_a_time_decides_and_late_news_of_others_does_not() {
        let world = World::new();
        world.provider.hangs.store(true, Ordering::SeqCst);
        let (app, code) = (ProviderApp::default(), Credential::from("code"));
        let mut late = world.guarded.exchange(&app, &code);
        assert!(is_waiting(&mut late).await);
        world.provider.hangs.store(false, Ordering::SeqCst);
        world.provider.down.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            world.ask().await;
        }
        world.clock.0.store(10, Ordering::SeqCst);
        world.provider.hangs.store(true, Ordering::SeqCst);
        let mut trying = world.guarded.exchange(&app, &code);
        assert!(is_waiting(&mut trying).await);
        drop(late);
        assert_eq!(world.ask().await, "resting");
        assert_eq!(world.asked(), 5);
        // The try is given up: open for another while, and not for ever.
        drop(trying);
        assert_eq!(world.ask().await, "resting");
        world.clock.0.store(20, Ordering::SeqCst);
        world.provider.hangs.store(false, Ordering::SeqCst);
        world.provider.down.store(false, Ordering::SeqCst);
        assert_eq!(world.ask().await, "answered");
    }
}
