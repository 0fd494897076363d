//! A pending login in the vault, encrypted there like everything else: what a new process needs to go on where the old one died.

use serde::Serialize;

use super::events::Restored;
use super::failure;
use super::state::Pending;
use crate::vault::{Loaded, Records, VaultError};

/// The record's name in the vault.
pub(crate) const RECORD: &str = "pending_login";

/// The record. Passwords and cards stand in it only as they go over the wire: sealed.
#[derive(Debug, Serialize)]
pub(crate) struct PendingRecord {
    pub(crate) pending: Pending,
    /// The nonce for the next proof, so that going on costs no extra round trip.
    pub(crate) nonce: Option<String>,
}

/// Reads the record. Blocks. The nonce comes beside what was found.
pub(crate) fn read(records: &Records, now: u64) -> (Restored, Option<String>) {
    match records.load::<PendingRecord>(RECORD) {
        Ok(Loaded::Nothing) => (Restored::Nothing, None),
        Ok(Loaded::Record(PendingRecord { pending, nonce })) => {
            (Restored::Found { pending, now }, nonce)
        }
        // Written by another version or installation, or for a key that is lost: a clean start.
        Ok(Loaded::Unreadable | Loaded::OtherInstall)
        | Err(VaultError::KeyInvalidated | VaultError::Damaged) => (Restored::Unusable, None),
        Err(error @ (VaultError::Unavailable | VaultError::Failed { .. })) => {
            (Restored::Unavailable(failure::of_vault(&error)), None)
        }
    }
}
