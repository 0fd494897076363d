//! U1: what a login leaves behind, written together at its last step.

use serde_json::json;

use super::{Changes, KnownIdentity, binding_of, phone_index};
use crate::context::Context;
use crate::keys::Keys;
use crate::login::decision::{Completion, CustomerRef};
use crate::phone_number::PhoneNumber;
use crate::store::{StoreError, Tx, accounts};

/// What the person brought along, beside the identity.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The number that was proved; none where an identity returns.
    pub phone: Option<&'a PhoneNumber>,
    /// argon2id of the new login password (L6).
    pub password_hash: Option<&'a str>,
}

/// Who is logged in now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The account.
    pub user_id: String,
    /// The account stores a customer reference (L10).
    pub signed: bool,
    /// A binding was made.
    pub bound: bool,
}

/// Writes a completion. Constraints have the last word: a unique violation undoes the transaction, which is run again and decides anew (W7).
pub async fn complete(
    tx: &mut Tx,
    keys: &Keys,
    context: &Context,
    identity: &KnownIdentity,
    completion: &Completion,
    joining: Joining<'_>,
) -> Result<Completed, StoreError> {
    let writer = Writer {
        changes: Changes::now(keys, context),
        identity,
    };
    let completed = match completion {
        Completion::Return { user_id, signed } => {
            let bound = writer.refresh_binding(tx, &user_id.0).await?;
            Completed {
                user_id: user_id.0.clone(),
                signed: *signed,
                bound,
            }
        }
        Completion::Join { user_id, customer } => {
            writer
                .join(tx, &user_id.0, customer.as_ref(), joining)
                .await?;
            Completed {
                user_id: user_id.0.clone(),
                signed: customer.is_some(),
                bound: true,
            }
        }
        Completion::Create { customer } => {
            let user_id = writer.create(tx, customer.as_ref(), joining).await?;
            Completed {
                user_id,
                signed: customer.is_some(),
                bound: true,
            }
        }
    };
    // M6: the profile is refreshed at each login.
    let profile = &identity.profile;
    accounts::set_profile(
        tx,
        &completed.user_id,
        profile.nickname.as_deref(),
        profile.avatar_url.as_deref(),
        writer.changes.at,
    )
    .await?;
    Ok(completed)
}

struct Writer<'a> {
    changes: Changes<'a>,
    identity: &'a KnownIdentity,
}

impl Writer<'_> {
    /// L7: the identity is bound. A new open id links itself (W5); a new subject of the same person is taken over (M5).
    async fn refresh_binding(&self, tx: &mut Tx, user_id: &str) -> Result<bool, StoreError> {
        let Some(mut binding) = binding_of(tx, self.identity).await? else {
            return Err(StoreError::Corrupt("a binding that was found is gone"));
        };
        let moved = binding.platform != self.identity.platform;
        let has_one_there = moved
            && accounts::bindings(tx, user_id).await?.iter().any(|other| {
                other.provider == self.identity.provider && other.platform == self.identity.platform
            });
        if moved && !has_one_there {
            self.changes.bind(tx, self.identity, user_id).await?;
            return Ok(true);
        }
        if !moved && binding.subject != self.identity.subject {
            accounts::set_subject(tx, &binding.binding_id, &self.identity.subject).await?;
            binding.subject.clone_from(&self.identity.subject);
            self.changes.keep_history(tx, &binding, "renamed").await?;
        }
        self.changes
            .link(tx, self.identity, &binding.binding_id)
            .await?;
        Ok(false)
    }

    async fn join(
        &self,
        tx: &mut Tx,
        user_id: &str,
        customer: Option<&CustomerRef>,
        joining: Joining<'_>,
    ) -> Result<(), StoreError> {
        if let Some(customer) = customer
            && accounts::set_customer(tx, user_id, &customer.0).await?
        {
            self.changes
                .announce(tx, user_id, "account.signed", json!({}))
                .await?;
        }
        if let Some(phone) = joining.phone
            && accounts::by_phone(tx, &phone_index(self.changes.keys, phone))
                .await?
                .as_deref()
                != Some(user_id)
        {
            self.changes.set_phone(tx, user_id, phone).await?;
            self.changes
                .announce(tx, user_id, "phone.changed", json!({}))
                .await?;
        }
        self.changes.bind(tx, self.identity, user_id).await
    }

    async fn create(
        &self,
        tx: &mut Tx,
        customer: Option<&CustomerRef>,
        joining: Joining<'_>,
    ) -> Result<String, StoreError> {
        let user_id = self.changes.context.uuid();
        accounts::insert(
            tx,
            &user_id,
            customer.map(|customer| customer.0.as_str()),
            self.changes.at,
        )
        .await?;
        if let Some(phone) = joining.phone {
            self.changes.set_phone(tx, &user_id, phone).await?;
        }
        if let Some(password_hash) = joining.password_hash {
            accounts::insert_password(tx, &user_id, password_hash, self.changes.at).await?;
        }
        self.changes
            .announce(
                tx,
                &user_id,
                "account.created",
                json!({"signed": customer.is_some()}),
            )
            .await?;
        self.changes.bind(tx, self.identity, &user_id).await?;
        Ok(user_id)
    }
}
