//! What production mode refuses: the simulator, and addresses that nobody should reach a bank by. Development keys are refused where they are read.

use url::Url;

use super::{Config, FaceService, Report, SmsService, development as dev};
use crate::ports::Reach;
use crate::store::Database;

/// Adds a fault for everything that has no place in production.
pub(super) fn check(config: &Config, report: &Report) {
    if let Some(public_url) = &config.public_url
        && !public_url.as_str().starts_with("https://")
    {
        report.fault(
            "server.public_url",
            "is not https",
            "Write the https address that the apps use.",
        );
    }
    if config.region_header.is_some() && config.trusted_proxies == 0 {
        report.fault(
            "server.region_header",
            "is believed though no proxy of the bank's stands before us",
            "Write server.trusted_proxies, and let the edge set the header itself on every request.",
        );
    }
    if !config.admin.second_factor {
        report.fault(
            "admin.second_factor",
            "is off",
            "Leave it out: operators of a bank show a second factor.",
        );
    }
    if config.keys.is_none() {
        report.fault(
            "keys",
            "is missing",
            "Write [keys] with the files that make-keys and sign-keys made.",
        );
    }
    if let Database::Postgres(addresses) = &config.database.0 {
        for host in addresses.unproved_hosts() {
            report.fault(
                "database.url",
                format!("reaches {host} over the network without proof that it is the database"),
                "Add ?sslmode=verify-full&sslrootcert=/path/of/ca.pem to the URL.",
            );
        }
    }
    let mut parties = vec![("core", &config.core, dev::CORE_KEY)];
    let mut vendors = Vec::new();
    match &config.sms {
        SmsService::Own(party) => parties.push(("sms", party, dev::SMS_KEY)),
        SmsService::Tencent(settings) => vendors.push(("sms", &settings.account)),
    }
    match &config.face {
        FaceService::Own(party) => parties.push(("face", party, dev::FACE_KEY)),
        FaceService::Tencent { account, .. } => vendors.push(("face", account)),
    }
    parties.extend(
        config
            .notices
            .as_ref()
            .map(|party| ("notices", party, dev::NOTICES_KEY)),
    );
    for (name, party, simulator) in parties {
        address(report, &format!("{name}.base_url"), &party.base_url);
        if party.api_key.same_as(simulator) {
            report.fault(
                &format!("{name}.api_key"),
                "is the simulator's, which everybody knows",
                "Write the key of your own service.",
            );
        }
    }
    for (name, account) in vendors {
        let key = |key: &str| format!("{name}.tencent_cloud.{key}");
        address(report, &key("base_url"), &account.base);
        if account.secret_key.same_as(dev::TENCENT_KEY) {
            report.fault(
                &key("secret_key"),
                "is the simulator's, which everybody knows",
                "Write the key of your own account.",
            );
        }
    }
    for (name, url) in [
        ("wechat", &config.wechat_url),
        ("weibo", &config.weibo_url),
        ("qq", &config.qq_url),
        ("alipay", &config.alipay_url),
    ] {
        address(report, &format!("{name}.base_url"), url);
    }
    for (name, issuer) in &config.oidc {
        let key = format!("oidc.{name}.issuer");
        match Url::parse(issuer) {
            Ok(url) if Reach::Public.check(&url).is_err() => report.fault(
                &key,
                "is not a public address, and requests to others are not made",
                "Write the issuer's https address.",
            ),
            Ok(url) => address(report, &key, &url),
            Err(_) => report.fault(&key, "is no address", "Write the issuer's https address."),
        }
    }
    if config
        .identity
        .pushes
        .iter()
        .any(|push| push.is_of(dev::PUSH_TOKEN))
    {
        report.fault(
            "notifications",
            "has the simulator's token, which everybody knows",
            "Write the token of WeChat's console.",
        );
    }
    for (app_id, app) in &config.apps {
        for provider in &app.providers {
            let key = |name: &str| format!("apps.{app_id}.{}.{name}", provider.provider);
            if dev::SIMULATED_APPS
                .iter()
                .any(|(simulated, _)| provider.app_id == *simulated)
            {
                report.fault(
                    &key("app_id"),
                    "is the simulator's",
                    "Write the app id that the provider gave you.",
                );
            }
            if dev::SIMULATED_APPS
                .iter()
                .any(|(_, secret)| provider.secret.same_as(secret))
            {
                report.fault(
                    &key("secret"),
                    "is the simulator's, which everybody knows",
                    "Write the app secret that the provider gave you.",
                );
            }
            if provider
                .alipay
                .as_ref()
                .is_some_and(|alipay| alipay.keys.verifies_with(dev::ALIPAY_PUBLIC_KEY))
            {
                report.fault(
                    &key("alipay_public_key"),
                    "is the simulator's",
                    "Write Alipay's own.",
                );
            }
            if dev::PLATFORMS.contains(&provider.platform.as_str()) {
                report.fault(
                    &key("platform"),
                    "is the simulator's",
                    "Write the name of your own open-platform account.",
                );
            }
        }
    }
}

/// The simulator listens on loopback only, and nothing that a bank's customers depend on does.
fn address(report: &Report, key: &str, url: &Url) {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    };
    if loopback {
        report.fault(
            key,
            "is this machine itself, as the simulator is",
            "Write the address of the real service.",
        );
    } else if url.scheme() != "https" {
        report.fault(key, "is not https", "Write an https address.");
    }
}
