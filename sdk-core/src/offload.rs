//! Blocking work (vaults, hardware keys, file locks) on the runtime's threads for it.

use tokio::runtime::Handle;

use crate::proof::DeviceKeyError;
use crate::vault::VaultError;

/// An error that can also say that the work itself broke: a host's vault that panicked must not take the app with it.
pub(crate) trait Broken {
    fn broken() -> Self;
}

impl Broken for VaultError {
    fn broken() -> Self {
        Self::Failed {
            what: "the vault's code broke off".to_owned(),
        }
    }
}

impl Broken for DeviceKeyError {
    fn broken() -> Self {
        Self::Failed {
            what: "the device key's code broke off".to_owned(),
        }
    }
}

/// Runs `work` where it may block.
pub(crate) async fn off_thread<T, E>(
    runtime: &Handle,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: Broken + Send + 'static,
{
    match runtime.spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(E::broken()),
    }
}
