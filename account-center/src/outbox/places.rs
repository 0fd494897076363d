//! Gives committed events their places, one account center at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::{Inner, stopped};
use crate::store::outbox::{self as rows, Placing};
use crate::store::{StoreError, outbox};

/// How long the lease lasts without being renewed: after a crash another account center goes on then.
const LEASE: Duration = Duration::from_secs(3);
/// Between two looks, shortly after events; and when there was nothing for a while. Commits of this process wake it at once, so this is for those of others.
const SOON: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks in any case: what is committed meanwhile goes together.
const GATHERING: Duration = Duration::from_millis(5);

/// Until `stop`.
pub(super) async fn run(outbox: Arc<Inner>, mut stop: watch::Receiver<bool>) {
    let holder = Arc::new(outbox.context.token128());
    let mut pause = SOON;
    loop {
        match give(&outbox, &holder).await {
            Ok(Some(Placing::Placed { events, gaps })) if events > 0 => {
                noticed(&outbox, events, gaps);
                pause = SOON;
                if !*stop.borrow() {
                    continue;
                }
            }
            Ok(Some(Placing::HeldByAnother)) => pause = SOON,
            Ok(_) => pause = (pause * 2).min(IDLE),
            Err(error) => {
                tracing::warn!(%error, "events could not be given their places; tried again in a second");
                pause = IDLE;
            }
        }
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = outbox.store.committed() => tokio::time::sleep(GATHERING).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
    let released = outbox
        .store
        .write(move |tx| {
            let holder = Arc::clone(&holder);
            Box::pin(async move { outbox::release_places(tx, &holder).await })
        })
        .await;
    if let Err(error) = released {
        tracing::debug!(%error, "the lease on the outbox's places ends by itself");
    }
}

/// Looks first, so that nothing is written where nothing happened.
async fn give(outbox: &Inner, holder: &Arc<String>) -> Result<Option<Placing>, StoreError> {
    let waiting = outbox
        .store
        .read(|tx| Box::pin(rows::any_unplaced(tx)))
        .await?;
    if !waiting {
        return Ok(None);
    }
    let (holder, context) = (Arc::clone(holder), outbox.context.clone());
    let placing = outbox
        .store
        .write(move |tx| {
            let (holder, now) = (Arc::clone(&holder), context.now());
            Box::pin(async move { rows::place(tx, &holder, now, now.plus(LEASE)).await })
        })
        .await?;
    Ok(Some(placing))
}

fn noticed(outbox: &Inner, events: usize, gaps: usize) {
    let gauges = &outbox.gauges;
    gauges.placed.fetch_add(events as u64, Ordering::Relaxed);
    gauges.gaps.fetch_add(gaps as u64, Ordering::Relaxed);
    if gaps > 0 {
        tracing::error!(
            gaps,
            "events are missing from the outbox: rows were lost or deleted by hand"
        );
    }
    outbox.wake_lines();
}
