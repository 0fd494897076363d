#![allow(clippy::unwrap_used)]
//! Settings from text and environment.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../account-center.example.toml");

fn home() -> BTreeMap<String, String> {
    BTreeMap::from([("HOME".to_owned(), "/home/dev".to_owned())])
}

fn faults(text: &str) -> Vec<Fault> {
    Config::read(Some(text), &home(), &Overrides::default())
        .map_or_else(|faults| faults.0, |_| Vec::new())
}

fn keys(text: &str) -> Vec<String> {
    faults(text).into_iter().map(|fault| fault.key).collect()
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
}

/// The example with its secret files there.
fn example() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("sms-key", "a"),
        ("core-key", "b"),
        ("face-key", "c"),
        ("wechat-secret", "d"),
        ("weibo-secret", "e"),
        ("qq-key", "f"),
        ("sso-secret", "g"),
        ("wechat-push-token", "g"),
        (
            "wechat-push-key",
            "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        ),
        (
            "alipay-app-key",
            include_str!("simulated/alipay-app-SIMULATOR-ONLY.pem"),
        ),
        (
            "alipay-public-key",
            include_str!("../providers/alipay/fixtures/public-key"),
        ),
        (
            "database-url",
            "postgres://u:p@db1,db2:5433/postern?sslmode=verify-full",
        ),
        ("points-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let text = EXAMPLE.replace("/etc/postern/", &format!("{}/", folder.path().display()));
    (folder, text)
}

#[test]
fn without_a_file_everything_has_a_default_for_development() {
    let config = Config::read(None, &home(), &Overrides::default()).unwrap();
    assert_eq!(config.mode, Mode::Development);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8600");
    assert_eq!(
        config.data_dir,
        PathBuf::from("/home/dev/.local/share/postern-account-center")
    );
    assert_eq!(config.wechat_url.as_str(), "http://127.0.0.1:8611/");
    assert!(config.apps.contains_key("bank-android") && config.keys.is_none());
    let xdg = BTreeMap::from([("XDG_DATA_HOME".to_owned(), "/data".to_owned())]);
    assert_eq!(
        Config::read(None, &xdg, &Overrides::default())
            .unwrap()
            .data_dir,
        PathBuf::from("/data/postern-account-center")
    );
}

#[test]
fn environment_lies_over_the_file_and_the_command_line_over_both() {
    let mut environment = home();
    environment.insert(
        "POSTERN_SERVER__LISTEN".to_owned(),
        "127.0.0.1:2".to_owned(),
    );
    environment.insert(
        "POSTERN_WECHAT__BASE_URL".to_owned(),
        "http://127.0.0.1:9".to_owned(),
    );
    let file = "mode = \"development\"\n[server]\nlisten = \"127.0.0.1:1\"\nrequest_seconds = 3";
    let config = Config::read(Some(file), &environment, &Overrides::default()).unwrap();
    assert_eq!(
        (
            config.listen.port(),
            config.request_limit.as_secs(),
            config.wechat_url.port()
        ),
        (2, 3, Some(9))
    );
    let overrides = Overrides {
        listen: Some("127.0.0.1:3".to_owned()),
        public_url: Some("http://127.0.0.1:4/x/".to_owned()),
        data_dir: None,
    };
    let config = Config::read(Some(file), &environment, &overrides).unwrap();
    assert_eq!(
        (config.listen.port(), config.public_url.unwrap().as_str()),
        (3, "http://127.0.0.1:4/x")
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_what_to_write_instead() {
    let text = "mode = \"development\"\ncolour = 1\n[server]\nlisten = \"here\"\nrequest_seconds = 99\n[tokens]\naccess_token_seconds = 301\n[limits]\nsms_resend = 1\n\
                [core]\nbase_url = \"ftp://core\"\n[apps.bank.myspace]\n[apps.bank.wechat]\napp_id = \"wx1\"";
    let found = faults(text);
    let keys: BTreeSet<_> = found.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        BTreeSet::from([
            "colour",
            "server.listen",
            "server.request_seconds",
            "tokens.access_token_seconds",
            "limits.sms_resend",
            "core.base_url",
            "apps.bank.myspace",
            "apps.bank.wechat.secret",
            "apps.bank.wechat.platform",
        ])
    );
    assert!(found.iter().all(|fault| !fault.instead.is_empty()));
    let listing = Faults(found).to_string();
    assert!(listing.starts_with("9 things to mend"), "{listing}");
    assert!(
        listing.contains("limits.sms_resend: is not a setting"),
        "{listing}"
    );
}

#[test]
fn a_file_must_say_which_mode_it_is_for() {
    assert_eq!(keys("[server]"), ["mode"]);
    assert_eq!(keys("mode = \"staging\""), ["mode"]);
}

#[test]
fn a_broken_file_is_said_by_its_line_without_repeating_it() {
    let found = faults("mode = \"production\"\n[sms]\napi_key = \"hidden\" x");
    assert_eq!(found.len(), 1);
    assert!(found[0].wrong.starts_with("line 3"), "{found:?}");
    assert!(!found[0].wrong.contains("hidden"));
}

#[test]
fn production_needs_what_development_makes_up() {
    let found = keys("mode = \"production\"");
    for key in [
        "server.public_url",
        "database.url",
        "keys.server_secret_file",
        "keys.sealing_key_files",
        "keys.root_key",
        "sms.base_url",
        "sms.api_key",
        "core.base_url",
        "face.api_key",
        "apps",
    ] {
        assert!(
            found.iter().any(|found| found == key),
            "{key} is not among {found:?}"
        );
    }
}

#[test]
fn production_refuses_a_database_over_the_network_that_does_not_prove_itself() {
    let (folder, text) = example();
    let write = |url: &str| {
        let file = folder.path().join("database-url");
        std::fs::write(file, url).unwrap();
        keys(&text)
    };
    for bare in [
        "postgres://u:p@db/postern",
        "postgres://u:p@db/postern?sslmode=require",
        "postgres://u:p@localhost,db/postern",
    ] {
        assert_eq!(write(bare), ["database.url"], "{bare}");
    }
    assert!(write("postgres://u:p@db/postern?sslmode=verify-full").is_empty());
    assert!(write("postgres://u:p@localhost/postern").is_empty());
}

#[test]
fn production_refuses_the_simulator_and_plain_http() {
    let (_folder, text) = example();
    assert_eq!(keys(&text), Vec::<String>::new());
    for (from, to, key) in [
        (
            "https://login.bank.example",
            "http://login.bank.example",
            "server.public_url",
        ),
        (
            "https://sms.bank.example",
            "https://127.0.0.1:8612",
            "sms.base_url",
        ),
        (
            "https://core.bank.example",
            "http://core.bank.example",
            "core.base_url",
        ),
        (
            "https://face.bank.example",
            "https://localhost:8614",
            "face.base_url",
        ),
        (
            "# base_url = \"https://api.weixin.qq.com\"",
            "base_url = \"http://[::1]:8611\"",
            "wechat.base_url",
        ),
        (
            "# base_url = \"https://graph.qq.com\"",
            "base_url = \"http://qq.example\"",
            "qq.base_url",
        ),
        (
            "issuer = \"https://id.bank.example\"",
            "issuer = \"https://localhost:8618\"",
            "oidc.bank-sso.issuer",
        ),
        (
            "issuer = \"https://id.bank.example\"",
            "issuer = \"https://10.0.0.8\"",
            "oidc.bank-sso.issuer",
        ),
        (
            "app_id = \"bank-android\"",
            "app_id = \"postern-bank-page\"",
            "apps.bank-android.bank-sso.app_id",
        ),
        (
            "0123456789\"",
            "3100000001\"",
            "apps.bank-android.weibo.app_id",
        ),
        (
            "dev_bank",
            "dev_postern_bank",
            "apps.bank-android.qq.platform",
        ),
        (
            "2021001234567890",
            "2021000000000001",
            "apps.bank-android.alipay.app_id",
        ),
        (
            "wx0123456789abcdef",
            "wx5b1e0c6a7d000002",
            "apps.bank-android.wechat.app_id",
        ),
        (
            "op_bank",
            "op_postern_bank",
            "apps.bank-android.wechat.platform",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(keys(&text.replace(from, to)), [key], "{to}");
    }
    let (folder, text) = example();
    std::fs::write(folder.path().join("face-key"), "simulator-face-key\n").unwrap();
    std::fs::write(
        folder.path().join("wechat-secret"),
        "simulator-secret-of-app-1",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("alipay-public-key"),
        development::ALIPAY_PUBLIC_KEY,
    )
    .unwrap();
    assert_eq!(
        keys(&text),
        [
            "face.api_key",
            "apps.bank-android.alipay.alipay_public_key",
            "apps.bank-android.wechat.secret"
        ]
    );
}

#[test]
fn alipays_keys_and_certificates_are_checked_when_they_are_read() {
    let key = |name: &str| format!("apps.bank-android.alipay.{name}");
    let (folder, text) = example();
    std::fs::write(folder.path().join("alipay-app-key"), "no key").unwrap();
    assert_eq!(keys(&text), [key("private_key")]);
    let (folder, text) = example();
    std::fs::write(folder.path().join("alipay-public-key"), "no key").unwrap();
    assert_eq!(keys(&text), [key("alipay_public_key")]);
    // Certificate mode: all three files, and the app's belongs to the private key.
    let (folder, text) = example();
    let with = ["app", "alipay", "alipay_root"]
        .iter()
        .fold(text, |text, name| {
            text.replace(
                &format!("# {name}_certificate_file"),
                &format!("{name}_certificate_file"),
            )
        });
    let with = with.replace("alipay_public_key_file = ", "# ");
    assert_eq!(keys(&with).len(), 3);
    for (name, content) in [
        (
            "appCertPublicKey.crt",
            include_str!("../providers/alipay/fixtures/alipay.crt"),
        ),
        (
            "alipayCertPublicKey_RSA2.crt",
            include_str!("../providers/alipay/fixtures/app.crt"),
        ),
        (
            "alipayRootCert.crt",
            include_str!("../providers/alipay/fixtures/root.crt"),
        ),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    assert_eq!(keys(&with), [key("app_certificate_file")]);
    std::fs::write(
        folder.path().join("appCertPublicKey.crt"),
        include_str!("../providers/alipay/fixtures/app.crt"),
    )
    .unwrap();
    assert_eq!(keys(&with), Vec::<String>::new());
}

#[test]
fn a_vendor_is_chosen_by_its_section_and_production_refuses_the_simulators_account() {
    let (_folder, text) = example();
    let own = "base_url = \"https://sms.bank.example\"";
    let vendor = "[sms.tencent_cloud]\nsecret_id = \"AKID1\"\nsecret_key = \"k\"\nsdk_app_id = \"1\"\nsign_name = \"s\"\ntemplate_login_code = \"11\"\ntemplate_binding_added = \"12\"\n";
    let both = text.replace("[sms.tencent_cloud]\n", vendor);
    assert_eq!(keys(&both), ["sms.base_url"]);
    let api_key = text
        .lines()
        .find(|line| line.contains("/sms-key\""))
        .unwrap();
    let chosen = both.replace(own, "").replace(api_key, "");
    let config = Config::read(Some(&chosen), &home(), &Overrides::default()).unwrap();
    let SmsService::Tencent(settings) = &config.sms else {
        panic!("{:?}", config.sms)
    };
    assert_eq!(
        settings.account.base.as_str(),
        "https://sms.tencentcloudapi.com/"
    );
    assert_eq!(settings.templates["binding_added"], "12");
    assert!(!format!("{config:?}").contains("AKID1\", secret_key: \"k"));
    for (from, to, key) in [
        (
            "secret_key = \"k\"",
            "secret_key = \"simulator-tencent-secret-key\"",
            "sms.tencent_cloud.secret_key",
        ),
        (
            "secret_id = \"AKID1\"",
            "secret_id = \"AKID1\"\nbase_url = \"http://127.0.0.1:8612\"",
            "sms.tencent_cloud.base_url",
        ),
        ("sign_name = \"s\"\n", "", "sms.tencent_cloud.sign_name"),
        (
            "template_login_code = \"11\"\n",
            "",
            "sms.tencent_cloud.template_login_code",
        ),
    ] {
        assert_eq!(keys(&chosen.replacen(from, to, 1)), [key]);
    }
    let notices = text.replace(
        "[notices]",
        "[notices]\nbase_url = \"http://127.0.0.1:8619\"\napi_key = \"simulator-notices-key\"",
    );
    assert_eq!(keys(&notices), ["notices.base_url", "notices.api_key"]);
}

#[test]
fn an_issuer_is_known_by_its_own_section_and_asked_for_openid() {
    let (_folder, text) = example();
    for (from, to, key) in [
        (
            "[oidc.bank-sso]",
            "[oidc.other]",
            "apps.bank-android.bank-sso",
        ),
        ("[oidc.bank-sso]", "[oidc.wechat]", "oidc.wechat.(name)"),
        (
            "issuer = \"https://id.bank.example\"",
            "issuer = \"https://id.bank.example/?a=b\"",
            "oidc.bank-sso.issuer",
        ),
        (
            "issuer = \"https://id.bank.example\"",
            "issuer = \"http://id.bank.example\"",
            "oidc.bank-sso.issuer",
        ),
        (
            "# scope = \"openid profile\"",
            "scope = \"profile\"",
            "apps.bank-android.bank-sso.scope",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let found = keys(&text.replace(from, to));
        assert!(found.iter().any(|found| found == key), "{to}: {found:?}");
    }
    // The environment writes its name with an underscore.
    let mut environment = home();
    let variable = "POSTERN_OIDC__BANK_SSO__ISSUER".to_owned();
    environment.insert(variable, "http://127.0.0.1:9".to_owned());
    let config = Config::read(None, &environment, &Overrides::default()).unwrap();
    assert_eq!(config.oidc["bank-sso"], "http://127.0.0.1:9");
    assert!(
        config.apps["bank-h5"]
            .providers
            .iter()
            .any(|one| one.provider == "bank-sso")
    );
}

#[test]
fn the_example_documents_every_setting_and_no_other() {
    // All of it, also what is commented out; of `key` and `key_file` one would be enough.
    let mut section = String::new();
    let mut documented = BTreeSet::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")
            && is_key(key)
        {
            documented.insert(format!("{section}{key}"));
        }
    }
    let lines: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting)
                if setting
                    .split_once(" = ")
                    .is_some_and(|(key, _)| is_key(key)) =>
            {
                setting
            }
            _ => line,
        })
        .filter(|line| {
            !["api_key_file", "secret_file", "secret_key_file", "url_file"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .collect();
    let known = Config::known_keys(&lines.join("\n"));
    assert_eq!(
        documented.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "documented, but not known"
    );
    assert_eq!(
        known.difference(&documented).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "known, but not documented"
    );
}

#[test]
fn what_the_example_says_is_the_default_is_the_default() {
    let (_folder, text) = example();
    let config = Config::read(Some(&text), &home(), &Overrides::default()).unwrap();
    let uncommented = text
        .replace("# request_seconds", "request_seconds")
        .replace("# stop_seconds", "stop_seconds")
        .replace("# audience", "audience");
    let uncommented = [
        "access_token_seconds",
        "refresh_token_seconds",
        "session_seconds",
        "sms_resend_seconds",
        "sms_per_phone_per_hour",
        "sms_per_address_per_hour",
        "hashing_queue",
        "min_length",
        "max_length",
        "min_classes",
        "timeout_milliseconds",
        "alternative_zh",
        "alternative_en",
        "scope",
        "label_zh",
        "label_en",
        "listen",
        "trusted_proxies",
        "data_dir",
        "filter",
        "format",
        "second_factor",
        "keep_days",
        "keep_activity_days",
    ]
    .iter()
    .fold(uncommented, |text, key| {
        text.replace(&format!("# {key} = "), &format!("{key} = "))
    });
    let written = Config::read(Some(&uncommented), &home(), &Overrides::default()).unwrap();
    assert_ne!(text, uncommented);
    assert_eq!(format!("{config:?}"), format!("{written:?}"));
}

#[test]
fn debug_of_the_settings_shows_no_secret() {
    let (folder, text) = example();
    for name in ["sms-key", "core-key", "face-key", "wechat-secret"] {
        std::fs::write(folder.path().join(name), "hidden-value").unwrap();
    }
    std::fs::write(
        folder.path().join("database-url"),
        "postgres://u:hidden-value@db/postern?sslmode=verify-full",
    )
    .unwrap();
    let config = Config::read(Some(&text), &home(), &Overrides::default()).unwrap();
    assert!(!format!("{config:?}").contains("hidden-value"));
}
