//! The key list in use, and the highest version ever accepted, which the vault remembers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key_list::{KeyList, KeyListError};
use crate::vault::{Records, VaultError};

const RECORD: &str = "key_list";

#[derive(Serialize, Deserialize)]
struct Kept {
    highest: u64,
    jws: String,
}

/// Why no list is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKeyList {
    Rejected(KeyListError),
    Vault(VaultError),
}

impl From<VaultError> for NoKeyList {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

/// Accepts lists and forgets none of their versions.
pub(crate) struct RememberedKeyList {
    root_key: [u8; 65],
    issuer: String,
    records: Records,
    current: Mutex<Option<(String, KeyList)>>,
}

impl RememberedKeyList {
    pub(crate) fn new(root_key: [u8; 65], issuer: String, records: Records) -> Self {
        Self {
            root_key,
            issuer,
            records,
            current: Mutex::new(None),
        }
    }

    /// The list in use, where it has not expired.
    pub(crate) fn current(&self, now: Duration) -> Option<KeyList> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current
            .as_ref()
            .map(|(_, list)| list.clone())
            .filter(|list| now < list.expires_at)
    }

    /// Takes a list into use, or says why not; the list in use before stays then. Blocks.
    pub(crate) fn accept(&self, jws: &str, now: Duration) -> Result<KeyList, NoKeyList> {
        let list =
            KeyList::verify(jws, &self.root_key, &self.issuer, now).map_err(NoKeyList::Rejected)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, list)) = current.as_ref()
            && known == jws
        {
            return Ok(list.clone());
        }
        // Read anew each time: another process may have accepted a higher one.
        let kept: Option<Kept> = self.records.load(RECORD)?.usable();
        let highest = kept.as_ref().map_or(0, |kept| kept.highest);
        if list.version < highest {
            return Err(NoKeyList::Rejected(KeyListError::RolledBack));
        }
        if kept.is_none_or(|kept| kept.jws != jws) {
            let kept = Kept {
                highest: list.version,
                jws: jws.to_owned(),
            };
            self.records.store(RECORD, &kept)?;
        }
        *current = Some((jws.to_owned(), list.clone()));
        Ok(list)
    }

    /// Takes the list of an earlier run into use, where it is still good. Blocks.
    pub(crate) fn restore(&self, now: Duration) -> Option<KeyList> {
        let kept: Kept = self.records.load(RECORD).ok()?.usable()?;
        self.accept(&kept.jws, now).ok()
    }
}
