//! A reverse proxy in front of the account center that plays the network. Counting and faults are in `layer`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};

use crate::{answer::Failure, world::World};

/// RFC 9110 section 7.6.1: these concern one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Clone)]
struct Gateway {
    world: Arc<World>,
    client: reqwest::Client,
}

/// The client has no root certificates: it only ever speaks plain HTTP to loopback.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default protocol versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // A connection for each request: a server that was killed and started again leaves no stale one behind.
        .pool_max_idle_per_host(0)
        .build()
}

pub(crate) fn router(world: Arc<World>) -> Result<Router, reqwest::Error> {
    let client = client()?;
    Ok(Router::new()
        .fallback(forward)
        .with_state(Gateway { world, client }))
}

async fn forward(State(gateway): State<Gateway>, request: Request) -> Response {
    let Some(target) = gateway.world.target() else {
        return Failure::new(
            StatusCode::BAD_GATEWAY,
            "the gateway has no target: PUT /target at control",
        )
        .into_response();
    };
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let has_body = parts.headers.contains_key(header::CONTENT_LENGTH)
        || parts.headers.contains_key(header::TRANSFER_ENCODING);
    // Host goes through as it came: it is the public name, and so part of what a proof signs.
    let mut onward = gateway
        .client
        .request(parts.method, format!("{target}{path}"))
        .headers(end_to_end(&parts.headers));
    if has_body {
        onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    match onward.send().await {
        Ok(reply) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = reply.status();
            *response.headers_mut() = end_to_end(reply.headers());
            *response.body_mut() = Body::from_stream(reply.bytes_stream());
            response
        }
        Err(error) => {
            // The error's own text has the URL, and that may have a query.
            tracing::debug!(error = %error.without_url(), "the account center did not answer");
            Failure::new(
                StatusCode::BAD_GATEWAY,
                "the account center does not answer",
            )
            .into_response()
        }
    }
}

/// All headers but those of one connection, which includes whatever Connection names.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !HOP_BY_HOP.contains(name) && !named.iter().any(|named| named == name.as_str()) {
            kept.append(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::end_to_end;

    #[test]
    fn rfc_9110_headers_of_one_connection_are_not_forwarded() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("te", "trailers"),
            ("keep-alive", "5"),
            ("dpop", "a"),
            ("host", "bank.example"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let kept = end_to_end(&headers);
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["dpop", "host"]);
    }
}
