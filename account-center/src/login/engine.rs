//! `POST /v1/login`: finds the step that an answer is for, and what all steps share.

use std::fmt;
use std::sync::Arc;

use postern_server_security::sealing::SealingKeys;

use super::policy::LoginPolicy;
use super::state::{LoginState, ProofAsked, Stage};
use super::wire::{Answer, AnswerRequest, LoginReply, LoginRequest, Step};
use crate::bank::BankSessions;
use crate::context::{Context, Timestamp};
use crate::hashing::Hashing;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::{Keys, Purpose};
use crate::ports::{CustomerDirectory, FaceVerifier, PortError, SmsGateway};
use crate::problem::{Code, Problem};
use crate::providers::Registry;
use crate::secret::SecretText;
use crate::sessions::Sessions;
use crate::store::events::{self, FlowEventRow};
use crate::store::logins::{self, LoginRow};
use crate::store::{Store, StoreError, Tx};

/// What a handle begins with.
pub(crate) const HANDLE: &str = "lg_";
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
    /// The bank's own login.
    pub bank: BankSessions,
    /// The public URL: part of what a field is sealed for.
    pub issuer: String,
    /// Times, limits, texts.
    pub policy: LoginPolicy,
}

/// Leads logins through their steps. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) parts: Arc<Parts>,
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
    /// Its row is in the database. A login that begins gets one when it has a step to wait in, so one that is done at once never has one.
    pub(super) stored: bool,
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
                stored: true,
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
                        binding: None,
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
            stored: true,
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
        if held.stored {
            logins::update(
                tx,
                &now.row.login_hash,
                &now.row.step_id,
                &now.row.sealed_state,
            )
            .await?;
        } else {
            logins::insert(tx, &now.row).await?;
            now.stored = true;
        }
        Ok(now)
    }

    /// A held login is over: its row goes.
    pub(super) async fn gone(&self, tx: &mut Tx, held: &Present) -> Result<(), StoreError> {
        if held.stored {
            logins::delete(tx, &held.row.login_hash).await?;
        }
        Ok(())
    }

    /// Ends a held login with a problem.
    pub(super) async fn end(
        &self,
        tx: &mut Tx,
        call: &Call,
        held: &Present,
        problem: &Problem,
    ) -> Result<Reply, Problem> {
        self.gone(tx, held).await?;
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
            binding: None,
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

    pub(crate) fn login_hash(&self, handle: &str) -> String {
        self.parts
            .keys
            .name(Purpose::LoginHandle, &[handle.as_bytes()])
    }
}

/// A port that gave no answer: 503, nothing changed. What is set up wrongly is a case for the log; the client can only come back.
pub(crate) fn port_problem(code: Code, error: PortError) -> Problem {
    if matches!(error, PortError::Misconfigured { .. }) {
        tracing::error!(%error, code = code.as_str(), "a service of the bank does not know us as it is set up here");
    }
    Problem::new(code).retry_after(2).caused_by(error)
}
