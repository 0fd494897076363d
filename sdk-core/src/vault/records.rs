//! Records in the vault: JSON with a schema number and the id of the installation that wrote them.
//!
//! A record that is truncated, of a newer schema or of another installation is no error: the caller starts clean (a backup restored on another
//! phone, a keychain that outlived the app).

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Vault, VaultError};
use crate::json::{self, FromJson};
use crate::secret::{SecretBytes, to_secret_json};

/// The schema that this version writes. A reader takes this one and older ones.
pub const SCHEMA: u32 = 1;

/// Names one installation of the app: 22 base64url characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// What every record begins with.
#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    install_id: &'a InstallId,
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

    /// Whether the vault below may block.
    pub(crate) fn blocks(&self) -> bool {
        self.vault.blocks()
    }

    /// Reads a record. Blocks where the vault does.
    pub(crate) fn load<T: FromJson>(&self, name: &str) -> Result<Loaded<T>, VaultError> {
        let bytes = match self.vault.load(name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Loaded::Nothing),
            Err(VaultError::Damaged) => return Ok(Loaded::Unreadable),
            Err(error) => return Err(error),
        };
        let Some(mut tree) = json::tree(bytes.expose()) else {
            return Ok(Loaded::Unreadable);
        };
        let (Some(schema), Some(install)) = (
            json::number::<u32>(&tree, "schema"),
            tree.get("install_id").and_then(Value::as_str),
        ) else {
            return Ok(Loaded::Unreadable);
        };
        if schema > SCHEMA {
            return Ok(Loaded::Unreadable);
        }
        if install != self.install.0 {
            return Ok(Loaded::OtherInstall);
        }
        Ok(T::from_json(&mut tree).map_or(Loaded::Unreadable, Loaded::Record))
    }

    /// Writes a record: a struct, whose members stand beside `schema` and `install_id`. Blocks where the vault does.
    pub fn store<T: Serialize>(&self, name: &str, content: &T) -> Result<(), VaultError> {
        let head = Head {
            schema: SCHEMA,
            install_id: &self.install,
        };
        let (Ok(head), Ok(content)) = (to_secret_json(&head), to_secret_json(content)) else {
            return Err(not_json());
        };
        self.vault.store(name, &joined(&head, &content)?)
    }

    /// Removes a record. Blocks where the vault does.
    pub fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.vault.delete(name)
    }
}

/// The members of both objects in one.
fn joined(head: &SecretBytes, content: &SecretBytes) -> Result<SecretBytes, VaultError> {
    let (Some(head), Some(content)) = (
        head.expose().strip_suffix(b"}"),
        content.expose().strip_prefix(b"{"),
    ) else {
        return Err(not_json());
    };
    let mut record = Vec::with_capacity(head.len() + 1 + content.len());
    record.extend_from_slice(head);
    if content != b"}" {
        record.push(b',');
    }
    record.extend_from_slice(content);
    Ok(SecretBytes::new(record))
}

fn not_json() -> VaultError {
    VaultError::Failed {
        what: "the record can't be written as JSON".to_owned(),
    }
}
