//! `/v1/provider-notifications/{provider}`: what providers tell by themselves of people who are bound here. A binding is marked and never taken away by it: that is
//! the person's own to do (L8).
//!
//! | file | what it is |
//! |---|---|
//! | `wechat` `xml` | WeChat's message push, in its secure mode |
//! | `alipay` | Alipay's message service |

mod alipay;
pub mod wechat;
pub mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::context::Context;
use crate::guests::Guests;
use crate::identity::Changes;
use crate::keys::{Keys, Purpose};
use crate::problem::{Code, Problem};
use crate::providers::alipay::AlipayKeys;
use crate::store::accounts::{self, BindingRow};
use crate::store::{Store, StoreError, Tx, guests, limits};

pub use wechat::PushSecrets;

/// How long a notification is remembered: longer than any provider repeats one.
const MEMORY: Duration = Duration::from_hours(48);

/// Why a notification is refused. What it says is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not of the provider's form.
    #[error("not of the provider's form")]
    Form,
    /// Not signed by the provider, or for an app that is not ours.
    #[error("not signed by the provider for an app of ours")]
    Signature,
    /// Too old, or of a time to come.
    #[error("not of now")]
    Stale,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Form => Self::new(Code::InvalidRequest).detail(refused.to_string()),
            Refused::Signature | Refused::Stale => {
                Self::new(Code::SignatureInvalid).detail(refused.to_string())
            }
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The person withdrew the whole authorization.
    Revoked,
    /// The person closed their account at the provider.
    Closed,
    /// The person, or the provider for safety, took back what the profile shows.
    ProfileTakenBack,
}

/// A notification that is the provider's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The provider.
    pub provider: &'static str,
    /// The app's id there.
    pub app_id: String,
    /// The person's names within the app.
    pub names: Vec<String>,
    /// What happened.
    pub happened: Happened,
    /// The same for each repetition.
    pub name: String,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("provider", &self.provider)
            .field("happened", &self.happened)
            .finish_non_exhaustive()
    }
}

struct Inner {
    store: Store,
    keys: Arc<Keys>,
    context: Context,
    wechat: Vec<PushSecrets>,
    alipay: BTreeMap<String, Arc<AlipayKeys>>,
}

/// Takes notifications. Cheap to clone.
#[derive(Clone)]
pub struct Notifications {
    inner: Arc<Inner>,
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifications")
    }
}

impl Notifications {
    /// Takes those of these apps; Alipay's by app id, with the keys that its answers are verified with.
    pub fn new(
        store: Store,
        keys: Arc<Keys>,
        context: Context,
        wechat: Vec<PushSecrets>,
        alipay: BTreeMap<String, Arc<AlipayKeys>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                keys,
                context,
                wechat,
                alipay,
            }),
        }
    }

    /// The provider asks whether this address is ours; gives the text to answer with.
    pub fn echo(&self, provider: &str, query: &str) -> Result<String, Problem> {
        if provider != "wechat" || self.inner.wechat.is_empty() {
            return Err(Problem::new(Code::NotFound));
        }
        let query = wechat::Query::parse(query)?;
        Ok(wechat::echo(
            &self.inner.wechat,
            &query,
            self.inner.context.now(),
        )?)
    }

    /// Takes a notification. One that counted before, or is no matter of ours, is as good as taken.
    pub async fn take(&self, provider: &str, query: &str, body: &[u8]) -> Result<(), Problem> {
        let inner = &self.inner;
        let now = inner.context.now();
        let event = match provider {
            "wechat" if !inner.wechat.is_empty() => {
                let query = wechat::Query::parse(query)?;
                wechat::open(&inner.wechat, &query, body, now)?
            }
            "alipay" if !inner.alipay.is_empty() => alipay::open(&inner.alipay, body, now)?,
            _ => return Err(Problem::new(Code::NotFound)),
        };
        let Some(event) = event else {
            return Ok(());
        };
        let (shared, event) = (Arc::clone(inner), Arc::new(event));
        inner
            .store
            .write(move |tx| {
                let (inner, event) = (Arc::clone(&shared), Arc::clone(&event));
                Box::pin(async move { inner.apply(tx, &event).await })
            })
            .await?;
        Ok(())
    }
}

impl Inner {
    async fn apply(&self, tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
        let now = self.context.now();
        let name = self.keys.name(
            Purpose::Once,
            &[
                b"notification",
                event.provider.as_bytes(),
                event.app_id.as_bytes(),
                event.name.as_bytes(),
            ],
        );
        if !limits::first_notification(tx, &name, now.plus(MEMORY)).await? {
            return Ok(());
        }
        let rules = Guests::now(&self.keys, &self.context);
        for name in &event.names {
            if event.happened != Happened::ProfileTakenBack {
                // A guest is not known by an authorization that is gone (W2).
                let cookie = rules.cookie(event.provider, &event.app_id, name);
                guests::drop_cookie(tx, &cookie).await?;
            }
        }
        for name in &event.names {
            let found =
                accounts::binding_of_open_id(tx, event.provider, &event.app_id, name).await?;
            if let Some(binding) = found {
                return self.apply_to(tx, event.happened, &binding).await;
            }
        }
        Ok(())
    }

    async fn apply_to(
        &self,
        tx: &mut Tx,
        happened: Happened,
        binding: &BindingRow,
    ) -> Result<(), StoreError> {
        let changes = Changes::now(&self.keys, &self.context);
        let (action, reason) = match happened {
            Happened::ProfileTakenBack => {
                accounts::forget_profile(tx, &binding.user_id).await?;
                return changes
                    .keep_history(tx, binding, "provider_profile_taken_back")
                    .await;
            }
            Happened::Revoked => ("provider_revoked", "revoked"),
            Happened::Closed => ("provider_closed", "closed"),
        };
        if binding.revoked_at.is_some() {
            return changes.keep_history(tx, binding, action).await;
        }
        accounts::set_revoked(tx, &binding.binding_id, Some(changes.at)).await?;
        changes.keep_history(tx, binding, action).await?;
        changes
            .announce(
                tx,
                &binding.user_id,
                "binding.revoked",
                json!({"provider": binding.provider, "platform": binding.platform, "reason": reason}),
            )
            .await
    }
}
