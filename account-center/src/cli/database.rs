//! `migrate`, `backup`, `restore`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::key_files::make_private_folder;
use crate::config::{Config, Overrides};
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
