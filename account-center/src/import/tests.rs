#![allow(clippy::unwrap_used)]
//! Imports of existing users, good files and bad ones.

use std::fmt::Write as _;

use sqlx::Row as _;

use super::*;
use crate::testing::TestDatabase;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$T01w0WjZzHqxT4dGzWyX8mYFJZrCbnNtxA9nKcCzkVQ";

struct Bench {
    importer: Importer,
    _database: TestDatabase,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        Self {
            importer: Importer {
                store: database.store().await,
                keys: Arc::new(Keys::derive(&[5; 32])),
                context: Context::system(),
            },
            _database: database,
        }
    }

    async fn run(&self, file: &str, dry: bool) -> (Result<ImportRow, ImportError>, Vec<Fault>) {
        let mut passed = Vec::new();
        let result = self
            .importer
            .run(
                file,
                file.as_bytes(),
                dry,
                |fault| passed.push(fault.clone()),
                |_| (),
            )
            .await;
        (result, passed)
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.importer
            .store
            .read(move |tx| {
                Box::pin(async move {
                    let row = sqlx::query(sql).fetch_one(tx).await?;
                    Ok::<_, StoreError>(row.try_get(0)?)
                })
            })
            .await
            .unwrap()
    }
}

fn faults(file: &str) -> Vec<String> {
    let mut found = Vec::new();
    check(file.as_bytes(), |fault| found.push(fault.to_string())).unwrap();
    found
}

fn many(count: usize) -> String {
    (0..count).fold("phone\n".to_owned(), |mut text, n| {
        writeln!(text, "+86138{n:08}").unwrap();
        text
    })
}

#[test]
fn each_line_that_cannot_be_taken_is_told_with_its_number_and_never_its_values() {
    let file = format!(
        "phone,customer_ref,nickname,password_hash,registered_at\n\
         +8613800000001,C1,\"张, 三\",\"{HASH}\",1500000000\n\
         13800000002,,,,\n\
         +8613800000003,,,$2b$10$abcdefghijklmnopqrstuv,\n\
         +8613800000004,,,,yesterday\n\
         ,,,,\n\
         +8613800000001,,,,\n\
         +8613800000007,C1,,,\n\
         +8613800000008,,\n\
         +8613800000009,,{},,\n\
         +8613800000010,,,\"{}\",\n",
        "n".repeat(65),
        HASH.replace("m=19456", "m=9999999"),
    );
    let found = faults(&file);
    let places: Vec<&str> = found
        .iter()
        .map(|fault| fault.split(':').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10",
            "line 11"
        ],
        "{found:#?}"
    );
    assert!(found[4].contains("the same as in line 2"), "{found:#?}");
    let all = found.join("\n");
    assert!(!all.contains("13800000002") && !all.contains("abcdefgh"));
}

#[test]
fn a_file_that_names_no_phone_or_an_unknown_column_is_refused_at_its_first_line() {
    for file in [
        "",
        "nickname\nx\n",
        "phone,password\n+8613800000001,x\n",
        "phone,phone\n+8613800000001,x\n",
    ] {
        assert!(check(file.as_bytes(), |_| ()).is_err(), "{file:?}");
    }
    let broken = [b"phone\n".as_slice(), &[0xff, 0xfe, b'\n']].concat();
    assert_eq!(check(broken.as_slice(), |_| ()).unwrap(), (1, 1));
}

#[tokio::test]
async fn people_are_brought_in_as_a_registration_makes_them_and_known_ones_are_left_as_they_are() {
    let bench = Bench::new().await;
    let file = format!(
        "phone,customer_ref,nickname,password_hash,registered_at\n\
         +8613800000001,C1,李,\"{HASH}\",1500000000\n\
         +8613800000002,,,,\n"
    );
    let (done, passed) = bench.run(&file, true).await;
    assert_eq!((done.unwrap().imported, passed.len()), (2, 0));
    assert_eq!(bench.count("SELECT COUNT(*) FROM accounts").await, 0, "dry");

    let (done, passed) = bench.run(&file, false).await;
    assert_eq!((done.unwrap().imported, passed.len()), (2, 0));
    for (sql, count) in [
        ("SELECT COUNT(*) FROM accounts WHERE kind = 'real'", 2),
        (
            "SELECT COUNT(*) FROM accounts WHERE customer_ref = 'C1' AND nickname = '李' AND created_at = 1500000000000",
            1,
        ),
        ("SELECT COUNT(*) FROM phones", 2),
        ("SELECT COUNT(*) FROM login_passwords", 1),
        (
            "SELECT COUNT(*) FROM outbox o JOIN accounts a ON a.user_id = o.user_id AND a.version = o.version WHERE o.kind = 'account.created'",
            2,
        ),
        (
            "SELECT COUNT(*) FROM phones WHERE sealed_number LIKE '%138%' OR blind_index LIKE '%138%'",
            0,
        ),
    ] {
        assert_eq!(bench.count(sql).await, count, "{sql}");
    }

    // The same file again does nothing; another with known people makes the new ones.
    let (again, _) = bench.run(&file, false).await;
    assert!(again.unwrap().finished);
    let more = "phone,customer_ref,nickname\n+8613800000002,,changed\n+8613800000003,C1,x\n+8613800000004,,y\n";
    let (done, passed) = bench.run(more, false).await;
    let done = done.unwrap();
    assert_eq!((done.imported, done.passed_over), (1, 2));
    let lines: Vec<u64> = passed.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(bench.count("SELECT COUNT(*) FROM accounts").await, 3);
    assert_eq!(
        bench
            .count("SELECT COUNT(*) FROM accounts WHERE nickname = 'changed'")
            .await,
        0
    );
}

#[tokio::test]
async fn an_import_that_was_interrupted_goes_on_where_it_was() {
    /// A file that cannot be read any more after so many bytes.
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.0.read(into)
        }
    }
    let bench = Bench::new().await;
    let file = many(CHUNK * 3 + 7);
    let half = &file.as_bytes()[..file.len() / 2];
    let interrupted = bench
        .importer
        .run(&file, Broken(half), false, |_| (), |_| ())
        .await;
    assert!(
        matches!(interrupted, Err(ImportError::File(_))),
        "{interrupted:?}"
    );
    let before = bench.count("SELECT COUNT(*) FROM accounts").await;
    assert_eq!(before, i64::try_from(CHUNK).unwrap(), "whole chunks only");

    let (done, passed) = bench.run(&file, false).await;
    let done = done.unwrap();
    assert_eq!(done.imported, i64::try_from(CHUNK * 3 + 7).unwrap());
    assert_eq!((done.passed_over, passed.len()), (0, 0), "no line twice");
    assert_eq!(
        bench.count("SELECT COUNT(*) FROM accounts").await,
        done.imported
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_one_file_at_once_make_each_account_once() {
    let bench = Bench::new().await;
    let file = many(CHUNK + 20);
    let (one, two) = tokio::join!(bench.run(&file, false), bench.run(&file, false));
    assert!(one.0.is_ok() || two.0.is_ok());
    for result in [one.0, two.0] {
        assert!(
            matches!(result, Ok(_) | Err(ImportError::Elsewhere)),
            "{result:?}"
        );
    }
    let accounts = bench.count("SELECT COUNT(*) FROM accounts").await;
    assert_eq!(accounts, i64::try_from(CHUNK + 20).unwrap());
}
