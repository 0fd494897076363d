//! What is kept, what is found again, and who gets headers.

use super::*;

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
            &include_bytes!("../../../tests/fixtures/session-truncated.json")[..],
            unreadable.clone(),
        ),
        (
            include_bytes!("../../../tests/fixtures/session-newer-schema.json"),
            unreadable.clone(),
        ),
        (
            include_bytes!("../../../tests/fixtures/session-other-install.json"),
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
    let frozen = include_bytes!("../../../tests/fixtures/session-1.json");
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
