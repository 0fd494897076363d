//! A bank whose customers are logged in.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use postern_server_security::Thumbprint;
use postern_server_security::access_token::Acr;
use postern_server_security::sealing::Place;
use serde_json::Value;

use super::super::outside::Person;
use super::super::world::{APP, Seen, World, new_key};
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
use crate::store::accounts;

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
    let (mut flow, _) = super::super::world::Flow::begin(&bank.world, &person).await;
    flow.prove_number(phone).await.expect_step("registration");
    let done = flow.register(super::super::world::PASSWORD).await;
    let session = done.expect_step("done").body["session"]["session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    bank.user(flow.device.clone(), &done.user_id(), &session)
}
