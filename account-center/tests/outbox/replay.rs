//! `GET /v1/outbox/events`, over HTTP as a business line asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_account_center::store::outbox as rows;
use postern_server_security::webhook::WebhookSecret;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{Reply, Request, Server, random128};
use crate::world::{OTHER_SECRET, SECRET, announce, eventually};

const EVENTS: &str = "/v1/outbox/events";

/// Two lines without an address: they ask by themselves.
fn settings() -> String {
    format!(
        "[lines.points]\nsecret = \"{SECRET}\"\n[lines.loans]\nsecret = \"{OTHER_SECRET}\"\nkinds = [\"account.*\", \"user_id.replaced\"]\n"
    )
}

struct Asking<'a> {
    line: &'a str,
    secret: &'a str,
    id: String,
    timestamp: i64,
    query: &'a str,
    signed: String,
}

impl<'a> Asking<'a> {
    fn new(server: &Server, line: &'a str, secret: &'a str, query: &'a str) -> Self {
        Self {
            line,
            secret,
            id: random128(),
            timestamp: server.state.context.now().seconds(),
            query,
            signed: format!("GET {EVENTS}{query}"),
        }
    }

    fn request(&self) -> Request {
        let secret = WebhookSecret::parse(self.secret).unwrap();
        let timestamp = u64::try_from(self.timestamp).unwrap();
        let signature = secret.sign(&self.id, timestamp, self.signed.as_bytes());
        Request {
            method: "GET",
            path: format!("{EVENTS}{}", self.query),
            headers: Vec::new(),
            body: Vec::new(),
        }
        .with("Postern-Line", self.line)
        .with("Webhook-Id", &self.id)
        .with("Webhook-Timestamp", &timestamp.to_string())
        .with("Webhook-Signature", &signature)
    }
}

async fn ask(server: &Server, line: &str, query: &str) -> Reply {
    let secret = if line == "points" {
        SECRET
    } else {
        OTHER_SECRET
    };
    let asking = Asking::new(server, line, secret, query);
    server.send(asking.request()).await
}

async fn page(server: &Server, line: &str, query: &str) -> Value {
    let reply = ask(server, line, query).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    reply.json()
}

async fn tell(server: &Server, user_id: &str, version: i64, kind: &str) {
    let state = &server.state;
    announce(
        &state.store,
        &state.context,
        user_id,
        version,
        kind,
        json!({}),
    )
    .await;
}

/// Until every event has its place.
async fn placed(server: &Server) {
    eventually("all have their places", async || {
        let waiting = server
            .state
            .store
            .read(|tx| Box::pin(rows::any_unplaced(tx)))
            .await;
        !waiting.unwrap()
    })
    .await;
}

