//! Renewing: once, early, over tasks and processes, whatever the clocks and the network do.

use super::*;

#[tokio::test]
async fn a_token_is_renewed_thirty_seconds_before_it_expires() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.clock.advance(Duration::from_secs(269));
    assert_eq!(token(&session).await, "DPoP at-1");
    world.clock.advance(Duration::from_secs(1));
    world.transport.reply(refreshed("2"));
    assert_eq!(token(&session).await, "DPoP at-2");
    let request = &world.transport.seen()[0];
    assert_eq!(request.path, "/v1/sessions/refresh");
    assert_eq!(
        request.json(),
        json!({"app_id": "bank-android", "refresh_token": "rt_1"})
    );
    assert_eq!(request.header("idempotency-key").unwrap().len(), 22);
}

#[tokio::test]
async fn any_number_of_callers_make_one_refresh() {
    let world = World::with_clock(FakeClock::standing());
    let session = signed_in(&world).await.session();
    world.clock.advance(Duration::from_secs(290));
    let gate = Arc::new(Notify::new());
    world
        .transport
        .then(Turn::After(Arc::clone(&gate), refreshed("2")));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { token(&session).await })
        })
        .collect();
    while world.transport.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gate.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "DPoP at-2");
    }
    assert_eq!(world.transport.seen().len(), 1);
}

