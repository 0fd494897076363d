//! The operator's commands over a database: backup and restore, as they are typed.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use postern_account_center::store::{Database, Store, StoreError};

fn operate(words: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postern-account-center"))
        .env_clear()
        .stdin(Stdio::null())
        .args(words)
        .arg("--data-dir")
        .arg(folder)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    text(output)
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    assert!(!output.status.success());
    assert!(text(output).contains(why), "{}", text(output));
}

async fn open(folder: &Path) -> Store {
    Store::open(&Database::Sqlite(folder.join("postern.db")))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_backup_is_made_beside_a_running_server_and_restored_under_the_same_secret_only() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let file = folder.path().join("backup");
    let to = ["backup", "--to", file.to_str().unwrap()];
    let from = ["restore", "--from", file.to_str().unwrap()];

    refused(&operate(&to, &old), "database");
    good(&operate(&["migrate"], &old));
    let store = open(&old).await;
    store
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('u', 'real', 1, 1)")
                    .execute(tx)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    // The store stays open: a backup needs no pause.
    let said = good(&operate(&to, &old));
    assert!(said.contains(" 1 accounts"), "{said}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    refused(&operate(&to, &old), "is there already");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "no draft is left"
    );

    // Elsewhere, first without the server secret.
    refused(&operate(&from, &new), "another server secret");
    assert!(!new.join("postern.db").exists());
    std::fs::copy(old.join("server-secret"), new.join("server-secret")).unwrap();
    let check = [&from[..], &["--check"]].concat();
    assert!(good(&operate(&check, &new)).contains("is whole"));
    assert!(!new.join("postern.db").exists());
    assert!(good(&operate(&from, &new)).contains(" 1 accounts"));
    open(&new).await.check().await.unwrap();
    refused(&operate(&from, &new), "not empty");

    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 30]).unwrap();
    refused(&operate(&check, &new), "not whole");
}
