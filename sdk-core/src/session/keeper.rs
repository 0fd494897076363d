//! Keeps the session in memory and vault in step: one writer at a time, over tasks and processes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::record::{Live, RECORD, SessionRecord};
use super::{NeedsLoginReason, SessionFailure, SessionGrant, SessionStatus};
use crate::account::AccountSummary;
use crate::api::{AccountCenter, CallFailure, ProblemCode};
use crate::offload::off_thread;
use crate::process_lock::{PATIENCE, PAUSE, ProcessLock, Tried};
use crate::secret::SecretString;
use crate::time::Clock;
use crate::vault::{Loaded, Records, VaultError};

/// What is known of the session.
#[derive(Clone)]
enum Known {
    /// The vault has not been read yet.
    Nothing,
    SignedOut,
    NeedsLogin(NeedsLoginReason),
    Live(Box<Live>),
}

/// An access token with what its use depends on.
pub(super) struct Held {
    pub(super) token: SecretString,
    pub(super) session_id: String,
    /// Good for longer than a request takes.
    pub(super) fresh: bool,
    /// Not expired yet.
    pub(super) good: bool,
}

/// Memory, vault and account center of one session.
pub(crate) struct Keeper {
    pub(crate) center: Arc<AccountCenter>,
    pub(crate) records: Records,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Handle,
    pub(crate) api_origins: Vec<url::Origin>,
    pub(crate) data_dir: Option<PathBuf>,
    known: Mutex<Known>,
    /// Held by whoever changes the session: a renewal, a login's end, a sign-out.
    writing: tokio::sync::Mutex<()>,
}

