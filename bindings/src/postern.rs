//! What a host starts from: configuration in, everything else out of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use postern_sdk_core as sdk;

use crate::boundary::guarded;
use crate::counted::{Counted, Kind};
use crate::error::{OptionsError, SetupError, StepError};
use crate::host::{
    DeviceKey, HostDeviceKey, HostTransport, HostTrust, HostVault, Transport, TrustDecision, Vault,
};
use crate::log::{Log, LogHook, LogLevel};
use crate::login::{Login, LoginListener};
use crate::model::{IdentityAdvice, LoginButton, buttons};
use crate::runtime::OwnedRuntime;
use crate::session::{Account, Session};

/// What a host says once. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PosternConfig {
    /// The account center's public URL: `https`, or `http` to the device itself.
    pub account_center: String,
    /// The app's id at the account center.
    pub app_id: String,
    /// The offline root's public key: uncompressed SEC1 point on P-256, base64url (contract section 5).
    pub root_key: String,
    /// How the account center calls itself in its key list; by default `account_center`.
    pub issuer: Option<String>,
    /// Origins (`https://api.bank.example`) whose requests get the session's headers, besides the account center.
    pub api_origins: Vec<String>,
    /// The person's region, for the staged release (L12).
    pub region: Option<String>,
    /// The app's version, for the staged release (L12).
    pub app_version: Option<String>,
    /// A folder of this app alone, excluded from backups: install id, and the lock between processes.
    pub data_dir: Option<String>,
    /// Public keys (`sha256/…`) of which the account center's certificate must have one, until a signed key list says others.
    pub tls_pins: Vec<String>,
    /// An HTTP proxy; the environment's proxies are not used.
    pub proxy: Option<String>,
    /// Seconds until a connection stands; by default 10.
    pub connect_timeout: Option<u32>,
    /// Seconds until a whole reply is there; by default 20.
    pub total_timeout: Option<u32>,
}

impl From<PosternConfig> for sdk::config::PosternConfig {
    fn from(config: PosternConfig) -> Self {
        let mut core = Self::new(config.account_center, config.app_id, config.root_key);
        core.issuer = config.issuer;
        core.api_origins = config.api_origins;
        core.region = config.region;
        core.app_version = config.app_version;
        core.data_dir = config.data_dir.map(PathBuf::from);
        core.tls_pins = config.tls_pins;
        core.proxy = config.proxy;
        if let Some(seconds) = config.connect_timeout {
            core.limits.connect = Duration::from_secs(seconds.into());
        }
        if let Some(seconds) = config.total_timeout {
            core.limits.total = Duration::from_secs(seconds.into());
        }
        core
    }
}

/// A vault that comes with the SDK, for desktops and tests. Phones give their own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum BuiltInVault {
    /// The desktop's keyring; on a Linux without one the kernel's session keyring, whose content is gone at reboot.
    Keyring {
        /// The app's name in it.
        service: String,
    },
    /// A file, encrypted with a key file beside it: it protects a backup of the one without the other, and no more.
    EncryptedFile {
        /// The folder of both; made where it is missing.
        folder: String,
    },
    /// Memory: nothing outlives the process.
    Memory,
}

impl BuiltInVault {
    fn open(self) -> Result<Arc<dyn sdk::vault::Vault>, SetupError> {
        crate::desktop::open(self)
    }
}

/// What the host supplies besides the configuration.
struct Host {
    vault: Arc<dyn sdk::vault::Vault>,
    device_key: Option<Arc<dyn DeviceKey>>,
    transport: Option<Arc<dyn Transport>>,
    trust: Option<Arc<dyn TrustDecision>>,
    log: LogHook,
}

/// The SDK. It owns its threads until `shutdown`.
#[derive(uniffi::Object)]
pub struct Postern {
    core: sdk::Postern,
    runtime: Arc<OwnedRuntime>,
    logins: Mutex<Vec<Weak<Login>>>,
    _counted: Counted,
}

impl Postern {
    fn build(config: PosternConfig, host: Host) -> Result<Arc<Self>, SetupError> {
        let log = Arc::new(host.log);
        let runtime = OwnedRuntime::start(Arc::clone(&log)).map_err(|_| SetupError::Internal)?;
        let mut builder = sdk::Postern::builder(config.into())
            .shared_vault(host.vault)
            .runtime(runtime.handle());
        if let Some(key) = host.device_key {
            builder = builder.device_key(Arc::new(HostDeviceKey(key)));
        }
        if let Some(transport) = host.transport {
            builder = builder.transport(Arc::new(HostTransport(transport)));
        }
        if let Some(trust) = host.trust {
            builder = builder.trust_decision(Arc::new(HostTrust(trust)));
        }
        let core = log.during(|| builder.build())?;
        Ok(Arc::new(Self {
            core,
            runtime: Arc::new(runtime),
            logins: Mutex::default(),
            _counted: Counted::new(Kind::Postern),
        }))
    }

