//! A running account center without its HTTP: the ledger of replies, the engine, and a phone that answers steps.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use postern_server_security::keys::SigningKey;
use postern_server_security::sealing::{Place, Recipient, SealingKeyPair, SealingKeys, seal};
use postern_server_security::{Thumbprint, base64url};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use sqlx::Row as _;

use super::bank::TestBank;
use super::outside::{FakeWeChat, Outside, Person};
use crate::context::{Clock, Context, SystemRandomness, Timestamp};
use crate::guests::wire::GuestRequest;
use crate::hashing::Hashing;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::idempotency::{Entry, Ledger, Scope};
use crate::keys::Keys;
use crate::login::wire::LoginRequest;
use crate::login::{Engine, LoginPolicy, Parts};
use crate::notifications::Notifications;
use crate::problem::Problem;
use crate::providers::{ProviderApp, Registry};
use crate::sessions::{Lifetimes, Sessions};
use crate::store::{Store, StoreError};
use crate::testing::TestDatabase;

pub(super) const APP: &str = "bank-android";
pub(super) const APP_TWO: &str = "bank-mini";
pub(super) const MOVED_APP: &str = "bank-android-moved";
pub(super) const MOVED_APP_TWO: &str = "bank-mini-moved";
pub(super) const PHONE: &str = "+8613800138000";
pub(super) const PHONE_TWO: &str = "+8613900139000";
pub(super) const PASSWORD: &str = "Str0ng-enough";
const ISSUER: &str = "https://login.bank.example";

pub(super) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(super) struct World {
    clock: Arc<TestClock>,
    pub(super) outside: Arc<Outside>,
    pub(super) store: Store,
    // After the store: no connection is open any more.
    _database: TestDatabase,
    ledger: Ledger,
    engine: Engine,
    sealing: SealingKeyPair,
    pub(super) bank: TestBank,
    pub(super) notifications: Notifications,
    devices: AtomicU32,
    address: Mutex<IpAddr>,
}

