//! A login as a client leads it, step by step, so that a check can leave the way wherever it likes.

use serde_json::{Value, json};

use crate::device::{Device, random128};
use crate::outside::{Outside, Person};
use crate::seal::{Seal, SealingKey, payload, usable_key};
use crate::tester::{Reply, Request, Tester};
use crate::{Finding, ensure};

/// The path of every login call.
pub const LOGIN: &str = "/v1/login";
/// A login password that any sensible rules take.
pub const NEW_PASSWORD: &str = "Conformance-2026-login";

/// A login under way.
#[derive(Debug)]
pub struct Play<'a> {
    tester: &'a Tester,
    /// Who holds the phone.
    pub device: &'a Device,
    /// The handle.
    pub login: String,
    /// The present step.
    pub step_id: String,
    /// What it asks.
    pub next: Value,
}

/// A finished login.
#[derive(Debug, Clone)]
pub struct Done {
    /// The account, as the reply had it.
    pub account: Value,
    /// The session, as the reply had it.
    pub session: Value,
}

impl Done {
    /// The access token.
    pub fn access_token(&self) -> &str {
        self.session["access_token"].as_str().unwrap_or_default()
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> &str {
        self.session["refresh_token"].as_str().unwrap_or_default()
    }
}

impl Tester {
    /// The world outside. Checks that ask for it run only where it is.
    pub fn outside(&self) -> Result<Outside<'_>, Finding> {
        let parties = self
            .target
            .parties
            .as_ref()
            .ok_or_else(|| Finding::new("this run has no simulator"))?;
        Ok(Outside::new(parties, self.http().clone()))
    }

    /// WeChat's app id for the target's app.
    pub async fn wechat_app(&self) -> Result<String, Finding> {
        let options = self.options().await?.json();
        options["providers"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|provider| provider["provider"] == "wechat")
            .and_then(|provider| provider["provider_app_id"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| Finding::new("login-options offers no wechat"))
    }

    /// The body that begins a login with a fresh code of WeChat.
    pub async fn wechat_start(&self, person: &Person) -> Result<Value, Finding> {
        let app = self.wechat_app().await?;
        let code = self.outside()?.wechat_code(person, &app).await?;
        Ok(json!({
            "app_id": self.target.app_id,
            "start": {"provider": {"provider": "wechat", "code": code}},
        }))
    }

    /// A login call.
    pub async fn login_call(&self, device: &Device, body: &Value) -> Result<Request, Finding> {
        self.call(device, "POST", LOGIN, body.to_string().as_bytes(), None)
            .await
    }

    /// Begins a login of a person.
    pub async fn begin<'a>(
        &'a self,
        device: &'a Device,
        person: &Person,
    ) -> Result<Play<'a>, Finding> {
        let start = self.wechat_start(person).await?;
        let reply = self.send(&self.login_call(device, &start).await?).await?;
        reply.is(200)?;
        Play::at(self, device, &reply)
    }

    /// Leads a new unsigned person to the end (L4, L6).
    pub async fn register(&self, device: &Device, person: &Person) -> Result<Done, Finding> {
        let mut play = self.begin(device, person).await?;
        play.prove_phone(person).await?;
        play.expect("registration")?;
        let reply = play
            .answer_sealed("registration.login_password", NEW_PASSWORD)
            .await?;
        done(&reply)
    }

    /// The sealing key and the issuer's name.
    pub async fn sealing(&self) -> Result<(SealingKey, String), Finding> {
        let options = self.options().await?.json();
        let list = options["key_list"].as_str().unwrap_or_default();
        let issuer = options["issuer"].as_str().unwrap_or_default().to_owned();
        Ok((usable_key(&payload(list)?)?, issuer))
    }
}

impl<'a> Play<'a> {
    /// Takes up a reply that asks a step.
    pub fn at(tester: &'a Tester, device: &'a Device, reply: &Reply) -> Result<Self, Finding> {
        let body = reply.json();
        let text = |name: &str| {
            body[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| Finding::new(format!("a step came without {name}: {reply:?}")))
        };
        let login = text("login")?;
        ensure!(
            login.starts_with("lg_") && login.len() == 25,
            "a login handle is lg_ and 22 characters"
        );
        Ok(Self {
            tester,
            device,
            login,
            step_id: text("step_id")?,
            next: body["next"].clone(),
        })
    }

    /// That this step is asked.
    pub fn expect(&self, step: &str) -> Result<(), Finding> {
        ensure!(
            self.next["step"] == step,
            "expected the step {step}, got {}",
            self.next["step"]
        );
        Ok(())
    }

