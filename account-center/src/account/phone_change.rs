//! `POST /v1/account/phone-change`: another number (U4), or the first (U2). What becomes of a new number is said only after its code was right, so that nobody
//! can ask which numbers are known.

use serde_json::json;

use super::operation::{Caller, Present, Turn};
use super::stage::{Aim, Asked, CodeOf, Kind, Sent, Stage, State};
use super::wire::{OperationAnswer, OperationReply, OperationStep, PhoneChangeRequest};
use super::{Accounts, Held};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{self, Changes, phone_index, phone_of};
use crate::login::decision::{CustomerRef, Resolved, UserId};
use crate::login::engine::port_problem;
use crate::login::wire::Answer;
use crate::notices::{self, Recipient};
use crate::phone_number::PhoneNumber;
use crate::ports::NoticeKind;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::sessions::Holder;
use crate::store::{StoreError, Tx, accounts, appeals, operations, sessions};

/// What is known when the code of the new number was right.
#[derive(Clone, Debug)]
struct Facts {
    /// The customer whose reference the account stores.
    customer: Option<CustomerRef>,
    /// It has a number already; else its person was proved freshly before.
    has_phone: bool,
    /// Whose contract the new number is on.
    resolved: Resolved,
    /// The new number is another account's.
    taken: bool,
    /// The customer of the new number has another account.
    customer_elsewhere: bool,
}

/// What comes after the code of the new number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Refuse(Code),
    /// U4: the account's own login password; then, where the number is on a contract, the customer's proof (L5).
    Password(Option<CustomerRef>),
    /// L5: the customer's proof.
    Customer(CustomerRef),
    /// Nothing more: the first number of somebody who was proved just now.
    Nothing,
}

/// U4, L5: what has to be proved for the new number.
fn way(facts: &Facts) -> Way {
    if facts.taken {
        return Way::Refuse(Code::PhoneBoundElsewhere);
    }
    match (&facts.customer, &facts.resolved) {
        (_, Resolved::Several) => Way::Refuse(Code::CustomerAmbiguous),
        (Some(stored), Resolved::Customer(customer)) if stored == customer => {
            Way::Customer(customer.clone())
        }
        (Some(_), _) => Way::Refuse(Code::PhoneChangesAtBank),
        (None, Resolved::Customer(_)) if facts.customer_elsewhere => {
            Way::Refuse(Code::PhoneBoundElsewhere)
        }
        (None, Resolved::Customer(customer)) if facts.has_phone => {
            Way::Password(Some(customer.clone()))
        }
        (None, Resolved::Customer(customer)) => Way::Customer(customer.clone()),
        (None, Resolved::Nobody) if facts.has_phone => Way::Password(None),
        (None, Resolved::Nobody) => Way::Nothing,
    }
}

impl Accounts {
    /// Begins a change, or takes an answer to it.
    pub async fn change_phone(
        &self,
        call: &Call,
        holder: &Holder,
        request: PhoneChangeRequest,
    ) -> Result<Reply, Problem> {
        let caller = Caller::holder(call, holder);
        match request {
            PhoneChangeRequest::Start => self.begin_phone_change(caller, holder).await,
            PhoneChangeRequest::Answer(answer) => self.answer_phone_change(&caller, answer).await,
        }
    }

    async fn answer_phone_change(
        &self,
        caller: &Caller,
        answer: OperationAnswer,
    ) -> Result<Reply, Problem> {
        let present = self
            .present(caller, Kind::PhoneChange, answer.operation, &answer.step_id)
            .await?;
        match (&present.state.stage, answer.answer) {
            (_, Answer::Cancel(_)) => self.cancel(caller, &present).await,
            (Stage::Code { .. }, Answer::Resend(_)) => self.resend(caller, present).await,
            (Stage::Code { of, .. }, Answer::SmsCode(code)) => {
                let of = *of;
                self.submit_code(caller, present, of, &code).await
            }
            (
                Stage::Code {
                    of: CodeOf::New, ..
                },
                Answer::ChangePhone(_),
            ) => self.change_number(caller, &present).await,
            (Stage::Phone { .. }, Answer::Phone(number)) => {
                self.submit_number(caller, present, &number).await
            }
            (Stage::Verification { .. }, Answer::LoginPassword(sealed)) => {
                self.submit_password(caller, present, &sealed).await
            }
            (
                Stage::Verification {
                    asked: Asked::Customer(_),
                    ..
                },
                Answer::Card(card),
            ) => self.submit_card(caller, present, &card).await,
            (Stage::Face { .. }, Answer::Face(face)) => {
                self.submit_face(caller, present, &face).await
            }
            _ => Err(self.at_step(&present, Problem::new(Code::AnswerNotExpected))),
        }
    }

