//! Build, package, test and verify: all automation of this repository, called as `cargo xtask …`.
//!
//! Only the standard library, clap and serde: it has to compile in seconds on a fresh machine.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod api;
mod apt;
mod audit;
mod bench;
mod bindings;
mod conformance;
mod count;
mod demo;
mod mobile;
mod postgres;
mod process;
mod programs;
mod repo;
mod report;
mod setup;
mod size;
mod swift;
mod test;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What every command returns; the message is for the person at the terminal.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Build, package, test and verify Postern."
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need (Debian, as root or with sudo); elsewhere say what is missing.
    Setup(setup::Options),
    /// Run every suite; the last line says `N passed, N failed`.
    Test(test::Options),
    /// Kill the account center at random moments under load, and look what is lost: nothing should be.
    KillTest(test::KillOptions),
    /// Play a login with the real SDK for somebody who looks on.
    Demo(demo::Options),
    /// Hold any account center against the contract, over HTTP: --url URL.
    Conformance(conformance::Options),
    /// Measure the library that ships inside an app, against its budget.
    Size(size::Options),
    /// Measure the account center under load, beside Keycloak.
    Bench(bench::Options),
    /// Check licences, known vulnerabilities and unwanted crates (installs cargo-deny).
    Audit,
    /// Build the library and generate its Kotlin and Swift.
    Bindings(bindings::Options),
    /// Compare the public Kotlin and Swift API with bindings/api.
    Api(api::Options),
    /// Run a command where Swift is: `cargo xtask swift -- swift build`.
    Swift(swift::Options),
}

fn main() -> ExitCode {
    if let Some(linked) = mobile::as_linker() {
        return linked;
    }
    let done = match Arguments::parse().command {
        Task::Setup(options) => setup::run(&options),
        Task::Test(options) => test::run(&options),
        Task::KillTest(options) => test::kill(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Conformance(options) => conformance::run(&options),
        Task::Size(options) => size::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Audit => audit::run(),
        Task::Bindings(options) => bindings::run(&options),
        Task::Api(options) => api::run(&options),
        Task::Swift(options) => swift::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
