//! The account center's command line: see `postern_account_center::cli`.

use std::process::ExitCode;

use clap::Parser as _;
use postern_account_center::cli::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads and timers are there at start");
    runtime.block_on(run(cli, &mut std::io::stdout()))
}
