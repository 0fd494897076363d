//! A phone with the SDK on it: a vault, and the SDK built over it as often as its process starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_sdk_core::login::{Login, LoginState};
use postern_sdk_core::transport::{ReqwestTransport, Transport};
use postern_sdk_core::vault::{EncryptedFileVault, KeyringVault, Vault, VaultError};
use postern_sdk_core::{Postern, PosternConfig, TimeLimits};

use crate::trouble::{Result, Trouble, unexpected};
use crate::world::TestEnv;

/// No state takes longer to be announced, even with every repetition of a call behind it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a player's phone keeps its secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaultKind {
    /// An encrypted file in the world's scratch folder: a folder of its own for every player.
    #[default]
    File,
    /// The desktop's keyring, under a service name of the player's own. Its entries stay there.
    Keyring,
}

/// Puts something around the SDK's own transport, such as a look at what passes.
pub type Wrap = Arc<dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync>;

/// The phone. Its vault outlives the SDK's process.
pub(crate) struct Device {
    config: PosternConfig,
    vault: Arc<dyn Vault>,
    wrap: Option<Wrap>,
    /// The process that runs now.
    running: Option<Running>,
}

struct Running {
    postern: Postern,
    states: postern_sdk_core::login::StateStream,
    // Held so that it does not end: who drops the login ends it.
    _login: Login,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.vault.description())
    }
}

impl Device {
    /// A phone whose files are in `folder`. Nothing runs on it yet.
    pub(crate) fn new(
        env: &TestEnv,
        folder: &Path,
        kind: VaultKind,
        wrap: Option<Wrap>,
    ) -> Result<Self> {
        let mut config = PosternConfig::new(&env.account_center, &env.app_id, &env.root_key);
        config.data_dir = Some(folder.join("app"));
        config.limits = TimeLimits {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(3),
        };
        Ok(Self {
            config,
            vault: vault(folder.join("vault"), kind)?,
            wrap,
            running: None,
        })
    }

    /// Where secrets are kept, for people.
    pub(crate) fn vault_description(&self) -> String {
        self.vault.description()
    }

    /// Ends the process where one runs, without a farewell, and starts the next one.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.running = None;
        let mut builder =
            Postern::builder(self.config.clone()).shared_vault(Arc::clone(&self.vault));
        if let Some(wrap) = &self.wrap {
            let own = ReqwestTransport::for_config(&self.config)
                .map_err(|error| Trouble::Unexpected(error.to_string()))?;
            builder = builder.transport(wrap(Arc::new(own)));
        }
        let postern = builder
            .build()
            .map_err(|error| Trouble::Unexpected(error.to_string()))?;
        let login = postern.login();
        self.running = Some(Running {
            states: login.states(),
            _login: login,
            postern,
        });
        Ok(())
    }

    /// The SDK.
    pub(crate) fn postern(&self) -> Result<&Postern> {
        match &self.running {
            Some(running) => Ok(&running.postern),
            None => unexpected("nothing runs on the phone"),
        }
    }

    /// A state that has been announced and not been read.
    pub(crate) async fn announced_already(&mut self) -> Option<LoginState> {
        let running = self.running.as_mut()?;
        tokio::time::timeout(Duration::ZERO, running.states.next())
            .await
            .ok()?
    }

    /// The next announced state, `Resolving` too.
    pub(crate) async fn next_state(&mut self) -> Result<LoginState> {
        let Some(running) = &mut self.running else {
            return unexpected("nothing runs on the phone");
        };
        match tokio::time::timeout(PATIENCE, running.states.next()).await {
            Ok(Some(state)) => Ok(state),
            Ok(None) => unexpected("the stream of states ended"),
            Err(_) => unexpected(format!(
                "no state was announced for {} s",
                PATIENCE.as_secs()
            )),
        }
    }
}

fn vault(folder: PathBuf, kind: VaultKind) -> Result<Arc<dyn Vault>> {
    let vault: std::result::Result<Arc<dyn Vault>, VaultError> = match kind {
        VaultKind::File => EncryptedFileVault::open(folder).map(|vault| Arc::new(vault) as _),
        VaultKind::Keyring => {
            let owner = folder
                .parent()
                .and_then(Path::file_name)
                .unwrap_or_default();
            let service = format!("postern-tests {}", owner.display());
            KeyringVault::new(&service).map(|vault| Arc::new(vault) as _)
        }
    };
    vault.map_err(|error| Trouble::Unexpected(format!("the vault: {error}")))
}