fn versions(page: &Value) -> Vec<(String, i64)> {
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| {
            let data = &event["data"];
            (
                data["user_id"].as_str().unwrap().to_owned(),
                data["version"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_gets_its_own_kinds_page_by_page_and_goes_on_where_it_was() {
    let mut server = Server::start_with(&settings()).await;
    tell(&server, "u1", 2, "account.created").await;
    tell(&server, "u1", 3, "binding.added").await;
    tell(&server, "u1", 4, "user_id.replaced").await;
    placed(&server).await;
    let first = page(&server, "points", "?limit=2").await;
    assert_eq!(versions(&first), [("u1".into(), 2), ("u1".into(), 3)]);
    assert_eq!(first["more"], true);
    let event = &first["events"][1];
    assert_eq!(
        (&event["type"], &event["data"]["previous_version"]),
        (&json!("binding.added"), &json!(2))
    );
    assert!(event["id"].as_str().is_some_and(|id| !id.is_empty()));
    let cursor = first["cursor"].as_str().unwrap();
    let rest = page(&server, "points", &format!("?after={cursor}")).await;
    assert_eq!(versions(&rest), [("u1".into(), 4)]);
    assert_eq!(rest["more"], false);
    // Nothing new: the cursor stays good, and gives what comes later.
    let cursor = rest["cursor"].as_str().unwrap().to_owned();
    let none = page(&server, "points", &format!("?after={cursor}")).await;
    assert_eq!(versions(&none), []);
    tell(&server, "u2", 2, "account.created").await;
    placed(&server).await;
    for cursor in [cursor.as_str(), none["cursor"].as_str().unwrap()] {
        let next = page(&server, "points", &format!("?after={cursor}")).await;
        assert_eq!(versions(&next), [("u2".into(), 2)]);
    }
    let few = page(&server, "loans", "").await;
    assert_eq!(
        versions(&few),
        [("u1".into(), 2), ("u1".into(), 4), ("u2".into(), 2)]
    );
    assert_eq!(few["events"][1]["data"]["previous_version"], 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_line_s_own_signature_of_this_very_request_is_taken_and_once() {
    let mut server = Server::start_with(&settings()).await;
    let good = || Asking::new(&server, "points", SECRET, "?limit=1");
    let once = good().request();
    let again = Request {
        method: once.method,
        path: once.path.clone(),
        headers: once.headers.clone(),
        body: Vec::new(),
    };
    assert_eq!(server.send(once).await.status, 200);
    assert_eq!(server.send(again).await.problem(), "signature_invalid");
    let now = server.state.context.now().seconds();
    for (what, wrong) in [
        (
            "another line's secret",
            Asking {
                secret: OTHER_SECRET,
                ..good()
            },
        ),
        (
            "another line's name",
            Asking {
                line: "loans",
                ..good()
            },
        ),
        (
            "a line that is not there",
            Asking {
                line: "nobody",
                ..good()
            },
        ),
        (
            "too old",
            Asking {
                timestamp: now - 301,
                ..good()
            },
        ),
        (
            "of later",
            Asking {
                timestamp: now + 301,
                ..good()
            },
        ),
        (
            "another query",
            Asking {
                query: "?limit=2",
                ..good()
            },
        ),
        (
            "no query",
            Asking {
                query: "",
                ..good()
            },
        ),
        (
            "another method",
            Asking {
                signed: format!("POST {EVENTS}?limit=1"),
                ..good()
            },
        ),
        (
            "a dot in the id",
            Asking {
                id: "a.b".to_owned(),
                ..good()
            },
        ),
    ] {
        let reply = server.send(wrong.request()).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (401, "signature_invalid"),
            "{what}"
        );
    }
    for header in [
        "Postern-Line",
        "Webhook-Id",
        "Webhook-Timestamp",
        "Webhook-Signature",
    ] {
        let without = good().request().without(header);
        assert_eq!(
            server.send(without).await.problem(),
            "signature_invalid",
            "{header}"
        );
        let twice = good().request().with(header, "x");
        assert_eq!(
            server.send(twice).await.problem(),
            "signature_invalid",
            "{header}"
        );
    }
    assert_eq!(
        ask(&server, "points", "?limit=0").await.problem(),
        "invalid_request"
    );
    assert_eq!(
        ask(&server, "points", "?line=loans").await.problem(),
        "invalid_request"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_line_or_of_before_what_was_deleted_is_refused() {
    let mut server = Server::start_with(&settings()).await;
    for version in 2..6 {
        tell(&server, "u1", version, "account.created").await;
    }
    placed(&server).await;
    let first = page(&server, "points", "?limit=1").await;
    let third = page(&server, "points", "?limit=3").await;
    let after = |page: &Value| format!("?after={}", page["cursor"].as_str().unwrap());
    assert_eq!(
        ask(&server, "loans", &after(&first)).await.problem(),
        "cursor_invalid"
    );
    assert_eq!(
        ask(&server, "points", "?after=AAAA").await.problem(),
        "cursor_invalid"
    );
    server.pass(91 * 24 * 3600);
    let state = &server.state;
    assert_eq!(state.outbox.sweep(state.context.now()).await.unwrap(), 3);
    // It stood where nothing is missing.
    assert_eq!(
        versions(&page(&server, "points", &after(&third)).await),
        [("u1".into(), 5)]
    );
    // It began at the beginning, when nothing was deleted: now something after it is.
    assert_eq!(
        ask(&server, "points", &after(&first)).await.problem(),
        "cursor_invalid"
    );
    // From the beginning of what is kept one comes through, whatever the pages.
    let begin = page(&server, "points", "?limit=1").await;
    assert_eq!(versions(&begin), [("u1".into(), 5)]);
    assert_eq!(versions(&page(&server, "points", &after(&begin)).await), []);
    server.stop().await;
}

/// What one account center's customers do while a line reads: for each writer its accounts, one after the other.
fn plan() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    (
        proptest::collection::vec(proptest::collection::vec(0_u8..4, 1..25), 2..5),
        proptest::collection::vec(1_u8..20, 1..8),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_that_reads_while_others_commit_gets_everything_once_and_in_order((writers, limits) in plan()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(read_while_writing(writers, limits));
    }
}

async fn read_while_writing(writers: Vec<Vec<u8>>, limits: Vec<u8>) {
    let server = Arc::new(Server::start_with(&settings()).await);
    let total: usize = writers.iter().map(Vec::len).sum();
    let done = Arc::new(AtomicBool::new(false));
    let writing = {
        let (server, done) = (server.clone(), done.clone());
        tokio::spawn(async move {
            let each = writers.into_iter().enumerate().map(|(writer, accounts)| {
                let server = server.clone();
                tokio::spawn(async move {
                    let mut last: BTreeMap<u8, i64> = BTreeMap::new();
                    for account in accounts {
                        let version = last.entry(account).or_insert(1);
                        *version += 1;
                        tell(
                            &server,
                            &format!("w{writer}a{account}"),
                            *version,
                            "binding.added",
                        )
                        .await;
                    }
                })
            });
            futures_util::future::try_join_all(each).await.unwrap();
            done.store(true, Ordering::SeqCst);
        })
    };
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut cursor = String::new();
    let mut rounds = limits.iter().cycle();
    loop {
        let all_written = done.load(Ordering::SeqCst);
        if all_written {
            placed(&server).await;
        }
        let limit = rounds.next().unwrap();
        let query = match cursor.as_str() {
            "" => format!("?limit={limit}"),
            cursor => format!("?limit={limit}&after={cursor}"),
        };
        let page = page(&server, "points", &query).await;
        for (event, (user_id, version)) in page["events"]
            .as_array()
            .unwrap()
            .iter()
            .zip(versions(&page))
        {
            assert!(
                seen.insert(event["id"].as_str().unwrap().to_owned()),
                "{event} came twice"
            );
            let before = last.insert(user_id, version).unwrap_or(1);
            assert_eq!(version, before + 1, "{event}");
        }
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
        if all_written && page["more"] == false {
            break;
        }
    }
    writing.await.unwrap();
    assert_eq!(seen.len(), total);
}
