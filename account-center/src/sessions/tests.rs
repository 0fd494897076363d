#![allow(clippy::unwrap_used)]
//! Sessions over a database.

use std::collections::HashSet;
use std::sync::Mutex;

use super::*;
use crate::context::{Clock, SystemRandomness};
use crate::store::StoreError;
use crate::testing::TestDatabase;

struct TestClock(Mutex<i64>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(*self.0.lock().unwrap())
    }
}

struct Bench {
    clock: Arc<TestClock>,
    store: Store,
    _database: TestDatabase,
    sessions: Sessions,
}

fn device(text: u8) -> Thumbprint {
    Thumbprint::parse(&postern_server_security::base64url::encode([text; 32])).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let clock = Arc::new(TestClock(Mutex::new(1_800_000_000)));
        let context = Context::new(clock.clone(), Arc::new(SystemRandomness));
        let store = database.store().await;
        store
            .write(|tx| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('u1', 'real', 0, 1), ('u2', 'real', 0, 1)")
                        .execute(tx)
                        .await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        let random = SystemRandom::new();
        let signer =
            SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap();
        let keys = Keys::derive(&[1; 32]);
        let sessions = Sessions::new(
            context,
            &keys,
            Arc::new(signer),
            &[],
            "https://login.bank.example",
            &["cards".to_owned()],
            Lifetimes::default(),
        );
        Self {
            _database: database,
            clock,
            store,
            sessions,
        }
    }

    fn pass(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += seconds;
    }

    async fn open(&self, user_id: &str, device_key: Thumbprint) -> SessionGrant {
        let (sessions, user_id) = (self.sessions.clone(), user_id.to_owned());
        self.store
            .write(move |tx| {
                let sessions = sessions.clone();
                let new = NewSession {
                    user_id: user_id.clone(),
                    app_id: "bank-android".to_owned(),
                    device_key: device_key.clone(),
                    began_with: "wechat".to_owned(),
                    acr: Acr::Unsigned,
                };
                Box::pin(async move { sessions.open(tx, &new).await })
            })
            .await
            .unwrap()
    }

    async fn refresh_as(
        &self,
        app_id: &str,
        device_key: Thumbprint,
        token: &str,
    ) -> Result<SessionGrant, Code> {
        let (sessions, app_id, token) =
            (self.sessions.clone(), app_id.to_owned(), token.to_owned());
        let refreshed = self
            .store
            .write(move |tx| {
                let (sessions, app_id, device_key, token) = (
                    sessions.clone(),
                    app_id.clone(),
                    device_key.clone(),
                    token.clone(),
                );
                Box::pin(async move { sessions.refresh(tx, &app_id, &device_key, &token).await })
            })
            .await
            .unwrap();
        match refreshed {
            Refreshed::Granted(grant) => Ok(*grant),
            Refreshed::Refused(problem) => Err(problem.code),
        }
    }

    async fn refresh(&self, token: &str) -> Result<SessionGrant, Code> {
        self.refresh_as("bank-android", device(1), token).await
    }

    async fn live(&self, grant: &SessionGrant) -> Result<Row, Code> {
        let holder = self
            .sessions
            .check_token(grant.access_token.expose(), &device(1))
            .map_err(|problem| problem.code)?;
        let sessions = self.sessions.clone();
        self.store
            .read(move |tx| {
                let (sessions, holder) = (sessions.clone(), holder.clone());
                Box::pin(async move { sessions.live(tx, &holder).await })
            })
            .await
            .map_err(|problem| problem.code)
    }
}

#[tokio::test]
async fn l10_an_access_token_says_how_its_holder_was_identified_and_is_bound_to_the_device_key() {
    let bench = Bench::new().await;
    let grant = bench.open("u1", device(1)).await;
    let payload = grant.access_token.expose().split('.').nth(1).unwrap();
    let claims: serde_json::Value =
        serde_json::from_slice(&postern_server_security::base64url::decode(payload).unwrap())
            .unwrap();
    assert_eq!(claims["acr"], "unsigned");
    assert_eq!(claims["sub"], "u1");
    assert_eq!(claims["client_id"], "bank-android");
    assert_eq!(
        claims["aud"],
        serde_json::json!(["https://login.bank.example", "cards"])
    );
    assert_eq!(claims["cnf"]["jkt"], device(1).as_str());
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
    assert_eq!(
        (grant.expires_in, grant.refresh_expires_in),
        (300, 2_592_000)
    );
    assert_eq!(
        bench.live(&grant).await.unwrap().session_id,
        grant.session_id
    );
    let other = bench
        .sessions
        .check_token(grant.access_token.expose(), &device(2))
        .unwrap_err();
    assert_eq!(other.code, Code::InvalidDpopProof);
    bench.pass(300);
    assert_eq!(bench.live(&grant).await, Err(Code::InvalidToken));
    assert!(!format!("{grant:?}").contains(grant.refresh_token.expose()));
}

