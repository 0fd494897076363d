//! The library that ships inside an app: how it is built, and what it lets out.
//!
//! Small first (benches/README.md has what each measure gains). The standard library is compiled along, from the sources of the pinned toolchain: the
//! ready-made one is built for speed, and brings a reader of debug information that a stripped library has no use for. Cargo calls that unstable, which
//! the pinned toolchain makes harmless; panics unwind as everywhere else.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{Result, bindings, process, programs, repo};

/// Set for the program that rustc takes for its linker, which is this one.
const LINK_WITH: &str = "POSTERN_LINK_WITH";

/// What no foreign code calls in a shipped library: uniffi's description of itself, its checksums (the Kotlin suite compares those), and what would
/// await a future of a type that no function returns.
fn is_needless(symbol: &str) -> bool {
    const NO_FUTURES: [&str; 10] = [
        "_i8", "_u8", "_i16", "_u16", "_i32", "_u32", "_i64", "_f32", "_f64", "_pointer",
    ];
    symbol.starts_with("UNIFFI_META_")
        || symbol.contains("_checksum_")
        || (symbol.contains("_rust_future_")
            && NO_FUTURES.iter().any(|ending| symbol.ends_with(ending)))
}

/// Builds the library for `target` and returns where it is, unstripped.
pub(crate) fn build(target: &str) -> Result<PathBuf> {
    let sysroot = sysroot()?;
    have_std_sources(&sysroot)?;
    // Alone: beside an rlib, cargo leaves link-time optimisation out without a word, and the library grows by a third.
    let mut build = programs::library("cdylib", "mobile");
    build
        .args(["--target", target])
        .args([
            "-Zbuild-std=std,panic_unwind",
            "-Zbuild-std-features=optimize_for_size",
        ])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&sysroot)?)
        .env(LINK_WITH, linker_of(target))
        .arg("--")
        .args(["-C".into(), linker_is(&std::env::current_exe()?)]);
    for word in link_words(target) {
        build.args(["-C", &format!("link-arg=-Wl,{word}")]);
    }
    process::stream(&mut build)?;
    Ok(bindings::library_in(
        &repo::target().join(target).join("mobile"),
    ))
}

/// For the linker `lld`.
fn link_words(target: &str) -> Vec<&'static str> {
    let mut words = vec!["--icf=all", "--gc-sections", "-O2", "--hash-style=gnu"];
    // Relocations that differ by their place alone, packed: Android's loader knows its own form from API 23 on, the standard one from 28 (minSdk is 26);
    // glibc the standard one from 2.36 on.
    words.push(if target.contains("android") {
        "--pack-dyn-relocs=android"
    } else {
        "--pack-dyn-relocs=relr"
    });
    words
}

/// For everything, the standard library included.
fn rustflags(sysroot: &Path) -> Result<OsString> {
    // Panics name their place. Not by the folders of the machine that built.
    let std = sysroot.join("lib/rustlib/src/rust/library");
    let mut folders = vec![repo::root(), std];
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    if let Ok(registries) = fs::read_dir(cargo_home.join("registry/src")) {
        for registry in registries {
            folders.push(registry?.path());
        }
    }
    let mut flags = OsString::from("--cfg\x1fcurve25519_dalek_backend=\"serial\"");
    for folder in folders {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(folder);
        flags.push("/=");
    }
    Ok(flags)
}

fn sysroot() -> Result<PathBuf> {
    let mut ask = Command::new("rustc");
    ask.args(["--print", "sysroot"]).current_dir(repo::root());
    Ok(PathBuf::from(process::capture(&mut ask)?.trim()))
}

/// The sources come with the toolchain, as a component.
fn have_std_sources(sysroot: &Path) -> Result<()> {
    if sysroot
        .join("lib/rustlib/src/rust/library/std/Cargo.toml")
        .exists()
    {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["component", "add", "rust-src"])
        .current_dir(repo::root());
    process::stream(&mut add)
}

/// What links for `target`: as cargo would be told, or this machine's C compiler.
fn linker_of(target: &str) -> OsString {
    let name = target.to_uppercase().replace('-', "_");
    std::env::var_os(format!("CARGO_TARGET_{name}_LINKER")).unwrap_or_else(|| "cc".into())
}

fn linker_is(program: &Path) -> OsString {
    let mut word = OsString::from("linker=");
    word.push(program);
    word
}

