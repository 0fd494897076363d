//! The built-in transport against real sockets.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use self::certificate::TestCertificate;
use super::*;
use crate::config::{CheckedConfig, PosternConfig};

#[path = "tests/certificate.rs"]
mod certificate;

/// A server that answers each connection's first request with these bytes and tells what it was asked.
fn serve(answer: impl Into<Vec<u8>>) -> (Url, Receiver<String>) {
    serve_with(answer.into(), Duration::ZERO, "http", plain)
}

fn plain(stream: TcpStream) -> Box<dyn ReadWrite> {
    Box::new(stream)
}

trait ReadWrite: std::io::Read + std::io::Write {}
impl<T: std::io::Read + std::io::Write> ReadWrite for T {}

fn serve_with(
    answer: Vec<u8>,
    pause: Duration,
    scheme: &str,
    wrap: impl Fn(TcpStream) -> Box<dyn ReadWrite> + Send + 'static,
) -> (Url, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = wrap(stream.unwrap());
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // The tests' requests end with their head or with a body of "{}".
            while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"{}") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => request.extend_from_slice(&buffer[..n]),
                }
            }
            if request.is_empty() {
                continue;
            }
            // Not every test asks what was asked, and a client may have gone already.
            let _ = asked.send(String::from_utf8_lossy(&request).into_owned());
            std::thread::sleep(pause);
            let _ = stream.write_all(&answer);
            let _ = stream.flush();
        }
    });
    (
        Url::parse(&format!("{scheme}://localhost:{port}/v1/account")).unwrap(),
        questions,
    )
}

fn checked(change: impl FnOnce(&mut PosternConfig)) -> CheckedConfig {
    let root = crate::testing::Root::new().public_key();
    let mut config = PosternConfig::new("https://login.bank.example", "bank", root);
    config.limits.connect = Duration::from_secs(2);
    config.limits.total = Duration::from_secs(5);
    change(&mut config);
    config.check().unwrap()
}

fn transport() -> ReqwestTransport {
    ReqwestTransport::new(&checked(|_| ()), None).unwrap()
}

