//! The session against a scripted account center.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use url::Url;

use super::{NeedsLoginReason, Session, SessionFailure, SessionGrant, SessionStatus};
use crate::api::CallFailure;
use crate::postern::Postern;
use crate::secret::SecretBytes;
use crate::testing::{
    BASE, FakeClock, START, Turn, World, account_json, done_json, json_reply, problem, reply,
    session_json,
};
use crate::transport::TransportError;
use crate::vault::{Vault as _, VaultError};

/// The grant at the end of a login, read from its reply.
fn grant(mark: &str) -> SessionGrant {
    match crate::api::read_login_reply(done_json(mark).to_string().as_bytes()) {
        Some(crate::api::LoginReply::Done(grant)) => *grant,
        other => panic!("not the end of a login: {other:?}"),
    }
}

async fn signed_in(world: &World) -> Postern {
    let postern = world.postern();
    postern.session().establish(grant("1")).await.unwrap();
    postern
}

fn api(path: &str) -> Url {
    Url::parse(&format!("{BASE}{path}")).unwrap()
}

fn refreshed(mark: &str) -> crate::transport::HttpReply {
    json_reply(200, &json!({"session": session_json(mark)}))
}

async fn token(session: &Session) -> String {
    let headers = session.authorize("GET", &api("/v1/account")).await.unwrap();
    headers.authorization().expose().to_owned()
}

async fn is_signed_in(session: &Session) -> bool {
    matches!(session.status().await, SessionStatus::SignedIn(_))
}

#[tokio::test]
async fn nobody_is_signed_in_at_first() {
    let world = World::new();
    let session = world.postern().session();
    assert_eq!(session.status().await, SessionStatus::SignedOut);
    let refused = session
        .authorize("GET", &api("/v1/account"))
        .await
        .unwrap_err();
    assert_eq!(refused, SessionFailure::SignedOut);
}

#[tokio::test]
async fn m7_a_session_outlives_the_process() {
    let world = World::new();
    signed_in(&world).await;
    let later = world.postern().session();
    assert!(is_signed_in(&later).await);
    assert_eq!(token(&later).await, "DPoP at-1");
    assert!(world.transport.seen().is_empty());
}

#[tokio::test]
async fn a_vault_that_refuses_to_save_leaves_nobody_signed_in() {
    let world = World::new();
    let postern = world.postern();
    // The device key has its place already; only the session is refused.
    postern.core().center.identity().thumbprint().await.unwrap();
    let full = VaultError::Failed {
        what: "disk full".to_owned(),
    };
    world.vault.fail_stores(Some(full.clone()));
    assert_eq!(postern.session().establish(grant("1")).await, Err(full));
    assert_eq!(postern.session().status().await, SessionStatus::SignedOut);
}

#[tokio::test]
async fn an_unavailable_vault_is_never_taken_for_signed_out() {
    let world = World::new();
    signed_in(&world).await;
    let later = world.postern().session();
    world.vault.fail_loads(Some(VaultError::Unavailable));
    assert_eq!(later.status().await, SessionStatus::Unavailable);
    let refused = later.authorize("GET", &api("/x")).await.unwrap_err();
    assert_eq!(
        refused,
        SessionFailure::Unavailable(CallFailure::Vault(VaultError::Unavailable))
    );
    world.vault.fail_loads(None);
    assert!(is_signed_in(&later).await);
}

#[tokio::test]
async fn a_lost_vault_key_needs_a_login_and_the_next_one_works() {
    let world = World::new();
    signed_in(&world).await;
    let later = world.postern().session();
    world.vault.fail_loads(Some(VaultError::KeyInvalidated));
    let lost = SessionStatus::NeedsLogin(NeedsLoginReason::VaultKeyLost);
    assert_eq!(later.status().await, lost);
    world.vault.fail_loads(None);
    assert_eq!(world.vault.inner.load("session").unwrap(), None);
    later.establish(grant("2")).await.unwrap();
    assert!(is_signed_in(&later).await);
}

#[tokio::test]
async fn unusable_records_are_a_clean_start() {
    let unreadable = SessionStatus::NeedsLogin(NeedsLoginReason::StoredSessionUnreadable);
    for (fixture, expected) in [
        (
            &include_bytes!("../../tests/fixtures/session-truncated.json")[..],
            unreadable.clone(),
        ),
        (
            include_bytes!("../../tests/fixtures/session-newer-schema.json"),
            unreadable.clone(),
        ),
        (
            include_bytes!("../../tests/fixtures/session-other-install.json"),
            SessionStatus::SignedOut,
        ),
        (b"", unreadable.clone()),
        (b"\xff\xfe", unreadable),
    ] {
        let world = World::new();
        world
            .vault
            .inner
            .store("session", &SecretBytes::from(fixture))
            .unwrap();
        let session = world.postern().session();
        assert_eq!(session.status().await, expected);
        assert_eq!(world.vault.inner.load("session").unwrap(), None);
        session.establish(grant("2")).await.unwrap();
        assert!(is_signed_in(&session).await);
    }
}

