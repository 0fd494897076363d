//! The account center as the core calls it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use http::header::ETAG;
use http::{HeaderValue, Method};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use url::Url;

use super::answers::{AnswerBody, StartBody};
use super::call::SealAgain;
use super::exchange::{Exchange, Outgoing};
use super::replies::{self, LoginHandle};
use super::retry::RetryPolicy;
use super::{Answer, CallFailure, LoginOptions, LoginReply, LoginStart, PreparedCall, ProblemCode};
use crate::config::CheckedConfig;
use crate::json;
use crate::offload::off_thread;
use crate::proof::DeviceIdentity;
use crate::random::{Randomness, token_128};
use crate::sealing::{KeyList, NoKeyList, RememberedKeyList, SealContext, seal};
use crate::secret::{SecretBytes, SecretString, to_secret_json};
use crate::session::SessionTokens;
use crate::time::Clock;
use crate::transport::{HttpReply, Transport};
use crate::vault::{Records, VaultError};

const LOGIN: &str = "/v1/login";
const REFRESH: &str = "/v1/sessions/refresh";

/// The account center's client. Calls repeat themselves where the contract lets them; what they return is final for now.
pub struct AccountCenter {
    config: CheckedConfig,
    exchange: Exchange,
    identity: DeviceIdentity,
    key_list: Arc<RememberedKeyList>,
    restored: OnceCell<()>,
    options: Mutex<Option<(HeaderValue, LoginOptions)>>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    runtime: Handle,
}

impl std::fmt::Debug for AccountCenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountCenter({})", self.config.account_center)
    }
}

/// What the client is made of.
pub(crate) struct CenterParts {
    pub(crate) config: CheckedConfig,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) identity: DeviceIdentity,
    pub(crate) records: Records,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) runtime: Handle,
    pub(crate) retry: RetryPolicy,
}

#[derive(Serialize)]
struct RefreshBody<'a> {
    app_id: &'a str,
    refresh_token: &'a str,
}

impl AccountCenter {
    pub(crate) fn new(parts: CenterParts) -> Self {
        let key_list = RememberedKeyList::new(
            parts.config.root_key,
            parts.config.issuer.clone(),
            parts.records,
        );
        Self {
            exchange: Exchange {
                transport: parts.transport,
                identity: parts.identity.clone(),
                clock: Arc::clone(&parts.clock),
                randomness: Arc::clone(&parts.randomness),
                retry: parts.retry,
                nonce: Mutex::new(None),
            },
            identity: parts.identity,
            key_list: Arc::new(key_list),
            restored: OnceCell::new(),
            options: Mutex::new(None),
            config: parts.config,
            clock: parts.clock,
            randomness: parts.randomness,
            runtime: parts.runtime,
        }
    }

    /// The nonce for the next proof; it is kept with a pending login so that going on costs no round trip.
    pub fn nonce(&self) -> Option<String> {
        self.exchange.nonce()
    }

    /// Takes a kept nonce up again, unless there is a newer one.
    pub fn restore_nonce(&self, nonce: &str) {
        if self.exchange.nonce().is_none() {
            self.exchange.keep_nonce(nonce);
        }
    }

    /// The device key's name, `jkt`.
    pub(crate) fn identity(&self) -> &DeviceIdentity {
        &self.identity
    }

    /// Which providers are offered here, in the order of their buttons; also takes its key list into use and learns the first nonce.
    ///
    /// A key list that is rejected does not fail this call: a login may need no sealed field. The answer that does fails then.
    pub async fn login_options(&self) -> Result<LoginOptions, CallFailure> {
        let options = self.fetch_options().await?;
        if let Err(reason) = self.accept(&options.key_list).await {
            tracing::warn!(?reason, "the key list of the login options is not used");
        }
        Ok(options)
    }

