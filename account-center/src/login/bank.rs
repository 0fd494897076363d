//! `start: {"bank_session": …}`: somebody who logged in at the bank by its own means reaches bindings and security center too (L1, W7).

use postern_server_security::access_token::Acr;
use postern_server_security::bank_session::{Assertion, Method};

use super::decision::CustomerRef;
use super::engine::Engine;
use super::silent::{Asked, step};
use super::wire::{BankSessionStart, BindingResult, LoginReply, Step};
use crate::context::Timestamp;
use crate::guests::{At, Guests};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{Changes, Entered, Vouched, account_view_as};
use crate::keys::Purpose;
use crate::notices::{self, Recipient};
use crate::phone_number::PhoneNumber;
use crate::ports::NoticeKind;
use crate::problem::{Code, Problem};
use crate::sessions::NewSession;
use crate::store::events::{self, FlowEventRow};
use crate::store::{StoreError, Tx, limits, sessions};

/// A provider's credential that came along.
enum AtHand {
    Asked(Box<Asked>),
    /// The exchange failed: the person is logged in all the same.
    Failed(BindingResult),
}

struct Entry {
    engine: Engine,
    call: Call,
    app_id: String,
    bring_guest: bool,
    assertion: Assertion,
    vouched: Vouched,
    at_hand: Option<AtHand>,
}

impl Engine {
    pub(super) async fn begin_bank(
        &self,
        call: &Call,
        app_id: String,
        start: BankSessionStart,
        bring_guest: bool,
    ) -> Result<Reply, Problem> {
        let token = start.assertion.expose();
        let assertion = self.parts.bank.check(token, &call.device_key).await?;
        let phone = match &assertion.phone {
            None => None,
            Some(text) => Some(
                PhoneNumber::parse(text)
                    .map_err(|_| refused("the claim phone_number is not good"))?,
            ),
        };
        let vouched = Vouched {
            customer: assertion.customer.clone().map(CustomerRef),
            phone,
            more_than_a_message: assertion.method != Method::Phone,
        };
        let at_hand = match start.provider {
            None => None,
            Some(credential) => {
                let provider = credential.provider().to_owned();
                let pointer = "/start/bank_session/provider/provider";
                Some(match self.ask(call, &app_id, credential, pointer).await {
                    Ok(asked) => AtHand::Asked(Box::new(asked)),
                    Err(problem) => AtHand::Failed(BindingResult {
                        provider,
                        result: problem.code.as_str(),
                    }),
                })
            }
        };
        let entry = std::sync::Arc::new(Entry {
            engine: self.clone(),
            call: call.clone(),
            app_id,
            bring_guest,
            assertion,
            vouched,
            at_hand,
        });
        self.parts
            .store
            .write(move |tx| {
                let entry = entry.clone();
                Box::pin(async move { entry.run(tx).await })
            })
            .await
    }
}

fn refused(why: &'static str) -> Problem {
    Problem::new(Code::BankSessionInvalid)
        .pointer("/start/bank_session/assertion")
        .detail(why)
}

impl Entry {
    async fn run(&self, tx: &mut Tx) -> Result<Reply, Problem> {
        let parts = &self.engine.parts;
        let changes = Changes::now(&parts.keys, &parts.context);
        self.spend(tx).await?;
        let (user_id, acr) = match changes.enter(tx, &self.vouched).await? {
            Entered::Account(user_id, acr) => (user_id, acr),
            Entered::PhoneBoundElsewhere => return Err(Problem::new(Code::PhoneBoundElsewhere)),
        };
        let at = At {
            app_id: &self.app_id,
            device_key: self.call.device_key.as_str(),
        };
        Guests::now(&parts.keys, &parts.context)
            .logged_in(tx, &at, None, &user_id, self.bring_guest)
            .await?;
        let began_with = format!("bank:{}", self.assertion.method.as_str());
        let reference = self.engine.new_reference();
        let fresh = self.is_proof(acr);
        let binding = self
            .bind(tx, &changes, &user_id, acr, fresh, &reference)
            .await?;
        let session = NewSession {
            user_id: user_id.clone(),
            app_id: self.app_id.clone(),
            device_key: self.call.device_key.clone(),
            began_with: began_with.clone(),
            acr,
        };
        let session = parts.sessions.open(tx, &session).await?;
        if fresh {
            sessions::prove(tx, &session.session_id, changes.at).await?;
        }
        let account = account_view_as(tx, &parts.keys, &user_id, acr)
            .await?
            .ok_or(StoreError::Corrupt(
                "an account that was just entered is not there",
            ))?;
        let bound = binding.as_ref().is_some_and(|one| one.result == "bound");
        for kind in bound.then_some("bound").into_iter().chain(["logged_in"]) {
            let event = FlowEventRow {
                event_id: &parts.context.uuid(),
                login_ref: &reference,
                app_id: &self.app_id,
                provider: &began_with,
                kind,
                at: changes.at,
            };
            events::record(tx, &event).await?;
        }
        let reply = Reply::json(&LoginReply {
            account: Some(account),
            session: Some(session),
            binding,
            ..step(Step::Done)
        })?;
        self.call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// An assertion serves once.
    async fn spend(&self, tx: &mut Tx) -> Result<(), Problem> {
        let name = self.engine.parts.keys.name(
            Purpose::Once,
            &[b"bank-session", self.assertion.token_id.as_bytes()],
        );
        let until = i64::try_from(self.assertion.remember_until).unwrap_or(i64::MAX);
        // A second more than it is good for.
        let until = Timestamp::from_seconds(until.saturating_add(1));
        if limits::spend_credential(tx, &name, until).await? {
            Ok(())
        } else {
            Err(refused("it was used before"))
        }
    }

    /// L9: whether what was shown at the bank just now is the proof that a binding asks for. Only what the assertion's `amr` names counts.
    fn is_proof(&self, acr: Acr) -> bool {
        let shown = |name: &str| self.assertion.shown.iter().any(|one| one == name);
        match acr {
            Acr::Signed => (shown("pwd") || shown("card")) && shown("face"),
            Acr::Unsigned => shown("pwd"),
            Acr::Guest | Acr::Identified => false,
        }
    }

    async fn bind(
        &self,
        tx: &mut Tx,
        changes: &Changes<'_>,
        user_id: &str,
        acr: Acr,
        fresh: bool,
        reference: &str,
    ) -> Result<Option<BindingResult>, Problem> {
        let parts = &self.engine.parts;
        let asked = match &self.at_hand {
            None => return Ok(None),
            Some(AtHand::Failed(result)) => return Ok(Some(result.clone())),
            Some(AtHand::Asked(asked)) => asked,
        };
        let provider = asked.identity.provider.clone();
        let result = if asked.spend(tx, &self.engine).await.is_err() {
            Code::ProviderCodeInvalid.as_str()
        } else if acr < Acr::Unsigned {
            Code::ReauthenticationRequired.as_str()
        } else {
            changes
                .bind_at_hand(tx, asked.identity.clone(), user_id, fresh, reference)
                .await?
        };
        if result == "bound"
            && let Some(to) = Recipient::holder(tx, &parts.keys, user_id).await?
        {
            notices::record(
                tx,
                &parts.keys,
                &parts.context,
                &to,
                NoticeKind::BindingAdded,
                Some(&provider),
            )
            .await?;
        }
        Ok(Some(BindingResult { provider, result }))
    }
}
