//! The bank's own login (L1, W7): checks what its server vouches for, with keys that it publishes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postern_server_security::Thumbprint;
use postern_server_security::bank_session::{self, Assertion, Expected, Refused, TrustedKeys};
use tokio::sync::Mutex;
use url::Url;

use crate::context::{Context, Timestamp};
use crate::ports::{Outbound, PortError};
use crate::problem::{Code, Problem};

/// Keys are read again after this time.
const FRESH: Duration = Duration::from_mins(5);
/// An assertion by an unknown key has them read again, at most this often.
const AGAIN: Duration = Duration::from_secs(10);
/// Keys that could not be read again are used for so long at most: a key that the bank took back must end.
const STALE: Duration = Duration::from_hours(1);

/// Where the bank's public keys are (a JWK set, RFC 7517).
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// At an address of the bank's.
    Web(Url, Outbound),
}

impl KeySource {
    async fn read(&self) -> Result<TrustedKeys, PortError> {
        let document = match self {
            Self::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || std::fs::read(path))
                    .await
                    .map_err(|error| PortError::misconfigured(error.to_string()))?
                    .map_err(|error| PortError::misconfigured(format!("the JWK set: {error}")))?
            }
            Self::Web(url, outbound) => {
                let reply = outbound.get(url.clone(), &[]).await?;
                if reply.status != http::StatusCode::OK {
                    return Err(PortError::unavailable(format!(
                        "the JWK set: HTTP {}",
                        reply.status.as_u16()
                    )));
                }
                reply.body.to_vec()
            }
        };
        TrustedKeys::from_jwks(&document)
            .map_err(|error| PortError::misconfigured(error.to_string()))
    }
}

#[derive(Default)]
struct Known {
    keys: TrustedKeys,
    /// When they were read; never: there are none.
    read_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

struct Inner {
    issuer: String,
    audience: String,
    source: KeySource,
    context: Context,
    known: Mutex<Known>,
}

/// Checks assertions. Cheap to clone.
#[derive(Clone, Default)]
pub struct BankSessions {
    inner: Option<Arc<Inner>>,
}

impl fmt::Debug for BankSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BankSessions")
    }
}

impl BankSessions {
    /// Takes assertions of this issuer for this audience, our public URL.
    pub fn new(issuer: String, audience: &str, source: KeySource, context: Context) -> Self {
        Self {
            inner: Some(Arc::new(Inner {
                issuer,
                audience: audience.to_owned(),
                source,
                context,
                known: Mutex::default(),
            })),
        }
    }

    /// The bank's login is not connected.
    pub fn none() -> Self {
        Self::default()
    }

    /// Checks an assertion for the key of this request's proof. Whether it was used before is not seen here.
    pub async fn check(&self, token: &str, device_key: &Thumbprint) -> Result<Assertion, Problem> {
        let Some(inner) = &self.inner else {
            return Err(Problem::new(Code::NotOfferedHere).pointer("/start/bank_session"));
        };
        let Some(kid) = bank_session::key_id(token) else {
            return Err(invalid(Refused::Form));
        };
        let keys = inner.keys_for(&kid).await.map_err(|error| {
            if matches!(error, PortError::Misconfigured { .. }) {
                tracing::error!(%error, "the bank's keys cannot be read");
            }
            Problem::new(Code::CoreUnavailable)
                .retry_after(2)
                .caused_by(error)
        })?;
        let expected = Expected {
            issuer: &inner.issuer,
            audience: &inner.audience,
            device_key,
            now: u64::try_from(inner.context.now().seconds()).unwrap_or(0),
        };
        bank_session::verify(token, &keys, &expected).map_err(invalid)
    }
}

impl Inner {
    /// The keys, read again where they are old or lack this one. One request reads for all.
    async fn keys_for(&self, kid: &str) -> Result<TrustedKeys, PortError> {
        let mut known = self.known.lock().await;
        let now = self.context.now();
        let within =
            |at: Option<Timestamp>, time: Duration| at.is_some_and(|at| now < at.plus(time));
        let good = within(known.read_at, FRESH) && known.keys.has(kid);
        if good || (within(known.tried_at, AGAIN) && within(known.read_at, STALE)) {
            return Ok(known.keys.clone());
        }
        known.tried_at = Some(now);
        match self.source.read().await {
            Ok(keys) => {
                known.keys = keys;
                known.read_at = Some(now);
            }
            Err(error) if within(known.read_at, STALE) => {
                tracing::warn!(%error, "the bank's keys could not be read again; those of before are used");
            }
            Err(error) => return Err(error),
        }
        Ok(known.keys.clone())
    }
}

fn invalid(refused: Refused) -> Problem {
    Problem::new(Code::BankSessionInvalid)
        .pointer("/start/bank_session/assertion")
        .detail(refused.to_string())
}
