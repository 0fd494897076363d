//! The key list in use, and the highest version ever accepted, which the vault remembers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::key_list::{KeyList, KeyListError};
use crate::json::{self, FromJson};
use crate::vault::{Records, VaultError};

const RECORD: &str = "key_list";

#[derive(Serialize)]
struct Kept {
    highest: u64,
    jws: String,
}

impl FromJson for Kept {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            highest: json::number(tree, "highest")?,
            jws: json::text(tree, "jws")?,
        })
    }
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

    /// The list in use, where it is this very one and has not expired: nothing is to be checked again.
    pub(crate) fn in_use(&self, jws: &str, now: Duration) -> Option<KeyList> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, list) = current.as_ref().filter(|(known, _)| known == jws)?;
        (now < list.expires_at).then(|| list.clone())
    }

    /// Whether the vault that remembers may block.
    pub(crate) fn blocks(&self) -> bool {
        self.records.blocks()
    }

    /// Takes a list into use, or says why not; the list in use before stays then. Blocks where the vault does.
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

    /// Takes the list of an earlier run into use, where it is still good. Blocks where the vault does.
    pub(crate) fn restore(&self, now: Duration) -> Result<Option<KeyList>, VaultError> {
        let Some(kept) = self.records.load::<Kept>(RECORD)?.usable() else {
            return Ok(None);
        };
        match self.accept(&kept.jws, now) {
            Ok(list) => Ok(Some(list)),
            Err(NoKeyList::Rejected(_)) => Ok(None),
            Err(NoKeyList::Vault(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;

    use super::*;
    use crate::vault::{InstallId, MemoryVault, Vault};

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../contract/vectors/key_list.json")).unwrap()
    }

    fn over(vault: &Arc<MemoryVault>, case: &Value) -> RememberedKeyList {
        let root = vectors()["root"]["public_key"].as_str().unwrap().to_owned();
        let root = URL_SAFE_NO_PAD.decode(root).unwrap().try_into().unwrap();
        let vault = Arc::clone(vault) as Arc<dyn Vault>;
        let records = Records::new(vault, InstallId("unspecified".to_owned()));
        RememberedKeyList::new(root, case["issuer"].as_str().unwrap().to_owned(), records)
    }

    fn accept(vault: &Arc<MemoryVault>, case: &Value) -> Result<KeyList, NoKeyList> {
        let now = Duration::from_secs(case["now"].as_u64().unwrap());
        over(vault, case).accept(case["key_list"].as_str().unwrap(), now)
    }

    fn remembering(highest: u64) -> Arc<MemoryVault> {
        let vault = Arc::new(MemoryVault::new());
        let record =
            format!(r#"{{"schema":1,"install_id":"unspecified","highest":{highest},"jws":""}}"#);
        vault.store(RECORD, &record.into_bytes().into()).unwrap();
        vault
    }

    #[test]
    fn the_contracts_lists_are_judged_with_the_highest_version_before() {
        let vectors = vectors();
        for case in vectors["good"].as_array().unwrap() {
            let vault = remembering(case["lowest_version"].as_u64().unwrap());
            accept(&vault, case).unwrap();
        }
        for case in vectors["bad"].as_array().unwrap() {
            let vault = remembering(case["lowest_version"].as_u64().unwrap());
            let refused = accept(&vault, case).unwrap_err();
            if case["reason"] == "rolled_back" {
                assert_eq!(refused, NoKeyList::Rejected(KeyListError::RolledBack));
            }
        }
    }

    #[test]
    fn the_first_schema_of_the_kept_list_stays_readable() {
        let case = &vectors()["good"][0];
        let frozen: &[u8] = include_bytes!("../../tests/fixtures/key-list-1.json");
        let vault = Arc::new(MemoryVault::new());
        vault.store(RECORD, &frozen.into()).unwrap();
        let lists = over(&vault, case);
        let now = Duration::from_secs(case["now"].as_u64().unwrap());
        let list = lists.restore(now).unwrap().unwrap();
        assert_eq!(lists.current(now), Some(list.clone()));
        assert_eq!(lists.current(list.expires_at), None);
        // What is written today is what was frozen.
        vault.delete(RECORD).unwrap();
        accept(&vault, case).unwrap();
        let written = vault.load(RECORD).unwrap().unwrap();
        assert_eq!(written.expose(), frozen.trim_ascii_end());
    }

    #[test]
    fn a_kept_list_that_cannot_be_used_is_forgotten() {
        let case = &vectors()["good"][0];
        let vault = Arc::new(MemoryVault::new());
        vault.store(RECORD, &vec![b'{'].into()).unwrap();
        let now = Duration::from_secs(case["now"].as_u64().unwrap());
        assert_eq!(over(&vault, case).restore(now), Ok(None));
        accept(&vault, case).unwrap();
    }
}
