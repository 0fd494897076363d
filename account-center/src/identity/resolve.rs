//! Whom the provider's answer is about, as far as it may be known.

use super::KnownIdentity;
use crate::providers::ProviderIdentity;
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
