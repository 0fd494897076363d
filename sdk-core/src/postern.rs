//! What a host starts from.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::account::Account;
use crate::api::{AccountCenter, CallFailure, CenterParts, LoginOptions, RetryPolicy};
use crate::config::{CheckedConfig, PosternConfig};
use crate::error::BuildError;
use crate::login::{Desk, Login, Parts};
use crate::offload::off_thread;
use crate::proof::{DeviceIdentity, DeviceKey, VaultedDeviceKey};
use crate::random::{Randomness, SystemRandomness};
use crate::refusal::{Advice, Refusals};
use crate::session::{Keeper, Session, SessionStatus};
use crate::time::{Clock, SystemClock};
use crate::transport::{ReqwestTransport, Transport, TrustDecision};
use crate::vault::{InstallId, Records, Vault, VaultError};

/// The SDK. Clones are the same one.
#[derive(Clone)]
pub struct Postern {
    core: Arc<Core>,
}

/// What the modules share.
pub(crate) struct Core {
    pub(crate) config: CheckedConfig,
    pub(crate) center: Arc<AccountCenter>,
    pub(crate) session: Session,
    pub(crate) records: Records,
    pub(crate) runtime: Handle,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) desk: Desk,
}

impl std::fmt::Debug for Postern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Postern({})", self.core.config.account_center)
    }
}

impl Postern {
    /// Begins with a configuration. A vault is needed; the rest has defaults.
    pub fn builder(config: PosternConfig) -> PosternBuilder {
        PosternBuilder {
            config,
            vault: None,
            transport: None,
            trust: None,
            device_key: None,
            clock: None,
            randomness: None,
            runtime: None,
            retry: RetryPolicy::default(),
        }
    }

    /// Which providers are offered here, in the order of their buttons.
    pub async fn login_options(&self) -> Result<LoginOptions, CallFailure> {
        self.core.center.login_options().await
    }

    /// The one login that is under way: a new one where there is none or the last one succeeded. One that a dead process left is taken up.
    ///
    /// It does not look whether somebody is logged in: ask the session, or [`Self::require_identity`], first (M1, M7).
    pub fn login(&self) -> Login {
        self.core.desk.login()
    }

    /// What to do before an operation that needs an identity (W8), such as `order.list`: a question may pop up by itself only at [`Advice::AskNow`],
    /// which also ties the next login to the operation. A button need not ask here (M4).
    pub async fn require_identity(&self, operation: &str) -> Advice {
        match self.core.session.status().await {
            SessionStatus::SignedIn(_) => return Advice::GoOn,
            // Not signed out: asking for a login now would be wrong.
            SessionStatus::Unavailable => return Advice::GoOnAsGuest,
            SessionStatus::SignedOut | SessionStatus::NeedsLogin(_) => {}
        }
        let (refusals, operation) = (Arc::clone(&self.core.refusals), operation.to_owned());
        off_thread(&self.core.runtime, self.core.records.blocks(), move || {
            Ok::<_, VaultError>(refusals.advice(&operation))
        })
        .await
        .unwrap_or(Advice::GoOnAsGuest)
    }

    /// Ends the login under way and lets go of its listeners; its steps answer `Closed`. What was kept stays kept, the session too.
    pub fn shutdown(&self) {
        self.core.desk.shutdown();
    }

    /// The session of this installation.
    pub fn session(&self) -> Session {
        self.core.session.clone()
    }

    /// The account of who is logged in.
    pub fn account(&self) -> Account {
        Account::new(self.core.session.clone())
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Where the session is kept, for people.
    pub fn vault_description(&self) -> String {
        self.core.records.vault().description()
    }
}

/// Puts a [`Postern`] together.
#[must_use]
pub struct PosternBuilder {
    config: PosternConfig,
    vault: Option<Arc<dyn Vault>>,
    transport: Option<Arc<dyn Transport>>,
    trust: Option<Arc<dyn TrustDecision>>,
    device_key: Option<Arc<dyn DeviceKey>>,
    clock: Option<Arc<dyn Clock>>,
    randomness: Option<Arc<dyn Randomness>>,
    runtime: Option<Handle>,
    retry: RetryPolicy,
}

impl std::fmt::Debug for PosternBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PosternBuilder({:?})", self.config)
    }
}

impl PosternBuilder {
    /// Where secrets are kept between runs.
    pub fn vault(self, vault: impl Vault + 'static) -> Self {
        self.shared_vault(Arc::new(vault))
    }

    /// Where secrets are kept, shared with others.
    pub fn shared_vault(mut self, vault: Arc<dyn Vault>) -> Self {
        self.vault = Some(vault);
        self
    }

