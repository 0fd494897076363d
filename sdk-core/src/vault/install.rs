//! The id of this installation, in a file that backups leave out.

use std::fs;
use std::io;
use std::path::Path;

use super::InstallId;
use super::files::write_atomically;
use crate::process_lock::ProcessLock;
use crate::random::{Randomness, token_128};

const FILE: &str = "install-id";

/// Reads the id, or makes it at the first start. A file that holds no id (a crash, a full disk) is made anew: a clean start.
pub(crate) fn install_id(folder: &Path, randomness: &dyn Randomness) -> io::Result<InstallId> {
    fs::create_dir_all(folder)?;
    if let Some(id) = read(folder)? {
        return Ok(id);
    }
    let _lock = ProcessLock::wait(Some(folder), "install-id");
    if let Some(made_meanwhile) = read(folder)? {
        return Ok(made_meanwhile);
    }
    let id = InstallId(token_128(randomness));
    write_atomically(&folder.join(FILE), id.0.as_bytes())?;
    Ok(id)
}

fn read(folder: &Path) -> io::Result<Option<InstallId>> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => {
            let usable = text.len() == 22
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            Ok(usable.then_some(InstallId(text)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}
