//! `import-users`.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use ring::digest::{Context as Digest, SHA256};

use super::Failure;
use crate::config::Config;
use crate::config::material::KeyMaterial;
use crate::context::Context;
use crate::import::{Fault, Importer, check};
use crate::keys::Keys;
use crate::store::{Options, Store};

/// Faults that are told one by one.
const TOLD: u64 = 1000;

/// Checks the whole file, then brings its people in.
pub(super) async fn import_users(
    config: &Config,
    file: &Path,
    dry: bool,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let open = || {
        File::open(file)
            .map(BufReader::new)
            .map_err(|error| format!("{}: {error}", file.display()))
    };
    let mut said = Ok(());
    let mut told = 0;
    let (lines, faults) = check(open()?, |fault: &Fault| {
        told += 1;
        if told <= TOLD && said.is_ok() {
            said = writeln!(output, "{fault}");
        }
    })?;
    said?;
    if faults > 0 {
        return Err(format!(
            "{faults} of {lines} lines cannot be taken; nothing was brought in. Mend them, or take them out"
        )
        .into());
    }
    let options = Options {
        migrate: false,
        ..config.database.1.clone()
    };
    let importer = Importer {
        store: Store::open_with(&config.database.0, &options).await?,
        keys: Arc::new(Keys::derive(
            &KeyMaterial::load(config, context)?.server_secret,
        )),
        context: context.clone(),
    };
    let bar = ProgressBar::new(lines).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left")
            .map_err(|error| format!("the progress bar: {error}"))?,
    );
    let mut passed = Vec::new();
    let mut passed_count = 0_u64;
    let result = importer
        .run(
            &hash(open()?)?,
            open()?,
            dry,
            |fault| {
                passed_count += 1;
                if passed_count <= TOLD {
                    passed.push(fault.to_string());
                }
            },
            |done| bar.set_position(done),
        )
        .await;
    bar.finish_and_clear();
    importer.store.close().await;
    for line in passed {
        writeln!(output, "{line}")?;
    }
    let done = result.map_err(|error| {
        format!("{error}. What was done is done; the same command goes on from there")
    })?;
    writeln!(
        output,
        "{}{} of {lines} lines: {} accounts made, {} passed over as they have one already.",
        if dry {
            "Dry run, nothing was written. "
        } else {
            ""
        },
        done.lines_done,
        done.imported,
        done.passed_over
    )?;
    Ok(())
}

fn hash(mut input: impl Read) -> Result<String, Failure> {
    let mut digest = Digest::new(&SHA256);
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        digest.update(&bytes[..read]);
    }
    Ok(digest
        .finish()
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}
