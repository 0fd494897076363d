//! `POST /v1/appeals/{id}/recovery`: what an approved appeal allows, once, on the device that opened it: a new number for the account, proved by its code, and
//! by a face where the account is a signed customer's (U6). It logs nobody in.

use zeroize::Zeroizing;

use super::Accounts;
use super::operation::{Caller, Present, Turn};
use super::stage::{Aim, Asked, CodeOf, Kind, Stage, State};
use super::wire::{OperationAnswer, PhoneChangeRequest};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::login::decision::{CustomerRef, Resolved, UserId};
use crate::login::engine::port_problem;
use crate::login::password_rules;
use crate::login::wire::{Answer, RegistrationAnswer};
use crate::phone_number::PhoneNumber;
use crate::problem::{Code, Problem};
use crate::store::accounts;
use crate::store::appeals as rows;

/// What comes after the code of the new number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Refuse(Code),
    /// A signed customer whose new number is on their contract: their face.
    Face(CustomerRef),
    /// An unsigned account: a new login password, or the one it has; then, where the number is on a contract, its customer's proof (L5).
    Password(Option<CustomerRef>),
}

fn way(
    stored: Option<&CustomerRef>,
    resolved: &Resolved,
    taken: bool,
    customer_elsewhere: bool,
) -> Way {
    match (stored, resolved) {
        _ if taken => Way::Refuse(Code::PhoneBoundElsewhere),
        (_, Resolved::Several) => Way::Refuse(Code::CustomerAmbiguous),
        (Some(stored), Resolved::Customer(on)) if stored == on => Way::Face(on.clone()),
        (Some(_), _) => Way::Refuse(Code::PhoneChangesAtBank),
        (None, Resolved::Customer(_)) if customer_elsewhere => {
            Way::Refuse(Code::PhoneBoundElsewhere)
        }
        (None, Resolved::Customer(on)) => Way::Password(Some(on.clone())),
        (None, Resolved::Nobody) => Way::Password(None),
    }
}

impl Accounts {
    /// Begins the recovery that an appeal allows, or takes an answer to it.
    pub async fn recover(
        &self,
        call: &Call,
        appeal_id: &str,
        request: PhoneChangeRequest,
    ) -> Result<Reply, Problem> {
        let caller = Caller {
            call: call.clone(),
            holder: None,
        };
        match request {
            PhoneChangeRequest::Start => self.begin_recovery(caller, appeal_id).await,
            PhoneChangeRequest::Answer(answer) => {
                self.answer_recovery(&caller, appeal_id, answer).await
            }
        }
    }

