//! Connectors: a provider's credential to a provider identity (W1, W2). A provider is one file here and one line in the configuration; the login's steps do
//! not change.

pub mod alipay;
mod assemble;
pub mod breaker;
mod call;
pub mod oidc;
mod qq;
mod registry;
#[doc(hidden)]
pub mod untrusted;
mod wechat;
mod weibo;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::secret::SecretText;

pub use assemble::registry;
pub use qq::Qq;
pub use registry::{Offer, Registry};
pub use wechat::WeChat;
pub use weibo::Weibo;

/// What protects a provider's credential on its way through the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Worth nothing without what the server keeps (PKCE, state).
    Bound,
    /// Good for whoever brings it first, so a hash of each accepted one is kept and it serves once (M2).
    Bearer,
}

/// What names a person for good at a provider (W2): what a binding is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastingSubject {
    /// The union id, one for all apps of an open-platform or developer account; it may be missing.
    UnionId,
    /// The provider's own id of the person, the same in every app.
    Uid,
    /// The open id, which names the person within one app only.
    OpenIdInApp,
    /// The subject at its issuer.
    IssuerAndSubject,
}

/// What an app of the bank is at the provider. Only WeChat has apps of several kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppKind {
    /// A mobile app.
    #[default]
    Mobile,
    /// A mini program: its code comes without a page (M3).
    MiniProgram,
    /// A web page inside the provider's app, tied to an official account.
    Web,
}

/// The bank's app as the provider knows it (W1). The secret stays on the server (M2).
#[derive(Clone, Debug, Default)]
pub struct ProviderApp {
    /// The provider's app id, as itself.
    pub app_id: String,
    /// The provider's app secret.
    pub secret: SecretText,
    /// The open-platform account that this app belongs to: union ids are one within it (W2, W3).
    pub platform: String,
    /// Where the provider's page returns to, as registered there; empty where it is not asked for.
    pub redirect_uri: String,
    /// What it is there.
    pub kind: AppKind,
    /// What the person is asked to consent to, where the server asks (`OpenID` Connect).
    pub scope: String,
}

/// What the phone brings of a provider.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An authorization code.
    Code(SecretText),
    /// An access token that the provider gave to the app itself (QQ's mobile SDK).
    AccessToken(SecretText),
    /// An authorization code that came back to a request of ours, with what was kept for it.
    Answered(AnsweredCode),
}

/// An authorization code that came back to a request which the server made (`OpenID` Connect).
#[derive(Clone, Debug)]
pub struct AnsweredCode {
    /// The code.
    pub code: SecretText,
    /// The issuer that the answer named (RFC 9207).
    pub iss: Option<String>,
    /// What the connector kept when it made the request: [`Prepared::kept`].
    pub kept: SecretText,
}

impl Credential {
    /// The secret in it.
    pub fn secret(&self) -> &SecretText {
        match self {
            Self::Code(secret) | Self::AccessToken(secret) => secret,
            Self::Answered(answered) => &answered.code,
        }
    }
}

#[cfg(test)]
impl From<&str> for Credential {
    fn from(code: &str) -> Self {
        Self::Code(code.into())
    }
}

/// Where a provider is.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Its base address.
    pub base: Url,
    /// Pause before a request is repeated that was not performed; doubled each time.
    pub pause: Duration,
}

impl ApiSettings {
    /// With the usual pause.
    pub fn new(base: Url) -> Self {
        Self {
            base,
            pause: Duration::from_millis(100),
        }
    }
}

/// What a provider shows of a person (M6).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Nickname.
    pub nickname: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
}

impl Profile {
    /// Only what can be shown safely: no control characters, no endless names, pictures from the web.
    pub(crate) fn shown(nickname: Option<&str>, avatar_url: Option<&str>) -> Self {
        let nickname = nickname
            .map(|name| {
                name.chars()
                    .filter(|c| !c.is_control())
                    .take(64)
                    .collect::<String>()
            })
            .filter(|name| !name.trim().is_empty());
        let avatar_url = avatar_url
            .filter(|url| {
                url.len() <= 512
                    && Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
            })
            .map(str::to_owned);
        Self {
            nickname,
            avatar_url,
        }
    }
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
    /// Other names of the same person within this app, told in the same answer (Alipay's user id beside its open id).
    pub aliases: Vec<String>,
    /// What the provider shows of the person.
    pub profile: Profile,
}

/// What the phone is given for its way to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForPhone {
    /// Alipay's signed string, for its SDK.
    AuthInfo(String),
    /// The page to open (`OpenID` Connect).
    AuthorizationUrl(String),
}

/// What the server made before the phone goes to the provider.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// For the phone.
    pub for_phone: ForPhone,
    /// What the connector needs again when the answer comes, and the phone never sees.
    pub kept: Option<SecretText>,
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
    fn provider(&self) -> &str;
    /// What protects its credential.
    fn credential_kind(&self) -> CredentialKind;
    /// What a binding is kept under (W2).
    fn lasting_subject(&self) -> LastingSubject;
    /// How long an accepted credential has to be remembered at least, so that it serves once: as long as the provider takes it.
    fn credential_memory(&self) -> Duration {
        Duration::from_hours(24)
    }
    /// Whether the phone needs something from the server before it goes to the provider; the credential comes back with that request's name.
    fn needs_request(&self) -> bool {
        false
    }
    /// Whether the provider is asked for that.
    fn asks_to_prepare(&self) -> bool {
        false
    }
    /// Builds it. `request` is its name, of up to 32 letters and digits.
    fn prepare<'a>(
        &'a self,
        _app: &'a ProviderApp,
        _request: &'a str,
    ) -> BoxFuture<'a, Result<Prepared, ExchangeError>> {
        Box::pin(std::future::ready(Err(ExchangeError::Misconfigured(
            "this provider needs no request".into(),
        ))))
    }
    /// Exchanges a credential for an identity (M2). Tokens of the provider are not kept.
    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>>;
}

#[cfg(test)]
mod faults;
