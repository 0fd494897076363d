//! An unsigned person's new login password (L6).

use zeroize::Zeroizing;

use super::advance::Known;
use super::decision::Progress;
use super::engine::{Engine, Present};
use super::password_rules;
use super::state::Stage;
use super::wire::RegistrationAnswer;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::problem::{Code, Problem};

impl Engine {
    pub(super) async fn register(
        &self,
        call: &Call,
        present: Present,
        answer: &RegistrationAnswer,
    ) -> Result<Reply, Problem> {
        let Stage::Registration { phone } = &present.state.stage else {
            return Err(Problem::internal("no registration is asked for"));
        };
        let phone = phone.clone();
        let field = "/answer/registration/login_password/sealed";
        let password = self.parts.unseal(
            call,
            present.sealed_for(),
            &answer.login_password,
            "registration.login_password",
            field,
        )?;
        if let Err(reason) =
            password_rules::check(self.parts.policy.password_rules, password.expose(), &phone)
        {
            return Err(self.at_step(
                &present,
                Problem::new(Code::PasswordUnacceptable)
                    .detail(reason.sentence())
                    .pointer(field),
            ));
        }
        let hash = self
            .parts
            .hashing
            .hash(
                Zeroizing::new(password.expose().to_owned()),
                self.parts.context.randomness(),
            )
            .await?;
        let known = Known {
            identity: present.state.identity.clone(),
            phone: Some(phone),
            password_hash: Some(hash),
            attempts_used: 0,
        };
        self.advance_from(call, present, None, known, Progress::Registered)
            .await
    }
}
