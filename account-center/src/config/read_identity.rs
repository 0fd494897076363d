//! The sections `guests`, `bank_session` and `notifications`.

use std::path::PathBuf;

use url::Url;

use super::reader::Section;
use super::{BankKeys, BankSessionSettings, IdentitySettings, development as dev};
use crate::notifications::PushSecrets;

pub(super) fn identity(root: &mut Section<'_>, development: bool) -> IdentitySettings {
    let mut guests = root.section("guests");
    let privacy_notice = guests.text("privacy_notice");
    guests.end();
    IdentitySettings {
        privacy_notice,
        bank_session: bank_session(root, development),
        pushes: pushes(root, development),
    }
}

fn bank_session(root: &mut Section<'_>, development: bool) -> Option<BankSessionSettings> {
    let written = root.has("bank_session");
    let mut section = root.section("bank_session");
    if !written && development {
        section.end();
        return Some(BankSessionSettings {
            issuer: dev::BANK_ISSUER.to_owned(),
            keys: BankKeys::Web(Url::parse(dev::BANK_KEYS_URL).ok()?),
        });
    }
    let issuer = section.text("issuer");
    let file = section.text("jwks_file");
    let url = section.parsed("jwks_url", "https://app.bank.example/jwks.json", |text| {
        Url::parse(text)
            .ok()
            .filter(|url| url.scheme() == "https" || (development && url.scheme() == "http"))
    });
    let any = issuer.is_some() || file.is_some() || url.is_some();
    if any && issuer.is_none() {
        section.fault(
            "issuer",
            "is missing",
            "Write the iss of the bank's assertions, https://app.bank.example.",
        );
    }
    if any && file.is_some() == url.is_some() {
        section.fault(
            "jwks_url",
            "is needed, or jwks_file, and not both",
            "Write where the bank's public keys are.",
        );
    }
    section.end();
    let keys = match (file, url) {
        (Some(path), None) => BankKeys::File(PathBuf::from(path)),
        (None, Some(url)) => BankKeys::Web(url),
        _ => return None,
    };
    Some(BankSessionSettings {
        issuer: issuer?,
        keys,
    })
}

/// One section for each app at WeChat, whatever its name.
fn pushes(root: &mut Section<'_>, development: bool) -> Vec<PushSecrets> {
    if !root.has("notifications") && development {
        root.section("notifications");
        return dev::pushes();
    }
    let mut all = Vec::new();
    for (_, mut section) in root.section("notifications").sections() {
        let app_id = section.needed("app_id", "the app's id at WeChat");
        let token = section.needed_secret("token");
        let key = section.needed_secret("aes_key");
        let secrets = (|| PushSecrets::new(&app_id?, token?, &key?))();
        match secrets {
            Some(secrets) => all.push(secrets),
            None => section.fault(
                "aes_key",
                "is not the 43 characters that WeChat's console shows as EncodingAESKey, or something beside it is missing",
                "Copy app_id, token and aes_key from the console's page on message push.",
            ),
        }
        section.end();
    }
    all
}
