//! The keys themselves: read from their files, or, at a desk, made on the first start.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_server_security::base64url;
use postern_server_security::key_list::{KeyList, SealingKey};
use postern_server_security::keys::{SigningKey, VerifyingKey};
use postern_server_security::sealing::{SealingKeyPair, SealingKeys};
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use super::key_files::{KeyFile, KeyFileError, Kind, make_private_folder};
use super::{Config, KeySettings, Mode};
use crate::context::Context;

/// A development key list is good for a year: nobody restarts a desk's server for it.
const DEVELOPMENT_LIST_SECONDS: u64 = 365 * 24 * 3600;

/// All keys of this account center. Debug shows none.
pub struct KeyMaterial {
    /// 32 bytes: see [`crate::keys::Keys`].
    pub server_secret: Zeroizing<[u8; 32]>,
    /// Signs access tokens.
    pub signing: Arc<SigningKey>,
    /// Published besides it.
    pub published: Vec<VerifyingKey>,
    /// Opens sealed fields.
    pub sealing: SealingKeys,
    root: Root,
}

/// Where the key list comes from.
enum Root {
    /// We have the root: development only.
    Here(Box<SigningKey>),
    /// It was signed offline.
    Offline { public: VerifyingKey, list: PathBuf },
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaterial([redacted])")
    }
}

/// Keys cannot be used, or the key list does not fit them.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A key of the wrong length or kind.
    #[error("the key file {0} holds no {1}")]
    Key(PathBuf, &'static str),
    /// The configured public key of the root.
    #[error(
        "keys.root_key is not the base64url of an uncompressed P-256 point: write the line that sign-keys printed"
    )]
    RootKey,
    /// The key list.
    #[error("the key list {path}: {wrong}")]
    List {
        /// Which one.
        path: PathBuf,
        /// What is wrong, and what to do.
        wrong: String,
    },
    /// Another server uses the data folder.
    #[error(
        "the data folder {0} is in use by another account center; stop it, or give this one a folder of its own with --data-dir"
    )]
    InUse(PathBuf),
    /// The operating system gave no randomness, or a key could not be made.
    #[error("a key could not be made")]
    Making,
}

/// Holds the data folder: nobody else serves from it while this lives.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code, reason = "the lock lives as long as the file")] File);

/// Makes the data folder where it is missing, and takes it.
pub fn take_folder(folder: &Path) -> Result<FolderLock, MaterialError> {
    make_private_folder(folder)?;
    let path = folder.join("lock");
    let io = |source| KeyFileError::Io {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(MaterialError::InUse(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source).into()),
    }
}

impl KeyMaterial {
    /// Reads the configured keys; in development, where none are configured, those in the data folder, made where they are missing.
    pub fn load(config: &Config, context: &Context) -> Result<Self, MaterialError> {
        match &config.keys {
            Some(settings) => Self::read(settings, config.mode),
            None => Self::develop(&config.data_dir, context),
        }
    }

    fn read(settings: &KeySettings, mode: Mode) -> Result<Self, MaterialError> {
        let public = base64url::decode(&settings.root_key)
            .ok()
            .and_then(|point| VerifyingKey::from_sec1(&point).ok());
        let published = settings
            .published_key_files
            .iter()
            .map(|path| {
                Ok(
                    signing(path, &KeyFile::read(path, Kind::SigningKey, mode)?)?
                        .public()
                        .clone(),
                )
            })
            .collect::<Result<_, MaterialError>>()?;
        let sealing = settings
            .sealing_key_files
            .iter()
            .map(|path| sealing(path, &KeyFile::read(path, Kind::SealingKey, mode)?))
            .collect::<Result<_, MaterialError>>()?;
        Ok(Self {
            server_secret: secret(
                &settings.server_secret_file,
                &KeyFile::read(&settings.server_secret_file, Kind::ServerSecret, mode)?,
            )?,
            signing: Arc::new(signing(
                &settings.signing_key_file,
                &KeyFile::read(&settings.signing_key_file, Kind::SigningKey, mode)?,
            )?),
            published,
            sealing: SealingKeys::new(sealing),
            root: Root::Offline {
                public: public.ok_or(MaterialError::RootKey)?,
                list: settings.key_list_file.clone(),
            },
        })
    }

    fn develop(folder: &Path, context: &Context) -> Result<Self, MaterialError> {
        let file = |kind: Kind| -> Result<(PathBuf, KeyFile), MaterialError> {
            let path = folder.join(kind.word());
            if !path.exists() {
                make(kind, Mode::Development, context)?.write_new(&path)?;
            }
            let key = KeyFile::read(&path, kind, Mode::Development)?;
            Ok((path, key))
        };
        let (path, key) = file(Kind::ServerSecret)?;
        let server_secret = secret(&path, &key)?;
        let (path, key) = file(Kind::SigningKey)?;
        let signing_key = signing(&path, &key)?;
        let (path, key) = file(Kind::SealingKey)?;
        let sealing = SealingKeys::new(vec![sealing(&path, &key)?]);
        let (path, key) = file(Kind::RootKey)?;
        Ok(Self {
            server_secret,
            signing: Arc::new(signing_key),
            published: Vec::new(),
            sealing,
            root: Root::Here(Box::new(signing(&path, &key)?)),
        })
    }

