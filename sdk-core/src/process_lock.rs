//! One at a time over processes: an advisory lock on a file, which the system frees when its holder dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often a taken lock is tried again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
/// After this the holder is taken for hung: the account center bears two refreshes (contract section 8), so that going on is the lesser evil.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A held lock; freed when dropped.
pub(crate) struct ProcessLock {
    _file: Option<File>,
}

/// What came of trying.
pub(crate) enum Tried {
    Taken(ProcessLock),
    HeldByAnother,
}

impl ProcessLock {
    /// Tries once. Where there is no folder, or it can't be locked in, there is nothing to wait for.
    pub(crate) fn attempt(folder: Option<&Path>, name: &str) -> Tried {
        let Some(file) = folder.and_then(|folder| open(folder, name)) else {
            return Tried::Taken(Self { _file: None });
        };
        match try_lock(&file) {
            Ok(true) => Tried::Taken(Self { _file: Some(file) }),
            Ok(false) => Tried::HeldByAnother,
            Err(error) => {
                tracing::debug!(%error, name, "no lock between processes");
                Tried::Taken(Self { _file: None })
            }
        }
    }

    /// Tries until it is there or patience ends. Blocks.
    pub(crate) fn wait(folder: Option<&Path>, name: &str) -> Self {
        let mut waited = Duration::ZERO;
        loop {
            match Self::attempt(folder, name) {
                Tried::Taken(lock) => return lock,
                Tried::HeldByAnother if waited >= PATIENCE => return Self { _file: None },
                Tried::HeldByAnother => std::thread::sleep(PAUSE),
            }
            waited += PAUSE;
        }
    }
}

/// Whether the lock could be taken. The standard library has file locks on Android only from Rust 1.98 on.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the lock could be taken.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn open(folder: &Path, name: &str) -> Option<File> {
    let path = folder.join(format!("{name}.lock"));
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(%error, name, "the lock's file can't be opened");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_at_a_time_and_free_again_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = ProcessLock::wait(Some(folder.path()), "a");
        assert!(matches!(
            ProcessLock::attempt(Some(folder.path()), "a"),
            Tried::HeldByAnother
        ));
        assert!(matches!(
            ProcessLock::attempt(Some(folder.path()), "b"),
            Tried::Taken(_)
        ));
        drop(held);
        assert!(matches!(
            ProcessLock::attempt(Some(folder.path()), "a"),
            Tried::Taken(_)
        ));
    }

    #[test]
    fn without_a_folder_there_is_nothing_to_wait_for() {
        assert!(matches!(ProcessLock::attempt(None, "a"), Tried::Taken(_)));
        let gone = Path::new("/nonexistent/of/postern/tests");
        assert!(matches!(
            ProcessLock::attempt(Some(gone), "a"),
            Tried::Taken(_)
        ));
    }
}
