//! Where things are: the repository, its build folders, the machine's cache.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the repository")
        .to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` or `target`.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where downloads that outlive a checkout are kept: `POSTERN_CACHE` or `/var/cache/postern`.
pub(crate) fn cache() -> PathBuf {
    env::var_os("POSTERN_CACHE").map_or_else(|| PathBuf::from("/var/cache/postern"), PathBuf::from)
}

/// Whether this is an unattended run, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The cargo that started us, so that the pinned toolchain is kept.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
