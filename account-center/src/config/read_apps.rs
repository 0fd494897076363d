//! The section `apps`: the bank's apps, and the providers of each.

use std::collections::BTreeMap;

use super::reader::Section;
use super::{AppSettings, ProviderSettings, development as dev};
use crate::login::wire::Text;
use crate::secret::SecretText;

pub(super) fn apps(root: &mut Section<'_>, development: bool) -> BTreeMap<String, AppSettings> {
    if !root.has("apps") && development {
        root.section("apps");
        return dev::apps();
    }
    let missing = !root.has("apps");
    let mut apps = BTreeMap::new();
    for (app_id, mut section) in root.section("apps").sections() {
        if !(1..=64).contains(&app_id.len())
            || !app_id
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_' || c == b'.')
        {
            section.fault(
                "(name)",
                "is not an app id",
                "Use 1 to 64 of letters, digits, - _ and dots.",
            );
        }
        let mut order = section.list("providers");
        if order.is_empty() {
            order = section.names();
        }
        let mut settings = AppSettings::default();
        for name in order {
            if let Some(defaults) = dev::provider_defaults(&name) {
                settings
                    .providers
                    .extend(provider(section.section(&name), defaults));
            } else {
                section.section(&name);
                section.fault(
                    &name,
                    "is not a provider that this account center speaks to",
                    format!("Known: {}.", dev::provider_names()),
                );
            }
        }
        section.end();
        apps.insert(app_id, settings);
    }
    if missing || apps.is_empty() {
        root.fault("apps", "there is no app", "Write [apps.bank-android] with a section for each provider, [apps.bank-android.wechat].");
    }
    apps
}

fn provider(mut section: Section<'_>, defaults: dev::ProviderDefaults) -> Option<ProviderSettings> {
    let app_id = section.needed("app_id", "the id that the provider gave to the app");
    let mut platform = Some(String::new());
    let mut redirect_uri = Some(String::new());
    let secret;
    match defaults.provider {
        "weibo" => {
            secret = section.needed_secret("secret");
            redirect_uri = section.needed("redirect_uri", "https://bank.example/weibo/callback");
        }
        "qq" => {
            // Only a web page's code needs these two; the mobile SDK brings a token.
            secret = section
                .secret("secret")
                .or_else(|| Some(SecretText::default()));
            redirect_uri = Some(section.text("redirect_uri").unwrap_or_default());
            platform = section.needed("platform", "the name of your developer account at QQ");
        }
        _ => {
            secret = section.needed_secret("secret");
            platform = section.needed("platform", "the name of your open-platform account");
        }
    }
    // Weibo gives what a login needs without asking for more.
    let scope = Some(defaults.provider)
        .filter(|provider| *provider != "weibo")
        .and_then(|_| section.text("scope"))
        .unwrap_or_else(|| defaults.scope.to_owned());
    let label = Text {
        zh: section
            .text("label_zh")
            .unwrap_or_else(|| defaults.zh.to_owned()),
        en: section
            .text("label_en")
            .unwrap_or_else(|| defaults.en.to_owned()),
    };
    section.end();
    Some(ProviderSettings {
        provider: defaults.provider.to_owned(),
        app_id: app_id?,
        secret: secret?,
        platform: platform?,
        redirect_uri: redirect_uri?,
        scope,
        label,
    })
}
