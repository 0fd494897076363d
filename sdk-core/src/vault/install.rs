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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::random::SystemRandomness;

    #[test]
    fn the_id_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let randomness = SystemRandomness::new();
        let nested = folder.path().join("a/b");
        let id = install_id(&nested, &randomness).unwrap();
        assert_eq!(install_id(&nested, &randomness).unwrap(), id);
    }

    #[test]
    fn processes_that_start_together_agree_on_one_id() {
        let folder = tempfile::tempdir().unwrap();
        let ids: Vec<InstallId> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| install_id(folder.path(), &SystemRandomness::new()).unwrap())
                })
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_file_that_holds_no_id_is_made_anew() {
        for content in [&b""[..], b"short", b"with a newline twenty\n", b"\xff\xff"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), content).unwrap();
            let id = install_id(folder.path(), &SystemRandomness::new()).unwrap();
            assert_eq!(id.0.len(), 22);
        }
    }
}
