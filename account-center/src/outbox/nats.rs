//! NATS `JetStream` as a receiver: every event on `postern.events.<kind>`, with its id for the broker's own deduplication, acknowledged before it counts as taken.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::NatsSettings;
use super::schedule::Schedule;
use super::sink::{Outcome, Outgoing, Sink};

/// Events under way at a time.
pub(super) const CONCURRENCY: usize = 32;
/// For one event: to the broker and its acknowledgement back.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// All our subjects.
const SUBJECTS: &str = "postern.events.>";

/// Publishes to one broker.
pub(super) struct NatsSink {
    settings: NatsSettings,
    context: OnceCell<jetstream::Context>,
}

impl NatsSink {
    pub(super) fn new(settings: NatsSettings) -> Self {
        Self {
            settings,
            context: OnceCell::new(),
        }
    }

    /// Connects once; from then on the client keeps the connection up by itself.
    async fn connect(&self) -> Result<jetstream::Context, &'static str> {
        let NatsSettings {
            url,
            credentials,
            token,
            stream,
        } = &self.settings;
        // Already installed by somebody else is as good: the process has one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = async_nats::ConnectOptions::new()
            .name("postern-account-center")
            .connection_timeout(TIME_LIMIT)
            .request_timeout(Some(TIME_LIMIT));
        if let Some(credentials) = credentials {
            options = options
                .credentials(credentials.expose())
                .map_err(|_| "the credentials are not of the form")?;
        }
        if let Some(token) = token {
            options = options.token(token.expose().to_owned());
        }
        let servers: Vec<&str> = url.split(',').map(str::trim).collect();
        let client = options
            .connect(servers)
            .await
            .map_err(|_| "the broker cannot be reached, or refuses us")?;
        let context = jetstream::ContextBuilder::new()
            .timeout(TIME_LIMIT)
            .build(client);
        if let Some(name) = stream {
            let wanted = stream::Config {
                name: name.clone(),
                subjects: vec![SUBJECTS.to_owned()],
                ..stream::Config::default()
            };
            context
                .get_or_create_stream(wanted)
                .await
                .map_err(|_| "the stream is not there and cannot be made")?;
        }
        Ok(context)
    }

    async fn publish(&self, outgoing: &Outgoing<'_>) -> Outcome {
        let context = match self.context.get_or_try_init(|| self.connect()).await {
            Ok(context) => context,
            Err(why) => return Outcome::failed(why),
        };
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, outgoing.id);
        let subject = format!("postern.events.{}", outgoing.kind);
        let sent = context
            .publish_with_headers(subject, headers, outgoing.body.clone().into())
            .await;
        let acknowledged = match sent {
            Ok(acknowledged) => acknowledged.await,
            Err(_) => return Outcome::failed("the broker did not take the event"),
        };
        match acknowledged {
            // A duplicate is one that the broker has already.
            Ok(_) => Outcome::Taken,
            Err(_) => Outcome::failed(
                "the broker did not acknowledge: is there a stream for postern.events.>?",
            ),
        }
    }
}

impl Sink for NatsSink {
    fn send<'a>(&'a self, outgoing: &'a Outgoing<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.publish(outgoing))
    }

    fn time_limit(&self) -> Duration {
        // The first one connects, and may make the stream.
        TIME_LIMIT * 3
    }

    fn schedule(&self, _urgent: bool) -> Schedule {
        Schedule::Broker
    }
}
