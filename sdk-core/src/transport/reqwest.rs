//! The built-in transport: reqwest on HTTP/1.1, with our own TLS configuration.

use std::error::Error as StdError;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::redirect::Policy;
use reqwest::{Client, Proxy};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use url::Url;

use super::tls::{self, PLATFORM_DECIDES, Pins, TrustDecision};
use super::{HttpReply, HttpRequest, REPLY_LIMIT, SpkiPin, Transport, TransportError};
use crate::config::{CheckedConfig, PosternConfig, TimeLimits, is_safe};
use crate::error::BuildError;
use crate::offload::{Broken, off_thread};

/// Sends requests with reqwest. It follows no redirect, keeps no cookie, heeds no proxy of the environment and repeats nothing.
///
/// The client is made at the first request, on a thread that may block: reading the platform's roots takes milliseconds that the start of an app
/// should not pay.
pub struct ReqwestTransport {
    secure: OnceCell<Client>,
    plain: OnceCell<Client>,
    limits: TimeLimits,
    proxy: Option<Url>,
    trust: Option<Arc<dyn TrustDecision>>,
    pins: Pins,
}

impl std::fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReqwestTransport")
    }
}

impl ReqwestTransport {
    /// The built-in transport by itself, for a host that puts something around it, such as a measurement. The platform decides whom to trust.
    pub fn for_config(config: &PosternConfig) -> Result<Self, BuildError> {
        Self::new(&config.clone().check()?, None)
    }

    pub(crate) fn new(
        config: &CheckedConfig,
        trust: Option<Arc<dyn TrustDecision>>,
    ) -> Result<Self, BuildError> {
        if trust.is_none() && !PLATFORM_DECIDES && config.account_center.scheme() == "https" {
            return Err(BuildError::NoTrustDecision);
        }
        Ok(Self {
            secure: OnceCell::new(),
            plain: OnceCell::new(),
            limits: config.limits,
            proxy: config.proxy.clone(),
            trust,
            pins: Arc::new(RwLock::new(config.tls_pins.clone())),
        })
    }

    async fn client(&self, secure: bool) -> Result<Client, TransportError> {
        let cell = if secure { &self.secure } else { &self.plain };
        let client = cell.get_or_try_init(|| async {
            // Without TLS nobody has to be trusted, and a machine without trusted roots can still reach a server on itself.
            let trust: Option<Arc<dyn TrustDecision>> = if secure {
                self.trust.clone()
            } else {
                Some(Arc::new(NobodyIsTrusted))
            };
            let (pins, limits) = (Arc::clone(&self.pins), self.limits);
            let proxy = self.proxy.clone();
            off_thread(&Handle::current(), true, move || {
                build(trust, pins, limits, proxy)
            })
            .await
        });
        client.await.cloned()
    }

    async fn send_once(&self, request: HttpRequest) -> Result<HttpReply, TransportError> {
        if !is_safe(&request.url) {
            return Err(TransportError::Tls);
        }
        let client = self.client(request.url.scheme() == "https").await?;
        let mut reply = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(|error| sort(&error))?;
        if reply
            .content_length()
            .is_some_and(|length| length > REPLY_LIMIT as u64)
        {
            return Err(TransportError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|error| sort(&error))? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply {
            status: reply.status().as_u16(),
            headers: std::mem::take(reply.headers_mut()),
            body,
        })
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>> {
        self.send_once(request).boxed()
    }

    fn set_pins(&self, pins: &[SpkiPin]) {
        // A list without pins leaves the configured ones in force.
        if !pins.is_empty() {
            let mut current = self.pins.write().unwrap_or_else(PoisonError::into_inner);
            *current = pins.to_vec();
        }
    }
}

impl Broken for TransportError {
    fn broken() -> Self {
        Self::Other
    }
}

struct NobodyIsTrusted;

impl TrustDecision for NobodyIsTrusted {
    fn is_trusted(&self, _: &[&[u8]], _: &str) -> bool {
        false
    }
}

fn build(
    trust: Option<Arc<dyn TrustDecision>>,
    pins: Pins,
    limits: TimeLimits,
    proxy: Option<Url>,
) -> Result<Client, TransportError> {
    let tls = tls::client_config(trust, pins).map_err(|error| {
        tracing::warn!(%error, "TLS can't be set up");
        TransportError::Tls
    })?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(limits.connect)
        .timeout(limits.total);
    if let Some(proxy) = proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(|_| TransportError::Other)?);
    }
    builder.build().map_err(|error| {
        tracing::warn!(%error, "the HTTP client can't be set up");
        TransportError::Other
    })
}

/// What an error of reqwest means for us. A TLS failure hides in the chain of causes.
fn sort(error: &reqwest::Error) -> TransportError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut tls = false;
    while let Some(current) = cause {
        tls |= is_tls(current);
        cause = current.source();
    }
    if tls {
        TransportError::Tls
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else if error.is_connect() {
        TransportError::Offline
    } else {
        TransportError::Other
    }
}

/// An I/O error is no link of the chain for what is inside it, so that it has to be opened.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    error.is::<rustls::Error>()
        || error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| is_tls(inner))
}
