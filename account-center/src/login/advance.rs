//! Decides what comes next and writes it, in one transaction: state rows, history, outbox, flow event and the stored reply (U1). What the decision needs from
//! outside (a face session) is fetched with no transaction open, and then all is decided anew.

use std::sync::Arc;
use std::time::Duration;

use postern_server_security::access_token::Acr;

use super::decision::{Completion, Next, Progress, Refusal, Resolved, decide};
use super::engine::{Engine, Present};
use super::judging::place_name;
use super::state::{FacePurpose, LoginState, ProofAsked, Stage};
use super::wire::{LoginReply, Step};
use crate::funnel;
use crate::guests::{At, Guests};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{self, Joining, KnownIdentity};
use crate::phone_number::PhoneNumber;
use crate::ports::FaceSession;
use crate::problem::{Code, Problem};
use crate::rollout::ClientFacts;
use crate::secret::SecretText;
use crate::sessions::NewSession;
use crate::store::logins::{self, LoginRow};
use crate::store::{Failure, StoreError, Tx, appeals, limits, provider_requests, sessions};

/// Facts may change while a face session is opened; after so many changes the request is `busy`.
const LOOKS: u32 = 4;

/// What is known of the person by now.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) identity: KnownIdentity,
    /// The number that was proved.
    pub(super) phone: Option<PhoneNumber>,
    /// argon2id of the new login password.
    pub(super) password_hash: Option<String>,
    /// Proofs tried so far.
    pub(super) attempts_used: u32,
}

/// Where the login is.
#[derive(Clone)]
pub(super) enum Position {
    /// It begins.
    New {
        app_id: String,
        /// The credential's name in `used_credentials`.
        credential: String,
        /// How long it is remembered there.
        memory: Duration,
        /// The row of an identity that was kept.
        kept: String,
        /// The prepared request that it belongs to.
        request: Option<String>,
        /// What the client says of itself.
        client: Arc<ClientFacts>,
        /// The credential is marked as used already, by the login that was kept.
        spent: bool,
        /// The guest of the device key is brought in at the end (W6).
        bring_guest: bool,
    },
    /// It is under way. `bucket`: the attempt that turned out to be right is put back.
    At {
        present: Box<Present>,
        bucket: Option<String>,
    },
}

/// A face session that was opened for a decision.
#[derive(Clone)]
pub(super) struct OpenedFace {
    purpose: FacePurpose,
    session: FaceSession,
    nonce: String,
}

/// Why the transaction was undone.
enum Undone {
    Problem(Problem),
    /// The decision needs a face session for this.
    NeedsFace(FacePurpose),
}

impl From<Problem> for Undone {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

impl Failure for Undone {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Problem(problem) => problem.store_error(),
            Self::NeedsFace(_) => None,
        }
    }
}

struct Work {
    engine: Engine,
    call: Call,
    handle: Arc<SecretText>,
    login_hash: String,
    position: Position,
    known: Known,
    progress: Progress,
    face: Option<OpenedFace>,
}

impl Engine {
    /// Goes on from what was shown.
    pub(super) async fn advance(
        &self,
        call: &Call,
        handle: Arc<SecretText>,
        login_hash: String,
        position: Position,
        known: Known,
        progress: Progress,
    ) -> Result<Reply, Problem> {
        let mut face = None;
        for _ in 0..LOOKS {
            let work = Arc::new(Work {
                engine: self.clone(),
                call: call.clone(),
                handle: Arc::clone(&handle),
                login_hash: login_hash.clone(),
                position: position.clone(),
                known: known.clone(),
                progress: progress.clone(),
                face: face.take(),
            });
            let written = self
                .parts
                .store
                .write(move |tx| {
                    let work = Arc::clone(&work);
                    Box::pin(async move { work.run(tx).await })
                })
                .await;
            match written {
                Ok(reply) => return Ok(reply),
                Err(Undone::Problem(problem)) => return Err(problem),
                Err(Undone::NeedsFace(purpose)) => {
                    face = Some(self.open_face(call, &login_hash, purpose).await?);
                }
            }
        }
        Err(Problem::new(Code::Busy)
            .retry_after(1)
            .detail("the account keeps changing"))
    }

    /// As [`Engine::advance`], from a login under way.
    pub(super) async fn advance_from(
        &self,
        call: &Call,
        present: Present,
        bucket: Option<String>,
        known: Known,
        progress: Progress,
    ) -> Result<Reply, Problem> {
        let handle = Arc::clone(&present.handle);
        let login_hash = present.row.login_hash.clone();
        self.advance(
            call,
            handle,
            login_hash,
            Position::At {
                present: Box::new(present),
                bucket,
            },
            known,
            progress,
        )
        .await
    }

