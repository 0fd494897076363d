//! Rules U and W: from a provider identity to an account. All of it runs inside a transaction of the caller.

mod bank;
mod changes;
mod complete;
mod moved;
mod reduced;
mod resolve;
mod view;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::{Keys, Purpose};
use crate::login::decision::{AccountFacts, CustomerRef, Facts, UserId};
use crate::phone_number::PhoneNumber;
use crate::providers::{Profile, ProviderIdentity};
use crate::store::{StoreError, Tx, accounts};

pub use bank::{Entered, Vouched};
pub use changes::Changes;
pub use complete::{Completed, Joining, complete};
pub use reduced::account_view_as;
pub use resolve::{Owner, Resolved, owner, resolve};
pub(crate) use view::phone_of;
pub use view::{AccountView, BindingView, Identification, account_view};

/// A provider identity with its lasting subject: the only kind that is recorded (W2). Personal, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownIdentity {
    /// The provider's name.
    pub provider: String,
    /// The open-platform account.
    pub platform: String,
    /// The provider's app id (W1).
    pub app_id: String,
    /// The person within that app.
    pub open_id: String,
    /// The lasting subject.
    pub subject: String,
    /// Other names of the same person within that app.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What the provider shows of the person.
    pub profile: Profile,
}

impl fmt::Debug for KnownIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownIdentity")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl KnownIdentity {
    /// W2: without a lasting subject there is nothing to record.
    pub fn of(identity: &ProviderIdentity) -> Option<Self> {
        let subject = identity.subject.clone()?;
        Some(Self::with(
            identity.clone(),
            identity.platform.clone(),
            subject,
        ))
    }

    /// With a subject that is known otherwise.
    fn with(identity: ProviderIdentity, platform: String, subject: String) -> Self {
        Self {
            subject,
            platform,
            provider: identity.provider,
            app_id: identity.app_id,
            open_id: identity.open_id,
            aliases: identity.aliases,
            profile: identity.profile,
        }
    }

    /// The person's names within the app: the open id, and the others.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.open_id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// The name under which a number is found without being told by the table.
pub fn phone_index(keys: &Keys, phone: &PhoneNumber) -> String {
    keys.name(Purpose::PhoneIndex, &[phone.as_str().as_bytes()])
}

/// Looks for everything that decides a login: by identity (W4, then W2), by number (U2), by customer reference (L5).
pub async fn facts(
    tx: &mut Tx,
    keys: &Keys,
    identity: &KnownIdentity,
    phone: Option<&PhoneNumber>,
    customer: Option<&CustomerRef>,
) -> Result<Facts, StoreError> {
    let mut facts = Facts::default();
    match owner(tx, identity).await? {
        Owner::Nobody => {}
        Owner::Account(binding) => {
            facts.by_identity = account_facts(tx, identity, &binding.user_id).await?;
        }
        Owner::Contested(binding) => {
            facts.by_identity = account_facts(tx, identity, &binding.user_id).await?;
            facts.contested = true;
        }
    }
    if let Some(phone) = phone
        && let Some(user_id) = accounts::by_phone(tx, &phone_index(keys, phone)).await?
    {
        facts.by_number = account_facts(tx, identity, &user_id).await?;
    }
    if let Some(customer) = customer
        && let Some(user_id) = accounts::by_customer(tx, &customer.0).await?
    {
        facts.by_customer = account_facts(tx, identity, &user_id).await?;
    }
    Ok(facts)
}

async fn account_facts(
    tx: &mut Tx,
    identity: &KnownIdentity,
    user_id: &str,
) -> Result<Option<AccountFacts>, StoreError> {
    let Some(account) = accounts::account(tx, user_id).await? else {
        return Ok(None);
    };
    let has_other_identity = accounts::bindings(tx, user_id)
        .await?
        .iter()
        .any(|binding| {
            binding.provider == identity.provider
                && binding.platform == identity.platform
                && binding.subject != identity.subject
        });
    Ok(Some(AccountFacts {
        has_password: accounts::password_hash(tx, user_id).await?.is_some(),
        user_id: UserId(account.user_id),
        customer: account.customer_ref.map(CustomerRef),
        has_other_identity,
    }))
}