#[tokio::test]
async fn the_first_schema_stays_readable_and_is_what_is_written() {
    let frozen = include_bytes!("../../tests/fixtures/session-1.json");
    let world = World::new();
    world
        .vault
        .inner
        .store("session", &SecretBytes::from(&frozen[..]))
        .unwrap();
    let session = world.postern().session();
    let SessionStatus::SignedIn(account) = session.status().await else {
        panic!("the frozen record was not read");
    };
    assert_eq!(
        (account.user_id.as_str(), account.phone_masked.as_str()),
        ("u-1", "138****0000")
    );
    session.establish(grant("1")).await.unwrap();
    let written = world.vault.inner.load("session").unwrap().unwrap();
    let mut written: serde_json::Value = serde_json::from_slice(written.expose()).unwrap();
    let mut frozen: serde_json::Value = serde_json::from_slice(frozen).unwrap();
    // The device key is new in each run.
    for record in [&mut written, &mut frozen] {
        assert_eq!(record["device_key"].as_str().unwrap().len(), 43);
        record["device_key"] = json!(null);
    }
    assert_eq!(written, frozen);
}

#[tokio::test]
async fn headers_are_for_one_method_url_and_token() {
    let world = World::new();
    let session = signed_in(&world).await.session();
    let url = api("/v1/orders?page=2#top");
    let headers = session.authorize_body("POST", &url, b"{}").await.unwrap();
    assert_eq!(headers.authorization().expose(), "DPoP at-1");
    let claims = crate::testing::claims(headers.proof().expose());
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["htu"], format!("{BASE}/v1/orders"));
    assert_eq!(claims["ath"], crate::proof::dpop::hash(b"at-1"));
    assert_eq!(claims["bh"], crate::proof::dpop::hash(b"{}"));
    assert!(!format!("{headers:?} {session:?}").contains("at-1"));
    let again = session.authorize("POST", &url).await.unwrap();
    let other = crate::testing::claims(again.proof().expose());
    assert_ne!(claims["jti"], other["jti"]);
    assert!(other.get("bh").is_none());
}

#[tokio::test]
async fn only_configured_origins_get_headers() {
    let world = World::new();
    let mut config = world.config();
    config.api_origins = vec!["https://api.bank.example:8443".to_owned()];
    let postern = world.builder(config).build().unwrap();
    let session = postern.session();
    session.establish(grant("1")).await.unwrap();
    for good in [
        "https://api.bank.example:8443/orders",
        "https://LOGIN.bank.example:443/v1/account",
    ] {
        assert!(
            session
                .authorize("GET", &Url::parse(good).unwrap())
                .await
                .is_ok(),
            "{good}"
        );
    }
    for bad in [
        "https://api.bank.example/orders",
        "http://login.bank.example/v1/account",
        "https://login.bank.example.evil.example/",
        "https://login.bank.example@evil.example/",
        "https://xlogin.bank.example/",
        "data:text/plain,x",
        "file:///etc/passwd",
    ] {
        let refused = session.authorize("GET", &Url::parse(bad).unwrap()).await;
        assert_eq!(
            refused.unwrap_err(),
            SessionFailure::OriginNotAllowed,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn each_origin_has_its_own_nonce() {
    let world = World::new();
    let mut config = world.config();
    config.api_origins = vec!["https://api.bank.example".to_owned()];
    let session = world.builder(config).build().unwrap().session();
    session.establish(grant("1")).await.unwrap();
    let orders = Url::parse("https://api.bank.example/orders").unwrap();
    session.learn_nonce(&orders, "nonce-of-orders");
    session.learn_nonce(&Url::parse("https://evil.example/").unwrap(), "evil");
    session.learn_nonce(&orders, "not a nonce");
    let headers = session.authorize("GET", &orders).await.unwrap();
    assert_eq!(
        crate::testing::claims(headers.proof().expose())["nonce"],
        "nonce-of-orders"
    );
    let headers = session.authorize("GET", &api("/v1/account")).await.unwrap();
    assert!(
        crate::testing::claims(headers.proof().expose())
            .get("nonce")
            .is_none()
    );
}

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

#[tokio::test]
async fn a_changed_account_is_what_the_status_shows_from_then_on() {
    let world = World::new();
    let postern = signed_in(&world).await;
    let mut changed = account_json();
    changed["identification"] = json!("signed");
    changed["nickname"] = json!("Li");
    world
        .transport
        .reply(json_reply(200, &json!({"account": changed})));
    postern.account().get().await.unwrap();
    let SessionStatus::SignedIn(shown) = world.postern().session().status().await else {
        panic!("not signed in");
    };
    assert_eq!(shown.nickname.as_deref(), Some("Li"));
    assert!(!format!("{shown:?}").contains("Li"));
}
