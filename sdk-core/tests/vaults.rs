//! One suite for every vault, then what is particular to each.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use postern_sdk_core::secret::SecretBytes;
use postern_sdk_core::vault::{EncryptedFileVault, MemoryVault, Vault, VaultError};

/// What the contract of [`Vault`] asks of each.
fn keeps_the_contract(vault: &dyn Vault) {
    let large = SecretBytes::new((0..8000_u32).map(|n| n.to_be_bytes()[3]).collect());
    let one = SecretBytes::from(&b"one"[..]);
    let zeros = SecretBytes::from(&[0_u8, 255, 0, 10][..]);
    assert_eq!(vault.load("session"), Ok(None));
    vault.delete("session").unwrap();
    vault.store("session", &one).unwrap();
    vault.store("device_key", &zeros).unwrap();
    assert_eq!(vault.load("session"), Ok(Some(one.clone())));
    assert_eq!(vault.load("device_key"), Ok(Some(zeros.clone())));
    // A value is replaced as a whole, by a longer and by a shorter one.
    vault.store("session", &large).unwrap();
    assert_eq!(vault.load("session"), Ok(Some(large)));
    vault.store("session", &one).unwrap();
    assert_eq!(vault.load("session"), Ok(Some(one)));
    // Deleting one leaves the other; deleting twice is no error.
    vault.delete("session").unwrap();
    vault.delete("session").unwrap();
    assert_eq!(vault.load("session"), Ok(None));
    assert_eq!(vault.load("device_key"), Ok(Some(zeros)));
    vault.delete("device_key").unwrap();
    assert!(!vault.description().is_empty());
}

/// Writers and readers at the same time: a reader sees one of the values, never a mixture.
fn bears_many_threads(vault: &Arc<dyn Vault>) {
    vault
        .store("shared", &SecretBytes::new(vec![0; 3000]))
        .unwrap();
    std::thread::scope(|scope| {
        for n in 1..=4_u8 {
            scope.spawn(move || {
                for _ in 0..25 {
                    vault
                        .store("shared", &SecretBytes::new(vec![n; 3000]))
                        .unwrap();
                    let seen = vault.load("shared").unwrap().unwrap();
                    assert_eq!(seen.len(), 3000);
                    assert!(seen.expose().iter().all(|byte| *byte == seen.expose()[0]));
                }
            });
        }
    });
    vault.delete("shared").unwrap();
}

fn file_vault(folder: &Path) -> EncryptedFileVault {
    EncryptedFileVault::open(folder.join("vault")).unwrap()
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::from(text.as_bytes())
}

#[test]
fn the_memory_vault_keeps_the_contract() {
    keeps_the_contract(&MemoryVault::new());
    bears_many_threads(&(Arc::new(MemoryVault::new()) as Arc<dyn Vault>));
}

#[test]
fn the_encrypted_file_vault_keeps_the_contract_wherever_its_key_is() {
    let folder = tempfile::tempdir().unwrap();
    keeps_the_contract(&file_vault(folder.path()));
    let elsewhere = folder.path().join("key-elsewhere");
    let beside = EncryptedFileVault::open_with_key_file(folder.path().join("two"), &elsewhere);
    keeps_the_contract(&beside.unwrap());
    assert_eq!(fs::read(elsewhere).unwrap().len(), 32);
    let given = EncryptedFileVault::open_with_key(folder.path().join("three"), vec![7; 32].into());
    keeps_the_contract(&given.unwrap());
    bears_many_threads(&(Arc::new(file_vault(folder.path())) as Arc<dyn Vault>));
}

#[test]
fn what_one_process_stored_the_next_one_finds() {
    let folder = tempfile::tempdir().unwrap();
    file_vault(folder.path())
        .store("session", &secret("kept"))
        .unwrap();
    assert_eq!(
        file_vault(folder.path()).load("session"),
        Ok(Some(secret("kept")))
    );
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone_and_hold_no_plain_text() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    vault.store("session", &secret("hunter2hunter2")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("vault")), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(folder.path().join("vault")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let content = fs::read(&path).unwrap();
        assert!(!content.windows(7).any(|window| window == b"hunter2"));
        files += 1;
    }
    // The blob, the key, and the lock under which the key was made.
    assert_eq!(files, 3);
    assert!(!format!("{vault:?}").contains("hunter2"));
}

#[test]
fn a_truncated_or_changed_file_is_damaged_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    vault.store("session", &secret("kept")).unwrap();
    let path = folder.path().join("vault/session.sealed");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(vault.load("session"), Err(VaultError::Damaged), "{length}");
    }
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(
            vault.load("session"),
            Err(VaultError::Damaged),
            "{position}"
        );
    }
    vault.store("session", &secret("again")).unwrap();
    assert_eq!(vault.load("session"), Ok(Some(secret("again"))));
}

#[test]
fn one_blob_does_not_pass_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    vault.store("login", &secret("kept")).unwrap();
    let files = folder.path().join("vault");
    fs::copy(files.join("login.sealed"), files.join("session.sealed")).unwrap();
    assert_eq!(vault.load("session"), Err(VaultError::Damaged));
}

