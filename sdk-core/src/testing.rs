//! Test doubles shared by the modules: a clock, randomness, a transport with a script, a vault that fails, and a world made of them.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::config::PosternConfig;
use crate::postern::{Postern, PosternBuilder};
use crate::proof::{DeviceKey as _, SoftwareDeviceKey, jws};
use crate::random::Randomness;
use crate::secret::SecretBytes;
use crate::time::Clock;
use crate::transport::{HttpReply, HttpRequest, SpkiPin, Transport, TransportError};
use crate::vault::{MemoryVault, Vault, VaultError};

/// The account center's address in tests.
pub(crate) const BASE: &str = "https://login.bank.example";
/// Wall time at which [`FakeClock`] starts, seconds since 1970 UTC.
pub(crate) const START: u64 = 1_800_000_000;

/// A clock that stands still until it is moved, or that jumps ahead whenever somebody waits.
pub(crate) struct FakeClock {
    wall: Mutex<Duration>,
    steady: Mutex<Duration>,
    jumps: bool,
    slept: Mutex<Vec<Duration>>,
    moved: Arc<Notify>,
}

impl FakeClock {
    /// Waiting takes no real time: the clock jumps ahead by what is waited for.
    pub(crate) fn jumping() -> Arc<Self> {
        Self::new(true)
    }

    /// Waiting lasts until [`FakeClock::advance`] has moved far enough.
    pub(crate) fn standing() -> Arc<Self> {
        Self::new(false)
    }

    fn new(jumps: bool) -> Arc<Self> {
        Arc::new(Self {
            wall: Mutex::new(Duration::from_secs(START)),
            steady: Mutex::new(Duration::from_secs(100)),
            jumps,
            slept: Mutex::default(),
            moved: Arc::new(Notify::new()),
        })
    }

    /// Time passes on both clocks.
    pub(crate) fn advance(&self, by: Duration) {
        *self.wall.lock().unwrap() += by;
        *self.steady.lock().unwrap() += by;
        self.moved.notify_waiters();
    }

    /// The wall clock alone is set.
    pub(crate) fn set_wall(&self, now: Duration) {
        *self.wall.lock().unwrap() = now;
    }

    /// All the waits so far.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

/// Handed to the code under test; keeps the clock alive inside `sleep`'s future.
pub(crate) struct SharedClock(pub(crate) Arc<FakeClock>);

impl Clock for SharedClock {
    fn now(&self) -> Duration {
        *self.0.wall.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.0.steady.lock().unwrap()
    }

    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.0);
        async move {
            if clock.jumps {
                // Who waits beside us, ready, goes first.
                tokio::task::yield_now().await;
                clock.slept.lock().unwrap().push(how_long);
                clock.advance(how_long);
                return;
            }
            clock.slept.lock().unwrap().push(how_long);
            let until = *clock.steady.lock().unwrap() + how_long;
            loop {
                let moved = clock.moved.notified();
                if *clock.steady.lock().unwrap() >= until {
                    return;
                }
                moved.await;
            }
        }
        .boxed()
    }
}

/// Bytes that differ from call to call and are the same in each run.
#[derive(Default)]
pub(crate) struct CountingRandomness(AtomicU64);

impl Randomness for CountingRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.fetch_add(1, Ordering::Relaxed) ^ 0x9E37_79B9_7F4A_7C15;
        for byte in bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    }
}

/// A request that the transport was given.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The claims of its `DPoP` proof, unchecked.
    pub(crate) fn proof(&self) -> Value {
        claims(self.header("dpop").unwrap())
    }
}

/// The claims of a compact JWS, unchecked.
pub(crate) fn claims(jws: &str) -> Value {
    let payload = jws.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// One turn of the script.
pub(crate) enum Turn {
    Reply(HttpReply),
    Fail(TransportError),
    /// Answers only after the notification.
    After(Arc<Notify>, HttpReply),
    /// Never answers.
    Never,
    /// Answers with what the function makes of the request.
    With(Box<dyn Fn(&Seen) -> HttpReply + Send>),
}

/// A transport that plays a script and remembers what it was given. When the script is over, everything is offline.
#[derive(Default)]
pub(crate) struct ScriptedTransport {
    script: Mutex<VecDeque<Turn>>,
    seen: Mutex<Vec<Seen>>,
    pins: Mutex<Vec<SpkiPin>>,
}

impl ScriptedTransport {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn then(&self, turn: Turn) -> &Self {
        self.script.lock().unwrap().push_back(turn);
        self
    }

    pub(crate) fn reply(&self, reply: HttpReply) -> &Self {
        self.then(Turn::Reply(reply))
    }

    pub(crate) fn fail(&self, error: TransportError) -> &Self {
        self.then(Turn::Fail(error))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn pins(&self) -> Vec<SpkiPin> {
        self.pins.lock().unwrap().clone()
    }

    /// How many turns were not played.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().unwrap().len()
    }
}

impl Transport for ScriptedTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>> {
        let seen = Seen {
            method: request.method.to_string(),
            path: request.url.path().to_owned(),
            url: request.url.to_string(),
            headers: request.headers,
            body: request.body,
        };
        self.seen.lock().unwrap().push(seen.clone());
        let turn = self.script.lock().unwrap().pop_front();
        async move {
            match turn {
                Some(Turn::Reply(reply)) => Ok(reply),
                Some(Turn::Fail(error)) => Err(error),
                Some(Turn::After(gate, reply)) => {
                    gate.notified().await;
                    Ok(reply)
                }
                Some(Turn::Never) => std::future::pending().await,
                Some(Turn::With(make)) => Ok(make(&seen)),
                None => Err(TransportError::Offline),
            }
        }
        .boxed()
    }

    fn set_pins(&self, pins: &[SpkiPin]) {
        *self.pins.lock().unwrap() = pins.to_vec();
    }
}

