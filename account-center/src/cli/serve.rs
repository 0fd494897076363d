//! `serve`: settings, log, banner, ready file, signals.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, ServeArguments, settings};
use crate::app::{App, Facts};
use crate::config::{Config, LogFormat, Mode, Overrides};
use crate::context::Context;

pub(super) async fn serve(
    arguments: ServeArguments,
    environment: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    // Before anything listens, so that a signal right after the ready file is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let overrides = Overrides {
        data_dir: arguments.data_dir,
        listen: arguments.listen,
        public_url: arguments.public_url,
    };
    let config = settings(arguments.config.as_deref(), environment, &overrides)?;
    start_log(&config, environment)?;
    let mode = config.mode;
    let app = App::start(config, Context::system()).await?;
    if mode == Mode::Development {
        banner(app.facts())?;
        if let Some((name, password)) = app.state().admins.first_of_development().await? {
            writeln!(
                io::stderr(),
                "The admin API's first operator, shown this once: name {name}, password {}",
                password.expose()
            )?;
        }
    }
    tracing::info!(
        listen = app.facts().listen,
        public_url = app.facts().public_url,
        data_dir = app.facts().data_dir,
        "the account center listens"
    );
    if let Some(path) = &arguments.ready_file {
        write_whole(path, &serde_json::to_vec_pretty(app.facts())?).map_err(|error| {
            format!(
                "the ready file {} cannot be written: {error}",
                path.display()
            )
        })?;
    }
    app.run(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
    .await?;
    tracing::info!("stopped");
    Ok(())
}

/// Logs go to standard error: people's lines at a desk, JSON in production. `RUST_LOG` counts above the settings.
fn start_log(config: &Config, environment: &BTreeMap<String, String>) -> Result<(), Failure> {
    let filter = environment
        .get("RUST_LOG")
        .filter(|filter| !filter.is_empty())
        .unwrap_or(&config.log_filter);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG is not a filter: {error}"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match config.log_format {
        LogFormat::Human => log
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Says plainly what a development set-up is, whatever the log's filter lets through.
fn banner(facts: &Facts) -> io::Result<()> {
    let Facts {
        listen,
        public_url,
        data_dir,
        app_ids,
        admin_listen,
        ..
    } = facts;
    let admin = admin_listen.as_deref().unwrap_or("nowhere");
    let line = "=".repeat(100);
    writeln!(
        io::stderr(),
        "{line}\n\
        THIS IS A DEVELOPMENT SET-UP. DO NOT LET REAL CUSTOMERS NEAR IT.\n\
        Its keys were made on this machine without any care, the passwords it shows to the services around it are public, and it takes\n\
        the simulator for WeChat, the SMS gateway, the bank's core and the face service (start it with: cargo run -p postern-simulator).\n\
        \n\
        It listens on     {listen}\n\
        clients call it   {public_url}\n\
        operators call    {admin}\n\
        its apps are      {}\n\
        its data is in    {data_dir}  (delete that folder to begin anew)\n\
        \n\
        For production: postern-account-center serve --config FILE. What is missing in FILE, check-config --config FILE says.\n\
        {line}",
        app_ids.join(", ")
    )
}

/// Whoever reads the file sees nothing or all of it.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_os_string();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}