#[tokio::test]
async fn a_lost_refresh_reply_gives_the_same_successor_again_however_late() {
    let bench = Bench::new().await;
    let first = bench.open("u1", device(1)).await;
    let second = bench.refresh(first.refresh_token.expose()).await.unwrap();
    bench.pass(20 * 24 * 3600);
    let again = bench.refresh(first.refresh_token.expose()).await.unwrap();
    assert_eq!(again.refresh_token.expose(), second.refresh_token.expose());
    assert_eq!(again.session_id, first.session_id);
    assert!(bench.refresh(second.refresh_token.expose()).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_older_than_the_predecessor_ends_the_family() {
    let bench = Bench::new().await;
    let first = bench.open("u1", device(1)).await;
    let second = bench.refresh(first.refresh_token.expose()).await.unwrap();
    let third = bench.refresh(second.refresh_token.expose()).await.unwrap();
    assert_eq!(
        bench
            .refresh(first.refresh_token.expose())
            .await
            .unwrap_err(),
        Code::RefreshTokenReused
    );
    assert_eq!(
        bench
            .refresh(third.refresh_token.expose())
            .await
            .unwrap_err(),
        Code::RefreshTokenInvalid
    );
    assert_eq!(bench.live(&third).await, Err(Code::SessionEnded));
}

#[tokio::test]
async fn refresh_tokens_of_another_device_or_app_or_made_up_are_invalid_and_harm_nobody() {
    let bench = Bench::new().await;
    let first = bench.open("u1", device(1)).await;
    let token = first.refresh_token.expose();
    assert_eq!(
        bench
            .refresh_as("bank-android", device(2), token)
            .await
            .unwrap_err(),
        Code::RefreshTokenInvalid
    );
    assert_eq!(
        bench
            .refresh_as("other-app", device(1), token)
            .await
            .unwrap_err(),
        Code::RefreshTokenInvalid
    );
    let mut forged = token.to_owned();
    forged.replace_range(10..11, if &token[10..11] == "A" { "B" } else { "A" });
    for made_up in [forged.as_str(), "rt_", "", "rt_AAAA"] {
        assert_eq!(
            bench.refresh(made_up).await.unwrap_err(),
            Code::RefreshTokenInvalid
        );
    }
    assert!(bench.refresh(token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_refreshes_with_one_token_give_one_successor() {
    let bench = Bench::new().await;
    let first = bench.open("u1", device(1)).await;
    let all = futures_util::future::join_all(
        (0..20).map(|_| bench.refresh(first.refresh_token.expose())),
    )
    .await;
    let successors: HashSet<String> = all
        .into_iter()
        .map(|grant| grant.unwrap().refresh_token.expose().to_owned())
        .collect();
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(first.refresh_token.expose()));
}

#[tokio::test]
async fn m7_a_session_ends_when_unused_for_its_refresh_lifetime_and_at_its_own_end() {
    let bench = Bench::new().await;
    let idle = bench.open("u1", device(1)).await;
    let mut used = bench.open("u1", device(1)).await;
    bench.pass(25 * 24 * 3600);
    used = bench.refresh(used.refresh_token.expose()).await.unwrap();
    bench.pass(6 * 24 * 3600);
    assert_eq!(
        bench
            .refresh(idle.refresh_token.expose())
            .await
            .unwrap_err(),
        Code::RefreshTokenInvalid
    );
    used = bench.refresh(used.refresh_token.expose()).await.unwrap();
    for _ in 0..6 {
        bench.pass(24 * 24 * 3600);
        used = bench.refresh(used.refresh_token.expose()).await.unwrap();
    }
    // Day 175 of 180.
    assert_eq!(used.refresh_expires_in, 5 * 24 * 3600);
    bench.pass(5 * 24 * 3600);
    assert_eq!(
        bench
            .refresh(used.refresh_token.expose())
            .await
            .unwrap_err(),
        Code::RefreshTokenInvalid
    );
}

#[tokio::test]
async fn an_ended_session_is_over_for_its_access_token_and_not_listed() {
    let bench = Bench::new().await;
    let kept = bench.open("u1", device(1)).await;
    bench.pass(1);
    let ended = bench.open("u1", device(1)).await;
    bench.open("u2", device(1)).await;
    let holder = bench
        .sessions
        .check_token(ended.access_token.expose(), &device(1))
        .unwrap();
    bench.sessions.end(&bench.store, &holder).await.unwrap();
    bench.sessions.end(&bench.store, &holder).await.unwrap();
    assert_eq!(bench.live(&ended).await, Err(Code::SessionEnded));
    let holder = bench
        .sessions
        .check_token(kept.access_token.expose(), &device(1))
        .unwrap();
    let sessions = bench.sessions.clone();
    let list = bench
        .store
        .read(move |tx| {
            let (sessions, holder) = (sessions.clone(), holder.clone());
            Box::pin(async move { sessions.list(tx, &holder).await })
        })
        .await
        .unwrap();
    let listed: Vec<_> = list
        .sessions
        .iter()
        .map(|entry| {
            (
                entry.session_id.as_str(),
                entry.current,
                entry.began_with.as_str(),
            )
        })
        .collect();
    assert_eq!(listed, [(kept.session_id.as_str(), true, "wechat")]);
}
