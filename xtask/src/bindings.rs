//! `cargo xtask bindings`: the library, and the Kotlin and Swift that uniffi generates from it.
//!
//! The generated files are built, not committed. A file that did not change keeps its time, so that Maven and SwiftPM build nothing anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{Result, process, repo};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build the library with the release profile.
    #[arg(long)]
    release: bool,
}

/// `cargo xtask bindings`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut build = Command::new(repo::cargo());
    build
        .args(["build", "--package", "postern-bindings", "--lib"])
        .args(options.release.then_some("--release"))
        .current_dir(repo::root());
    process::stream(&mut build)?;
    let mut build = Command::new(repo::cargo());
    build
        .args(["build", "--package", "uniffi-bindgen"])
        .current_dir(repo::root());
    process::stream(&mut build)?;
    let folder = native_folder(options.release);
    generate(&folder)?;
    println!("library: {}", library(&folder).display());
    println!("kotlin:  {}", kotlin_folder().display());
    println!("swift:   {}", swift_folder().display());
    Ok(ExitCode::SUCCESS)
}

/// Where cargo leaves the shared and the static library.
pub(crate) fn native_folder(release: bool) -> PathBuf {
    repo::target().join(if release { "release" } else { "debug" })
}

/// The shared library of this machine's kind.
pub(crate) fn library(folder: &Path) -> PathBuf {
    folder.join(format!(
        "{}postern{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ))
}

fn kotlin_folder() -> PathBuf {
    repo::root().join("bindings/kotlin/target/generated-sources/uniffi")
}

fn swift_folder() -> PathBuf {
    repo::root().join("bindings/swift/Sources")
}

/// Generates both languages from the library in `folder`, which has to be unstripped: its metadata is what is read.
pub(crate) fn generate(folder: &Path) -> Result<()> {
    for language in ["kotlin", "swift"] {
        let fresh = repo::target().join("uniffi").join(language);
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        fs::create_dir_all(&fresh)?;
        let mut bindgen = Command::new(repo::target().join("debug/uniffi-bindgen"));
        bindgen
            .args([
                "generate",
                "--no-format",
                "--language",
                language,
                "--out-dir",
            ])
            .arg(&fresh)
            .arg(library(folder))
            .current_dir(repo::root());
        process::capture(&mut bindgen)?;
        let places = files_below(&fresh)?.into_iter().map(|file| {
            let place = if language == "kotlin" {
                kotlin_folder().join(&file)
            } else {
                swift_folder().join(swift_place(&file))
            };
            (fresh.join(file), place)
        });
        for (from, to) in places {
            copy_if_changed(&from, &to)?;
        }
    }
    Ok(())
}

/// `X.swift` goes to the target X; a C module `x` to the system library target `x`, under the names SwiftPM wants.
fn swift_place(file: &Path) -> PathBuf {
    let name = file.file_stem().unwrap_or_default();
    match file.extension().and_then(|end| end.to_str()) {
        Some("modulemap") => Path::new(name).join("module.modulemap"),
        _ => Path::new(name).join(file),
    }
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let fresh = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(to, fresh)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_swift_goes_where_its_package_looks() {
        assert_eq!(
            swift_place(Path::new("PosternFFI.swift")),
            Path::new("PosternFFI/PosternFFI.swift")
        );
        assert_eq!(
            swift_place(Path::new("postern_ffiFFI.h")),
            Path::new("postern_ffiFFI/postern_ffiFFI.h")
        );
        assert_eq!(
            swift_place(Path::new("postern_ffiFFI.modulemap")),
            Path::new("postern_ffiFFI/module.modulemap")
        );
    }
}
