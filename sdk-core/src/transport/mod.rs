//! One HTTP request in, one reply out. A bank that must use its own HTTP stack implements [`Transport`].

mod crypto;
mod reqwest;
mod tls;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use url::Url;

pub use self::reqwest::ReqwestTransport;
pub use self::tls::TrustDecision;

#[cfg(test)]
mod tests;

/// A reply body larger than this is refused ([`TransportError::TooLarge`]).
pub const REPLY_LIMIT: usize = 256 * 1024;

/// A request as it goes out. `body` is sent exactly so: its hash is in the proof.
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// All headers but those that HTTP itself needs.
    pub headers: HeaderMap,
    /// The body's exact bytes; empty for none.
    pub body: Vec<u8>,
}

/// A reply, whatever its status. Redirects are replies too.
pub struct HttpReply {
    /// The status, 100 to 599.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`REPLY_LIMIT`] bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({} bytes)",
            self.method,
            self.url.path(),
            self.body.len()
        )
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody could be reached.
    #[error("no connection")]
    Offline,
    /// The time limit passed; the request may have been carried out.
    #[error("timed out")]
    TimedOut,
    /// The other end could not prove who it is (certificate chain, name or pin).
    #[error("the server's identity could not be proved")]
    Tls,
    /// The reply was larger than [`REPLY_LIMIT`].
    #[error("the reply is too large")]
    TooLarge,
    /// The connection broke, or the reply was not HTTP; the request may have been carried out.
    #[error("the connection failed")]
    Other,
}

/// Sends a request once: no redirect is followed, nothing is repeated, no cookie is kept.
pub trait Transport: Send + Sync {
    /// Sends `request` and reads the whole reply. Dropping the future may abandon the request.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>>;

    /// Replaces the pins of the account center by those of an accepted key list (contract section 5). A transport with pins of its own may ignore it.
    fn set_pins(&self, _pins: &[SpkiPin]) {}
}

/// The SHA-256 of a certificate's public key (its DER `SubjectPublicKeyInfo`), written `sha256/<base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpkiPin(pub [u8; 32]);

impl SpkiPin {
    /// Reads `sha256/` and padded base64, as platforms write it (RFC 7469).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}