#[tokio::test]
async fn two_processes_make_one_refresh() {
    let world = World::with_clock(FakeClock::standing());
    let folder = tempfile::tempdir().unwrap();
    let mut config = world.config();
    config.data_dir = Some(folder.path().to_owned());
    let one = world.builder(config.clone()).build().unwrap().session();
    let other = world.builder(config).build().unwrap().session();
    one.establish(grant("1")).await.unwrap();
    assert!(is_signed_in(&other).await);
    world.clock.advance(Duration::from_secs(290));
    let gate = Arc::new(Notify::new());
    world
        .transport
        .then(Turn::After(Arc::clone(&gate), refreshed("2")));
    let first = tokio::spawn(async move { token(&one).await });
    while world.transport.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The other process waits for the lock, then finds the renewed session in the vault.
    let second = tokio::spawn(async move { token(&other).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    gate.notify_one();
    assert_eq!(first.await.unwrap(), "DPoP at-2");
    while !second.is_finished() {
        // Time passes for who waits for the lock, without making the new token old.
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(second.await.unwrap(), "DPoP at-2");
    assert_eq!(world.transport.seen().len(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel_the_refresh() {
    let world = World::with_clock(FakeClock::standing());
    let session = signed_in(&world).await.session();
    let gate = Arc::new(Notify::new());
    world
        .transport
        .then(Turn::After(Arc::clone(&gate), refreshed("2")));
    let caller = tokio::spawn({
        let session = session.clone();
        async move { session.renew().await }
    });
    while world.transport.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    while token(&session).await != "DPoP at-2" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(is_signed_in(&world.postern().session()).await);
    assert_eq!(world.transport.seen().len(), 1);
}

#[tokio::test]
async fn a_lost_refresh_reply_is_asked_for_again_with_the_same_token() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    for _ in 0..4 {
        world.transport.fail(TransportError::Other);
    }
    let failure = session.renew().await.unwrap_err();
    assert_eq!(
        failure,
        SessionFailure::Unavailable(CallFailure::Network(TransportError::Other))
    );
    assert!(is_signed_in(&session).await);
    world.transport.reply(refreshed("2"));
    session.renew().await.unwrap();
    let seen = world.transport.seen();
    assert_eq!(seen.len(), 5);
    // Within one call the very same request; over calls the same token.
    for request in &seen[1..4] {
        assert_eq!(request.body, seen[0].body);
        assert_eq!(
            request.header("idempotency-key"),
            seen[0].header("idempotency-key")
        );
        assert_ne!(request.header("dpop"), seen[0].header("dpop"));
    }
    assert_eq!(seen[4].json(), seen[0].json());
    assert_ne!(
        seen[4].header("idempotency-key"),
        seen[0].header("idempotency-key")
    );
}

#[tokio::test]
async fn an_indefinite_failure_keeps_the_session() {
    let failures = [
        Turn::Fail(TransportError::Tls),
        Turn::Fail(TransportError::TooLarge),
        Turn::Reply(reply(200, &[], "<html>welcome to the hotel</html>")),
        Turn::Reply(reply(302, &[("location", "https://hotel.example/")], "")),
        Turn::Reply(reply(403, &[], "<html>blocked</html>")),
        Turn::Reply(problem(401, "invalid_dpop_proof", &json!({}))),
        Turn::Reply(problem(401, "a_code_of_tomorrow", &json!({}))),
        Turn::Reply(problem(429, "rate_limited", &json!({"retry_after": 60}))),
        Turn::Reply(problem(500, "internal", &json!({}))),
        Turn::Reply(json_reply(200, &json!({"session": {"access_token": 5}}))),
        Turn::Reply(json_reply(
            200,
            &json!({"session": {"session_id": "s", "access_token": "a", "token_type": "Bearer",
            "expires_in": 1, "refresh_token": "r", "refresh_expires_in": 1}}),
        )),
    ];
    for failure in failures {
        let world = World::new();
        let session = signed_in(&world).await.session();
        world.transport.then(failure);
        assert!(matches!(
            session.renew().await,
            Err(SessionFailure::Unavailable(_))
        ));
        assert_eq!(world.transport.seen().len(), 1);
        assert!(is_signed_in(&session).await);
        assert!(is_signed_in(&world.postern().session()).await);
    }
}

#[tokio::test]
async fn a_token_that_is_still_good_serves_while_the_server_is_down() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.clock.advance(Duration::from_secs(280));
    world.transport.fail(TransportError::Tls);
    assert_eq!(token(&session).await, "DPoP at-1");
    world.clock.advance(Duration::from_secs(20));
    world.transport.fail(TransportError::Tls);
    assert!(session.authorize("GET", &api("/x")).await.is_err());
}

#[tokio::test]
async fn clocks_that_jump_make_a_refresh_not_an_error() {
    // Set back before the session began: nothing can be said about the token's age.
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.clock.set_wall(Duration::from_secs(START - 3600));
    world.transport.reply(refreshed("2"));
    assert_eq!(token(&session).await, "DPoP at-2");
    // Set back, but the steady clock went on.
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.clock.advance(Duration::from_secs(400));
    world.clock.set_wall(Duration::from_secs(START + 1));
    world.transport.reply(refreshed("2"));
    assert_eq!(token(&session).await, "DPoP at-2");
    // The device slept: only the wall clock went on.
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.clock.set_wall(Duration::from_secs(START + 86_400));
    world.transport.reply(refreshed("2"));
    assert_eq!(token(&session).await, "DPoP at-2");
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once_and_the_call_repeated_once() {
    let world = World::new();
    let postern = signed_in(&world).await;
    world
        .transport
        .reply(problem(401, "invalid_token", &json!({})));
    world.transport.reply(refreshed("2"));
    world
        .transport
        .reply(json_reply(200, &json!({"account": account_json()})));
    assert_eq!(postern.account().get().await.unwrap().user_id, "u-1");
    let paths: Vec<_> = world
        .transport
        .seen()
        .iter()
        .map(|seen| seen.path.clone())
        .collect();
    assert_eq!(
        paths,
        ["/v1/account", "/v1/sessions/refresh", "/v1/account"]
    );
    assert_eq!(
        world.transport.seen()[2].header("authorization"),
        Some("DPoP at-2")
    );
    // A server that never takes a token does not keep us busy.
    world
        .transport
        .reply(problem(401, "invalid_token", &json!({})));
    world.transport.reply(refreshed("3"));
    world
        .transport
        .reply(problem(401, "invalid_token", &json!({})));
    assert!(matches!(
        postern.account().get().await,
        Err(SessionFailure::Unavailable(_))
    ));
    assert_eq!(world.transport.seen().len(), 6);
    assert!(is_signed_in(&postern.session()).await);
}

#[tokio::test]
async fn a_rejected_token_that_was_renewed_already_costs_no_request() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    let old = session.authorize("GET", &api("/x")).await.unwrap();
    world.transport.reply(refreshed("2"));
    session.renew_rejected(&old).await.unwrap();
    session.renew_rejected(&old).await.unwrap();
    assert_eq!(world.transport.seen().len(), 1);
}

#[tokio::test]
async fn a_renewed_session_that_cannot_be_saved_goes_on_from_the_saved_token() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.vault.fail_stores(Some(VaultError::Failed {
        what: "disk full".to_owned(),
    }));
    world.transport.reply(refreshed("2"));
    session.renew().await.unwrap();
    assert_eq!(token(&session).await, "DPoP at-2");
    world.vault.fail_stores(None);
    world.transport.reply(refreshed("2"));
    session.renew().await.unwrap();
    let tokens: Vec<_> = world
        .transport
        .seen()
        .iter()
        .map(|seen| seen.json()["refresh_token"].clone())
        .collect();
    assert_eq!(tokens, [json!("rt_1"), json!("rt_1")]);
    assert_eq!(token(&world.postern().session()).await, "DPoP at-2");
}
