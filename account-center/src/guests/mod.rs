//! Guests (W6): a virtual user id for somebody who is not logged in, after consent, bound to a device key.
//!
//! - A guest is found by its device key, or by an open id that came without a union id: its cookie (W2), of which a keyed hash alone is kept.
//! - Real beats virtual; between two virtual ids the earlier wins. Only a request by the guest's own device key has it replaced, so a cookie that another device
//!   brings moves to the earlier guest, and the later one follows when its own device brings the cookie again.
//! - Each replacement is announced in the transaction that makes it, and again for whoever was replaced by the one that is replaced now: a business line that reads
//!   one user id's events in order always ends with the right one.

mod enter;
pub mod wire;

use serde_json::json;

use crate::context::Context;
use crate::identity::{Changes, KnownIdentity};
use crate::keys::{Keys, Purpose};
use crate::store::guests::{self, GuestRow};
use crate::store::{StoreError, Tx};

/// Where a request comes from: an app, and the key that the device proved.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// One of the bank's apps.
    pub app_id: &'a str,
    /// The thumbprint of the proof's key.
    pub device_key: &'a str,
}

/// What a replaced id stands for from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor<'a> {
    /// An account.
    Real(&'a str),
    /// An earlier guest.
    Virtual(&'a str),
}

impl<'a> Successor<'a> {
    fn user_id(self) -> &'a str {
        match self {
            Self::Real(user_id) | Self::Virtual(user_id) => user_id,
        }
    }
}

/// Writes what becomes of guests, all at one instant.
#[derive(Clone, Copy)]
pub struct Guests<'a> {
    changes: Changes<'a>,
}

impl<'a> Guests<'a> {
    /// Changes that happen now.
    pub fn now(keys: &'a Keys, context: &'a Context) -> Self {
        Self {
            changes: Changes::now(keys, context),
        }
    }

    /// The name of a cookie: an open id cannot be told from it (W2).
    pub fn cookie(&self, provider: &str, app_id: &str, open_id: &str) -> String {
        self.changes.keys.name(
            Purpose::Guest,
            &[
                b"cookie",
                provider.as_bytes(),
                app_id.as_bytes(),
                open_id.as_bytes(),
            ],
        )
    }

    /// Somebody logged in, or was identified: their open ids are no guest's cookies any more (W9), and the device key's guest becomes them where that was asked
    /// for. `identity`: by which provider, if by one.
    pub async fn logged_in(
        &self,
        tx: &mut Tx,
        at: &At<'_>,
        identity: Option<&KnownIdentity>,
        user_id: &str,
        bring_guest: bool,
    ) -> Result<(), StoreError> {
        if let Some(identity) = identity {
            for name in identity.names() {
                let cookie = self.cookie(&identity.provider, &identity.app_id, name);
                guests::drop_cookie(tx, &cookie).await?;
            }
        }
        if bring_guest && let Some(guest) = guests::of_device(tx, at.app_id, at.device_key).await? {
            self.replace(tx, &guest.user_id, Successor::Real(user_id))
                .await?;
        }
        Ok(())
    }

    /// The guest of this device key, which has consented to this version of the privacy notice; made where there is none. `cookie`: of the open id that the provider
    /// told in this very request.
    pub async fn of(
        &self,
        tx: &mut Tx,
        at: &At<'_>,
        consent_version: &str,
        cookie: Option<&str>,
    ) -> Result<Entered, StoreError> {
        let own = guests::of_device(tx, at.app_id, at.device_key).await?;
        let by_cookie = match cookie {
            Some(cookie) => guests::of_cookie(tx, cookie).await?,
            None => None,
        };
        let own = match own {
            // The device's guest is known by another open id: the person at the provider is another one now, and takes nothing over.
            Some(own)
                if cookie.is_some()
                    && by_cookie.as_ref() != Some(&own)
                    && guests::has_cookie(tx, &own.user_id).await? =>
            {
                None
            }
            own => own,
        };
        let (guest, made) = match (own, by_cookie) {
            (Some(own), Some(other)) if own != other => {
                if is_earlier(&own, &other) {
                    (own, false)
                } else {
                    let earlier = Successor::Virtual(&other.user_id);
                    self.replace(tx, &own.user_id, earlier).await?;
                    (other, false)
                }
            }
            (Some(guest), _) | (None, Some(guest)) => (guest, false),
            (None, None) => (self.make(tx, at, consent_version).await?, true),
        };
        let now = self.changes.at;
        guests::set_device(tx, at.app_id, at.device_key, &guest.user_id, now).await?;
        guests::set_consent(tx, &guest.user_id, consent_version, now).await?;
        if let Some(cookie) = cookie {
            guests::set_cookie(tx, cookie, &guest.user_id, now).await?;
        }
        Ok(Entered {
            user_id: guest.user_id,
            made,
        })
    }

    async fn make(
        &self,
        tx: &mut Tx,
        at: &At<'_>,
        consent_version: &str,
    ) -> Result<GuestRow, StoreError> {
        let row = GuestRow {
            user_id: self.changes.context.uuid(),
            app_id: at.app_id.to_owned(),
            consent_version: consent_version.to_owned(),
            created_at: self.changes.at,
        };
        guests::insert(tx, &row).await?;
        Ok(row)
    }

    /// A virtual id becomes another (W6): it is marked, its sessions end, whoever it had replaced is replaced by the same, and business lines are told. `false` where
    /// it was replaced before. The caller has seen that the request is by the guest's own device key.
    pub async fn replace(
        &self,
        tx: &mut Tx,
        from: &str,
        to: Successor<'_>,
    ) -> Result<bool, StoreError> {
        let user_id = to.user_id();
        if !guests::set_replaced(tx, from, user_id).await? {
            return Ok(false);
        }
        match to {
            Successor::Real(_) => guests::forget(tx, from).await?,
            Successor::Virtual(_) => guests::hand_over(tx, from, user_id).await?,
        }
        guests::end_sessions(tx, from, None, "replaced", self.changes.at).await?;
        let mut replaced = vec![from.to_owned()];
        replaced.extend(guests::shorten(tx, from, user_id).await?);
        for id in &replaced {
            self.changes
                .announce(
                    tx,
                    id,
                    "user_id.replaced",
                    json!({"from": id, "to": user_id}),
                )
                .await?;
        }
        Ok(true)
    }
}

/// The guest that a device key has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Its virtual user id.
    pub user_id: String,
    /// It was made just now.
    pub made: bool,
}

/// Two of one millisecond are told apart by their ids, the same way from both sides.
fn is_earlier(one: &GuestRow, other: &GuestRow) -> bool {
    (one.created_at, &one.user_id) < (other.created_at, &other.user_id)
}
