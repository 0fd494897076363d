//! The headers of one request.

use std::fmt;

use crate::secret::SecretString;

/// Headers for exactly one request: its method and URL, once. After a redirect or for a repetition others are needed.
pub struct AuthorizedRequest {
    pub(super) token: SecretString,
    pub(super) authorization: SecretString,
    pub(super) proof: SecretString,
}

impl AuthorizedRequest {
    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> &SecretString {
        &self.authorization
    }

    /// The value of the `DPoP` header.
    pub fn proof(&self) -> &SecretString {
        &self.proof
    }
}

impl fmt::Debug for AuthorizedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizedRequest([redacted])")
    }
}
