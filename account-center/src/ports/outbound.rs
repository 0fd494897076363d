//! HTTP to the outside: one client with a time limit, no redirects, bounded replies, and errors that never show a URL (WeChat's has the app secret in it).

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::PortError;
use super::addresses::{JudgingResolver, NotPublic, Reach};
use crate::secret::SecretText;

/// How requests to one outside party are made.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// For the whole exchange: connecting, sending, the reply's last byte.
    pub time_limit: Duration,
    /// The longest reply that is read, in bytes.
    pub reply_limit: usize,
    /// A forward proxy, where the bank's servers have no way out of their own. The environment's proxy variables are not read.
    pub proxy: Option<Url>,
    /// Which addresses may be asked. With a proxy that is the proxy's to keep, for names; an address in a URL is judged all the same.
    pub reach: Reach,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(5),
            reply_limit: 64 * 1024,
            proxy: None,
            reach: Reach::Anywhere,
        }
    }
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare HTTP to the outside")]
pub struct OutboundError(#[source] reqwest::Error);

/// Makes requests to an outside party. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    reply_limit: usize,
    reach: Reach,
}

/// What a request shows of us.
#[derive(Clone, Copy)]
pub enum Authorization<'a> {
    /// Nothing.
    None,
    /// RFC 7617.
    Basic(&'a str, &'a SecretText),
    /// RFC 6750.
    Bearer(&'a SecretText),
}

/// What came back.
pub struct OutboundReply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The whole body.
    pub body: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for OutboundReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundReply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Prepares a client. Its TLS is rustls with ring and the platform's trust.
    pub fn new(settings: &OutboundSettings) -> Result<Self, OutboundError> {
        // Already installed by somebody else is as good: the process has one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(settings.time_limit)
            .connect_timeout(settings.time_limit)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(OutboundError)?);
        } else if settings.reach != Reach::Anywhere {
            builder = builder.dns_resolver(JudgingResolver(settings.reach));
        }
        Ok(Self {
            client: builder.build().map_err(OutboundError)?,
            reply_limit: settings.reply_limit,
            reach: settings.reach,
        })
    }

    /// GET with these query parameters after those of the URL.
    pub async fn get(&self, url: Url, query: &[(&str, &str)]) -> Result<OutboundReply, PortError> {
        self.get_as(url, query, Authorization::None).await
    }

    /// As [`Outbound::get`], showing who asks.
    pub async fn get_as(
        &self,
        url: Url,
        query: &[(&str, &str)],
        authorization: Authorization<'_>,
    ) -> Result<OutboundReply, PortError> {
        let mut request = self.client.get(url);
        // An empty one would leave a question mark in the URL.
        if !query.is_empty() {
            request = request.query(query);
        }
        self.send(authorization.put(request)).await
    }

    /// POST with these parameters as a form.
    pub async fn post_form(
        &self,
        url: Url,
        form: &[(&str, &str)],
    ) -> Result<OutboundReply, PortError> {
        self.post_form_as(url, form, Authorization::None).await
    }

    /// As [`Outbound::post_form`], showing who asks.
    pub async fn post_form_as(
        &self,
        url: Url,
        form: &[(&str, &str)],
        authorization: Authorization<'_>,
    ) -> Result<OutboundReply, PortError> {
        self.send(authorization.put(self.client.post(url).form(form)))
            .await
    }

    /// POST with these headers and body, byte for byte: they are signed.
    pub async fn post_signed(
        &self,
        url: Url,
        headers: http::HeaderMap,
        body: Vec<u8>,
    ) -> Result<OutboundReply, PortError> {
        self.send(self.client.post(url).headers(headers).body(body))
            .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<OutboundReply, PortError> {
        let request = request.build().map_err(|error| unavailable(&error))?;
        self.reach
            .check(request.url())
            .map_err(|error| PortError::misconfigured(error.to_string()))?;
        let mut reply = self
            .client
            .execute(request)
            .await
            .map_err(|error| unavailable(&error))?;
        let status = reply.status();
        let mut body = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = reply.chunk().await.map_err(|error| unavailable(&error))? {
            if body.len() + chunk.len() > self.reply_limit {
                return Err(PortError::Unavailable {
                    what: "the reply is too large".into(),
                    maybe_done: true,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundReply { status, body })
    }
}

impl Authorization<'_> {
    fn put(self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Self::Bearer(token) => request.bearer_auth(token.expose()),
        }
    }
}

/// Only the kind of failure: the error's own text may hold the URL, and the URL a secret.
fn unavailable(error: &reqwest::Error) -> PortError {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return PortError::misconfigured(NotPublic.to_string());
        }
        source = cause.source();
    }
    let what = if error.is_timeout() {
        "no reply within the time limit"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    PortError::Unavailable {
        what: what.into(),
        maybe_done: !error.is_connect(),
    }
}

/// One of the bank's services: its base URL and the key we show it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    base: Url,
    api_key: SecretText,
    outbound: Outbound,
}

impl Endpoint {
    /// `base` may have a path; paths of calls are appended to it.
    pub fn new(base: Url, api_key: SecretText, outbound: Outbound) -> Self {
        Self {
            base,
            api_key,
            outbound,
        }
    }

