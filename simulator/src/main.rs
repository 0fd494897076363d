//! Plays the outside world over HTTP: providers, SMS inbox, core bank, face service, the network between.

use std::{
    fs,
    io::{self, IsTerminal as _},
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use postern_simulator::{Addresses, Simulator, SimulatorConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Plays WeChat, Weibo, QQ, Alipay, an `OpenID` Connect issuer, the SMS gateway, the bank's core, the face service and the network, for development and tests.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A loopback address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    listen_host: IpAddr,
    /// Control listens here, wechat, sms, core, face, weibo, qq, alipay, oidc and notices on the next nine, gateway ten above.
    #[arg(long, default_value_t = 8610, conflicts_with = "any_port")]
    port_base: u16,
    /// Take free ports.
    #[arg(long)]
    any_port: bool,
    /// Write the addresses here as JSON, once all parties listen.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything listens, so that a signal right after the ready file is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let port_base = (!arguments.any_port).then_some(arguments.port_base);
    let simulator = Simulator::start(SimulatorConfig {
        host: arguments.listen_host,
        port_base,
        ..SimulatorConfig::default()
    })
    .await?;
    let Addresses {
        control,
        wechat,
        sms,
        core,
        face,
        weibo,
        qq,
        alipay,
        oidc,
        notices,
        gateway,
    } = simulator.addresses();
    tracing::info!(
        control,
        wechat,
        sms,
        core,
        face,
        weibo,
        qq,
        alipay,
        oidc,
        notices,
        gateway,
        "the simulated world listens; it is for development only"
    );
    if let Some(file) = &arguments.ready_file {
        write_atomically(file, &serde_json::to_vec_pretty(simulator.addresses())?)
            .map_err(|error| format!("cannot write the ready file {}: {error}", file.display()))?;
    }

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    simulator.stop().await;
    Ok(())
}

/// A reader sees all of the file or none of it.
fn write_atomically(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    fs::write(&temporary, content)?;
    fs::rename(&temporary, file)
}
