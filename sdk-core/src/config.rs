//! What a host says once.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::{Host, Url};

use crate::transport::SpkiPin;

/// What a host says once. Nothing in it is secret. [`PosternConfig::new`] has what must be said; the rest has defaults.
#[derive(Debug, Clone)]
pub struct PosternConfig {
    /// The account center's public URL: `https`, or `http` to the device itself.
    pub account_center: String,
    /// The app's id at the account center.
    pub app_id: String,
    /// The offline root's public key: uncompressed SEC1 point on P-256, base64url (contract section 5).
    pub root_key: String,
    /// How the account center calls itself in its key list; by default `account_center` without a slash at the end.
    pub issuer: Option<String>,
    /// Origins (`https://api.bank.example`) whose requests get the session's headers, besides the account center.
    pub api_origins: Vec<String>,
    /// The person's region, for the staged release (L12).
    pub region: Option<String>,
    /// The app's version, for the staged release (L12).
    pub app_version: Option<String>,
    /// A folder of this app alone, excluded from backups. It holds the install id and the lock between processes. Without one a restored backup
    /// is not noticed by its install id, and two processes may refresh at the same time.
    pub data_dir: Option<PathBuf>,
    /// Public keys (`sha256/…`) of which the account center's certificate must have one, until a signed key list says others.
    pub tls_pins: Vec<String>,
    /// An HTTP proxy; the environment's proxies are not used.
    pub proxy: Option<String>,
    /// Time limits of the built-in transport.
    pub limits: TimeLimits,
    /// How long a question does not pop up by itself after a refusal (M4); a button may ask at any time.
    pub refusal_quiet: Duration,
    /// A provider's denial that comes sooner than this after leaving was given without a page: the app is misconfigured there, and nobody refused.
    pub misconfigured_within: Duration,
}

/// Time limits of one transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the whole reply is there.
    pub total: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(20),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {field}: {why}")]
pub struct ConfigError {
    /// The field of [`PosternConfig`].
    pub field: &'static str,
    /// What is wrong with it, for the developer.
    pub why: &'static str,
}

impl PosternConfig {
    /// A configuration with what must be said.
    pub fn new(
        account_center: impl Into<String>,
        app_id: impl Into<String>,
        root_key: impl Into<String>,
    ) -> Self {
        Self {
            account_center: account_center.into(),
            app_id: app_id.into(),
            root_key: root_key.into(),
            issuer: None,
            api_origins: Vec::new(),
            region: None,
            app_version: None,
            data_dir: None,
            tls_pins: Vec::new(),
            proxy: None,
            limits: TimeLimits::default(),
            refusal_quiet: Duration::from_hours(24),
            misconfigured_within: Duration::from_secs(1),
        }
    }

