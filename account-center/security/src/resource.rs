//! What a business line runs before its own code: an access token and the proof of the key that it names, together (RFC 9449, section 7).

use std::fmt;

use crate::access_token::{Claims, TokenError, TokenVerifier};
use crate::dpop::{DpopError, DpopVerifier, Proof};
use crate::guards::{EndedSessions, GuardUnavailable, ReplayGuard};

/// A request to a business line.
#[derive(Clone, Copy)]
pub struct ResourceRequest<'a> {
    /// Every `Authorization` header, as received. Exactly one is right.
    pub authorization: &'a [&'a str],
    /// Every `DPoP` header, as received. Exactly one is right (RFC 9449, section 4.3).
    pub dpop: &'a [&'a str],
    /// The method as received, upper case.
    pub method: &'a str,
    /// The path as received, undecoded, without query.
    pub path: &'a str,
    /// The exact bytes of the body; `bh` is checked where they are given.
    pub body: Option<&'a [u8]>,
}

impl fmt::Debug for ResourceRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceRequest({} {})", self.method, self.path)
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No token was sent, or several, or one that is not of the scheme `DPoP`.
    #[error("there is not exactly one DPoP token")]
    NoToken,
    /// The token is not valid (any more).
    #[error("the token is refused: {0}")]
    Token(TokenError),
    /// The token's session is over.
    #[error("the session has ended")]
    SessionEnded,
    /// The proof is right, but its nonce is missing or stale.
    #[error("the nonce is missing or stale")]
    UseNonce,
    /// There is not exactly one proof, or it is wrong.
    #[error("the proof is wrong")]
    Proof,
    /// The proof is by another key than the token names.
    #[error("the proof is by another key than the token's")]
    OtherKey,
    /// The proof has served already.
    #[error("the proof has served already")]
    Replayed,
    /// A guard could not answer: refuse with 503, and let the client try again.
    #[error(transparent)]
    Unavailable(#[from] GuardUnavailable),
}

impl ResourceError {
    /// The HTTP status of the refusal.
    pub fn status(self) -> u16 {
        match self {
            Self::Unavailable(_) => 503,
            _ => 401,
        }
    }

    /// The problem code (contract section 9).
    pub fn code(self) -> &'static str {
        match self {
            Self::NoToken | Self::Token(_) => "invalid_token",
            Self::SessionEnded => "session_ended",
            Self::UseNonce => "use_dpop_nonce",
            Self::Proof | Self::OtherKey | Self::Replayed => "invalid_dpop_proof",
            Self::Unavailable(_) => "busy",
        }
    }

    /// The `WWW-Authenticate` header of the refusal (RFC 9449, section 7.1); none with 503.
    pub fn www_authenticate(self) -> Option<String> {
        match self {
            Self::Unavailable(_) => None,
            Self::NoToken => Some(r#"DPoP algs="ES256""#.to_owned()),
            // RFC 6750 knows no error for an ended session; to a client by the book it is an invalid token.
            Self::SessionEnded => Some(r#"DPoP error="invalid_token", algs="ES256""#.to_owned()),
            _ => Some(format!(r#"DPoP error="{}", algs="ES256""#, self.code())),
        }
    }
}

/// Verifies requests for one business line.
pub struct ResourceVerifier<R, E> {
    /// Which tokens are taken.
    pub tokens: TokenVerifier,
    /// Which proofs are taken.
    pub proofs: DpopVerifier,
    /// Remembers proofs.
    pub replays: R,
    /// Knows ended sessions.
    pub ended: E,
}

impl<R, E> fmt::Debug for ResourceVerifier<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceVerifier")
            .field("tokens", &self.tokens)
            .field("proofs", &self.proofs)
            .finish_non_exhaustive()
    }
}

impl<R: ReplayGuard, E: EndedSessions> ResourceVerifier<R, E> {
    /// Checks a request at the instant `now` (seconds) and says who sends it. Limits and permissions follow from the claims (L10).
    pub fn verify(&self, request: &ResourceRequest<'_>, now: u64) -> Result<Claims, ResourceError> {
        let token = the_token(request.authorization).ok_or(ResourceError::NoToken)?;
        let claims = self
            .tokens
            .verify(token, now)
            .map_err(ResourceError::Token)?;
        let [header] = request.dpop else {
            return Err(ResourceError::Proof);
        };
        let proof = Proof {
            header,
            method: request.method,
            path: request.path,
            body: request.body,
            access_token: Some(token),
        };
        let proof = self
            .proofs
            .verify(&proof, now)
            .map_err(|error| match error {
                DpopError::UseNonce => ResourceError::UseNonce,
                DpopError::Invalid(_) => ResourceError::Proof,
            })?;
        if proof.device_key != claims.confirmation.jkt {
            return Err(ResourceError::OtherKey);
        }
        if !self
            .replays
            .first_use(&proof.replay_key, proof.good_until, now)?
        {
            return Err(ResourceError::Replayed);
        }
        if self.ended.is_ended(&claims.session_id)? {
            return Err(ResourceError::SessionEnded);
        }
        Ok(claims)
    }
}

/// The token of the only `Authorization` header, if its scheme is `DPoP` (in any case, RFC 9110 section 11.1).
fn the_token<'a>(authorization: &[&'a str]) -> Option<&'a str> {
    let [value] = authorization else {
        return None;
    };
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("DPoP") && !token.is_empty()).then_some(token)
}
