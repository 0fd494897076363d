//! Starts a world for the suites of other languages: writes the file that `POSTERN_TEST_ENV` names, says `ready`, and stays until its standard input closes.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use postern_tests::{World, WorldOptions};

#[tokio::main]
async fn main() -> ExitCode {
    let mut env_file = None;
    let mut folder = None;
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--env-file") => env_file = words.next().map(PathBuf::from),
            Some("--folder") => folder = words.next().map(PathBuf::from),
            _ => {
                eprintln!("usage: postern-world --env-file FILE --folder FOLDER");
                return ExitCode::from(2);
            }
        }
    }
    let (Some(env_file), Some(_)) = (env_file, &folder) else {
        eprintln!("usage: postern-world --env-file FILE --folder FOLDER");
        return ExitCode::from(2);
    };
    match stay(env_file, folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern-world: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stay(
    env_file: PathBuf,
    folder: Option<PathBuf>,
) -> Result<(), Box<dyn std::error::Error>> {
    let world = World::start_with(WorldOptions {
        folder,
        ..WorldOptions::default()
    })
    .await?;
    std::fs::write(env_file, serde_json::to_vec_pretty(world.env())?)?;
    println!("ready");
    // Reads until whoever started us closes the pipe or dies.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    drop(world);
    Ok(())
}
