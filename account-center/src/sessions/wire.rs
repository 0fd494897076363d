//! Sessions as the client sees them (contract section 8).

use std::fmt;

use postern_server_security::access_token::AccessToken;
use postern_server_security::refresh::RefreshToken;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::store::sessions::Row;

/// A token on its way to its holder: serialized, and never printed.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for TokenText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl TokenText {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<AccessToken> for TokenText {
    fn from(token: AccessToken) -> Self {
        Self(Zeroizing::new(token.expose().to_owned()))
    }
}

impl From<RefreshToken> for TokenText {
    fn from(token: RefreshToken) -> Self {
        Self(Zeroizing::new(token.expose().to_owned()))
    }
}

/// How the access token is sent.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub enum TokenType {
    /// RFC 9449: `Authorization: DPoP …`, with a proof.
    DPoP,
}

/// A session, given to its holder.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionGrant {
    /// The session's name; not a secret.
    pub session_id: String,
    /// A JWT (RFC 9068), bound to the device key.
    #[schema(value_type = String)]
    pub access_token: TokenText,
    /// Always `DPoP`.
    pub token_type: TokenType,
    /// Seconds for which the access token is good.
    pub expires_in: u64,
    /// Opaque; replaces the one before.
    #[schema(value_type = String)]
    pub refresh_token: TokenText,
    /// Seconds for which the refresh token is good, unless it is used.
    pub refresh_expires_in: u64,
}

/// The body of `POST /v1/sessions/refresh`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The app that the session was opened by.
    pub app_id: String,
    /// The refresh token.
    pub refresh_token: String,
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

impl Drop for RefreshRequest {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.refresh_token);
    }
}

/// The reply of `POST /v1/sessions/refresh`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefreshReply {
    /// The session goes on with these tokens.
    pub session: SessionGrant,
}

/// One session in the list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionEntry {
    /// The session's name.
    pub session_id: String,
    /// Seconds since 1970 UTC.
    pub created_at: i64,
    /// Seconds since 1970 UTC: when it was last refreshed.
    pub last_used_at: i64,
    /// What it began with: `wechat`.
    pub began_with: String,
    /// Whether it is the session of this request.
    pub current: bool,
}

impl SessionEntry {
    pub(super) fn new(row: Row, current: &str) -> Self {
        Self {
            current: row.session_id == current,
            session_id: row.session_id,
            created_at: row.created_at.seconds(),
            last_used_at: row.last_used_at.seconds(),
            began_with: row.began_with,
        }
    }
}

/// The reply of `GET /v1/sessions`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// Live sessions, newest first.
    pub sessions: Vec<SessionEntry>,
}
