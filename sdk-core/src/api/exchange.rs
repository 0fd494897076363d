//! One call over the network: a fresh proof for each transmission, the nonce of each reply kept, repetitions with identical bytes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::retry::RetryPolicy;
use super::{CallFailure, Problem, ProblemCode};
use crate::proof::{DeviceIdentity, Proved, dpop};
use crate::random::Randomness;
use crate::secret::SecretString;
use crate::time::Clock;
use crate::transport::{HttpReply, HttpRequest, REPLY_LIMIT, Transport, TransportError};

static DPOP: HeaderName = HeaderName::from_static("dpop");
static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A transport of the host's own that never answers is given up after this.
const LONGEST_TRANSMISSION: Duration = Duration::from_mins(1);

/// A request of the contract, before proof and transmission.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: &'a [u8],
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) token: Option<&'a SecretString>,
    pub(crate) if_none_match: Option<&'a HeaderValue>,
    /// Login options go without.
    pub(crate) with_proof: bool,
}

/// Sends calls to the account center.
pub(crate) struct Exchange {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) identity: DeviceIdentity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) retry: RetryPolicy,
    pub(crate) nonce: Mutex<Option<String>>,
}

impl Exchange {
    pub(crate) fn nonce(&self) -> Option<String> {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        nonce.clone()
    }

    /// Keeps a nonce. Anything that could not be one is passed over: it would only break the next proof.
    pub(crate) fn keep_nonce(&self, nonce: &str) {
        let usable =
            (1..=256).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_graphic());
        if usable {
            let mut kept = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(nonce.to_owned());
        }
    }

    /// The reply, where it is a success (2xx, 304); otherwise why not, after the repetitions that are allowed.
    pub(crate) async fn call(&self, out: &Outgoing<'_>) -> Result<HttpReply, CallFailure> {
        let started = self.clock.monotonic();
        let mut made = 0;
        let mut nonce_renewed = false;
        loop {
            let failure = match self.transmit(out).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            // Outside the budget, and once: a server that never takes its own nonce must not keep us busy.
            if !nonce_renewed && wants_nonce(&failure) {
                nonce_renewed = true;
                continue;
            }
            made += 1;
            let elapsed = self.clock.monotonic().saturating_sub(started);
            let randomness = self.randomness.as_ref();
            let Some(pause) = self.retry.pause(&failure, made, elapsed, randomness) else {
                return Err(failure);
            };
            tracing::debug!(%failure, made, "a transmission is repeated");
            self.clock.sleep(pause).await;
        }
    }

    async fn transmit(&self, out: &Outgoing<'_>) -> Result<HttpReply, CallFailure> {
        let headers = self.headers(out).await?;
        let request = HttpRequest {
            method: out.method.clone(),
            url: out.url.clone(),
            headers,
            body: out.body.to_vec(),
        };
        let reply = tokio::select! {
            biased;
            reply = self.transport.send(request) => reply?,
            () = self.clock.sleep(LONGEST_TRANSMISSION) => return Err(TransportError::TimedOut.into()),
        };
        if reply.body.len() > REPLY_LIMIT {
            return Err(TransportError::TooLarge.into());
        }
        if let Some(nonce) = reply.headers.get(&DPOP_NONCE).and_then(|v| v.to_str().ok()) {
            self.keep_nonce(nonce);
        }
        judge(reply)
    }

    async fn headers(&self, out: &Outgoing<'_>) -> Result<HeaderMap, CallFailure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !out.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = out.idempotency_key {
            headers.insert(&IDEMPOTENCY_KEY, header(key)?);
        }
        if let Some(etag) = out.if_none_match {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(token) = out.token {
            headers.insert(
                AUTHORIZATION,
                secret_header(&format!("DPoP {}", token.expose()))?,
            );
        }
        if out.with_proof {
            let proof = self
                .identity
                .prove(Proved {
                    method: out.method.as_str(),
                    url: &out.url,
                    nonce: self.nonce(),
                    body_hash: Some(dpop::hash(out.body)),
                    token_hash: out.token.map(|token| dpop::hash(token.expose().as_bytes())),
                })
                .await?;
            headers.insert(&DPOP, secret_header(&proof)?);
        }
        Ok(headers)
    }
}

fn header(text: &str) -> Result<HeaderValue, CallFailure> {
    HeaderValue::from_str(text).map_err(|_| CallFailure::Unintelligible)
}

fn secret_header(text: &str) -> Result<HeaderValue, CallFailure> {
    let mut value = header(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn wants_nonce(failure: &CallFailure) -> bool {
    failure
        .problem()
        .is_some_and(|problem| problem.code == ProblemCode::UseDpopNonce)
}

/// Sorts a reply: a success, a problem, or nothing that we understand.
fn judge(reply: HttpReply) -> Result<HttpReply, CallFailure> {
    if (200..300).contains(&reply.status) || reply.status == 304 {
        return Ok(reply);
    }
    let retry_after = reply
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok());
    if let Some(problem) = Problem::read(reply.status, &reply.body, retry_after) {
        return Err(problem.into());
    }
    // A gateway's page in place of the account center's answer: a failure of the server's side, whatever it says.
    if reply.status >= 500 {
        return Err(Problem::bare(reply.status, retry_after).into());
    }
    Err(CallFailure::Unintelligible)
}
