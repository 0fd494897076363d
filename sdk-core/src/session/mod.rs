//! The kept session: tokens stay inside; callers get the headers of one request.

mod authorized;
mod grant;
mod keeper;
mod record;
mod status;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::Method;
use tokio::task::AbortHandle;
use url::Url;

pub use authorized::AuthorizedRequest;
pub use grant::{SessionGrant, SessionTokens};
use keeper::Held;
pub(crate) use keeper::Keeper;
pub use status::{NeedsLoginReason, SessionFailure, SessionStatus, SignedOut};

use crate::account::{AccountSummary, SessionSummary};
use crate::api::{CallFailure, ProblemCode, replies};
use crate::config::is_safe;
use crate::offload::spawn;
use crate::proof::{Proved, dpop};
use crate::secret::{SecretBytes, SecretString};
use crate::vault::VaultError;

/// A person who signs out does not wait longer for an account center that can't be reached.
const SIGN_OUT_PATIENCE: Duration = Duration::from_secs(10);

const UNINTELLIGIBLE: SessionFailure = SessionFailure::Unavailable(CallFailure::Unintelligible);

type Renewal = Shared<BoxFuture<'static, Result<(), SessionFailure>>>;
/// A renewal under way, with what ends its task.
type RunningRenewal = (Option<AbortHandle>, Renewal);

/// The session of this installation. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    keeper: Arc<Keeper>,
    renewal: Arc<Mutex<Option<RunningRenewal>>>,
    /// The newest nonce that each origin asked for (RFC 9449 section 9).
    nonces: Arc<Mutex<HashMap<String, String>>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session([redacted])")
    }
}

impl Session {
    pub(crate) fn new(keeper: Keeper) -> Self {
        Self {
            keeper: Arc::new(keeper),
            renewal: Arc::default(),
            nonces: Arc::default(),
        }
    }

    /// Whether somebody is logged in; reads the vault at the first call. Asks no server.
    pub async fn status(&self) -> SessionStatus {
        self.keeper.status().await
    }

    /// The headers for one request to the account center or a configured API origin; renews the access token first where it is about to expire.
    ///
    /// They are for this method and URL only: never send them along a redirect.
    pub async fn authorize(
        &self,
        method: &str,
        url: &Url,
    ) -> Result<AuthorizedRequest, SessionFailure> {
        self.authorize_hashed(method, url, None).await
    }

    /// As [`Session::authorize`], with the body's hash in the proof (`bh`), so that nobody on the way changes the body.
    pub async fn authorize_body(
        &self,
        method: &str,
        url: &Url,
        body: &[u8],
    ) -> Result<AuthorizedRequest, SessionFailure> {
        let hash = dpop::hash(body);
        self.authorize_hashed(method, url, Some(hash)).await
    }

    async fn authorize_hashed(
        &self,
        method: &str,
        url: &Url,
        body_hash: Option<String>,
    ) -> Result<AuthorizedRequest, SessionFailure> {
        let origin = url.origin();
        if !is_safe(url) || !self.keeper.api_origins.contains(&origin) {
            return Err(SessionFailure::OriginNotAllowed);
        }
        let token = self.fresh_token().await?.token;
        let nonce = self.nonce_for(&origin);
        let proof = self
            .keeper
            .center
            .identity()
            .prove(Proved {
                method,
                url,
                nonce,
                body_hash,
                token_hash: Some(dpop::hash(token.expose().as_bytes())),
            })
            .await
            .map_err(|error| SessionFailure::Unavailable(error.into()))?;
        Ok(AuthorizedRequest {
            authorization: format!("DPoP {}", token.expose()).into(),
            proof: proof.into(),
            token,
        })
    }

    /// Keeps the `DPoP-Nonce` of an API's reply for the next request to it (RFC 9449 section 9).
    pub fn learn_nonce(&self, url: &Url, nonce: &str) {
        let origin = url.origin();
        let usable = nonce.len() <= 256 && nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if usable && self.keeper.api_origins.contains(&origin) {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.insert(origin.ascii_serialization(), nonce.to_owned());
        }
    }

    fn nonce_for(&self, origin: &url::Origin) -> Option<String> {
        if self.keeper.api_origins.first() == Some(origin) {
            return self.keeper.center.nonce();
        }
        let nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.get(&origin.ascii_serialization()).cloned()
    }

    /// Renews the access token. One request for any number of callers; who drops the future cancels nothing.
    pub async fn renew(&self) -> Result<(), SessionFailure> {
        self.renew_unless_newer(None).await
    }

    /// Renews after an API answered 401 to `rejected`; costs nothing where its token has been renewed already.
    pub async fn renew_rejected(&self, rejected: &AuthorizedRequest) -> Result<(), SessionFailure> {
        self.renew_unless_newer(Some(rejected.token.clone())).await
    }

