//! The state of the simulated world, in memory.

use std::collections::HashSet;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    book::Book,
    context::{Clock, Randomness},
    core_bank::Core,
    face::Faces,
    faults::Faults,
    notices::Board,
    oidc::Issuer,
    people::{Kind, People, Person},
    requests::Requests,
    server::Addresses,
    sms::Inbox,
    wechat::WeChat,
};

/// Everything the parties know. Each part has its own lock, and no lock is held over an await or while another is taken.
pub(crate) struct World {
    clock: Arc<dyn Clock>,
    /// Seconds that control has moved the clock forward.
    ahead: AtomicU64,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) addresses: Addresses,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    people: Mutex<People>,
    wechat: Mutex<WeChat>,
    weibo: Mutex<Book>,
    qq: Mutex<Book>,
    alipay: Mutex<Book>,
    alipay_targets: Mutex<HashSet<String>>,
    oidc: Mutex<Issuer>,
    board: Mutex<Board>,
    inbox: Mutex<Inbox>,
    core: Mutex<Core>,
    faces: Mutex<Faces>,
    target: Mutex<Option<String>>,
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        addresses: Addresses,
    ) -> Self {
        let (people, customers) = People::at_start();
        let mut core = Core::default();
        for customer in customers {
            core.add(customer);
        }
        Self {
            clock,
            ahead: AtomicU64::new(0),
            randomness,
            addresses,
            faults: Faults::default(),
            requests: Requests::default(),
            people: Mutex::new(people),
            wechat: Mutex::default(),
            weibo: Mutex::default(),
            qq: Mutex::default(),
            alipay: Mutex::default(),
            alipay_targets: Mutex::default(),
            oidc: Mutex::default(),
            board: Mutex::default(),
            inbox: Mutex::default(),
            core: Mutex::new(core),
            faces: Mutex::default(),
            target: Mutex::default(),
        }
    }

    /// Whole seconds since 1970 UTC, as this world has it.
    pub(crate) fn now(&self) -> u64 {
        self.clock
            .now()
            .saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Moves this world's clock forward.
    pub(crate) fn move_clock(&self, seconds: u32) {
        self.ahead.fetch_add(u64::from(seconds), Ordering::Relaxed);
    }

    /// Makes a person that this run has not seen, with customers in the core where the kind wants them.
    pub(crate) fn make_person(&self, kind: Kind, wechat: bool, union_id: bool) -> Person {
        let (person, customers) = self
            .people()
            .make(&*self.randomness, kind, wechat, union_id);
        for customer in customers {
            self.core().add(customer);
        }
        person
    }

    pub(crate) fn people(&self) -> MutexGuard<'_, People> {
        lock(&self.people)
    }

    pub(crate) fn wechat(&self) -> MutexGuard<'_, WeChat> {
        lock(&self.wechat)
    }

    pub(crate) fn weibo(&self) -> MutexGuard<'_, Book> {
        lock(&self.weibo)
    }

    pub(crate) fn qq(&self) -> MutexGuard<'_, Book> {
        lock(&self.qq)
    }

    pub(crate) fn alipay(&self) -> MutexGuard<'_, Book> {
        lock(&self.alipay)
    }

    pub(crate) fn oidc(&self) -> MutexGuard<'_, Issuer> {
        lock(&self.oidc)
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Notes a `target_id`; `false` where it was there before.
    pub(crate) fn alipay_target(&self, target_id: &str) -> bool {
        lock(&self.alipay_targets).insert(target_id.to_owned())
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    pub(crate) fn faces(&self) -> MutexGuard<'_, Faces> {
        lock(&self.faces)
    }

    /// Where the gateway forwards to.
    pub(crate) fn target(&self) -> Option<String> {
        lock(&self.target).clone()
    }

    pub(crate) fn set_target(&self, target: String) {
        *lock(&self.target) = Some(target);
    }
}
