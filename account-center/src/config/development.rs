//! The development set-up: what is used where nothing is written. The simulator's addresses, keys and app ids are those of `simulator/README.md`.

use std::collections::BTreeMap;

use super::{AppSettings, ProviderSettings};
use crate::login::wire::Text;

/// Loopback only.
pub const LISTEN: &str = "127.0.0.1:8600";

pub(super) const WECHAT_URL: &str = "http://127.0.0.1:8611";
pub(super) const SMS_URL: &str = "http://127.0.0.1:8612";
pub(super) const CORE_URL: &str = "http://127.0.0.1:8613";
pub(super) const FACE_URL: &str = "http://127.0.0.1:8614";
pub(super) const SMS_KEY: &str = "simulator-sms-key";
pub(super) const CORE_KEY: &str = "simulator-core-key";
pub(super) const FACE_KEY: &str = "simulator-face-key";
pub(super) const PLATFORM: &str = "op_postern_bank";
/// App ids and their secrets.
pub(super) const WECHAT_APPS: [(&str, &str); 2] = [
    ("wx5b1e0c6a7d000001", "simulator-secret-of-app-1"),
    ("wx5b1e0c6a7d000002", "simulator-secret-of-app-2"),
];

/// What a provider's button has where nothing is written.
#[derive(Clone, Copy)]
pub(super) struct ProviderDefaults {
    pub(super) provider: &'static str,
    pub(super) scope: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
}

/// The providers that this account center speaks to.
pub(super) fn provider_defaults(name: &str) -> Option<ProviderDefaults> {
    (name == "wechat").then_some(ProviderDefaults {
        provider: "wechat",
        scope: "snsapi_userinfo",
        zh: "微信登录",
        en: "Continue with WeChat",
    })
}

/// The bank's app on two systems (one registration at WeChat), and a second app under the same open-platform account (W5).
pub(super) fn apps() -> BTreeMap<String, AppSettings> {
    let app = |index: usize| {
        let (app_id, secret) = WECHAT_APPS[index];
        let providers = provider_defaults("wechat")
            .map(|defaults| ProviderSettings {
                provider: defaults.provider.to_owned(),
                app_id: app_id.to_owned(),
                secret: secret.into(),
                platform: PLATFORM.to_owned(),
                scope: defaults.scope.to_owned(),
                label: Text {
                    zh: defaults.zh.to_owned(),
                    en: defaults.en.to_owned(),
                },
            })
            .into_iter()
            .collect();
        AppSettings { providers }
    };
    BTreeMap::from([
        ("bank-android".to_owned(), app(0)),
        ("bank-ios".to_owned(), app(0)),
        ("bank-wealth".to_owned(), app(1)),
    ])
}