/// What the client sees.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    pub(super) fn step(&self) -> &str {
        self.body["next"]["step"].as_str().unwrap_or("")
    }

    #[track_caller]
    pub(super) fn expect_step(&self, step: &str) -> &Self {
        assert_eq!((self.status, self.step()), (200, step), "{self:?}");
        self
    }

    #[track_caller]
    pub(super) fn expect_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        self
    }

    /// A mendable problem: says where the login stands.
    #[track_caller]
    pub(super) fn expect_mendable(&self, status: u16, code: &str, step: &str) -> &Self {
        self.expect_problem(status, code);
        assert_eq!(self.step(), step, "{self:?}");
        assert!(
            self.body["login"].is_string() && self.body["step_id"].is_string(),
            "{self:?}"
        );
        self
    }

    /// A problem that has ended the login.
    #[track_caller]
    pub(super) fn expect_over(&self, status: u16, code: &str) -> &Self {
        self.expect_problem(status, code);
        assert!(
            self.body.get("next").is_none() && self.body.get("login").is_none(),
            "{self:?}"
        );
        self
    }

    pub(super) fn user_id(&self) -> String {
        self.body["account"]["user_id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn new_key() -> String {
    Context::system().token128()
}

impl World {
    pub(super) async fn new() -> Arc<Self> {
        Self::with(LoginPolicy::default()).await
    }

    pub(super) async fn with(policy: LoginPolicy) -> Arc<Self> {
        let database = TestDatabase::new().await;
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SystemRandomness));
        let store = database.store().await;
        let keys = Arc::new(Keys::derive(&[7; 32]));
        let random = SystemRandom::new();
        let signer =
            SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap();
        let sealing = SealingKeyPair::generate("seal-1", &random).unwrap();
        let outside = Arc::new(Outside::default());
        let bank = TestBank::new();
        let notifications = Notifications::new(
            store.clone(),
            Arc::clone(&keys),
            context.clone(),
            vec![crate::notifications::wechat::tests::secrets()],
            super::notifications::alipay_apps(),
        );
        let wechat = Arc::new(FakeWeChat(Arc::clone(&outside)));
        let provider_app = |app_id: &str, platform: &str| ProviderApp {
            app_id: app_id.into(),
            secret: "s".into(),
            platform: platform.into(),
            ..ProviderApp::default()
        };
        let registry = Registry::new()
            .with_app("bank-web")
            .with_offer(APP, wechat.clone(), provider_app("wx1", "op1"))
            .with_offer(APP_TWO, wechat.clone(), provider_app("wx2", "op1"))
            .with_offer(MOVED_APP_TWO, wechat.clone(), provider_app("wx2", "op2"))
            .with_offer(MOVED_APP, wechat, provider_app("wx1", "op2"));
        let engine = Engine::new(Parts {
            store: store.clone(),
            keys: Arc::clone(&keys),
            context: context.clone(),
            hashing: Hashing::new(2, 500, context.randomness()),
            sessions: Sessions::new(
                context.clone(),
                &keys,
                Arc::new(signer),
                &[],
                ISSUER,
                &[],
                Lifetimes::default(),
            ),
            registry,
            customers: outside.clone(),
            face: outside.clone(),
            sms: outside.clone(),
            sealing: SealingKeys::new(vec![sealing.clone()]),
            bank: bank.connect(ISSUER, context.clone()),
            issuer: ISSUER.to_owned(),
            policy,
        });
        Arc::new(Self {
            _database: database,
            clock,
            outside,
            ledger: Ledger::new(keys, context),
            store,
            engine,
            sealing,
            bank,
            notifications,
            devices: AtomicU32::new(0),
            address: Mutex::new("192.0.2.1".parse().unwrap()),
        })
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(super) fn come_from(&self, address: &str) {
        *self.address.lock().unwrap() = address.parse().unwrap();
    }

    pub(super) fn device(&self) -> Thumbprint {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.devices.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        Thumbprint::parse(&base64url::encode(bytes)).unwrap()
    }

    /// As the edge does it: admission, strict reading, the engine, and what is done with problems that were not stored.
    pub(super) async fn request(&self, device: &Thumbprint, key: &str, body: &Value) -> Seen {
        let body = body.to_string().into_bytes();
        let call = match self.admit(device, key, &body).await {
            Ok(call) => call,
            Err(seen) => return seen,
        };
        let result = self
            .engine
            .perform(&call, LoginRequest::parse(&body).unwrap())
            .await;
        self.answered(&call, result).await
    }

    /// `POST /v1/guests`.
    pub(super) async fn guest(&self, device: &Thumbprint, key: &str, body: &Value) -> Seen {
        let body = body.to_string().into_bytes();
        let call = match self.admit(device, key, &body).await {
            Ok(call) => call,
            Err(seen) => return seen,
        };
        let result = self
            .engine
            .guest(&call, GuestRequest::parse(&body).unwrap())
            .await;
        self.answered(&call, result).await
    }

    /// Changes of the database that no request makes.
    pub(super) async fn execute(&self, sql: &'static str) {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query(sql).execute(tx).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    pub(super) async fn admit(
        &self,
        device: &Thumbprint,
        key: &str,
        body: &[u8],
    ) -> Result<Call, Seen> {
        self.admit_at(device, ("POST", "/v1/login"), key, body)
            .await
    }

    /// As the edge admits a call with this method and path.
    pub(super) async fn admit_at(
        &self,
        device: &Thumbprint,
        (method, path): (&'static str, &str),
        key: &str,
        body: &[u8],
    ) -> Result<Call, Seen> {
        let (ledger, scope_device, scope_key, bytes) = (
            self.ledger.clone(),
            device.clone(),
            key.to_owned(),
            body.to_vec(),
        );
        let at = path.to_owned();
        let entry = self
            .store
            .write(move |tx| {
                let (ledger, device, key, body) = (
                    ledger.clone(),
                    scope_device.clone(),
                    scope_key.clone(),
                    bytes.clone(),
                );
                let path = at.clone();
                Box::pin(async move {
                    let scope = Scope {
                        device_key: device.as_str(),
                        method,
                        path: &path,
                        key: &key,
                    };
                    ledger.begin(tx, scope, &body).await
                })
            })
            .await
            .unwrap();
        match entry {
            Entry::Begun(ticket) => Ok(Call {
                request_id: "request".into(),
                device_key: device.clone(),
                address: *self.address.lock().unwrap(),
                region: None,
                path: path.to_owned().into(),
                ticket,
            }),
            Entry::Done(reply) => Err(seen(&reply)),
            Entry::InFlight => Err(Seen {
                status: 409,
                body: json!({"code": "request_in_flight"}),
            }),
            Entry::OtherBytes => Err(Seen {
                status: 422,
                body: json!({"code": "idempotency_key_reused"}),
            }),
        }
    }

    /// The engine of the logins.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Seals a field as an app does.
    pub(super) fn seal_at(&self, app_id: &str, place: &Place<'_>, text: &str) -> Value {
        let recipient = Recipient {
            issuer: ISSUER,
            app_id,
        };
        let pair = &self.sealing;
        json!({"sealed": seal(pair.kid(), pair.public_bytes(), text, &recipient, place, &SystemRandom::new()).unwrap()})
    }

    pub(super) async fn answered(&self, call: &Call, result: Result<Reply, Problem>) -> Seen {
        let problem = match result {
            Ok(reply) => return seen(&reply),
            Err(problem) => problem,
        };
        let reply = Reply::problem(&problem, &call.request_id);
        let (ticket, stored) = (call.ticket.clone(), reply.clone());
        self.store
            .write(move |tx| {
                let (ticket, reply) = (ticket.clone(), stored.clone());
                Box::pin(async move {
                    if reply.status.is_server_error() {
                        ticket.release(tx).await
                    } else {
                        ticket.finish(tx, &reply).await
                    }
                })
            })
            .await
            .unwrap();
        assert_ne!(reply.status, 500, "{problem:?} {:?}", problem.cause());
        seen(&reply)
    }

    pub(super) fn start_body(app_id: &str, code: &str) -> Value {
        json!({"app_id": app_id, "start": {"provider": {"provider": "wechat", "code": code}}})
    }

    /// Rows of a table.
    pub(super) async fn rows(&self, table: &'static str) -> i64 {
        self.scalar(format!("SELECT COUNT(*) FROM {table}")).await
    }

    pub(super) async fn scalar(&self, sql: String) -> i64 {
        self.store
            .read(move |tx| {
                let sql = sql.clone();
                Box::pin(async move {
                    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(tx).await?;
                    Ok::<_, StoreError>(row.try_get(0)?)
                })
            })
            .await
            .unwrap()
    }

    pub(super) async fn texts(&self, sql: &'static str) -> Vec<String> {
        self.store
            .read(move |tx| {
                Box::pin(async move {
                    let rows = sqlx::query(sql).fetch_all(tx).await?;
                    Ok::<_, StoreError>(
                        rows.iter()
                            .map(|row| row.try_get(0))
                            .collect::<Result<_, _>>()?,
                    )
                })
            })
            .await
            .unwrap()
    }

    /// All texts of some tables, for a search.
    pub(super) async fn everything(&self, tables: Vec<&'static str>) -> String {
        self.store
            .read(move |tx| {
                let tables = tables.clone();
                Box::pin(async move {
                    let mut all = String::new();
                    for table in tables {
                        let sql = format!("SELECT * FROM {table}");
                        for row in sqlx::query(sqlx::AssertSqlSafe(sql))
                            .fetch_all(&mut *tx)
                            .await?
                        {
                            for column in 0..row.len() {
                                let text = row.try_get::<Option<String>, _>(column);
                                all.push_str(&text.ok().flatten().unwrap_or_default());
                                all.push('\n');
                            }
                        }
                    }
                    Ok::<_, StoreError>(all)
                })
            })
            .await
            .unwrap()
    }

    /// Nothing is bound, and nothing that could become a binding by itself (U1).
    pub(super) async fn assert_nothing_bound(&self) {
        for table in [
            "accounts",
            "phones",
            "login_passwords",
            "bindings",
            "open_ids",
            "binding_history",
            "outbox",
            "sessions",
        ] {
            assert_eq!(self.rows(table).await, 0, "{table}");
        }
    }
}

fn seen(reply: &Reply) -> Seen {
    Seen {
        status: reply.status.as_u16(),
        body: serde_json::from_slice(&reply.body).unwrap(),
    }
}

/// A phone in the middle of a login.
#[derive(Clone)]
pub(super) struct Flow {
    pub(super) world: Arc<World>,
    pub(super) device: Thumbprint,
    pub(super) login: String,
    pub(super) step_id: String,
    pub(super) app_id: String,
}

impl Flow {
    pub(super) async fn begin(world: &Arc<World>, person: &Person) -> (Self, Seen) {
        Self::begin_in(world, APP, &world.device(), &world.outside.agree(person)).await
    }

    pub(super) async fn begin_in(
        world: &Arc<World>,
        app_id: &str,
        device: &Thumbprint,
        code: &str,
    ) -> (Self, Seen) {
        let seen = world
            .request(device, &new_key(), &World::start_body(app_id, code))
            .await;
        let mut flow = Self {
            world: Arc::clone(world),
            device: device.clone(),
            login: String::new(),
            step_id: String::new(),
            app_id: app_id.to_owned(),
        };
        flow.follow(&seen);
        (flow, seen)
    }

    pub(super) fn follow(&mut self, seen: &Seen) {
        if let (Some(login), Some(step_id)) =
            (seen.body["login"].as_str(), seen.body["step_id"].as_str())
        {
            login.clone_into(&mut self.login);
            step_id.clone_into(&mut self.step_id);
        }
    }

    pub(super) fn body(&self, answer: &Value) -> Value {
        json!({"login": self.login, "step_id": self.step_id, "answer": answer})
    }

    /// Sends an answer and goes where the reply says.
    pub(super) async fn send(&mut self, answer: Value) -> Seen {
        self.send_as(&new_key(), answer).await
    }

    pub(super) async fn send_as(&mut self, key: &str, answer: Value) -> Seen {
        let seen = self
            .world
            .request(&self.device, key, &self.body(&answer))
            .await;
        self.follow(&seen);
        seen
    }

    pub(super) fn seal(&self, key: &str, field: &str, text: &str) -> Value {
        let recipient = Recipient {
            issuer: ISSUER,
            app_id: &self.app_id,
        };
        let place = Place {
            device_key: &self.device,
            idempotency_key: key,
            path: "/v1/login",
            field,
            login_handle: &self.login,
            step_id: &self.step_id,
        };
        let pair = &self.world.sealing;
        json!({"sealed": seal(pair.kid(), pair.public_bytes(), text, &recipient, &place, &SystemRandom::new()).unwrap()})
    }

    pub(super) async fn phone(&mut self, phone: &str) -> Seen {
        self.send(json!({"phone": phone})).await
    }

    pub(super) async fn right_code(&mut self, phone: &str) -> Seen {
        let code = self.world.outside.inbox(phone);
        self.send(json!({"sms_code": code})).await
    }

    /// Phone and its code.
    pub(super) async fn prove_number(&mut self, phone: &str) -> Seen {
        self.phone(phone).await.expect_step("sms_code");
        self.right_code(phone).await
    }

    pub(super) async fn password(&mut self, password: &str) -> Seen {
        let key = new_key();
        let sealed = self.seal(&key, "login_password", password);
        self.send_as(&key, json!({"login_password": sealed})).await
    }

    pub(super) async fn card(&mut self, number: &str, withdrawal_password: &str) -> Seen {
        let key = new_key();
        let card = json!({
            "number": self.seal(&key, "card.number", number),
            "withdrawal_password": self.seal(&key, "card.withdrawal_password", withdrawal_password),
        });
        self.send_as(&key, json!({"card": card})).await
    }

    pub(super) async fn register(&mut self, password: &str) -> Seen {
        let key = new_key();
        let sealed = self.seal(&key, "registration.login_password", password);
        self.send_as(&key, json!({"registration": {"login_password": sealed}}))
            .await
    }

    pub(super) async fn face(&mut self, asked: &Seen, passed: bool) -> Seen {
        let session = asked.body["next"]["request"]["face_session"]
            .as_str()
            .unwrap();
        let ticket = self.world.outside.perform_face(session, passed);
        self.send(json!({"face": {"ticket": ticket}})).await
    }
}

/// A new unsigned person, from the button to the session.
pub(super) async fn new_unsigned(world: &Arc<World>, person: &Person, phone: &str) -> Seen {
    let (mut flow, seen) = Flow::begin(world, person).await;
    seen.expect_step("phone");
    flow.prove_number(phone).await.expect_step("registration");
    let done = flow.register(PASSWORD).await;
    done.expect_step("done");
    done
}

/// A new signed customer, from the button to the session.
pub(super) async fn new_signed(
    world: &Arc<World>,
    person: &Person,
    phone: &str,
    password: &str,
) -> Seen {
    let (mut flow, seen) = Flow::begin(world, person).await;
    seen.expect_step("phone");
    flow.prove_number(phone).await.expect_step("verification");
    let face = flow.password(password).await;
    face.expect_step("face");
    let done = flow.face(&face, true).await;
    done.expect_step("done");
    done
}
