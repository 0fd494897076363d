//! `POST /v1/login`: begins a login, and finds the step that an answer is for.

use std::fmt;
use std::sync::Arc;

use postern_server_security::sealing::SealingKeys;

use super::advance::{Known, Position};
use super::decision::Progress;
use super::policy::LoginPolicy;
use super::state::{LoginState, ProofAsked, Stage};
use super::wire::{Answer, AnswerRequest, BeginRequest, LoginReply, LoginRequest, Start, Step};
use crate::context::{Context, Timestamp};
use crate::hashing::Hashing;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::KnownIdentity;
use crate::keys::{Keys, Purpose};
use crate::ports::{CustomerDirectory, FaceVerifier, PortError, SmsGateway};
use crate::problem::{Code, Problem};
use crate::providers::{ExchangeError, Offer, Registry};
use crate::secret::SecretText;
use crate::sessions::Sessions;
use crate::store::events::{self, FlowEventRow};
use crate::store::logins::{self, LoginRow};
use crate::store::{Store, StoreError, Tx, limits};

/// What a handle begins with.
const HANDLE: &str = "lg_";
/// How long the row of a login outlives it, so that a late answer is told apart from an unknown handle.
const AFTERLIFE: std::time::Duration = std::time::Duration::from_mins(10);

/// What the engine works with.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Keys derived from the server secret.
    pub keys: Arc<Keys>,
    /// Clock and randomness.
    pub context: Context,
    /// Lanes for argon2id.
    pub hashing: Hashing,
    /// Opens the session at the end.
    pub sessions: Sessions,
    /// Apps and what is offered to them.
    pub registry: Registry,
    /// The bank's core.
    pub customers: Arc<dyn CustomerDirectory>,
    /// Face recognition.
    pub face: Arc<dyn FaceVerifier>,
    /// The SMS gateway.
    pub sms: Arc<dyn SmsGateway>,
    /// Keys that fields are sealed to.
    pub sealing: SealingKeys,
    /// The public URL: part of what a field is sealed for.
    pub issuer: String,
    /// Times, limits, texts.
    pub policy: LoginPolicy,
}

/// Leads logins through their steps. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) parts: Arc<Parts>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// A login that an answer came for, as it was read at first. What decides is read again in the transaction that writes.
#[derive(Clone)]
pub(super) struct Present {
    pub(super) handle: Arc<SecretText>,
    pub(super) row: LoginRow,
    pub(super) state: LoginState,
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Performs a request. `Ok`: the reply is stored and true. `Err`: nothing was stored (5xx: nothing changed either, the same answer may be sent again).
    pub async fn perform(&self, call: &Call, request: LoginRequest) -> Result<Reply, Problem> {
        match request {
            LoginRequest::Begin(request) => self.begin(call, request).await,
            LoginRequest::Answer(request) => self.answer(call, request).await,
        }
    }