#[test]
fn a_lost_key_is_said_and_the_next_store_makes_a_new_one() {
    for truncated in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let vault = file_vault(folder.path());
        vault.store("session", &secret("kept")).unwrap();
        vault.store("login", &secret("kept")).unwrap();
        let key = folder.path().join("vault/vault.key");
        if truncated {
            fs::write(&key, b"short").unwrap();
        } else {
            fs::remove_file(&key).unwrap();
        }
        assert_eq!(vault.load("session"), Err(VaultError::KeyInvalidated));
        assert_eq!(vault.load("never-stored"), Ok(None));
        vault.store("session", &secret("new")).unwrap();
        assert_eq!(vault.load("session"), Ok(Some(secret("new"))));
        assert_eq!(vault.load("login"), Err(VaultError::Damaged));
    }
}

#[test]
fn another_key_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let with =
        |key: Vec<u8>| EncryptedFileVault::open_with_key(folder.path().join("v"), key.into());
    with(vec![1; 32])
        .unwrap()
        .store("session", &secret("kept"))
        .unwrap();
    assert_eq!(
        with(vec![2; 32]).unwrap().load("session"),
        Err(VaultError::Damaged)
    );
    assert!(matches!(with(vec![1; 31]), Err(VaultError::Failed { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_the_old_value_stays() {
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    vault.store("session", &secret("old")).unwrap();
    // The temporary file leads to a device that is always full.
    let thread = std::thread::current().id();
    let temporary = format!("vault/session.sealed.{}-{thread:?}.new", std::process::id());
    let temporary = folder.path().join(temporary);
    std::os::unix::fs::symlink("/dev/full", &temporary).unwrap();
    let failure = vault.store("session", &secret("new")).unwrap_err();
    let VaultError::Failed { what } = failure else {
        panic!("another failure: {failure:?}");
    };
    assert!(what.contains("No space left"), "{what}");
    assert!(!temporary.exists() && temporary.symlink_metadata().is_err());
    assert_eq!(vault.load("session"), Ok(Some(secret("old"))));
    vault.store("session", &secret("new")).unwrap();
    assert_eq!(vault.load("session"), Ok(Some(secret("new"))));
}

#[test]
fn what_a_crash_left_half_written_is_nobodys_business() {
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    vault.store("session", &secret("old")).unwrap();
    fs::write(folder.path().join("vault/session.sealed.1.new"), b"half").unwrap();
    assert_eq!(vault.load("session"), Ok(Some(secret("old"))));
}

#[test]
fn names_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vault = file_vault(folder.path());
    for name in ["", "../session", "a/b", "A", "a.b", &"a".repeat(41)] {
        assert!(vault.store(name, &secret("x")).is_err(), "{name}");
        assert!(vault.load(name).is_err() && vault.delete(name).is_err());
    }
}

#[test]
fn a_folder_that_cannot_be_one_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert!(matches!(
        EncryptedFileVault::open(file.join("vault")),
        Err(VaultError::Failed { .. })
    ));
}

#[cfg(feature = "keyring")]
mod keyring {
    use keyring_core::{Error, mock};
    use postern_sdk_core::vault::KeyringVault;

    use super::*;

    #[test]
    fn a_keyring_vault_keeps_the_contract() {
        let store = mock::Store::new().unwrap();
        let vault = KeyringVault::with_store("postern-tests", store, "a keyring of the tests");
        keeps_the_contract(&vault);
        assert_eq!(vault.description(), "a keyring of the tests");
    }

    #[test]
    fn a_locked_keyring_is_unavailable_and_a_broken_entry_is_damaged() {
        for (error, expected) in [
            (
                Error::NoStorageAccess("locked".into()),
                VaultError::Unavailable,
            ),
            (Error::NoDefaultStore, VaultError::Unavailable),
            (
                Error::BadDataFormat(b"hunter2".to_vec(), "odd".into()),
                VaultError::Damaged,
            ),
        ] {
            let store = mock::Store::new().unwrap();
            let vault = KeyringVault::with_store("postern-tests", store.clone(), "tests");
            vault.store("session", &secret("kept")).unwrap();
            let entry = keyring_core::api::CredentialStoreApi::build(
                &*store,
                "postern-tests",
                "session",
                None,
            );
            let entry = entry.unwrap();
            let credential = entry.as_any().downcast_ref::<mock::Cred>().unwrap();
            credential.set_error(error);
            assert_eq!(vault.load("session"), Err(expected));
            assert_eq!(vault.load("session"), Ok(Some(secret("kept"))));
        }
    }

    /// Machines differ: with a session keyring the whole suite, without one a plain answer.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_keyring_keeps_the_contract_or_says_that_it_is_unavailable() {
        let service = format!("postern-tests-{}", std::process::id());
        match KeyringVault::kernel(&service) {
            Ok(vault) => keeps_the_contract(&vault),
            Err(error) => assert_eq!(error, VaultError::Unavailable),
        }
    }
}
