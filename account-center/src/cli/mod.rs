//! The command line: `serve`, `migrate`, `backup`, `restore`, `import-users`, `admin`, `audit`, `check-config`, `make-keys`, `sign-keys`, `openapi`.

mod admin;
mod database;
mod import;
mod keys;
mod outbox;
mod serve;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::material::KeyMaterial;
use crate::config::{Config, Overrides};
use crate::context::Context;

/// Postern's account center: identities, bindings, logins and sessions of a bank's customers.
#[derive(Debug, Parser)]
#[command(name = "postern-account-center", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve. Without --config: a development set-up on loopback that needs nothing else.
    Serve(ServeArguments),
    /// Bring the database's schema up to date. In production this is done before a new release starts; the release before goes on working beside it.
    Migrate {
        #[command(flatten)]
        database: database::DatabaseArguments,
        /// Change nothing; fail where something is to be done.
        #[arg(long)]
        check: bool,
    },
    /// Write everything in the database to a file, from one consistent picture, while the server goes on. `restore` takes it into either kind of database.
    Backup {
        #[command(flatten)]
        database: database::DatabaseArguments,
        /// The file to write; there may be none yet.
        #[arg(long)]
        to: PathBuf,
    },
    /// Bring a backup into an empty database, all of it or nothing. No server may use that database meanwhile.
    Restore {
        #[command(flatten)]
        database: database::DatabaseArguments,
        /// The backup.
        #[arg(long)]
        from: PathBuf,
        /// Only read the backup: whether it is whole, of this server secret, and what it has.
        #[arg(long)]
        check: bool,
    },
    /// Bring in existing users from a CSV file with a line of names: `phone` (E.164), `customer_ref`, `nickname`, `password_hash` (argon2id), `registered_at` (seconds). The whole
    /// file is checked first; who has an account already is passed over; interrupted, the same command goes on where it was.
    ImportUsers {
        #[command(flatten)]
        database: database::DatabaseArguments,
        /// The file.
        file: PathBuf,
        /// Write nothing: check the file, and say who has an account already.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say what is wrong with the settings, all of it, and what to write instead.
    CheckConfig {
        /// The settings (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Make the keys of one production account center: server secret, signing key, sealing key and its public half.
    MakeKeys {
        /// The folder to put them in. Keys that are there already are left alone, and said.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign the list of sealing keys, on the offline machine that has the root key. Prints the root's public key for the apps.
    SignKeys(keys::SignArguments),
    /// Operators of the admin API: make, list, reset, shut out. Works on the database, also beside a running server.
    Admin(admin::AdminArguments),
    /// The audit log: check that it is whole.
    Audit(admin::AuditArguments),
    /// What business lines have not taken: list it, send it again, give it up. Works on the database, also beside a running server.
    Outbox(outbox::OutboxArguments),
    /// Write the OpenAPI document.
    Openapi {
        /// The file to write it to; without it, standard output.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// The settings (TOML). Environment variables `POSTERN_SECTION__KEY` lie over them.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the server's own data is.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long)]
    listen: Option<String>,
    /// The address that clients use.
    #[arg(long)]
    public_url: Option<String>,
    /// Write address, root key and app ids here as JSON, once requests are taken.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

/// A command failed; the text says why and what to do.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command line. `output` is standard output.
pub async fn run(cli: Cli, output: &mut (dyn Write + Send)) -> ExitCode {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let result = match cli.command {
        Command::Serve(arguments) => serve::serve(arguments, &environment).await,
        Command::Migrate { database, check } => match database.settings(&environment) {
            Ok(config) => database::migrate(&config, check, output).await,
            Err(failure) => Err(failure),
        },
        Command::Backup { database, to } => match database.settings(&environment) {
            Ok(config) => database::back_up(&config, &to, &Context::system(), output).await,
            Err(failure) => Err(failure),
        },
        Command::Restore {
            database,
            from,
            check,
        } => match database.settings(&environment) {
            Ok(config) => {
                database::restore(&config, &from, check, &Context::system(), output).await
            }
            Err(failure) => Err(failure),
        },
        Command::ImportUsers {
            database,
            file,
            dry_run,
        } => match database.settings(&environment) {
            Ok(config) => {
                import::import_users(&config, &file, dry_run, &Context::system(), output).await
            }
            Err(failure) => Err(failure),
        },
        Command::CheckConfig { config } => check(&config, &environment, output),
        Command::MakeKeys { out } => keys::make_keys(&out, &Context::system(), output),
        Command::SignKeys(arguments) => keys::sign_keys(&arguments, &Context::system(), output),
        Command::Admin(arguments) => admin::admin(arguments, &environment, output).await,
        Command::Audit(arguments) => admin::audit(arguments, &environment, output).await,
        Command::Outbox(arguments) => {
            outbox::outbox(arguments, &environment, &Context::system(), output).await
        }
        Command::Openapi { output: file } => openapi(file.as_deref(), output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing can be done where even standard error is closed.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn settings(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Result<Config, Failure> {
    let text =
        match file {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                format!("the settings {} cannot be read: {error}", path.display())
            })?),
        };
    Ok(Config::read(text.as_deref(), environment, overrides)?)
}

/// Settings, then the keys they name, then the key list: as far as one can see without starting.
fn check(
    file: &Path,
    environment: &BTreeMap<String, String>,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let config = settings(Some(file), environment, &Overrides::default())?;
    if config.keys.is_some() {
        let context = Context::system();
        let material = KeyMaterial::load(&config, &context)?;
        if let Some(public_url) = &config.public_url {
            material.key_list(public_url.as_str(), &context)?;
        }
    }
    writeln!(output, "{} is good.", file.display())?;
    Ok(())
}

fn openapi(file: Option<&Path>, output: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let document = crate::http::openapi::document();
    match file {
        Some(path) => std::fs::write(path, document)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?,
        None => output.write_all(document.as_bytes())?,
    }
    Ok(())
}
