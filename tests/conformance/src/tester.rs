//! Sends requests, good ones and wrong ones, and holds each reply against what is true of all of them (contract sections 1 and 9).

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::{Value, json};

use crate::device::{Device, random128};
use crate::schema::Schemas;
use crate::target::Target;
use crate::{Finding, ensure};

/// The call that shows whether a proof and an Idempotency-Key are taken: with a made-up token it is 401 `refresh_token_invalid`, and changes nothing.
pub const PROBE: &str = "/v1/sessions/refresh";

/// Paths that are not of the API proper: no nonce (contract section 1).
const WITHOUT_NONCE: [&str; 5] = [
    "/.well-known/jwks.json",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
];

/// What came back.
#[derive(Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bodies hold tokens and masked numbers: only what is safe to print.
        write!(f, "{} {}", self.status, self.code())
    }
}

impl Reply {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The problem's code, or nothing.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// That it is this problem.
    pub fn is_problem(&self, status: u16, code: &str) -> Result<(), Finding> {
        ensure!(
            self.status == status && self.code() == code,
            "expected {status} {code}, got {self:?}"
        );
        Ok(())
    }

    /// That it is this status.
    pub fn is(&self, status: u16) -> Result<(), Finding> {
        ensure!(
            self.status == status,
            "expected {status}, got {self:?}: {}",
            self.json()["detail"].as_str().unwrap_or_default()
        );
        Ok(())
    }
}

/// A request with all its headers.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers as they are sent.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET without headers.
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another value of a header.
    #[must_use]
    pub fn instead(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// A header's value.
    pub fn value(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}

/// Speaks with the target.
#[derive(Debug)]
pub struct Tester {
    /// What is checked.
    pub target: Target,
    /// The contract's schemas.
    pub schemas: Schemas,
    http: reqwest::Client,
}

impl Tester {
    /// A tester for a target.
    pub fn new(target: Target) -> Result<Self, Finding> {
        let trouble =
            |error: &dyn std::fmt::Display| Finding::new(format!("no HTTP client: {error}"));
        let tls = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExtOf::verified)
            .map_err(|error| trouble(&error))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| trouble(&error))?;
        Ok(Self {
            target,
            schemas: Schemas::of_the_contract()?,
            http,
        })
    }

    /// For the simulator too.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends a request, and checks what is true of every reply.
    pub async fn send(&self, request: &Request) -> Result<Reply, Finding> {
        let reply = self.send_unchecked(request).await?;
        common(request, &reply)?;
        self.schemas
            .check(request.method, &request.path, reply.status, &reply.body)?;
        Ok(reply)
    }

    async fn send_unchecked(&self, request: &Request) -> Result<Reply, Finding> {
        let what = || format!("{} {}", request.method, request.path);
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Finding::new(format!("{} is no method", request.method)))?;
        let url = format!("{}{}", self.target.url, request.path);
        let mut builder = self.http.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        let reply = builder
            .send()
            .await
            .map_err(|error| Finding::new(format!("{} got no answer: {error}", what())))?;
        let status = reply.status().as_u16();
        let headers = reply
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = reply
            .bytes()
            .await
            .map_err(|error| Finding::new(format!("{} broke off: {error}", what())))?
            .to_vec();
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    /// The app's login-options.
    pub async fn options(&self) -> Result<Reply, Finding> {
        let path = format!("/v1/apps/{}/login-options", self.target.app_id);
        let reply = self.send(&Request::get(&path)).await?;
        reply.is(200)?;
        Ok(reply)
    }

    /// A nonce, as a client gets its first one.
    pub async fn nonce(&self) -> Result<String, Finding> {
        Ok(self.options().await?.header("dpop-nonce").to_owned())
    }

    /// The full URL of a path: what a proof names.
    pub fn url(&self, path: &str) -> String {
        format!(
            "{}{}",
            self.target.url,
            path.split('?').next().unwrap_or_default()
        )
    }

    /// A good call: proof, and for a POST its content type and a new Idempotency-Key.
    pub async fn call(
        &self,
        device: &Device,
        method: &'static str,
        path: &str,
        body: &[u8],
        token: Option<&str>,
    ) -> Result<Request, Finding> {
        let nonce = self.nonce().await?;
        let proof = device.proof(method, &self.url(path), Some(&nonce), body, token);
        let mut request = Request {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_vec(),
        }
        .with("DPoP", &device.sign(&proof)?);
        if method == "POST" {
            request = request
                .with("Content-Type", "application/json")
                .with("Idempotency-Key", &random128());
        }
        if let Some(token) = token {
            request = request.with("Authorization", &format!("DPoP {token}"));
        }
        Ok(request)
    }

    /// The same call again: same bytes and key, new proof.
    pub async fn again(&self, device: &Device, request: &Request) -> Result<Request, Finding> {
        let nonce = self.nonce().await?;
        let proof = device.proof(
            request.method,
            &self.url(&request.path),
            Some(&nonce),
            &request.body,
            None,
        );
        Ok(request.clone().instead("DPoP", &device.sign(&proof)?))
    }

    /// A good probe of a device; its token is made up.
    pub async fn probe(&self, device: &Device) -> Result<Request, Finding> {
        let body =
            json!({"app_id": self.target.app_id, "refresh_token": format!("rt_{}", random128())});
        self.call(device, "POST", PROBE, body.to_string().as_bytes(), None)
            .await
    }

    /// That a probe got through to the made-up token: proof, key and body were taken.
    pub async fn taken(&self, request: &Request) -> Result<Reply, Finding> {
        let reply = self.send(request).await?;
        reply.is_problem(401, "refresh_token_invalid")?;
        Ok(reply)
    }
}

