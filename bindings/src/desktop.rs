//! The vaults that come with the SDK. Only a build with the feature `desktop` has those of desktops: keyring and encrypted file.

use std::sync::Arc;

use postern_sdk_core::vault::{MemoryVault, Vault};

use crate::error::SetupError;
use crate::postern::BuiltInVault;

pub(crate) fn open(vault: BuiltInVault) -> Result<Arc<dyn Vault>, SetupError> {
    match vault {
        BuiltInVault::Memory => Ok(Arc::new(MemoryVault::new())),
        BuiltInVault::Keyring { service } => keyring(&service),
        BuiltInVault::EncryptedFile { folder } => encrypted_file(&folder),
    }
}

#[cfg(feature = "desktop")]
fn encrypted_file(folder: &str) -> Result<Arc<dyn Vault>, SetupError> {
    let vault = postern_sdk_core::vault::EncryptedFileVault::open(folder).map_err(unusable)?;
    Ok(Arc::new(vault))
}

#[cfg(not(feature = "desktop"))]
fn encrypted_file(_: &str) -> Result<Arc<dyn Vault>, SetupError> {
    Err(SetupError::VaultUnusable {
        what: "this build has no encrypted file".to_owned(),
    })
}

#[cfg(feature = "desktop")]
fn keyring(service: &str) -> Result<Arc<dyn Vault>, SetupError> {
    let vault = postern_sdk_core::vault::KeyringVault::new(service).map_err(unusable)?;
    Ok(Arc::new(vault))
}

#[cfg(not(feature = "desktop"))]
fn keyring(_: &str) -> Result<Arc<dyn Vault>, SetupError> {
    Err(SetupError::VaultUnusable {
        what: "this build has no keyring".to_owned(),
    })
}

#[cfg(feature = "desktop")]
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unusable(error: postern_sdk_core::vault::VaultError) -> SetupError {
    SetupError::VaultUnusable {
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[cfg(feature = "desktop")]
    #[test]
    fn an_encrypted_file_keeps_what_it_was_given() {
        let folder = std::env::temp_dir().join(format!("postern-bindings-{}", std::process::id()));
        let choice = BuiltInVault::EncryptedFile {
            folder: folder.to_str().unwrap().to_owned(),
        };
        let value = postern_sdk_core::secret::SecretBytes::from(&b"kept"[..]);
        open(choice.clone())
            .unwrap()
            .store("session", &value)
            .unwrap();
        assert_eq!(open(choice).unwrap().load("session").unwrap(), Some(value));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(feature = "desktop")]
    #[test]
    fn a_folder_that_cannot_be_made_is_said_at_once() {
        let choice = BuiltInVault::EncryptedFile {
            folder: "/proc/no/such/folder".to_owned(),
        };
        assert!(matches!(
            open(choice),
            Err(SetupError::VaultUnusable { .. })
        ));
    }

    #[cfg(not(feature = "desktop"))]
    #[test]
    fn without_the_feature_there_are_no_vaults_of_desktops() {
        for choice in [
            BuiltInVault::Keyring {
                service: "bank".to_owned(),
            },
            BuiltInVault::EncryptedFile {
                folder: std::env::temp_dir().to_str().unwrap().to_owned(),
            },
        ] {
            let refused = open(choice);
            assert!(matches!(refused, Err(SetupError::VaultUnusable { .. })));
        }
        assert!(open(BuiltInVault::Memory).is_ok());
    }
}
