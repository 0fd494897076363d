//! Whom the bank's own login brings in (L1, W7), and whether a provider identity at hand is bound in the same call (L9).

use postern_server_security::access_token::Acr;
use serde_json::json;

use super::{Changes, Owner, Resolved, owner, phone_index, resolve};
use crate::login::decision::CustomerRef;
use crate::phone_number::PhoneNumber;
use crate::providers::ProviderIdentity;
use crate::store::{StoreError, Tx, accounts};

/// What the bank's server said.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// The core's customer.
    pub customer: Option<CustomerRef>,
    /// The number that the bank knows the person by.
    pub phone: Option<PhoneNumber>,
    /// Something else than a message to that number was shown: numbers are recycled (U6), and an SMS alone opens no account that somebody has already (U2).
    pub more_than_a_message: bool,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// To this account, with a session of this kind.
    Account(String, Acr),
    /// The number is of an account that need not be this person's (L5).
    PhoneBoundElsewhere,
}

impl Changes<'_> {
    /// L1: by the customer reference; else by the number; else a new account. Never to an account that stores another customer's reference, and never by the number
    /// to one that stores any (L5).
    pub async fn enter(&self, tx: &mut Tx, vouched: &Vouched) -> Result<Entered, StoreError> {
        let by_number = match &vouched.phone {
            Some(phone) => accounts::by_phone(tx, &phone_index(self.keys, phone)).await?,
            None => None,
        };
        let Some(customer) = &vouched.customer else {
            return self.enter_by_number(tx, vouched, by_number).await;
        };
        if let Some(user_id) = accounts::by_customer(tx, &customer.0).await? {
            match (&vouched.phone, by_number) {
                // U4: the contract has a new number, which replaces the one before.
                (Some(phone), None) => {
                    self.set_phone(tx, &user_id, phone).await?;
                    self.announce(tx, &user_id, "phone.changed", json!({}))
                        .await?;
                }
                (Some(_), Some(other)) if other != user_id => {
                    tracing::warn!(
                        "a customer's number is another account's; the customer's account keeps its own"
                    );
                }
                _ => {}
            }
            return Ok(Entered::Account(user_id, Acr::Signed));
        }
        if by_number.is_some() {
            // Whoever made that account proves it with its own password first, in a login with a provider (U2), so that no customer ends with two accounts.
            return Ok(Entered::PhoneBoundElsewhere);
        }
        let user_id = self
            .create(tx, Some(customer), vouched.phone.as_ref())
            .await?;
        Ok(Entered::Account(user_id, Acr::Signed))
    }

    async fn enter_by_number(
        &self,
        tx: &mut Tx,
        vouched: &Vouched,
        by_number: Option<String>,
    ) -> Result<Entered, StoreError> {
        let Some(user_id) = by_number else {
            let user_id = self.create(tx, None, vouched.phone.as_ref()).await?;
            return Ok(Entered::Account(user_id, Acr::Unsigned));
        };
        let account = accounts::account(tx, &user_id)
            .await?
            .ok_or(StoreError::Corrupt("a number of no account"))?;
        Ok(if account.customer_ref.is_some() {
            Entered::PhoneBoundElsewhere
        } else if vouched.more_than_a_message {
            Entered::Account(user_id, Acr::Unsigned)
        } else {
            Entered::Account(user_id, Acr::Identified)
        })
    }

    async fn create(
        &self,
        tx: &mut Tx,
        customer: Option<&CustomerRef>,
        phone: Option<&PhoneNumber>,
    ) -> Result<String, StoreError> {
        let user_id = self.context.uuid();
        let reference = customer.map(|customer| customer.0.as_str());
        accounts::insert(tx, &user_id, reference, self.at).await?;
        if let Some(phone) = phone {
            self.set_phone(tx, &user_id, phone).await?;
        }
        self.announce(
            tx,
            &user_id,
            "account.created",
            json!({"signed": customer.is_some()}),
        )
        .await?;
        Ok(user_id)
    }

    /// W7: a provider identity that is at hand at another login is bound by the rules of L9, U3 and W3; the word says what became of it. `fresh`: the proof that L9
    /// asks for was shown in this very login.
    pub async fn bind_at_hand(
        &self,
        tx: &mut Tx,
        identity: ProviderIdentity,
        user_id: &str,
        fresh: bool,
        login_ref: &str,
    ) -> Result<&'static str, StoreError> {
        let identity = match resolve(tx, identity).await? {
            Resolved::Known(identity) => identity,
            Resolved::OpenIdAlone(_) => return Ok("provider_consent_incomplete"),
        };
        match owner(tx, &identity).await? {
            Owner::Account(binding) if binding.user_id == user_id => {
                self.follow(tx, &identity, &binding, login_ref).await?;
                Ok("bound_already")
            }
            Owner::Account(_) | Owner::Contested(_) => Ok("identity_bound_elsewhere"),
            Owner::Nobody => {
                let other =
                    accounts::binding_on(tx, &identity.provider, &identity.platform, user_id)
                        .await?;
                if other.is_some() {
                    return Ok("provider_already_bound");
                }
                if !fresh {
                    return Ok("reauthentication_required");
                }
                self.bind(tx, &identity, user_id).await?;
                Ok("bound")
            }
        }
    }
}
