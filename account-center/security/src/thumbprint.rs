//! The name of a device key: the RFC 7638 SHA-256 thumbprint of its public key (`jkt`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base64url;

/// 43 base64url characters (32 bytes) that name a public key. Not a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(String);

/// The text is not the base64url of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key thumbprint")]
pub struct NotAThumbprint;

impl Thumbprint {
    /// Reads a thumbprint that was kept or sent.
    pub fn parse(text: &str) -> Result<Self, NotAThumbprint> {
        base64url::decode_array::<32>(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|_| NotAThumbprint)
    }

    /// The thumbprint of a P-256 key given by its base64url coordinates (RFC 7638, section 3).
    pub(crate) fn of_p256(x: &str, y: &str) -> Self {
        // Base64url has no character that JSON escapes, so the canonical form can be written directly.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        Self(base64url::encode(digest))
    }

    /// The 43 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({})", self.0)
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = NotAThumbprint;

    fn try_from(text: String) -> Result<Self, NotAThumbprint> {
        Self::parse(&text)
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_base64url_of_32_bytes_is_a_thumbprint() {
        let good = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(
            Thumbprint::parse(good).map(String::from),
            Ok(good.to_owned())
        );
        let longer = format!("{good}A");
        let padded = format!("{good}=");
        for bad in [
            "",
            &good[1..],
            &longer,
            &padded,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt",
        ] {
            assert_eq!(Thumbprint::parse(bad), Err(NotAThumbprint), "{bad}");
            assert!(
                serde_json::from_value::<Thumbprint>(bad.into()).is_err(),
                "{bad}"
            );
        }
    }
}
