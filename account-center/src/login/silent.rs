//! A credential that was had without asking the person (W4, M3): it tells who they are, and no more. The session is `identified` (L10): it shows a reduced view
//! of the account and may do nothing with it. Whoever wants more begins a login, with a consent or a face where the rules ask for one (L7).

use std::net::IpAddr;
use std::time::Duration;

use postern_server_security::access_token::Acr;

use super::advance::used_before;
use super::begin::Begun;
use super::engine::{Engine, HANDLE};
use super::judging::place_of;
use super::wire::{LoginReply, ProviderStart, Step};
use crate::guests::{At, Guests};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{Changes, KnownIdentity, Owner, Resolved, account_view_as, owner, resolve};
use crate::keys::Purpose;
use crate::problem::Problem;
use crate::providers::ProviderIdentity;
use crate::rollout::ClientFacts;
use crate::sessions::NewSession;
use crate::store::events::{self, FlowEventRow};
use crate::store::{StoreError, Tx, limits, provider_requests};

/// A provider's answer in this very request, and what has to be spent for it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) identity: ProviderIdentity,
    credential: String,
    memory: Duration,
    request: Option<String>,
}

impl Asked {
    /// The credential, and the request that was prepared for it, serve once, whoever brings them (M2).
    pub(crate) async fn spend(&self, tx: &mut Tx, engine: &Engine) -> Result<(), Problem> {
        if let Some(request) = &self.request
            && !provider_requests::spend(tx, request).await?
        {
            return Err(used_before());
        }
        let until = engine.parts.context.now().plus(self.memory);
        if limits::spend_credential(tx, &self.credential, until).await? {
            Ok(())
        } else {
            Err(used_before())
        }
    }
}

impl Engine {
    /// Exchanges a credential. What it cost the provider cannot be had back: where the account center fails afterwards, the app gets another one silently.
    pub(crate) async fn ask(
        &self,
        call: &Call,
        app_id: &str,
        start: ProviderStart,
        pointer: &str,
    ) -> Result<Asked, Problem> {
        let (offer, mut credential, request) = self.offered(app_id, start, pointer)?;
        let provider = offer.connector.provider();
        self.let_in(call, app_id, provider, &ClientFacts::default(), pointer)
            .await?;
        let begun = Begun::new(self, call, app_id, offer, &credential);
        let name = begun.credential.clone();
        let used = self
            .parts
            .store
            .read(move |tx| {
                let name = name.clone();
                Box::pin(async move { limits::credential_used(tx, &name).await })
            })
            .await?;
        if used {
            return Err(used_before());
        }
        let request = match request {
            None => None,
            Some(request) => {
                let provider = offer.connector.provider();
                let row = self.request_row(call, app_id, provider, request.expose());
                Some(self.waiting_request(row, &mut credential).await?)
            }
        };
        Ok(Asked {
            identity: self.ask_provider(offer, &credential).await?,
            credential: begun.credential,
            memory: begun.memory,
            request,
        })
    }

    /// W4: who is known by a provider's answer, and W5: a new open id of somebody who is known links itself. Whoever withdrew the authorization at the provider is
    /// not known until they log in there again.
    pub(crate) async fn known_by(
        &self,
        tx: &mut Tx,
        identity: ProviderIdentity,
        login_ref: &str,
    ) -> Result<Option<(KnownIdentity, String)>, StoreError> {
        let Resolved::Known(identity) = resolve(tx, identity).await? else {
            return Ok(None);
        };
        let Owner::Account(binding) = owner(tx, &identity).await? else {
            return Ok(None);
        };
        if binding.revoked_at.is_some() {
            return Ok(None);
        }
        Changes::now(&self.parts.keys, &self.parts.context)
            .follow(tx, &identity, &binding, login_ref)
            .await?;
        Ok(Some((identity, binding.user_id)))
    }

    /// The bucket of what an address may cause, for the limit of this place in its list.
    pub(crate) fn address_bucket(&self, what: &str, index: usize, address: IpAddr) -> String {
        self.parts.keys.name(
            Purpose::RateBucket,
            &[
                what.as_bytes(),
                &index.to_be_bytes(),
                place_of(address).as_bytes(),
            ],
        )
    }

    /// A name for what happens in this request, for records and events.
    pub(crate) fn new_reference(&self) -> String {
        self.login_hash(&format!("{HANDLE}{}", self.parts.context.token128()))
    }

    /// `start: {"silent": CREDENTIAL}`.
    pub(super) async fn identify(
        &self,
        call: &Call,
        app_id: String,
        start: ProviderStart,
        bring_guest: bool,
    ) -> Result<Reply, Problem> {
        let asked = self
            .ask(call, &app_id, start, "/start/silent/provider")
            .await?;
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call) = (engine.clone(), call.clone());
                let (app_id, asked) = (app_id.clone(), asked.clone());
                Box::pin(async move {
                    asked.spend(tx, &engine).await?;
                    let reference = engine.new_reference();
                    let provider = asked.identity.provider.clone();
                    let known = engine.known_by(tx, asked.identity, &reference).await?;
                    let kind = if known.is_some() {
                        "identified_silently"
                    } else {
                        "not_known"
                    };
                    let event = FlowEventRow {
                        event_id: &engine.parts.context.uuid(),
                        login_ref: &reference,
                        app_id: &app_id,
                        provider: &provider,
                        kind,
                        at: engine.parts.context.now(),
                    };
                    events::record(tx, &event).await?;
                    let reply = match known {
                        None => Reply::json(&step(Step::NotKnown))?,
                        Some((identity, user_id)) => {
                            let at = At {
                                app_id: &app_id,
                                device_key: call.device_key.as_str(),
                            };
                            Guests::now(&engine.parts.keys, &engine.parts.context)
                                .logged_in(tx, &at, Some(&identity), &user_id, bring_guest)
                                .await?;
                            engine
                                .open_weak(tx, &call, &app_id, user_id, &provider, Acr::Identified)
                                .await?
                        }
                    };
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    /// Opens a session that shows a reduced view, and gives the reply with both.
    pub(crate) async fn open_weak(
        &self,
        tx: &mut Tx,
        call: &Call,
        app_id: &str,
        user_id: String,
        began_with: &str,
        acr: Acr,
    ) -> Result<Reply, Problem> {
        let account = account_view_as(tx, &self.parts.keys, &user_id, acr)
            .await?
            .ok_or(StoreError::Corrupt(
                "an account that was just found is not there",
            ))?;
        let session = NewSession {
            user_id,
            app_id: app_id.to_owned(),
            device_key: call.device_key.clone(),
            began_with: began_with.to_owned(),
            acr,
        };
        let session = self.parts.sessions.open(tx, &session).await?;
        Reply::json(&LoginReply {
            account: Some(account),
            session: Some(session),
            ..step(Step::Done)
        })
    }
}

/// A reply that is over with this step.
pub(super) fn step(next: Step) -> LoginReply {
    LoginReply {
        login: None,
        step_id: None,
        expires_in: None,
        next,
        account: None,
        session: None,
        binding: None,
    }
}
