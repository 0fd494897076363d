//! What a provider's answer means. A provider is one file here and one line in [`connectors`]; the login flow does not change with it.

mod wechat;

use std::time::Duration;

use serde::Serialize;

use crate::refusal::RefusalKind;
use crate::secret::SecretString;
use crate::text::LocalizedText;

/// Who vouches for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// WeChat.
    WeChat,
    /// Alipay.
    Alipay,
    /// QQ.
    Qq,
    /// Weibo.
    Weibo,
    /// A standard `OpenID` Connect issuer.
    Oidc,
}

crate::json::words!(Provider {
    "wechat" => WeChat,
    "alipay" => Alipay,
    "qq" => Qq,
    "weibo" => Weibo,
    "oidc" => Oidc,
});

impl Provider {
    /// The name on the wire (contract section 6).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WeChat => "wechat",
            Self::Alipay => "alipay",
            Self::Qq => "qq",
            Self::Weibo => "weibo",
            Self::Oidc => "oidc",
        }
    }

    /// The provider of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::WeChat,
            Self::Alipay,
            Self::Qq,
            Self::Weibo,
            Self::Oidc,
        ]
        .into_iter()
        .find(|provider| provider.as_str() == name)
    }

    /// Whether this SDK can log in with it: it has a connector. Others are not offered, whatever the server lists.
    pub fn is_supported(self) -> bool {
        connector(self).is_some()
    }
}

/// A provider's answer, as its SDK gave it to the app. Nothing in it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderReply {
    /// The attempt's `state`, as it came back.
    pub state: Option<String>,
    /// The code, where the person agreed.
    pub code: Option<SecretString>,
    /// The provider's own number for what happened.
    pub error_code: Option<i32>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderOutcome {
    /// The person agreed; here is the credential for the account center (M2).
    Consented(SecretString),
    /// No consent, and why.
    Refused(RefusalKind),
}

/// Bytes of a code that is taken for one.
const CODE_LIMIT: usize = 1024;

/// What the SDK has to know about one provider.
pub(crate) trait Connector: Sync {
    fn provider(&self) -> Provider;
    /// What `reply` means. `away` is how long the person was gone; `moment` is how quick an answer must be for no page to have been shown.
    fn outcome(
        &self,
        reply: ProviderReply,
        away: Option<Duration>,
        moment: Duration,
    ) -> ProviderOutcome;
    /// Where in the provider's own app the person can change what they allowed (L8, M4).
    fn settings_hint(&self) -> LocalizedText;
}

/// The registry: one line for each provider.
const fn connectors() -> &'static [&'static dyn Connector] {
    &[&wechat::WeChat]
}

pub(crate) fn connector(provider: Provider) -> Option<&'static dyn Connector> {
    connectors()
        .iter()
        .copied()
        .find(|connector| connector.provider() == provider)
}

/// The credential, where it could be one: printable ASCII of a sensible length.
pub(crate) fn usable_code(code: Option<SecretString>) -> Option<SecretString> {
    code.filter(|code| {
        let text = code.expose();
        (1..=CODE_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [Provider; 5] = [
        Provider::WeChat,
        Provider::Alipay,
        Provider::Qq,
        Provider::Weibo,
        Provider::Oidc,
    ];

    #[test]
    fn a_providers_name_leads_back_to_it_and_is_its_name_in_json() {
        for provider in ALL {
            assert_eq!(Provider::from_name(provider.as_str()), Some(provider));
            let json = serde_json::to_string(&provider).unwrap();
            assert_eq!(json, format!("\"{}\"", provider.as_str()));
        }
        assert_eq!(Provider::from_name("myspace"), None);
    }

    #[test]
    fn only_providers_with_a_connector_are_offered() {
        let offered: Vec<_> = ALL.into_iter().filter(|p| p.is_supported()).collect();
        assert_eq!(offered, [Provider::WeChat]);
    }

    #[test]
    fn each_provider_is_registered_once() {
        for one in connectors() {
            let same = connectors()
                .iter()
                .filter(|c| c.provider() == one.provider());
            assert_eq!(same.count(), 1);
        }
    }

    #[test]
    fn a_reply_prints_no_code() {
        let reply = ProviderReply {
            code: Some(SecretString::from("0815-code")),
            ..ProviderReply::default()
        };
        assert!(!format!("{reply:?}").contains("0815-code"));
    }
}
