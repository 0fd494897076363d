//! What takes a kill, a clock or many callers: told here, since a scenario can't.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_sdk_core::login::{Login, LoginState, PhoneStep, StateStream};
use postern_sdk_core::providers::{Provider, ProviderReply};
use postern_sdk_core::secret::SecretString;
use postern_sdk_core::session::SessionStatus;
use postern_sdk_core::time::{Clock, SystemClock};
use postern_sdk_core::vault::EncryptedFileVault;
use postern_sdk_core::{Postern, PosternConfig};
use postern_tests::{Person, World};
use serde_json::json;

/// No state takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A phone on which the SDK's process may end and start again.
struct Phone {
    folder: PathBuf,
    person: Person,
}

/// The SDK's process.
struct App {
    postern: Postern,
    _login: Login,
    states: StateStream,
}

impl Phone {
    async fn of(world: &World, kind: &str) -> Self {
        let person = world
            .simulator()
            .person(&json!({ "kind": kind }))
            .await
            .unwrap();
        Self {
            folder: world.env().scratch.join(&person.wechat_person),
            person,
        }
    }

    fn start(&self, world: &World) -> App {
        self.start_with(world, Arc::new(SystemClock::new()))
    }

    fn start_with(&self, world: &World, clock: Arc<dyn Clock>) -> App {
        let env = world.env();
        let mut config = PosternConfig::new(&env.account_center, &env.app_id, &env.root_key);
        config.data_dir = Some(self.folder.join("app"));
        let postern = Postern::builder(config)
            .vault(EncryptedFileVault::open(self.folder.join("vault")).unwrap())
            .clock(clock)
            .build()
            .unwrap();
        let login = postern.login();
        App {
            states: login.states(),
            _login: login,
            postern,
        }
    }

    /// A new account, and its session.
    async fn registered(&self, world: &World) -> App {
        let mut app = self.start(world);
        app.up_to_the_code(world, &self.person).await;
        app.type_code(world, &self.person).await;
        let state = app.next().await;
        let LoginState::RegistrationNeeded(_, step) = state else {
            panic!("registration was expected, not {state:?}");
        };
        let password = self.person.login_password.clone().unwrap();
        step.submit(SecretString::from(password)).await.unwrap();
        assert!(matches!(app.next().await, LoginState::LoggedIn(_)));
        app
    }
}

impl App {
    /// The next state that is not `Resolving`.
    async fn next(&mut self) -> LoginState {
        loop {
            let state = tokio::time::timeout(PATIENCE, self.states.next())
                .await
                .expect("a state in time")
                .expect("the SDK runs");
            if !matches!(state, LoginState::Resolving) {
                return state;
            }
        }
    }

    /// Consent: the phone number is asked.
    async fn up_to_the_phone(&mut self, world: &World, person: &Person) -> PhoneStep {
        let state = self.next().await;
        let LoginState::Ready(_, step) = state else {
            panic!("the buttons were expected, not {state:?}");
        };
        step.choose(Provider::WeChat).await.unwrap();
        let state = self.next().await;
        let LoginState::Authorizing(request, step) = state else {
            panic!("the way to WeChat was expected, not {state:?}");
        };
        let answer = world
            .simulator()
            .wechat_answers(person, &request, "agree")
            .await
            .unwrap();
        let reply = ProviderReply {
            state: answer.state,
            code: answer.code.map(SecretString::from),
            error_code: Some(answer.err_code),
        };
        step.answer(reply).await.unwrap();
        let state = self.next().await;
        let LoginState::PhoneNeeded(_, step) = state else {
            panic!("the phone number was expected, not {state:?}");
        };
        step
    }

    /// Consent, then the phone number: an SMS has been sent.
    async fn up_to_the_code(&mut self, world: &World, person: &Person) {
        let step = self.up_to_the_phone(world, person).await;
        step.submit(&person.phone).await.unwrap();
    }

    async fn type_code(&mut self, world: &World, person: &Person) {
        let state = self.next().await;
        let LoginState::SmsCodeNeeded(_, step) = state else {
            panic!("the code was expected, not {state:?}");
        };
        let code = world.simulator().newest_code(&person.phone).await.unwrap();
        step.submit(&code).await.unwrap();
    }
}

/// The system's clock, some time ahead.
struct Ahead(SystemClock, Duration);