    /// L2: exchanges the provider's credential and looks for the account that the identity is bound to.
    pub async fn begin(&self, call: &Call, request: BeginRequest) -> Result<Reply, Problem> {
        let BeginRequest {
            app_id,
            start: Start::Provider(start),
        } = request;
        let registry = &self.parts.registry;
        if !registry.knows(&app_id) {
            return Err(Problem::new(Code::AppUnknown).pointer("/app_id"));
        }
        let offer = registry.offer(&app_id, &start.provider).ok_or_else(|| {
            Problem::new(Code::NotOfferedHere).pointer("/start/provider/provider")
        })?;

        let begun = Begun::new(self, call, &app_id, offer, &start.code);
        let (identity, spent) = match self.earlier(&begun).await? {
            Earlier::Kept(identity) => (identity, true),
            Earlier::Used => {
                return Err(
                    Problem::new(Code::ProviderCodeInvalid).detail("this code was used before")
                );
            }
            Earlier::Nothing => (self.exchange(offer, &start.code).await?, false),
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
            kept: begun.kept.clone(),
            spent,
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
        if result
            .as_ref()
            .is_err_and(|problem| problem.status().is_server_error())
            && !spent
        {
            // The code is spent at the provider, but its identity is not: the same request may be sent again (contract section 7).
            self.keep(&begun, known.identity).await;
        }
        result
    }

    async fn exchange(&self, offer: &Offer, code: &SecretText) -> Result<KnownIdentity, Problem> {
        let exchange = offer.connector.exchange(&offer.app, code);
        let identity = match tokio::time::timeout(self.parts.policy.exchange_limit, exchange).await
        {
            Ok(result) => result.map_err(exchange_problem)?,
            Err(_) => {
                return Err(exchange_problem(ExchangeError::Unavailable(
                    "no answer within the time limit".into(),
                )));
            }
        };
        // W2: nothing is recorded of somebody whose lasting subject the provider does not tell.
        KnownIdentity::of(identity).ok_or_else(|| {
            Problem::new(Code::ProviderConsentIncomplete)
                .detail("the provider named no lasting subject")
        })
    }

    /// What became of the credential before: nothing, used, or used by this very device for a login that could not go on.
    async fn earlier(&self, begun: &Begun) -> Result<Earlier, Problem> {
        let (credential, kept) = (begun.credential.clone(), begun.kept.clone());
        let (row, used) = self
            .parts
            .store
            .read(move |tx| {
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
    async fn keep(&self, begun: &Begun, identity: KnownIdentity) {
        let now = self.parts.context.now();
        let state = LoginState {
            identity,
            stage: Stage::Phone {
                attempts_used: 0,
                last: None,
            },
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
        let (credential, until) = (
            begun.credential.clone(),
            now.plus(self.parts.policy.credential_memory),
        );
        let kept = self
            .parts
            .store
            .write(move |tx| {
                let (row, credential) = (row.clone(), credential.clone());
                Box::pin(async move {
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

    /// Takes an answer to the present step.
    pub async fn answer(&self, call: &Call, request: AnswerRequest) -> Result<Reply, Problem> {
        let present = self.present(call, request.login).await?;
        if present.row.step_id != request.step_id {
            return Err(self.at_step(&present, Problem::new(Code::Superseded)));
        }
        match (&present.state.stage, request.answer) {
            (_, Answer::Cancel(_)) => self.cancel(call, present).await,
            (Stage::Phone { .. }, Answer::Phone(number)) => {
                self.submit_phone(call, present, &number).await
            }
            (Stage::SmsCode { .. }, Answer::SmsCode(code)) => {
                self.submit_code(call, present, &code).await
            }
            (Stage::SmsCode { .. }, Answer::Resend(_)) => self.resend(call, present).await,
            (Stage::SmsCode { .. }, Answer::ChangePhone(_)) => {
                self.change_phone(call, present).await
            }
            (Stage::Verification { .. }, Answer::LoginPassword(sealed)) => {
                self.submit_login_password(call, present, &sealed).await
            }
            (
                Stage::Verification {
                    asked: ProofAsked::Customer { .. },
                    ..
                },
                Answer::Card(card),
            ) => self.submit_card(call, present, &card).await,
            (Stage::Registration { .. }, Answer::Registration(registration)) => {
                self.register(call, present, &registration).await
            }
            (Stage::Face { .. }, Answer::Face(face)) => {
                self.submit_face(call, present, &face).await
            }
            _ => Err(self.at_step(&present, Problem::new(Code::AnswerNotExpected))),
        }
    }

    /// The login that a handle names. It answers only to the device key that began it; another key cannot tell it from an unknown one.
    async fn present(&self, call: &Call, handle: SecretText) -> Result<Present, Problem> {
        let unknown = || Problem::new(Code::LoginUnknown);
        if !handle.expose().starts_with(HANDLE) || handle.expose().len() > 64 {
            return Err(unknown());
        }
        let login_hash = self.login_hash(handle.expose());
        let row = self
            .parts
            .store
            .read(move |tx| {
                let login_hash = login_hash.clone();
                Box::pin(async move { logins::find(tx, &login_hash).await })
            })
            .await?
            .filter(|row| row.device_key == call.device_key.as_str())
            .ok_or_else(unknown)?;
        let state = LoginState::open(&self.parts.keys, &row.login_hash, &row.sealed_state);
        match state {
            Ok(state) if self.parts.context.now() < self.ends_at(&row) => Ok(Present {
                handle: Arc::new(handle),
                row,
                state,
            }),
            Ok(_) => Err(Problem::new(Code::LoginExpired)),
            Err(_) => {
                tracing::warn!(
                    "a login's state cannot be read: another version or server secret wrote it"
                );
                Err(Problem::new(Code::LoginExpired))
            }
        }
    }

    async fn cancel(&self, call: &Call, present: Present) -> Result<Reply, Problem> {
        let engine = self.clone();
        let call = call.clone();
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present) = (engine.clone(), call.clone(), present.clone());
                Box::pin(async move {
                    engine.hold(tx, &present).await?;
                    logins::delete(tx, &present.row.login_hash).await?;
                    engine
                        .record(tx, &present.row, &present.state, "cancelled")
                        .await?;
                    let reply = Reply::json(&LoginReply {
                        login: None,
                        step_id: None,
                        expires_in: None,
                        next: Step::Cancelled,
                        account: None,
                        session: None,
                    })?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    /// Holds the login's row until the transaction ends, and reads it again. Somebody may have answered this step meanwhile: 409 `superseded`.
    pub(super) async fn hold(&self, tx: &mut Tx, present: &Present) -> Result<Present, Problem> {
        let row = logins::lock(tx, &present.row.login_hash)
            .await?
            .ok_or_else(|| Problem::new(Code::LoginUnknown))?;
        let state = LoginState::open(&self.parts.keys, &row.login_hash, &row.sealed_state)
            .map_err(|_| Problem::new(Code::LoginExpired))?;
        let held = Present {
            handle: Arc::clone(&present.handle),
            row,
            state,
        };
        if held.row.step_id == present.row.step_id {
            Ok(held)
        } else {
            Err(self.at_step(&held, Problem::new(Code::Superseded)))
        }
    }

    /// Puts a held login into a stage, under a new step id, and gives it as it is now.
    pub(super) async fn put(
        &self,
        tx: &mut Tx,
        held: &Present,
        stage: Stage,
    ) -> Result<Present, StoreError> {
        let mut now = held.clone();
        now.state.stage = stage;
        now.row.step_id = self.parts.context.token128();
        now.row.sealed_state =
            now.state
                .seal(&self.parts.keys, &self.parts.context, &now.row.login_hash);
        logins::update(
            tx,
            &now.row.login_hash,
            &now.row.step_id,
            &now.row.sealed_state,
        )
        .await?;
        Ok(now)
    }

    /// Ends a held login with a problem.
    pub(super) async fn end(
        &self,
        tx: &mut Tx,
        call: &Call,
        held: &Present,
        problem: &Problem,
    ) -> Result<Reply, Problem> {
        logins::delete(tx, &held.row.login_hash).await?;
        self.record(tx, &held.row, &held.state, problem.code.as_str())
            .await?;
        let reply = Reply::problem(problem, &call.request_id);
        call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// L11: an event of the login, without personal data.
    pub(super) async fn record(
        &self,
        tx: &mut Tx,
        row: &LoginRow,
        state: &LoginState,
        kind: &str,
    ) -> Result<(), StoreError> {
        let event = FlowEventRow {
            event_id: &self.parts.context.uuid(),
            login_ref: &row.login_hash,
            app_id: &row.app_id,
            provider: &state.identity.provider,
            kind,
            at: self.parts.context.now(),
        };
        events::record(tx, &event).await
    }

    /// The reply that says where the login stands.
    pub(super) fn step_reply(&self, present: &Present) -> Result<Reply, Problem> {
        let now = self.parts.context.now();
        let ends_at = self.ends_at(&present.row);
        Reply::json(&LoginReply {
            login: Some(present.handle.expose().to_owned()),
            step_id: Some(present.row.step_id.clone()),
            expires_in: Some(now.seconds_until(ends_at)),
            next: present.state.stage.step(&self.parts.policy, now, ends_at),
            account: None,
            session: None,
        })
    }

    /// A mendable problem: with the place where the login stands.
    pub(super) fn at_step(&self, present: &Present, problem: Problem) -> Problem {
        let step = present.state.stage.step(
            &self.parts.policy,
            self.parts.context.now(),
            self.ends_at(&present.row),
        );
        match serde_json::to_value(step) {
            Ok(next) => problem.at_step(present.handle.expose(), present.row.step_id.clone(), next),
            Err(error) => Problem::internal(error),
        }
    }

    fn ends_at(&self, row: &LoginRow) -> Timestamp {
        row.created_at.plus(self.parts.policy.lifetime)
    }

    /// When the row of a login that begins now may be swept.
    pub(super) fn row_expires_at(&self, created_at: Timestamp) -> Timestamp {
        created_at.plus(self.parts.policy.lifetime).plus(AFTERLIFE)
    }

    fn login_hash(&self, handle: &str) -> String {
        self.parts
            .keys
            .name(Purpose::LoginHandle, &[handle.as_bytes()])
    }
}

/// A beginning: the names under which its credential is remembered.
struct Begun {
    app_id: String,
    device_key: String,
    credential: String,
    kept: String,
}

impl Begun {
    fn new(engine: &Engine, call: &Call, app_id: &str, offer: &Offer, code: &SecretText) -> Self {
        let keys = &engine.parts.keys;
        let credential = keys.name(
            Purpose::ProviderCredential,
            &[
                offer.connector.provider().as_bytes(),
                offer.app.app_id.as_bytes(),
                code.expose().as_bytes(),
            ],
        );
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
            kept,
        }
    }
}

enum Earlier {
    Nothing,
    Used,
    Kept(KnownIdentity),
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

/// A port that gave no answer: 503, nothing changed. What is set up wrongly is a case for the log; the client can only come back.
pub(super) fn port_problem(code: Code, error: PortError) -> Problem {
    if matches!(error, PortError::Misconfigured { .. }) {
        tracing::error!(%error, code = code.as_str(), "a service of the bank does not know us as it is set up here");
    }
    Problem::new(code).retry_after(2).caused_by(error)
}