    /// Keeps the session of a login: in the vault first, and visible only then.
    pub async fn establish(&self, grant: SessionGrant) -> Result<(), VaultError> {
        let keeper = Arc::clone(&self.keeper);
        self.finish(async move { keeper.establish(grant).await })
            .await
            .unwrap_or_else(|| Err(broken_off()))
    }

    /// Signs out: tells the account center and deletes the session from this device, whether or not the account center could be told.
    ///
    /// # Errors
    /// Where the vault refuses to delete: the session is no longer used, but may be found again after a restart. Sign out again then.
    pub async fn sign_out(&self) -> Result<SignedOut, VaultError> {
        let this = self.clone();
        self.finish(async move { this.sign_out_to_the_end().await })
            .await
            .unwrap_or_else(|| Err(broken_off()))
    }

    async fn sign_out_to_the_end(&self) -> Result<SignedOut, VaultError> {
        let tell = self.call(Method::DELETE, &["v1", "sessions", "current"]);
        let server_told = tokio::select! {
            biased;
            told = tell => match told {
                Ok(_) | Err(SessionFailure::NeedsLogin(_) | SessionFailure::SignedOut) => true,
                Err(SessionFailure::Unavailable(_) | SessionFailure::OriginNotAllowed) => false,
            },
            () = self.keeper.clock.sleep(SIGN_OUT_PATIENCE) => false,
        };
        self.keeper.forget().await?;
        Ok(SignedOut { server_told })
    }

    /// The account, fresh from the account center.
    pub(crate) async fn account(&self) -> Result<AccountSummary, SessionFailure> {
        let body = self.call(Method::GET, &["v1", "account"]).await?;
        let account = replies::account_reply(body.expose()).ok_or(UNINTELLIGIBLE)?;
        self.keeper.account_changed(account.clone()).await;
        Ok(account)
    }

    /// The account's sessions.
    pub(crate) async fn sessions(&self) -> Result<Vec<SessionSummary>, SessionFailure> {
        let body = self.call(Method::GET, &["v1", "sessions"]).await?;
        replies::sessions_reply(body.expose()).ok_or(UNINTELLIGIBLE)
    }

    /// A call with the access token; after `invalid_token` one renewal and one repetition.
    async fn call(&self, method: Method, path: &[&str]) -> Result<SecretBytes, SessionFailure> {
        let mut held = self.fresh_token().await?;
        let mut repeated = false;
        loop {
            let center = &self.keeper.center;
            let failure = match center.with_token(method.clone(), path, &held.token).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            match failure.problem().map(|problem| problem.code) {
                Some(ProblemCode::SessionEnded) => {
                    return Err(self.keeper.ended(&held.session_id, failure).await);
                }
                Some(ProblemCode::InvalidToken) if !repeated => {
                    repeated = true;
                    self.renew_unless_newer(Some(held.token)).await?;
                    held = self.keeper.token().await?;
                }
                _ => return Err(SessionFailure::Unavailable(failure)),
            }
        }
    }

    /// The access token, renewed where it is about to expire. One that is still good serves where it can't be renewed at the moment.
    async fn fresh_token(&self) -> Result<Held, SessionFailure> {
        let held = self.keeper.token().await?;
        if held.fresh {
            return Ok(held);
        }
        match self.renew_unless_newer(Some(held.token.clone())).await {
            Ok(()) => self.keeper.token().await,
            Err(SessionFailure::Unavailable(_)) if held.good => Ok(held),
            Err(failure) => Err(failure),
        }
    }

    async fn renew_unless_newer(
        &self,
        rejected: Option<SecretString>,
    ) -> Result<(), SessionFailure> {
        let renewal = {
            let mut slot = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
            match slot.as_ref() {
                Some((Some(task), running)) if !task.is_finished() => running.clone(),
                _ => {
                    let keeper = Arc::clone(&self.keeper);
                    let task = spawn(
                        &self.keeper.runtime,
                        async move { keeper.renew(rejected).await },
                    );
                    let watch = task.watch();
                    let renewal = async move {
                        task.await.unwrap_or_else(|_| {
                            Err(SessionFailure::Unavailable(broken_off().into()))
                        })
                    }
                    .boxed()
                    .shared();
                    *slot = Some((watch, renewal.clone()));
                    renewal
                }
            }
        };
        renewal.await
    }

    /// Runs to its end whatever becomes of the caller.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        spawn(&self.keeper.runtime, work).await.ok()
    }
}

/// The runtime was shut down, or a host's code panicked: nothing is known of the end.
fn broken_off() -> VaultError {
    VaultError::Failed {
        what: "the work was broken off".to_owned(),
    }
}
