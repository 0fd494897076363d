//! The section `oidc`: `OpenID` Connect issuers, each under the name that it has on our wire.

use std::collections::BTreeMap;

use url::Url;

use super::reader::Section;
use super::{ProviderSettings, development as dev};
use crate::login::wire::Text;
use crate::providers::AppKind;

/// The issuers by name.
pub(super) fn issuers(root: &mut Section<'_>, development: bool) -> BTreeMap<String, String> {
    let mut issuers = BTreeMap::new();
    for (written, mut section) in root.section("oidc").sections() {
        // Names of environment variables have no hyphens, and these names have no underscores.
        let name = written.replace('_', "-");
        let good = (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
            && dev::provider_defaults(&name).is_none();
        if !good {
            section.fault(
                "(name)",
                "is not a name for an issuer",
                "Use 1 to 32 small letters, digits and hyphens, and no other provider's name.",
            );
        }
        let example = "https://id.bank.example";
        let issuer = if section.has("issuer") {
            section.parsed("issuer", example, |text| {
                is_issuer(text, development).then(|| text.to_owned())
            })
        } else {
            section.needed("issuer", example)
        };
        section.end();
        if let Some(issuer) = issuer {
            issuers.insert(name, issuer);
        }
    }
    if development {
        issuers
            .entry(dev::ISSUER_NAME.to_owned())
            .or_insert_with(|| dev::ISSUER_URL.to_owned());
    }
    issuers
}

/// Discovery, section 3: https, no query, no fragment. Kept as it is written, for it is compared as text.
fn is_issuer(text: &str, development: bool) -> bool {
    Url::parse(text).is_ok_and(|url| {
        (url.scheme() == "https" || (development && url.scheme() == "http"))
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// One app at one issuer.
pub(super) fn provider(name: &str, mut section: Section<'_>) -> Option<ProviderSettings> {
    let app_id = section.needed("app_id", "the client id that the issuer gave to the app");
    let secret = section.needed_secret("secret");
    let redirect_uri = section.needed("redirect_uri", "https://bank.example/sso/callback");
    let scope = if section.has("scope") {
        section.parsed("scope", dev::ISSUER_SCOPE, |text| {
            let asks = text.split(' ').any(|scope| scope == "openid");
            asks.then(|| text.to_owned())
        })
    } else {
        section.text("scope");
        Some(dev::ISSUER_SCOPE.to_owned())
    };
    let label = Text {
        zh: section
            .text("label_zh")
            .unwrap_or_else(|| format!("使用 {name} 登录")),
        en: section
            .text("label_en")
            .unwrap_or_else(|| format!("Continue with {name}")),
    };
    section.end();
    Some(ProviderSettings {
        provider: name.to_owned(),
        app_id: app_id?,
        secret: secret?,
        platform: String::new(),
        redirect_uri: redirect_uri?,
        kind: AppKind::Mobile,
        alipay: None,
        scope: scope?,
        label,
    })
}
