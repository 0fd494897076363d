//! Connectors: a provider's credential to a provider identity (W1, W2). A provider is one file here and one line in the configuration; the login's steps do
//! not change.

mod registry;
mod wechat;

use std::fmt;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::secret::SecretText;

pub use registry::{Offer, Registry};
pub use wechat::{WeChat, WeChatSettings};

/// What protects a provider's credential on its way through the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Worth nothing without what the server keeps (PKCE, state).
    Bound,
    /// Good for whoever brings it first, so a hash of each accepted one is kept and it serves once (M2).
    Bearer,
}

/// The bank's app as the provider knows it (W1). The secret stays on the server (M2).
#[derive(Clone, Debug)]
pub struct ProviderApp {
    /// The provider's app id, as itself.
    pub app_id: String,
    /// The provider's app secret.
    pub secret: SecretText,
    /// The open-platform account that this app belongs to: union ids are one within it (W2, W3).
    pub platform: String,
}

/// What a provider shows of a person (M6).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Nickname.
    pub nickname: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
}

/// Who somebody is at a provider (W1). Open id, subject and profile are personal: `Debug` hides them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderIdentity {
    /// The provider's name: `wechat`.
    pub provider: String,
    /// The open-platform account.
    pub platform: String,
    /// The provider's app id.
    pub app_id: String,
    /// The person within this app.
    pub open_id: String,
    /// The lasting subject that the connector declares (W2). WeChat: the union id.
    pub subject: Option<String>,
    /// What the provider shows of the person.
    pub profile: Profile,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile([redacted])")
    }
}

impl fmt::Debug for ProviderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderIdentity")
            .field("provider", &self.provider)
            .field("platform", &self.platform)
            .field("app_id", &self.app_id)
            .field("has_subject", &self.subject.is_some())
            .finish_non_exhaustive()
    }
}

/// Why an exchange gave no identity. Never carries the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The credential is wrong, used, expired, or of another app.
    #[error("the provider does not accept the credential: {0}")]
    CredentialInvalid(String),
    /// The person did not consent to what is needed.
    #[error("consent is incomplete: {0}")]
    ConsentIncomplete(String),
    /// The provider does not know the app as it is set up here.
    #[error("the provider refuses the app: {0}")]
    Misconfigured(String),
    /// The provider cannot be reached or is busy.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
}

/// A provider.
pub trait Connector: Send + Sync {
    /// Its name on the wire and in the tables.
    fn provider(&self) -> &'static str;
    /// What protects its credential.
    fn credential_kind(&self) -> CredentialKind;
    /// Exchanges a credential for an identity (M2). Tokens of the provider are not kept.
    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a SecretText,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>>;
}
