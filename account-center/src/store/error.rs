//! What can go wrong in the store, and which of it is worth another attempt.

use std::sync::Arc;

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
    Commit(Arc<sqlx::Error>),
    /// The connection was lost before COMMIT was sent, or there was none: nothing was kept, and another connection may do.
    #[error("the connection to the database was lost: {0}")]
    Lost(#[source] sqlx::Error),
    /// COMMIT was sent and its answer never came: it happened or it did not. Never run again here; whoever repeats the request with its Idempotency-Key learns
    /// which, as the reply is stored in the same transaction.
    #[error("nobody knows whether the commit happened: {0}")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// The database cannot do it at present: no room, read only, a statement over its time. Nothing was kept.
    #[error("the database cannot do this now: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// More writes wait than the queue takes, or no connection became free in time.
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
    /// The schema is older than this program, and this program was not told to migrate.
    #[error(
        "the schema lacks {0} of this program's migrations: run `postern-account-center migrate`, or set database.migrate_at_start"
    )]
    SchemaBehind(usize),
    /// The path of the SQLite file is not UTF-8.
    #[error("the path of the database file is not UTF-8")]
    Path,
    /// Anything else the database says.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether running the transaction again may help: nothing of it was kept, and the reason was another transaction.
    pub fn is_collision(&self) -> bool {
        match self {
            Self::Serialization(_) | Self::Unique(_) => true,
            Self::Commit(error) => kind(error) == Kind::Collision,
            _ => false,
        }
    }

    /// Whether running the transaction again on another connection may help.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether it is the database's state that stands in the way and not a fault of ours: the same request may be sent again later, with its Idempotency-Key.
    pub fn may_pass(&self) -> bool {
        match self {
            // The last two: given up after many attempts.
            Self::Lost(_)
            | Self::OutcomeUnknown(_)
            | Self::Unavailable(_)
            | Self::Overloaded
            | Self::Closed
            | Self::Serialization(_)
            | Self::Unique(_) => true,
            Self::Commit(error) => kind(error) != Kind::Other,
            _ => false,
        }
    }

    /// Whether the connection that gave this error is not to be used again.
    pub(super) fn spoils_connection(&self) -> bool {
        matches!(
            self,
            Self::Lost(_) | Self::OutcomeUnknown(_) | Self::Unavailable(_) | Self::Panicked
        )
    }

    /// What the answer to COMMIT means. Only an answer that says so means that nothing was kept: one that ends the connection (class 57, a standby that did not
    /// confirm in time) can come after the transaction became durable.
    pub(super) fn of_commit(error: sqlx::Error) -> Self {
        let refused = code(&error).is_some_and(|code| {
            ["40", "23", "25", "2D"]
                .iter()
                .any(|class| code.len() == 5 && code.starts_with(class))
        });
        if refused {
            error.into()
        } else {
            Self::OutcomeUnknown(error)
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match kind(&error) {
            Kind::Collision => Self::Serialization(error),
            Kind::Lost => Self::Lost(error),
            Kind::Unavailable => Self::Unavailable(error),
            Kind::Other => match error {
                sqlx::Error::PoolTimedOut => Self::Overloaded,
                sqlx::Error::PoolClosed => Self::Closed,
                error
                    if error
                        .as_database_error()
                        .is_some_and(sqlx::error::DatabaseError::is_unique_violation) =>
                {
                    Self::Unique(error)
                }
                error => Self::Database(error),
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Collision,
    Lost,
    Unavailable,
    Other,
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error()?.code()
}

fn kind(error: &sqlx::Error) -> Kind {
    if matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed
    ) {
        return Kind::Lost;
    }
    let Some(code) = code(error) else {
        return Kind::Other;
    };
    // PostgreSQL's codes have five characters (its appendix A).
    if code.len() == 5 {
        return match &*code {
            "40001" | "40P01" => Kind::Collision,
            // Shut down, crashed, starting up; a primary that became a standby.
            "57P01" | "57P02" | "57P03" | "25006" => Kind::Lost,
            // Cancelled by its time limit; an I/O error of the server.
            "57014" | "25P03" | "58030" => Kind::Unavailable,
            other if other.starts_with("08") => Kind::Lost,
            // Disk full, out of memory, too many connections.
            other if other.starts_with("53") => Kind::Unavailable,
            _ => Kind::Other,
        };
    }
    // SQLite: the primary result code is in the lower byte.
    match code.parse::<u32>().map(|code| code & 0xff) {
        // BUSY, LOCKED
        Ok(5 | 6) => Kind::Collision,
        // NOMEM, READONLY, IOERR, FULL, CANTOPEN
        Ok(7 | 8 | 10 | 13 | 14) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

/// Whether a database that says this may say otherwise a little later.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    kind(error) != Kind::Other
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
