//! A closed loop: so many connections, each with one request under way, over requests that were made before. So the generator does little while the server is
//! measured: it writes bytes and reads replies.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

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

/// Sends the requests over so many connections, until all are answered or the time is over. Every reply must have status 200.
pub(crate) async fn run(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    limit: Duration,
) -> Result<Outcome> {
    struct Shared {
        requests: Vec<Vec<u8>>,
        next: Cell<usize>,
        latencies: RefCell<Vec<Duration>>,
        replies: RefCell<Vec<Option<Response>>>,
    }
    let count = requests.len();
    let shared = Rc::new(Shared {
        requests,
        next: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(count)),
        replies: RefCell::new((0..count).map(|_| None).collect()),
    });
    let mut open = Vec::new();
    for _ in 0..connections.min(count) {
        open.push(Connection::open(address).await?);
    }
    let local = LocalSet::new();
    let started = Instant::now();
    let mut tasks = Vec::new();
    for mut connection in open {
        let shared = Rc::clone(&shared);
        tasks.push(local.spawn_local(async move {
            loop {
                let number = shared.next.get();
                let Some(request) = shared.requests.get(number) else {
                    return Ok(());
                };
                if started.elapsed() > limit {
                    return Ok(());
                }
                shared.next.set(number + 1);
                let sent = Instant::now();
                let reply = connection.send(request).await?;
                if reply.status != 200 {
                    return Err::<(), crate::Failure>(
                        format!(
                            "request {number} was answered {}: {}",
                            reply.status,
                            String::from_utf8_lossy(&reply.body)
                        )
                        .into(),
                    );
                }
                shared.latencies.borrow_mut().push(sent.elapsed());
                shared.replies.borrow_mut()[number] = Some(reply);
            }
        }));
    }
    local
        .run_until(async {
            for task in tasks {
                task.await??;
            }
            Ok::<_, crate::Failure>(())
        })
        .await?;
    let elapsed = started.elapsed();
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    Ok(Outcome {
        elapsed,
        latencies,
        replies: shared.replies.take(),
    })
}
