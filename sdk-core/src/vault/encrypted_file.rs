//! A vault of encrypted files, for machines without a keyring: AES-256-GCM under a key that stands in a file of its owner alone.
//!
//! It keeps secrets out of backups, logs and other users' reach. It does not keep them from who can read the key file: said plainly in
//! [`Vault::description`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::files::{sync_folder, write_atomically};
use super::{Vault, VaultError};
use crate::process_lock::ProcessLock;
use crate::random::{Randomness, SystemRandomness};
use crate::secret::SecretBytes;

const KEY_BYTES: usize = 32;
/// Begins each file; a later format gets another number.
const MAGIC: &[u8] = b"postern-vault-1\n";

/// Where the key comes from.
enum KeySource {
    /// A file, made at the first store.
    File(PathBuf),
    /// The host has one.
    Given(SecretBytes),
}

/// Keeps each blob in a file of its own.
pub struct EncryptedFileVault {
    folder: PathBuf,
    key: KeySource,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for EncryptedFileVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncryptedFileVault")
    }
}

impl EncryptedFileVault {
    /// A vault in `folder`, with its key beside (`vault.key`, 0600).
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, VaultError> {
        let folder = folder.into();
        let key_file = folder.join("vault.key");
        Self::open_with_key_file(folder, key_file)
    }

    /// A vault in `folder`, with its key in another place, such as a folder that no backup takes.
    pub fn open_with_key_file(
        folder: impl Into<PathBuf>,
        key_file: impl Into<PathBuf>,
    ) -> Result<Self, VaultError> {
        Self::make(folder.into(), KeySource::File(key_file.into()))
    }

    /// A vault in `folder` under the host's own key of 32 bytes.
    pub fn open_with_key(folder: impl Into<PathBuf>, key: SecretBytes) -> Result<Self, VaultError> {
        if key.len() != KEY_BYTES {
            return Err(failed("the key has not 32 bytes"));
        }
        Self::make(folder.into(), KeySource::Given(key))
    }

    fn make(folder: PathBuf, key: KeySource) -> Result<Self, VaultError> {
        create_private(&folder).map_err(|error| broken(&error))?;
        Ok(Self {
            folder,
            key,
            randomness: Arc::new(SystemRandomness::new()),
        })
    }

    fn path(&self, name: &str) -> Result<PathBuf, VaultError> {
        let usable = (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
        if !usable {
            return Err(failed("the name is not of a-z _ -"));
        }
        Ok(self.folder.join(format!("{name}.sealed")))
    }

    /// The key; nothing where it was never made, or is lost.
    fn key(&self) -> Result<Option<LessSafeKey>, VaultError> {
        let bytes = match &self.key {
            KeySource::Given(key) => key.clone(),
            KeySource::File(path) => match fs::read(path) {
                Ok(bytes) => SecretBytes::new(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(broken(&error)),
            },
        };
        Ok(UnboundKey::new(&AES_256_GCM, bytes.expose())
            .ok()
            .map(LessSafeKey::new))
    }

    /// The key, made where there is none. What was kept under a lost key stays lost.
    fn key_or_new(&self) -> Result<LessSafeKey, VaultError> {
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        let KeySource::File(path) = &self.key else {
            return Err(failed("the key can't be used"));
        };
        let _lock = ProcessLock::wait(Some(&self.folder), "vault-key");
        if let Some(made_meanwhile) = self.key()? {
            return Ok(made_meanwhile);
        }
        let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
        self.randomness.fill(bytes.as_mut_slice());
        write_atomically(path, bytes.as_slice()).map_err(|error| broken(&error))?;
        self.key()?.ok_or_else(|| failed("the key can't be used"))
    }
}

impl Vault for EncryptedFileVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        let sealed = match fs::read(self.path(name)?) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(&error)),
        };
        let key = self.key()?.ok_or(VaultError::KeyInvalidated)?;
        open(&key, name, &sealed)
            .map(Some)
            .ok_or(VaultError::Damaged)
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        let path = self.path(name)?;
        let key = self.key_or_new()?;
        let sealed = seal(&key, name, value, self.randomness.as_ref())?;
        write_atomically(&path, &sealed).map_err(|error| broken(&error))
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        match fs::remove_file(self.path(name)?) {
            Ok(()) => sync_folder(&self.folder).map_err(|error| broken(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(broken(&error)),
        }
    }

    fn description(&self) -> String {
        let folder = self.folder.display();
        match &self.key {
            KeySource::File(key) => format!(
                "encrypted files in {folder}; the key stands in {}, so who can read that file can read them",
                key.display()
            ),
            KeySource::Given(_) => format!("encrypted files in {folder}, under the app's own key"),
        }
    }
}

/// `MAGIC`, the nonce, the ciphertext; the name is bound in, so that files can't be exchanged for one another.
fn seal(
    key: &LessSafeKey,
    name: &str,
    value: &SecretBytes,
    randomness: &dyn Randomness,
) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_LEN];
    randomness.fill(&mut nonce);
    let mut text = Vec::with_capacity(value.len() + AES_256_GCM.tag_len());
    text.extend_from_slice(value.expose());
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(name.as_bytes()),
        &mut text,
    )
    .map_err(|_| failed("the value is too large"))?;
    Ok([MAGIC, &nonce, &text].concat())
}

fn open(key: &LessSafeKey, name: &str, sealed: &[u8]) -> Option<SecretBytes> {
    let rest = sealed.strip_prefix(MAGIC)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
    let mut text = zeroize::Zeroizing::new(text.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = key
        .open_in_place(nonce, Aad::from(name.as_bytes()), &mut text)
        .ok()?;
    Some(SecretBytes::from(&*plain))
}

fn create_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn failed(what: &str) -> VaultError {
    VaultError::Failed {
        what: what.to_owned(),
    }
}

/// The system's reason, without the path.
fn broken(error: &io::Error) -> VaultError {
    failed(&error.to_string())
}
