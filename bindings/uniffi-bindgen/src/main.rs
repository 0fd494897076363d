//! Generates the foreign code: Kotlin into `bindings/kotlin/target/generated-sources/uniffi`, Swift into `bindings/swift/Sources`.
//!
//! uniffi's generator as a program of this workspace, so that its version is the one in the lock file. It reads `bindings/uniffi.toml`, and afterwards
//! makes every declaration of the Kotlin file internal: apps see the facade only.
#![allow(clippy::print_stderr)]

mod internal;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use uniffi::{GenerateOptions, TargetLanguage};

#[derive(Parser)]
#[command(about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate foreign code from a built, unstripped library
    Generate(Generate),
}

#[derive(clap::Args)]
struct Generate {
    /// The library: `target/debug/libpostern.so`
    #[arg(long = "library", value_name = "LIBRARY")]
    library: PathBuf,
    /// Which languages; both when left out
    #[arg(long)]
    language: Vec<Language>,
    /// One folder for all that is generated, instead of the packages' own places
    #[arg(long)]
    out_dir: Option<PathBuf>,
    /// Accepted for the sake of uniffi's own command line; nothing is ever formatted
    #[arg(long)]
    no_format: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Kotlin,
    Swift,
}

/// Swift wants the C module apart from the Swift one.
const SWIFT_C_MODULE: &str = "postern_ffiFFI";
const SWIFT_MODULE: &str = "PosternFFI";

fn main() -> ExitCode {
    let Command::Generate(options) = CommandLine::parse().command;
    match generate(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uniffi-bindgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(options: &Generate) -> Result<(), Box<dyn Error>> {
    let bindings = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("this crate has no parent folder")?;
    let wanted = |language| options.language.is_empty() || options.language.contains(&language);
    if wanted(Language::Kotlin) {
        let place = options
            .out_dir
            .clone()
            .unwrap_or_else(|| bindings.join("kotlin/target/generated-sources/uniffi"));
        run(bindings, options, TargetLanguage::Kotlin, &place)?;
        let checksums = internal::in_folder(&place)?;
        // For `ChecksumTest` of the Kotlin suite.
        fs::write(place.join("api-checksums.txt"), checksums)?;
    }
    if wanted(Language::Swift) {
        let sources = bindings.join("swift/Sources");
        let place = options
            .out_dir
            .clone()
            .unwrap_or_else(|| sources.join(SWIFT_MODULE));
        run(bindings, options, TargetLanguage::Swift, &place)?;
        if options.out_dir.is_none() {
            let c_module = sources.join(SWIFT_C_MODULE);
            fs::create_dir_all(&c_module)?;
            let header = format!("{SWIFT_C_MODULE}.h");
            fs::rename(place.join(&header), c_module.join(&header))?;
            fs::rename(
                place.join(format!("{SWIFT_C_MODULE}.modulemap")),
                c_module.join("module.modulemap"),
            )?;
        }
    }
    Ok(())
}

fn run(
    bindings: &Path,
    options: &Generate,
    language: TargetLanguage,
    place: &Path,
) -> Result<(), Box<dyn Error>> {
    let text = |path: &Path| {
        path.to_str()
            .map(ToOwned::to_owned)
            .ok_or_else(|| format!("{} is not UTF-8", path.display()))
    };
    fs::create_dir_all(place)?;
    uniffi::generate(GenerateOptions {
        languages: vec![language],
        source: text(&options.library)?.into(),
        out_dir: text(place)?.into(),
        config_override: Some(text(&bindings.join("uniffi-bindgen/crate-roots.toml"))?.into()),
        ..GenerateOptions::default()
    })
    .map_err(|error| format!("{error:?}").into())
}
