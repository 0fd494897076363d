//! The steps of `POST /v1/login` (L2 to L7): a pure decision per answer, and the engine that performs it.
//!
//! | file | what it is |
//! |---|---|
//! | `wire` `parse` | what goes over the wire, read strictly |
//! | `decision` | what comes next: a pure function |
//! | `state` `policy` | where a login stands between two requests; times, limits, texts |
//! | `bank` | takes somebody in who logged in at the bank (L1) |
//! | `begin` `silent` | exchange a provider's credential, with the person's knowledge or without (W4) |
//! | `engine` | finds the step that an answer is for |
//! | `advance` | decides and writes, in one transaction |
//! | `judging` `vouched` | what the account's operations ask for too: sealed fields, passwords, cards, faces, codes; a provider's word |
//! | `sms` `verification` `registration` `face` | one step each |

mod advance;
mod bank;
mod begin;
pub mod decision;
pub(crate) mod engine;
mod face;
mod faces;
pub(crate) mod judging;
pub mod parse;
pub(crate) mod password_rules;
pub mod policy;
pub mod prepare;
mod registration;
pub(crate) mod silent;
mod sms;
mod state;
mod verification;
pub(crate) mod vouched;
pub mod wire;

pub use engine::{Engine, Parts};
pub use policy::LoginPolicy;

#[cfg(test)]
mod tests;