    async fn begin_recovery(&self, caller: Caller, appeal_id: &str) -> Result<Reply, Problem> {
        let (accounts, appeal_id) = (self.clone(), appeal_id.to_owned());
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, caller) = (accounts.clone(), caller.clone());
                let appeal_id = appeal_id.clone();
                Box::pin(async move {
                    let appeal = rows::find(tx, &appeal_id)
                        .await?
                        .filter(|row| row.device_key == caller.call.device_key.as_str())
                        .ok_or_else(|| Problem::new(Code::AppealUnknown))?;
                    let now = accounts.now();
                    let usable = appeal.status == "approved"
                        && appeal.grant_expires_at.is_some_and(|until| now < until);
                    let (true, Some(user_id)) = (usable, appeal.user_id) else {
                        return Err(Problem::new(Code::Forbidden)
                            .detail("this appeal allows nothing, or not any more"));
                    };
                    let state = State {
                        kind: Kind::Recovery,
                        app_id: appeal.app_id,
                        user_id: UserId(user_id),
                        appeal_id: Some(appeal_id),
                        stage: Stage::Phone {
                            attempts_used: 0,
                            last: None,
                        },
                    };
                    let present = accounts.begin(&caller, state);
                    accounts.insert(tx, &caller.call, present).await
                })
            })
            .await
    }

    async fn answer_recovery(
        &self,
        caller: &Caller,
        appeal_id: &str,
        answer: OperationAnswer,
    ) -> Result<Reply, Problem> {
        let present = self
            .present(caller, Kind::Recovery, answer.operation, &answer.step_id)
            .await?;
        if present.state.appeal_id.as_deref() != Some(appeal_id) {
            return Err(Problem::new(Code::OperationUnknown));
        }
        match (&present.state.stage, answer.answer) {
            (_, Answer::Cancel(_)) => self.cancel(caller, &present).await,
            (Stage::Phone { .. }, Answer::Phone(number)) => {
                self.submit_number(caller, present, &number).await
            }
            (Stage::Code { .. }, Answer::Resend(_)) => self.resend(caller, present).await,
            (Stage::Code { .. }, Answer::ChangePhone(_)) => {
                self.change_number(caller, &present).await
            }
            (
                Stage::Code {
                    of: CodeOf::New, ..
                },
                Answer::SmsCode(code),
            ) => {
                if let Some(reply) = self.wrong_code(caller, &present, &code).await? {
                    return Ok(reply);
                }
                self.recovery_number(caller, present).await
            }
            (Stage::NewPassword { .. }, Answer::Registration(registration)) => {
                self.submit_new_password(caller, present, &registration)
                    .await
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

    /// The code of the new number was right.
    async fn recovery_number(&self, caller: &Caller, present: Present) -> Result<Reply, Problem> {
        let Stage::Code { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let phone = sent.phone.clone();
        let resolved = self
            .parts()
            .customers
            .resolve(&phone)
            .await
            .map_err(|error| port_problem(Code::CoreUnavailable, error))?;
        // A face is asked for only where the account's own customer has the number.
        let face = match &resolved {
            Resolved::Customer(customer) => {
                let (user_id, customer) = (present.state.user_id.0.clone(), customer.clone());
                let whose = customer.clone();
                let owner = self
                    .parts()
                    .store
                    .read(move |tx| {
                        let customer = customer.clone();
                        Box::pin(async move { accounts::by_customer(tx, &customer.0).await })
                    })
                    .await?;
                if owner.as_deref() == Some(&user_id) {
                    let name = &present.row.operation_hash;
                    Some(self.parts().start_face(&caller.call, name, &whose).await?)
                } else {
                    None
                }
            }
            Resolved::Nobody | Resolved::Several => None,
        };
        self.turn(caller, &present, move |turn| {
            let (phone, resolved, face) = (phone.clone(), resolved.clone(), face.clone());
            Box::pin(async move { turn.recovery_way(phone, &resolved, face).await })
        })
        .await
    }

    async fn submit_new_password(
        &self,
        caller: &Caller,
        present: Present,
        answer: &RegistrationAnswer,
    ) -> Result<Reply, Problem> {
        let Stage::NewPassword { phone, customer } = present.state.stage.clone() else {
            return Err(Problem::internal("no new password is asked for"));
        };
        let field = "/answer/registration/login_password/sealed";
        let password = self.parts().unseal(
            &caller.call,
            present.sealed_for(),
            &answer.login_password,
            "registration.login_password",
            field,
        )?;
        let rules = self.parts().policy.password_rules;
        if let Err(reason) = password_rules::check(rules, password.expose(), &phone) {
            let problem = Problem::new(Code::PasswordUnacceptable)
                .detail(reason.sentence())
                .pointer(field);
            return Err(self.at_step(&present, problem));
        }
        let hash = self
            .parts()
            .hashing
            .hash(
                Zeroizing::new(password.expose().to_owned()),
                self.parts().context.randomness(),
            )
            .await?;
        let reply = self
            .turn(caller, &present, move |turn| {
                let aim = Aim::Phone {
                    phone: phone.clone(),
                    customer: customer.clone(),
                    new_password: Some(hash.clone()),
                };
                let customer = customer.clone();
                Box::pin(async move {
                    match customer {
                        None => turn.achieve(aim, None).await,
                        Some(customer) => {
                            turn.go(Stage::Verification {
                                asked: Asked::Customer(customer),
                                aim,
                                attempts_used: 0,
                            })
                            .await
                        }
                    }
                })
            })
            .await?;
        self.notices().wake();
        Ok(reply)
    }
}

impl Turn<'_> {
    async fn recovery_way(
        mut self,
        phone: PhoneNumber,
        resolved: &Resolved,
        face: Option<(crate::ports::FaceSession, String)>,
    ) -> Result<Reply, Problem> {
        let stored = self.stored_customer().await?;
        let taken = self.is_taken(&phone).await?;
        let elsewhere = match resolved {
            Resolved::Customer(customer) => self.is_elsewhere(customer).await?,
            Resolved::Nobody | Resolved::Several => false,
        };
        let aim = |phone, customer| Aim::Phone {
            phone,
            customer,
            new_password: None,
        };
        match way(stored.as_ref(), resolved, taken, elsewhere) {
            Way::Refuse(code) => self.end(&Problem::new(code)).await,
            Way::Face(customer) => {
                let Some((session, nonce)) = face else {
                    // It became this customer's account meanwhile.
                    return self.end(&Problem::new(Code::Conflict)).await;
                };
                self.go(Stage::Face {
                    aim: aim(phone, Some(customer.clone())),
                    customer,
                    session,
                    nonce,
                    attempts_used: 0,
                })
                .await
            }
            Way::Password(customer) => {
                let appeal_id = self.held.state.appeal_id.clone().unwrap_or_default();
                let new = rows::find(self.tx, &appeal_id)
                    .await?
                    .is_some_and(|appeal| appeal.new_password);
                if new {
                    return self.go(Stage::NewPassword { phone, customer }).await;
                }
                let asked = Asked::Account(self.held.state.user_id.clone());
                self.go(Stage::Verification {
                    asked,
                    aim: aim(phone, customer),
                    attempts_used: 0,
                })
                .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u6_an_approved_appeal_gives_nobody_a_contract_that_is_not_theirs() {
        let c = |name: &str| CustomerRef(name.to_owned());
        let (c1, c2) = (c("C1"), c("C2"));
        for resolved in [
            Resolved::Nobody,
            Resolved::Several,
            Resolved::Customer(c1.clone()),
            Resolved::Customer(c2.clone()),
        ] {
            assert_eq!(
                way(None, &resolved, true, false),
                Way::Refuse(Code::PhoneBoundElsewhere)
            );
            let signed = way(Some(&c1), &resolved, false, false);
            match resolved {
                Resolved::Customer(ref on) if *on == c1 => {
                    assert_eq!(signed, Way::Face(c1.clone()));
                }
                _ => assert!(matches!(signed, Way::Refuse(_)), "{signed:?}"),
            }
        }
        assert_eq!(
            way(None, &Resolved::Customer(c2.clone()), false, false),
            Way::Password(Some(c2.clone()))
        );
        assert_eq!(
            way(None, &Resolved::Customer(c2), false, true),
            Way::Refuse(Code::PhoneBoundElsewhere)
        );
    }
}
