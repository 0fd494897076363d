//! The edge: routes, admission, strict JSON, problems, request ids, OpenAPI.

mod address;
mod admin_call;
mod admission;
mod edge;
pub mod fields;
pub mod json;
mod listener;
pub mod openapi;
pub mod options;
pub mod reply;
pub mod request_id;
mod routes;
pub mod server;
pub mod state;
mod work;

use std::borrow::Cow;
use std::net::IpAddr;

use postern_server_security::Thumbprint;

use crate::idempotency::Ticket;

pub use admin_call::{AdminCall, admin_call};
pub use routes::{admin_router, router};
pub use state::AppState;
pub use work::Running;

/// An admitted call: its proof is good and spent, its Idempotency-Key is begun. What an engine gets beside the wire types.
#[derive(Clone, Debug)]
pub struct Call {
    /// `X-Request-Id`: goes into the body of each problem ([`reply::Reply::problem`]).
    pub request_id: String,
    /// The proof's key, by its RFC 7638 thumbprint.
    pub device_key: Thumbprint,
    /// Where the request came from.
    pub address: IpAddr,
    /// Where the person is, by what the bank's own edge says (L12).
    pub region: Option<String>,
    /// The path, as in the associated data of sealed fields (contract section 4).
    pub path: Cow<'static, str>,
    /// The entry in the ledger of replies: `call.ticket.finish(tx, &reply)` in the transaction that makes the reply true.
    ///
    /// An engine answers `Ok(Reply)` for what it finished, and `Err(Problem)` where it stored nothing: the edge then stores that problem, or, for 5xx and
    /// `rate_limited`, gives the key back.
    pub ticket: Ticket,
}

#[cfg(test)]
mod tests;
