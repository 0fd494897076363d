//! The section `apps`: the bank's apps, and the providers of each.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Section;
use super::{AlipaySettings, AppSettings, ProviderSettings, development as dev};
use crate::login::wire::Text;
use crate::providers::AppKind;
use crate::providers::alipay::{AlipayKeyFault, AlipayKeys, Theirs};
use crate::secret::SecretText;

pub(super) fn apps(
    root: &mut Section<'_>,
    issuers: &BTreeMap<String, String>,
    development: bool,
) -> BTreeMap<String, AppSettings> {
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
            } else if issuers.contains_key(&name) {
                let provider = super::read_oidc::provider(&name, section.section(&name));
                settings.providers.extend(provider);
            } else {
                section.section(&name);
                section.fault(
                    &name,
                    "is not a provider that this account center speaks to",
                    format!(
                        "Known: {}; or an OpenID Connect issuer, with a section [oidc.{name}].",
                        dev::provider_names()
                    ),
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
    let mut alipay = Some(None);
    let mut kind = AppKind::Mobile;
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
        "alipay" => {
            secret = Some(SecretText::default());
            alipay = self::alipay(&mut section).map(Some);
        }
        _ => {
            secret = section.needed_secret("secret");
            platform = section.needed("platform", "the name of your open-platform account");
            kind = section
                .parsed("kind", "mini_program", |text| match text {
                    "mobile" => Some(AppKind::Mobile),
                    "mini_program" => Some(AppKind::MiniProgram),
                    "web" => Some(AppKind::Web),
                    _ => None,
                })
                .unwrap_or_default();
        }
    }
    // Weibo gives what a login needs without asking for more; Alipay's is part of the string that is signed.
    let scope = Some(defaults.provider)
        .filter(|provider| !matches!(*provider, "weibo" | "alipay"))
        .and_then(|_| section.text("scope"))
        .unwrap_or_else(|| match kind {
            // Its code comes without a page, so there is nothing to consent to.
            AppKind::MiniProgram => String::new(),
            AppKind::Mobile | AppKind::Web => defaults.scope.to_owned(),
        });
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
        kind,
        alipay: alipay?,
        scope,
        label,
    })
}

/// Key mode, or certificate mode where one of its three files is named.
fn alipay(section: &mut Section<'_>) -> Option<AlipaySettings> {
    const CERTIFICATES: [&str; 3] = [
        "app_certificate_file",
        "alipay_certificate_file",
        "alipay_root_certificate_file",
    ];
    let pid = section.needed("pid", "2088000000000000");
    let private_key = section.needed_secret("private_key");
    let keys = if CERTIFICATES.iter().any(|key| section.has(key)) {
        if section.secret("alipay_public_key").is_some() {
            section.fault(
                "alipay_public_key",
                "stands beside certificates",
                "Write the one or the others.",
            );
        }
        let [app, alipay, root] = CERTIFICATES.map(|key| {
            let path = section.needed(key, "/etc/postern/a-certificate.crt")?;
            section.file(key, Path::new(&path))
        });
        let (app, alipay, root) = (app?, alipay?, root?);
        let theirs = Theirs::Certificates {
            app: app.expose(),
            alipay: alipay.expose(),
            root: root.expose(),
        };
        AlipayKeys::new(&private_key?, theirs)
    } else {
        for key in CERTIFICATES {
            section.text(key);
        }
        let public_key = section.needed_secret("alipay_public_key");
        AlipayKeys::new(&private_key?, Theirs::PublicKey(public_key?.expose()))
    };
    let keys = keys.map_err(|fault| {
        let key = match fault {
            AlipayKeyFault::PrivateKey => "private_key",
            AlipayKeyFault::PublicKey => "alipay_public_key",
            AlipayKeyFault::AppCertificate => CERTIFICATES[0],
            AlipayKeyFault::AlipayCertificate => CERTIFICATES[1],
            AlipayKeyFault::RootCertificate => CERTIFICATES[2],
        };
        section.fault(
            key,
            fault.to_string(),
            "Take it from the open platform's key tool.",
        );
    });
    Some(AlipaySettings {
        pid: pid?,
        keys: keys.ok()?.into(),
    })
}
