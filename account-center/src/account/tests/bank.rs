//! A bank whose customers are logged in.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use postern_server_security::Thumbprint;
use postern_server_security::access_token::Acr;
use postern_server_security::sealing::Place;
use serde_json::{Value, json};

use super::super::outside::{Customer, Person};
use super::super::world::{APP, Flow, PASSWORD, Seen, World, new_key};
use crate::account::wire::{BindRequest, PhoneChangeRequest, ProofRequest};
use crate::account::{AccountPolicy, Accounts};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{Changes, KnownIdentity};
use crate::login::{Engine, LoginPolicy};
use crate::phone_number::PhoneNumber;
use crate::ports::SmsNotifier;
use crate::problem::Problem;
use crate::providers::Profile;
use crate::sessions::{Holder, NewSession};
use crate::store::{accounts, sessions};

const PROOF: &str = "/v1/account/proof";
const PHONE_CHANGE: &str = "/v1/account/phone-change";

pub(super) struct Bank {
    pub(super) world: Arc<World>,
    pub(super) accounts: Accounts,
}

/// Somebody who is logged in, with the phone in their hand.
#[derive(Clone)]
pub(super) struct User {
    pub(super) bank: Arc<Bank>,
    pub(super) device: Thumbprint,
    pub(super) holder: Holder,
    /// The operation under way.
    pub(super) operation: String,
    pub(super) step_id: String,
    pub(super) path: String,
}

impl Bank {
    pub(super) async fn new() -> Arc<Self> {
        Self::with(LoginPolicy::default()).await
    }

    pub(super) async fn with(policy: LoginPolicy) -> Arc<Self> {
        let world = World::with(policy).await;
        let accounts = Accounts::new(
            world.engine().clone(),
            Arc::new(SmsNotifier::new(world.outside.clone())),
            AccountPolicy::default(),
        );
        Arc::new(Self { world, accounts })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.world.engine()
    }

    /// An account that has these bindings, in this order, and perhaps a phone: as no login of the bank's app makes it, but other ways in do (J6).
    pub(super) async fn account(
        self: &Arc<Self>,
        phone: Option<&str>,
        providers: &[(&str, &str)],
    ) -> String {
        let parts = Arc::clone(&self.engine().parts);
        let user_id = parts.context.uuid();
        let id = user_id.clone();
        let phone = phone.map(|phone| PhoneNumber::parse(phone).unwrap());
        let identities: Vec<_> = providers
            .iter()
            .map(|(provider, name)| identity(provider, name))
            .collect();
        self.world
            .store
            .write(move |tx| {
                let (parts, user_id) = (Arc::clone(&parts), id.clone());
                let (phone, identities) = (phone.clone(), identities.clone());
                Box::pin(async move {
                    let changes = Changes::now(&parts.keys, &parts.context);
                    accounts::insert(tx, &user_id, None, changes.at).await?;
                    if let Some(phone) = phone {
                        changes.set_phone(tx, &user_id, &phone).await?;
                    }
                    for (index, identity) in identities.iter().enumerate() {
                        let later = Changes {
                            at: changes
                                .at
                                .plus(std::time::Duration::from_millis(index as u64)),
                            ..changes
                        };
                        later.bind(tx, identity, &user_id).await?;
                    }
                    Ok::<_, Problem>(())
                })
            })
            .await
            .unwrap();
        user_id
    }

    /// Somebody logs in to an account.
    pub(super) async fn log_in(self: &Arc<Self>, user_id: &str, began_with: &str) -> User {
        self.log_in_as(user_id, began_with, Acr::Unsigned).await
    }

    pub(super) async fn log_in_as(
        self: &Arc<Self>,
        user_id: &str,
        began_with: &str,
        acr: Acr,
    ) -> User {
        let device = self.world.device();
        let new = NewSession {
            user_id: user_id.to_owned(),
            app_id: APP.to_owned(),
            device_key: device.clone(),
            began_with: began_with.to_owned(),
            acr,
        };
        let parts = Arc::clone(&self.engine().parts);
        let grant = self
            .world
            .store
            .write(move |tx| {
                let (parts, new) = (Arc::clone(&parts), new.clone());
                Box::pin(async move { parts.sessions.open(tx, &new).await })
            })
            .await
            .unwrap();
        self.user(device, user_id, &grant.session_id)
    }

    pub(super) fn user(
        self: &Arc<Self>,
        device: Thumbprint,
        user_id: &str,
        session_id: &str,
    ) -> User {
        User {
            bank: Arc::clone(self),
            device,
            holder: Holder {
                user_id: user_id.to_owned(),
                session_id: session_id.to_owned(),
            },
            operation: String::new(),
            step_id: String::new(),
            path: String::new(),
        }
    }

