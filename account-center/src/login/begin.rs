//! Begins a login: exchanges the provider's credential and looks for the account that the identity is bound to (L2, W7).

use std::sync::Arc;
use std::time::Duration;

use super::advance::{Known, Position, used_before};
use super::decision::Progress;
use super::engine::{Engine, HANDLE};
use super::state::{LoginState, Stage};
use super::wire::{BeginRequest, ProviderStart, Start};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{self, KnownIdentity, Resolved};
use crate::keys::Purpose;
use crate::problem::{Code, Problem};
use crate::providers::{Credential, ExchangeError, Offer, ProviderIdentity};
use crate::rollout::{self, ClientFacts, Visitor};
use crate::secret::SecretText;
use crate::store::logins::{self, LoginRow};
use crate::store::{StoreError, limits, provider_requests};

impl Engine {
    /// L2: exchanges the provider's credential and looks for the account that the identity is bound to.
    pub async fn begin(&self, call: &Call, request: BeginRequest) -> Result<Reply, Problem> {
        let BeginRequest {
            app_id,
            start,
            bring_guest,
            client,
        } = request;
        let client = Arc::new(client);
        if !self.parts.registry.knows(&app_id) {
            return Err(Problem::new(Code::AppUnknown).pointer("/app_id"));
        }
        match start {
            Start::Provider(start) => {
                self.begin_with(call, app_id, start, bring_guest, client)
                    .await
            }
            Start::Silent(start) => self.identify(call, app_id, start, bring_guest).await,
            Start::BankSession(start) => self.begin_bank(call, app_id, start, bring_guest).await,
        }
    }

    /// The offer that a credential belongs to.
    pub(crate) fn offered(
        &self,
        app_id: &str,
        start: ProviderStart,
        pointer: &str,
    ) -> Result<(&Offer, Credential, Option<SecretText>), Problem> {
        let offer = self
            .parts
            .registry
            .offer(app_id, start.provider())
            .ok_or_else(|| Problem::new(Code::NotOfferedHere).pointer(pointer))?;
        let (credential, request) = start.into_parts()?;
        Ok((offer, credential, request))
    }

    /// L12: refuses a provider that is not offered to this client now, also one whose identity is bound already: taken back is taken back at once. It is told which
    /// others are offered; the bank's own login goes on anyway. Read from the database each time, so that a change counts everywhere with the next request.
    pub(crate) async fn let_in(
        &self,
        call: &Call,
        app_id: &str,
        provider: &str,
        client: &ClientFacts,
        pointer: &str,
    ) -> Result<(), Problem> {
        let visitor = Visitor {
            app_id: app_id.to_owned(),
            device_key: Some(call.device_key.as_str().to_owned()),
            region: call.region.clone(),
            client: client.clone(),
        };
        let asked = Arc::new((
            visitor,
            self.parts.registry.providers(app_id),
            Arc::clone(&self.parts.keys),
        ));
        let offered = self
            .parts
            .store
            .read(move |tx| {
                let asked = Arc::clone(&asked);
                Box::pin(async move {
                    let (visitor, providers, keys) = &*asked;
                    rollout::offered(tx, keys, visitor, providers).await
                })
            })
            .await?;
        if offered.iter().any(|name| name == provider) {
            Ok(())
        } else {
            Err(Problem::new(Code::NotOfferedHere)
                .pointer(pointer)
                .offered(offered))
        }
    }

    async fn begin_with(
        &self,
        call: &Call,
        app_id: String,
        start: ProviderStart,
        bring_guest: bool,
        client: Arc<ClientFacts>,
    ) -> Result<Reply, Problem> {
        const POINTER: &str = "/start/provider/provider";
        let (offer, mut credential, request) = self.offered(&app_id, start, POINTER)?;
        let provider = offer.connector.provider();
        self.let_in(call, &app_id, provider, &client, POINTER)
            .await?;

        let mut begun = Begun::new(self, call, &app_id, offer, &credential);
        let (identity, spent) = match self.earlier(&begun).await? {
            Earlier::Kept(identity) => (identity, true),
            Earlier::Used => return Err(used_before()),
            Earlier::Nothing => {
                if let Some(request) = request {
                    let provider = offer.connector.provider();
                    let row = self.request_row(call, &app_id, provider, request.expose());
                    begun.request = Some(self.waiting_request(row, &mut credential).await?);
                }
                (self.exchange(offer, &credential).await?, false)
            }
        };
        let known = Known {
            identity,
            phone: None,
            password_hash: None,
            attempts_used: 0,
        };
        let handle = format!("{HANDLE}{}", self.parts.context.token128());
        let login_hash = self.login_hash(&handle);
        let position = Position::New {
            app_id,
            credential: begun.credential.clone(),
            memory: begun.memory,
            kept: begun.kept.clone(),
            request: begun.request.clone(),
            spent,
            bring_guest,
            client,
        };
        let result = self
            .advance(
                call,
                Arc::new(handle.into()),
                login_hash,
                position,
                known.clone(),
                Progress::Identified,
            )
            .await;
        if result.as_ref().is_err_and(Problem::may_be_repeated) && !spent {
            // The code is spent at the provider, but its identity is not: the same request may be sent again (contract section 7).
            self.keep(&begun, known.identity).await;
        }
        result
    }

    pub(super) async fn exchange(
        &self,
        offer: &Offer,
        credential: &Credential,
    ) -> Result<KnownIdentity, Problem> {
        self.resolve(self.ask_provider(offer, credential).await?)
            .await
    }

    /// Exchanges a credential for the provider's answer (M2).
    pub(crate) async fn ask_provider(
        &self,
        offer: &Offer,
        credential: &Credential,
    ) -> Result<ProviderIdentity, Problem> {
        let exchange = offer.connector.exchange(&offer.app, credential);
        within(self.parts.policy.exchange_limit, exchange).await
    }

