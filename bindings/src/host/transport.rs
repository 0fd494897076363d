//! An HTTP stack of the host, for a bank that must use its own.
//!
//! The host is handed an exchange and returns at once; it completes the exchange later, from any thread. So nothing of ours waits in its code, and no
//! asynchronous foreign trait is needed (docs/adr/0002). Requests and replies are an object, for a record would print its tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use postern_sdk_core::secret::SecretBytes;
use postern_sdk_core::transport as sdk;
use tokio::sync::oneshot;

use crate::boundary::guarded;
use crate::error::{CallbackError, StepError};

/// A host that never completes an exchange must not hold a login for ever.
const LIMIT: Duration = Duration::from_mins(1);

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TransportFailure {
    /// Nobody could be reached; the request was surely not carried out.
    Offline,
    /// The time limit passed; the request may have been carried out.
    TimedOut,
    /// The server could not prove who it is.
    Tls,
    /// Anything else; the request may have been carried out.
    Other,
}

impl From<TransportFailure> for sdk::TransportError {
    fn from(failure: TransportFailure) -> Self {
        match failure {
            TransportFailure::Offline => Self::Offline,
            TransportFailure::TimedOut => Self::TimedOut,
            TransportFailure::Tls => Self::Tls,
            TransportFailure::Other => Self::Other,
        }
    }
}

/// Sends requests. It follows no redirect, repeats nothing, keeps no cookie and no cache.
#[uniffi::export(foreign)]
pub trait Transport: Send + Sync {
    /// Starts `exchange` and returns at once; completes it later with `reply` or `fail`.
    fn send(&self, exchange: Arc<HttpExchange>) -> Result<(), CallbackError>;
}

type Outcome = Result<sdk::HttpReply, sdk::TransportError>;

/// One request, and the place for its reply. It holds tokens: nothing of it may be logged.
#[derive(uniffi::Object)]
pub struct HttpExchange {
    method: String,
    url: String,
    headers: HeaderMap,
    body: SecretBytes,
    to: Mutex<Option<oneshot::Sender<Outcome>>>,
}

impl HttpExchange {
    fn complete(&self, outcome: Outcome) -> Result<(), StepError> {
        let to = self
            .to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or(StepError::Superseded)?;
        to.send(outcome).map_err(|_| StepError::Superseded)
    }
}

#[uniffi::export]
impl HttpExchange {
    /// Such as `POST`.
    pub fn method(&self) -> Result<String, StepError> {
        guarded(|| Ok(self.method.clone()))
    }

    /// The absolute URL.
    pub fn url(&self) -> Result<String, StepError> {
        guarded(|| Ok(self.url.clone()))
    }

    /// All headers to send besides those that HTTP itself needs; names in lower case.
    pub fn headers(&self) -> Result<HashMap<String, String>, StepError> {
        guarded(|| {
            Ok(self
                .headers
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect())
        })
    }

    /// The body's exact bytes, empty for none. They may not be changed: their hash is in the proof.
    pub fn body(&self) -> Result<Vec<u8>, StepError> {
        guarded(|| Ok(self.body.expose().to_vec()))
    }

    /// The reply, whatever its status (a redirect too).
    ///
    /// # Errors
    /// `Superseded` where the exchange was completed already, or nobody waits for it any more.
    pub fn reply(
        &self,
        status: u16,
        headers: HashMap<String, String>,
        body: Vec<u8>,
    ) -> Result<(), StepError> {
        guarded(|| self.complete(reply(status, headers, body)))
    }

    /// There is no reply. Errors as `reply`.
    pub fn fail(&self, failure: TransportFailure) -> Result<(), StepError> {
        guarded(|| self.complete(Err(failure.into())))
    }
}

fn reply(status: u16, headers: HashMap<String, String>, body: Vec<u8>) -> Outcome {
    if !(100..=599).contains(&status) {
        return Err(sdk::TransportError::Other);
    }
    if body.len() > sdk::REPLY_LIMIT {
        return Err(sdk::TransportError::TooLarge);
    }
    // A header that HTTP would not allow can't be one that we look for.
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        })
        .collect();
    Ok(sdk::HttpReply {
        status,
        headers,
        body,
    })
}

