//! A device key in software, for machines without hardware that keeps one; it lives in the vault as PKCS#8.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::Serialize;
use serde_json::Value;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{DeviceKey, DeviceKeyError, PublicJwk};
use crate::json::{self, FromJson};
use crate::process_lock::ProcessLock;
use crate::secret::{SecretBytes, SecretString, in_vault};
use crate::vault::{Loaded, Records, VaultError};

/// An ES256 key in this process's memory.
pub struct SoftwareDeviceKey {
    pair: EcdsaKeyPair,
    public: PublicJwk,
}

impl std::fmt::Debug for SoftwareDeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoftwareDeviceKey([redacted])")
    }
}

impl SoftwareDeviceKey {
    /// Makes a key and gives it with its PKCS#8, which is what to keep.
    pub fn generate() -> Result<(Self, SecretBytes), DeviceKeyError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| failed("the key can't be made"))?;
        let pkcs8 = SecretBytes::from(document.as_ref());
        Ok((Self::from_pkcs8(&pkcs8)?, pkcs8))
    }

    /// The key that was kept.
    pub fn from_pkcs8(pkcs8: &SecretBytes) -> Result<Self, DeviceKeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            pkcs8.expose(),
            &SystemRandom::new(),
        )
        .map_err(|_| failed("the kept key is no PKCS#8 of P-256"))?;
        let public = PublicJwk::from_sec1(pair.public_key().as_ref())
            .ok_or_else(|| failed("the public key is no point"))?;
        Ok(Self { pair, public })
    }
}

impl DeviceKey for SoftwareDeviceKey {
    fn public_jwk(&self) -> Result<PublicJwk, DeviceKeyError> {
        Ok(self.public.clone())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| failed("the signature can't be made"))?;
        signature
            .as_ref()
            .try_into()
            .map_err(|_| failed("the signature has another length"))
    }

    fn blocks(&self) -> bool {
        false
    }
}

fn failed(what: &str) -> DeviceKeyError {
    DeviceKeyError::Failed {
        what: what.to_owned(),
    }
}

/// The name of the record in the vault.
const RECORD: &str = "device_key";

#[derive(Serialize)]
struct Kept {
    #[serde(with = "in_vault")]
    pkcs8: SecretString,
}

impl FromJson for Kept {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            pkcs8: json::member(tree, "pkcs8")?,
        })
    }
}

/// The software key of this installation, read from the vault at its first use and made where there is none.
pub(crate) struct VaultedDeviceKey {
    records: Records,
    /// Where processes agree on who makes the key.
    data_dir: Option<PathBuf>,
    key: Mutex<Option<Arc<SoftwareDeviceKey>>>,
}

impl VaultedDeviceKey {
    pub(crate) fn new(records: Records, data_dir: Option<PathBuf>) -> Self {
        Self {
            records,
            data_dir,
            key: Mutex::new(None),
        }
    }

    fn key(&self) -> Result<Arc<SoftwareDeviceKey>, DeviceKeyError> {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = kept.as_ref() {
            return Ok(Arc::clone(key));
        }
        let key = match self.read()? {
            Some(key) => key,
            None => self.make()?,
        };
        let key = Arc::new(key);
        *kept = Some(Arc::clone(&key));
        Ok(key)
    }

    /// The kept key. One that can't be read is made anew: the session bound to it is over, and nothing else is lost.
    fn read(&self) -> Result<Option<SoftwareDeviceKey>, DeviceKeyError> {
        match self.records.load::<Kept>(RECORD) {
            Ok(Loaded::Record(kept)) => {
                let pkcs8 = URL_SAFE_NO_PAD
                    .decode(kept.pkcs8.expose())
                    .unwrap_or_default();
                Ok(SoftwareDeviceKey::from_pkcs8(&SecretBytes::new(pkcs8)).ok())
            }
            Ok(_) | Err(VaultError::KeyInvalidated | VaultError::Damaged) => Ok(None),
            Err(VaultError::Unavailable) => Err(DeviceKeyError::Unavailable),
            Err(VaultError::Failed { what }) => Err(DeviceKeyError::Failed { what }),
        }
    }

