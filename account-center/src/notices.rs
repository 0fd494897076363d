//! Telling customers what became of their account (L9). A notice is written in the transaction of the change and delivered after it, through the bank's own
//! channel, at least once. One that cannot be delivered undoes nothing and is given up after a day.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::context::{Context, Timestamp};
use crate::identity::phone_of;
use crate::keys::{Keys, Purpose};
use crate::login::decision::CustomerRef;
use crate::phone_number::PhoneNumber;
use crate::ports::{CustomerNotifier, Notice, NoticeKind};
use crate::store::notices::{self as rows, NoticeRow};
use crate::store::{Store, StoreError, Tx, accounts};

/// Notices read at a time.
const BATCH: i64 = 20;
/// A notice that was not delivered by then is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// How often the table is looked at when nobody wakes the delivery up: another server may have died with notices undelivered.
const LOOK: Duration = Duration::from_secs(15);

/// Who is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recipient {
    user_id: String,
    phone: Option<PhoneNumber>,
    customer: Option<CustomerRef>,
}

impl Recipient {
    /// The holder of an account, by its number and its customer reference as they are now. `None`: there is nothing to reach them by.
    pub(crate) async fn holder(
        tx: &mut Tx,
        keys: &Keys,
        user_id: &str,
    ) -> Result<Option<Self>, StoreError> {
        let customer = accounts::account(tx, user_id)
            .await?
            .and_then(|account| account.customer_ref)
            .map(CustomerRef);
        let phone = phone_of(tx, keys, user_id).await?;
        Ok((phone.is_some() || customer.is_some()).then(|| Self {
            user_id: user_id.to_owned(),
            phone,
            customer,
        }))
    }
}

#[derive(Serialize, Deserialize)]
struct Letter {
    to: Recipient,
    kind: String,
    provider: Option<String>,
    at: i64,
}

/// Writes a notice, in the transaction of the change that it is about.
pub(crate) async fn record(
    tx: &mut Tx,
    keys: &Keys,
    context: &Context,
    to: &Recipient,
    kind: NoticeKind,
    provider: Option<&str>,
) -> Result<(), StoreError> {
    let now = context.now();
    let letter = Letter {
        to: to.clone(),
        kind: kind.name().to_owned(),
        provider: provider.map(str::to_owned),
        at: now.millis(),
    };
    let notice_id = context.uuid();
    let text = zeroize::Zeroizing::new(
        serde_json::to_vec(&letter).map_err(|_| StoreError::Corrupt("a notice's text"))?,
    );
    let row = NoticeRow {
        sealed_notice: keys.seal(
            Purpose::Notice,
            notice_id.as_bytes(),
            &text,
            context.randomness(),
        ),
        notice_id,
        tries: 0,
        due_at: now,
        created_at: now,
    };
    rows::insert(tx, &row).await
}

/// Delivers notices. Cheap to clone.
#[derive(Clone)]
pub struct Notices {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keys: Arc<Keys>,
    context: Context,
    notifier: Arc<dyn CustomerNotifier>,
    wake: Notify,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}

impl Notices {
    /// Delivers through this channel.
    pub fn new(
        store: Store,
        keys: Arc<Keys>,
        context: Context,
        notifier: Arc<dyn CustomerNotifier>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                keys,
                context,
                notifier,
                wake: Notify::new(),
            }),
        }
    }

    /// There may be something to deliver.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Delivers for ever.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.deliver_due().await {
                tracing::warn!(%error, "notices could not be read; they are looked for again");
            }
            // Woken or not: the look that follows is the same.
            let _ = tokio::time::timeout(LOOK, self.inner.wake.notified()).await;
        }
    }

    /// Delivers what is due, and says how many notices the channel took.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let mut delivered = 0;
        loop {
            let now = self.inner.context.now();
            let due = self
                .inner
                .store
                .read(move |tx| Box::pin(async move { rows::due(tx, now, BATCH).await }))
                .await?;
            if due.is_empty() {
                return Ok(delivered);
            }
            for row in due {
                delivered += usize::from(self.deliver(row, now).await?);
            }
        }
    }

    async fn deliver(&self, row: NoticeRow, now: Timestamp) -> Result<bool, StoreError> {
        let next = now.plus(pause(row.tries));
        let claimed = row.clone();
        let mine = self
            .inner
            .store
            .write(move |tx| {
                let row = claimed.clone();
                Box::pin(async move { rows::claim(tx, &row, next).await })
            })
            .await?;
        if !mine {
            return Ok(false);
        }
        let over = row.created_at.plus(GIVEN_UP_AFTER) <= now;
        let delivered = match self.open(&row) {
            None => {
                tracing::error!("a notice cannot be read: another server secret wrote it");
                false
            }
            Some((letter, kind)) => {
                let notice = Notice {
                    user_id: &letter.to.user_id,
                    phone: letter.to.phone.as_ref(),
                    customer: letter.to.customer.as_ref(),
                    kind,
                    provider: letter.provider.as_deref(),
                    at: Timestamp::from_millis(letter.at),
                };
                match self.inner.notifier.notify(notice).await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(%error, kind = kind.name(), tries = row.tries + 1, given_up = over, "a notice was not taken");
                        false
                    }
                }
            }
        };
        if delivered || over {
            self.inner
                .store
                .write(move |tx| {
                    let notice_id = row.notice_id.clone();
                    Box::pin(async move { rows::delete(tx, &notice_id).await })
                })
                .await?;
        }
        Ok(delivered)
    }

    fn open(&self, row: &NoticeRow) -> Option<(Letter, NoticeKind)> {
        let text = self
            .inner
            .keys
            .open(
                Purpose::Notice,
                row.notice_id.as_bytes(),
                &row.sealed_notice,
            )
            .ok()?;
        let letter: Letter = serde_json::from_slice(&text).ok()?;
        let kind = NoticeKind::ALL
            .into_iter()
            .find(|kind| kind.name() == letter.kind)?;
        Some((letter, kind))
    }
}

/// Half a minute, then twice as long each time, an hour at most. It also keeps another server from the same try.
fn pause(tries: i64) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or(0).min(7);
    Duration::from_secs((30_u64 << doublings).min(3600))
}
