//! A server over real HTTP with a database of its own, and a device that makes its proofs by itself: nothing here comes from the SDK or from the server's own
//! checks, so that the two sides of the contract meet.

#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod database;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use database::TestDatabase;
use postern_account_center::app::App;
use postern_account_center::config::{Config, Overrides};
use postern_account_center::context::{Clock, Context, SystemRandomness, Timestamp};
use postern_account_center::http::AppState;
use postern_account_center::sessions::{NewSession, SessionGrant};
use postern_account_center::store::StoreError;
use postern_server_security::Thumbprint;
use postern_server_security::access_token::Acr;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub const REFRESH: &str = "/v1/sessions/refresh";
pub const APP: &str = "bank-android";

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn random128() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    b64(bytes)
}

pub struct TestClock(Mutex<i64>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(*self.0.lock().unwrap())
    }
}

/// A device with its key.
pub struct Device {
    pair: EcdsaKeyPair,
}

/// What a proof says; each member can be made wrong.
pub struct Proof<'a> {
    pub method: &'a str,
    pub url: String,
    pub nonce: Option<String>,
    pub body: &'a [u8],
    pub token: Option<&'a str>,
    pub jti: String,
    pub iat: Value,
}

impl Device {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self {
            pair: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                document.as_ref(),
                &random,
            )
            .unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
    }

    /// RFC 7638: the required members in lexicographic order.
    pub fn thumbprint(&self) -> Thumbprint {
        let jwk = self.jwk();
        let canonical = format!(
            r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
            jwk["x"], jwk["y"]
        );
        Thumbprint::parse(&b64(digest(&SHA256, canonical.as_bytes()))).unwrap()
    }

    pub fn proof(&self, proof: &Proof<'_>) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        let mut claims = json!({
            "jti": proof.jti,
            "htm": proof.method,
            "htu": proof.url,
            "iat": proof.iat,
            "bh": b64(digest(&SHA256, proof.body)),
        });
        if let Some(nonce) = &proof.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(token) = proof.token {
            claims["ath"] = json!(b64(digest(&SHA256, token.as_bytes())));
        }
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", b64(signature))
    }
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The problem's code, after checking that it is one by the book (RFC 9457, contract section 9).
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        let body = self.json();
        assert_eq!(body["status"], self.status);
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("urn:postern:problem:{code}"));
        assert!(!body["title"].as_str().unwrap().is_empty());
        if self.header("idempotency-replayed").is_empty() {
            assert_eq!(body["request_id"], self.header("x-request-id"));
        }
        let challenge = self.header("www-authenticate");
        if ["use_dpop_nonce", "invalid_dpop_proof", "invalid_token"].contains(&code.as_str()) {
            assert!(
                challenge == format!("DPoP error=\"{code}\"")
                    || challenge == "Bearer error=\"invalid_token\""
            );
        }
        code
    }
}

/// A request, with the headers of a good one unless they are changed.
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn instead(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }
}

pub struct Server {
    pub base: String,
    /// Where operators reach the admin API.
    pub admin: String,
    pub clock: Arc<TestClock>,
    pub state: AppState,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    pub database: TestDatabase,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// With settings over the development set-up.
    pub async fn start_with(settings: &str) -> Self {
        let database = TestDatabase::new().await;
        let clock = Arc::new(TestClock(Mutex::new(1_800_000_000)));
        let overrides = Overrides {
            data_dir: Some(database.folder.path().join("data")),
            listen: Some("127.0.0.1:0".to_owned()),
            public_url: None,
        };
        let file = format!(
            "mode = \"development\"\n[database]\nurl = \"{}\"\n{settings}",
            database.url()
        );
        let mut config = Config::read(Some(&file), &BTreeMap::new(), &overrides).unwrap();
        config.database.1 = database::options();
        let app = App::start(
            config,
            Context::new(clock.clone(), Arc::new(SystemRandomness)),
        )
        .await
        .unwrap();
        let (base, state) = (app.facts().listen.clone(), app.state().clone());
        let admin = app.facts().admin_listen.clone().unwrap_or_default();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async move {
            let _ = stopped.await;
        }));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            base,
            admin,
            clock,
            state,
            client,
            stop: Some(stop),
            running: Some(running),
            database,
        }
    }

    pub fn pass(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += seconds;
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.running.take().unwrap().await.unwrap().unwrap();
    }

    pub async fn send(&self, request: Request) -> Reply {
        self.send_to(&self.base, request).await
    }

    pub async fn send_to(&self, base: &str, request: Request) -> Reply {
        let url = format!("{base}{}", request.path);
        let mut builder = self.client.request(request.method.parse().unwrap(), url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body);
        }
        let reply = builder.send().await.unwrap();
        let status = reply.status().as_u16();
        let headers = reply
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Reply {
            status,
            headers,
            body: reply.bytes().await.unwrap().to_vec(),
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request {
            method: "GET",
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        })
        .await
    }

    /// A nonce as clients get their first one.
    pub async fn nonce(&self) -> String {
        self.get("/v1/apps/bank-android/login-options")
            .await
            .header("dpop-nonce")
            .to_owned()
    }

    pub async fn good_proof<'a>(&self, method: &'a str, path: &str, body: &'a [u8]) -> Proof<'a> {
        Proof {
            method,
            url: format!("{}{path}", self.base),
            nonce: Some(self.nonce().await),
            body,
            token: None,
            jti: random128(),
            iat: json!(1_800_000_000),
        }
    }

    /// A good POST with a new Idempotency-Key.
    pub async fn post(&self, device: &Device, path: &str, body: &[u8]) -> Request {
        let proof = self.good_proof("POST", path, body).await;
        Request {
            method: "POST",
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_vec(),
        }
        .with("Content-Type", "application/json")
        .with("DPoP", &device.proof(&proof))
        .with("Idempotency-Key", &random128())
    }

    /// The same call again: same bytes and key, new proof.
    pub async fn again(&self, device: &Device, request: &Request) -> Request {
        let mut again = Request {
            method: request.method,
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let proof = self
            .good_proof(request.method, &request.path, &request.body)
            .await;
        again = again.instead("DPoP", &device.proof(&proof));
        again
    }

    /// A good request with an access token.
    pub async fn with_token(
        &self,
        device: &Device,
        method: &'static str,
        path: &str,
        token: &str,
    ) -> Request {
        let mut proof = self.good_proof(method, path, b"").await;
        proof.token = Some(token);
        Request {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
        .with("DPoP", &device.proof(&proof))
        .with("Authorization", &format!("DPoP {token}"))
    }

    /// A session, opened in the database as the end of a login does.
    pub async fn session(&self, device: &Device) -> SessionGrant {
        let state = self.state.clone();
        let device_key = device.thumbprint();
        self.state
            .store
            .write(move |tx| {
                let (state, device_key) = (state.clone(), device_key.clone());
                Box::pin(async move {
                    sqlx::query("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('u1', 'real', 0, 1) ON CONFLICT DO NOTHING")
                        .execute(&mut *tx)
                        .await
                        .map_err(StoreError::from)?;
                    let new = NewSession {
                        user_id: "u1".to_owned(),
                        app_id: APP.to_owned(),
                        device_key,
                        began_with: "wechat".to_owned(),
                        acr: Acr::Unsigned,
                    };
                    state.sessions.open(tx, &new).await
                })
            })
            .await
            .unwrap()
    }

    pub fn refresh_body(grant: &SessionGrant) -> Vec<u8> {
        json!({"app_id": APP, "refresh_token": grant.refresh_token.expose()})
            .to_string()
            .into_bytes()
    }
}
