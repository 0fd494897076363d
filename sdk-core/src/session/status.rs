//! What a session is, seen from outside, and how its use can fail.

use crate::account::AccountSummary;
use crate::api::CallFailure;

/// Whether somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatus {
    /// Nobody is.
    SignedOut,
    /// Somebody is. The access token may have expired; it is renewed when needed.
    SignedIn(AccountSummary),
    /// The vault can't be read at the moment. It says nothing about anybody being signed out.
    Unavailable,
    /// Somebody was, and has to log in again.
    NeedsLogin(NeedsLoginReason),
}

/// Why a login is needed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeedsLoginReason {
    /// The session was ended at the account center.
    SessionEnded,
    /// It expired there, or the account center does not know it.
    SessionExpired,
    /// Its refresh token was used by somebody else; the whole family was ended.
    RefreshTokenReused,
    /// The key that protects the vault is lost (new fingerprint, restored device).
    VaultKeyLost,
    /// The device key that the session was bound to is lost.
    DeviceKeyLost,
    /// What was kept can't be read (truncated, written by a newer version).
    StoredSessionUnreadable,
}

/// Why the session could not be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SessionFailure {
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    SignedOut,
    /// Somebody has to log in again.
    #[error("a login is needed: {0:?}")]
    NeedsLogin(NeedsLoginReason),
    /// It can't be used at the moment and is kept.
    #[error("{0}")]
    Unavailable(CallFailure),
    /// The URL is of no configured API origin: no header for it.
    #[error("the URL is of no configured API origin")]
    OriginNotAllowed,
}

/// What came of signing out. The session is deleted from this device in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOut {
    /// Whether the account center ended it too. If not, it ends there when its refresh token expires.
    pub server_told: bool,
}
