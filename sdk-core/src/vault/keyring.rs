//! The desktop's keyring: macOS Keychain, Windows Credential Manager, the secret service, or the Linux kernel's keyring where there is none.

use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};

use super::{Vault, VaultError};
use crate::secret::SecretBytes;

/// Which keyring it is.
enum Store {
    /// The platform's, through the keyring crate.
    Platform,
    /// Another one.
    Other(Arc<CredentialStore>, &'static str),
}

/// Keeps blobs as entries of the keyring, under one service name.
pub struct KeyringVault {
    service: String,
    store: Store,
}

impl std::fmt::Debug for KeyringVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyringVault")
    }
}

impl KeyringVault {
    /// The platform's keyring. On Linux without a secret service: the kernel's session keyring, which forgets at reboot.
    ///
    /// # Errors
    /// `Unavailable` where neither answers; then there is [`super::EncryptedFileVault`].
    pub fn new(service: &str) -> Result<Self, VaultError> {
        let platform = Self {
            service: service.to_owned(),
            store: Store::Platform,
        };
        if platform.works() {
            return Ok(platform);
        }
        #[cfg(target_os = "linux")]
        return Self::kernel(service);
        #[cfg(not(target_os = "linux"))]
        return Err(VaultError::Unavailable);
    }

    /// The Linux kernel's session keyring. The process must have joined one before its first thread starts; entries are gone at reboot.
    #[cfg(target_os = "linux")]
    pub fn kernel(service: &str) -> Result<Self, VaultError> {
        let store = linux_keyutils_keyring_store::Store::new().map_err(|error| sort(&error))?;
        let where_to = "the kernel's session keyring; gone at reboot";
        let kernel = Self::with_store(service, store, where_to);
        if kernel.works() {
            Ok(kernel)
        } else {
            Err(VaultError::Unavailable)
        }
    }

    /// Any store of the keyring family. `description` is for people.
    pub fn with_store(
        service: &str,
        store: Arc<CredentialStore>,
        description: &'static str,
    ) -> Self {
        Self {
            service: service.to_owned(),
            store: Store::Other(store, description),
        }
    }

    /// Whether an entry can be written, read back and removed: a keyring that exists may still refuse.
    fn works(&self) -> bool {
        let probe = SecretBytes::from(&b"probe"[..]);
        self.store("probe", &probe).is_ok()
            && self.load("probe") == Ok(Some(probe))
            && self.delete("probe").is_ok()
    }

    fn entry(&self, name: &str) -> Result<Entry, VaultError> {
        match &self.store {
            Store::Platform => keyring::Entry::new(&self.service, name).map(|entry| entry.inner),
            Store::Other(store, _) => store.build(&self.service, name, None),
        }
        .map_err(|error| sort(&error))
    }
}

impl Vault for KeyringVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        match self.entry(name)?.get_secret() {
            Ok(secret) => Ok(Some(SecretBytes::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(sort(&error)),
        }
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        self.entry(name)?
            .set_secret(value.expose())
            .map_err(|error| sort(&error))
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        match self.entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(sort(&error)),
        }
    }

    fn description(&self) -> String {
        match &self.store {
            Store::Other(_, description) => (*description).to_owned(),
            Store::Platform if cfg!(target_os = "macos") => "the macOS keychain".to_owned(),
            Store::Platform if cfg!(windows) => "the Windows Credential Manager".to_owned(),
            Store::Platform => "the desktop's secret service".to_owned(),
        }
    }
}

/// Without the values that some of these errors carry.
fn sort(error: &Error) -> VaultError {
    match error {
        Error::NoStorageAccess(_) | Error::NoDefaultStore => VaultError::Unavailable,
        Error::BadEncoding(_) | Error::BadDataFormat(..) => VaultError::Damaged,
        Error::PlatformFailure(reason) => VaultError::Failed {
            what: format!("the keyring failed: {reason}"),
        },
        Error::TooLong(_, limit) => VaultError::Failed {
            what: format!("the keyring takes at most {limit} bytes"),
        },
        _ => VaultError::Failed {
            what: "the keyring refused".to_owned(),
        },
    }
}
