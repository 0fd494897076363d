//! Settings: TOML, over it the environment, secrets also from files (`…_file`). `account-center.example.toml` beside this crate documents every key.
//!
//! Without a file everything has a default for development (`development.rs`). Production mode takes nothing of the simulator's and no development key.

pub mod development;
pub mod key_files;
pub mod material;
mod production;
mod read;
mod read_admin;
mod read_apps;
mod read_identity;
mod read_oidc;
mod read_outbox;
mod read_services;
mod reader;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use postern_server_security::public_url::PublicUrl;
use url::Url;

use crate::funnel::Retention;
use crate::login::wire::{PasswordRules, Text};
use crate::notifications::PushSecrets;
use crate::outbox::OutboxSettings;
use crate::ports::tencent::{TencentAccount, TencentSmsSettings};
use crate::providers::AppKind;
use crate::providers::alipay::AlipayKeys;
use crate::secret::SecretText;
use crate::sessions::Lifetimes;
use crate::store::{Database, Options};

pub use reader::{Fault, Report};

/// What this installation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A desk or a test: keys are made, outside parties are the simulator's.
    Development,
    /// Real customers.
    Production,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this installation is for.
    pub mode: Mode,
    /// Where the server's own data is; keys and database of a development set-up.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address under which clients know us, and our name as issuer. `None`: that of the listener (development only).
    pub public_url: Option<PublicUrl>,
    /// Proxies of ours before us whose `X-Forwarded-For` is believed.
    pub trusted_proxies: usize,
    /// The admin API.
    pub admin: AdminSettings,
    /// The header in which the bank's own edge says where a person is (L12).
    pub region_header: Option<HeaderName>,
    /// How long events are kept (L11).
    pub retention: Retention,
    /// How long a request may take.
    pub request_limit: Duration,
    /// How long stopping waits for requests under way.
    pub stop_limit: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged, as `RUST_LOG` has it.
    pub log_filter: String,
    /// The database.
    pub database: DatabaseSettings,
    /// Where keys come from; `None`: made in the data folder (development only).
    pub keys: Option<KeySettings>,
    /// The business lines that access tokens are for.
    pub audience: Vec<String>,
    /// How long tokens and sessions last.
    pub lifetimes: Lifetimes,
    /// What may be asked for how often.
    pub limits: Limits,
    /// Rules for new login passwords.
    pub password_rules: PasswordRules,
    /// The SMS gateway.
    pub sms: SmsService,
    /// The bank's core.
    pub core: Party,
    /// The face service.
    pub face: FaceService,
    /// The bank's own channel to its customers; `None`: text messages.
    pub notices: Option<Party>,
    /// What the bank offers to those who decline face recognition (L5).
    pub face_alternative: Text,
    /// WeChat's API: `https://api.weixin.qq.com`.
    pub wechat_url: Url,
    /// Weibo's API: `https://api.weibo.com`.
    pub weibo_url: Url,
    /// QQ's API: `https://graph.qq.com`.
    pub qq_url: Url,
    /// Alipay's gateway: `https://openapi.alipay.com/gateway.do`.
    pub alipay_url: Url,
    /// `OpenID` Connect issuers by the name that they have on our wire: each exactly as the `iss` of its tokens.
    pub oidc: BTreeMap<String, String>,
    /// A forward proxy for requests to the outside.
    pub outbound_proxy: Option<Url>,
    /// Guests, the bank's own login, providers' notifications.
    pub identity: IdentitySettings,
    /// The bank's apps, by id.
    pub apps: BTreeMap<String, AppSettings>,
    /// What business lines are told (W6).
    pub outbox: OutboxSettings,
}

/// The admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where operators reach it; nowhere where there is none.
    pub listen: Option<SocketAddr>,
    /// Any free port will do where that one is taken: nobody wrote it down (development).
    pub listen_elsewhere: bool,
    /// Operators show a second factor.
    pub second_factor: bool,
}

/// Where the data is and how it is used. Debug shows no URL: it may hold a password.
#[derive(Clone)]
pub struct DatabaseSettings(pub Database, pub Options);

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Database::Sqlite(_) => "sqlite",
            Database::Postgres(_) => "postgres",
        })
    }
}

/// Files with keys.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// The server secret.
    pub server_secret_file: PathBuf,
    /// The key that signs access tokens.
    pub signing_key_file: PathBuf,
    /// Signing keys of before and for later, published only.
    pub published_key_files: Vec<PathBuf>,
    /// Keys that clients seal to.
    pub sealing_key_files: Vec<PathBuf>,
    /// The list of sealing keys, signed offline.
    pub key_list_file: PathBuf,
    /// The offline root's public key (uncompressed SEC1 point, base64url), as in the apps.
    pub root_key: String,
}

