//! The sections `sms`, `face` and `notices`: our own interface, or a vendor's, which is chosen by writing its section.

use std::collections::BTreeMap;

use url::Url;

use super::read::{party_of, url};
use super::reader::Section;
use super::{FaceService, Party, SmsService, development as dev};
use crate::login::wire::Text;
use crate::ports::NoticeKind;
use crate::ports::tencent::{TencentAccount, TencentSmsSettings};

/// The SMS gateway.
pub(super) fn sms(root: &mut Section<'_>, development: bool) -> Option<SmsService> {
    let mut section = root.section("sms");
    let mut vendor = section.section("tencent_cloud");
    let chosen = !vendor.names().is_empty();
    let theirs = tencent_sms(&mut vendor, chosen);
    vendor.end();
    let service = if chosen {
        // Asked for all the same, so that the list of known keys is whole, and refused: which of the two was meant?
        refuse_own(&mut section);
        theirs.map(SmsService::Tencent)
    } else {
        let default = development.then_some((dev::SMS_URL, dev::SMS_KEY));
        party_of(&mut section, "sms", default).map(SmsService::Own)
    };
    section.end();
    service
}

fn tencent_sms(section: &mut Section<'_>, chosen: bool) -> Option<TencentSmsSettings> {
    let account = account(section, chosen, "https://sms.tencentcloudapi.com");
    let region = section
        .text("region")
        .unwrap_or_else(|| "ap-guangzhou".to_owned());
    let mut needed = |key: &str, example: &str| {
        if chosen {
            section.needed(key, example)
        } else {
            section.text(key)
        }
    };
    let sdk_app_id = needed("sdk_app_id", "1400000000");
    let sign_name = needed("sign_name", "the approved signature");
    let login_code = needed("template_login_code", "1000001");
    let mut templates = BTreeMap::new();
    for kind in NoticeKind::ALL {
        if let Some(id) = section.text(&format!("template_{}", kind.name())) {
            templates.insert(kind.name().to_owned(), id);
        }
    }
    templates.insert("login_code".to_owned(), login_code?);
    Some(TencentSmsSettings {
        account: account?,
        region,
        sdk_app_id: sdk_app_id?,
        sign_name: sign_name?,
        templates,
    })
}

/// The face service, and what is offered to those who decline it.
pub(super) fn face(root: &mut Section<'_>, development: bool) -> (Option<FaceService>, Text) {
    let mut section = root.section("face");
    let mut vendor = section.section("tencent_cloud");
    let chosen = !vendor.names().is_empty();
    let account = account(&mut vendor, chosen, "https://faceid.tencentcloudapi.com");
    let rule_id = if chosen {
        vendor.needed("rule_id", "1")
    } else {
        vendor.text("rule_id")
    };
    vendor.end();
    let service = if chosen {
        refuse_own(&mut section);
        account
            .zip(rule_id)
            .map(|(account, rule_id)| FaceService::Tencent { account, rule_id })
    } else {
        let default = development.then_some((dev::FACE_URL, dev::FACE_KEY));
        party_of(&mut section, "face", default).map(FaceService::Own)
    };
    let alternative = Text {
        zh: section
            .text("alternative_zh")
            .unwrap_or_else(|| "请携带身份证到任一网点办理绑定".to_owned()),
        en: section.text("alternative_en").unwrap_or_else(|| {
            "Bring your identity card to any branch to have it bound there".to_owned()
        }),
    };
    section.end();
    (service, alternative)
}

/// The bank's own channel to its customers; without it notices go as text messages.
pub(super) fn notices(root: &mut Section<'_>) -> Option<Party> {
    let mut section = root.section("notices");
    let chosen = section.has("base_url") || section.has("api_key") || section.has("api_key_file");
    let party = if chosen {
        party_of(&mut section, "notices", None)
    } else {
        section.text("base_url");
        section.secret("api_key");
        section.number("timeout_milliseconds", 5000, 100..=20_000);
        None
    };
    section.end();
    party
}

fn account(section: &mut Section<'_>, chosen: bool, address: &str) -> Option<TencentAccount> {
    let base = if section.has("base_url") {
        url(section, "base_url", address)
    } else {
        section.text("base_url");
        Url::parse(address).ok()
    };
    let (secret_id, secret_key) = if chosen {
        (
            section.needed("secret_id", "AKID…"),
            section.needed_secret("secret_key"),
        )
    } else {
        (section.text("secret_id"), section.secret("secret_key"))
    };
    Some(TencentAccount {
        base: base?,
        secret_id: secret_id?,
        secret_key: secret_key?,
    })
}

fn refuse_own(section: &mut Section<'_>) {
    let both = section.has("base_url") || section.has("api_key") || section.has("api_key_file");
    section.text("base_url");
    section.secret("api_key");
    section.number("timeout_milliseconds", 5000, 100..=20_000);
    if both {
        section.fault(
            "base_url",
            "stands beside a vendor's section",
            "Keep the one or the other.",
        );
    }
}