    /// A code goes to the number that the account has. One without a number begins with the new one, after a fresh proof of the person (L9).
    async fn begin_phone_change(&self, caller: Caller, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, asking) = (self.clone(), holder.clone());
        let (held, old) = self
            .parts()
            .store
            .read(move |tx| {
                let (accounts, holder) = (accounts.clone(), asking.clone());
                Box::pin(async move {
                    let held = accounts.read_holder(tx, &holder).await?;
                    let old = phone_of(tx, &accounts.parts().keys, &held.account.user_id).await?;
                    if old.is_none() && !accounts.is_fresh(tx, &held.session.session_id).await? {
                        return Err(Problem::new(Code::ReauthenticationRequired));
                    }
                    Ok((held, old))
                })
            })
            .await?;
        let Held { session, account } = held;
        let state = State {
            kind: Kind::PhoneChange,
            app_id: session.app_id,
            user_id: UserId(account.user_id),
            appeal_id: None,
            stage: Stage::Phone {
                attempts_used: 0,
                last: None,
            },
        };
        let mut present = self.begin(&caller, state);
        if let Some(phone) = old {
            let code_hash = self
                .send_first(&caller, &present.row.operation_hash, &phone)
                .await?;
            present.state.stage = Stage::Code {
                of: CodeOf::Old,
                sent: Sent {
                    phone,
                    at: self.now().millis(),
                },
                code_hash,
                attempts_used: 0,
            };
        }
        let (accounts, holder) = (self.clone(), holder.clone());
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, caller) = (accounts.clone(), caller.clone());
                let (holder, present) = (holder.clone(), present.clone());
                Box::pin(async move {
                    accounts.hold_holder(tx, &holder).await?;
                    accounts.insert(tx, &caller.call, present).await
                })
            })
            .await
    }

    pub(super) async fn submit_number(
        &self,
        caller: &Caller,
        present: Present,
        number: &SecretText,
    ) -> Result<Reply, Problem> {
        let refuse =
            |code| Err(self.at_step(&present, Problem::new(code).pointer("/answer/phone")));
        let Ok(phone) = PhoneNumber::parse(number.expose()) else {
            return refuse(Code::PhoneInvalid);
        };
        let Stage::Phone { last, .. } = &present.state.stage else {
            return Err(Problem::internal("no number is asked for"));
        };
        let (accounts, user_id) = (self.clone(), present.state.user_id.clone());
        let own = self
            .parts()
            .store
            .read(move |tx| {
                let (accounts, user_id) = (accounts.clone(), user_id.clone());
                Box::pin(async move { phone_of(tx, &accounts.parts().keys, &user_id.0).await })
            })
            .await?;
        if own.as_ref() == Some(&phone) {
            return refuse(Code::PhoneUnchanged);
        }
        // Changing the number and giving the same again is no way around the pause.
        if let Some(last) = last.as_ref().filter(|last| last.phone == phone) {
            self.after_pause(&present, last)?;
        }
        self.send_next(caller, present, CodeOf::New, phone).await
    }

    async fn submit_code(
        &self,
        caller: &Caller,
        present: Present,
        of: CodeOf,
        code: &SecretText,
    ) -> Result<Reply, Problem> {
        if let Some(reply) = self.wrong_code(caller, &present, code).await? {
            return Ok(reply);
        }
        let Stage::Code { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        if of == CodeOf::Old {
            return self
                .turn(caller, &present, |turn| {
                    Box::pin(async move {
                        turn.go(Stage::Phone {
                            attempts_used: 0,
                            last: None,
                        })
                        .await
                    })
                })
                .await;
        }
        let phone = sent.phone.clone();
        let resolved = self
            .parts()
            .customers
            .resolve(&phone)
            .await
            .map_err(|error| port_problem(Code::CoreUnavailable, error))?;
        let reply = self
            .turn(caller, &present, move |turn| {
                let (phone, resolved) = (phone.clone(), resolved.clone());
                Box::pin(async move { turn.number_proved(phone, resolved).await })
            })
            .await?;
        self.notices().wake();
        Ok(reply)
    }
}