    /// The body of an answer.
    pub fn body(&self, answer: &Value) -> Value {
        json!({"login": self.login, "step_id": self.step_id, "answer": answer})
    }

    /// Answers, and stays where the login was: what comes back is the caller's to judge.
    pub async fn try_answer(&self, answer: &Value) -> Result<Reply, Finding> {
        let call = self
            .tester
            .login_call(self.device, &self.body(answer))
            .await?;
        self.tester.send(&call).await
    }

    /// Answers, and goes to the next step.
    pub async fn answer(&mut self, answer: &Value) -> Result<Reply, Finding> {
        let reply = self.try_answer(answer).await?;
        reply.is(200)?;
        if reply.json()["login"].is_string() {
            *self = Self::at(self.tester, self.device, &reply)?;
        }
        Ok(reply)
    }

    /// Takes the place that a mendable problem gives.
    pub fn follow(&mut self, reply: &Reply) -> Result<(), Finding> {
        *self = Self::at(self.tester, self.device, reply)?;
        Ok(())
    }

    /// Phone and SMS code (L4).
    pub async fn prove_phone(&mut self, person: &Person) -> Result<(), Finding> {
        self.send_code(person).await?;
        let code = self.tester.outside()?.sms_code(&person.phone).await?;
        self.answer(&json!({"sms_code": code})).await?;
        Ok(())
    }

    /// The phone number; the code is under way then.
    pub async fn send_code(&mut self, person: &Person) -> Result<(), Finding> {
        self.expect("phone")?;
        self.answer(&json!({"phone": person.phone})).await?;
        self.expect("sms_code")
    }

    /// Face recognition with this outcome: the reply.
    pub async fn face(&mut self, outcome: &str) -> Result<Reply, Finding> {
        self.expect("face")?;
        let session = self.next["request"]["face_session"]
            .as_str()
            .unwrap_or_default();
        let ticket = self.tester.outside()?.face_ticket(session, outcome).await?;
        self.try_answer(&json!({"face": {"ticket": ticket}})).await
    }

    /// What a field of this step is sealed for, with an Idempotency-Key.
    pub async fn seal(&self, field: &str, key: &str) -> Result<(Seal, SealingKey), Finding> {
        let (sealing_key, issuer) = self.tester.sealing().await?;
        let seal = Seal {
            issuer,
            app_id: self.tester.target.app_id.clone(),
            device_key: self.device.thumbprint(),
            idempotency_key: key.to_owned(),
            path: LOGIN.to_owned(),
            field: field.to_owned(),
            login: self.login.clone(),
            step_id: self.step_id.clone(),
        };
        Ok((seal, sealing_key))
    }

    /// Answers with sealed fields. Each is a place in the answer, as `card.number`, and its text.
    pub async fn answer_sealed_fields(&self, fields: &[(&str, &str)]) -> Result<Reply, Finding> {
        let key = random128();
        let mut answer = json!({});
        for (field, text) in fields {
            let (seal, sealing_key) = self.seal(field, &key).await?;
            let sealed = json!({"sealed": seal.seal(&sealing_key, text)?});
            let mut place = &mut answer;
            for name in field.split('.') {
                place = &mut place[name];
            }
            *place = sealed;
        }
        self.answer_with_key(&answer, &key).await
    }

    /// Answers with one sealed field.
    pub async fn answer_sealed(&self, field: &str, text: &str) -> Result<Reply, Finding> {
        self.answer_sealed_fields(&[(field, text)]).await
    }

    /// Answers under an Idempotency-Key of one's own.
    pub async fn answer_with_key(&self, answer: &Value, key: &str) -> Result<Reply, Finding> {
        let call = self
            .tester
            .login_call(self.device, &self.body(answer))
            .await?
            .instead("Idempotency-Key", key);
        self.tester.send(&call).await
    }
}

/// A finished login's reply (contract section 7).
pub fn done(reply: &Reply) -> Result<Done, Finding> {
    reply.is(200)?;
    let body = reply.json();
    ensure!(
        body["next"]["step"] == "done",
        "expected the step done, got {}",
        body["next"]["step"]
    );
    ensure!(
        body["login"].is_null() && body["step_id"].is_null(),
        "done comes without login and step_id"
    );
    let done = Done {
        account: body["account"].clone(),
        session: body["session"].clone(),
    };
    ensure!(
        done.account.is_object() && !done.access_token().is_empty(),
        "done comes with account and session"
    );
    Ok(done)
}
