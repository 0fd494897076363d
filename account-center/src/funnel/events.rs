//! A batch of the client's events, read strictly: the kinds are a closed list, and no member can hold anything personal.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Timestamp;
use crate::http::fields::Fields;
use crate::keys::{Keys, Purpose};
use crate::problem::{Code, Problem};
use crate::rollout::ClientFacts;
use crate::store::funnel::{self as rows, ClientEventRow};
use crate::store::limits::{self, Limit, Taken as Bucket};
use crate::store::{StoreError, Tx};

/// Events in a batch.
const MOST: usize = 100;
/// Later than this after it happened, an event is not counted any more: a phone was long without a network.
pub const LATEST: Duration = Duration::from_hours(72);
/// Batches of one device.
const PER_DEVICE: Limit = Limit {
    count: 120,
    window: Duration::from_hours(1),
};
/// Batches from one address, which many phones share.
const PER_ADDRESS: Limit = Limit {
    count: 12_000,
    window: Duration::from_hours(1),
};

/// The kinds that are taken from clients. The server knows the last two better itself: they are taken, and not counted.
pub const KINDS: [&str; 11] = [
    "shown",
    "tapped",
    "authorization_started",
    "consented",
    "refused",
    "cancelled",
    "app_missing",
    "returned_without_answer",
    "left_at_step",
    "bound",
    "logged_in",
];

/// The steps that `left_at_step` names.
const STEPS: [(&str, &str); 6] = [
    ("authorization", "left_at_authorization"),
    ("phone", "left_at_phone"),
    ("sms_code", "left_at_sms_code"),
    ("verification", "left_at_verification"),
    ("registration", "left_at_registration"),
    ("face", "left_at_face"),
];

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Taken {
    /// Events that are new.
    pub taken: u32,
    /// Events that this device sent before, and those that the server counts itself.
    pub known: u32,
    /// Events that are too old to be counted.
    pub late: u32,
}

#[allow(clippy::struct_field_names, reason = "the name on the wire")]
struct Event {
    event_id: String,
    attempt: String,
    kind: String,
    provider: String,
    /// By the client's clock.
    at: i64,
    counted: bool,
}

/// A batch.
pub struct Batch {
    app_id: String,
    client: ClientFacts,
    /// By the client's clock.
    sent_at: i64,
    events: Vec<Event>,
}

/// The name under which an attempt is kept. Only the device key that made it up can name it again.
pub fn attempt_name(keys: &Keys, device_key: &str, attempt: &str) -> String {
    keys.name(
        Purpose::Funnel,
        &[b"attempt", device_key.as_bytes(), attempt.as_bytes()],
    )
}

impl Batch {
    /// Reads a body. `offers` says whether an app has a provider.
    pub fn read(body: &[u8], offers: impl Fn(&str, &str) -> Option<bool>) -> Result<Self, Problem> {
        let mut body = Fields::of(body)?;
        let app_id = body.text("app_id", 64)?;
        let sent_at = body.integer("sent_at", 0..=i64::from(u32::MAX) * 4)?;
        let client = match body.optional_object("client")? {
            Some(client) => ClientFacts::read(client)?,
            None => ClientFacts::default(),
        };
        let events = body
            .objects("events", MOST)?
            .into_iter()
            .map(|event| {
                let pointer = event.pointer().to_owned();
                let event = Event::read(event)?;
                match offers(&app_id, &event.provider) {
                    Some(true) => Ok(event),
                    Some(false) => Err(Problem::invalid(
                        format!("{pointer}/provider"),
                        "this app has no such provider",
                    )),
                    None => Err(Problem::new(Code::AppUnknown).pointer("/app_id")),
                }
            })
            .collect::<Result<_, _>>()?;
        body.end()?;
        Ok(Self {
            app_id,
            client,
            sent_at,
            events,
        })
    }