/// What may be asked for how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Seconds between two SMS of one login.
    pub sms_resend: Duration,
    /// SMS codes to one phone number in an hour.
    pub sms_per_phone_per_hour: u32,
    /// SMS codes asked for from one address in an hour.
    pub sms_per_address_per_hour: u32,
    /// Passwords hashed at a time (40 ms of a core and 19 MiB each).
    pub hashing_lanes: usize,
    /// Passwords that wait for a lane.
    pub hashing_queue: usize,
}

/// Who sends text messages.
#[derive(Clone, Debug)]
pub enum SmsService {
    /// A gateway of the bank's with our interface.
    Own(Party),
    /// Tencent Cloud SMS.
    Tencent(TencentSmsSettings),
}

/// Who recognises faces.
#[derive(Clone, Debug)]
pub enum FaceService {
    /// A service of the bank's with our interface.
    Own(Party),
    /// Tencent Cloud's face verification.
    Tencent {
        /// The account.
        account: TencentAccount,
        /// The flow that the bank set up there.
        rule_id: String,
    },
}

/// One of the bank's services.
#[derive(Clone, Debug)]
pub struct Party {
    /// Its address.
    pub base_url: Url,
    /// The key we show it.
    pub api_key: SecretText,
    /// For one call.
    pub time_limit: Duration,
}

/// One of the bank's apps.
#[derive(Clone, Debug, Default)]
pub struct AppSettings {
    /// Its providers, in the order of the buttons.
    pub providers: Vec<ProviderSettings>,
}

/// A provider as one app uses it.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The provider's name: `wechat`.
    pub provider: String,
    /// The app's id there (W1).
    pub app_id: String,
    /// The app's secret there (M2); empty where none is needed.
    pub secret: SecretText,
    /// The open-platform account that union ids belong to (W2); empty where there are none.
    pub platform: String,
    /// Where the provider's page returns to, as registered there; empty where it is not asked for.
    pub redirect_uri: String,
    /// What the app is there.
    pub kind: AppKind,
    /// What Alipay alone has.
    pub alipay: Option<AlipaySettings>,
    /// What the person is asked to consent to.
    pub scope: String,
    /// The button's text.
    pub label: Text,
}

/// One app at Alipay.
#[derive(Clone, Debug)]
pub struct AlipaySettings {
    /// The merchant's id, `2088…`.
    pub pid: String,
    /// Its keys.
    pub keys: Arc<AlipayKeys>,
}

/// Guests, the bank's own login, providers' notifications.
#[derive(Clone, Debug, Default)]
pub struct IdentitySettings {
    /// The privacy notice that guests must have consented to (W6).
    pub privacy_notice: Option<String>,
    /// The bank's own login (L1).
    pub bank_session: Option<BankSessionSettings>,
    /// Apps at WeChat whose events are pushed to us.
    pub pushes: Vec<PushSecrets>,
}

/// The bank's own login.
#[derive(Clone, Debug)]
pub struct BankSessionSettings {
    /// `iss` of its assertions.
    pub issuer: String,
    /// Where its public keys are.
    pub keys: BankKeys,
}

/// Where the bank's public keys are (a JWK set).
#[derive(Clone, Debug)]
pub enum BankKeys {
    /// In a file.
    File(PathBuf),
    /// At an address.
    Web(Url),
}

/// What the command line lays over everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--public-url`
    pub public_url: Option<String>,
}

/// The settings cannot be used: every fault, with its key path and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "{count} {} to mend in the settings:",
            if count == 1 { "thing" } else { "things" }
        )?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
    }
}

impl std::error::Error for Faults {}

impl Config {
    /// Reads the settings. `file` is the TOML text, if there is a file.
    pub fn read(
        file: Option<&str>,
        environment: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Self, Faults> {
        let report = Report::default();
        let config = read::read(file, environment, overrides, &report);
        if let Some(config) = config
            .as_ref()
            .filter(|config| config.mode == Mode::Production)
        {
            production::check(config, &report);
        }
        match config {
            Some(config) if report.faults().is_empty() => Ok(config),
            _ => Err(Faults(report.faults())),
        }
    }

    /// Every key that can be set, for the test of the documented example.
    #[cfg(test)]
    fn known_keys(file: &str) -> std::collections::BTreeSet<String> {
        let report = Report::default();
        read::read(Some(file), &BTreeMap::new(), &Overrides::default(), &report);
        report.keys()
    }
}

#[cfg(test)]
mod tests;