    /// The person of a session is proved, without the steps of it.
    pub(super) async fn mark_proved(&self, user: &User) {
        let (session_id, now) = (
            user.holder.session_id.clone(),
            self.engine().parts.context.now(),
        );
        self.world
            .store
            .write(move |tx| {
                let session_id = session_id.clone();
                Box::pin(async move { sessions::prove(tx, &session_id, now).await })
            })
            .await
            .unwrap();
    }

    pub(super) async fn delivered(&self) -> Vec<(String, String)> {
        self.accounts.notices().deliver_due().await.unwrap();
        self.world.outside.notices()
    }

    /// What business lines are told, by kind.
    pub(super) async fn announced(&self, kind: &str) -> usize {
        self.world
            .texts("SELECT kind FROM outbox ORDER BY event_id")
            .await
            .iter()
            .filter(|told| *told == kind)
            .count()
    }
}

pub(super) fn identity(provider: &str, name: &str) -> KnownIdentity {
    KnownIdentity {
        provider: provider.to_owned(),
        platform: "op1".to_owned(),
        app_id: "wx1".to_owned(),
        open_id: format!("open-{name}@wx1"),
        subject: format!("union-{name}@op1"),
        aliases: Vec::new(),
        profile: Profile::default(),
    }
}

impl User {
    /// A call as the edge makes it: admission, the work, and what is done with problems that were not stored.
    pub(super) async fn call<F>(
        &self,
        at: (&'static str, &str),
        key: &str,
        body: &[u8],
        work: impl FnOnce(Accounts, Call, Holder) -> F,
    ) -> Seen
    where
        F: Future<Output = Result<Reply, Problem>>,
    {
        let world = &self.bank.world;
        let call = match world.admit_at(&self.device, at, key, body).await {
            Ok(call) => call,
            Err(seen) => return seen,
        };
        let result = work(
            self.bank.accounts.clone(),
            call.clone(),
            self.holder.clone(),
        )
        .await;
        world.answered(&call, result).await
    }

    pub(super) async fn unbind(&self, provider: &str) -> Seen {
        self.unbind_as(&new_key(), provider).await
    }

    pub(super) async fn unbind_as(&self, key: &str, provider: &str) -> Seen {
        let path = format!("/v1/account/bindings/{provider}");
        self.call(
            ("DELETE", &path),
            key,
            b"",
            |accounts, call, holder| async move { accounts.unbind(&call, &holder, provider).await },
        )
        .await
    }

    pub(super) async fn bindings(&self) -> Value {
        let reply = self.bank.accounts.bindings(&self.holder).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    }

    pub(super) async fn providers(&self) -> Vec<String> {
        self.bindings().await["bindings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|binding| binding["provider"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends a body to a call of the account, and goes where the reply says.
    async fn post(&mut self, path: &'static str, key: &str, body: &Value) -> Seen {
        path.clone_into(&mut self.path);
        let bytes = body.to_string().into_bytes();
        let text = bytes.clone();
        let seen = self
            .call(
                ("POST", path),
                key,
                &bytes,
                |accounts, call, holder| async move {
                    match path {
                        PROOF => {
                            let request = ProofRequest::parse(&text)?;
                            accounts.proof(&call, &holder, request).await
                        }
                        PHONE_CHANGE => {
                            let request = PhoneChangeRequest::parse(&text)?;
                            accounts.change_phone(&call, &holder, request).await
                        }
                        _ => {
                            let request = BindRequest::parse(&text)?;
                            accounts.bind(&call, &holder, request.provider).await
                        }
                    }
                },
            )
            .await;
        if let (Some(operation), Some(step_id)) = (
            seen.body["operation"].as_str(),
            seen.body["step_id"].as_str(),
        ) {
            operation.clone_into(&mut self.operation);
            step_id.clone_into(&mut self.step_id);
        }
        seen
    }

    /// Sends a body to any call of the account, at a path that is made for it.
    pub(super) async fn send_to<F>(
        &mut self,
        method: &'static str,
        path: &str,
        key: &str,
        body: &Value,
        work: impl FnOnce(Accounts, Call, Holder, Vec<u8>) -> F,
    ) -> Seen
    where
        F: Future<Output = Result<Reply, Problem>>,
    {
        path.clone_into(&mut self.path);
        let bytes = body.to_string().into_bytes();
        let text = bytes.clone();
        let seen = self
            .call((method, path), key, &bytes, |accounts, call, holder| {
                work(accounts, call, holder, text)
            })
            .await;
        if let (Some(operation), Some(step_id)) = (
            seen.body["operation"].as_str(),
            seen.body["step_id"].as_str(),
        ) {
            operation.clone_into(&mut self.operation);
            step_id.clone_into(&mut self.step_id);
        }
        seen
    }

    /// Binds WeChat with a code.
    pub(super) async fn bind(&mut self, code: &str) -> Seen {
        self.bind_as(&new_key(), code).await
    }

    pub(super) async fn bind_as(&mut self, key: &str, code: &str) -> Seen {
        let body = json!({"provider": {"provider": "wechat", "code": code}});
        self.post("/v1/account/bindings", key, &body).await
    }

    pub(super) async fn begin_proof(&mut self) -> Seen {
        self.post(PROOF, &new_key(), &json!({"start": {"person": {}}}))
            .await
    }

    /// Logs in anew at WeChat, within the session.
    pub(super) async fn log_in_there(&mut self, code: &str) -> Seen {
        let start = json!({"start": {"provider": {"provider": "wechat", "code": code}}});
        self.post(PROOF, &new_key(), &start).await
    }

    pub(super) async fn begin_phone_change(&mut self) -> Seen {
        self.post(PHONE_CHANGE, &new_key(), &json!({"start": {}}))
            .await
    }

    /// Answers the present step of the operation under way.
    pub(super) async fn answer(&mut self, answer: Value) -> Seen {
        self.answer_as(&new_key(), answer).await
    }

    pub(super) async fn answer_as(&mut self, key: &str, answer: Value) -> Seen {
        let path = if self.path == PROOF {
            PROOF
        } else {
            PHONE_CHANGE
        };
        let body = json!({"operation": self.operation, "step_id": self.step_id, "answer": answer});
        self.post(path, key, &body).await
    }

    pub(super) async fn right_code(&mut self, phone: &str) -> Seen {
        let code = self.bank.world.outside.inbox(phone);
        self.answer(json!({"sms_code": code})).await
    }

    pub(super) async fn password(&mut self, password: &str) -> Seen {
        let key = new_key();
        let sealed = self.seal(&key, "login_password", password);
        self.answer_as(&key, json!({"login_password": sealed}))
            .await
    }

    pub(super) async fn card(&mut self, number: &str, withdrawal_password: &str) -> Seen {
        let key = new_key();
        let card = json!({
            "number": self.seal(&key, "card.number", number),
            "withdrawal_password": self.seal(&key, "card.withdrawal_password", withdrawal_password),
        });
        self.answer_as(&key, json!({"card": card})).await
    }

    pub(super) async fn face(&mut self, asked: &Seen, passed: bool) -> Seen {
        let session = asked.body["next"]["request"]["face_session"]
            .as_str()
            .unwrap();
        let ticket = self.bank.world.outside.perform_face(session, passed);
        self.answer(json!({"face": {"ticket": ticket}})).await
    }

    /// Somebody who has just proved who they are by the login password.
    pub(super) async fn proved(mut self) -> Self {
        self.begin_proof().await.expect_step("verification");
        let seen = self.password(PASSWORD).await;
        assert_eq!(seen.expect_step("done").body["proved"], true);
        self
    }

    /// An hour and a half later: no proof is fresh any more, the session is alive.
    pub(super) fn later(self) -> Self {
        self.bank.world.pass(5400);
        self
    }

    pub(super) fn seal(&self, key: &str, field: &str, text: &str) -> Value {
        let place = Place {
            device_key: &self.device,
            idempotency_key: key,
            path: &self.path,
            field,
            login_handle: &self.operation,
            step_id: &self.step_id,
        };
        self.bank.world.seal_at(APP, &place, text)
    }
}

/// All at once, on all threads.
pub(super) async fn together<F, T>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// How often each status and code was seen.
pub(super) fn tally(seen: &[Seen]) -> HashMap<String, usize> {
    let mut tally = HashMap::new();
    for one in seen {
        let what = if one.status == 200 { "200" } else { one.code() };
        *tally.entry(what.to_owned()).or_default() += 1;
    }
    tally
}

/// Somebody with an account by an ordinary login: with a phone, a login password and WeChat.
pub(super) async fn registered(bank: &Arc<Bank>, name: &str, phone: &str) -> User {
    let person = Person::new(name);
    let (mut flow, _) = Flow::begin(&bank.world, &person).await;
    flow.prove_number(phone).await.expect_step("registration");
    let done = flow.register(PASSWORD).await;
    let session = done.expect_step("done").body["session"]["session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    bank.user(flow.device.clone(), &done.user_id(), &session)
}

pub(super) const CHEN: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

/// A signed customer with an account by an ordinary login.
pub(super) async fn signed(bank: &Arc<Bank>, name: &str, phone: &str, customer: Customer) -> User {
    let password = customer.password;
    bank.world.outside.contract(phone, &[customer]);
    let (mut flow, _) = Flow::begin(&bank.world, &Person::new(name)).await;
    flow.prove_number(phone).await.expect_step("verification");
    let face = flow.password(password).await;
    let done = flow.face(&face, true).await;
    let session = done.expect_step("done").body["session"]["session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    bank.user(flow.device.clone(), &done.user_id(), &session)
}
