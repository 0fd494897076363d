//! The client core of Postern: login flow, session, account-center client. Pure Rust, no FFI.
//!
//! It has no global and no clock or randomness of its own: see `README.md` beside this crate for the map of modules.

#![forbid(unsafe_code)]

pub mod account;
pub mod api;
pub mod config;
pub mod error;
mod json;
pub mod login;
pub mod offload;
mod postern;
mod process_lock;
pub mod proof;
pub mod providers;
pub mod random;
pub mod refusal;
pub mod sealing;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod transport;
pub mod vault;
pub mod verification;

pub use config::{PosternConfig, TimeLimits};
pub use postern::{Postern, PosternBuilder};

#[cfg(test)]
pub(crate) mod testing;
