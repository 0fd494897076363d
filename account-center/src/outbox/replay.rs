//! `GET /v1/outbox/events`: a business line asks for what it missed, or for everything, in the one order of places.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_server_security::webhook::{TOLERANCE_SECONDS, WebhookHeaders, WebhookVerifier};
use serde::Serialize;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::event::Body;
use super::{Inner, Kinds, Outbox};
use crate::context::Timestamp;
use crate::keys::{Keys, Purpose};
use crate::problem::{Code, Problem};
use crate::store::outbox::{self as rows, EventRow};
use crate::store::{StoreError, Tx, proofs};

/// Events of one answer, and how many a line may ask for.
pub(crate) const USUAL: usize = 100;
pub(crate) const MOST: usize = 500;
/// Events that one request looks at, for a line that takes few kinds.
const LOOKED_AT: usize = 2000;
const PAGE: i64 = 500;

/// A business line's signed request, as received.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRequest<'a> {
    /// `postern-line`
    pub line: &'a str,
    /// `webhook-id`: new for each request.
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`
    pub signature: &'a str,
    /// Method, a space, path below the public URL, and query: `GET /v1/outbox/events?limit=10`.
    pub target: &'a str,
}

/// The reply.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Events of the line's kinds, in the one order that all requests see.
    #[schema(value_type = Vec<Object>)]
    events: Vec<ReplayedEvent>,
    /// For `after` of the next request, also where there are no events.
    cursor: String,
    /// Whether there is more at present.
    more: bool,
}

/// A webhook's body, and its id beside it.
#[derive(Serialize)]
struct ReplayedEvent {
    id: String,
    #[serde(flatten)]
    body: serde_json::Value,
}

/// A place to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    position: i64,
    /// It began at the beginning, and has not come to where nothing was deleted: what is missing there it never had.
    from_start: bool,
}

const START: Cursor = Cursor {
    position: 0,
    from_start: true,
};

impl Cursor {
    fn text(self, keys: &Keys, line: &str) -> String {
        let mut bytes = vec![u8::from(self.from_start)];
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&Self::seal(keys, line, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn seal(keys: &Keys, line: &str, bytes: &[u8]) -> [u8; 8] {
        let mac = keys.mac(Purpose::Outbox, &[b"cursor", line.as_bytes(), bytes]);
        let mut short = [0; 8];
        short.copy_from_slice(&mac[..8]);
        short
    }

    fn parse(keys: &Keys, line: &str, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (given, seal) = bytes.split_at_checked(9)?;
        let good: bool = Self::seal(keys, line, given)[..].ct_eq(seal).into();
        let (flag, position) = given.split_first()?;
        good.then_some(Self {
            position: i64::from_be_bytes(position.try_into().ok()?),
            from_start: *flag == 1,
        })
    }
}

impl Outbox {
    /// Which line this request is of. Its signature is by a secret of the line's, its time is near, and its id serves once.
    pub async fn authenticate(&self, request: &ReplayRequest<'_>) -> Result<String, Problem> {
        let refused = |why: &'static str| Problem::new(Code::SignatureInvalid).detail(why);
        let inner = &self.inner;
        let verifier = WebhookVerifier {
            // A line that nobody knows has no secret, and the same answer.
            secrets: inner
                .settings
                .lines
                .get(request.line)
                .map(|line| line.secrets.clone())
                .unwrap_or_default(),
            public_keys: Vec::new(),
        };
        let headers = WebhookHeaders {
            id: request.id,
            timestamp: request.timestamp,
            signature: request.signature,
        };
        let now = inner.context.now();
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        verifier
            .verify(&headers, request.target.as_bytes(), seconds)
            .map_err(|_| {
                refused("no good signature of this request by a known line, or its time is too far from ours")
            })?;
        let name = inner.keys.name(
            Purpose::Outbox,
            &[b"request", request.line.as_bytes(), request.id.as_bytes()],
        );
        let until = now.plus(std::time::Duration::from_secs(2 * TOLERANCE_SECONDS));
        if self.spend(name, until).await? {
            Ok(request.line.to_owned())
        } else {
            Err(refused("this webhook-id has served already"))
        }
    }

    async fn spend(&self, name: String, until: Timestamp) -> Result<bool, StoreError> {
        self.inner
            .store
            .write(move |tx| {
                let name = name.clone();
                Box::pin(async move { proofs::spend(tx, &name, until).await })
            })
            .await
    }

    /// The line's events after a cursor, at most `limit`; without one from the beginning of what is kept.
    pub(crate) async fn replay(
        &self,
        line: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Replayed, Problem> {
        let inner = &self.inner;
        let from = match after {
            None => START,
            Some(text) => Cursor::parse(&inner.keys, line, text)
                .ok_or_else(|| Problem::new(Code::CursorInvalid))?,
        };
        let kinds = inner
            .settings
            .lines
            .get(line)
            .map(|line| line.kinds.clone())
            .unwrap_or_default();
        let page = inner
            .store
            .read(move |tx| {
                let kinds = kinds.clone();
                Box::pin(async move { page(tx, from, &kinds, limit).await })
            })
            .await?;
        page.reply(inner, line)
    }
}

struct Page {
    events: Vec<(EventRow, Option<i64>)>,
    cursor: Cursor,
    more: bool,
}

impl Page {
    fn reply(self, inner: &Inner, line: &str) -> Result<Replayed, Problem> {
        let events = self
            .events
            .iter()
            .map(|(event, previous)| {
                Ok(ReplayedEvent {
                    id: event.event_id.clone(),
                    body: serde_json::to_value(Body::of(event, *previous)?)
                        .map_err(Problem::internal)?,
                })
            })
            .collect::<Result<_, Problem>>()?;
        Ok(Replayed {
            events,
            cursor: self.cursor.text(&inner.keys, line),
            more: self.more,
        })
    }
}

/// Everything from one picture of the database: places are given in the order of commits, so what is seen of them has no holes.
async fn page(tx: &mut Tx, from: Cursor, kinds: &Kinds, limit: usize) -> Result<Page, Problem> {
    let (last, deleted_to) = rows::range(tx).await?;
    if from.position > last {
        return Err(Problem::new(Code::CursorInvalid)
            .detail("the cursor is of a later time than this database"));
    }
    if !from.from_start && from.position < deleted_to {
        return Err(Problem::new(Code::CursorInvalid).detail(
            "events after this cursor are deleted by now (outbox.retention_days): begin without one",
        ));
    }
    let mut position = from.position;
    let mut events = Vec::new();
    let mut looked_at = 0;
    'pages: while looked_at < LOOKED_AT {
        let rows = rows::after(tx, position, PAGE).await?;
        if rows.is_empty() {
            // Deleted ones at the end are no reason to be asked for again.
            position = last;
        }
        let whole = rows.len();
        for event in rows {
            if events.len() == limit {
                break 'pages;
            }
            position = event.position;
            looked_at += 1;
            if kinds.take(&event.kind) {
                let previous = rows::previous_version(tx, &event, |kind| kinds.take(kind)).await?;
                events.push((event, previous));
            }
        }
        if whole < usize::try_from(PAGE).unwrap_or(0) {
            break;
        }
    }
    Ok(Page {
        events,
        cursor: Cursor {
            position,
            from_start: from.from_start && position < deleted_to,
        },
        more: position < last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_serves_the_line_it_was_given_to_and_nobody_makes_one() {
        let keys = Keys::derive(&[7; 32]);
        let cursor = Cursor {
            position: 41,
            from_start: false,
        };
        let text = cursor.text(&keys, "points");
        assert_eq!(Cursor::parse(&keys, "points", &text), Some(cursor));
        assert_eq!(Cursor::parse(&keys, "loans", &text), None);
        let other = Keys::derive(&[8; 32]);
        assert_eq!(Cursor::parse(&other, "points", &text), None);
        for wrong in ["", "AA", "*", &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(Cursor::parse(&keys, "points", wrong), None, "{wrong}");
        }
        let mut changed = text.into_bytes();
        changed[9] = if changed[9] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap_or_default();
        assert_eq!(Cursor::parse(&keys, "points", &changed), None);
    }
}
