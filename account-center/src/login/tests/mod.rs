#![allow(clippy::unwrap_used)]
//! Logins over a real SQLite file. The outside parties are in `outside.rs`; `world.rs` plays the edge.

mod bank;
mod faults;
mod guests;
mod handles;
mod identity;
mod limits;
mod notifications;
mod outside;
mod proofs;
mod races;
mod sms;
mod ways;
mod world;

// What people do with their account, in the same world.
#[path = "../../account/tests/mod.rs"]
mod account;