/// rustls's builder with the platform's own trust.
struct BuilderVerifierExtOf;

impl BuilderVerifierExtOf {
    fn verified(
        builder: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>,
    ) -> Result<ClientConfig, rustls::Error> {
        Ok(builder.with_platform_verifier()?.with_no_client_auth())
    }
}

/// Sections 1 and 9: what is true of every reply.
fn common(request: &Request, reply: &Reply) -> Result<(), Finding> {
    let what = format!("{} {}", request.method, request.path);
    let path = request.path.split('?').next().unwrap_or_default();
    let id = reply.header("x-request-id");
    ensure!(!id.is_empty(), "{what} answered without X-Request-Id");
    let api = !WITHOUT_NONCE.contains(&path);
    if api {
        ensure!(
            !reply.header("dpop-nonce").is_empty(),
            "{what} answered {} without DPoP-Nonce",
            reply.status
        );
    }
    let expected = match path {
        "/.well-known/jwks.json" | "/openapi.json" if reply.status == 200 => "public, max-age=300",
        path if path.ends_with("/login-options") && matches!(reply.status, 200 | 304) => {
            "private, max-age=60"
        }
        _ => "no-store",
    };
    ensure!(
        reply.header("cache-control") == expected,
        "{what} answered {} with Cache-Control {:?} in place of {expected:?}",
        reply.status,
        reply.header("cache-control")
    );
    if reply.status >= 400 {
        problem(&what, reply)?;
    }
    Ok(())
}

/// Section 9, and the challenges of section 2.
fn problem(what: &str, reply: &Reply) -> Result<(), Finding> {
    ensure!(
        reply.header("content-type") == "application/problem+json",
        "{what} answered {} as {:?} in place of application/problem+json",
        reply.status,
        reply.header("content-type")
    );
    let body = reply.json();
    let code = reply.code();
    ensure!(
        body["type"] == format!("urn:postern:problem:{code}"),
        "{what}: type does not name the code {code:?}"
    );
    ensure!(
        body["status"] == reply.status,
        "{what}: status {} in a reply of {}",
        body["status"],
        reply.status
    );
    let listed: Value = serde_json::from_str(include_str!("../../../contract/problems.json"))
        .map_err(|_| Finding::new("contract/problems.json is no JSON"))?;
    let known = listed["problems"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|problem| problem["code"] == code.as_str())
        .ok_or_else(|| Finding::new(format!("{what}: {code:?} is no code of problems.json")))?;
    ensure!(
        known["status"] == reply.status,
        "{what}: {code} with {} in place of {}",
        reply.status,
        known["status"]
    );
    if reply.header("idempotency-replayed").is_empty() {
        ensure!(
            body["request_id"] == reply.header("x-request-id"),
            "{what}: request_id is not X-Request-Id"
        );
    }
    if known["effect"] == "mendable" {
        ensure!(
            body["login"].is_string() && body["step_id"].is_string() && body["next"].is_object(),
            "{what}: {code} can be mended, but comes without login, step_id and next"
        );
    }
    if let Some(seconds) = body["retry_after"].as_u64() {
        ensure!(
            reply.header("retry-after") == seconds.to_string(),
            "{what}: Retry-After is not retry_after"
        );
    }
    let challenge = match code.as_str() {
        "use_dpop_nonce" | "invalid_dpop_proof" | "invalid_token" => {
            format!("DPoP error=\"{code}\"")
        }
        "session_ended" => "DPoP error=\"invalid_token\"".to_owned(),
        _ => String::new(),
    };
    ensure!(
        reply.header("www-authenticate") == challenge,
        "{what}: {code} with the challenge {:?} in place of {challenge:?}",
        reply.header("www-authenticate")
    );
    Ok(())
}