    fn fetch_options(&self) -> BoxFuture<'_, Result<LoginOptions, CallFailure>> {
        Box::pin(self.fetch_options_now())
    }

    async fn fetch_options_now(&self) -> Result<LoginOptions, CallFailure> {
        let mut url = self.url(&["v1", "apps", &self.config.app_id, "login-options"]);
        for (name, value) in [
            ("region", &self.config.region),
            ("app_version", &self.config.app_version),
        ] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let cached = {
            let options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
            options.clone()
        };
        let reply = self
            .call(&Outgoing {
                method: Method::GET,
                url,
                body: &[],
                idempotency_key: None,
                token: None,
                if_none_match: cached.as_ref().map(|(etag, _)| etag),
                with_proof: false,
            })
            .await?;
        if reply.status == 304 {
            return cached
                .map(|(_, options)| options)
                .ok_or(CallFailure::Unintelligible);
        }
        let options: LoginOptions = json::read(&reply.body).ok_or(CallFailure::Unintelligible)?;
        if options.app_id != self.config.app_id {
            return Err(CallFailure::Unintelligible);
        }
        let mut kept = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = reply
            .headers
            .get(ETAG)
            .map(|etag| (etag.clone(), options.clone()));
        drop(kept);
        Ok(options)
    }

    /// The call that begins a login.
    pub fn prepare_start(&self, start: &LoginStart) -> Result<PreparedCall, CallFailure> {
        let body = StartBody::new(&self.config.app_id, start);
        Ok(PreparedCall {
            path: LOGIN.to_owned(),
            idempotency_key: token_128(self.randomness.as_ref()),
            body: secret_json(&body)?,
            to_seal_again: None,
        })
    }

    /// The call that answers a step. Passwords and cards are sealed here; the key list is fetched where there is none in use.
    pub async fn prepare_answer(
        &self,
        login: &LoginHandle,
        step_id: &str,
        answer: &Answer,
    ) -> Result<PreparedCall, CallFailure> {
        let sealing = if answer.has_sealed_fields() {
            Some((self.key_list().await?, self.identity.thumbprint().await?))
        } else {
            None
        };
        self.prepare_with(login, step_id, answer, sealing.as_ref())
    }

    fn prepare_with(
        &self,
        login: &LoginHandle,
        step_id: &str,
        answer: &Answer,
        sealing: Option<&(KeyList, String)>,
    ) -> Result<PreparedCall, CallFailure> {
        let idempotency_key = token_128(self.randomness.as_ref());
        let answer_on_wire = answer.to_wire(|field, secret| {
            let (list, device_key) = sealing.ok_or(CallFailure::KeyListRejected(
                crate::sealing::KeyListError::NoUsableKey,
            ))?;
            let context = SealContext {
                issuer: &self.config.issuer,
                app_id: &self.config.app_id,
                device_key,
                idempotency_key: &idempotency_key,
                path: LOGIN,
                login: &login.0,
                step_id,
            };
            seal(&list.key, &context, field, secret, self.randomness.as_ref())
                .map_err(CallFailure::KeyListRejected)
        })?;
        let body = secret_json(&AnswerBody {
            login: &login.0,
            step_id,
            answer: answer_on_wire,
        })?;
        let to_seal_again = sealing.is_some().then(|| SealAgain {
            login: login.clone(),
            step_id: step_id.to_owned(),
            answer: answer.clone(),
        });
        Ok(PreparedCall {
            path: LOGIN.to_owned(),
            idempotency_key,
            body,
            to_seal_again,
        })
    }

    /// Performs a call of the login. Performing it again sends identical bytes, so a lost reply is asked for again.
    ///
    /// Where the server no longer knows the sealing key, the list is fetched and the fields are sealed again, once.
    pub async fn perform_login(&self, call: &PreparedCall) -> Result<LoginReply, CallFailure> {
        let failure = match self.post(call).await {
            Ok(body) => {
                return replies::login_reply(body.expose()).ok_or(CallFailure::Unintelligible);
            }
            Err(failure) => failure,
        };
        let key_unknown = failure
            .problem()
            .is_some_and(|problem| problem.code == ProblemCode::SealingKeyUnknown);
        let Some(plain) = call.to_seal_again.as_ref().filter(|_| key_unknown) else {
            return Err(failure);
        };
        let list = self.fetch_key_list().await?;
        let device_key = self.identity.thumbprint().await?;
        let again = self.prepare_with(
            &plain.login,
            &plain.step_id,
            &plain.answer,
            Some(&(list, device_key)),
        )?;
        let body = self.post(&again).await?;
        replies::login_reply(body.expose()).ok_or(CallFailure::Unintelligible)
    }

    /// New tokens for a refresh token. A lost reply may be asked for again with the same token (contract section 8).
    pub(crate) async fn refresh(&self, token: &SecretString) -> Result<SessionTokens, CallFailure> {
        let body = RefreshBody {
            app_id: &self.config.app_id,
            refresh_token: token.expose(),
        };
        let call = PreparedCall {
            path: REFRESH.to_owned(),
            idempotency_key: token_128(self.randomness.as_ref()),
            body: secret_json(&body)?,
            to_seal_again: None,
        };
        let body = self.post(&call).await?;
        replies::refresh_reply(body.expose()).ok_or(CallFailure::Unintelligible)
    }

    /// A call about the holder of an access token: the body of its reply.
    pub(crate) async fn with_token(
        &self,
        method: Method,
        path: &[&str],
        token: &SecretString,
    ) -> Result<SecretBytes, CallFailure> {
        let reply = self
            .call(&Outgoing {
                method,
                url: self.url(path),
                body: &[],
                idempotency_key: None,
                token: Some(token),
                if_none_match: None,
                with_proof: true,
            })
            .await?;
        Ok(SecretBytes::new(reply.body))
    }

    async fn post(&self, call: &PreparedCall) -> Result<SecretBytes, CallFailure> {
        let path: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        let reply = self
            .call(&Outgoing {
                method: Method::POST,
                url: self.url(&path),
                body: call.body.expose(),
                idempotency_key: Some(&call.idempotency_key),
                token: None,
                if_none_match: None,
                with_proof: true,
            })
            .await?;
        Ok(SecretBytes::new(reply.body))
    }

    /// Boxed, as everything calls it: else each caller would have a copy of it inside.
    fn call<'a>(&'a self, out: &'a Outgoing<'a>) -> BoxFuture<'a, Result<HttpReply, CallFailure>> {
        Box::pin(async move {
            self.restore_key_list().await;
            self.exchange.call(out).await
        })
    }

    /// A URL below the account center's, its path prefix kept.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.config.account_center.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Pins of an earlier run hold from the first connection on. Where the vault can't be read yet, the next call tries again.
    async fn restore_key_list(&self) {
        let restored = self.restored.get_or_try_init(|| async {
            let (lists, now) = (Arc::clone(&self.key_list), self.clock.now());
            let list =
                off_thread(&self.runtime, lists.blocks(), move || lists.restore(now)).await?;
            if let Some(list) = list {
                self.exchange.transport.set_pins(&list.tls_pins);
            }
            Ok::<_, VaultError>(())
        });
        if let Err(error) = restored.await {
            tracing::warn!(%error, "the kept key list can't be read at the moment");
        }
    }

    fn accept<'a>(&'a self, jws: &'a str) -> BoxFuture<'a, Result<KeyList, CallFailure>> {
        Box::pin(self.accept_now(jws))
    }

    async fn accept_now(&self, jws: &str) -> Result<KeyList, CallFailure> {
        let (lists, jws, now) = (Arc::clone(&self.key_list), jws.to_owned(), self.clock.now());
        if let Some(list) = lists.in_use(&jws, now) {
            return Ok(list);
        }
        let accepted = off_thread(&self.runtime, lists.blocks(), move || {
            Ok::<_, VaultError>(lists.accept(&jws, now))
        });
        match accepted.await? {
            Ok(list) => {
                self.exchange.transport.set_pins(&list.tls_pins);
                Ok(list)
            }
            Err(NoKeyList::Rejected(reason)) => Err(CallFailure::KeyListRejected(reason)),
            Err(NoKeyList::Vault(error)) => Err(CallFailure::Vault(error)),
        }
    }

    async fn key_list(&self) -> Result<KeyList, CallFailure> {
        self.restore_key_list().await;
        match self.key_list.current(self.clock.now()) {
            Some(list) => Ok(list),
            None => self.fetch_key_list().await,
        }
    }

    async fn fetch_key_list(&self) -> Result<KeyList, CallFailure> {
        let options = self.fetch_options().await?;
        self.accept(&options.key_list).await
    }
}

fn secret_json<T: Serialize>(body: &T) -> Result<SecretBytes, CallFailure> {
    to_secret_json(body).map_err(|_| CallFailure::Unintelligible)
}
