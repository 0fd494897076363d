//! What a person does with a provider's page on the phone.

use serde::Deserialize;

/// What the person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    /// Consents.
    Agree,
    /// Says no.
    Refuse,
    /// Leaves the page.
    Close,
}
