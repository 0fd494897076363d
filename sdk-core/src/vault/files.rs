//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces `path` as a whole: after a crash or on a full disk there is the old content or the new, never a part.
///
/// Readable by its owner alone (0600) where the system has such a mode.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::other("the file has no folder"))?;
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the file has no name"))?
        .to_owned();
    // Nobody else writes this temporary file: no other process, and no other thread of this one.
    name.push(format!(
        ".{}-{:?}.new",
        std::process::id(),
        std::thread::current().id()
    ));
    let temporary = folder.join(name);
    let written = write_and_sync(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // What is left of the temporary file is worth nothing; that it can't be removed either changes nothing.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(folder)
}

fn write_and_sync(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the renaming itself durable; Windows does not let a folder be opened for it.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
