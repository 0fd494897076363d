//! Where events go, and what came of it.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::schedule::Schedule;
use crate::context::Timestamp;

/// The broker's name among the lines. No business line can have it.
pub const NATS_LINE: &str = "@nats";

/// One event on its way.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    /// The same in every repetition.
    pub(super) id: &'a str,
    /// What happened.
    pub(super) kind: &'a str,
    /// The whole body.
    pub(super) body: Vec<u8>,
    /// Now.
    pub(super) at: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Taken,
    /// The receiver wants no more (410).
    Gone,
    /// It has to be sent again.
    Failed {
        /// For people: no address, no secret.
        why: Cow<'static, str>,
        /// The receiver says when.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    pub(super) fn failed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed {
            why: why.into(),
            retry_after: None,
        }
    }
}

/// Sends events to one receiver.
pub(super) trait Sink: Send + Sync {
    /// Sends one, within [`Sink::time_limit`].
    fn send<'a>(&'a self, outgoing: &'a Outgoing<'a>) -> BoxFuture<'a, Outcome>;

    /// How long one try takes at most.
    fn time_limit(&self) -> Duration;

    /// When it is tried again.
    fn schedule(&self, urgent: bool) -> Schedule;
}
