//! The definite ends, and signing out.

use super::*;

#[tokio::test]
async fn a_definite_refusal_deletes_the_session_and_says_why() {
    for (code, reason) in [
        ("session_ended", NeedsLoginReason::SessionEnded),
        ("refresh_token_invalid", NeedsLoginReason::SessionExpired),
        ("refresh_token_reused", NeedsLoginReason::RefreshTokenReused),
    ] {
        let world = World::new();
        let session = signed_in(&world).await.session();
        world.transport.reply(problem(401, code, &json!({})));
        assert_eq!(
            session.renew().await,
            Err(SessionFailure::NeedsLogin(reason)),
            "{code}"
        );
        assert_eq!(session.status().await, SessionStatus::NeedsLogin(reason));
        assert_eq!(world.vault.inner.load("session").unwrap(), None);
        assert_eq!(
            world.postern().session().status().await,
            SessionStatus::SignedOut
        );
    }
}

#[tokio::test]
async fn a_session_that_ended_at_the_server_is_over_here_too() {
    let world = World::new();
    let postern = signed_in(&world).await;
    world
        .transport
        .reply(problem(401, "session_ended", &json!({})));
    let ended = NeedsLoginReason::SessionEnded;
    assert_eq!(
        postern.account().sessions().await,
        Err(SessionFailure::NeedsLogin(ended))
    );
    assert_eq!(
        postern.session().status().await,
        SessionStatus::NeedsLogin(ended)
    );
}

#[tokio::test]
async fn the_end_of_the_session_before_does_not_end_the_new_one() {
    let world = World::with_clock(FakeClock::standing());
    let postern = signed_in(&world).await;
    let gate = Arc::new(Notify::new());
    world.transport.then(Turn::After(
        Arc::clone(&gate),
        problem(401, "session_ended", &json!({})),
    ));
    let asking = tokio::spawn({
        let account = postern.account();
        async move { account.get().await }
    });
    while world.transport.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut newer = grant("new");
    newer.tokens.session_id = "s-2".to_owned();
    postern.session().establish(newer).await.unwrap();
    gate.notify_one();
    assert!(matches!(
        asking.await.unwrap(),
        Err(SessionFailure::Unavailable(_))
    ));
    assert_eq!(token(&postern.session()).await, "DPoP at-new");
}

#[tokio::test]
async fn a_lost_device_key_needs_a_login_without_asking_the_server() {
    let world = World::new();
    signed_in(&world).await;
    world.vault.inner.delete("device_key").unwrap();
    let later = world.postern().session();
    let lost = NeedsLoginReason::DeviceKeyLost;
    assert_eq!(later.renew().await, Err(SessionFailure::NeedsLogin(lost)));
    assert!(world.transport.seen().is_empty());
}

#[tokio::test]
async fn signing_out_tells_the_server_and_deletes() {
    let world = World::with_clock(FakeClock::standing());
    let session = signed_in(&world).await.session();
    world.transport.reply(reply(204, &[], ""));
    assert!(session.sign_out().await.unwrap().server_told);
    let seen = world.transport.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("DELETE", "/v1/sessions/current")
    );
    assert_eq!(session.status().await, SessionStatus::SignedOut);
    assert_eq!(
        world.postern().session().status().await,
        SessionStatus::SignedOut
    );
}

#[tokio::test]
async fn signing_out_works_without_the_server_and_says_so() {
    for turn in [
        None,
        Some(Turn::Never),
        Some(Turn::Reply(reply(500, &[], "oops"))),
    ] {
        let world = World::new();
        let session = signed_in(&world).await.session();
        if let Some(turn) = turn {
            world.transport.then(turn);
        }
        assert!(!session.sign_out().await.unwrap().server_told);
        assert_eq!(world.vault.inner.load("session").unwrap(), None);
        assert_eq!(session.status().await, SessionStatus::SignedOut);
    }
}

#[tokio::test]
async fn signing_out_with_an_expired_token_renews_it_first() {
    let world = World::with_clock(FakeClock::standing());
    let session = signed_in(&world).await.session();
    world.clock.advance(Duration::from_hours(1));
    world.transport.reply(refreshed("2"));
    world.transport.reply(reply(204, &[], ""));
    assert!(session.sign_out().await.unwrap().server_told);
    assert_eq!(
        world.transport.seen()[1].header("authorization"),
        Some("DPoP at-2")
    );
}

#[tokio::test]
async fn a_vault_that_refuses_to_delete_is_reported_at_sign_out() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    world.vault.fail_deletes(Some(VaultError::Unavailable));
    world.transport.reply(reply(204, &[], ""));
    assert_eq!(session.sign_out().await, Err(VaultError::Unavailable));
    assert_eq!(session.status().await, SessionStatus::SignedOut);
    world.vault.fail_deletes(None);
    session.sign_out().await.unwrap();
    assert_eq!(world.vault.inner.load("session").unwrap(), None);
}

#[tokio::test]
async fn a_refresh_under_way_does_not_bring_a_signed_out_session_back() {
    let world = World::with_clock(FakeClock::standing());
    let session = signed_in(&world).await.session();
    let gate = Arc::new(Notify::new());
    world
        .transport
        .then(Turn::After(Arc::clone(&gate), refreshed("2")));
    world.transport.reply(reply(204, &[], ""));
    let renewing = tokio::spawn({
        let session = session.clone();
        async move { session.renew().await }
    });
    while world.transport.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let signing_out = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    gate.notify_one();
    renewing.await.unwrap().unwrap();
    signing_out.await.unwrap().unwrap();
    assert_eq!(session.status().await, SessionStatus::SignedOut);
    assert_eq!(world.vault.inner.load("session").unwrap(), None);
}
