//! The account center: identities, bindings, logins and sessions of a bank's customers.
//!
//! `contract/README.md` is what it speaks; `README.md` beside this crate says how a request goes through.

pub mod account;
pub mod admin;
pub mod app;
pub mod bank;
mod calendar;
pub mod cli;
pub mod config;
pub mod context;
pub mod funnel;
pub mod guests;
pub mod hashing;
pub mod http;
pub mod idempotency;
pub mod identity;
pub mod import;
pub mod keys;
pub mod login;
pub mod notices;
pub mod notifications;
pub mod outbox;
pub mod phone_number;
pub mod ports;
pub mod problem;
pub mod providers;
pub mod rollout;
pub mod secret;
mod services;
pub mod sessions;
pub mod store;
#[cfg(test)]
extern crate self as postern_account_center;
#[cfg(test)]
mod testing;
