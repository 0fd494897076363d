//! The ledger of replies (contract section 3). A key is begun in the admission transaction, and its reply is stored in the transaction that made it true,
//! so that kill -9 leaves either nothing or all of it. An in-flight key is leased for 30 s: after a crash a repetition takes the work over, and the lease
//! is a fence, so that work which outlived its lease cannot be kept any more.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::context::{Context, Timestamp};
use crate::http::reply::Reply;
use crate::keys::{Keys, Purpose};
use crate::problem::Code;
use crate::store::replies::{self, Row};
use crate::store::{StoreError, Tx};

/// How long a request may be in work before a repetition takes it over.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a reply is kept.
pub const KEPT: Duration = Duration::from_mins(10);

/// What tells one call from another: RFC 7638 thumbprint of the device key, method, path, and the key itself.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The device key's thumbprint.
    pub device_key: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without query.
    pub path: &'a str,
    /// The Idempotency-Key.
    pub key: &'a str,
}

/// Whether `key` has the form of an Idempotency-Key: 22 base64url characters.
pub fn well_formed(key: &str) -> bool {
    key.len() == 22
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Opens and closes the ledger's entries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    keys: Arc<Keys>,
    context: Context,
}

/// What the ledger says to a request.
#[derive(Debug)]
pub enum Entry {
    /// Do the work, and finish the ticket with its reply.
    Begun(Ticket),
    /// Done before: this is the reply.
    Done(Reply),
    /// The first request is still in work, or has died less than [`LEASE`] ago.
    InFlight,
    /// The key was used with other bytes.
    OtherBytes,
}

/// The right to do the work of one call. Cheap to clone; Debug shows no key.
#[derive(Clone)]
pub struct Ticket {
    inner: Arc<TicketInner>,
}

struct TicketInner {
    ledger: Ledger,
    key: String,
    name: String,
    lease_until: Timestamp,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// The part of a stored reply that is not its body.
#[derive(Serialize, Deserialize)]
struct Head {
    retry_after: Option<u64>,
    problem: Option<String>,
}

impl Ledger {
    /// A ledger with these keys, clock and randomness.
    pub fn new(keys: Arc<Keys>, context: Context) -> Self {
        Self { keys, context }
    }

    /// Looks the key up, or begins it: in the transaction that admits the request.
    pub async fn begin(
        &self,
        tx: &mut Tx,
        scope: Scope<'_>,
        body: &[u8],
    ) -> Result<Entry, StoreError> {
        let now = self.context.now();
        let parts = [
            scope.device_key.as_bytes(),
            scope.method.as_bytes(),
            scope.path.as_bytes(),
            scope.key.as_bytes(),
        ];
        let name = self.keys.name(Purpose::IdempotencyScope, &parts);
        let fingerprint = self
            .keys
            .name(Purpose::IdempotencyFingerprint, &[name.as_bytes(), body]);
        let lease_until = now.plus(LEASE);
        let ticket = Ticket {
            inner: Arc::new(TicketInner {
                ledger: self.clone(),
                key: scope.key.to_owned(),
                name: name.clone(),
                lease_until,
            }),
        };
        let expires_at = now.plus(KEPT);

        if replies::insert(tx, &name, &fingerprint, lease_until, expires_at).await? {
            return Ok(Entry::Begun(ticket));
        }
        let Some(row) = replies::find(tx, &name).await? else {
            return Err(StoreError::Corrupt(
                "an idempotency key is neither free nor taken",
            ));
        };
        let over = row.expires_at <= now;
        if !over && !bool::from(row.fingerprint.as_bytes().ct_eq(fingerprint.as_bytes())) {
            return Ok(Entry::OtherBytes);
        }
        match &row {
            Row {
                done: Some((status, sealed)),
                ..
            } if !over => Ok(Entry::Done(self.unseal(scope.key, &name, *status, sealed)?)),
            Row {
                done: None,
                lease_until,
                ..
            } if !over && *lease_until > now => Ok(Entry::InFlight),
            // Forgotten, or its first request has died.
            _ if replies::take_over(tx, &name, &row, &fingerprint, lease_until, expires_at)
                .await? =>
            {
                Ok(Entry::Begun(ticket))
            }
            _ => Ok(Entry::InFlight),
        }
    }

    fn seal(&self, key: &str, name: &str, reply: &Reply) -> Result<String, StoreError> {
        let head = Head {
            retry_after: reply.retry_after,
            problem: reply.problem.map(|code| code.as_str().to_owned()),
        };
        let mut text = serde_json::to_vec(&head)
            .map_err(|_| StoreError::Corrupt("a reply's head does not serialize"))?;
        text.push(b'\n');
        text.extend_from_slice(&reply.body);
        Ok(self.keys.seal_with(
            Purpose::IdempotencyReply,
            key.as_bytes(),
            name.as_bytes(),
            &text,
            self.context.randomness(),
        ))
    }

    fn unseal(
        &self,
        key: &str,
        name: &str,
        status: i64,
        sealed: &str,
    ) -> Result<Reply, StoreError> {
        const WRONG: StoreError = StoreError::Corrupt("a stored reply");
        let text = self
            .keys
            .open_with(
                Purpose::IdempotencyReply,
                key.as_bytes(),
                name.as_bytes(),
                sealed,
            )
            .map_err(|_| WRONG)?;
        let end = text.iter().position(|byte| *byte == b'\n').ok_or(WRONG)?;
        let head: Head = serde_json::from_slice(&text[..end]).map_err(|_| WRONG)?;
        let status = u16::try_from(status)
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(WRONG)?;
        let problem = match head.problem {
            Some(code) => Some(
                *Code::ALL
                    .iter()
                    .find(|known| known.as_str() == code)
                    .ok_or(WRONG)?,
            ),
            None => None,
        };
        Ok(Reply {
            status,
            body: text[end + 1..].to_vec(),
            retry_after: head.retry_after,
            problem,
        })
    }
}

impl Ticket {
    /// The Idempotency-Key: part of the associated data of sealed fields (contract section 4).
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    /// Stores the reply, in the transaction that made it true. [`StoreError::LeaseLost`] when another request has taken the work over: the transaction
    /// must end with that error, so that nothing of it is kept. 5xx replies are not for the ledger: [`Ticket::release`] them.
    pub async fn finish(&self, tx: &mut Tx, reply: &Reply) -> Result<(), StoreError> {
        let TicketInner {
            ledger,
            key,
            name,
            lease_until,
        } = &*self.inner;
        let sealed = ledger.seal(key, name, reply)?;
        let expires_at = ledger.context.now().plus(KEPT);
        if replies::finish(
            tx,
            name,
            *lease_until,
            i64::from(reply.status.as_u16()),
            &sealed,
            expires_at,
        )
        .await?
        {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }

    /// Gives the key back unused, so that a repetition does the work anew. Harmless after [`Ticket::finish`].
    pub async fn release(&self, tx: &mut Tx) -> Result<(), StoreError> {
        replies::release(tx, &self.inner.name, self.inner.lease_until).await
    }
}