    /// Writes the batch. The client's clock may be wrong by any amount: what counts is how long before the sending an event was.
    pub async fn write(
        &self,
        tx: &mut Tx,
        keys: &Keys,
        device_key: &str,
        address: &str,
        edge_region: Option<&str>,
        received: Timestamp,
    ) -> Result<Taken, Problem> {
        for (kind, whose, limit) in [
            ("events-device", device_key, PER_DEVICE),
            ("events-address", address, PER_ADDRESS),
        ] {
            let bucket = keys.name(Purpose::RateBucket, &[kind.as_bytes(), whose.as_bytes()]);
            if let Bucket::UsedUp(until) = limits::take(tx, &bucket, limit, received).await? {
                return Err(
                    Problem::new(Code::RateLimited).retry_after(received.seconds_until(until))
                );
            }
        }
        let device = keys.name(Purpose::Funnel, &[b"device", device_key.as_bytes()]);
        let region = edge_region
            .or(self.client.region.as_deref())
            .unwrap_or_default();
        let mut taken = Taken::default();
        for event in &self.events {
            let ago = u64::try_from(self.sent_at.saturating_sub(event.at)).unwrap_or(0);
            if ago > LATEST.as_secs() {
                taken.late += 1;
                continue;
            }
            let row = ClientEventRow {
                device: device.clone(),
                event_id: event.event_id.clone(),
                attempt: attempt_name(keys, device_key, &event.attempt),
                app_id: self.app_id.clone(),
                provider: event.provider.clone(),
                region: region.to_owned(),
                kind: event.kind.clone(),
                at: received.minus(Duration::from_secs(ago)),
            };
            if event.counted && rows::insert_client_event(tx, &row).await? {
                taken.taken += 1;
            } else {
                taken.known += 1;
            }
        }
        Ok(taken)
    }
}

impl Event {
    fn read(mut event: Fields) -> Result<Self, Problem> {
        let event_id = event.word("id", |text| uuid_of(text, Some(7)))?;
        let attempt = event.word("attempt", |text| uuid_of(text, None))?;
        let kind = event.word("kind", |word| KINDS.into_iter().find(|kind| *kind == word))?;
        let kind = if kind == "left_at_step" {
            event.word("step", |word| {
                STEPS
                    .into_iter()
                    .find(|(step, _)| *step == word)
                    .map(|(_, kind)| kind)
            })?
        } else {
            kind
        };
        let read = Self {
            event_id,
            attempt,
            provider: event.text("provider", 32)?,
            at: event.integer("at", 0..=i64::from(u32::MAX) * 4)?,
            counted: !matches!(kind, "bound" | "logged_in"),
            kind: kind.to_owned(),
        };
        event.end()?;
        Ok(read)
    }
}

/// A UUID in its usual form, in small letters; of a version where one is asked for (RFC 9562).
fn uuid_of(text: &str, version: Option<usize>) -> Option<String> {
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let fits = version.is_none_or(|version| uuid.get_version_num() == version);
    (text.len() == 36 && fits).then(|| uuid.to_string())
}

impl ClientFacts {
    /// Reads what a client says of itself.
    pub fn read(mut client: Fields) -> Result<Self, Problem> {
        let facts = Self {
            region: client.optional_text("region", 32)?,
            app_version: client.optional_text("app_version", 32)?,
            attempt: if client.has("attempt") {
                Some(client.word("attempt", |text| uuid_of(text, None))?)
            } else {
                None
            },
        };
        client.end()?;
        Ok(facts)
    }
}

/// What is written of a login's beginning, where the client or the edge said anything.
pub(crate) async fn begin(
    tx: &mut Tx,
    keys: &Keys,
    login_ref: &str,
    device_key: &str,
    edge_region: Option<&str>,
    client: &Arc<ClientFacts>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let region = edge_region.or(client.region.as_deref());
    if region.is_none() && client.attempt.is_none() {
        return Ok(());
    }
    let row = rows::AttemptRow {
        login_ref: login_ref.to_owned(),
        attempt: client.attempt.as_deref().map_or_else(
            || login_ref.to_owned(),
            |attempt| attempt_name(keys, device_key, attempt),
        ),
        region: region.unwrap_or_default().to_owned(),
        at,
    };
    rows::insert_attempt(tx, &row).await
}