    /// W2: nothing is recorded of somebody whose lasting subject the provider does not tell; but an open id may be known already (W4).
    async fn resolve(&self, identity: ProviderIdentity) -> Result<KnownIdentity, Problem> {
        let resolved = self
            .parts
            .store
            .read(move |tx| {
                let identity = identity.clone();
                Box::pin(async move { identity::resolve(tx, identity).await })
            })
            .await?;
        match resolved {
            Resolved::Known(identity) => Ok(identity),
            Resolved::OpenIdAlone(_) => Err(Problem::new(Code::ProviderConsentIncomplete)
                .detail("the provider named no lasting subject")),
        }
    }

    /// What became of the credential before: nothing, used, or used by this very device for a login that could not go on.
    pub(super) async fn earlier(&self, begun: &Begun) -> Result<Earlier, Problem> {
        let (credential, kept) = (begun.credential.clone(), begun.kept.clone());
        let (row, used) = self
            .parts
            .store
            .glance(move |tx| {
                let (credential, kept) = (credential.clone(), kept.clone());
                Box::pin(async move {
                    let row = logins::find(tx, &kept).await?;
                    Ok::<_, StoreError>((row, limits::credential_used(tx, &credential).await?))
                })
            })
            .await?;
        let now = self.parts.context.now();
        let kept = row.filter(|row| now < row.expires_at).and_then(|row| {
            LoginState::open(&self.parts.keys, &row.login_hash, &row.sealed_state).ok()
        });
        Ok(match kept {
            Some(state) => Earlier::Kept(state.identity),
            None if used => Earlier::Used,
            None => Earlier::Nothing,
        })
    }

    /// Keeps an identity whose login could not go on, for the same device and credential. Best effort: without it the person taps once more.
    pub(super) async fn keep(&self, begun: &Begun, identity: KnownIdentity) {
        let now = self.parts.context.now();
        let state = LoginState {
            identity,
            stage: Stage::Phone {
                attempts_used: 0,
                last: None,
            },
            bring_guest: false,
        };
        let row = LoginRow {
            login_hash: begun.kept.clone(),
            app_id: begun.app_id.clone(),
            device_key: begun.device_key.clone(),
            step_id: String::new(),
            sealed_state: state.seal(&self.parts.keys, &self.parts.context, &begun.kept),
            created_at: now,
            expires_at: now.plus(self.parts.policy.lifetime),
        };
        let (credential, until) = (begun.credential.clone(), now.plus(begun.memory));
        let request = begun.request.clone();
        let kept = self
            .parts
            .store
            .write(move |tx| {
                let (row, credential) = (row.clone(), credential.clone());
                let request = request.clone();
                Box::pin(async move {
                    if let Some(request) = request {
                        provider_requests::spend(tx, &request).await?;
                    }
                    if limits::spend_credential(tx, &credential, until).await? {
                        logins::insert(tx, &row).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "the identity of an interrupted login could not be kept");
        }
    }
}

/// A beginning: the names under which its credential is remembered.
#[derive(Clone)]
pub(crate) struct Begun {
    app_id: String,
    device_key: String,
    pub(crate) credential: String,
    /// How long the credential is remembered.
    pub(crate) memory: Duration,
    pub(super) kept: String,
    /// The prepared request that it belongs to.
    pub(crate) request: Option<String>,
}

impl Begun {
    pub(crate) fn new(
        engine: &Engine,
        call: &Call,
        app_id: &str,
        offer: &Offer,
        credential: &Credential,
    ) -> Self {
        let keys = &engine.parts.keys;
        let (kind, secret): (&[&[u8]], _) = match credential {
            Credential::Code(code) => (&[], code),
            Credential::Answered(answered) => (&[], &answered.code),
            Credential::AccessToken(token) => (&[b"access_token"], token),
        };
        let mut parts: Vec<&[u8]> = vec![
            offer.connector.provider().as_bytes(),
            offer.app.app_id.as_bytes(),
        ];
        parts.extend(kind);
        parts.push(secret.expose().as_bytes());
        let credential = keys.name(Purpose::ProviderCredential, &parts);
        let policy = &engine.parts.policy;
        let device_key = call.device_key.as_str().to_owned();
        let kept = keys.name(
            Purpose::ProviderCredential,
            &[
                b"kept",
                app_id.as_bytes(),
                device_key.as_bytes(),
                credential.as_bytes(),
            ],
        );
        Self {
            app_id: app_id.to_owned(),
            device_key,
            credential,
            memory: policy
                .credential_memory
                .max(offer.connector.credential_memory()),
            kept,
            request: None,
        }
    }
}

pub(super) enum Earlier {
    Nothing,
    Used,
    Kept(KnownIdentity),
}

/// What a connector gives within a time.
pub(super) async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, ExchangeError>>,
) -> Result<T, Problem> {
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| {
            Err(ExchangeError::Unavailable(
                "no answer within the time limit".into(),
            ))
        })
        .map_err(exchange_problem)
}

fn exchange_problem(error: ExchangeError) -> Problem {
    let code = match &error {
        ExchangeError::CredentialInvalid(_) => Code::ProviderCodeInvalid,
        ExchangeError::ConsentIncomplete(_) => Code::ProviderConsentIncomplete,
        ExchangeError::Misconfigured(_) => Code::ProviderMisconfigured,
        ExchangeError::Unavailable(_) => Code::ProviderUnavailable,
    };
    if code == Code::ProviderMisconfigured {
        tracing::error!(%error, "a provider does not know the app as it is set up here");
    }
    let problem = Problem::new(code).caused_by(error);
    if code == Code::ProviderUnavailable {
        problem.retry_after(2)
    } else {
        problem
    }
}
