#![allow(clippy::unwrap_used)]
//! What is around every request, and what becomes of admitted work.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use postern_server_security::Thumbprint;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::admission::Admitted;
use super::reply::Reply;
use super::work::Done;
use super::*;
use crate::app::App;
use crate::config::{Config, Overrides};
use crate::context::Context;
use crate::idempotency::{Entry, Scope};
use crate::problem::{Code, Problem};

async fn state() -> (tempfile::TempDir, AppState) {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        data_dir: Some(folder.path().join("data")),
        listen: Some("127.0.0.1:0".to_owned()),
        public_url: None,
    };
    let config = Config::read(
        Some("mode = \"development\"\n[server]\nrequest_seconds = 1"),
        &BTreeMap::new(),
        &overrides,
    )
    .unwrap();
    let app = App::start(config, Context::system()).await.unwrap();
    (folder, app.state().clone())
}

async fn ask(state: &AppState, routes: Router<AppState>) -> (StatusCode, serde_json::Value) {
    let service = routes
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            edge::around,
        ))
        .with_state(state.clone());
    let response = service
        .oneshot(Request::get("/x").body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_that_tells_nothing() {
    async fn panics() {
        panic!("a secret of ours");
    }
    let (_folder, state) = state().await;
    let (status, body) = ask(&state, Router::new().route("/x", get(panics))).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &"internal".into())
    );
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_busy() {
    let (_folder, state) = state().await;
    let (status, body) = ask(
        &state,
        Router::new().route("/x", get(std::future::pending::<()>)),
    )
    .await;
    assert_eq!(
        (status, &body["code"], &body["retry_after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"busy".into(), &1.into())
    );
}

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const PATH: &str = "/v1/login";

/// What the ledger says to a request with [`KEY`].
async fn entry(state: &AppState) -> Entry {
    let ledger = state.ledger.clone();
    state
        .store
        .write(move |tx| {
            let ledger = ledger.clone();
            Box::pin(async move {
                ledger
                    .begin(
                        tx,
                        Scope {
                            device_key: "device",
                            method: "POST",
                            path: PATH,
                            key: KEY,
                        },
                        b"{}",
                    )
                    .await
            })
        })
        .await
        .unwrap()
}

async fn admitted(state: &AppState) -> Admitted {
    let Entry::Begun(ticket) = entry(state).await else {
        panic!("the key is not free")
    };
    let call = Call {
        request_id: "r".to_owned(),
        device_key: Thumbprint::parse(&"A".repeat(43)).unwrap(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        region: None,
        path: PATH.into(),
        ticket,
    };
    Admitted::Work(call, axum::body::Bytes::from_static(b"{}"))
}

#[tokio::test]
async fn work_goes_on_when_the_client_hangs_up_and_its_reply_is_kept() {
    let (_folder, state) = state().await;
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, gate) = (Arc::clone(&reached), Arc::clone(&go_on));
    let answering = work::answer(state.clone(), admitted(&state).await, |_, _| async move {
        here.notify_one();
        gate.notified().await;
        Err(Problem::new(Code::LoginUnknown))
    });
    tokio::select! {
        _ = answering => panic!("it cannot be done yet"),
        () = reached.notified() => {}
    }
    // The future is dropped: so does the server when a client closes its connection.
    assert!(matches!(entry(&state).await, Entry::InFlight));
    go_on.notify_one();
    state.running.finished().await;
    let Entry::Done(reply) = entry(&state).await else {
        panic!("the reply is not kept")
    };
    assert_eq!(reply.problem, Some(Code::LoginUnknown));
}

#[tokio::test]
async fn a_panic_in_the_work_gives_the_key_back() {
    let (_folder, state) = state().await;
    let result = work::answer(state.clone(), admitted(&state).await, |_, _| async {
        panic!("on purpose")
    })
    .await;
    assert_eq!(result.unwrap_err().code, Code::Internal);
    assert!(matches!(entry(&state).await, Entry::Begun(_)));
}

#[tokio::test]
async fn replies_of_5xx_and_rate_limited_are_not_kept_and_others_are() {
    let (_folder, state) = state().await;
    for code in [
        Code::Busy,
        Code::SmsUnavailable,
        Code::Internal,
        Code::ProviderMisconfigured,
        Code::RateLimited,
    ] {
        let result = work::answer(
            state.clone(),
            admitted(&state).await,
            move |_, _| async move { Err(Problem::new(code)) },
        )
        .await;
        assert_eq!(result.unwrap_err().code, code);
    }
    let result = work::answer(state.clone(), admitted(&state).await, |_, _| async {
        Err(Problem::new(Code::InvalidRequest))
    })
    .await;
    let Done {
        reply: first,
        replayed,
    } = result.unwrap();
    assert!(!replayed);
    let Entry::Done(second) = entry(&state).await else {
        panic!("not kept")
    };
    assert_eq!(first, second);
}

#[tokio::test]
async fn more_work_than_there_is_room_for_is_busy_and_gives_the_key_back() {
    let (_folder, state) = state().await;
    state.running.finished().await;
    let result = work::answer(state.clone(), admitted(&state).await, |_, _| async {
        Ok(Reply::no_content())
    })
    .await;
    assert_eq!(result.unwrap_err().code, Code::Busy);
    assert!(matches!(entry(&state).await, Entry::Begun(_)));
}

#[tokio::test]
async fn nothing_is_waited_for_longer_than_stopping_may_take() {
    let (_folder, state) = state().await;
    let stuck = work::answer(state.clone(), admitted(&state).await, |_, _| {
        std::future::pending()
    });
    let stuck = tokio::spawn(stuck);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = tokio::time::Instant::now();
    server::serve(
        listener,
        state,
        std::future::ready(()),
        Duration::from_millis(100),
    )
    .await
    .unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    stuck.abort();
}
