//! Listening, housekeeping, and stopping without breaking a request off.

use std::future::{Future, IntoFuture as _};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::listener::{Guarded, Peer, SILENCE};
use super::{AppState, admin_router, router};
use crate::funnel;
use crate::store::{StoreError, housekeeping};

/// How often expired rows are deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// What is listened on.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For operators: the admin API.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self {
            public,
            admin: None,
        }
    }
}

/// Serves until `stop` is over, then takes no more connections, finishes what is under way for at most `drain`, and closes the store.
pub async fn serve(
    listeners: impl Into<Listeners>,
    state: AppState,
    stop: impl Future<Output = ()> + Send + 'static,
    drain: Duration,
) -> std::io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let keeper = tokio::spawn(keep_house(state.clone(), stopped.clone()));
    state.outbox.start();
    let signal = tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping: requests under way are finished");
        // The receivers may be gone by now.
        let _ = stopping.send(true);
    });

    let Listeners { public, admin } = listeners.into();
    let app = router(state.clone()).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(Guarded::new(public, SILENCE), app)
        .with_graceful_shutdown(wait(stopped.clone()));
    let operators = serve_admin(admin, state.clone(), stopped.clone());
    let serving = async { tokio::try_join!(serving.into_future(), operators).map(|_| ()) };
    let result = tokio::select! {
        result = serving => result,
        () = async { wait(stopped).await; tokio::time::sleep(drain).await } => {
            tracing::warn!("some requests took longer than the time for stopping");
            Ok(())
        }
    };
    if tokio::time::timeout(drain, state.running.finished())
        .await
        .is_err()
    {
        tracing::warn!(
            "some work took longer than the time for stopping; its keys are free again when their leases end"
        );
    }
    state.outbox.stop(drain).await;
    signal.abort();
    keeper.abort();
    state.store.close().await;
    result
}

/// The admin API, if it is listened for.
async fn serve_admin(
    listener: Option<TcpListener>,
    state: AppState,
    stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let app = admin_router(state).into_make_service_with_connect_info::<Peer>();
    axum::serve(Guarded::new(listener, SILENCE), app)
        .with_graceful_shutdown(wait(stopped))
        .await
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error is the sender's end, which is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn keep_house(state: AppState, stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = wait(stopped.clone()) => return,
            _ = ticks.tick() => {}
        }
        let now = state.context.now();
        if let Err(error) = funnel::sweep(&state.store, now, state.retention).await {
            tracing::warn!(%error, "the day's events could not be counted; tried again in a minute");
        }
        let swept = async {
            let rows = housekeeping::sweep(&state.store, now).await?;
            Ok::<_, StoreError>(rows + state.outbox.sweep(now).await?)
        };
        match swept.await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "deleted expired rows"),
            Err(error) => {
                tracing::warn!(%error, "expired rows could not be deleted; tried again in a minute");
            }
        }
    }
}
