//! The outbox, from committed events to real receivers over HTTP and NATS (contract/webhooks.md), on SQLite or, with `POSTERN_TEST_POSTGRES`, on PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod giving_up;
mod nats;
mod order;
mod replay;
mod retention;
mod sessions;
mod world;