/// A reply with headers.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> HttpReply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    HttpReply {
        status,
        headers: map,
        body: body.into(),
    }
}

/// A JSON reply with a nonce.
pub(crate) fn json_reply(status: u16, body: &Value) -> HttpReply {
    reply(
        status,
        &[("dpop-nonce", "nonce-of-a-reply")],
        body.to_string(),
    )
}

/// A problem with its code, and more members.
pub(crate) fn problem(status: u16, code: &str, more: &Value) -> HttpReply {
    let mut body = json!({"type": format!("urn:postern:problem:{code}"), "title": code, "status": status, "code": code});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    json_reply(status, &body)
}

/// An account as the account center shows it.
pub(crate) fn account_json() -> Value {
    json!({"user_id": "u-1", "identification": "unsigned", "phone_masked": "138****0000",
           "bindings": [{"provider": "wechat", "bound_at": START}]})
}

/// A session with tokens that end in `mark`.
pub(crate) fn session_json(mark: &str) -> Value {
    json!({"session_id": "s-1", "access_token": format!("at-{mark}"), "token_type": "DPoP", "expires_in": 300,
           "refresh_token": format!("rt_{mark}"), "refresh_expires_in": 2_592_000})
}

/// The reply that ends a login.
pub(crate) fn done_json(mark: &str) -> Value {
    json!({"next": {"step": "done"}, "account": account_json(), "session": session_json(mark)})
}

/// A vault whose operations can be made to fail.
#[derive(Default)]
pub(crate) struct FlakyVault {
    pub(crate) inner: MemoryVault,
    load: Mutex<Option<VaultError>>,
    store: Mutex<Option<VaultError>>,
    delete: Mutex<Option<VaultError>>,
}

impl FlakyVault {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn fail_loads(&self, error: Option<VaultError>) {
        *self.load.lock().unwrap() = error;
    }

    pub(crate) fn fail_stores(&self, error: Option<VaultError>) {
        *self.store.lock().unwrap() = error;
    }

    pub(crate) fn fail_deletes(&self, error: Option<VaultError>) {
        *self.delete.lock().unwrap() = error;
    }
}

impl Vault for FlakyVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        match self.load.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => self.inner.load(name),
        }
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        match self.store.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => self.inner.store(name, value),
        }
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        match self.delete.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => self.inner.delete(name),
        }
    }

    fn description(&self) -> String {
        "a vault that fails when told to".to_owned()
    }
}

/// The offline root of the tests, and the X25519 key that its lists name.
pub(crate) struct Root {
    key: SoftwareDeviceKey,
}

/// A public X25519 key (RFC 7748 section 6.1, Bob's).
pub(crate) const SEALING_KEY: &str = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";

impl Root {
    pub(crate) fn new() -> Self {
        Self {
            key: SoftwareDeviceKey::generate().unwrap().0,
        }
    }

    pub(crate) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_jwk().unwrap().to_sec1())
    }

    pub(crate) fn sign(&self, payload: &Value) -> String {
        let header = r#"{"typ":"postern-keys+jwt","alg":"ES256"}"#;
        jws::sign(&self.key, header, payload.to_string().as_bytes()).unwrap()
    }

    /// A good list of this version.
    pub(crate) fn key_list(&self, version: u64) -> String {
        self.sign(&Self::payload(version))
    }

    pub(crate) fn payload(version: u64) -> Value {
        json!({"issuer": BASE, "version": version, "issued_at": START - 10, "expires_at": START + 86_400,
               "sealing_keys": [{"kid": format!("key-{version}"), "suite": "x25519-sha256-aes128gcm", "public_key": SEALING_KEY}],
               "tls_pins": []})
    }

    /// Login options with a good list.
    pub(crate) fn options(&self, version: u64) -> Value {
        json!({"app_id": "bank-android", "issuer": BASE,
               "providers": [{"provider": "wechat", "provider_app_id": "wx-1", "scope": "snsapi_userinfo", "label": {"zh": "微信登录", "en": "WeChat"}}],
               "key_list": self.key_list(version)})
    }
}

/// All that a [`Postern`] of the tests stands on.
pub(crate) struct World {
    pub(crate) transport: Arc<ScriptedTransport>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) vault: Arc<FlakyVault>,
    pub(crate) root: Root,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_clock(FakeClock::jumping())
    }

    pub(crate) fn with_clock(clock: Arc<FakeClock>) -> Self {
        Self {
            transport: ScriptedTransport::new(),
            clock,
            vault: FlakyVault::new(),
            root: Root::new(),
        }
    }

    pub(crate) fn config(&self) -> PosternConfig {
        PosternConfig::new(BASE, "bank-android", self.root.public_key())
    }

    pub(crate) fn builder(&self, config: PosternConfig) -> PosternBuilder {
        Postern::builder(config)
            .shared_vault(Arc::clone(&self.vault) as Arc<dyn Vault>)
            .transport(Arc::clone(&self.transport) as Arc<dyn Transport>)
            .clock(Arc::new(SharedClock(Arc::clone(&self.clock))))
            .randomness(Arc::new(CountingRandomness::default()))
    }

    /// A new process over the same vault. Needs a current tokio runtime.
    pub(crate) fn postern(&self) -> Postern {
        self.builder(self.config()).build().unwrap()
    }
}
