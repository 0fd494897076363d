//! What a login or a refresh gives.

use std::fmt;
use std::time::Duration;

use crate::account::AccountSummary;
use crate::secret::SecretString;

/// The tokens of a session as the account center gave them.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionTokens {
    /// The session's id.
    pub session_id: String,
    /// The access token (RFC 9068).
    pub access_token: SecretString,
    /// How long the access token is good, counted from the reply.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh_token: SecretString,
    /// How long the refresh token is good, counted from the reply.
    pub refresh_expires_in: Duration,
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokens")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// The end of a login: who it is, and the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionGrant {
    /// The account.
    pub account: AccountSummary,
    /// The session's tokens.
    pub tokens: SessionTokens,
}
