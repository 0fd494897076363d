//! Login options (contract section 6).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{self, FromJson};

/// A provider's button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedProvider {
    /// The provider's name on the wire, such as `wechat`. One that this version does not know is not shown.
    pub provider: String,
    /// Our app's id at the provider.
    pub provider_app_id: String,
    /// The scope to ask for.
    pub scope: String,
    /// The button's text by language (`zh`, `en`).
    pub label: BTreeMap<String, String>,
}

/// What may be shown here, in the order of the buttons.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl FromJson for OfferedProvider {
    /// What a provider does not need may be missing.
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            provider: json::text(tree, "provider")?,
            provider_app_id: json::or_default(tree, "provider_app_id")?,
            scope: json::or_default(tree, "scope")?,
            label: match tree.get("label") {
                None => BTreeMap::new(),
                Some(label) => label
                    .as_object()?
                    .iter()
                    .map(|(language, text)| Some((language.clone(), text.as_str()?.to_owned())))
                    .collect::<Option<_>>()?,
            },
        })
    }
}

impl FromJson for LoginOptions {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            app_id: json::text(tree, "app_id")?,
            issuer: json::text(tree, "issuer")?,
            providers: json::member(tree, "providers")?,
            key_list: json::text(tree, "key_list")?,
        })
    }
}
