//! `cargo xtask demo`: builds what the demo needs, then becomes the demo.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use crate::programs::cargo;
use crate::{Result, process, repo};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Handed on: --script NAME|all, --list, --serve, --keyring
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `cargo xtask demo`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let packages = [
        "postern-simulator",
        "postern-account-center",
        "postern-demo",
    ];
    println!("building both servers and the demo (the first time takes minutes)");
    let mut build = cargo(&["build", "--bins"]);
    build
        .env_remove("CARGO_TERM_PROGRESS_WHEN")
        .args(packages.iter().flat_map(|package| ["--package", package]));
    process::stream(&mut build)?;
    let folder = repo::target().join("debug");
    // Becoming it leaves Ctrl-C and the exit code to the demo alone.
    let error = Command::new(folder.join("postern-demo"))
        .args(&options.words)
        .env("POSTERN_BIN_DIR", &folder)
        .exec();
    Err(format!("{}: {error}", folder.join("postern-demo").display()).into())
}
