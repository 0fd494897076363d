//! Changes of an account that leave a trace: state, history and outbox rows of one transaction. Whatever changes an account goes through here.

use serde_json::json;

use super::{KnownIdentity, phone_index};
use crate::context::{Context, Timestamp};
use crate::keys::{Keys, Purpose};
use crate::phone_number::PhoneNumber;
use crate::store::accounts::{self, BindingRow};
use crate::store::events::{self, OutboxRow};
use crate::store::{StoreError, Tx};

/// Writes changes, all at one instant.
#[derive(Clone, Copy)]
pub struct Changes<'a> {
    /// Seals phone numbers.
    pub keys: &'a Keys,
    /// Names new rows.
    pub context: &'a Context,
    /// When they happen.
    pub at: Timestamp,
}

impl<'a> Changes<'a> {
    /// Changes that happen now.
    pub fn now(keys: &'a Keys, context: &'a Context) -> Self {
        Self {
            keys,
            context,
            at: context.now(),
        }
    }

    /// U2, U4: gives the account its number; one that it had is forgotten. Business lines are not told yet.
    pub async fn set_phone(
        &self,
        tx: &mut Tx,
        user_id: &str,
        phone: &PhoneNumber,
    ) -> Result<(), StoreError> {
        let sealed = self.keys.seal(
            Purpose::PhoneNumber,
            user_id.as_bytes(),
            phone.as_str().as_bytes(),
            self.context.randomness(),
        );
        accounts::set_phone(
            tx,
            user_id,
            &phone_index(self.keys, phone),
            &sealed,
            self.at,
        )
        .await
    }

    /// Binds an identity to an account: binding, history, open ids, outbox (L8, W1).
    pub async fn bind(
        &self,
        tx: &mut Tx,
        identity: &KnownIdentity,
        user_id: &str,
    ) -> Result<(), StoreError> {
        let binding = BindingRow {
            binding_id: self.context.uuid(),
            provider: identity.provider.clone(),
            platform: identity.platform.clone(),
            subject: identity.subject.clone(),
            user_id: user_id.to_owned(),
            bound_at: self.at,
            revoked_at: None,
        };
        accounts::insert_binding(tx, &binding).await?;
        self.link(tx, identity, &binding.binding_id).await?;
        self.keep_history(tx, &binding, "bound").await?;
        self.announce(
            tx,
            user_id,
            "binding.added",
            json!({"provider": binding.provider, "platform": binding.platform}),
        )
        .await
    }

    /// Links the names of an identity to its binding (W1, W5).
    pub async fn link(
        &self,
        tx: &mut Tx,
        identity: &KnownIdentity,
        binding_id: &str,
    ) -> Result<(), StoreError> {
        let KnownIdentity {
            provider, app_id, ..
        } = identity;
        for name in identity.names() {
            accounts::link_open_id(tx, provider, app_id, name, binding_id, self.at).await?;
        }
        Ok(())
    }

    /// Keeps what became of a binding (L8). `action`: `bound`, `renamed`, `moved`, …
    pub async fn keep_history(
        &self,
        tx: &mut Tx,
        binding: &BindingRow,
        action: &str,
    ) -> Result<(), StoreError> {
        accounts::insert_history(tx, &self.context.uuid(), binding, action, self.at).await
    }

    /// Business lines learn of it in the order of the account's versions (W6).
    pub async fn announce(
        &self,
        tx: &mut Tx,
        user_id: &str,
        kind: &str,
        payload: serde_json::Value,
    ) -> Result<(), StoreError> {
        let version = accounts::next_version(tx, user_id).await?;
        let row = OutboxRow {
            event_id: &self.context.uuid(),
            user_id,
            version,
            kind,
            payload: &payload.to_string(),
            at: self.at,
        };
        events::announce(tx, &row).await
    }
}
