//! The development set-up: what is used where nothing is written. The simulator's addresses, keys and app ids are those of `simulator/README.md`.

use std::collections::BTreeMap;

use super::{AlipaySettings, AppSettings, ProviderSettings};
use crate::login::wire::Text;
use crate::notifications::PushSecrets;
use crate::providers::AppKind;
use crate::providers::alipay::{AlipayKeys, Theirs};

/// Loopback only.
pub const LISTEN: &str = "127.0.0.1:8600";

/// Of each provider: the section of its settings, the simulator's address, its own.
pub(super) const PROVIDER_URLS: [(&str, &str, &str); 4] = [
    (
        "wechat",
        "http://127.0.0.1:8611",
        "https://api.weixin.qq.com",
    ),
    ("weibo", "http://127.0.0.1:8615", "https://api.weibo.com"),
    ("qq", "http://127.0.0.1:8616", "https://graph.qq.com"),
    (
        "alipay",
        "http://127.0.0.1:8617/gateway.do",
        "https://openapi.alipay.com/gateway.do",
    ),
];
/// The simulator's `OpenID` Connect issuer, and its name on our wire.
pub(super) const ISSUER_NAME: &str = "bank-sso";
pub(super) const ISSUER_URL: &str = "http://127.0.0.1:8618";
/// What is asked for where nothing is written.
pub(super) const ISSUER_SCOPE: &str = "openid profile";
pub(super) const SMS_URL: &str = "http://127.0.0.1:8612";
pub(super) const CORE_URL: &str = "http://127.0.0.1:8613";
pub(super) const FACE_URL: &str = "http://127.0.0.1:8614";
pub(super) const SMS_KEY: &str = "simulator-sms-key";
pub(super) const CORE_KEY: &str = "simulator-core-key";
pub(super) const FACE_KEY: &str = "simulator-face-key";
pub(super) const NOTICES_KEY: &str = "simulator-notices-key";
/// Of the simulator's account at the vendor.
pub(super) const TENCENT_KEY: &str = "simulator-tencent-secret-key";
/// The simulated bank's own login: its name, and where its keys are.
pub(super) const BANK_ISSUER: &str = "https://app.bank.example";
pub(super) const BANK_KEYS_URL: &str = "http://127.0.0.1:8613/bank-session-keys";
/// What the simulated WeChat signs and encrypts its events with.
pub(super) const PUSH_TOKEN: &str = "simulator-push-token";
pub(super) const PUSH_KEY: &str = "simulatorSIMULATORsimulatorSIMULATORsimulat";
/// The simulator's Alipay.
pub(super) const ALIPAY_PUBLIC_KEY: &str =
    include_str!("simulated/alipay-public-SIMULATOR-ONLY.pem");
/// WeChat's open-platform account and QQ's developer.
pub(super) const PLATFORMS: [&str; 2] = ["op_postern_bank", "dev_postern_bank"];
/// Where the two apps' web pages are.
const RETURN_TO: [&str; 2] = ["https://bank.example", "https://life.bank.example"];
/// App ids and their secrets: two apps each at WeChat, Weibo and QQ; a mini program and an official account at WeChat.
pub(super) const SIMULATED_APPS: [(&str, &str); 11] = [
    ("wx5b1e0c6a7d000001", "simulator-secret-of-app-1"),
    ("wx5b1e0c6a7d000002", "simulator-secret-of-app-2"),
    ("3100000001", "simulator-weibo-secret-1"),
    ("3100000002", "simulator-weibo-secret-2"),
    ("101900001", "simulator-qq-key-1"),
    ("101900002", "simulator-qq-key-2"),
    ("2021000000000001", "simulator-alipay-has-no-secret"),
    ("2021000000000002", "simulator-alipay-has-no-secret"),
    ("wx5b1e0c6a7d000003", "simulator-secret-of-app-3"),
    ("wx5b1e0c6a7d000004", "simulator-secret-of-app-4"),
    ("postern-bank-page", "simulator-oidc-secret"),
];

/// The simulator's apps at Alipay share one key; both are known to everybody.
fn alipay() -> AlipaySettings {
    const PRIVATE_KEY: &str = include_str!("simulated/alipay-app-SIMULATOR-ONLY.pem");
    AlipaySettings {
        pid: "2088000000000001".to_owned(),
        keys: AlipayKeys::new(&PRIVATE_KEY.into(), Theirs::PublicKey(ALIPAY_PUBLIC_KEY))
            .expect("the development keys are good, as a test shows")
            .into(),
    }
}

