//! One SQLite file: one writing connection (`writer.rs`), a few reading ones.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Executor as _};

use super::{StoreError, quiet};

/// The connection that writes, the pool that reads, and the address of both.
pub(super) struct Opened {
    pub(super) writing: AnyConnection,
    pub(super) reading: AnyPool,
    pub(super) url: String,
}

/// Makes the file if it is missing, for its owner alone.
pub(super) fn touch(path: &Path) -> Result<(), StoreError> {
    // Before SQLite makes it readable for everybody; its journal gets the same permissions.
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| StoreError::Unavailable(error.into()))
}

/// Opens the file's connections.
pub(super) async fn open(path: &Path) -> Result<Opened, StoreError> {
    let url = url_of(path)?;
    touch(path)?;
    let writing = open_writing(&url).await?;
    let readers = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, 8);
    let reading = AnyPoolOptions::new()
        .max_connections(u32::try_from(readers).unwrap_or(2))
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|connection, _| {
            Box::pin(async move {
                for pragma in [
                    "PRAGMA busy_timeout = 5000",
                    "PRAGMA foreign_keys = ON",
                    "PRAGMA query_only = ON",
                ] {
                    connection.execute(pragma).await?;
                }
                Ok(())
            })
        })
        .connect_with(quiet(AnyConnectOptions::from_str(&url)?))
        .await?;
    Ok(Opened {
        writing,
        reading,
        url,
    })
}

/// SQLite's one writing connection: durable at each COMMIT, with foreign keys.
pub(super) async fn open_writing(url: &str) -> Result<AnyConnection, sqlx::Error> {
    let mut writing = quiet(AnyConnectOptions::from_str(&format!("{url}?mode=rwc"))?)
        .connect()
        .await?;
    for pragma in [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        writing.execute(pragma).await?;
    }
    Ok(writing)
}

pub(super) fn url_of(path: &Path) -> Result<String, StoreError> {
    let path = path.to_str().ok_or(StoreError::Path)?;
    let mut encoded = String::from("sqlite://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    Ok(encoded)
}