    /// Opens a face session, bound to customer, login, device key and a nonce (L5).
    pub(super) async fn open_face(
        &self,
        call: &Call,
        login_hash: &str,
        purpose: FacePurpose,
    ) -> Result<OpenedFace, Problem> {
        let (session, nonce) = self
            .parts
            .start_face(call, login_hash, purpose.customer())
            .await?;
        Ok(OpenedFace {
            purpose,
            session,
            nonce,
        })
    }
}

impl OpenedFace {
    /// The stage that asks for this face.
    pub(super) fn into_stage(self, attempts_used: u32) -> Stage {
        Stage::Face {
            purpose: self.purpose,
            session: self.session,
            nonce: self.nonce,
            attempts_used,
        }
    }
}

impl Work {
    async fn run(&self, tx: &mut Tx) -> Result<Reply, Undone> {
        let held = match &self.position {
            Position::New {
                app_id,
                credential,
                memory,
                kept,
                request,
                spent,
                bring_guest,
                client,
            } => {
                if let Some(request) = request
                    && !provider_requests::spend(tx, request).await?
                {
                    return Err(Problem::new(Code::ProviderCodeInvalid)
                        .detail("its request was used before")
                        .into());
                }
                if !*spent {
                    self.spend(tx, credential, *memory).await?;
                }
                let kept = spent.then_some(kept.as_str());
                self.start(tx, app_id, kept, *bring_guest, client).await?
            }
            Position::At { present, bucket } => {
                let held = self.engine.hold(tx, present).await?;
                if let Some(bucket) = bucket {
                    limits::give_back(tx, bucket, self.engine.parts.context.now()).await?;
                }
                held
            }
        };
        let customer = match &self.progress {
            Progress::NumberProved {
                resolved: Resolved::Customer(customer),
            }
            | Progress::CustomerProved { customer, .. }
            | Progress::FacePassed { customer, .. }
            | Progress::ReturnFacePassed { customer } => Some(customer),
            Progress::AccountProved { customer, .. } => customer.as_ref(),
            Progress::Identified | Progress::NumberProved { .. } | Progress::Registered => None,
        };
        let facts = identity::facts(
            tx,
            &self.engine.parts.keys,
            &self.known.identity,
            self.known.phone.as_ref(),
            customer,
        )
        .await?;
        let stage = match decide(&self.progress, &facts) {
            Next::Complete(completion) => return Ok(self.complete(tx, &held, &completion).await?),
            Next::Refuse(refusal) => {
                return Ok(self
                    .engine
                    .end(tx, &self.call, &held, &refused(refusal))
                    .await?);
            }
            Next::Phone => Stage::Phone {
                attempts_used: 0,
                last: None,
            },
            Next::AccountPassword { user_id, customer } => {
                self.verification(ProofAsked::Account { user_id, customer })?
            }
            Next::CustomerProof { customer, account } => {
                self.verification(ProofAsked::Customer { customer, account })?
            }
            Next::Registration => Stage::Registration {
                phone: self.phone()?,
            },
            Next::Face { customer, account } => self.face(FacePurpose::Bind {
                phone: self.phone()?,
                customer,
                account,
            })?,
            Next::ReturnFace { customer } => self.face(FacePurpose::Return { customer })?,
        };
        let now = self.engine.put(tx, &held, stage).await?;
        self.engine
            .record(
                tx,
                &now.row,
                &now.state,
                &format!("asked_{}", now.state.stage.name()),
            )
            .await?;
        let reply = self.engine.step_reply(&now)?;
        self.call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// A credential serves once, whoever brings it (M2).
    async fn spend(&self, tx: &mut Tx, credential: &str, memory: Duration) -> Result<(), Problem> {
        let until = self.engine.parts.context.now().plus(memory);
        if limits::spend_credential(tx, credential, until).await? {
            Ok(())
        } else {
            Err(used_before())
        }
    }

    /// A new login, not stored yet. `kept`: the row of an identity that was kept, with which it goes on.
    async fn start(
        &self,
        tx: &mut Tx,
        app_id: &str,
        kept: Option<&str>,
        bring_guest: bool,
        client: &Arc<ClientFacts>,
    ) -> Result<Present, Problem> {
        let parts = &self.engine.parts;
        let now = parts.context.now();
        if let Some(kept) = kept {
            // Whoever deletes the kept row goes on with it; a second request finds nothing.
            logins::lock(tx, kept).await?.ok_or_else(used_before)?;
            logins::delete(tx, kept).await?;
        }
        let state = LoginState {
            identity: self.known.identity.clone(),
            stage: Stage::Phone {
                attempts_used: 0,
                last: None,
            },
            bring_guest,
        };
        let row = LoginRow {
            login_hash: self.login_hash.clone(),
            app_id: app_id.to_owned(),
            device_key: self.call.device_key.as_str().to_owned(),
            step_id: String::new(),
            sealed_state: String::new(),
            created_at: now,
            expires_at: self.engine.row_expires_at(now),
        };
        funnel::begin(
            tx,
            &parts.keys,
            &row.login_hash,
            &row.device_key,
            self.call.region.as_deref(),
            client,
            now,
        )
        .await?;
        self.engine.record(tx, &row, &state, "identified").await?;
        Ok(Present {
            handle: Arc::clone(&self.handle),
            row,
            state,
            stored: false,
        })
    }

    /// The last step: account, phone, binding, open id, password and session together, and the login is gone.
    async fn complete(
        &self,
        tx: &mut Tx,
        held: &Present,
        completion: &Completion,
    ) -> Result<Reply, Problem> {
        let parts = &self.engine.parts;
        let joining = Joining {
            phone: self.known.phone.as_ref(),
            password_hash: self.known.password_hash.as_deref(),
            login_ref: &held.row.login_hash,
        };
        let done = identity::complete(
            tx,
            &parts.keys,
            &parts.context,
            &self.known.identity,
            completion,
            joining,
        )
        .await?;
        Guests::now(&parts.keys, &parts.context)
            .logged_in(
                tx,
                &At {
                    app_id: &held.row.app_id,
                    device_key: self.call.device_key.as_str(),
                },
                Some(&self.known.identity),
                &done.user_id,
                held.state.bring_guest,
            )
            .await?;
        let session = NewSession {
            user_id: done.user_id.clone(),
            app_id: held.row.app_id.clone(),
            device_key: self.call.device_key.clone(),
            began_with: self.known.identity.provider.clone(),
            acr: if done.signed {
                Acr::Signed
            } else {
                Acr::Unsigned
            },
        };
        let session = parts.sessions.open(tx, &session).await?;
        let place = place_name(&parts.keys, &done.user_id, self.call.address);
        appeals::seen_at(tx, &done.user_id, &place, parts.context.now()).await?;
        if self.proved_by_this(completion) {
            sessions::prove(tx, &session.session_id, parts.context.now()).await?;
        }
        let account = identity::account_view(tx, &parts.keys, &done.user_id)
            .await?
            .ok_or(StoreError::Corrupt(
                "an account that was just written is not there",
            ))?;
        self.engine.gone(tx, held).await?;
        // New customers (L11): an account that is new, and one that became a customer's.
        for (happened, kind) in [
            (done.created, "account_created"),
            (done.became_signed, "account_signed"),
        ] {
            if happened {
                self.engine.record(tx, &held.row, &held.state, kind).await?;
            }
        }
        if done.bound {
            self.engine
                .record(tx, &held.row, &held.state, "bound")
                .await?;
        }
        self.engine
            .record(tx, &held.row, &held.state, "logged_in")
            .await?;
        let reply = Reply::json(&LoginReply {
            login: None,
            step_id: None,
            expires_in: None,
            next: Step::Done,
            account: Some(account),
            session: Some(session),
            binding: None,
        })?;
        self.call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// L9: this login included what a step-up asks for: a registration, or the account's own login password, or the customer's password or card and face. The
    /// face alone of somebody who returns (L7) is not enough.
    fn proved_by_this(&self, completion: &Completion) -> bool {
        match &self.progress {
            Progress::AccountProved { .. } | Progress::FacePassed { .. } => true,
            // An identity that was bound meanwhile leads to an account with another password.
            Progress::Registered => matches!(completion, Completion::Create { .. }),
            Progress::Identified
            | Progress::NumberProved { .. }
            | Progress::CustomerProved { .. }
            | Progress::ReturnFacePassed { .. } => false,
        }
    }

    fn phone(&self) -> Result<PhoneNumber, Problem> {
        self.known
            .phone
            .clone()
            .ok_or_else(|| Problem::internal("a step after the phone number without one"))
    }

    fn verification(&self, asked: ProofAsked) -> Result<Stage, Problem> {
        Ok(Stage::Verification {
            phone: self.phone()?,
            asked,
            attempts_used: self.known.attempts_used,
        })
    }

    fn face(&self, purpose: FacePurpose) -> Result<Stage, Undone> {
        match &self.face {
            Some(opened) if opened.purpose == purpose => Ok(opened.clone().into_stage(0)),
            _ => Err(Undone::NeedsFace(purpose)),
        }
    }
}

pub(super) fn used_before() -> Problem {
    Problem::new(Code::ProviderCodeInvalid).detail("this code was used before")
}

fn refused(refusal: Refusal) -> Problem {
    Problem::new(match refusal {
        Refusal::CustomerAmbiguous => Code::CustomerAmbiguous,
        Refusal::PhoneBoundElsewhere => Code::PhoneBoundElsewhere,
        Refusal::IdentityBoundElsewhere => Code::IdentityBoundElsewhere,
    })
}
