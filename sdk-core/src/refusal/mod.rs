//! What a refusal was, and when one may ask again (W8, M1, M4).

mod memory;

pub use memory::{Advice, Refusals};

use crate::providers::{Provider, connector};
use crate::text::LocalizedText;

/// Why there is no consent: one vocabulary for all providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The person said no. The only kind that is remembered (M4).
    Denied,
    /// The person left the page or pressed back.
    Cancelled,
    /// The app came to the foreground again without an answer.
    ReturnedWithoutAnswer,
    /// The provider's app is not installed, or too old.
    AppMissing,
    /// Package, signature or scope do not match what is registered at the provider: for the developers, not for the person.
    Misconfigured,
    /// The provider failed.
    ProviderFailed,
    /// The provider could not be reached.
    Network,
}

impl RefusalKind {
    /// Whether a question that pops up by itself stays away for a while after it (M4).
    pub const fn is_remembered(self) -> bool {
        match self {
            Self::Denied => true,
            Self::Cancelled
            | Self::ReturnedWithoutAnswer
            | Self::AppMissing
            | Self::Misconfigured
            | Self::ProviderFailed
            | Self::Network => false,
        }
    }

    /// A stable word, such as `returned_without_answer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::ReturnedWithoutAnswer => "returned_without_answer",
            Self::AppMissing => "app_missing",
            Self::Misconfigured => "misconfigured",
            Self::ProviderFailed => "provider_failed",
            Self::Network => "network",
        }
    }
}

/// A refusal as the host sees it. A button may ask again at once, whatever it was (M4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who was asked.
    pub provider: Provider,
    /// What happened.
    pub kind: RefusalKind,
    /// After a denial: where the person finds what they allowed, in the provider's own app (M4).
    pub settings_hint: Option<LocalizedText>,
}

impl Refusal {
    pub(crate) fn of(provider: Provider, kind: RefusalKind) -> Self {
        let hint = || connector(provider).map(super::providers::Connector::settings_hint);
        Self {
            provider,
            kind,
            settings_hint: if kind == RefusalKind::Denied {
                hint()
            } else {
                None
            },
        }
    }
}
