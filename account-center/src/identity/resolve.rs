//! Whom the provider's answer is about, as far as it may be known.

use super::KnownIdentity;
use crate::providers::ProviderIdentity;
use crate::store::accounts::BindingRow;
use crate::store::{StoreError, Tx, accounts};

/// What is known of a provider's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// A person with a lasting subject (W2).
    Known(KnownIdentity),
    /// An open id alone, and nobody known by it: nothing is recorded of it (W2).
    OpenIdAlone(ProviderIdentity),
}

/// W4: where the provider tells an open id alone (a silent code of a mini program or of a web page in WeChat), it names whoever it was linked to when its
/// lasting subject was told. Only for an answer that the provider gave in this very request.
pub async fn resolve(tx: &mut Tx, identity: ProviderIdentity) -> Result<Resolved, StoreError> {
    if let Some(known) = KnownIdentity::of(&identity) {
        return Ok(Resolved::Known(known));
    }
    let ProviderIdentity {
        provider,
        app_id,
        open_id,
        ..
    } = &identity;
    let Some(binding) = accounts::binding_of_open_id(tx, provider, app_id, open_id).await? else {
        return Ok(Resolved::OpenIdAlone(identity));
    };
    Ok(Resolved::Known(KnownIdentity::with(
        identity,
        binding.platform,
        binding.subject,
    )))
}

/// Whose an identity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: it is bound to nothing.
    Nobody,
    /// The account's of this binding.
    Account(BindingRow),
    /// Its subject is bound to this account, but by another open id of the same app. Within an app one person has one open id, and it stays (M5), so the provider
    /// gave the subject to somebody else, and the account's person was not here since. Nobody is let in by it.
    Contested(BindingRow),
}

/// The open id decides, because it stays while the subject may change (M5); then any other name that the provider told in the same answer; then the subject (W2,
/// W5), unless it is contested.
pub async fn owner(tx: &mut Tx, identity: &KnownIdentity) -> Result<Owner, StoreError> {
    let KnownIdentity {
        provider,
        platform,
        app_id,
        subject,
        ..
    } = identity;
    for name in identity.names() {
        if let Some(binding) = accounts::binding_of_open_id(tx, provider, app_id, name).await? {
            return Ok(Owner::Account(binding));
        }
    }
    let Some(binding) = accounts::binding_of_subject(tx, provider, platform, subject).await? else {
        return Ok(Owner::Nobody);
    };
    if accounts::has_open_id(tx, &binding.binding_id, app_id).await? {
        tracing::warn!(
            provider,
            "a subject came with another open id than the one it is bound with"
        );
        return Ok(Owner::Contested(binding));
    }
    Ok(Owner::Account(binding))
}
