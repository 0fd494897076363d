//! The kept session and the account. Tokens stay inside; what leaves is the two headers of one request, by methods of an object and in no record.

use std::sync::{Arc, Weak};

use postern_sdk_core as sdk;
use url::Url;

use crate::boundary::guarded;
use crate::error::SessionError;
use crate::model::{AccountSummary, SessionStatus, SessionSummary};
use crate::runtime::{OwnedRuntime, Performing};

/// The session of this installation.
#[derive(uniffi::Object)]
pub struct Session {
    session: sdk::session::Session,
    runtime: Weak<OwnedRuntime>,
}

/// What came of signing out. The session is deleted from this device in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SignedOut {
    /// Whether the account center ended it too. If not, it ends there when its refresh token expires.
    pub server_told: bool,
}

fn absolute(url: &str) -> Result<Url, SessionError> {
    Url::parse(url)
        .ok()
        .filter(Url::has_host)
        .ok_or(SessionError::RequestInvalid)
}

/// A token in the sense of HTTP; a request line must not be made of anything else.
fn is_method(method: &str) -> bool {
    (1..=32).contains(&method.len())
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

impl Session {
    pub(crate) fn new(session: sdk::session::Session, runtime: &Arc<OwnedRuntime>) -> Arc<Self> {
        Arc::new(Self {
            session,
            runtime: Arc::downgrade(runtime),
        })
    }

    fn perform<T, F>(
        &self,
        action: impl FnOnce(sdk::session::Session) -> F,
    ) -> Performing<T, SessionError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SessionError>> + Send + 'static,
    {
        match self.runtime.upgrade() {
            Some(runtime) => runtime.perform(action(self.session.clone())),
            None => Performing::refused(SessionError::Closed),
        }
    }
}

#[uniffi::export]
impl Session {
    /// Whether somebody is logged in; reads the vault at the first call, asks no server.
    pub async fn status(&self) -> Result<SessionStatus, SessionError> {
        self.perform(|session| async move { Ok(session.status().await.into()) })
            .await
    }

    /// The headers for one request to the account center or a configured API origin; renews the access token first where it is about to expire.
    /// `method` is in capitals, `url` is absolute. `body`, where given, is bound to the proof by its hash.
    pub async fn authorize(
        &self,
        method: String,
        url: String,
        body: Option<Vec<u8>>,
    ) -> Result<Arc<AuthorizedRequest>, SessionError> {
        if !is_method(&method) {
            return Err(SessionError::RequestInvalid);
        }
        let url = absolute(&url)?;
        let runtime = Weak::clone(&self.runtime);
        self.perform(|session| async move {
            let request = match body {
                None => session.authorize(&method, &url).await,
                Some(body) => session.authorize_body(&method, &url, &body).await,
            }?;
            Ok(Arc::new(AuthorizedRequest {
                request: Arc::new(request),
                session,
                runtime,
            }))
        })
        .await
    }

    /// Keeps the `DPoP-Nonce` of an API's reply for the next request to it (RFC 9449 section 9).
    pub fn learn_nonce(&self, url: &str, nonce: &str) -> Result<(), SessionError> {
        guarded(|| {
            self.session.learn_nonce(&absolute(url)?, nonce);
            Ok(())
        })
    }

    /// Renews the access token. One request for any number of callers.
    pub async fn renew(&self) -> Result<(), SessionError> {
        self.perform(|session| async move { Ok(session.renew().await?) })
            .await
    }

    /// Signs out: tells the account center and deletes the session from this device.
    ///
    /// # Errors
    /// `Unavailable` where the vault refuses to delete: sign out again later, or the session may be found again after a restart.
    pub async fn sign_out(&self) -> Result<SignedOut, SessionError> {
        self.perform(|session| async move {
            let done = session
                .sign_out()
                .await
                .map_err(|_| SessionError::Unavailable)?;
            Ok(SignedOut {
                server_told: done.server_told,
            })
        })
        .await
    }
}

/// The two headers of exactly one request. They are not for another method or URL, and never for the target of a redirect.
#[derive(uniffi::Object)]
pub struct AuthorizedRequest {
    request: Arc<sdk::session::AuthorizedRequest>,
    session: sdk::session::Session,
    runtime: Weak<OwnedRuntime>,
}

#[uniffi::export]
impl AuthorizedRequest {
    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> Result<String, SessionError> {
        guarded(|| Ok(self.request.authorization().expose().to_owned()))
    }

    /// The value of the `DPoP` header.
    pub fn proof(&self) -> Result<String, SessionError> {
        guarded(|| Ok(self.request.proof().expose().to_owned()))
    }

    /// The API answered 401 to it: renews the access token, unless that was done since.
    pub async fn renew(&self) -> Result<(), SessionError> {
        let runtime = self.runtime.upgrade().ok_or(SessionError::Closed)?;
        let (session, request) = (self.session.clone(), Arc::clone(&self.request));
        runtime
            .perform(async move { Ok(session.renew_rejected(&request).await?) })
            .await
    }
}

/// The account of who is logged in.
#[derive(uniffi::Object)]
pub struct Account {
    account: sdk::account::Account,
    runtime: Weak<OwnedRuntime>,
}

impl Account {
    pub(crate) fn new(account: sdk::account::Account, runtime: &Arc<OwnedRuntime>) -> Arc<Self> {
        Arc::new(Self {
            account,
            runtime: Arc::downgrade(runtime),
        })
    }
}

#[uniffi::export]
impl Account {
    /// The account, fresh from the account center.
    pub async fn summary(&self) -> Result<AccountSummary, SessionError> {
        let runtime = self.runtime.upgrade().ok_or(SessionError::Closed)?;
        let account = self.account.clone();
        runtime
            .perform(async move { Ok(account.get().await?.into()) })
            .await
    }

    /// The account's sessions: the devices that are logged in.
    pub async fn sessions(&self) -> Result<Vec<SessionSummary>, SessionError> {
        let runtime = self.runtime.upgrade().ok_or(SessionError::Closed)?;
        let account = self.account.clone();
        runtime
            .perform(async move {
                Ok(account
                    .sessions()
                    .await?
                    .into_iter()
                    .map(Into::into)
                    .collect())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_method_or_url_that_could_change_the_request_line_is_refused() {
        for method in ["", "get", "GET /evil", "GET\r\nX: y", &"A".repeat(33)] {
            assert!(!is_method(method), "{method:?}");
        }
        assert!(is_method("GET") && is_method("PATCH"));
        for url in ["", "/orders", "login.bank.example/orders", "mailto:a@b.c"] {
            assert!(absolute(url).is_err(), "{url:?}");
        }
        assert!(absolute("https://api.bank.example/orders?x=1").is_ok());
    }
}
