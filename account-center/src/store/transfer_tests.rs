#![allow(clippy::unwrap_used)]
//! Backup and restore between all kinds of databases that the run has.

use std::io::Cursor;

use sqlx::Row as _;

use super::transfer::{Origin, Rows, TransferError, back_up, restore, verify};
use super::{Database, Store, StoreError, Tx, catalog};
use crate::testing::TestDatabase;

const SECRET: &str = "the name of a server secret";

async fn backup_of(database: &Database) -> Vec<u8> {
    let mut file = Vec::new();
    let origin = Origin {
        made_at: 1_800_000_000,
        server_secret: SECRET,
    };
    back_up(database, origin, &mut file, |_, _| ())
        .await
        .unwrap();
    file
}

async fn restored(database: &Database, fresh: bool, file: &[u8]) -> Result<Rows, TransferError> {
    Store::open(database).await.unwrap().close().await;
    restore(database, fresh, SECRET, || Ok(Cursor::new(file)), |_, _| ()).await
}

/// Rows in every table, whatever tables there are: two of each, with the longest chain of rows that name each other, odd text, and NULL wherever it may be.
async fn fill(store: &Store) {
    store.write(|tx| Box::pin(fill_all(tx))).await.unwrap();
}

async fn fill_all(tx: &mut Tx) -> Result<(), StoreError> {
    // By hand where a CHECK or a reference wants it.
    for sql in [
        "INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('a1', 'real', 0, 1)",
        "INSERT INTO accounts (user_id, kind, created_at, version, replaced_by) VALUES ('a2', 'virtual', -5, 9007199254740993, 'a1')",
        "INSERT INTO accounts (user_id, kind, created_at, version, replaced_by) VALUES ('a0', 'virtual', 3, 2, 'a2')",
        "INSERT INTO accounts (user_id, kind, customer_ref, nickname, created_at, version) VALUES ('a3', 'real', 'C1', '张\"三\\ \u{1f600}\n\u{0001}[', 7, 2)",
        "INSERT INTO phones (blind_index, user_id, sealed_number, bound_at) VALUES ('b1', 'a1', 's', 9223372036854775807)",
        "INSERT INTO login_passwords (user_id, password_hash, changed_at) VALUES ('a1', '$argon2id$v=19$m=19456,t=2,p=1$x$y', 4)",
        "INSERT INTO bindings (binding_id, provider, platform, subject, user_id, bound_at) VALUES ('g1', 'wechat', 'op', 'u', 'a1', 4)",
        "INSERT INTO open_ids (provider, app_id, open_id, binding_id, first_seen_at) VALUES ('wechat', 'wx', 'o', 'g1', 4)",
    ] {
        sqlx::query(sql).execute(&mut *tx).await?;
    }
    for n in 0..2500 {
        sqlx::query("INSERT INTO used_proofs (proof_hash, expires_at) VALUES ($1, $2)")
            .bind(format!("p{n:05}"))
            .bind(n)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_backup_restored_elsewhere_is_equal_row_for_row() {
    // With POSTERN_TEST_POSTGRES every pair of kinds, without it SQLite alone.
    let kinds = if std::env::var_os("POSTERN_TEST_POSTGRES").is_some() {
        vec![false, true]
    } else {
        vec![false]
    };
    let make = async |postgres: bool| {
        if postgres {
            TestDatabase::empty().await
        } else {
            TestDatabase::sqlite()
        }
    };
    for from in &kinds {
        let source = make(*from).await;
        let store = Store::open(source.database()).await.unwrap();
        fill(&store).await;
        // The server goes on while it is backed up.
        let file = backup_of(source.database()).await;
        store.check().await.unwrap();
        for to in &kinds {
            let target = make(*to).await;
            let rows = restored(target.database(), true, &file).await.unwrap();
            assert_eq!((rows["accounts"], rows["used_proofs"]), (4, 2500));
            let again = backup_of(target.database()).await;
            assert!(
                file == again,
                "from PostgreSQL: {from}, to PostgreSQL: {to}"
            );
            // And it is a working database: the references hold, and the schema is whole.
            let store = Store::open(target.database()).await.unwrap();
            let dangling: Result<(), StoreError> = store
                .write(|tx| {
                    Box::pin(async move {
                        sqlx::query("UPDATE accounts SET replaced_by = 'nobody'")
                            .execute(tx)
                            .await?;
                        Ok(())
                    })
                })
                .await;
            assert!(dangling.is_err());
        }
    }
}

#[tokio::test]
async fn a_backup_has_what_was_committed_when_it_began_and_every_table() {
    let database = TestDatabase::new().await;
    let store = database.store().await;
    fill(&store).await;
    let file = backup_of(database.database()).await;
    let rows = verify(Cursor::new(&file), SECRET).unwrap();
    let mut connection = super::connect(database.database(), false).await.unwrap();
    let tables = catalog::tables(&mut connection).await.unwrap();
    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        {
            let mut names: Vec<_> = tables.iter().map(|table| &table.name).collect();
            names.sort();
            names
        },
        "each table, also those of later migrations"
    );
    assert!(tables.len() >= 15, "{}", tables.len());
    assert!(tables.iter().all(|table| !table.key.is_empty()));
}

#[tokio::test]
async fn a_database_that_is_not_empty_is_left_as_it_is() {
    let source = TestDatabase::new().await;
    let store = source.store().await;
    fill(&store).await;
    let file = backup_of(source.database()).await;
    let refused = restored(source.database(), false, &file).await;
    assert!(matches!(refused, Err(TransferError::NotEmpty(_))));
    assert!(file == backup_of(source.database()).await);
}

#[tokio::test]
async fn a_damaged_truncated_or_foreign_backup_changes_nothing() {
    let source = TestDatabase::sqlite();
    let store = Store::open(source.database()).await.unwrap();
    fill(&store).await;
    let good = backup_of(source.database()).await;
    let target = TestDatabase::new().await;
    let text = String::from_utf8(good.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |index: usize| {
        let mut lines = lines.clone();
        lines.remove(index);
        lines.join("\n") + "\n"
    };
    let row = lines.iter().position(|l| l.starts_with("[\"p00")).unwrap();
    for (what, damaged) in [
        ("a row is missing", without(row)),
        ("the checksum is missing", without(lines.len() - 1)),
        ("the end is cut off", text[..text.len() / 2].to_owned()),
        ("a value was changed", text.replacen("\"C1\"", "\"C2\"", 1)),
        ("something follows", format!("{text}x")),
        ("nothing is there", String::new()),
        ("it is something else", "user_id,phone\n1,2\n".to_owned()),
        (
            "two rows changed places",
            text.replacen("\"p00001\"", "\"p0000x\"", 1),
        ),
    ] {
        let result = restored(target.database(), true, damaged.as_bytes()).await;
        assert!(
            matches!(
                result,
                Err(TransferError::Form { .. } | TransferError::Checksum)
            ),
            "{what}: {result:?}"
        );
    }
    let foreign = verify(Cursor::new(&good), "another secret");
    assert!(matches!(foreign, Err(TransferError::OtherSecret)));
    let newer = text.replacen("\"schema\":", "\"schema\":9", 1);
    let newer = verify(Cursor::new(newer.as_bytes()), SECRET);
    assert!(matches!(newer, Err(TransferError::Newer { .. })));
    // Nothing of all that is there: the good one still goes in.
    restored(target.database(), false, &good).await.unwrap();
}

#[tokio::test]
async fn a_restore_that_the_database_refuses_in_the_middle_leaves_nothing() {
    let source = TestDatabase::sqlite();
    let store = Store::open(source.database()).await.unwrap();
    fill(&store).await;
    let good = String::from_utf8(backup_of(source.database()).await).unwrap();
    // The last table's rows break a constraint, and the checksum is right.
    let broken = good.replacen("[\"p00002\",2]", "[\"p00001\",2]", 1);
    let body = &broken[..=broken.trim_end().rfind('\n').unwrap()];
    let sum = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let hex = sum
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let broken = format!("{body}{{\"sha256\":\"{hex}\"}}\n");
    let target = TestDatabase::new().await;
    let result = restored(target.database(), true, broken.as_bytes()).await;
    assert!(
        matches!(result, Err(TransferError::Store(StoreError::Unique(_)))),
        "{result:?}"
    );
    let store = Store::open(target.database()).await.unwrap();
    let left = store
        .read(|tx| {
            Box::pin(async move {
                let row = sqlx::query("SELECT COUNT(*) FROM accounts")
                    .fetch_one(tx)
                    .await?;
                Ok::<i64, StoreError>(row.try_get(0)?)
            })
        })
        .await
        .unwrap();
    assert_eq!(left, 0);
}
