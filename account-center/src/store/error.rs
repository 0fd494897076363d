//! What can go wrong in the store, and which of it is worth another attempt.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another transaction was in the way (40001, 40P01, `SQLITE_BUSY`).
    #[error("the transaction collided with another one")]
    Serialization(#[source] sqlx::Error),
    /// A unique constraint: another wrote the same first.
    #[error("the row is there already")]
    Unique(#[source] sqlx::Error),
    /// The group's COMMIT failed: nothing of it was kept.
    #[error("the commit failed: {0}")]
    Commit(std::sync::Arc<sqlx::Error>),
    /// More writes wait than the queue takes.
    #[error("too many writes wait")]
    Overloaded,
    /// The writer is gone: the store was closed, or its connection was lost.
    #[error("the store is closed")]
    Closed,
    /// The lease on an Idempotency-Key went to another request; nothing of this transaction may be kept.
    #[error("another request has taken this work over")]
    LeaseLost,
    /// The work of a transaction panicked; it was undone.
    #[error("the work of a transaction panicked")]
    Panicked,
    /// A stored value is not of the form that this server writes.
    #[error("a stored value does not make sense: {0}")]
    Corrupt(&'static str),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[source] Box<sqlx::migrate::MigrateError>),
    /// The path of the SQLite file is not UTF-8.
    #[error("the path of the database file is not UTF-8")]
    Path,
    /// Anything else the database says.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether running the transaction again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Serialization(_) | Self::Unique(_) => true,
            Self::Commit(error) => is_collision(error),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_collision(&error) {
            Self::Serialization(error)
        } else if error
            .as_database_error()
            .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
        {
            Self::Unique(error)
        } else if matches!(error, sqlx::Error::PoolTimedOut) {
            Self::Overloaded
        } else {
            Self::Database(error)
        }
    }
}

fn is_collision(error: &sqlx::Error) -> bool {
    let Some(code) = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
    else {
        return false;
    };
    match &*code {
        "40001" | "40P01" => true,
        // SQLite: the primary result code is in the lower byte; 5 is SQLITE_BUSY, 6 SQLITE_LOCKED. PostgreSQL's codes have five characters.
        other => {
            other.len() < 5
                && other
                    .parse::<u32>()
                    .is_ok_and(|code| matches!(code & 0xff, 5 | 6))
        }
    }
}

/// An error that a transaction's work may end with: it can carry a failure of the store, which decides whether the work is run again.
pub trait Failure: From<StoreError> + Send + 'static {
    /// The store's failure within, if it is one.
    fn store_error(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}