impl Clock for Ahead {
    fn now(&self) -> Duration {
        self.0.now() + self.1
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(
        &self,
        how_long: Duration,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.0.sleep(how_long)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_u1_a_login_goes_on_after_the_account_center_was_killed() {
    let mut world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    let mut app = phone.start(&world);
    app.up_to_the_code(&world, &phone.person).await;
    world.crash_account_center().await.unwrap();
    app.type_code(&world, &phone.person).await;
    assert!(matches!(
        app.next().await,
        LoginState::RegistrationNeeded(..)
    ));
    assert_eq!(
        world.simulator().inbox(&phone.person.phone).await.unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m7_a_session_outlives_the_account_center_that_gave_it() {
    let mut world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    let app = phone.registered(&world).await;
    world.crash_account_center().await.unwrap();
    app.postern.session().renew().await.unwrap();
    app.postern.account().get().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u1_a_process_that_dies_while_its_request_is_under_way_repeats_it_and_sends_one_sms() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    let mut app = phone.start(&world);
    let step = app.up_to_the_phone(&world, &phone.person).await;
    let slow =
        json!({"party": "sms", "fault": {"kind": "delay", "milliseconds": 1500}, "times": 1});
    world.simulator().fault(&slow).await.unwrap();
    world.simulator().forget_requests().await.unwrap();
    let number = phone.person.phone.clone();
    let submitting = tokio::spawn(async move { step.submit(&number).await });
    // Under way: the network has seen it, and no reply.
    loop {
        let seen = world.simulator().gateway_requests().await.unwrap();
        match seen.first() {
            Some(request) if request.status.is_none() => break,
            Some(request) => panic!("it was answered too soon: {request:?}"),
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    submitting.abort();
    drop(app);
    let mut app = phone.start(&world);
    app.type_code(&world, &phone.person).await;
    assert!(matches!(
        app.next().await,
        LoginState::RegistrationNeeded(..)
    ));
    assert_eq!(
        world.simulator().inbox(&phone.person.phone).await.unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_login_that_has_expired_is_a_clean_start() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    let mut app = phone.start(&world);
    app.up_to_the_code(&world, &phone.person).await;
    assert!(matches!(app.next().await, LoginState::SmsCodeNeeded(..)));
    drop(app);
    let later = Ahead(SystemClock::new(), Duration::from_mins(11));
    let mut app = phone.start_with(&world, Arc::new(later));
    assert!(matches!(app.next().await, LoginState::Ready(..)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_callers_make_one_refresh_request() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    let app = phone.registered(&world).await;
    world.simulator().forget_requests().await.unwrap();
    // So slow that all callers come while it is under way.
    let slow = json!({"party": "gateway", "path": "/v1/sessions/refresh", "fault": {"kind": "delay", "milliseconds": 300}});
    world.simulator().fault(&slow).await.unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let session = app.postern.session();
            tokio::spawn(async move { session.renew().await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let seen = world.simulator().gateway_requests().await.unwrap();
    let refreshes = seen
        .iter()
        .filter(|request| request.path == "/v1/sessions/refresh")
        .count();
    assert_eq!(refreshes, 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_file_was_cut_short_is_a_clean_start() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world, "unsigned").await;
    drop(phone.registered(&world).await);
    for file in files_below(&phone.folder.join("vault")) {
        if file.file_name().is_some_and(|name| name != "vault.key") {
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    let mut app = phone.start(&world);
    assert!(matches!(app.next().await, LoginState::Ready(..)));
    assert!(!matches!(
        app.postern.session().status().await,
        SessionStatus::SignedIn(_)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_phone_number_is_in_any_log_database_or_vault() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world, "signed").await;
    let mut app = phone.start(&world);
    app.up_to_the_code(&world, &phone.person).await;
    let code = world
        .simulator()
        .newest_code(&phone.person.phone)
        .await
        .unwrap();
    app.type_code(&world, &phone.person).await;
    let state = app.next().await;
    let LoginState::VerificationNeeded(_, step) = state else {
        panic!("a proof was expected, not {state:?}");
    };
    let (card, withdrawal) = (
        phone.person.card_number.clone().unwrap(),
        phone.person.withdrawal_password.clone().unwrap(),
    );
    step.submit_card(
        &SecretString::from(card.as_str()),
        &SecretString::from(withdrawal.as_str()),
    )
    .await
    .unwrap();
    let state = app.next().await;
    let LoginState::FaceNeeded(info, step) = state else {
        panic!("the face was expected, not {state:?}");
    };
    let ticket = world
        .simulator()
        .face_performs(&info.face_session, "pass")
        .await
        .unwrap();
    step.submit(SecretString::from(ticket.as_str()))
        .await
        .unwrap();
    assert!(matches!(app.next().await, LoginState::LoggedIn(_)));
    let url = format!("{}/v1/account", world.env().account_center);
    let authorized = app
        .postern
        .session()
        .authorize("GET", &url.parse().unwrap())
        .await
        .unwrap();
    let token = authorized
        .authorization()
        .expose()
        .trim_start_matches("DPoP ")
        .to_owned();
    let national = phone.person.phone.trim_start_matches("+86").to_owned();
    let secrets = [national, card, ticket, token];
    let mut looked_at = BTreeSet::new();
    for file in files_below(world.folder()) {
        let bytes = fs::read(&file).unwrap();
        for secret in &secrets {
            assert!(
                !contains(&bytes, secret.as_bytes()),
                "a secret is in {}",
                file.display()
            );
        }
        looked_at.insert(file.extension().unwrap_or_default().to_owned());
    }
    // Short digits would be found in any large file by chance; logs are text, and small.
    for name in ["postern-account-center.log", "postern-simulator.log"] {
        let text = fs::read_to_string(world.folder().join(name)).unwrap();
        assert!(!text.is_empty(), "{name} says nothing");
        assert!(!text.contains(&code), "the SMS code is in {name}");
        assert!(
            !text.contains(&withdrawal),
            "the withdrawal password is in {name}"
        );
    }
    assert!(looked_at.len() > 1, "there were logs and data to look at");
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
