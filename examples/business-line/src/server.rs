//! The line's HTTP server: webhooks in, and a page that shows points.

use std::fmt;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use postern_server_security::guards::MemoryEndedSessions;
use postern_server_security::webhook::{WebhookHeaders, WebhookVerifier};
use tokio::sync::Mutex;

use crate::catch_up::{AccountCenter, AskError, seconds};
use crate::event::{Event, Malformed};
use crate::ledger::{Ledger, Missing, Taken};

/// The largest event that is read.
const BODY_LIMIT: usize = 64 * 1024;

/// The line: cheap to clone.
#[derive(Clone)]
pub struct BusinessLine {
    inner: Arc<Inner>,
}

struct Inner {
    verifier: WebhookVerifier,
    account_center: AccountCenter,
    ended: Arc<MemoryEndedSessions>,
    ledger: std::sync::Mutex<Ledger>,
    /// Where the last replay ended. Held while one is under way: two at a time would only do the same.
    cursor: Mutex<Option<String>>,
}

impl fmt::Debug for BusinessLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusinessLine")
    }
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl BusinessLine {
    /// `verifier` has the line's secrets (two while one replaces the other); `ended` is the same that the line's `ResourceVerifier` asks.
    pub fn new(
        verifier: WebhookVerifier,
        account_center: AccountCenter,
        ended: Arc<MemoryEndedSessions>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                verifier,
                account_center,
                ended,
                ledger: std::sync::Mutex::default(),
                cursor: Mutex::new(None),
            }),
        }
    }

    /// Works on the points.
    pub fn ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        let ledger = self.inner.ledger.lock();
        work(&mut ledger.unwrap_or_else(PoisonError::into_inner))
    }

    async fn take(&self, event: &Event) -> Result<(), NotTaken> {
        if self.apply(event, Missing::Refuse)? == Taken::Gap {
            self.catch_up().await?;
            // Whatever is missing now is missing there too.
            self.apply(event, Missing::Accept)?;
        }
        Ok(())
    }

    fn apply(&self, event: &Event, missing: Missing) -> Result<Taken, Malformed> {
        if event.kind == "session.ended" {
            let ended_at = u64::try_from(event.number("ended_at")?).unwrap_or(0);
            self.inner
                .ended
                .end_at(event.text("session_id")?, ended_at, seconds());
            return Ok(Taken::Applied);
        }
        self.ledger(|ledger| ledger.take(event, missing))
    }

    /// Takes everything since the last time, in the account center's order.
    pub async fn catch_up(&self) -> Result<(), AskError> {
        let mut cursor = self.inner.cursor.lock().await;
        loop {
            let page = self.inner.account_center.events(cursor.as_deref()).await;
            let page = match page {
                // What is after our cursor is deleted by now: begin with what is kept.
                Err(AskError::Status(400)) if cursor.is_some() => {
                    *cursor = None;
                    continue;
                }
                page => page?,
            };
            for event in &page.events {
                // One that we cannot read is of no use to us however often it comes.
                let _ = self.apply(event, Missing::Accept);
            }
            *cursor = Some(page.cursor);
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// The line's routes.
pub fn router(line: BusinessLine) -> Router {
    Router::new()
        .route("/postern/events", post(webhook))
        .route("/points/{user_id}", get(points))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(line)
}

/// The signature first, over the bytes as they came; then the event. 2xx only once it is taken.
async fn webhook(
    State(line): State<BusinessLine>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let signed = WebhookHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    if let Err(error) = line.inner.verifier.verify(&signed, &body, seconds()) {
        return (StatusCode::UNAUTHORIZED, error.to_string());
    }
    let event: Event = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(_) => return (StatusCode::BAD_REQUEST, "not an event".to_owned()),
    };
    match line.take(&event).await {
        Ok(()) => (StatusCode::NO_CONTENT, String::new()),
        Err(NotTaken::Malformed(error)) => (StatusCode::BAD_REQUEST, error.to_string()),
        Err(NotTaken::Ask(error)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn points(State(line): State<BusinessLine>, Path(user_id): Path<String>) -> String {
    line.ledger(|ledger| ledger.points(&user_id)).to_string()
}