    /// POSTs JSON to the path made of `segments` (each escaped) and parses the reply. 2xx is an answer; 401, 403, 404 and other 4xx mean that we are set up
    /// wrongly; 429, 5xx and everything else that the service cannot help are `Unavailable`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> Result<T, PortError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::misconfigured("the base URL cannot have a path"))?
            .pop_if_empty()
            .extend(segments);
        let request = self
            .outbound
            .client
            .post(url)
            .bearer_auth(self.api_key.expose())
            .json(body);
        let reply = self.outbound.send(request).await?;
        match reply.status.as_u16() {
            200..=299 => serde_json::from_slice(&reply.body)
                // A reply that is no reply of this service: something stands in its place, or it is half up.
                .map_err(|_| PortError::Unavailable {
                    what: "the reply is not of the described form".into(),
                    maybe_done: true,
                }),
            408 | 425 | 429 | 500..=599 => Err(PortError::unavailable(format!(
                "HTTP {}",
                reply.status.as_u16()
            ))),
            status => Err(PortError::misconfigured(format!("HTTP {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::HttpDouble;
    use serde_json::{Value, json};

    fn endpoint(double: &HttpDouble, settings: &OutboundSettings) -> Endpoint {
        Endpoint::new(
            double.url(),
            "the-api-key".into(),
            Outbound::new(settings).unwrap(),
        )
    }

    async fn call(double: &HttpDouble) -> Result<Value, PortError> {
        endpoint(double, &OutboundSettings::default())
            .post(&["customers", "a/../b", "card"], &json!({"x": 1}))
            .await
    }

    #[tokio::test]
    async fn a_call_shows_its_key_and_escapes_what_is_put_into_the_path() {
        let double = HttpDouble::start(|request| {
            assert_eq!(request.header("authorization"), Some("Bearer the-api-key"));
            assert_eq!(request.target, "/customers/a%2F..%2Fb/card");
            assert_eq!(request.json(), json!({"x": 1}));
            (200, json!({"ok": true}).to_string())
        })
        .await;
        assert_eq!(call(&double).await.unwrap(), json!({"ok": true}));
    }

    #[tokio::test]
    async fn statuses_say_whether_to_come_back_or_to_mend_the_set_up() {
        for (status, definite) in [(500, true), (503, true), (429, true)] {
            let double = HttpDouble::start(move |_| (status, String::new())).await;
            let Err(PortError::Unavailable { maybe_done, .. }) = call(&double).await else {
                panic!("{status}")
            };
            assert_eq!(maybe_done, !definite);
        }
        for status in [302, 400, 401, 403, 404] {
            let double = HttpDouble::start(move |_| (status, String::new())).await;
            assert!(
                matches!(call(&double).await, Err(PortError::Misconfigured { .. })),
                "{status}"
            );
        }
    }

    #[tokio::test]
    async fn rubbish_and_endless_replies_are_unavailable() {
        for body in [
            "<html>".to_owned(),
            format!("\"{}\"", "a".repeat(65 * 1024)),
        ] {
            let double = HttpDouble::start(move |_| (200, body.clone())).await;
            assert!(matches!(
                call(&double).await,
                Err(PortError::Unavailable {
                    maybe_done: true,
                    ..
                })
            ));
        }
    }

    #[tokio::test]
    async fn a_service_that_is_down_or_slow_is_unavailable() {
        let double = HttpDouble::start(|_| (200, "{}".into())).await;
        let slow = HttpDouble::start_slow(Duration::from_secs(30)).await;
        let settings = OutboundSettings {
            time_limit: Duration::from_millis(200),
            ..OutboundSettings::default()
        };
        let lost: Result<Value, _> = endpoint(&slow, &settings).post(&["x"], &json!({})).await;
        assert!(matches!(
            lost,
            Err(PortError::Unavailable {
                maybe_done: true,
                ..
            })
        ));
        let down = endpoint(&double, &settings);
        drop(double);
        let refused: Result<Value, _> = down.post(&["x"], &json!({})).await;
        assert_eq!(refused, Err(PortError::unavailable("no connection")));
    }

    #[tokio::test]
    async fn a_name_or_an_address_that_is_not_public_is_not_asked() {
        let double = HttpDouble::start(|_| (200, "{}".into())).await;
        let port = double.url().port().unwrap();
        let by_name: Url = format!("http://localhost:{port}/").parse().unwrap();
        let outbound = |reach| {
            Outbound::new(&OutboundSettings {
                reach,
                ..OutboundSettings::default()
            })
            .unwrap()
        };
        for url in [double.url(), by_name] {
            assert_eq!(
                outbound(Reach::Public).get(url.clone(), &[]).await.err(),
                Some(PortError::misconfigured("the address is not a public one")),
                "{url}"
            );
            assert!(
                outbound(Reach::PublicAndLoopback)
                    .get(url, &[])
                    .await
                    .is_ok()
            );
        }
    }

    #[test]
    fn debug_of_an_endpoint_shows_no_key() {
        let endpoint = Endpoint::new(
            "http://core.example".parse().unwrap(),
            "the-api-key".into(),
            Outbound::new(&OutboundSettings::default()).unwrap(),
        );
        assert!(!format!("{endpoint:?}").contains("the-api-key"));
    }
}