    fn make(&self) -> Result<SoftwareDeviceKey, DeviceKeyError> {
        // Two processes that start at the same time must end up with one key; without the lock the later one's would win.
        let _lock = ProcessLock::wait(self.data_dir.as_deref(), "device-key");
        if let Some(made_meanwhile) = self.read()? {
            return Ok(made_meanwhile);
        }
        let (key, pkcs8) = SoftwareDeviceKey::generate()?;
        let kept = Kept {
            pkcs8: URL_SAFE_NO_PAD.encode(pkcs8.expose()).into(),
        };
        match self.records.store(RECORD, &kept) {
            Ok(()) => Ok(key),
            Err(VaultError::Failed { what }) => Err(DeviceKeyError::Failed { what }),
            Err(_) => Err(DeviceKeyError::Unavailable),
        }
    }
}

impl DeviceKey for VaultedDeviceKey {
    fn public_jwk(&self) -> Result<PublicJwk, DeviceKeyError> {
        self.key()?.public_jwk()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        self.key()?.sign(message)
    }

    /// Once the key is read, there is nothing to wait for; before, there are the vault and the lock between processes.
    fn blocks(&self) -> bool {
        let in_memory = self.key.try_lock().is_ok_and(|key| key.is_some());
        !in_memory && (self.records.blocks() || self.data_dir.is_some())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;
    use crate::testing::FlakyVault;
    use crate::vault::{InstallId, Vault};

    const FROZEN: &[u8] = include_bytes!("../../tests/fixtures/device-key-1.json");

    fn key_over(vault: &Arc<FlakyVault>) -> VaultedDeviceKey {
        let vault = Arc::clone(vault) as Arc<dyn Vault>;
        VaultedDeviceKey::new(
            Records::new(vault, InstallId("unspecified".to_owned())),
            None,
        )
    }

    fn name(key: &VaultedDeviceKey) -> String {
        key.public_jwk().unwrap().thumbprint()
    }

    #[test]
    fn the_first_schema_of_the_kept_key_stays_readable() {
        let vectors = include_str!("../../../contract/vectors/dpop.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let vault = FlakyVault::new();
        vault.inner.store(RECORD, &FROZEN.into()).unwrap();
        assert_eq!(
            name(&key_over(&vault)),
            vectors["keys"][0]["thumbprint"].as_str().unwrap()
        );
    }

    #[test]
    fn a_key_is_made_once_and_found_by_the_next_process() {
        let vault = FlakyVault::new();
        let first = key_over(&vault);
        assert_eq!(name(&first), name(&key_over(&vault)));
        assert!(!format!("{:?}", SoftwareDeviceKey::generate().unwrap().0).contains('.'));
    }

    #[test]
    fn a_kept_key_that_cannot_be_used_is_made_anew() {
        let half = &FROZEN[..FROZEN.len() / 2];
        let newer = String::from_utf8_lossy(FROZEN).replace("\"schema\":1", "\"schema\":2");
        let other = String::from_utf8_lossy(FROZEN).replace("unspecified", "other");
        let wrong = String::from_utf8_lossy(FROZEN).replace("MIGH", "AAAA");
        for content in [
            half,
            newer.as_bytes(),
            other.as_bytes(),
            wrong.as_bytes(),
            b"",
        ] {
            let vault = FlakyVault::new();
            vault.inner.store(RECORD, &content.into()).unwrap();
            assert_eq!(name(&key_over(&vault)), name(&key_over(&vault)));
        }
    }

    #[test]
    fn an_unavailable_vault_makes_no_second_key() {
        let vault = FlakyVault::new();
        vault.inner.store(RECORD, &FROZEN.into()).unwrap();
        vault.fail_loads(Some(VaultError::Unavailable));
        let key = key_over(&vault);
        assert_eq!(key.public_jwk(), Err(DeviceKeyError::Unavailable));
        assert_eq!(key.sign(b"x"), Err(DeviceKeyError::Unavailable));
        vault.fail_loads(None);
        let found = vault.inner.load(RECORD).unwrap().unwrap();
        assert_eq!(found.expose(), FROZEN);
        key.sign(b"x").unwrap();
    }

    #[test]
    fn a_key_that_cannot_be_kept_is_not_used() {
        let vault = FlakyVault::new();
        let full = VaultError::Failed {
            what: "disk full".to_owned(),
        };
        vault.fail_stores(Some(full));
        let key = key_over(&vault);
        assert!(matches!(
            key.public_jwk(),
            Err(DeviceKeyError::Failed { .. })
        ));
        vault.fail_stores(None);
        assert_eq!(name(&key), name(&key_over(&vault)));
    }
}