impl Turn<'_> {
    /// The code of the new number was right.
    async fn number_proved(
        mut self,
        phone: PhoneNumber,
        resolved: Resolved,
    ) -> Result<Reply, Problem> {
        let user_id = self.held.state.user_id.clone();
        let facts = Facts {
            customer: self.stored_customer().await?,
            has_phone: accounts::sealed_phone(self.tx, &user_id.0).await?.is_some(),
            taken: self.is_taken(&phone).await?,
            customer_elsewhere: match &resolved {
                Resolved::Customer(customer) => self.is_elsewhere(customer).await?,
                Resolved::Nobody | Resolved::Several => false,
            },
            resolved,
        };
        let ask = |asked, customer| Stage::Verification {
            asked,
            aim: Aim::Phone {
                phone: phone.clone(),
                customer,
                new_password: None,
            },
            attempts_used: 0,
        };
        match way(&facts) {
            Way::Refuse(code) => self.end(&Problem::new(code)).await,
            Way::Password(customer) => self.go(ask(Asked::Account(user_id), customer)).await,
            Way::Customer(customer) => {
                let stage = ask(Asked::Customer(customer.clone()), Some(customer));
                self.go(stage).await
            }
            Way::Nothing => self.give_phone(&phone, None, None).await,
        }
    }

    pub(super) async fn is_taken(&mut self, phone: &PhoneNumber) -> Result<bool, StoreError> {
        let index = phone_index(&self.accounts.parts().keys, phone);
        let owner = accounts::by_phone(self.tx, &index).await?;
        Ok(owner.is_some_and(|owner| owner != self.held.state.user_id.0))
    }

    pub(super) async fn is_elsewhere(
        &mut self,
        customer: &CustomerRef,
    ) -> Result<bool, StoreError> {
        let owner = accounts::by_customer(self.tx, &customer.0).await?;
        Ok(owner.is_some_and(|owner| owner != self.held.state.user_id.0))
    }

    /// Everything was proved: the number replaces the one before, which is forgotten (U4). `proved`: the customer whose proof was given (L5).
    pub(super) async fn give_phone(
        mut self,
        phone: &PhoneNumber,
        proved: Option<CustomerRef>,
        new_password: Option<&str>,
    ) -> Result<Reply, Problem> {
        // Decided anew: somebody may have been quicker (W7).
        let stored = self.stored_customer().await?;
        let elsewhere = match &proved {
            Some(customer) => self.is_elsewhere(customer).await?,
            None => false,
        };
        if self.is_taken(phone).await? || elsewhere {
            return self.end(&Problem::new(Code::PhoneBoundElsewhere)).await;
        }
        if stored.is_some() && stored != proved {
            return self.end(&Problem::new(Code::Conflict)).await;
        }
        if !self.spend_appeal().await? {
            return self.end(&Problem::new(Code::Conflict)).await;
        }
        let parts = self.accounts.parts();
        let changes = Changes::now(&parts.keys, &parts.context);
        let user_id = self.held.state.user_id.0.clone();
        let before = Recipient::holder(self.tx, &parts.keys, &user_id).await?;
        changes.set_phone(self.tx, &user_id, phone).await?;
        if let (None, Some(customer)) = (&stored, &proved)
            && accounts::set_customer(self.tx, &user_id, &customer.0).await?
        {
            changes
                .announce(self.tx, &user_id, "account.signed", json!({}))
                .await?;
            if let Some(session_id) = &self.held.row.session_id {
                sessions::set_acr(self.tx, session_id, "signed").await?;
            }
        }
        changes
            .announce(self.tx, &user_id, "phone.changed", json!({}))
            .await?;
        // The number before is told too: there may be somebody else's hand in this.
        let after = Recipient::holder(self.tx, &parts.keys, &user_id).await?;
        for to in before.iter().chain(&after) {
            let kind = NoticeKind::PhoneChanged;
            notices::record(self.tx, &parts.keys, &parts.context, to, kind, None).await?;
        }
        self.mark_proved("phone_changed").await?;
        if self.held.state.kind == Kind::Recovery {
            self.recovered(new_password, after.as_ref()).await?;
            return self.finish(&OperationReply::of(OperationStep::Done)).await;
        }
        let account = account_now(self.tx, self.accounts, &user_id).await?;
        self.finish(&OperationReply {
            account: Some(account),
            ..OperationReply::of(OperationStep::Done)
        })
        .await
    }

    /// U6: an approval serves once. `false`: it was used, or its time is over. Nothing to spend where there is none.
    async fn spend_appeal(&mut self) -> Result<bool, StoreError> {
        match &self.held.state.appeal_id {
            None => Ok(true),
            Some(appeal_id) => appeals::spend(self.tx, appeal_id, self.accounts.now()).await,
        }
    }

    /// U6: whoever had a session before is out, and the new password counts. Nobody is logged in by it.
    async fn recovered(
        &mut self,
        new_password: Option<&str>,
        to: Option<&Recipient>,
    ) -> Result<(), StoreError> {
        let parts = self.accounts.parts();
        let changes = Changes::now(&parts.keys, &parts.context);
        let user_id = self.held.state.user_id.0.clone();
        if let Some(hash) = new_password {
            appeals::set_password(self.tx, &user_id, hash, changes.at).await?;
            if let Some(to) = to {
                let kind = NoticeKind::PasswordChanged;
                notices::record(self.tx, &parts.keys, &parts.context, to, kind, None).await?;
            }
        }
        let ended =
            sessions::end_of(self.tx, &user_id, None, "account_recovered", changes.at).await?;
        changes
            .announce(
                self.tx,
                &user_id,
                "account.recovered",
                json!({"sessions_ended": ended}),
            )
            .await?;
        let entry_id = parts.context.uuid();
        operations::keep_history(self.tx, &entry_id, &user_id, "recovered", None, changes.at).await
    }
}

