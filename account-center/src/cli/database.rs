//! `migrate`, `backup`, `restore`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config::key_files::make_private_folder;
use crate::config::material::KeyMaterial;
use crate::config::{Config, Overrides};
use crate::context::Context;
use crate::keys::{Keys, Purpose};
use crate::store::transfer::{self, Origin};
use crate::store::{Database, Options, Store};

/// Which settings name the database.
#[derive(Debug, Args)]
pub(super) struct DatabaseArguments {
    /// The settings (TOML). Environment variables `POSTERN_SECTION__KEY` lie over them. Without it: the development set-up's database.
    #[arg(long)]
    pub(super) config: Option<PathBuf>,
    /// Where the server's own data is.
    #[arg(long)]
    pub(super) data_dir: Option<PathBuf>,
}

impl DatabaseArguments {
    pub(super) fn settings(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> Result<Config, Failure> {
        let overrides = Overrides {
            data_dir: self.data_dir.clone(),
            ..Overrides::default()
        };
        super::settings(self.config.as_deref(), environment, &overrides)
    }
}

/// Brings the schema up to date, or with `check` says whether it is, and fails where it is not.
pub(super) async fn migrate(
    config: &Config,
    check: bool,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let database = &config.database.0;
    let state = Store::schema_state(database).await?;
    for version in &state.ahead {
        writeln!(
            output,
            "{version:04} is there and not known here: a newer release has migrated. This one goes on working, as migrations only add."
        )?;
    }
    if !state.changed.is_empty() {
        return Err(format!(
            "the migrations {:?} are applied with another text than this program's: this is not a database of this account center, or a released migration was changed",
            state.changed
        )
        .into());
    }
    if state.pending.is_empty() {
        writeln!(output, "The schema is up to date.")?;
        return Ok(());
    }
    if check {
        return Err(format!(
            "The schema lacks: {}. Run `postern-account-center migrate` before this release is started.",
            state.pending.join(", ")
        )
        .into());
    }
    make_folder(database)?;
    let options = Options {
        migrate: true,
        ..config.database.1.clone()
    };
    let store = Store::open_with(database, &options).await?;
    store.close().await;
    for migration in &state.pending {
        writeln!(output, "applied: {migration}")?;
    }
    Ok(())
}

/// Writes a backup. The file is there whole or not at all, for its owner alone, and takes no other file's place.
pub(super) async fn back_up(
    config: &Config,
    to: &Path,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    if to.exists() {
        return Err(format!("{} is there already; it is left alone", to.display()).into());
    }
    let server_secret = secret_name(config, context)?;
    let mut draft = to.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = Draft(PathBuf::from(draft));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft.0)
        .map_err(|error| format!("{}: {error}", draft.0.display()))?;
    let mut writer = BufWriter::new(file);
    let origin = Origin {
        made_at: context.now().seconds(),
        server_secret: &server_secret,
    };
    let rows = transfer::back_up(&config.database.0, origin, &mut writer, |table, rows| {
        tracing::debug!(table, rows, "backed up");
    })
    .await?;
    writer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_all()?;
    // A link, unlike a rename, never takes the place of a file.
    std::fs::hard_link(&draft.0, to).map_err(|error| format!("{}: {error}", to.display()))?;
    say_rows(output, &rows)?;
    writeln!(
        output,
        "made: {}. It has what the database has: sealed phone numbers, password hashes, names. Keep it as you keep the database, and the server secret elsewhere.",
        to.display()
    )?;
    Ok(())
}

/// A file that goes unless it was linked to its place.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // There may be none.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Restores a backup into an empty database of either kind, or with `check` only reads it.
pub(super) async fn restore(
    config: &Config,
    from: &Path,
    check: bool,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let database = &config.database.0;
    let server_secret = secret_name(config, context)?;
    let open = || File::open(from).map(BufReader::new);
    if check {
        let input = open().map_err(|error| format!("{}: {error}", from.display()))?;
        say_rows(output, &transfer::verify(input, &server_secret)?)?;
        writeln!(output, "{} is whole.", from.display())?;
        return Ok(());
    }
    // Before anything is made.
    transfer::verify(
        open().map_err(|error| format!("{}: {error}", from.display()))?,
        &server_secret,
    )?;
    make_folder(database)?;
    let fresh = Store::schema_state(database).await?.is_fresh();
    let options = Options {
        migrate: true,
        ..config.database.1.clone()
    };
    Store::open_with(database, &options).await?.close().await;
    let rows = transfer::restore(database, fresh, &server_secret, open, |table, rows| {
        tracing::debug!(table, rows, "restored");
    })
    .await?;
    say_rows(output, &rows)?;
    writeln!(output, "restored: {}", from.display())?;
    Ok(())
}

fn say_rows(output: &mut (dyn Write + Send), rows: &transfer::Rows) -> Result<(), Failure> {
    for (table, rows) in rows {
        writeln!(output, "{rows:>12} {table}")?;
    }
    Ok(())
}

/// Tells one server secret from another and says nothing about it.
fn secret_name(config: &Config, context: &Context) -> Result<String, Failure> {
    if config.keys.is_none() {
        // A desk's keys are made where they are missing.
        make_private_folder(&config.data_dir)?;
    }
    let material = KeyMaterial::load(config, context)?;
    let keys = Keys::derive(&material.server_secret);
    Ok(keys.name(Purpose::PhoneIndex, &[b"the server secret of a backup"]))
}

/// The folder of an SQLite file that is made now.
fn make_folder(database: &Database) -> Result<(), Failure> {
    if let Database::Sqlite(path) = database
        && let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        make_private_folder(folder)?;
    }
    Ok(())
}