impl Keeper {
    pub(crate) fn new(
        center: Arc<AccountCenter>,
        records: Records,
        clock: Arc<dyn Clock>,
        runtime: Handle,
        api_origins: Vec<url::Origin>,
        data_dir: Option<PathBuf>,
    ) -> Self {
        Self {
            center,
            records,
            clock,
            runtime,
            api_origins,
            data_dir,
            known: Mutex::new(Known::Nothing),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    fn known(&self) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn set(&self, new: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = new;
    }

    /// What is known, after reading the vault where that was not done yet.
    async fn read_once(&self) -> Result<Known, VaultError> {
        match self.known() {
            Known::Nothing => {}
            known => return Ok(known),
        }
        let _writing = self.writing.lock().await;
        match self.known() {
            Known::Nothing => {
                let known = self.read_vault().await?;
                self.set(known.clone());
                Ok(known)
            }
            known => Ok(known),
        }
    }

    /// Reads the vault. What can't be used is deleted: a clean start. What can't be read at the moment stays.
    async fn read_vault(&self) -> Result<Known, VaultError> {
        let records = self.records.clone();
        let loaded = off_thread(&self.runtime, records.blocks(), move || {
            records.load::<SessionRecord>(RECORD)
        })
        .await;
        let known = match loaded {
            Ok(Loaded::Record(record)) => {
                return Ok(Known::Live(Box::new(Live::from_vault(record))));
            }
            Ok(Loaded::Nothing) => return Ok(Known::SignedOut),
            Ok(Loaded::OtherInstall) => Known::SignedOut,
            Ok(Loaded::Unreadable) => Known::NeedsLogin(NeedsLoginReason::StoredSessionUnreadable),
            Err(VaultError::KeyInvalidated) => Known::NeedsLogin(NeedsLoginReason::VaultKeyLost),
            Err(error) => return Err(error),
        };
        if let Err(error) = self.delete().await {
            tracing::warn!(%error, "an unusable session could not be removed from the vault");
        }
        Ok(known)
    }

    pub(super) async fn status(&self) -> SessionStatus {
        match self.read_once().await {
            Ok(Known::Live(live)) => SessionStatus::SignedIn(live.record.account),
            Ok(Known::NeedsLogin(reason)) => SessionStatus::NeedsLogin(reason),
            Ok(Known::SignedOut | Known::Nothing) => SessionStatus::SignedOut,
            Err(error) => {
                tracing::warn!(%error, "the session can't be read at the moment");
                SessionStatus::Unavailable
            }
        }
    }

    async fn live(&self) -> Result<Live, SessionFailure> {
        match self.read_once().await {
            Ok(Known::Live(live)) => Ok(*live),
            Ok(Known::NeedsLogin(reason)) => Err(SessionFailure::NeedsLogin(reason)),
            Ok(Known::SignedOut | Known::Nothing) => Err(SessionFailure::SignedOut),
            Err(error) => Err(vault_failure(error)),
        }
    }

    /// The access token as it is.
    pub(super) async fn token(&self) -> Result<Held, SessionFailure> {
        let live = self.live().await?;
        Ok(Held {
            fresh: live.fresh(self.clock.as_ref()),
            good: live.good(self.clock.as_ref()),
            token: live.record.access_token,
            session_id: live.record.session_id,
        })
    }

    /// Renews the token, unless the present one is another than `rejected` already.
    pub(super) async fn renew(&self, rejected: Option<SecretString>) -> Result<(), SessionFailure> {
        let mut live = self.live().await?;
        let _writing = self.writing.lock().await;
        let _lock = self.process_lock().await.map_err(vault_failure)?;
        // Another process may have renewed it, or signed out, while we waited.
        match self.read_vault().await {
            Ok(Known::Live(kept)) => {
                // Memory always holds the refresh token that was last saved or read, so that another one in the vault is somebody else's work.
                let changed = kept.record.refresh_token != live.record.refresh_token;
                if changed {
                    live = *kept;
                    self.set(Known::Live(Box::new(live.clone())));
                }
                let already_newer = rejected
                    .as_ref()
                    .is_some_and(|rejected| *rejected != live.record.access_token);
                if (changed || already_newer) && live.fresh(self.clock.as_ref()) {
                    return Ok(());
                }
            }
            Ok(known) => {
                self.set(known.clone());
                return Err(match known {
                    Known::NeedsLogin(reason) => SessionFailure::NeedsLogin(reason),
                    _ => SessionFailure::SignedOut,
                });
            }
            Err(error) => return Err(vault_failure(error)),
        }
        self.renew_at_server(live).await
    }

    async fn renew_at_server(&self, live: Live) -> Result<(), SessionFailure> {
        let key = self.center.identity().thumbprint().await;
        let key = key.map_err(|error| SessionFailure::Unavailable(error.into()))?;
        if key != live.record.device_key {
            return Err(self.end(NeedsLoginReason::DeviceKeyLost).await);
        }
        match self.center.refresh(&live.record.refresh_token).await {
            Ok(tokens) => {
                let renewed = live.record.renewed(tokens, self.clock.now());
                self.keep_renewed(live.record, renewed).await;
                Ok(())
            }
            Err(failure) => match definite(&failure) {
                Some(reason) => Err(self.end(reason).await),
                None => Err(SessionFailure::Unavailable(failure)),
            },
        }
    }

    /// Keeps a renewed session. Where the vault refuses, the new access token serves this process, but the OLD refresh token stays: the account
    /// center gives the same successor for it until the successor is used, so that a restart finds a token that still serves (contract section 8).
    async fn keep_renewed(&self, old: SessionRecord, mut renewed: SessionRecord) {
        if let Err(error) = self.save(&renewed).await {
            tracing::warn!(%error, "the renewed session could not be saved; the next renewal uses the saved token");
            renewed.refresh_token = old.refresh_token;
        }
        let live = Live::received_now(renewed, self.clock.as_ref());
        self.set(Known::Live(Box::new(live)));
    }

    /// The account center said, with `failure`, that a session is over. Where a login came in between, here or in another process, the answer was about
    /// the session before, and the new one stays.
    pub(super) async fn ended(&self, session_id: &str, failure: CallFailure) -> SessionFailure {
        let _writing = self.writing.lock().await;
        let Ok(_lock) = self.process_lock().await else {
            return SessionFailure::Unavailable(failure);
        };
        match self.read_vault().await {
            Ok(Known::Live(live)) if live.record.session_id != session_id => {
                self.set(Known::Live(live));
                SessionFailure::Unavailable(failure)
            }
            _ => self.end(NeedsLoginReason::SessionEnded).await,
        }
    }

    /// A definite end. The caller holds `writing`.
    async fn end(&self, reason: NeedsLoginReason) -> SessionFailure {
        self.set(Known::NeedsLogin(reason));
        if let Err(error) = self.delete().await {
            tracing::warn!(%error, "an ended session could not be removed from the vault");
        }
        SessionFailure::NeedsLogin(reason)
    }

    pub(super) async fn establish(&self, grant: SessionGrant) -> Result<(), VaultError> {
        let key = self.center.identity().thumbprint().await;
        let key = key.map_err(|error| VaultError::Failed {
            what: error.to_string(),
        })?;
        let _writing = self.writing.lock().await;
        let _lock = self.process_lock().await?;
        let record = SessionRecord::new(grant, key, self.clock.now());
        self.save(&record).await?;
        let live = Live::received_now(record, self.clock.as_ref());
        self.set(Known::Live(Box::new(live)));
        Ok(())
    }

    /// The account as the account center shows it now; saving it is a convenience, so that a failure only costs freshness.
    pub(super) async fn account_changed(&self, account: AccountSummary) {
        let _writing = self.writing.lock().await;
        let Ok(_lock) = self.process_lock().await else {
            return;
        };
        let Known::Live(mut live) = self.known() else {
            return;
        };
        if live.record.account == account || live.record.account.user_id != account.user_id {
            return;
        }
        live.record.account = account;
        if let Err(error) = self.save(&live.record).await {
            tracing::warn!(%error, "the changed account could not be saved");
        }
        self.set(Known::Live(live));
    }

    pub(super) async fn forget(&self) -> Result<(), VaultError> {
        let _writing = self.writing.lock().await;
        // Who hangs in another process must not keep a person from signing out.
        let _lock = self.process_lock().await.ok();
        self.set(Known::SignedOut);
        self.delete().await
    }

    async fn save(&self, record: &SessionRecord) -> Result<(), VaultError> {
        let (records, record) = (self.records.clone(), record.clone());
        off_thread(&self.runtime, records.blocks(), move || {
            records.store(RECORD, &record)
        })
        .await
    }

    async fn delete(&self) -> Result<(), VaultError> {
        let records = self.records.clone();
        off_thread(&self.runtime, records.blocks(), move || {
            records.delete(RECORD)
        })
        .await
    }

    /// Waits for other processes. A holder that hangs makes the renewal fail for now rather than go on beside it.
    async fn process_lock(&self) -> Result<ProcessLock, VaultError> {
        let mut waited = Duration::ZERO;
        loop {
            match ProcessLock::attempt(self.data_dir.as_deref(), "session") {
                Tried::Taken(lock) => return Ok(lock),
                Tried::HeldByAnother if waited >= PATIENCE => {
                    return Err(VaultError::Unavailable);
                }
                Tried::HeldByAnother => self.clock.sleep(PAUSE).await,
            }
            waited += PAUSE;
        }
    }
}

fn vault_failure(error: VaultError) -> SessionFailure {
    SessionFailure::Unavailable(error.into())
}

/// Refusals that end the session for good (contract section 8). Everything else keeps it.
fn definite(failure: &CallFailure) -> Option<NeedsLoginReason> {
    match failure.problem()?.code {
        ProblemCode::SessionEnded => Some(NeedsLoginReason::SessionEnded),
        ProblemCode::RefreshTokenInvalid => Some(NeedsLoginReason::SessionExpired),
        ProblemCode::RefreshTokenReused => Some(NeedsLoginReason::RefreshTokenReused),
        _ => None,
    }
}
