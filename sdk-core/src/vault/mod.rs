//! Where secrets are kept between runs: blobs by name, opaque to the vault.

mod encrypted_file;
mod files;
mod install;
#[cfg(feature = "keyring")]
mod keyring;
mod memory;
mod records;

pub use encrypted_file::EncryptedFileVault;
pub(crate) use install::install_id;
#[cfg(feature = "keyring")]
pub use keyring::KeyringVault;
pub use memory::MemoryVault;
pub use records::{InstallId, Loaded, Records, SCHEMA};

use crate::secret::SecretBytes;

/// Why the vault did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It can't be read or written at the moment (locked, no service). What is in it is still there: never taken for signed out.
    #[error("the vault is not available at the moment")]
    Unavailable,
    /// The key that protects it is lost for good (Keystore key invalidated, another device): what was in it can't be had back. The next store makes a new one.
    #[error("the vault's key is lost")]
    KeyInvalidated,
    /// The blob is there, but it is not what was stored (truncated, tampered with): it can't be had back, the vault itself is well.
    #[error("what the vault kept is damaged")]
    Damaged,
    /// Something else failed, such as a full disk. `what` is for developers and holds no secret.
    #[error("the vault failed: {what}")]
    Failed {
        /// What failed, without any secret.
        what: String,
    },
}

/// Keeps blobs by name. Names are `[a-z_-]{1,40}`. Calls may block and are made off the async threads.
pub trait Vault: Send + Sync {
    /// The blob, or nothing where there never was one or it was deleted.
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError>;
    /// Keeps the blob durably, replacing the old one as a whole: after a crash there is the old or the new.
    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError>;
    /// Removes the blob; no error where there is none.
    fn delete(&self, name: &str) -> Result<(), VaultError>;
    /// Where, for people: "the kernel's session keyring".
    fn description(&self) -> String;
    /// Whether a call may take longer than a look into memory, so that it is made off the async threads.
    fn blocks(&self) -> bool {
        true
    }
}
