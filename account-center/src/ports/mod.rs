//! What the bank has already, as traits with an HTTP connector each: customers, face recognition, SMS, notices.
//!
//! A connector has a time limit, reads a bounded reply, parses it strictly, and tells three things apart: an answer, a service that cannot be reached
//! ([`PortError::Unavailable`]: the same call may be made again), and one that does not know us ([`PortError::Misconfigured`]: somebody must mend it).

pub mod addresses;
pub mod customers;
pub mod face;
pub mod notify;
pub mod outbound;
pub mod sms;
pub mod tencent;

pub use addresses::Reach;
pub use customers::{CardProof, CustomerDirectory, HttpCustomerDirectory, ProofResult};
pub use face::{FaceBinding, FaceSession, FaceVerifier, HttpFaceVerifier, TicketResult};
pub use notify::{CustomerNotifier, HttpCustomerNotifier, Notice, NoticeKind, SmsNotifier};
pub use outbound::{Endpoint, Outbound, OutboundSettings};
pub use sms::{HttpSmsGateway, LoginCodeMessage, NoticeMessage, SmsGateway};

/// Why a port gave no answer. Never carries what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The service cannot be reached, takes too long, or says that it is out of order.
    #[error("unavailable: {what}")]
    Unavailable {
        /// For the log.
        what: String,
        /// The request may have been performed all the same: its reply was lost.
        maybe_done: bool,
    },
    /// The service refuses us, or answers what it should not: retrying will not help.
    #[error("misconfigured: {what}")]
    Misconfigured {
        /// For the log.
        what: String,
    },
}

impl PortError {
    /// A definite failure: nothing was performed.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable {
            what: what.into(),
            maybe_done: false,
        }
    }

    /// The service is not as it was described to us.
    pub fn misconfigured(what: impl Into<String>) -> Self {
        Self::Misconfigured { what: what.into() }
    }
}
