//! Asks the account center for events that this line missed (contract/webhooks.md, Replay).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postern_server_security::webhook::WebhookSecret;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use url::Url;

use crate::event::Event;

/// The account center did not answer as it should. The line goes on as it is, and asks again with the next webhook.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection, or no reply in time.
    #[error("the account center cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// Another status than 200.
    #[error("the account center answered {0}")]
    Status(u16),
    /// This machine has no randomness to give.
    #[error("no randomness")]
    Randomness,
}

/// One page of events.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// In the one order that all requests see.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub cursor: String,
    /// Whether there is one at present.
    pub more: bool,
}

/// The account center, as this line asks it.
#[derive(Debug, Clone)]
pub struct AccountCenter {
    base: Url,
    line: String,
    secret: WebhookSecret,
    client: reqwest::Client,
}

impl AccountCenter {
    /// `base` is the account center's public URL, `line` this line's name in its settings.
    pub fn new(base: Url, line: &str, secret: WebhookSecret) -> Result<Self, AskError> {
        // Already installed by somebody else is as good: the process has one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(AskError::Unreachable)?;
        Ok(Self {
            base,
            line: line.to_owned(),
            secret,
            client,
        })
    }

    /// The events after a cursor; without one all that is kept.
    pub async fn events(&self, after: Option<&str>) -> Result<Page, AskError> {
        let mut target = "/v1/outbox/events?limit=500".to_owned();
        if let Some(cursor) = after {
            // Cursors are base64url, and need no escaping.
            target.push_str("&after=");
            target.push_str(cursor);
        }
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| AskError::Randomness)?;
        let id = postern_server_security::base64url::encode(bytes);
        let now = seconds();
        let signature = self
            .secret
            .sign(&id, now, format!("GET {target}").as_bytes());
        // A public URL may have a path of its own, which is not signed.
        let url = format!("{}{target}", self.base.as_str().trim_end_matches('/'));
        let reply = self
            .client
            .get(url)
            .header("postern-line", &self.line)
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .send()
            .await
            .map_err(AskError::Unreachable)?;
        if reply.status() != 200 {
            return Err(AskError::Status(reply.status().as_u16()));
        }
        reply.json().await.map_err(AskError::Unreachable)
    }
}

/// The machine's clock, in seconds since 1970.
pub(crate) fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
