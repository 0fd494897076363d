//! Starts a PostgreSQL server of its own for other suites: says its address, and stays until its standard input closes.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

use std::io::Read as _;
use std::process::ExitCode;

use postern_tests::postgres::Cluster;

fn main() -> ExitCode {
    match Cluster::start() {
        Ok(cluster) => {
            println!("{}", cluster.url());
            // Reads until whoever started us closes the pipe or dies.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("postern-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}
