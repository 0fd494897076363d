//! Login options (contract section 6).

use std::collections::BTreeMap;

use serde::Deserialize;

/// A provider's button.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OfferedProvider {
    /// The provider's name on the wire, such as `wechat`. One that this version does not know is not shown.
    pub provider: String,
    /// Our app's id at the provider.
    #[serde(default)]
    pub provider_app_id: String,
    /// The scope to ask for.
    #[serde(default)]
    pub scope: String,
    /// The button's text by language (`zh`, `en`).
    #[serde(default)]
    pub label: BTreeMap<String, String>,
}

/// What may be shown here, in the order of the buttons.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoginOptions {
    /// The app that asked.
    pub app_id: String,
    /// The account center's public URL, as it calls itself.
    pub issuer: String,
    /// The providers offered.
    pub providers: Vec<OfferedProvider>,
    /// The signed key list (contract section 5), as it came.
    pub key_list: String,
}
