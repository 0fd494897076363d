//! A login played with the real SDK for somebody who looks on: `cargo xtask demo`.
//!
//! Both servers run as processes on free ports; the SDK talks to them as an app would. Nothing is played by anything but the parts that ship, except the
//! person and the world outside.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod serve;
mod voice;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use postern_tests::{Player, Result, Scenario, Trouble, VaultKind, World};
use tokio::signal::unix::{SignalKind, signal};

use crate::voice::Voice;
use crate::wire::Watched;

/// What is played when nothing is chosen: it has every kind of step.
const DEFAULT: &str = "new_signed_customer_by_login_password";
/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "cargo xtask demo", about = "Plays a login with the real SDK.")]
struct Arguments {
    /// A scenario of contract/scenarios.json, or `all`
    #[arg(long, value_name = "NAME")]
    script: Option<String>,
    /// Name the scenarios and end
    #[arg(long)]
    list: bool,
    /// Keep both servers running for experiments of your own (plays nothing unless a script is named)
    #[arg(long)]
    serve: bool,
    /// Keep secrets in the desktop's keyring instead of an encrypted file; its entries stay there
    #[arg(long)]
    keyring: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        // Whatever ends first: dropping the demo's future drops the world, which ends both servers.
        tokio::select! {
            done = demo(&arguments) => done,
            () = told_to_stop() => {
                eprintln!("\nstopped");
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    });
    done.unwrap_or_else(|trouble| {
        eprintln!("error: {trouble}");
        ExitCode::FAILURE
    })
}

async fn told_to_stop() {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn demo(arguments: &Arguments) -> Result<ExitCode> {
    let all = Scenario::all()?;
    if arguments.list {
        for scenario in &all {
            println!(
                "{:<44} {}",
                scenario.name,
                scenario.title.get("en").map_or("", String::as_str)
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scripts = chosen(arguments, all)?;
    let voice = Arc::new(Voice::new());
    let world = World::start().await?;
    voice.world(&world)?;
    let good = play(arguments, &world, &voice, &scripts).await?;
    if arguments.serve {
        serve::explain(&world, &voice);
        std::future::pending::<()>().await;
    }
    println!("{good} of {} scenarios ended as described", scripts.len());
    Ok(if good == scripts.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(arguments: &Arguments, all: Vec<Scenario>) -> Result<Vec<Scenario>> {
    let name = match (&arguments.script, arguments.serve) {
        (Some(name), _) => name.as_str(),
        (None, true) => return Ok(Vec::new()),
        (None, false) => DEFAULT,
    };
    if name == "all" {
        return Ok(all);
    }
    let found: Vec<Scenario> = all.into_iter().filter(|one| one.name == name).collect();
    if found.is_empty() {
        return Err(Trouble::Unexpected(format!(
            "there is no scenario {name}; --list names them"
        )));
    }
    Ok(found)
}

/// How many of them ended as described.
async fn play(
    arguments: &Arguments,
    world: &World,
    voice: &Arc<Voice>,
    scripts: &[Scenario],
) -> Result<usize> {
    let watching = Arc::clone(voice);
    let vault = if arguments.keyring {
        VaultKind::Keyring
    } else {
        VaultKind::File
    };
    let player = Player::new(world.env())?
        .vault(vault)
        .wrap_transport(Arc::new(move |own| {
            Arc::new(Watched::new(own, Arc::clone(&watching)))
        }));
    let mut good = 0;
    for scenario in scripts {
        let end = player.play(scenario, voice.as_ref()).await;
        voice.ended(scenario, end.as_ref().err());
        good += usize::from(end.is_ok());
    }
    Ok(good)
}
