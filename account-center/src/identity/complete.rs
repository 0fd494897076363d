//! U1: what a login leaves behind, written together at its last step.

use serde_json::json;

use super::{Changes, KnownIdentity, Owner, owner, phone_index};
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
    /// Names the login, and is no handle.
    pub login_ref: &'a str,
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
    /// The account is new.
    pub created: bool,
    /// The account has a customer reference that it did not have before.
    pub became_signed: bool,
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
            writer.refresh_binding(tx, joining.login_ref).await?;
            Completed {
                user_id: user_id.0.clone(),
                signed: *signed,
                bound: false,
                created: false,
                became_signed: false,
            }
        }
        Completion::Join { user_id, customer } => {
            let became_signed = writer
                .join(tx, &user_id.0, customer.as_ref(), joining)
                .await?;
            Completed {
                user_id: user_id.0.clone(),
                signed: customer.is_some(),
                bound: true,
                created: false,
                became_signed,
            }
        }
        Completion::Create { customer } => {
            let user_id = writer.create(tx, customer.as_ref(), joining).await?;
            Completed {
                user_id,
                signed: customer.is_some(),
                bound: true,
                created: true,
                became_signed: customer.is_some(),
            }
        }
    };
    // M6: the profile is refreshed at each login.
    writer.refresh_profile(tx, &completed.user_id).await?;
    Ok(completed)
}

struct Writer<'a> {
    changes: Changes<'a>,
    identity: &'a KnownIdentity,
}

impl Writer<'_> {
    /// L7: the identity is bound. A new open id links itself (W5); a new subject of the same person is taken over (M5).
    async fn refresh_binding(&self, tx: &mut Tx, login_ref: &str) -> Result<(), StoreError> {
        match owner(tx, self.identity).await? {
            Owner::Account(binding) => {
                self.changes
                    .follow(tx, self.identity, &binding, login_ref)
                    .await
            }
            Owner::Nobody | Owner::Contested(_) => {
                Err(StoreError::Corrupt("a binding that was found is gone"))
            }
        }
    }

    /// M6: what the provider shows now. An exchange that was not asked for a profile (M3) shows none, and changes none.
    async fn refresh_profile(&self, tx: &mut Tx, user_id: &str) -> Result<(), StoreError> {
        let profile = &self.identity.profile;
        if profile.nickname.is_none() && profile.avatar_url.is_none() {
            return Ok(());
        }
        accounts::set_profile(
            tx,
            user_id,
            profile.nickname.as_deref(),
            profile.avatar_url.as_deref(),
            self.changes.at,
        )
        .await
    }

    async fn join(
        &self,
        tx: &mut Tx,
        user_id: &str,
        customer: Option<&CustomerRef>,
        joining: Joining<'_>,
    ) -> Result<bool, StoreError> {
        let mut became_signed = false;
        if let Some(customer) = customer
            && accounts::set_customer(tx, user_id, &customer.0).await?
        {
            became_signed = true;
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
        self.changes.bind(tx, self.identity, user_id).await?;
        Ok(became_signed)
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
