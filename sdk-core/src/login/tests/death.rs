//! The process dies at every point where it touches the world: each vault operation and each request, before it and after it. The next process
//! goes on, and nothing was done twice.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::fake_center::{FakeCenter, Person, SMS_CODE};
use crate::login::{LoginState, pending};
use crate::providers::{Provider, ProviderReply};
use crate::secret::{SecretBytes, SecretString};
use crate::session::SessionStatus;
use crate::testing::{FlakyVault, World};
use crate::transport::{HttpReply, HttpRequest, Transport, TransportError};
use crate::vault::{Vault, VaultError};

/// The life of one process: it ends when the points are used up.
struct Life {
    points: Mutex<Option<u32>>,
    passed: Mutex<u32>,
    dead: AtomicBool,
    died: Notify,
}

impl Life {
    fn new(points: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            points: Mutex::new(points),
            passed: Mutex::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        })
    }

    /// One point is passed; false: the process is dead.
    fn goes_on(&self) -> bool {
        if self.dead.load(Ordering::SeqCst) {
            return false;
        }
        *self.passed.lock().unwrap() += 1;
        let mut points = self.points.lock().unwrap();
        match points.as_mut() {
            Some(0) => {
                self.dead.store(true, Ordering::SeqCst);
                self.died.notify_one();
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

struct MortalVault(Arc<FlakyVault>, Arc<Life>);

impl MortalVault {
    fn changing<T>(&self, change: impl FnOnce() -> Result<T, VaultError>) -> Result<T, VaultError> {
        let before = self.1.goes_on();
        let result = before.then(change);
        let after = before && self.1.goes_on();
        match result {
            Some(result) if after => result,
            _ => Err(VaultError::Unavailable),
        }
    }
}

impl Vault for MortalVault {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        if self.1.goes_on() {
            self.0.load(name)
        } else {
            Err(VaultError::Unavailable)
        }
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        self.changing(|| self.0.store(name, value))
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.changing(|| self.0.delete(name))
    }

    fn description(&self) -> String {
        "mortal".to_owned()
    }
}

struct MortalTransport(Arc<FakeCenter>, Arc<Life>);

impl Transport for MortalTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>> {
        async move {
            if self.1.goes_on() {
                let reply = self.0.send(request).await;
                if self.1.goes_on() {
                    return reply;
                }
            }
            std::future::pending().await
        }
        .boxed()
    }
}

/// A person goes through the whole login. Gives what each process touched, in points.
async fn log_in(person: Person, die_at: Option<u32>) -> (Vec<u32>, Arc<FakeCenter>, World) {
    let world = World::with_clock(crate::testing::FakeClock::standing());
    let center = FakeCenter::new(&world.root, person);
    let mut points = die_at;
    let mut touched = Vec::new();
    for process in 0..4 {
        assert!(process < 3, "one death needs no more than two processes");
        let life = Life::new(points.take());
        let postern = world
            .builder(world.config())
            .shared_vault(Arc::new(MortalVault(
                Arc::clone(&world.vault),
                Arc::clone(&life),
            )))
            // Each process has its own randomness: keys of calls must differ.
            .randomness(Arc::new(crate::random::SystemRandomness::new()))
            .transport(Arc::new(MortalTransport(
                Arc::clone(&center),
                Arc::clone(&life),
            )))
            .build()
            .unwrap();
        let living = async {
            let mut states = postern.login().states();
            while let Some(state) = states.next().await {
                match state {
                    LoginState::Ready(info, step) => {
                        assert_eq!(info.failure, None);
                        if let SessionStatus::SignedIn(_) = postern.session().status().await {
                            return;
                        }
                        step.choose(Provider::WeChat).await.unwrap();
                    }
                    LoginState::Authorizing(request, step) => {
                        let reply = ProviderReply {
                            state: Some(request.state),
                            code: Some(SecretString::from("0815")),
                            error_code: Some(0),
                        };
                        step.answer(reply).await.unwrap();
                    }
                    LoginState::Resolving => {}
                    LoginState::PhoneNeeded(info, step) => {
                        assert_eq!(info.failure, None);
                        step.submit("13800000000").await.unwrap();
                    }
                    LoginState::SmsCodeNeeded(info, step) => {
                        assert_eq!(info.failure, None);
                        step.submit(SMS_CODE).await.unwrap();
                    }
                    LoginState::VerificationNeeded(info, step) => {
                        assert_eq!(info.failure, None);
                        step.submit_login_password(SecretString::from("Str0ng-enough"))
                            .await
                            .unwrap();
                    }
                    LoginState::RegistrationNeeded(info, step) => {
                        assert_eq!(info.failure, None);
                        step.submit(SecretString::from("Str0ng-enough"))
                            .await
                            .unwrap();
                    }
                    LoginState::FaceNeeded(info, step) => {
                        assert_eq!(info.failure, None);
                        step.submit(SecretString::from("ft_pass")).await.unwrap();
                    }
                    LoginState::LoggedIn(_) => return,
                    LoginState::Refused(..) | LoginState::Stopped(..) => panic!("{state:?}"),
                }
            }
        };
        let alive = tokio::select! {
            biased;
            () = life.died.notified() => false,
            () = async { tokio::time::timeout(Duration::from_secs(30), living).await.expect("it goes on") } => true,
        };
        touched.push(*life.passed.lock().unwrap());
        drop(postern);
        // The task of the dead process ends before the next one begins.
        tokio::task::yield_now().await;
        if alive {
            break;
        }
    }
    (touched, center, world)
}

async fn dies_everywhere(person: Person, expected: [u32; 5]) {
    let (touched, center, _world) = log_in(person, None).await;
    assert_eq!(center.counts(), expected);
    let points = touched[0];
    assert!(points > 20, "{points}");
    for point in 0..points {
        let (touched, center, world) = log_in(person, Some(point)).await;
        assert_eq!(
            touched.len(),
            if touched[0] > point { 2 } else { 1 },
            "dies at {point}"
        );
        assert_eq!(center.counts(), expected, "dies at {point}");
        // The last process is done when it says so; what it kept is gone, or will be replaced by the same session.
        let kept = world.vault.load(pending::RECORD).unwrap();
        let session = world.vault.load("session").unwrap();
        assert!(session.is_some() && kept.is_none(), "dies at {point}");
    }
}

#[tokio::test]
async fn u1_a_new_persons_process_may_die_at_any_point() {
    dies_everywhere(Person::NewUnsigned, [1, 1, 1, 1, 0]).await;
}

#[tokio::test]
async fn l5_a_signed_customers_process_may_die_at_any_point() {
    dies_everywhere(Person::NewSigned, [1, 1, 0, 1, 0]).await;
}

#[tokio::test]
async fn l7_a_returning_persons_process_may_die_at_any_point() {
    dies_everywhere(Person::ReturningUnsigned, [1, 0, 0, 1, 0]).await;
}
