//! `cargo xtask audit`: licences, known vulnerabilities and unwanted crates, by cargo-deny and `deny.toml`.
//!
//! Apart from `cargo xtask test`, for installing the tool alone takes as long as all tests.

use std::process::{Command, ExitCode};

use crate::programs::cargo;
use crate::{Result, process};

/// `cargo xtask audit`
pub(crate) fn run() -> Result<ExitCode> {
    if process::capture(Command::new("cargo-deny").arg("--version")).is_err() {
        println!("installing cargo-deny (some ten minutes)");
        process::stream(&mut cargo(&["install", "--locked", "cargo-deny"]))?;
    }
    process::stream(&mut cargo(&["deny", "check"]))?;
    Ok(ExitCode::SUCCESS)
}
