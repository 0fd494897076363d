//! `admin` and `audit`: what has to work before there is an operator, and beside a running server. They use the database of the settings directly.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{Failure, settings};
use crate::admin::audit::{self, COMMAND_LINE, Head};
use crate::admin::{Admins, OperatorChange, Parts, Role};
use crate::config::material::KeyMaterial;
use crate::config::{Config, Mode, Overrides};
use crate::context::Context;
use crate::hashing::Hashing;
use crate::keys::Keys;
use crate::problem::Problem;
use crate::store::Store;

/// Whose database and server secret.
#[derive(Debug, Args)]
struct Where {
    /// The settings (TOML). Without them: the development set-up.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Where the server's own data is.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
}

/// `admin …`
#[derive(Debug, Args)]
pub(super) struct AdminArguments {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    action: AdminAction,
}

#[derive(Debug, Subcommand)]
enum AdminAction {
    /// Make an operator, and print the secret with which they set their password, within 24 hours.
    Create {
        /// 2 to 64 of: small letters, digits, point, hyphen, underscore.
        name: String,
        /// viewer, operator, appeals or admin.
        #[arg(long, default_value = "admin", value_parser = role)]
        role: Role,
    },
    /// Give an operator a new set-up secret: their password, second factor and sessions are over.
    Reset {
        /// The operator.
        name: String,
    },
    /// Shut an operator out at once.
    Disable {
        /// The operator.
        name: String,
    },
    /// All operators.
    List,
}

/// `audit …`
#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    action: AuditAction,
}

#[derive(Debug, Subcommand)]
enum AuditAction {
    /// Check every entry against the one before it, and print the newest entry's number and hash: note them, and give them to a later check.
    Verify {
        /// NUMBER:HASH of an earlier check or from the server's log: the log must still have it.
        #[arg(long, value_parser = head)]
        expect: Option<Head>,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "one of: viewer, operator, appeals, admin".to_owned())
}

fn head(text: &str) -> Result<Head, String> {
    let (seq, hash) = text
        .split_once(':')
        .ok_or_else(|| "NUMBER:HASH, as verify prints them".to_owned())?;
    Ok(Head {
        seq: seq
            .parse()
            .map_err(|_| "NUMBER:HASH, as verify prints them".to_owned())?,
        hash: hash.to_owned(),
    })
}

/// The database, and the keys of this installation.
async fn open(
    place: Where,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Store, Arc<Keys>, Context), Failure> {
    let overrides = Overrides {
        data_dir: place.data_dir,
        ..Overrides::default()
    };
    let config = settings(place.config.as_deref(), environment, &overrides)?;
    let context = Context::system();
    let material = KeyMaterial::load(&config, &context)?;
    let keys = Arc::new(Keys::derive(&material.server_secret));
    let store = Store::open_with(&config.database.0, &config.database.1).await?;
    Ok((config, store, keys, context))
}

/// Runs `admin …`.
pub(super) async fn admin(
    arguments: AdminArguments,
    environment: &BTreeMap<String, String>,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let (config, store, keys, context) = open(arguments.place, environment).await?;
    let hashing = Hashing::new(1, 0, context.randomness());
    let admins = Admins::new(Parts {
        store: store.clone(),
        keys,
        context,
        hashing,
        second_factor: config.admin.second_factor,
    });
    let done = run(&admins, &store, arguments.action, config.mode, output).await;
    store.close().await;
    done
}

async fn run(
    admins: &Admins,
    store: &Store,
    action: AdminAction,
    mode: Mode,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let (name, secret) = match action {
        AdminAction::List => {
            for operator in admins.list().await? {
                let state = match (operator.disabled, operator.set_up) {
                    (true, _) => "shut out",
                    (false, true) => "set up",
                    (false, false) => "not set up yet",
                };
                writeln!(output, "{}  {}  {state}", operator.name, operator.role)?;
            }
            return Ok(());
        }
        AdminAction::Disable { name } => {
            let (all, target) = (admins.list().await?, name.clone());
            let role = all
                .iter()
                .find(|operator| operator.name == target)
                .and_then(|operator| Role::parse(&operator.role))
                .ok_or("there is no operator of this name")?;
            let shared = Arc::new((admins.clone(), target));
            store
                .write(move |tx| {
                    let shared = Arc::clone(&shared);
                    Box::pin(async move {
                        let (admins, name) = &*shared;
                        let wanted = OperatorChange {
                            role,
                            disabled: true,
                        };
                        let (_, change) = admins.change(tx, name, None, wanted).await?;
                        admins.audit(tx, COMMAND_LINE, "", &change).await
                    })
                })
                .await
                .map_err(told)?;
            writeln!(output, "{name} is shut out.")?;
            return Ok(());
        }
        AdminAction::Create { name, role } => {
            let shared = Arc::new((admins.clone(), name.clone()));
            let secret = store
                .write(move |tx| {
                    let shared = Arc::clone(&shared);
                    Box::pin(async move {
                        let (admins, name) = &*shared;
                        let (secret, _, change) = admins.create(tx, name, role).await?;
                        admins.audit(tx, COMMAND_LINE, "", &change).await?;
                        Ok::<_, Problem>(secret)
                    })
                })
                .await
                .map_err(told)?;
            (name, secret)
        }
        AdminAction::Reset { name } => {
            let shared = Arc::new((admins.clone(), name.clone()));
            let secret = store
                .write(move |tx| {
                    let shared = Arc::clone(&shared);
                    Box::pin(async move {
                        let (admins, name) = &*shared;
                        let (secret, _, change) = admins.reset(tx, name, None).await?;
                        admins.audit(tx, COMMAND_LINE, "", &change).await?;
                        Ok::<_, Problem>(secret)
                    })
                })
                .await
                .map_err(told)?;
            (name, secret)
        }
    };
    writeln!(output, "{}", secret.expose())?;
    let factor = match mode {
        Mode::Production => "; the reply has the secret for the authenticator app",
        Mode::Development => "",
    };
    // Beside the secret, so that a script may take standard output as it is.
    writeln!(
        std::io::stderr(),
        "Hand this secret to {name}. Within 24 hours: POST /v1/admin/set-up {{\"name\":\"{name}\",\"setup_secret\":\"…\",\"password\":\"…\"}} on the admin listener{factor}."
    )?;
    Ok(())
}

/// Runs `audit …`.
pub(super) async fn audit(
    arguments: AuditArguments,
    environment: &BTreeMap<String, String>,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let (_, store, keys, _) = open(arguments.place, environment).await?;
    let AuditAction::Verify { expect } = arguments.action;
    let verified = audit::verify(&store, &keys, expect.as_ref()).await;
    store.close().await;
    let head = verified?;
    writeln!(output, "{}:{}", head.seq, head.hash)?;
    Ok(())
}

/// For a person at a terminal.
fn told(problem: Problem) -> Failure {
    match problem.detail.as_deref() {
        Some(detail) => detail.to_owned().into(),
        None => Box::new(problem),
    }
}