    pub(crate) fn check(self) -> Result<CheckedConfig, ConfigError> {
        let base = self.account_center.trim_end_matches('/');
        let account_center = safe_url("account_center", base)?;
        if account_center.query().is_some() {
            return Err(wrong("account_center", "has a query"));
        }
        let named = !self.app_id.is_empty() && self.app_id.len() <= 64;
        if !named || !self.app_id.bytes().all(is_name_byte) {
            return Err(wrong("app_id", "must be 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        let root_key = URL_SAFE_NO_PAD
            .decode(self.root_key.trim_end_matches('='))
            .ok()
            .and_then(|bytes| <[u8; 65]>::try_from(bytes).ok())
            .filter(|point| point[0] == 4)
            .ok_or(wrong(
                "root_key",
                "must be an uncompressed P-256 point (65 bytes, base64url)",
            ))?;
        let mut api_origins = vec![account_center.origin()];
        for text in &self.api_origins {
            let url = safe_url("api_origins", text)?;
            if url.path() != "/" || url.query().is_some() {
                return Err(wrong("api_origins", "must be scheme, host and port only"));
            }
            api_origins.push(url.origin());
        }
        let tls_pins = self
            .tls_pins
            .iter()
            .map(|text| SpkiPin::parse(text))
            .collect::<Option<Vec<_>>>()
            .ok_or(wrong("tls_pins", "must be sha256/ and 32 bytes in base64"))?;
        let proxy = match &self.proxy {
            None => None,
            Some(text) => Some(Url::parse(text).map_err(|_| wrong("proxy", "is no URL"))?),
        };
        Ok(CheckedConfig {
            issuer: self.issuer.unwrap_or_else(|| base.to_owned()),
            account_center,
            app_id: self.app_id,
            root_key,
            api_origins,
            region: self.region,
            app_version: self.app_version,
            data_dir: self.data_dir,
            tls_pins,
            proxy,
            limits: self.limits,
            refusal_quiet: self.refusal_quiet,
            misconfigured_within: self.misconfigured_within,
        })
    }
}

/// A configuration that was looked through.
#[derive(Debug, Clone)]
pub(crate) struct CheckedConfig {
    pub(crate) account_center: Url,
    pub(crate) issuer: String,
    pub(crate) app_id: String,
    pub(crate) root_key: [u8; 65],
    /// The account center's own comes first.
    pub(crate) api_origins: Vec<url::Origin>,
    pub(crate) region: Option<String>,
    pub(crate) app_version: Option<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) tls_pins: Vec<SpkiPin>,
    pub(crate) proxy: Option<Url>,
    pub(crate) limits: TimeLimits,
    pub(crate) refusal_quiet: Duration,
    pub(crate) misconfigured_within: Duration,
}

fn wrong(field: &'static str, why: &'static str) -> ConfigError {
    ConfigError { field, why }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn safe_url(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|_| wrong(field, "is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(wrong(field, "has a user, a password or a fragment"));
    }
    if !is_safe(&url) {
        return Err(wrong(field, "must be https (http only to this device)"));
    }
    Ok(url)
}

/// Whether secrets may go there: `https`, or `http` that does not leave the device.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn root() -> String {
        let mut point = [7; 65];
        point[0] = 4;
        URL_SAFE_NO_PAD.encode(point)
    }

    fn refused(change: impl FnOnce(&mut PosternConfig)) -> &'static str {
        let mut config = PosternConfig::new("https://login.bank.example", "bank-android", root());
        change(&mut config);
        config.check().unwrap_err().field
    }

    #[test]
    fn a_plain_configuration_is_taken_and_gets_its_defaults() {
        let checked = PosternConfig::new("https://login.bank.example/pre/", "bank-android", root())
            .check()
            .unwrap();
        assert_eq!(checked.issuer, "https://login.bank.example/pre");
        assert_eq!(checked.account_center.path(), "/pre");
        assert_eq!(checked.api_origins.len(), 1);
    }

    #[test]
    fn plain_http_is_only_for_the_device_itself() {
        for good in [
            "http://127.0.0.1:8600",
            "http://[::1]:1",
            "http://localhost:2",
        ] {
            assert!(
                PosternConfig::new(good, "a", root()).check().is_ok(),
                "{good}"
            );
        }
        for bad in [
            "http://login.bank.example",
            "http://10.0.2.2",
            "http://localhost.evil.example",
            "ftp://127.0.0.1",
        ] {
            assert_eq!(
                refused(|config| config.account_center = bad.to_owned()),
                "account_center",
                "{bad}"
            );
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        assert_eq!(
            refused(|c| c.account_center = "nonsense".into()),
            "account_center"
        );
        assert_eq!(
            refused(|c| c.account_center = "https://u:p@bank.example".into()),
            "account_center"
        );
        assert_eq!(
            refused(|c| c.account_center = "https://bank.example/?a".into()),
            "account_center"
        );
        assert_eq!(refused(|c| c.app_id = String::new()), "app_id");
        assert_eq!(refused(|c| c.app_id = "a/b".into()), "app_id");
        assert_eq!(refused(|c| c.root_key = "AAAA".into()), "root_key");
        assert_eq!(
            refused(|c| c.api_origins = vec!["https://api.example/path".into()]),
            "api_origins"
        );
        assert_eq!(
            refused(|c| c.api_origins = vec!["http://api.example".into()]),
            "api_origins"
        );
        assert_eq!(
            refused(|c| c.tls_pins = vec!["sha256/AAAA".into()]),
            "tls_pins"
        );
        assert_eq!(refused(|c| c.proxy = Some("::".into())), "proxy");
    }
}
