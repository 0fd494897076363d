//! The session as it is kept in the vault, and when its access token is fresh.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{SessionGrant, SessionTokens};
use crate::account::AccountSummary;
use crate::json::{self, FromJson};
use crate::secret::{SecretString, in_vault};
use crate::time::Clock;

/// The name of the record in the vault.
pub(super) const RECORD: &str = "session";

/// A token is renewed this long before it expires, so that it does not expire on its way.
const EARLY: Duration = Duration::from_secs(30);

/// What is kept. Only whole seconds, so that the record has one written form.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct SessionRecord {
    pub(super) session_id: String,
    pub(super) account: AccountSummary,
    #[serde(with = "in_vault")]
    pub(super) access_token: SecretString,
    #[serde(with = "in_vault")]
    pub(super) refresh_token: SecretString,
    /// Wall time of the reply that gave the access token.
    pub(super) received_at: u64,
    /// How long the access token is good from then.
    pub(super) expires_in: u64,
    /// The device key that the session is bound to.
    pub(super) device_key: String,
}

impl FromJson for SessionRecord {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            session_id: json::text(tree, "session_id")?,
            account: json::member(tree, "account")?,
            access_token: json::member(tree, "access_token")?,
            refresh_token: json::member(tree, "refresh_token")?,
            received_at: json::number(tree, "received_at")?,
            expires_in: json::number(tree, "expires_in")?,
            device_key: json::text(tree, "device_key")?,
        })
    }
}

impl SessionRecord {
    pub(super) fn new(grant: SessionGrant, device_key: String, now: Duration) -> Self {
        Self {
            session_id: grant.tokens.session_id,
            account: grant.account,
            access_token: grant.tokens.access_token,
            refresh_token: grant.tokens.refresh_token,
            received_at: now.as_secs(),
            expires_in: grant.tokens.expires_in.as_secs(),
            device_key,
        }
    }

    pub(super) fn renewed(&self, tokens: SessionTokens, now: Duration) -> Self {
        Self {
            session_id: tokens.session_id,
            account: self.account.clone(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            received_at: now.as_secs(),
            expires_in: tokens.expires_in.as_secs(),
            device_key: self.device_key.clone(),
        }
    }
}

/// A record in this process's hands, with what its clocks said when the token came.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) record: SessionRecord,
    /// Monotonic time of the reply; nothing where another run received it.
    received: Option<Duration>,
}

impl Live {
    pub(super) fn received_now(record: SessionRecord, clock: &dyn Clock) -> Self {
        Self {
            record,
            received: Some(clock.monotonic()),
        }
    }

    pub(super) fn from_vault(record: SessionRecord) -> Self {
        Self {
            record,
            received: None,
        }
    }

    pub(super) fn fresh(&self, clock: &dyn Clock) -> bool {
        self.good_for(clock, EARLY)
    }

    pub(super) fn good(&self, clock: &dyn Clock) -> bool {
        self.good_for(clock, Duration::ZERO)
    }

    /// Whether the token is good for at least `margin` more, by both clocks: the wall clock may have been set back, the monotonic one may stand
    /// still in sleep. A wall clock from before the reply proves that it jumped.
    fn good_for(&self, clock: &dyn Clock, margin: Duration) -> bool {
        let life = Duration::from_secs(self.record.expires_in);
        let left_after = |age: Duration| life.checked_sub(age).is_some_and(|left| left > margin);
        let wall = clock
            .now()
            .checked_sub(Duration::from_secs(self.record.received_at));
        let steady = self
            .received
            .map(|received| clock.monotonic().saturating_sub(received));
        wall.is_some_and(left_after) && steady.is_none_or(left_after)
    }
}
