//! A vault of the host: Android's Keystore, Apple's Keychain.

use std::sync::Arc;

use postern_sdk_core::secret::SecretBytes;
use postern_sdk_core::vault as sdk;

/// A blob of the SDK is far smaller; what is larger was not written by it.
const LARGEST_BLOB: usize = 1 << 20;

/// Why the vault did not do it. The difference decides whether somebody is signed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum VaultError {
    /// Locked, or its service is away: what is in it is still there. Never taken for signed out.
    #[error("the vault is not available at the moment")]
    Unavailable,
    /// The key that protects it is lost for good (invalidated, another device).
    #[error("the vault's key is lost")]
    KeyInvalidated,
    /// The blob is there, but it is not what was stored (truncated, tampered with): it can't be had back, the vault itself is well.
    #[error("what the vault kept is damaged")]
    Damaged,
    /// Anything else, such as a full disk.
    #[error("the vault failed")]
    Failed,
}

impl From<uniffi::UnexpectedUniFFICallbackError> for VaultError {
    /// The reason may be a whole stack trace, so it is dropped.
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

impl From<VaultError> for sdk::VaultError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Unavailable => Self::Unavailable,
            VaultError::KeyInvalidated => Self::KeyInvalidated,
            VaultError::Damaged => Self::Damaged,
            VaultError::Failed => Self::Failed {
                what: "the host's vault".to_owned(),
            },
        }
    }
}

/// Keeps blobs by name, protected by the platform. Names are `[a-z_-]{1,40}`. Called on the SDK's threads; may block.
#[uniffi::export(foreign)]
pub trait Vault: Send + Sync {
    /// The blob, or nothing where there never was one or it was deleted.
    fn load(&self, name: String) -> Result<Option<Vec<u8>>, VaultError>;
    /// Keeps the blob durably, replacing the old one as a whole.
    fn store(&self, name: String, value: Vec<u8>) -> Result<(), VaultError>;
    /// Removes the blob; no error where there is none.
    fn delete(&self, name: String) -> Result<(), VaultError>;
    /// Where, for people.
    fn description(&self) -> Result<String, VaultError>;
}

/// A host's vault for the core.
pub(crate) struct HostVault(pub(crate) Arc<dyn Vault>);

impl sdk::Vault for HostVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, sdk::VaultError> {
        let blob = self.0.load(name.to_owned())?.map(SecretBytes::new);
        match blob {
            Some(blob) if blob.len() > LARGEST_BLOB => Err(sdk::VaultError::Failed {
                what: "the host's vault gave a blob that is too large".to_owned(),
            }),
            blob => Ok(blob),
        }
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), sdk::VaultError> {
        Ok(self.0.store(name.to_owned(), value.expose().to_vec())?)
    }

    fn delete(&self, name: &str) -> Result<(), sdk::VaultError> {
        Ok(self.0.delete(name.to_owned())?)
    }

    fn description(&self) -> String {
        self.0
            .description()
            .unwrap_or_else(|_| "the app's vault".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk::Vault as _;

    struct Answers(Result<Option<Vec<u8>>, VaultError>);
    impl Vault for Answers {
        fn load(&self, _: String) -> Result<Option<Vec<u8>>, VaultError> {
            self.0.clone()
        }
        fn store(&self, _: String, _: Vec<u8>) -> Result<(), VaultError> {
            self.0.clone().map(|_| ())
        }
        fn delete(&self, _: String) -> Result<(), VaultError> {
            self.0.clone().map(|_| ())
        }
        fn description(&self) -> Result<String, VaultError> {
            self.0.clone().map(|_| "a drawer".to_owned())
        }
    }
    fn vault(answer: Result<Option<Vec<u8>>, VaultError>) -> HostVault {
        HostVault(Arc::new(Answers(answer)))
    }

    #[test]
    fn a_locked_vault_stays_unavailable_and_is_not_an_empty_one() {
        assert_eq!(
            vault(Err(VaultError::Unavailable)).load("session"),
            Err(sdk::VaultError::Unavailable)
        );
        assert_eq!(vault(Ok(None)).load("session"), Ok(None));
        assert_eq!(
            vault(Err(VaultError::Damaged)).load("session"),
            Err(sdk::VaultError::Damaged)
        );
    }

    #[test]
    fn what_a_foreign_vault_threw_unexpectedly_is_a_failure_without_its_text() {
        let thrown = VaultError::from(uniffi::UnexpectedUniFFICallbackError::new(
            "java.lang.IllegalStateException: token=abc at Vault.kt:7",
        ));
        let failure = vault(Err(thrown)).load("session");
        assert!(!format!("{failure:?}").contains("abc"), "{failure:?}");
    }

    #[test]
    fn a_blob_that_is_too_large_is_refused() {
        let answer = vault(Ok(Some(vec![0; LARGEST_BLOB + 1]))).load("session");
        assert!(matches!(answer, Err(sdk::VaultError::Failed { .. })));
    }

    #[test]
    fn a_vault_that_cannot_describe_itself_still_has_a_description() {
        assert_eq!(vault(Ok(None)).description(), "a drawer");
        assert_eq!(
            vault(Err(VaultError::Failed)).description(),
            "the app's vault"
        );
    }
}