    /// Lets every listener and the log hook go: they may hold the object that holds this one.
    fn let_go(&self) {
        let logins =
            std::mem::take(&mut *self.logins.lock().unwrap_or_else(PoisonError::into_inner));
        for login in logins.iter().filter_map(Weak::upgrade) {
            login.end();
        }
        self.core.shutdown();
        self.runtime.log().close();
    }
}

#[uniffi::export]
impl Postern {
    /// The SDK over a vault of the host. Opens no connection and does not read the vault; may take some milliseconds, so not on the main thread.
    ///
    /// Without `device_key` a software key is kept in the vault. Without `transport` the SDK's own HTTP stack is used; on Android that one needs `trust`.
    /// `log` hears messages of `log_level` and above.
    #[uniffi::constructor]
    pub fn new(
        config: PosternConfig,
        vault: Arc<dyn Vault>,
        device_key: Option<Arc<dyn DeviceKey>>,
        transport: Option<Arc<dyn Transport>>,
        trust: Option<Arc<dyn TrustDecision>>,
        log: Option<Arc<dyn Log>>,
        log_level: LogLevel,
    ) -> Result<Arc<Self>, SetupError> {
        guarded(|| {
            let host = Host {
                vault: Arc::new(HostVault(vault)),
                device_key,
                transport,
                trust,
                log: hook(log, log_level),
            };
            Self::build(config, host)
        })
    }

    /// The same over a vault that comes with the SDK.
    #[uniffi::constructor]
    pub fn with_built_in_vault(
        config: PosternConfig,
        vault: BuiltInVault,
        device_key: Option<Arc<dyn DeviceKey>>,
        transport: Option<Arc<dyn Transport>>,
        trust: Option<Arc<dyn TrustDecision>>,
        log: Option<Arc<dyn Log>>,
        log_level: LogLevel,
    ) -> Result<Arc<Self>, SetupError> {
        guarded(|| {
            let host = Host {
                vault: vault.open()?,
                device_key,
                transport,
                trust,
                log: hook(log, log_level),
            };
            Self::build(config, host)
        })
    }

    /// The buttons to show here, in their order (L1, L12).
    pub async fn login_options(&self) -> Result<Vec<LoginButton>, OptionsError> {
        let core = self.core.clone();
        self.runtime
            .perform(async move { Ok(buttons(core.login_options().await?)) })
            .await
    }

    /// Begins a login, or goes on with one that a process which died has left. `listener` hears where it stands, and each state after that.
    pub fn login(&self, listener: Arc<dyn LoginListener>) -> Result<Arc<Login>, StepError> {
        guarded(|| {
            if self.runtime.is_shut_down() {
                return Err(StepError::Closed);
            }
            let login = self
                .runtime
                .log()
                .during(|| Login::start(self.core.login(), listener, &self.runtime));
            let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
            logins.retain(|login| login.strong_count() > 0);
            logins.push(Arc::downgrade(&login));
            Ok(login)
        })
    }

    /// The session of this installation.
    pub fn session(&self) -> Result<Arc<Session>, StepError> {
        guarded(|| Ok(Session::new(self.core.session(), &self.runtime)))
    }

    /// The account of who is logged in.
    pub fn account(&self) -> Result<Arc<Account>, StepError> {
        guarded(|| Ok(Account::new(self.core.account(), &self.runtime)))
    }

    /// What to do before `operation` (such as `order.list`), which needs an identity (W8).
    pub async fn require_identity(&self, operation: String) -> Result<IdentityAdvice, StepError> {
        let core = self.core.clone();
        self.runtime
            .perform(async move { Ok(core.require_identity(&operation).await.into()) })
            .await
    }

    /// Where the session is kept, for people.
    pub fn vault_description(&self) -> Result<String, StepError> {
        guarded(|| Ok(self.core.vault_description()))
    }

    /// Ends the SDK: lets the listeners and the log hook go, then ends the threads. May be repeated, and called from a listener (then it does not wait).
    /// What is under way answers `Closed`; what was kept stays kept.
    pub fn shutdown(&self) -> Result<(), StepError> {
        guarded(|| {
            self.let_go();
            self.runtime.shutdown();
            Ok(())
        })
    }
}

impl Drop for Postern {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn hook(log: Option<Arc<dyn Log>>, level: LogLevel) -> LogHook {
    log.map_or_else(LogHook::silent, |log| LogHook::new(log, level))
}
