//! Contract section 3, over HTTP.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Device, REFRESH, Server, random128};
use postern_account_center::idempotency::{Entry, Scope};
use postern_account_center::problem::Problem;

#[tokio::test]
async fn a_repetition_gets_the_stored_reply_byte_for_byte() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let request = server
        .post(&device, REFRESH, &Server::refresh_body(&grant))
        .await;
    let again = server.again(&device, &request).await;
    let later = server.again(&device, &request).await;
    let first = server.send(request).await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (200, "")
    );
    let second = server.send(again).await;
    assert_eq!(
        (second.status, second.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("content-type"), "application/json");
    // For ten minutes.
    server.pass(599);
    assert_eq!(server.send(later).await.body, first.body);
}

#[tokio::test]
async fn a_stored_problem_is_replayed_as_the_problem_it_was() {
    let (server, device) = (Server::start().await, Device::new());
    let request = server
        .post(
            &device,
            REFRESH,
            br#"{"app_id":"a","refresh_token":"rt_x"}"#,
        )
        .await;
    let again = server.again(&device, &request).await;
    let first = server.send(request).await;
    let second = server.send(again).await;
    assert_eq!(
        (first.status, first.problem().as_str()),
        (401, "refresh_token_invalid")
    );
    assert_eq!(
        (second.status, second.problem().as_str()),
        (401, "refresh_token_invalid")
    );
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_key_used_again_with_another_body_is_refused() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let key = random128();
    let first = server
        .post(&device, REFRESH, &Server::refresh_body(&grant))
        .await
        .instead("Idempotency-Key", &key);
    assert_eq!(server.send(first).await.status, 200);
    let other = server
        .post(&device, REFRESH, b"{}")
        .await
        .instead("Idempotency-Key", &key);
    let reply = server.send(other).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (422, "idempotency_key_reused")
    );
    // The scope has the device key: the same key of another device is another one.
    let stranger = Device::new();
    let theirs = server
        .post(&stranger, REFRESH, &Server::refresh_body(&grant))
        .await
        .instead("Idempotency-Key", &key);
    assert_eq!(server.send(theirs).await.problem(), "refresh_token_invalid");
}

#[tokio::test]
async fn a_key_in_work_is_in_flight_and_after_a_crash_its_lease_lets_the_repetition_take_over() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let (key, body) = (random128(), Server::refresh_body(&grant));
    // A process that was killed right after it had admitted the request.
    let (ledger, thumbprint, begun, bytes) = (
        server.state.ledger.clone(),
        device.thumbprint(),
        key.clone(),
        body.clone(),
    );
    let ticket = server
        .state
        .store
        .write(move |tx| {
            let (ledger, thumbprint, key, body) = (
                ledger.clone(),
                thumbprint.clone(),
                begun.clone(),
                bytes.clone(),
            );
            Box::pin(async move {
                let scope = Scope {
                    device_key: thumbprint.as_str(),
                    method: "POST",
                    path: REFRESH,
                    key: &key,
                };
                match ledger.begin(tx, scope, &body).await? {
                    Entry::Begun(ticket) => Ok::<_, Problem>(ticket),
                    other => panic!("{other:?}"),
                }
            })
        })
        .await
        .unwrap();

    let request = server
        .post(&device, REFRESH, &body)
        .await
        .instead("Idempotency-Key", &key);
    let again = server.again(&device, &request).await;
    let reply = server.send(request).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "request_in_flight")
    );
    assert_eq!(
        (
            reply.header("retry-after"),
            reply.json()["retry_after"].as_u64()
        ),
        ("1", Some(1))
    );
    server.pass(30);
    let taken_over = server.send(again).await;
    assert_eq!(taken_over.status, 200);

    // The first one, should it still live, has lost its lease: nothing that it does now is kept.
    let reply = postern_account_center::http::reply::Reply::no_content();
    let late = server
        .state
        .store
        .write(move |tx| {
            let (ticket, reply) = (ticket.clone(), reply.clone());
            Box::pin(async move {
                sqlx::query("UPDATE accounts SET nickname = 'late'")
                    .execute(&mut *tx)
                    .await?;
                ticket.finish(tx, &reply).await.map_err(Problem::from)
            })
        })
        .await;
    assert_eq!(late.unwrap_err().code.as_str(), "request_in_flight");
    let nickname: Option<String> = server
        .state
        .store
        .read(|tx| {
            Box::pin(async move {
                let row = sqlx::query("SELECT nickname FROM accounts")
                    .fetch_one(tx)
                    .await?;
                Ok::<_, Problem>(sqlx::Row::try_get(&row, 0)?)
            })
        })
        .await
        .unwrap();
    assert_eq!(nickname, None);
}

#[tokio::test]
async fn twenty_repetitions_at_once_do_the_work_once() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let request = server
        .post(&device, REFRESH, &Server::refresh_body(&grant))
        .await;
    let mut repetitions = Vec::new();
    for _ in 0..20 {
        repetitions.push(server.again(&device, &request).await);
    }
    let replies =
        futures_util::future::join_all(repetitions.into_iter().map(|request| server.send(request)))
            .await;
    let mut bodies: Vec<_> = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| reply.body.clone())
        .collect();
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 200 || reply.problem() == "request_in_flight")
    );
    assert!(!bodies.is_empty());
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(
        server
            .send(server.again(&device, &request).await)
            .await
            .body,
        bodies[0]
    );
}

#[tokio::test]
async fn neither_the_key_nor_the_reply_can_be_read_from_the_database() {
    let (server, device) = (Server::start().await, Device::new());
    let grant = server.session(&device).await;
    let key = random128();
    let request = server
        .post(&device, REFRESH, &Server::refresh_body(&grant))
        .await
        .instead("Idempotency-Key", &key);
    let reply = server.send(request).await.json();
    let kept: Vec<String> = server
        .state
        .store
        .read(|tx| {
            Box::pin(async move {
                let mut kept = Vec::new();
                for sql in [
                    "SELECT scope_hash || fingerprint || sealed_reply FROM idempotency_keys",
                    "SELECT session_id || newest_hash || previous_hash FROM sessions",
                ] {
                    for row in sqlx::query(sql).fetch_all(&mut *tx).await? {
                        kept.push(sqlx::Row::try_get(&row, 0)?);
                    }
                }
                Ok::<_, Problem>(kept)
            })
        })
        .await
        .unwrap();
    assert_eq!(kept.len(), 2);
    let contains = |text: &str| kept.iter().any(|row| row.contains(text));
    assert!(
        contains(reply["session"]["session_id"].as_str().unwrap()),
        "these are the right rows"
    );
    for secret in [
        key.as_str(),
        reply["session"]["refresh_token"].as_str().unwrap(),
        reply["session"]["access_token"].as_str().unwrap(),
    ] {
        assert!(!contains(secret));
    }
}