async fn account_now(
    tx: &mut Tx,
    accounts: &Accounts,
    user_id: &str,
) -> Result<identity::AccountView, StoreError> {
    identity::account_view(tx, &accounts.parts().keys, user_id)
        .await?
        .ok_or(StoreError::Corrupt("an account that is held is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(name: &str) -> CustomerRef {
        CustomerRef(name.to_owned())
    }

    #[test]
    fn u4_l5_every_case_of_a_new_number() {
        let resolutions = [
            Resolved::Nobody,
            Resolved::Customer(customer("C1")),
            Resolved::Customer(customer("C2")),
            Resolved::Several,
        ];
        for stored in [None, Some(customer("C1"))] {
            for resolved in &resolutions {
                for (has_phone, taken, customer_elsewhere) in
                    (0..8).map(|n| (n & 1 == 1, n & 2 == 2, n & 4 == 4))
                {
                    let facts = Facts {
                        customer: stored.clone(),
                        has_phone,
                        resolved: resolved.clone(),
                        taken,
                        customer_elsewhere,
                    };
                    let way = way(&facts);
                    let refused = matches!(way, Way::Refuse(_));
                    if taken {
                        assert_eq!(way, Way::Refuse(Code::PhoneBoundElsewhere));
                    }
                    if *resolved == Resolved::Several {
                        assert!(refused, "never a choice by the client");
                    }
                    if stored.is_some() && !refused {
                        assert_eq!(
                            way,
                            Way::Customer(customer("C1")),
                            "a contract's number changes at the bank"
                        );
                    }
                    match (&stored, resolved) {
                        (None, Resolved::Customer(whose)) if !refused => assert!(
                            !customer_elsewhere
                                && (way == Way::Customer(whose.clone())
                                    || way == Way::Password(Some(whose.clone()))),
                            "L5: nobody gets a contract's number without its customer's proof"
                        ),
                        (None, Resolved::Nobody) if !refused => assert_eq!(
                            way,
                            if has_phone {
                                Way::Password(None)
                            } else {
                                Way::Nothing
                            }
                        ),
                        _ => {}
                    }
                }
            }
        }
    }
}
