//! The gateway forwards faithfully, counts, and fails on request; so do the other parties.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request, http::HeaderMap, response::Response};
use common::{APP, Bench, SECRET, read};
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

type Arrived = (Method, String, HeaderMap, Vec<u8>);

/// An account center that keeps what arrives and answers in two pieces.
struct Upstream {
    arrived: mpsc::UnboundedReceiver<Arrived>,
    finished: Arc<AtomicUsize>,
}

async fn behind_gateway(bench: &Bench) -> Upstream {
    let (sender, arrived) = mpsc::unbounded_channel();
    let finished = Arc::new(AtomicUsize::new(0));
    let counter = finished.clone();
    let handler = move |request: Request| {
        let (sender, counter) = (sender.clone(), counter.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            sender
                .send((
                    parts.method,
                    parts.uri.to_string(),
                    parts.headers,
                    body.to_vec(),
                ))
                .unwrap();
            let pieces = stream::iter(["first ", "second"]).then(move |piece| {
                let counter = counter.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if piece == "second" {
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok::<_, std::io::Error>(piece)
                }
            });
            Response::builder()
                .status(418)
                .header("dpop-nonce", "n2")
                .header("set-thing", "1")
                .header("set-thing", "2")
                .header("keep-alive", "timeout=5")
                .body(Body::from_stream(pieces))
                .unwrap()
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    assert_eq!(
        bench
            .control(Method::PUT, "/target", json!({ "account_center": target }))
            .await
            .status,
        204
    );
    Upstream { arrived, finished }
}

fn login(bench: &Bench) -> reqwest::RequestBuilder {
    bench
        .client
        .post(format!("{}/v1/login?secret=1", bench.at().gateway))
        .header("dpop", "proof")
        .body("{\"a\":1}")
}

#[tokio::test]
async fn the_gateway_forwards_method_query_host_proof_and_exact_bytes_and_streams_the_answer() {
    let bench = Bench::start().await;
    let mut upstream = behind_gateway(&bench).await;
    let reply = read(
        login(&bench)
            .header("te", "trailers")
            .header("connection", "x-hop")
            .header("x-hop", "1"),
    )
    .await;
    assert_eq!(
        (reply.status, &*reply.text, reply.header("dpop-nonce")),
        (418, "first second", "n2")
    );
    assert_eq!(reply.headers.get_all("set-thing").iter().count(), 2);
    assert!(reply.headers.get("keep-alive").is_none());
    let (method, uri, headers, body) = upstream.arrived.recv().await.unwrap();
    assert_eq!(
        (method, &*uri, &*body),
        (Method::POST, "/v1/login?secret=1", &b"{\"a\":1}"[..])
    );
    assert_eq!(
        headers["host"],
        bench.at().gateway.trim_start_matches("http://")
    );
    assert_eq!(
        (&headers["dpop"], &headers["content-length"]),
        (&"proof".parse().unwrap(), &"7".parse().unwrap())
    );
    for hop in ["te", "x-hop", "connection", "transfer-encoding"] {
        assert!(headers.get(hop).is_none(), "{hop} was forwarded");
    }
}

#[tokio::test]
async fn the_gateway_forwards_any_method_and_bodies_beyond_every_limit_of_its_own() {
    let bench = Bench::start().await;
    let mut upstream = behind_gateway(&bench).await;
    let large = vec![b'x'; 3 << 20];
    for (method, body) in [
        (Method::PUT, Some(large.clone())),
        (Method::DELETE, None),
        (Method::from_bytes(b"ODD").unwrap(), None),
        (Method::GET, None),
    ] {
        let mut request = bench
            .client
            .request(method.clone(), format!("{}/any", bench.at().gateway))
            .header("host", "login.bank.example");
        if let Some(body) = body.clone() {
            request = request.body(body);
        }
        assert_eq!(read(request).await.status, 418);
        let (seen, _, headers, bytes) = upstream.arrived.recv().await.unwrap();
        assert_eq!(
            (seen, bytes.len()),
            (method, body.map_or(0, |body| body.len()))
        );
        assert_eq!(headers["host"], "login.bank.example");
    }
}

#[tokio::test]
async fn the_gateway_counts_method_path_and_status_and_keeps_no_query() {
    let bench = Bench::start().await;
    let _upstream = behind_gateway(&bench).await;
    read(login(&bench)).await;
    assert_eq!(
        bench.requests("gateway").await,
        [json!({ "party": "gateway", "method": "POST", "path": "/v1/login", "status": 418 })]
    );
    bench.code("snsapi_userinfo", "lin").await;
    let all = bench
        .get(format!("{}/requests", bench.at().control))
        .await
        .json();
    assert_eq!(all["requests"].as_array().unwrap().len(), 2);
    assert_eq!(
        bench
            .control(Method::DELETE, "/requests", Value::Null)
            .await
            .status,
        204
    );
    assert!(bench.requests("gateway").await.is_empty());
    assert_eq!(
        bench
            .get(format!("{}/requests?party=moon", bench.at().control))
            .await
            .status,
        400
    );
    assert_eq!(
        bench
            .get(format!("{}/requests?colour=red", bench.at().control))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn an_account_center_that_is_down_or_unset_is_502() {
    let bench = Bench::start().await;
    assert_eq!(read(login(&bench)).await.status, 502);
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = taken.local_addr().unwrap();
    drop(taken);
    bench
        .control(
            Method::PUT,
            "/target",
            json!({ "account_center": format!("http://{closed}") }),
        )
        .await;
    assert_eq!(read(login(&bench)).await.status, 502);
}

#[tokio::test]
async fn drop_request_closes_the_connection_before_anything_is_forwarded() {
    let bench = Bench::start().await;
    let mut upstream = behind_gateway(&bench).await;
    bench.fault(json!({ "party": "gateway", "path": "/v1/login", "fault": { "kind": "drop_request" }, "times": 1 })).await;
    let error = login(&bench).send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert!(upstream.arrived.try_recv().is_err());
    assert_eq!(bench.requests("gateway").await[0]["status"], Value::Null);
    assert_eq!(read(login(&bench)).await.status, 418);
}

#[tokio::test]
async fn drop_reply_forwards_to_the_end_and_closes_the_connection_without_an_answer() {
    let bench = Bench::start().await;
    let mut upstream = behind_gateway(&bench).await;
    bench
        .fault(json!({ "party": "gateway", "fault": { "kind": "drop_reply" }, "times": 2 }))
        .await;
    for dropped in 1..=2 {
        let error = login(&bench).send().await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        let (_, _, _, body) = upstream.arrived.recv().await.unwrap();
        assert_eq!(body, b"{\"a\":1}");
        assert_eq!(upstream.finished.load(Ordering::SeqCst), dropped);
    }
    assert_eq!(read(login(&bench)).await.text, "first second");
    assert_eq!(bench.requests("gateway").await.len(), 3);
}

#[tokio::test]
async fn delay_waits_and_then_goes_on_into_the_next_fault() {
    let bench = Bench::start().await;
    let _upstream = behind_gateway(&bench).await;
    bench.fault(json!({ "party": "gateway", "fault": { "kind": "delay", "milliseconds": 150 }, "times": 2 })).await;
    bench
        .fault(
            json!({ "party": "gateway", "fault": { "kind": "status", "status": 503 }, "times": 1 }),
        )
        .await;
    for status in [503, 418] {
        let began = Instant::now();
        assert_eq!(read(login(&bench)).await.status, status);
        assert!(began.elapsed() >= Duration::from_millis(150));
    }
    let began = Instant::now();
    read(login(&bench)).await;
    assert!(began.elapsed() < Duration::from_millis(150));
}

#[tokio::test]
async fn status_and_rubbish_are_answered_by_every_party_until_cleared() {
    let bench = Bench::start().await;
    let at = bench.at().clone();
    for (party, url) in [
        ("wechat", format!("{}/sns/auth", at.wechat)),
        ("sms", format!("{}/messages", at.sms)),
        ("core", format!("{}/customers/C1000000002", at.core)),
        ("face", format!("{}/sessions", at.face)),
        ("gateway", format!("{}/v1/account", at.gateway)),
    ] {
        bench
            .fault(json!({ "party": party, "fault": { "kind": "rubbish" }, "times": 1 }))
            .await;
        let rubbish = bench.get(url.clone()).await;
        assert_eq!(
            (rubbish.status, rubbish.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        bench.fault(json!({ "party": party, "fault": { "kind": "status", "status": 500, "body": "oh" }, "times": 1 })).await;
        let text = bench.get(url.clone()).await;
        assert_eq!((text.status, &*text.text), (500, "oh"));
        bench.fault(json!({ "party": party, "fault": { "kind": "status", "status": 429, "body": { "code": "busy" } } })).await;
        for _ in 0..2 {
            let json = bench.get(url.clone()).await;
            assert_eq!((json.status, json.json()), (429, json!({ "code": "busy" })));
        }
        bench
            .fault(json!({ "party": party, "fault": { "kind": "drop_request" } }))
            .await;
        assert_eq!(
            bench
                .control(Method::DELETE, "/faults", Value::Null)
                .await
                .status,
            204
        );
        assert!(![500, 429].contains(&bench.get(url).await.status));
    }
}

#[tokio::test]
async fn other_parties_drop_requests_and_replies_too() {
    let bench = Bench::start().await;
    let code = bench.code("snsapi_userinfo", "lin").await;
    let url = format!(
        "{}/sns/oauth2/access_token?appid={APP}&secret={SECRET}&grant_type=authorization_code&code={code}",
        bench.at().wechat
    );
    for kind in ["drop_request", "drop_reply"] {
        bench
            .fault(json!({ "party": "wechat", "fault": { "kind": kind }, "times": 1 }))
            .await;
        assert!(bench.client.get(&url).send().await.is_err());
    }
    // The dropped request used nothing up, the dropped reply did.
    common::assert_errcode(&bench.get(url).await, 40163);
}

#[tokio::test]
async fn a_fault_without_a_path_leaves_the_phone_and_the_inbox_alone() {
    let bench = Bench::start().await;
    for party in ["wechat", "sms", "face"] {
        bench
            .fault(json!({ "party": party, "fault": { "kind": "status", "status": 500 } }))
            .await;
    }
    bench.code("snsapi_userinfo", "lin").await;
    assert_eq!(
        bench
            .get(format!("{}/inbox/+8613800000001", bench.at().sms))
            .await
            .status,
        200
    );
    bench.fault(json!({ "party": "sms", "path": "/inbox", "fault": { "kind": "status", "status": 501 } })).await;
    assert_eq!(
        bench
            .get(format!("{}/inbox/+8613800000001", bench.at().sms))
            .await
            .status,
        501
    );
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let bench = Bench::start().await;
    for rule in [
        json!({ "party": "moon", "fault": { "kind": "rubbish" } }),
        json!({ "party": "sms", "fault": { "kind": "explode" } }),
        json!({ "party": "sms", "fault": { "kind": "rubbish", "loud": true } }),
        json!({ "party": "sms", "fault": { "kind": "rubbish" }, "when": "now" }),
        json!({ "party": "sms", "fault": { "kind": "rubbish" }, "times": 0 }),
        json!({ "party": "sms", "path": "messages", "fault": { "kind": "rubbish" } }),
        json!({ "party": "core", "fault": { "kind": "errcode", "errcode": -1 } }),
        json!({ "party": "sms", "fault": { "kind": "expire_codes" } }),
        json!({ "party": "sms", "fault": { "kind": "status", "status": 99 } }),
        json!({ "party": "sms", "fault": { "kind": "delay" } }),
        json!("rubbish"),
    ] {
        let reply = bench.control(Method::POST, "/faults", rule.clone()).await;
        assert_eq!(reply.status, 400, "{rule}");
        assert!(reply.json()["error"].is_string());
    }
}