/// A host's transport for the core.
pub(crate) struct HostTransport(pub(crate) Arc<dyn Transport>);

impl sdk::Transport for HostTransport {
    fn send(&self, request: sdk::HttpRequest) -> BoxFuture<'_, Outcome> {
        async move {
            let (to, outcome) = oneshot::channel();
            let exchange = Arc::new(HttpExchange {
                method: request.method.to_string(),
                url: request.url.to_string(),
                headers: request.headers,
                body: SecretBytes::new(request.body),
                to: Mutex::new(Some(to)),
            });
            if self.0.send(exchange).is_err() {
                return Err(sdk::TransportError::Other);
            }
            match tokio::time::timeout(LIMIT, outcome).await {
                Ok(Ok(outcome)) => outcome,
                // The host let the exchange go without a word.
                Ok(Err(_)) => Err(sdk::TransportError::Other),
                Err(_) => Err(sdk::TransportError::TimedOut),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Method;
    use sdk::Transport as _;

    struct Host(fn(Arc<HttpExchange>) -> Result<(), CallbackError>);
    impl Transport for Host {
        fn send(&self, exchange: Arc<HttpExchange>) -> Result<(), CallbackError> {
            (self.0)(exchange)
        }
    }

    fn send(host: fn(Arc<HttpExchange>) -> Result<(), CallbackError>) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert("dpop", HeaderValue::from_static("eyJ.proof"));
        let request = sdk::HttpRequest {
            method: Method::POST,
            url: "https://login.bank.example/v1/login".parse().unwrap(),
            headers,
            body: b"{}".to_vec(),
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(HostTransport(Arc::new(Host(host))).send(request))
    }

    #[test]
    fn a_host_sees_the_request_and_its_reply_arrives() {
        let reply = send(|exchange| {
            assert_eq!(exchange.method().unwrap(), "POST");
            assert_eq!(
                exchange.url().unwrap(),
                "https://login.bank.example/v1/login"
            );
            assert_eq!(exchange.headers().unwrap()["dpop"], "eyJ.proof");
            assert_eq!(exchange.body().unwrap(), b"{}");
            std::thread::spawn(move || {
                let headers = HashMap::from([
                    ("DPoP-Nonce".to_owned(), "n1".to_owned()),
                    ("bad name".to_owned(), "x".to_owned()),
                ]);
                exchange.reply(200, headers, b"ok".to_vec()).unwrap();
                assert_eq!(
                    exchange.fail(TransportFailure::Other),
                    Err(StepError::Superseded),
                    "one completion"
                );
            });
            Ok(())
        })
        .unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"ok"[..]));
        assert_eq!(reply.headers["dpop-nonce"], "n1");
        assert_eq!(reply.headers.len(), 1);
    }

    #[test]
    fn a_host_that_throws_or_forgets_the_exchange_is_a_failed_connection() {
        assert_eq!(
            send(|_| Err(CallbackError::Failed)).err(),
            Some(sdk::TransportError::Other)
        );
        assert_eq!(send(|_| Ok(())).err(), Some(sdk::TransportError::Other));
    }

    #[test]
    fn impossible_replies_are_failures() {
        let impossible = send(|exchange| {
            exchange.reply(42, HashMap::new(), Vec::new()).unwrap();
            Ok(())
        });
        assert_eq!(impossible.err(), Some(sdk::TransportError::Other));
        let huge = send(|exchange| {
            exchange
                .reply(200, HashMap::new(), vec![0; sdk::REPLY_LIMIT + 1])
                .unwrap();
            Ok(())
        });
        assert_eq!(huge.err(), Some(sdk::TransportError::TooLarge));
    }

    #[test]
    fn each_kind_of_failure_keeps_its_meaning() {
        let offline = send(|exchange| {
            exchange.fail(TransportFailure::Offline).unwrap();
            Ok(())
        });
        assert_eq!(offline.err(), Some(sdk::TransportError::Offline));
    }
}
