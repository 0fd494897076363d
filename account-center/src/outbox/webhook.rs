//! A business line's webhooks (Standard Webhooks, contract/webhooks.md).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use postern_server_security::webhook::{WebhookSecret, WebhookSigningKey};
use url::Url;

use super::schedule::Schedule;
use super::sink::{Outcome, Outgoing, Sink};
use super::{LineSettings, hosts};
use crate::context::Timestamp;

/// Read of a reply, so that its connection can serve again. Nothing in it matters.
const REPLY_READ: usize = 4096;
/// How long that may take.
const REPLY_PATIENCE: Duration = Duration::from_millis(200);

/// Sends to one line's address.
pub(super) struct WebhookSink {
    client: reqwest::Client,
    url: Url,
    secrets: Vec<WebhookSecret>,
    signing_key: Option<Arc<WebhookSigningKey>>,
    time_limit: Duration,
}

impl WebhookSink {
    /// Prepares a client. A host that is not private gets a resolver that knows public addresses only; behind a proxy it is the proxy that resolves, and has to
    /// be as careful.
    pub(super) fn new(
        url: &Url,
        line: &LineSettings,
        private_hosts: &BTreeSet<String>,
        proxy: Option<&Url>,
    ) -> Result<Self, String> {
        hosts::check(url, private_hosts)?;
        // Already installed by somebody else is as good: the process has one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(line.time_limit)
            .connect_timeout(line.time_limit)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent("postern-account-center")
            .no_proxy();
        match (hosts::resolver(url, private_hosts), proxy) {
            (Some(_), Some(proxy)) => {
                let proxy =
                    reqwest::Proxy::all(proxy.clone()).map_err(|error| error.to_string())?;
                builder = builder.proxy(proxy);
            }
            (Some(resolver), None) => builder = builder.dns_resolver(resolver),
            (None, _) => {}
        }
        Ok(Self {
            client: builder.build().map_err(|error| error.to_string())?,
            url: url.clone(),
            secrets: line.secrets.clone(),
            signing_key: line.signing_key.clone(),
            time_limit: line.time_limit,
        })
    }

    /// An entry for each secret, so that the line may know either while they are exchanged.
    fn signatures(&self, outgoing: &Outgoing<'_>, timestamp: u64) -> String {
        let Outgoing { id, body, .. } = outgoing;
        let shared = self
            .secrets
            .iter()
            .map(|secret| secret.sign(id, timestamp, body));
        let own = self
            .signing_key
            .iter()
            .map(|key| key.sign(id, timestamp, body));
        shared.chain(own).collect::<Vec<_>>().join(" ")
    }

    async fn post(&self, outgoing: &Outgoing<'_>) -> Outcome {
        let timestamp = u64::try_from(outgoing.at.seconds()).unwrap_or(0);
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", outgoing.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.signatures(outgoing, timestamp))
            .body(outgoing.body.clone())
            .send()
            .await;
        let mut reply = match sent {
            Ok(reply) => reply,
            Err(error) => return Outcome::failed(reason(&error)),
        };
        let outcome = judge(reply.status(), reply.headers(), outgoing.at);
        // The head has decided. A longer body, or one that comes drop by drop, costs its connection and nothing else.
        let rest = async {
            let mut read = 0;
            while let Ok(Some(chunk)) = reply.chunk().await {
                read += chunk.len();
                if read > REPLY_READ {
                    break;
                }
            }
        };
        // Either way it is done with.
        let _ = tokio::time::timeout(REPLY_PATIENCE, rest).await;
        outcome
    }
}

impl Sink for WebhookSink {
    fn send<'a>(&'a self, outgoing: &'a Outgoing<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.post(outgoing))
    }

    fn time_limit(&self) -> Duration {
        self.time_limit
    }

    fn schedule(&self, urgent: bool) -> Schedule {
        if urgent {
            Schedule::Urgent
        } else {
            Schedule::Webhook
        }
    }
}

/// 2xx is taken, 410 wants no more, everything else is sent again: redirects too, for where they lead nobody has vouched for.
fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Taken,
        410 => Outcome::Gone,
        429 | 503 => Outcome::Failed {
            why: format!("HTTP {}", status.as_u16()).into(),
            retry_after: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| retry_after(text.trim(), now)),
        },
        other => Outcome::failed(format!("HTTP {other}")),
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let until = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let until = Timestamp::from_seconds(i64::try_from(until.as_secs()).ok()?);
    Some(Duration::from_secs(now.seconds_until(until)))
}

/// Only the kind of failure: the error's own text holds the address, and the address may hold a secret.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no reply within the time limit"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp::from_seconds(784_111_777);
        judge(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    fn waits(outcome: &Outcome) -> Option<u64> {
        match outcome {
            Outcome::Failed { retry_after, .. } => retry_after.map(|after| after.as_secs()),
            _ => None,
        }
    }

    #[test]
    fn statuses_say_taken_gone_or_again() {
        for status in [200, 202, 204, 299] {
            assert_eq!(answer(status, None), Outcome::Taken);
        }
        assert_eq!(answer(410, None), Outcome::Gone);
        for status in [301, 302, 307, 400, 401, 404, 422, 429, 500, 503] {
            assert_eq!(
                answer(status, None),
                Outcome::failed(format!("HTTP {status}"))
            );
        }
    }

    #[test]
    fn retry_after_counts_with_429_and_503_in_both_its_forms() {
        assert_eq!(waits(&answer(429, Some("120"))), Some(120));
        assert_eq!(
            waits(&answer(503, Some("Sun, 06 Nov 1994 08:50:37 GMT"))),
            Some(60)
        );
        assert_eq!(
            waits(&answer(503, Some("Sun, 06 Nov 1994 08:00:00 GMT"))),
            Some(0)
        );
        assert_eq!(waits(&answer(503, Some("soon"))), None);
        assert_eq!(waits(&answer(503, Some("-5"))), None);
        assert_eq!(waits(&answer(500, Some("120"))), None);
    }
}
