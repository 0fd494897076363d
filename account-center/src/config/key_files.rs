//! Files with keys: one line of text, `postern <kind> <mode> <name> <base64url>`, so that a key made at a desk is known for what it is wherever it turns up.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use postern_server_security::base64url;
use zeroize::Zeroizing;

use super::Mode;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32 bytes, from which keys for the database, nonces and refresh tokens are derived.
    ServerSecret,
    /// PKCS#8: signs access tokens.
    SigningKey,
    /// An X25519 private key: opens sealed fields.
    SealingKey,
    /// The public half of a sealing key: what the offline root signs.
    SealingKeyPublic,
    /// PKCS#8: the offline root, which signs the list of sealing keys.
    RootKey,
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::ServerSecret,
        Kind::SigningKey,
        Kind::SealingKey,
        Kind::SealingKeyPublic,
        Kind::RootKey,
    ];

    /// Its word in the file, and the usual name of the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::ServerSecret => "server-secret",
            Self::SigningKey => "signing-key",
            Self::SealingKey => "sealing-key",
            Self::SealingKeyPublic => "sealing-key-public",
            Self::RootKey => "root-key",
        }
    }
}

/// A key from a file. Debug shows no key.
pub struct KeyFile {
    /// What it is for.
    pub kind: Kind,
    /// Where it may be used.
    pub mode: Mode,
    /// Its name; for sealing keys the key id.
    pub name: String,
    /// The key.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({} {})", self.kind.word(), self.name)
    }
}

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("the key file {path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content is not of the form.
    #[error(
        "the key file {path} is not a {wanted}: it should be one line, made by make-keys or sign-keys"
    )]
    Form {
        /// Which one.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// Others can read it.
    #[error("the key file {path} can be read by others: run chmod 600 on it")]
    Open {
        /// Which one.
        path: PathBuf,
    },
    /// A key made at a desk, in production.
    #[error("the key file {path} is a development key: make one for production with make-keys")]
    Development {
        /// Which one.
        path: PathBuf,
    },
}

impl KeyFile {
    /// Reads a key of this kind. In production it may not be a development key, and nobody else may be able to read it.
    pub fn read(path: &Path, kind: Kind, mode: Mode) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        let form = || KeyFileError::Form {
            path: path.to_owned(),
            wanted: kind.word(),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["postern", word, made_for, name, key] = words[..] else {
            return Err(form());
        };
        if Kind::ALL.into_iter().find(|kind| kind.word() == word) != Some(kind) {
            return Err(form());
        }
        let made_for = match made_for {
            "development" => Mode::Development,
            "production" => Mode::Production,
            _ => return Err(form()),
        };
        if mode == Mode::Production && made_for == Mode::Development {
            return Err(KeyFileError::Development {
                path: path.to_owned(),
            });
        }
        if mode == Mode::Production && kind != Kind::SealingKeyPublic {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = fs::metadata(path).map_err(io)?.permissions();
            // The group may read: systemd and Kubernetes hand secrets out like that.
            if permissions.mode() & 0o007 != 0 {
                return Err(KeyFileError::Open {
                    path: path.to_owned(),
                });
            }
        }
        let bytes = Zeroizing::new(base64url::decode(key).map_err(|_| form())?);
        Ok(Self {
            kind,
            mode: made_for,
            name: name.to_owned(),
            bytes,
        })
    }

    /// Writes the key to a new file that its owner alone can read; one that is there already is an error.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        let mode = match self.mode {
            Mode::Development => "development",
            Mode::Production => "production",
        };
        let line = Zeroizing::new(format!(
            "postern {} {mode} {} {}\n",
            self.kind.word(),
            self.name,
            *Zeroizing::new(base64url::encode(&*self.bytes))
        ));
        let permissions = if self.kind == Kind::SealingKeyPublic {
            0o644
        } else {
            0o600
        };
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(permissions)
                .open(path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

/// Makes a folder that its owner alone can enter, with those above it.
pub fn make_private_folder(path: &Path) -> Result<(), KeyFileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn key(mode: Mode) -> KeyFile {
        KeyFile {
            kind: Kind::ServerSecret,
            mode,
            name: "s".to_owned(),
            bytes: Zeroizing::new(vec![7; 32]),
        }
    }

    #[test]
    fn a_key_file_is_private_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        key(Mode::Production).write_new(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(
            key(Mode::Production).write_new(&path),
            Err(KeyFileError::Io { .. })
        ));
        let read = KeyFile::read(&path, Kind::ServerSecret, Mode::Production).unwrap();
        assert_eq!(*read.bytes, vec![7; 32]);
        assert_eq!(format!("{read:?}"), "KeyFile(server-secret s)");
    }

    #[test]
    fn production_refuses_development_keys_and_files_that_others_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev");
        key(Mode::Development).write_new(&path).unwrap();
        assert!(KeyFile::read(&path, Kind::ServerSecret, Mode::Development).is_ok());
        assert!(matches!(
            KeyFile::read(&path, Kind::ServerSecret, Mode::Production),
            Err(KeyFileError::Development { .. })
        ));
        let open = folder.path().join("open");
        key(Mode::Production).write_new(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(
            KeyFile::read(&open, Kind::ServerSecret, Mode::Production),
            Err(KeyFileError::Open { .. })
        ));
    }

    #[test]
    fn a_key_of_another_kind_or_a_broken_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        key(Mode::Production).write_new(&path).unwrap();
        assert!(matches!(
            KeyFile::read(&path, Kind::SigningKey, Mode::Production),
            Err(KeyFileError::Form { .. })
        ));
        for text in [
            "",
            "hello",
            "postern server-secret production s",
            "postern server-secret staging s AAAA",
            "postern server-secret production s AA==",
        ] {
            fs::write(&path, text).unwrap();
            assert!(
                matches!(
                    KeyFile::read(&path, Kind::ServerSecret, Mode::Production),
                    Err(KeyFileError::Form { .. })
                ),
                "{text}"
            );
        }
    }
}
