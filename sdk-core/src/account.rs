//! The account of who is logged in: `GET /v1/account` and the list of devices.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::json::{self, FromJson};
use crate::session::{Session, SessionFailure};

/// How the holder was identified (L10), as the account center says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identification {
    /// Not logged in; a virtual user id.
    Guest,
    /// Known at a provider, without a phone number.
    Identified,
    /// A phone number that is on no contract with the bank.
    Unsigned,
    /// A signed customer, who passed the checks of L5 or L7.
    Signed,
    /// A word that this version does not know: treat it as the least.
    Unknown,
}

/// A provider that the account is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BindingSummary {
    /// The provider's name on the wire, such as `wechat`.
    pub provider: String,
    /// When it was bound, seconds since 1970 UTC.
    pub bound_at: u64,
}

/// An account as it is shown to its owner. Debug shows nothing personal.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AccountSummary {
    /// The bank's own id of the account: the primary key for business lines (M5).
    pub user_id: String,
    /// How the holder was identified (L10).
    pub identification: Identification,
    /// Such as `138****0000`; empty where the account has no phone.
    pub phone_masked: String,
    /// The nickname from the provider's profile, where the person allowed it (M3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// The picture from the provider's profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// The providers bound to it, oldest first.
    pub bindings: Vec<BindingSummary>,
}

impl fmt::Debug for AccountSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSummary")
            .field("identification", &self.identification)
            .finish_non_exhaustive()
    }
}

/// One of the account's sessions: a device that is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The session's id (`sid` in its tokens).
    pub session_id: String,
    /// Seconds since 1970 UTC.
    pub created_at: u64,
    /// Seconds since 1970 UTC.
    pub last_used_at: u64,
    /// The provider that it began with.
    pub began_with: String,
    /// Whether it is this device's.
    pub current: bool,
}

impl FromJson for Identification {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(match tree.as_str()? {
            "guest" => Self::Guest,
            "identified" => Self::Identified,
            "unsigned" => Self::Unsigned,
            "signed" => Self::Signed,
            _ => Self::Unknown,
        })
    }
}

impl FromJson for BindingSummary {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            provider: json::text(tree, "provider")?,
            bound_at: json::number(tree, "bound_at")?,
        })
    }
}

impl FromJson for AccountSummary {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            user_id: json::text(tree, "user_id")?,
            identification: json::member(tree, "identification")?,
            phone_masked: json::or_default(tree, "phone_masked")?,
            nickname: json::optional(tree, "nickname")?,
            avatar_url: json::optional(tree, "avatar_url")?,
            bindings: json::or_default(tree, "bindings")?,
        })
    }
}

impl FromJson for SessionSummary {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            session_id: json::text(tree, "session_id")?,
            created_at: json::number(tree, "created_at")?,
            last_used_at: json::number(tree, "last_used_at")?,
            began_with: json::text(tree, "began_with")?,
            current: tree.get("current")?.as_bool()?,
        })
    }
}

/// The account of who is logged in, asked from the account center.
#[derive(Debug, Clone)]
pub struct Account {
    session: Session,
}

impl Account {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The account as it is now (`GET /v1/account`); also refreshes what the session's status shows.
    pub async fn get(&self) -> Result<AccountSummary, SessionFailure> {
        self.session.account().await
    }

    /// The devices that are logged in (`GET /v1/sessions`).
    pub async fn sessions(&self) -> Result<Vec<SessionSummary>, SessionFailure> {
        self.session.sessions().await
    }
}
