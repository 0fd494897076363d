//! A closed loop: so many connections, each with one request under way. Where the server allows it, requests are made before, so that the generator only writes bytes
//! and reads replies while the server is measured.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, TryStreamExt as _};

use crate::Result;
use crate::wire::{Connection, Response};

/// What came of it.
pub(crate) struct Outcome {
    /// From the first request to the last reply.
    pub(crate) elapsed: Duration,
    /// How long each request took, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The replies, by the number of their request; those that were not sent are `None`.
    pub(crate) replies: Vec<Option<Response>>,
}

impl Outcome {
    /// Requests that were answered.
    pub(crate) fn done(&self) -> usize {
        self.latencies.len()
    }

    /// The time within which a share of the requests was answered.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list of measurements"
        )]
        let index = (share * self.latencies.len() as f64) as usize;
        self.latencies
            .get(index.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// What is sent.
pub(crate) enum Requests<'a> {
    /// Made before.
    Made(Vec<Vec<u8>>),
    /// Made one by one when they are sent, as their proofs are good for seconds only: how many, and the one of a number.
    Late(usize, &'a dyn Fn(usize) -> Result<Vec<u8>>),
}

impl Requests<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Made(requests) => requests.len(),
            Self::Late(count, _) => *count,
        }
    }
}

/// Sends the requests over so many connections, until all are answered or the time is over. Every reply must have status 200.
pub(crate) async fn run(
    address: SocketAddr,
    requests: Requests<'_>,
    connections: usize,
    limit: Duration,
) -> Result<Outcome> {
    let count = requests.count();
    let mut open = Vec::new();
    for _ in 0..connections.min(count) {
        open.push(Connection::open(address).await?);
    }
    let next = Cell::new(0);
    let latencies = RefCell::new(Vec::with_capacity(count));
    let replies = RefCell::new((0..count).map(|_| None).collect::<Vec<_>>());
    let started = Instant::now();
    let one_after_the_other = |mut connection: Connection| {
        let (requests, next, latencies, replies) = (&requests, &next, &latencies, &replies);
        async move {
            while next.get() < count && started.elapsed() < limit {
                let number = next.get();
                next.set(number + 1);
                let made;
                let request = match requests {
                    Requests::Made(requests) => &requests[number],
                    Requests::Late(_, builder) => {
                        made = builder(number)?;
                        &made
                    }
                };
                let sent = Instant::now();
                let reply = connection.send(request).await?;
                if reply.status != 200 {
                    return Err(format!(
                        "request {number} was answered {}: {}",
                        reply.status,
                        String::from_utf8_lossy(&reply.body)
                    )
                    .into());
                }
                latencies.borrow_mut().push(sent.elapsed());
                replies.borrow_mut()[number] = Some(reply);
            }
            Ok::<(), crate::Failure>(())
        }
    };
    let all: FuturesUnordered<_> = open.into_iter().map(one_after_the_other).collect();
    all.try_collect::<()>().await?;
    let elapsed = started.elapsed();
    let mut latencies = latencies.take();
    latencies.sort_unstable();
    Ok(Outcome {
        elapsed,
        latencies,
        replies: replies.take(),
    })
}