/// Every app of the simulated WeChat pushes its events.
pub(super) fn pushes() -> Vec<PushSecrets> {
    SIMULATED_APPS
        .iter()
        .filter(|(app_id, _)| app_id.starts_with("wx"))
        .filter_map(|(app_id, _)| PushSecrets::new(app_id, PUSH_TOKEN.into(), &PUSH_KEY.into()))
        .collect()
}

/// What a provider's button has where nothing is written.
#[derive(Clone, Copy)]
pub(super) struct ProviderDefaults {
    pub(super) provider: &'static str,
    pub(super) scope: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
}

/// The providers that this account center speaks to.
const PROVIDERS: [ProviderDefaults; 4] = [
    ProviderDefaults {
        provider: "wechat",
        scope: "snsapi_userinfo",
        zh: "微信登录",
        en: "Continue with WeChat",
    },
    ProviderDefaults {
        provider: "weibo",
        scope: "",
        zh: "微博登录",
        en: "Continue with Weibo",
    },
    ProviderDefaults {
        provider: "qq",
        scope: "get_user_info",
        zh: "QQ 登录",
        en: "Continue with QQ",
    },
    ProviderDefaults {
        provider: "alipay",
        scope: "kuaijie",
        zh: "支付宝登录",
        en: "Continue with Alipay",
    },
];

/// What a provider's button has where nothing is written.
pub(super) fn provider_defaults(name: &str) -> Option<ProviderDefaults> {
    PROVIDERS.into_iter().find(|one| one.provider == name)
}

/// Their names, for a fault.
pub(super) fn provider_names() -> String {
    PROVIDERS.map(|one| one.provider).join(", ")
}

/// The bank's app on two systems (one registration at each provider), a second app under the same open-platform account (W5), and
/// two inside WeChat, of which the page has the `OpenID` Connect issuer too.
pub(super) fn apps() -> BTreeMap<String, AppSettings> {
    let app = |index: usize| {
        let providers = PROVIDERS.map(|defaults| {
            let (app_id, secret) = SIMULATED_APPS[match defaults.provider {
                "weibo" => 2 + index,
                "qq" => 4 + index,
                "alipay" => 6 + index,
                _ => index,
            }];
            ProviderSettings {
                provider: defaults.provider.to_owned(),
                app_id: app_id.to_owned(),
                secret: secret.into(),
                platform: match defaults.provider {
                    "wechat" => PLATFORMS[0].to_owned(),
                    "qq" => PLATFORMS[1].to_owned(),
                    _ => String::new(),
                },
                redirect_uri: match defaults.provider {
                    "wechat" | "alipay" => String::new(),
                    provider => format!("{}/{provider}/callback", RETURN_TO[index]),
                },
                kind: AppKind::Mobile,
                alipay: (defaults.provider == "alipay").then(alipay),
                scope: defaults.scope.to_owned(),
                label: Text {
                    zh: defaults.zh.to_owned(),
                    en: defaults.en.to_owned(),
                },
            }
        });
        AppSettings {
            providers: providers.into(),
        }
    };
    // In WeChat: a mini program, and a page of the official account.
    let in_wechat = |place: usize, kind: AppKind| {
        let (app_id, secret) = SIMULATED_APPS[place];
        let wechat = app(0).providers.into_iter().filter_map(|one| {
            (one.provider == "wechat").then(|| ProviderSettings {
                app_id: app_id.to_owned(),
                secret: secret.into(),
                kind,
                scope: match kind {
                    AppKind::MiniProgram => String::new(),
                    AppKind::Mobile | AppKind::Web => one.scope.clone(),
                },
                ..one
            })
        });
        AppSettings {
            providers: wechat.collect(),
        }
    };
    let mut page = in_wechat(9, AppKind::Web);
    let (client_id, secret) = SIMULATED_APPS[10];
    page.providers.push(ProviderSettings {
        provider: ISSUER_NAME.to_owned(),
        app_id: client_id.to_owned(),
        secret: secret.into(),
        platform: String::new(),
        redirect_uri: format!("{}/sso/callback", RETURN_TO[0]),
        kind: AppKind::Web,
        alipay: None,
        scope: ISSUER_SCOPE.to_owned(),
        label: Text {
            zh: "使用统一认证登录".to_owned(),
            en: "Continue with single sign-on".to_owned(),
        },
    });
    BTreeMap::from([
        ("bank-android".to_owned(), app(0)),
        ("bank-ios".to_owned(), app(0)),
        ("bank-wealth".to_owned(), app(1)),
        ("bank-mini".to_owned(), in_wechat(8, AppKind::MiniProgram)),
        ("bank-h5".to_owned(), page),
    ])
}