    /// The root's public key, as the SDK's configuration has it.
    pub fn root_key(&self) -> String {
        let public = match &self.root {
            Root::Here(root) => root.public(),
            Root::Offline { public, .. } => public,
        };
        base64url::encode(public.sec1())
    }

    /// The file that the key list is read from, if it was signed offline: it may be replaced while we run.
    pub fn list_file(&self) -> Option<&Path> {
        match &self.root {
            Root::Here(_) => None,
            Root::Offline { list, .. } => Some(list),
        }
    }

    /// The signed key list for this issuer, checked as clients check it; in development signed now.
    pub fn key_list(&self, issuer: &str, context: &Context) -> Result<String, MaterialError> {
        let now = u64::try_from(context.now().seconds()).unwrap_or(0);
        match &self.root {
            Root::Here(root) => KeyList {
                issuer: issuer.to_owned(),
                // Grows with time, so that a client of yesterday's list takes today's.
                version: now,
                issued_at: now,
                expires_at: now + DEVELOPMENT_LIST_SECONDS,
                sealing_keys: self.sealing.pairs().iter().map(SealingKey::from).collect(),
                tls_pins: Vec::new(),
            }
            .sign(root, &SystemRandom::new())
            .map_err(|_| MaterialError::Making),
            Root::Offline { public, list } => {
                let wrong = |wrong: String| MaterialError::List {
                    path: list.clone(),
                    wrong,
                };
                let text = std::fs::read_to_string(list)
                    .map_err(|error| wrong(format!("it cannot be read: {error}")))?;
                let text = text.trim();
                let read = KeyList::verify(text, public, issuer, 0, now)
                    .map_err(|error| wrong(format!("{error}. Sign a list for {issuer} with sign-keys and the root of keys.root_key")))?;
                for key in &read.sealing_keys {
                    let ours = self.sealing.pairs().iter().any(|pair| {
                        pair.kid() == key.kid
                            && base64url::encode(pair.public_bytes()) == key.public_key
                    });
                    if !ours {
                        return Err(wrong(format!(
                            "it names the sealing key {}, which is not in keys.sealing_key_files",
                            key.kid
                        )));
                    }
                }
                Ok(text.to_owned())
            }
        }
    }
}

/// Makes a new key.
pub fn make(kind: Kind, mode: Mode, context: &Context) -> Result<KeyFile, MaterialError> {
    let random = SystemRandom::new();
    let prefix = match mode {
        Mode::Development => "development-",
        Mode::Production => "",
    };
    let name = format!("{prefix}{}", &context.token128()[..10]);
    let bytes = match kind {
        Kind::ServerSecret => Zeroizing::new(context.bytes::<32>().to_vec()),
        Kind::SigningKey | Kind::RootKey => {
            SigningKey::generate_pkcs8(&random).map_err(|_| MaterialError::Making)?
        }
        Kind::SealingKey => {
            let pair =
                SealingKeyPair::generate(&name, &random).map_err(|_| MaterialError::Making)?;
            Zeroizing::new(pair.private_bytes().to_vec())
        }
        Kind::SealingKeyPublic => return Err(MaterialError::Making),
    };
    Ok(KeyFile {
        kind,
        mode,
        name,
        bytes,
    })
}

/// The public half of a sealing key, for the machine that has the root.
pub fn public_half(path: &Path, key: &KeyFile) -> Result<KeyFile, MaterialError> {
    let pair = sealing(path, key)?;
    Ok(KeyFile {
        kind: Kind::SealingKeyPublic,
        mode: key.mode,
        name: key.name.clone(),
        bytes: Zeroizing::new(pair.public_bytes().to_vec()),
    })
}

fn secret(path: &Path, key: &KeyFile) -> Result<Zeroizing<[u8; 32]>, MaterialError> {
    let bytes: [u8; 32] = key
        .bytes
        .as_slice()
        .try_into()
        .map_err(|_| MaterialError::Key(path.to_owned(), "32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

/// The P-256 key in a key file.
pub fn signing(path: &Path, key: &KeyFile) -> Result<SigningKey, MaterialError> {
    SigningKey::from_pkcs8(&key.bytes, &SystemRandom::new())
        .map_err(|_| MaterialError::Key(path.to_owned(), "P-256 key"))
}

fn sealing(path: &Path, key: &KeyFile) -> Result<SealingKeyPair, MaterialError> {
    SealingKeyPair::from_private_bytes(&key.name, &key.bytes)
        .map_err(|_| MaterialError::Key(path.to_owned(), "X25519 key"))
}
