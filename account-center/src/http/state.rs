//! What the routes share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use postern_server_security::dpop::DpopVerifier;

use super::options::Catalogue;
use super::work::Running;
use crate::account::Accounts;
use crate::admin::Admins;
use crate::context::Context;
use crate::funnel::Retention;
use crate::idempotency::Ledger;
use crate::keys::Keys;
use crate::login::Engine;
use crate::notifications::Notifications;
use crate::outbox::Outbox;
use crate::sessions::Sessions;
use crate::store::Store;

/// What the routes share. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Shared>,
}

/// See [`AppState`].
pub struct Shared {
    /// Clock and randomness.
    pub context: Context,
    /// The database.
    pub store: Store,
    /// Keys derived from the server secret.
    pub keys: Arc<Keys>,
    /// Leads logins through their steps.
    pub login: Engine,
    /// What people do with their account.
    pub accounts: Accounts,
    /// Operators of the admin API.
    pub admins: Admins,
    /// The ledger of replies.
    pub ledger: Ledger,
    /// Which proofs are taken.
    pub proofs: DpopVerifier,
    /// What providers tell by themselves.
    pub notifications: Notifications,
    /// Sessions and access tokens.
    pub sessions: Sessions,
    /// What login-options answers.
    pub catalogue: Catalogue,
    /// How long a request may take before it is answered `busy`.
    pub time_limit: Duration,
    /// Proxies of ours before us, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: usize,
    /// The header in which the bank's own edge says where a person is.
    pub region_header: Option<HeaderName>,
    /// How long events are kept.
    pub retention: Retention,
    /// Admitted work under way.
    pub running: Running,
    /// What business lines are told.
    pub outbox: Outbox,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppState")
    }
}

impl AppState {
    /// Shares the parts.
    pub fn new(shared: Shared) -> Self {
        Self {
            inner: Arc::new(shared),
        }
    }

    /// A fresh nonce for the next proof.
    pub fn fresh_nonce(&self) -> Option<String> {
        self.proofs
            .fresh_nonce(u64::try_from(self.context.now().seconds()).unwrap_or(0))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.inner
    }
}
