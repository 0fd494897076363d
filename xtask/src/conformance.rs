//! `cargo xtask conformance`: holds any account center against the contract.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use crate::Result;
use crate::programs::cargo;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Handed on: --url URL, --app-id APP, --root-key KEY, --simulator READY-FILE, --only PART, --list
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `cargo xtask conformance`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut suite = cargo(&["run", "--quiet", "--package", "postern-conformance", "--"]);
    let error = suite.args(&options.words).exec();
    Err(format!("cargo: {error}").into())
}
