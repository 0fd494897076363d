//! A vault that forgets with the process: for tests, and for hosts that must not keep anything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Vault, VaultError};
use crate::secret::SecretBytes;

/// Keeps blobs in memory that is wiped.
#[derive(Default)]
pub struct MemoryVault {
    blobs: Mutex<HashMap<String, SecretBytes>>,
}

impl MemoryVault {
    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryVault")
    }
}

impl Vault for MemoryVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(blobs.get(name).cloned())
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.insert(name.to_owned(), value.clone());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.remove(name);
        Ok(())
    }

    fn description(&self) -> String {
        "this process's memory; gone when it ends".to_owned()
    }

    fn blocks(&self) -> bool {
        false
    }
}
