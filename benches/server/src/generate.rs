//! Accounts, written by the server's own code: `identity::complete`, as the last step of a login calls it, many to a transaction. So keys, blind indexes, sealed
//! numbers, history and versions are what the server itself would have written. Two things differ: all accounts share one password hash (an argon2id each would take
//! 40 ms), and the outbox is emptied, as it is once business lines have been told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use postern_account_center::config::material::KeyMaterial;
use postern_account_center::config::{Config, Overrides};
use postern_account_center::context::{Context, SystemRandomness};
use postern_account_center::hashing::Hashing;
use postern_account_center::identity::{self, Joining, KnownIdentity};
use postern_account_center::keys::Keys;
use postern_account_center::login::decision::Completion;
use postern_account_center::phone_number::PhoneNumber;
use postern_account_center::providers::Profile;
use postern_account_center::store::{Addresses, Database, Store, StoreError};
use rusqlite::types::ValueRef;

use crate::postgres::Postgres;
use crate::{Result, people};

/// Accounts in one transaction at least, and at most: a tenth of them in between. Each transaction writes the pages of the indexes by subject, open id and number anew
/// that it touches, and it touches most of them.
const BATCH: (u64, u64) = (2000, 1_000_000);
/// For SQLite, while accounts are made: 2 GiB of pages in memory.
const CACHE: &str = "PRAGMA cache_size = -2097152";

/// The settings as the server itself reads them.
pub(crate) fn config(settings: &str, data_dir: &Path) -> Result<Config> {
    let overrides = Overrides {
        data_dir: Some(data_dir.to_owned()),
        ..Overrides::default()
    };
    Ok(Config::read(Some(settings), &BTreeMap::new(), &overrides)?)
}

/// Adds the accounts of people `from` to `to` to the database of the settings.
pub(crate) async fn accounts(config: &Config, from: u64, to: u64) -> Result<()> {
    std::fs::create_dir_all(&config.data_dir)?;
    let context = Context::system();
    let material = KeyMaterial::load(config, &context)?;
    let keys = Arc::new(Keys::derive(&material.server_secret));
    let hashing = Hashing::new(1, 1, &SystemRandomness);
    let password = hashing
        .hash("correct horse 4".to_owned().into(), &SystemRandomness)
        .await
        .map_err(|problem| problem.to_string())?;
    let password: Arc<str> = password.into();
    let store = Store::open(&config.database.0).await?;
    let batch = (to.saturating_sub(from) / 10).clamp(BATCH.0, BATCH.1);
    let mut begin = from;
    while begin < to {
        let end = to.min(begin + batch);
        let (keys, context, password) = (Arc::clone(&keys), context.clone(), Arc::clone(&password));
        store
            .write(move |tx| {
                let (keys, context, password) =
                    (Arc::clone(&keys), context.clone(), Arc::clone(&password));
                Box::pin(async move {
                    sqlx::query(CACHE).execute(&mut *tx).await?;
                    for person in begin..end {
                        let phone = PhoneNumber::parse(&people::phone(person))
                            .map_err(|_| StoreError::Corrupt("a made-up number"))?;
                        let joining = Joining {
                            phone: Some(&phone),
                            password_hash: Some(&password),
                            login_ref: "",
                        };
                        let completion = Completion::Create { customer: None };
                        identity::complete(
                            tx,
                            &keys,
                            &context,
                            &identity_of(person),
                            &completion,
                            joining,
                        )
                        .await?;
                    }
                    sqlx::query("DELETE FROM outbox").execute(tx).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        begin = end;
    }
    store.close().await;
    Ok(())
}

/// What accounts are made of, parents first.
const TABLES: [&str; 6] = [
    "accounts",
    "phones",
    "login_passwords",
    "bindings",
    "open_ids",
    "binding_history",
];

/// Copies the accounts of an SQLite file, row for row, to the PostgreSQL database of this name, whose schema the store makes.
pub(crate) async fn copy(from: &Path, postgres: &Postgres, name: &str) -> Result<()> {
    let url = postgres.database(name)?;
    Store::open(&Database::Postgres(
        Addresses::parse(&url).ok_or("not PostgreSQL's address")?,
    ))
    .await?
    .close()
    .await;
    let sqlite = rusqlite::Connection::open(from)?;
    for table in TABLES {
        let mut statement = sqlite.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_names().join(", ");
        let count = statement.column_count();
        let mut rows = statement.query([])?;
        postgres.copy(name, &format!("{table} ({columns})"), |out| {
            while let Some(row) = rows.next()? {
                for index in 0..count {
                    if index > 0 {
                        out.write_all(b"\t")?;
                    }
                    match row.get_ref(index)? {
                        ValueRef::Null => out.write_all(b"\\N")?,
                        ValueRef::Integer(value) => write!(out, "{value}")?,
                        ValueRef::Text(text)
                            if text.iter().all(|byte| *byte >= b' ' && *byte != b'\\') =>
                        {
                            out.write_all(text)?;
                        }
                        _ => return Err(format!("{table} has a value that is not expected").into()),
                    }
                }
                out.write_all(b"\n")?;
            }
            Ok(())
        })?;
    }
    postgres.sql(name, "VACUUM ANALYZE")?;
    postgres.sql(name, "CHECKPOINT")?;
    Ok(())
}

fn identity_of(person: u64) -> KnownIdentity {
    KnownIdentity {
        provider: "wechat".to_owned(),
        platform: people::PLATFORM.to_owned(),
        app_id: people::PROVIDER_APP.to_owned(),
        open_id: people::open_id(person),
        subject: people::union_id(person),
        aliases: Vec::new(),
        profile: Profile {
            nickname: Some(format!("Person {person}")),
            avatar_url: Some("https://thirdwx.example/mmopen/0/132".to_owned()),
        },
    }
}