    /// An HTTP stack of the host's own. It then sees to TLS, pins and time limits itself.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Who decides which certificates are trusted, in place of the platform's verifier. Needed on Android.
    pub fn trust_decision(mut self, trust: Arc<dyn TrustDecision>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// A device key in hardware, in place of a software key in the vault.
    pub fn device_key(mut self, key: Arc<dyn DeviceKey>) -> Self {
        self.device_key = Some(key);
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Another randomness than the system's.
    pub fn randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = Some(randomness);
        self
    }

    /// The tokio runtime to work on (with timer and I/O); by default the current one.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// How often and how long calls are repeated.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Checks the configuration and puts all together. Opens no connection and does not read the vault.
    pub fn build(self) -> Result<Postern, BuildError> {
        let config = self.config.check()?;
        let vault = self.vault.ok_or(BuildError::NoVault)?;
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => Handle::try_current().map_err(|_| BuildError::NoRuntime)?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let randomness = self
            .randomness
            .unwrap_or_else(|| Arc::new(SystemRandomness::new()));
        let install = match &config.data_dir {
            Some(folder) => install_id(folder, randomness.as_ref())?,
            None => InstallId("unspecified".to_owned()),
        };
        let records = Records::new(vault, install);
        let device_key = self.device_key.unwrap_or_else(|| {
            Arc::new(VaultedDeviceKey::new(
                records.clone(),
                config.data_dir.clone(),
            ))
        });
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(ReqwestTransport::new(&config, self.trust)?),
        };
        let identity = DeviceIdentity::new(
            device_key,
            runtime.clone(),
            Arc::clone(&clock),
            Arc::clone(&randomness),
        );
        let center = Arc::new(AccountCenter::new(CenterParts {
            config: config.clone(),
            transport,
            identity,
            records: records.clone(),
            clock: Arc::clone(&clock),
            randomness: Arc::clone(&randomness),
            runtime: runtime.clone(),
            retry: self.retry,
        }));
        let session = Session::new(Keeper::new(
            Arc::clone(&center),
            records.clone(),
            Arc::clone(&clock),
            runtime.clone(),
            config.api_origins.clone(),
            config.data_dir.clone(),
        ));
        let refusals = Arc::new(Refusals::new(
            records.clone(),
            Arc::clone(&clock),
            config.refusal_quiet,
        ));
        let desk = Desk::new(Arc::new(Parts {
            center: Arc::clone(&center),
            session: session.clone(),
            records: records.clone(),
            refusals: Arc::clone(&refusals),
            clock,
            randomness,
            runtime: runtime.clone(),
            moment: config.misconfigured_within,
        }));
        Ok(Postern {
            core: Arc::new(Core {
                config,
                center,
                session,
                records,
                runtime,
                refusals,
                desk,
            }),
        })
    }
}

/// The id of this installation; made at the first start.
///
/// It stands in a file of the data folder, which backups leave out, and in every record of the vault. A record with another id came from another
/// installation: from a restored backup, or from before the app was installed anew (a keychain outlives its app).
fn install_id(folder: &Path, randomness: &dyn Randomness) -> Result<InstallId, BuildError> {
    crate::vault::install_id(folder, randomness).map_err(|error| BuildError::DataDir {
        what: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json::FromJson;
    use crate::secret::SecretString;
    use crate::session::{SessionGrant, SessionStatus, SessionTokens};
    use crate::testing::{World, account_json};
    use crate::vault::{EncryptedFileVault, MemoryVault};

    fn grant() -> SessionGrant {
        SessionGrant {
            account: FromJson::from_json(&mut account_json()).unwrap(),
            tokens: SessionTokens {
                session_id: "s-1".to_owned(),
                access_token: SecretString::from("at-1"),
                expires_in: std::time::Duration::from_mins(5),
                refresh_token: SecretString::from("rt_1"),
                refresh_expires_in: std::time::Duration::from_hours(720),
            },
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let world = World::new();
        let built = |builder: PosternBuilder| builder.build().unwrap_err();
        assert_eq!(built(Postern::builder(world.config())), BuildError::NoVault);
        let without_runtime = Postern::builder(world.config()).vault(MemoryVault::new());
        assert_eq!(built(without_runtime), BuildError::NoRuntime);
        let wrong = PosternConfig::new("http://bank.example", "a", "b");
        assert!(matches!(
            built(Postern::builder(wrong)),
            BuildError::Config(_)
        ));
    }

    #[tokio::test]
    async fn a_data_folder_that_cannot_be_one_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"x").unwrap();
        let world = World::new();
        let mut config = world.config();
        config.data_dir = Some(folder.path().join("file/below"));
        let failure = world.builder(config).build().unwrap_err();
        assert!(matches!(failure, BuildError::DataDir { .. }));
    }

    #[tokio::test]
    async fn a_vault_restored_on_another_phone_is_a_clean_start() {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new();
        let on = |phone: &str| {
            let mut config = world.config();
            config.data_dir = Some(folder.path().join(phone));
            let vault = EncryptedFileVault::open(folder.path().join("vault")).unwrap();
            let randomness = Arc::new(SystemRandomness::new());
            world
                .builder(config)
                .vault(vault)
                .randomness(randomness)
                .build()
                .unwrap()
        };
        let old = on("old");
        old.session().establish(grant()).await.unwrap();
        let jkt = old.core().center.identity().thumbprint().await.unwrap();
        let again = on("old");
        assert!(matches!(
            again.session().status().await,
            SessionStatus::SignedIn(_)
        ));
        assert_eq!(
            again.core().center.identity().thumbprint().await.unwrap(),
            jkt
        );
        // The vault came along in a backup, the data folder did not.
        let new = on("new");
        assert_eq!(new.session().status().await, SessionStatus::SignedOut);
        assert_ne!(
            new.core().center.identity().thumbprint().await.unwrap(),
            jkt
        );
    }

    #[tokio::test]
    async fn nothing_of_the_sdk_prints_a_secret() {
        let world = World::new();
        let postern = world.postern();
        postern.session().establish(grant()).await.unwrap();
        let core = postern.core();
        let shown = format!(
            "{postern:?} {:?} {:?} {:?} {:?} {:?}",
            postern.session(),
            postern.session().status().await,
            postern.account(),
            core.center,
            grant()
        );
        for secret in ["at-1", "rt_1", "138****0000", "u-1"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
