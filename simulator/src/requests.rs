//! The list of requests that tests count (round trips, who was called). Bodies, headers and queries are never kept.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use axum::http::Method;
use serde::Serialize;

use crate::faults::Party;

/// The oldest are forgotten beyond this many.
const KEPT: usize = 10_000;

/// One request. `status` is null while it is under way, and for good where no answer went out.
#[derive(Clone, Serialize)]
pub(crate) struct Seen {
    #[serde(skip)]
    number: u64,
    party: Party,
    method: String,
    path: String,
    status: Option<u16>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    seen: VecDeque<Seen>,
}

/// Requests in the order of their arrival.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Inner>);

impl Requests {
    /// Notes an arrival; the number is for [`Requests::answered`].
    pub(crate) fn arrived(&self, party: Party, method: &Method, path: &str) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = inner.next;
        inner.next += 1;
        if inner.seen.len() == KEPT {
            inner.seen.pop_front();
        }
        inner.seen.push_back(Seen {
            number,
            party,
            method: method.to_string(),
            path: path.to_owned(),
            status: None,
        });
        number
    }

    /// Notes the status that went out.
    pub(crate) fn answered(&self, number: u64, status: u16) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = inner
            .seen
            .iter_mut()
            .rev()
            .find(|seen| seen.number == number)
        {
            seen.status = Some(status);
        }
    }

    pub(crate) fn list(&self, party: Option<Party>) -> Vec<Seen> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .seen
            .iter()
            .filter(|seen| party.is_none_or(|party| seen.party == party))
            .cloned()
            .collect()
    }

    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seen
            .clear();
    }
}
