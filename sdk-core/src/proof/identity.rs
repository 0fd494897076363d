//! The device key as the client uses it: off the async threads, its name remembered.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use url::Url;

use super::dpop::{self, ProofClaims};
use super::{DeviceKey, DeviceKeyError};
use crate::offload::off_thread;
use crate::random::{Randomness, token_128};
use crate::time::Clock;

/// Proves requests with the device key.
#[derive(Clone)]
pub(crate) struct DeviceIdentity {
    key: Arc<dyn DeviceKey>,
    thumbprint: Arc<OnceLock<String>>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// The request that a proof is about.
pub(crate) struct Proved<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a Url,
    pub(crate) nonce: Option<String>,
    /// Hash of the body; nothing where the body is not ours to know.
    pub(crate) body_hash: Option<String>,
    /// Hash of the access token that goes with it.
    pub(crate) token_hash: Option<String>,
}

impl DeviceIdentity {
    pub(crate) fn new(
        key: Arc<dyn DeviceKey>,
        runtime: Handle,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            key,
            thumbprint: Arc::new(OnceLock::new()),
            runtime,
            clock,
            randomness,
        }
    }

    /// The key's name, `jkt`.
    pub(crate) async fn thumbprint(&self) -> Result<String, DeviceKeyError> {
        if let Some(known) = self.thumbprint.get() {
            return Ok(known.clone());
        }
        let key = Arc::clone(&self.key);
        let name = off_thread(&self.runtime, key.blocks(), move || {
            key.public_jwk().map(|jwk| jwk.thumbprint())
        })
        .await?;
        Ok(self.thumbprint.get_or_init(|| name).clone())
    }

    /// A fresh proof: a `jti` of its own for every transmission.
    pub(crate) async fn prove(&self, about: Proved<'_>) -> Result<String, DeviceKeyError> {
        let key = Arc::clone(&self.key);
        let method = about.method.to_owned();
        let htu = dpop::htu(about.url);
        let jti = token_128(self.randomness.as_ref());
        let iat = self.clock.now().as_secs();
        let (nonce, bh, ath) = (about.nonce, about.body_hash, about.token_hash);
        off_thread(&self.runtime, key.blocks(), move || {
            dpop::prove(
                key.as_ref(),
                &ProofClaims {
                    jti: &jti,
                    htm: &method,
                    htu: &htu,
                    iat,
                    nonce: nonce.as_deref(),
                    bh: bh.as_deref(),
                    ath: ath.as_deref(),
                },
            )
        })
        .await
    }
}
