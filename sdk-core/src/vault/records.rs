//! Records in the vault: JSON with a schema number and the id of the installation that wrote them.
//!
//! A record that is truncated, of a newer schema or of another installation is no error: the caller starts clean (a backup restored on another
//! phone, a keychain that outlived the app).

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Vault, VaultError};
use crate::secret::to_secret_json;

/// The schema that this version writes. A reader takes this one and older ones.
pub const SCHEMA: u32 = 1;

/// Names one installation of the app: 22 base64url characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstallId(pub String);

/// What was found under a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// Nothing.
    Nothing,
    /// A record of ours.
    Record(T),
    /// Something that can't be used: truncated, or written by a newer version.
    Unreadable,
    /// A record that another installation wrote.
    OtherInstall,
}

impl<T> Loaded<T> {
    /// The record, where there is a usable one.
    pub fn usable(self) -> Option<T> {
        match self {
            Self::Record(record) => Some(record),
            Self::Nothing | Self::Unreadable | Self::OtherInstall => None,
        }
    }
}

/// Typed access to a vault.
#[derive(Clone)]
pub struct Records {
    vault: Arc<dyn Vault>,
    install: InstallId,
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    schema: u32,
    install_id: &'a InstallId,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
    install_id: InstallId,
}

impl Records {
    /// Records of one installation in `vault`.
    pub fn new(vault: Arc<dyn Vault>, install: InstallId) -> Self {
        Self { vault, install }
    }

    /// The vault below.
    pub fn vault(&self) -> &Arc<dyn Vault> {
        &self.vault
    }

    /// Reads a record. Blocks.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Loaded<T>, VaultError> {
        let bytes = match self.vault.load(name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Loaded::Nothing),
            Err(VaultError::Damaged) => return Ok(Loaded::Unreadable),
            Err(error) => return Err(error),
        };
        let Ok(head) = serde_json::from_slice::<Head>(bytes.expose()) else {
            return Ok(Loaded::Unreadable);
        };
        if head.schema > SCHEMA {
            return Ok(Loaded::Unreadable);
        }
        if head.install_id != self.install {
            return Ok(Loaded::OtherInstall);
        }
        Ok(serde_json::from_slice(bytes.expose()).map_or(Loaded::Unreadable, Loaded::Record))
    }

    /// Writes a record: a struct, whose members stand beside `schema` and `install_id`. Blocks.
    pub fn store<T: Serialize>(&self, name: &str, content: &T) -> Result<(), VaultError> {
        let record = Outgoing {
            schema: SCHEMA,
            install_id: &self.install,
            content,
        };
        let bytes = to_secret_json(&record).map_err(|_| VaultError::Failed {
            what: "the record can't be written as JSON".to_owned(),
        })?;
        self.vault.store(name, &bytes)
    }

    /// Removes a record. Blocks.
    pub fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.vault.delete(name)
    }
}
