//! `cargo xtask bindings`: the library, and the Kotlin and Swift that uniffi generates from it.
//!
//! The generated files are built, not committed; the workspace's own `uniffi-bindgen` knows their places.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::programs::{self, cargo};
use crate::{Result, process, repo};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build the library with the release profile.
    #[arg(long)]
    release: bool,
}

/// `cargo xtask bindings`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // The same selection as the tests': another one has other features, and everything would be built twice.
    process::stream(&mut cargo(&programs::EVERYTHING))?;
    if options.release {
        // Each kind alone: beside an rlib, cargo leaves link-time optimisation out without a word.
        for kind in ["cdylib", "staticlib"] {
            process::stream(&mut programs::library(kind, "release"))?;
        }
    }
    let folder = repo::target().join(if options.release { "release" } else { "debug" });
    generate(&folder)?;
    println!("library: {}", library_in(&folder).display());
    println!("kotlin:  bindings/kotlin/target/generated-sources/uniffi");
    println!("swift:   bindings/swift/Sources/PosternFFI");
    Ok(ExitCode::SUCCESS)
}

/// The shared library of this machine's kind, as cargo leaves it in `folder`.
pub(crate) fn library_in(folder: &Path) -> PathBuf {
    folder.join(format!(
        "{}postern{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ))
}

/// Generates both languages from the library in `folder`, which has to be unstripped: its metadata is what is read.
pub(crate) fn generate(folder: &Path) -> Result<()> {
    let mut bindgen = Command::new(repo::target().join("debug/uniffi-bindgen"));
    bindgen
        .args(["generate", "--library"])
        .arg(library_in(folder))
        .current_dir(repo::root());
    process::capture(&mut bindgen).map(drop)
}