fn get(url: &Url) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        url: url.clone(),
        headers: HeaderMap::new(),
        body: Vec::new(),
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_the_reply_as_it_was_sent() {
    let (url, asked) = serve(
        "HTTP/1.1 418 Teapot\r\nX-Cup: full\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmilk",
    );
    let mut headers = HeaderMap::new();
    headers.insert("dpop", HeaderValue::from_static("a.b.c"));
    let request = HttpRequest {
        method: Method::POST,
        url,
        headers,
        body: b"{}".to_vec(),
    };
    let reply = transport().send(request).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (418, &b"milk"[..]));
    assert_eq!(reply.headers["x-cup"], "full");
    let asked = asked.recv().unwrap();
    assert!(
        asked.starts_with("POST /v1/account HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("dpop: a.b.c\r\n") && asked.ends_with("\r\n\r\n{}"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let (elsewhere, visits) = serve(OK);
    let (url, _asked) = serve(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    let reply = transport().send(get(&url)).await.unwrap();
    assert_eq!(reply.status, 307);
    assert!(visits.recv_timeout(Duration::from_millis(100)).is_err());
}

#[tokio::test]
async fn no_cookie_is_kept() {
    let (url, asked) = serve(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let transport = transport();
    for _ in 0..2 {
        transport.send(get(&url)).await.unwrap();
        assert!(!asked.recv().unwrap().to_lowercase().contains("cookie"));
    }
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_refused() {
    let announced = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        REPLY_LIMIT + 1
    );
    let (url, _asked) = serve(announced);
    assert_eq!(
        transport().send(get(&url)).await.unwrap_err(),
        TransportError::TooLarge
    );
    let mut endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..REPLY_LIMIT / 4096 + 2 {
        endless.extend_from_slice(b"1000\r\n");
        endless.extend_from_slice(&[b'x'; 4096]);
        endless.extend_from_slice(b"\r\n");
    }
    let (url, _asked) = serve(endless);
    assert_eq!(
        transport().send(get(&url)).await.unwrap_err(),
        TransportError::TooLarge
    );
}

#[tokio::test]
async fn a_reply_of_just_the_limit_is_taken() {
    let mut whole =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {REPLY_LIMIT}\r\nConnection: close\r\n\r\n")
            .into_bytes();
    whole.resize(whole.len() + REPLY_LIMIT, b'x');
    let (url, _asked) = serve(whole);
    assert_eq!(
        transport().send(get(&url)).await.unwrap().body.len(),
        REPLY_LIMIT
    );
}

#[tokio::test]
async fn a_slow_server_times_out() {
    let (url, _asked) = serve_with(OK.into(), Duration::from_secs(3), "http", plain);
    let limited = checked(|config| config.limits.total = Duration::from_millis(200));
    let transport = ReqwestTransport::new(&limited, None).unwrap();
    assert_eq!(
        transport.send(get(&url)).await.unwrap_err(),
        TransportError::TimedOut
    );
}

#[tokio::test]
async fn rubbish_and_broken_connections_are_other_failures_and_nobody_there_is_offline() {
    for rubbish in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    ] {
        let (url, _asked) = serve(rubbish);
        let failure = transport().send(get(&url)).await.unwrap_err();
        assert_eq!(failure, TransportError::Other, "{rubbish}");
    }
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = Url::parse(&format!("http://{unused}/")).unwrap();
    assert_eq!(
        transport().send(get(&url)).await.unwrap_err(),
        TransportError::Offline
    );
}

#[tokio::test]
async fn plain_http_leaves_this_device_under_no_circumstances() {
    let url = Url::parse("http://192.0.2.1/v1/account").unwrap();
    assert_eq!(
        transport().send(get(&url)).await.unwrap_err(),
        TransportError::Tls
    );
}

#[tokio::test]
async fn a_configured_proxy_is_used() {
    let (proxy, asked) = serve(OK);
    let config = checked(|config| config.proxy = Some(proxy.origin().ascii_serialization()));
    let transport = ReqwestTransport::new(&config, None).unwrap();
    let url = Url::parse("http://localhost:9/v1/account").unwrap();
    assert_eq!(transport.send(get(&url)).await.unwrap().status, 200);
    assert!(
        asked
            .recv()
            .unwrap()
            .starts_with("GET http://localhost:9/v1/account HTTP/1.1\r\n")
    );
}

/// Trusts every chain, and remembers what it was asked.
#[derive(Default)]
struct TrustsAll(Mutex<Vec<(usize, String)>>);

impl TrustDecision for TrustsAll {
    fn is_trusted(&self, chain: &[&[u8]], host: &str) -> bool {
        self.0.lock().unwrap().push((chain.len(), host.to_owned()));
        true
    }
}

fn serve_tls(certificate: &TestCertificate) -> Url {
    let config = Arc::new(certificate.server_config());
    let wrap = move |stream| -> Box<dyn ReadWrite> {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(rustls::StreamOwned::new(connection, stream))
    };
    serve_with(OK.into(), Duration::ZERO, "https", wrap).0
}

fn trusting(trust: Arc<dyn TrustDecision>, pins: &[String]) -> ReqwestTransport {
    let config = checked(|config| config.tls_pins = pins.to_vec());
    ReqwestTransport::new(&config, Some(trust)).unwrap()
}

#[tokio::test]
async fn the_platform_refuses_a_certificate_that_nobody_signed() {
    let url = serve_tls(&TestCertificate::new("localhost"));
    assert_eq!(
        transport().send(get(&url)).await.unwrap_err(),
        TransportError::Tls
    );
}

#[tokio::test]
async fn the_hosts_trust_decision_counts_for_the_chain_but_not_for_the_name() {
    let trust = Arc::new(TrustsAll::default());
    let url = serve_tls(&TestCertificate::new("localhost"));
    let reply = trusting(trust.clone(), &[]).send(get(&url)).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(*trust.0.lock().unwrap(), [(1, "localhost".to_owned())]);
    let url = serve_tls(&TestCertificate::new("other.example"));
    let failure = trusting(trust, &[]).send(get(&url)).await.unwrap_err();
    assert_eq!(failure, TransportError::Tls);
}

#[tokio::test]
async fn a_trust_decision_against_the_chain_ends_the_connection() {
    struct TrustsNone;
    impl TrustDecision for TrustsNone {
        fn is_trusted(&self, _: &[&[u8]], _: &str) -> bool {
            false
        }
    }
    let url = serve_tls(&TestCertificate::new("localhost"));
    let failure = trusting(Arc::new(TrustsNone), &[])
        .send(get(&url))
        .await
        .unwrap_err();
    assert_eq!(failure, TransportError::Tls);
}

#[tokio::test]
async fn pins_are_checked_after_the_chain_and_may_be_replaced() {
    let certificate = TestCertificate::new("localhost");
    let url = serve_tls(&certificate);
    let other = TestCertificate::new("localhost").pin();
    // One of several will do: the others are in reserve.
    let pinned = [other.clone(), certificate.pin()];
    let good = trusting(Arc::new(TrustsAll::default()), &pinned);
    assert_eq!(good.send(get(&url)).await.unwrap().status, 200);
    let wrong = trusting(Arc::new(TrustsAll::default()), &[other]);
    assert_eq!(
        wrong.send(get(&url)).await.unwrap_err(),
        TransportError::Tls
    );
    wrong.set_pins(&[SpkiPin::parse(&certificate.pin()).unwrap()]);
    assert_eq!(wrong.send(get(&url)).await.unwrap().status, 200);
    // A list without pins changes nothing.
    wrong.set_pins(&[]);
    assert_eq!(wrong.send(get(&url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_pin_does_not_replace_trust() {
    let certificate = TestCertificate::new("localhost");
    let url = serve_tls(&certificate);
    let config = checked(|config| config.tls_pins = vec![certificate.pin()]);
    let transport = ReqwestTransport::new(&config, None).unwrap();
    assert_eq!(
        transport.send(get(&url)).await.unwrap_err(),
        TransportError::Tls
    );
}

#[test]
fn pins_are_read_in_the_form_of_rfc_7469_only() {
    let good = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert!(SpkiPin::parse(good).is_some());
    for bad in [
        "",
        "sha256/",
        "sha1/AAAA",
        &good[..50],
        &good.replace('+', "-"),
        &good.replace("sha256", "SHA256"),
    ] {
        assert!(SpkiPin::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn requests_and_replies_print_neither_headers_nor_bodies_nor_queries() {
    let mut request = get(&Url::parse("https://login.bank.example/a?token=hunter2").unwrap());
    request
        .headers
        .insert("authorization", HeaderValue::from_static("DPoP hunter2"));
    request.body = b"hunter2".to_vec();
    let reply = HttpReply {
        status: 200,
        headers: request.headers.clone(),
        body: request.body.clone(),
    };
    assert!(!format!("{request:?} {reply:?}").contains("hunter2"));
}