/// Where rustc has called this program as its linker: links, with fewer symbols let out. The linker then drops what only those needed.
pub(crate) fn as_linker() -> Option<ExitCode> {
    let linker = std::env::var_os(LINK_WITH)?;
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut lists = words.iter().filter_map(|word| {
        let (_, list) = word.to_str()?.split_once("--version-script=")?;
        Some(list.to_owned())
    });
    let ended = lists
        .try_for_each(|list| fs::write(&list, without_needless(&fs::read_to_string(&list)?)))
        .and_then(|()| Command::new(&linker).args(&words).status());
    match ended {
        Ok(status) if status.success() => Some(ExitCode::SUCCESS),
        Ok(_) => Some(ExitCode::FAILURE),
        Err(error) => {
            eprintln!("error: {}: {error}", linker.display());
            Some(ExitCode::FAILURE)
        }
    }
}

/// A version script as rustc writes it, one symbol a line, without those that nobody calls.
fn without_needless(list: &str) -> String {
    list.lines()
        .filter(|line| !is_needless(line.trim().trim_end_matches(';')))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Refuses a library that lets test hooks out, or lacks a function that the generated Kotlin binds.
pub(crate) fn check(library: &Path) -> Result<()> {
    let mut ask = Command::new("nm");
    ask.args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library);
    let said = process::capture(&mut ask)?;
    let symbols: BTreeSet<&str> = said.lines().map(str::trim).collect();
    judge(&symbols, &generated_kotlin())
}

fn judge(symbols: &BTreeSet<&str>, kotlin: &str) -> Result<()> {
    if let Some(hook) = symbols.iter().find(|symbol| is_test_hook(symbol)) {
        return Err(format!("the library lets a test hook out: {hook}").into());
    }
    if !symbols
        .iter()
        .any(|symbol| symbol.starts_with("uniffi_postern_fn_"))
    {
        return Err("the library lets none of its functions out".into());
    }
    let missing = natives(kotlin).find(|name| !is_test_hook(name) && !symbols.contains(name));
    missing.map_or(Ok(()), |name| {
        Err(format!("the generated Kotlin binds {name}, which the library does not let out").into())
    })
}

/// `bindings/src/testing.rs`, behind the feature `test-hooks`.
fn is_test_hook(symbol: &str) -> bool {
    symbol.contains("_func_testing_")
}

/// What `cargo xtask bindings` made last, where it was called.
fn generated_kotlin() -> String {
    let place = "bindings/kotlin/target/generated-sources/uniffi/dev/postern/sdk/ffi/postern.kt";
    fs::read_to_string(repo::root().join(place)).unwrap_or_default()
}

/// The native functions that generated Kotlin binds.
fn natives(kotlin: &str) -> impl Iterator<Item = &str> {
    kotlin
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("external fun "))
        .filter_map(|declared| declared.split('(').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KOTLIN: &str = "internal object UniffiLib {\n    external fun uniffi_postern_fn_method_login_state(`ptr`: Long,\n    ): RustBuffer.ByValue\n    external fun uniffi_postern_fn_func_testing_panic(\n    ): Unit\n}\n";

    #[test]
    fn a_shipped_library_lets_functions_out_and_no_description_of_them() {
        let list = "{\n  global:\n    UNIFFI_META_POSTERN_RECORD_STOP;\n    uniffi_postern_checksum_method_login_state;\n    uniffi_postern_fn_method_login_state;\n    ffi_postern_rust_future_poll_f32;\n    ffi_postern_rust_future_poll_void;\n\n  local:\n    *;\n};";
        assert_eq!(
            without_needless(list),
            "{\n  global:\n    uniffi_postern_fn_method_login_state;\n    ffi_postern_rust_future_poll_void;\n\n  local:\n    *;\n};\n"
        );
    }

    #[test]
    fn a_library_with_a_test_hook_is_refused() {
        let good = BTreeSet::from(["uniffi_postern_fn_method_login_state"]);
        assert!(judge(&good, KOTLIN).is_ok());
        let bad = BTreeSet::from([
            "uniffi_postern_fn_method_login_state",
            "uniffi_postern_fn_func_testing_panic",
        ]);
        let said = judge(&bad, "").map_err(|error| error.to_string());
        assert_eq!(
            said,
            Err("the library lets a test hook out: uniffi_postern_fn_func_testing_panic".into())
        );
    }

    #[test]
    fn a_library_that_lacks_what_kotlin_binds_is_refused() {
        let lacking = BTreeSet::from(["uniffi_postern_fn_method_login_close"]);
        assert!(judge(&lacking, KOTLIN).is_err());
        assert!(judge(&BTreeSet::new(), "").is_err());
    }

    #[test]
    fn relocations_are_packed_as_the_oldest_loader_reads_them() {
        assert!(link_words("aarch64-linux-android").contains(&"--pack-dyn-relocs=android"));
        assert!(link_words("x86_64-unknown-linux-gnu").contains(&"--pack-dyn-relocs=relr"));
    }
}
