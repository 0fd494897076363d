//! `make-keys` and `sign-keys`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use postern_server_security::base64url;
use postern_server_security::key_list::{KeyList, SealingKey};
use postern_server_security::public_url::PublicUrl;
use postern_server_security::sealing::SUITE;
use ring::rand::SystemRandom;

use super::Failure;
use crate::config::Mode;
use crate::config::key_files::{KeyFile, Kind, make_private_folder};
use crate::config::material::{make, public_half, signing};
use crate::context::Context;

/// Makes what is missing in the folder.
pub(super) fn make_keys(
    folder: &Path,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    make_private_folder(folder)?;
    for kind in [Kind::ServerSecret, Kind::SigningKey, Kind::SealingKey] {
        let path = folder.join(kind.word());
        if path.exists() {
            KeyFile::read(&path, kind, Mode::Production)?;
            writeln!(output, "left alone: {}", path.display())?;
            continue;
        }
        let key = make(kind, Mode::Production, context)?;
        key.write_new(&path)?;
        writeln!(output, "made: {}", path.display())?;
        if kind == Kind::SealingKey {
            let public = folder.join(Kind::SealingKeyPublic.word());
            public_half(&path, &key)?.write_new(&public)?;
            writeln!(
                output,
                "made: {} (take this one to the machine that has the root key)",
                public.display()
            )?;
        }
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct SignArguments {
    /// The root key. With --make-root it is made if the file is not there.
    #[arg(long)]
    root: PathBuf,
    /// Make the root key if there is none.
    #[arg(long)]
    make_root: bool,
    /// The account center's public URL: its name as issuer.
    #[arg(long)]
    issuer: String,
    /// A public sealing key, as make-keys wrote it; the preferred one first. May be given several times.
    #[arg(long = "sealing-key", required = true)]
    sealing_keys: Vec<PathBuf>,
    /// A TLS pin: `sha256/` and the base64 of the key's SHA-256. May be given several times; give a backup pin too.
    #[arg(long = "pin")]
    pins: Vec<String>,
    /// Days for which clients take the list.
    #[arg(long, default_value_t = 90)]
    days: u64,
    /// The list's version; clients never go back. Without it the present time, which grows.
    #[arg(long)]
    version: Option<u64>,
    /// The file to write the signed list to.
    #[arg(long)]
    output: PathBuf,
}

/// Signs a key list.
pub(super) fn sign_keys(
    arguments: &SignArguments,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let issuer =
        PublicUrl::parse(&arguments.issuer).map_err(|error| format!("--issuer: {error}"))?;
    if arguments.make_root && !arguments.root.exists() {
        make(Kind::RootKey, Mode::Production, context)?.write_new(&arguments.root)?;
        writeln!(
            output,
            "made the root key {}: keep it off every machine that is on a network, and keep a copy",
            arguments.root.display()
        )?;
    }
    // A desk's root signs nothing for production.
    let root = signing(
        &arguments.root,
        &KeyFile::read(&arguments.root, Kind::RootKey, Mode::Production)?,
    )?;
    let sealing_keys = arguments
        .sealing_keys
        .iter()
        .map(|path| {
            let key = KeyFile::read(path, Kind::SealingKeyPublic, Mode::Production)?;
            Ok(SealingKey {
                kid: key.name.clone(),
                suite: SUITE.to_owned(),
                public_key: base64url::encode(&*key.bytes),
            })
        })
        .collect::<Result<_, Failure>>()?;
    let now = u64::try_from(context.now().seconds()).unwrap_or(0);
    let list = KeyList {
        issuer: issuer.as_str().to_owned(),
        version: arguments.version.unwrap_or(now),
        issued_at: now,
        expires_at: now.saturating_add(arguments.days.saturating_mul(24 * 3600)),
        sealing_keys,
        tls_pins: arguments.pins.clone(),
    };
    let signed = list
        .sign(&root, &SystemRandom::new())
        .map_err(|error| format!("the list cannot be signed: {error}"))?;
    std::fs::write(&arguments.output, format!("{signed}\n"))
        .map_err(|error| format!("{} cannot be written: {error}", arguments.output.display()))?;
    writeln!(
        output,
        "signed {} (version {}, good for {} days)",
        arguments.output.display(),
        list.version,
        arguments.days
    )?;
    writeln!(
        output,
        "keys.root_key of the account center, and rootKey of the apps: {}",
        base64url::encode(root.public().sec1())
    )?;
    Ok(())
}
