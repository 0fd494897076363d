//! A simulator of its own for each test, on free ports, with a clock that the test moves.

#![allow(dead_code, unreachable_pub)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use postern_simulator::{Addresses, Clock, Simulator, SimulatorConfig};
use reqwest::{Client, Method, RequestBuilder};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use serde_json::Value;

pub const APP: &str = "wx5b1e0c6a7d000001";
pub const SECRET: &str = "simulator-secret-of-app-1";
pub const OTHER_APP: &str = "wx5b1e0c6a7d000002";
pub const OTHER_SECRET: &str = "simulator-secret-of-app-2";

pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An HTTP client for loopback only: no certificates, no redirects, no retries.
pub fn client() -> Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

pub struct Bench {
    pub simulator: Simulator,
    pub clock: Arc<ManualClock>,
    pub client: Client,
}

/// A reply that was read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
    }
}

pub async fn read(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

impl Bench {
    pub async fn start() -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(1_700_000_000)));
        let config = SimulatorConfig {
            clock: clock.clone(),
            ..SimulatorConfig::default()
        };
        Self {
            simulator: Simulator::start(config).await.unwrap(),
            clock,
            client: client(),
        }
    }

    pub fn at(&self) -> &Addresses {
        self.simulator.addresses()
    }

    pub async fn get(&self, url: String) -> Reply {
        read(self.client.get(url)).await
    }

    pub async fn send(
        &self,
        method: Method,
        url: String,
        key: Option<&str>,
        body: &Value,
    ) -> Reply {
        let mut request = self
            .client
            .request(method, url)
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        read(request).await
    }

    pub async fn post(&self, url: String, key: &str, body: Value) -> Reply {
        self.send(Method::POST, url, Some(key), &body).await
    }

    pub async fn control(&self, method: Method, path: &str, body: Value) -> Reply {
        self.send(method, format!("{}{path}", self.at().control), None, &body)
            .await
    }

    pub async fn fault(&self, rule: Value) {
        let reply = self.control(Method::POST, "/faults", rule).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }

    pub async fn requests(&self, party: &str) -> Vec<Value> {
        let reply = self
            .get(format!("{}/requests?party={party}", self.at().control))
            .await
            .json();
        reply["requests"].as_array().unwrap().clone()
    }

    pub async fn sns(&self, path: &str, parameters: &[(&str, &str)]) -> Reply {
        let mut url = url::Url::parse(&format!("{}/sns/{path}", self.at().wechat)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        self.get(url.into()).await
    }

    pub async fn authorize(&self, app: &str, scope: &str, person: &str, decision: &str) -> Value {
        let body = serde_json::json!({ "appid": app, "scope": scope, "state": "s1", "person": person, "decision": decision });
        let reply = self
            .send(
                Method::POST,
                format!("{}/phone/authorize", self.at().wechat),
                None,
                &body,
            )
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }

    pub async fn code(&self, scope: &str, person: &str) -> String {
        let reply = self.authorize(APP, scope, person, "agree").await;
        reply["code"].as_str().unwrap().to_owned()
    }

    pub async fn exchange(&self, app: &str, secret: &str, code: &str) -> Reply {
        self.sns(
            "oauth2/access_token",
            &[
                ("appid", app),
                ("secret", secret),
                ("code", code),
                ("grant_type", "authorization_code"),
            ],
        )
        .await
    }

    pub async fn tokens(&self, scope: &str, person: &str) -> Value {
        let code = self.code(scope, person).await;
        let reply = self.exchange(APP, SECRET, &code).await.json();
        assert!(reply["access_token"].is_string(), "{reply}");
        reply
    }
}

/// WeChat's failure: HTTP 200, JSON as text/plain, this errcode.
pub fn assert_errcode(reply: &Reply, errcode: i64) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/plain");
    assert_eq!(reply.json()["errcode"], errcode, "{}", reply.text);
    assert!(!reply.json()["errmsg"].as_str().unwrap().is_empty());
}
