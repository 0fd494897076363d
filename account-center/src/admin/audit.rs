//! The audit log: every change of an operator's in the transaction that makes it, each entry chained to the one before by a keyed hash. Whoever can write to the
//! database but has no server secret can neither change an entry nor put one in; that entries were cut off at the end shows against a head noted elsewhere (each
//! entry's number and hash are in the server's log too).

use serde_json::Value;

use crate::context::Timestamp;
use crate::keys::{Keys, Purpose};
use crate::store::admin::{self as rows, AuditRow};
use crate::store::{Store, StoreError, Tx};

/// Who changes things from the command line.
pub const COMMAND_LINE: &str = "(command line)";

/// Entries that are checked in one transaction.
const BATCH: i64 = 500;

/// What was done. Values hold no secret, and personal data only masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `rollout.changed`
    pub action: &'static str,
    /// To what: `bank-android/wechat`.
    pub target: String,
    /// How it was; null where there was nothing.
    pub before: Value,
    /// How it is; null where there is nothing.
    pub after: Value,
}

impl Change {
    /// Something that was looked at or done, without a before and after.
    pub fn deed(action: &'static str, target: impl Into<String>) -> Self {
        Self {
            action,
            target: target.into(),
            before: Value::Null,
            after: Value::Null,
        }
    }
}

/// Adds an entry, in the transaction of the change itself.
pub async fn append(
    tx: &mut Tx,
    keys: &Keys,
    actor: &str,
    request_id: &str,
    at: Timestamp,
    change: &Change,
) -> Result<(), StoreError> {
    let newest = rows::newest_entry(tx).await?;
    let (seq, previous_hash) =
        newest.map_or((0, String::new()), |entry| (entry.seq, entry.entry_hash));
    let mut row = AuditRow {
        seq: seq + 1,
        at,
        actor: actor.to_owned(),
        action: change.action.to_owned(),
        target: change.target.clone(),
        before: change.before.to_string(),
        after: change.after.to_string(),
        request_id: request_id.to_owned(),
        previous_hash,
        entry_hash: String::new(),
    };
    row.entry_hash = hash(keys, &row);
    rows::insert_entry(tx, &row).await?;
    tracing::info!(
        seq = row.seq,
        hash = row.entry_hash,
        action = row.action,
        request_id,
        "audit"
    );
    Ok(())
}

fn hash(keys: &Keys, row: &AuditRow) -> String {
    keys.name(
        Purpose::AuditChain,
        &[
            &row.seq.to_be_bytes(),
            &row.at.millis().to_be_bytes(),
            row.actor.as_bytes(),
            row.action.as_bytes(),
            row.target.as_bytes(),
            row.before.as_bytes(),
            row.after.as_bytes(),
            row.request_id.as_bytes(),
            row.previous_hash.as_bytes(),
        ],
    )
}

/// The newest entry of a log that is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 for an empty log.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An entry was changed, taken out, or put in.
    #[error(
        "the audit log is not whole: entry {0} is not what was written, or one before it is gone"
    )]
    Entry(i64),
    /// The log is shorter than it was once, or another.
    #[error(
        "the audit log does not have the entry {0} that it had: its end was cut off or written anew"
    )]
    Head(i64),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks the whole chain, and that it has the entry `noted` at an earlier time.
pub async fn verify(store: &Store, keys: &Keys, noted: Option<&Head>) -> Result<Head, Broken> {
    let mut head = Head::default();
    let mut has_noted = noted.is_none_or(|noted| noted.seq == 0);
    loop {
        let after = head.seq;
        let batch = store
            .read(move |tx| Box::pin(async move { rows::entries_after(tx, after, BATCH).await }))
            .await?;
        if batch.is_empty() {
            break;
        }
        for row in batch {
            let follows = row.seq == head.seq + 1 && row.previous_hash == head.hash;
            if !follows || row.entry_hash != hash(keys, &row) {
                return Err(Broken::Entry(row.seq));
            }
            head = Head {
                seq: row.seq,
                hash: row.entry_hash,
            };
            has_noted |= noted == Some(&head);
        }
    }
    match noted {
        Some(noted) if !has_noted => Err(Broken::Head(noted.seq)),
        _ => Ok(head),
    }
}
