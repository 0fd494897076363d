//! A login from the outside: through `Postern`, its steps and the real client, against a small account center behind the transport.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;

use super::fake_center::{FakeCenter, Fault, Person, SMS_CODE};
use super::pending::RECORD;
use super::*;
use crate::postern::Postern;
use crate::providers::Provider;
use crate::refusal::{Advice, RefusalKind};
use crate::secret::{SecretBytes, SecretString};
use crate::session::SessionStatus;
use crate::testing::{FakeClock, World};
use crate::transport::Transport;
use crate::vault::{Vault, VaultError};

const PASSWORD: &str = "Str0ng-enough";
/// Shorter than the life of a key list.
const QUIET: Duration = Duration::from_secs(3600);
const CARD: &str = "4111111111111111";

/// A phone: its vault, its clock, and the account center that it reaches.
struct Phone {
    world: World,
    center: Arc<FakeCenter>,
}

impl Phone {
    fn of(person: Person) -> Self {
        Self::in_world(World::new(), person)
    }

    /// Here a wait lasts, so that what has a time limit can be done within it.
    fn with_standing_clock(person: Person) -> Self {
        Self::in_world(World::with_clock(FakeClock::standing()), person)
    }

    fn in_world(world: World, person: Person) -> Self {
        let center = FakeCenter::new(&world.root, person);
        Self { world, center }
    }

    /// A new process.
    fn postern(&self) -> Postern {
        let mut config = self.world.config();
        assert_eq!(config.refusal_quiet, Duration::from_secs(24 * 3600));
        config.refusal_quiet = QUIET;
        self.world
            .builder(config)
            .transport(Arc::clone(&self.center) as Arc<dyn Transport>)
            .build()
            .unwrap()
    }

    /// A new process, its login, and the states of it.
    fn begin(&self) -> (Postern, StateStream) {
        let postern = self.postern();
        let states = postern.login().states();
        (postern, states)
    }

    fn kept(&self) -> Option<String> {
        let bytes = self.world.vault.inner.load(RECORD).unwrap()?;
        Some(String::from_utf8(bytes.expose().to_vec()).unwrap())
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// The next state that is not Resolving.
async fn settled(states: &mut StateStream) -> LoginState {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), states.next());
        match next
            .await
            .expect("a state follows")
            .expect("the login goes on")
        {
            LoginState::Resolving => {}
            state => return state,
        }
    }
}

/// `expect!(states, PhoneNeeded(info, step))`: the next settled state, taken apart.
macro_rules! expect {
    ($states:expr, $state:ident($($part:pat),+)) => {
        let state = settled(&mut $states).await;
        let LoginState::$state($($part),+) = state else {
            panic!("expected {}, got {state:?}", stringify!($state))
        };
    };
}

fn wechat(request: &AuthorizationRequest, error_code: i32, code: Option<&str>) -> ProviderReply {
    ProviderReply {
        state: Some(request.state.clone()),
        code: code.map(secret),
        error_code: Some(error_code),
    }
}

/// Through the button and `WeChat`, agreeing.
async fn agree(states: &mut StateStream) {
    expect!(*states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(*states, Authorizing(request, step));
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
}

fn failure_code(failure: Option<Failure>) -> Option<String> {
    failure.map(|failure| failure.code)
}

#[tokio::test]
async fn l6_a_new_unsigned_person_registers_in_four_round_trips() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(info, step));
    assert_eq!((info.failure, info.expires_in), (None, 600));
    step.submit("138 0000 0000").await.unwrap();
    expect!(states, SmsCodeNeeded(info, step));
    assert_eq!(
        (
            info.attempts_left,
            info.digits,
            info.resend_after,
            info.code_expires_in
        ),
        (5, 6, 60, 600)
    );
    step.submit(SMS_CODE).await.unwrap();
    expect!(states, RegistrationNeeded(info, step));
    assert_eq!(
        (
            info.rules.min_length,
            info.rules.max_length,
            info.rules.min_classes
        ),
        (8, 64, 2)
    );
    step.submit(secret(PASSWORD)).await.unwrap();
    expect!(states, LoggedIn(account));
    assert_eq!(account.user_id, "u-1");
    assert!(matches!(
        postern.session().status().await,
        SessionStatus::SignedIn(_)
    ));

    let seen = phone.center.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(
        seen[0].json(),
        json!({"app_id": "bank-android", "start": {"provider": {"provider": "wechat", "code": "0815"}}})
    );
    assert_eq!(seen[1].json()["answer"], json!({"phone": "+8613800000000"}));
    assert!(
        seen.iter().all(|login| login.nonce.is_some()),
        "the nonce costs no round trip"
    );
    assert_eq!(phone.center.counts(), [1, 1, 1, 1, 0]);
}

#[tokio::test]
async fn l5_a_new_signed_customer_passes_card_and_face_in_five_round_trips() {
    let phone = Phone::of(Person::NewSigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(_, step));
    step.submit(SMS_CODE).await.unwrap();
    expect!(states, VerificationNeeded(info, step));
    assert_eq!(
        info.methods,
        [VerificationMethod::LoginPassword, VerificationMethod::Card]
    );
    step.submit_card(&secret("4111 1111 1111 1111"), &secret("123456"))
        .await
        .unwrap();
    expect!(states, FaceNeeded(info, step));
    assert_eq!(
        (
            info.face_session.as_str(),
            info.nonce.as_str(),
            info.attempts_left
        ),
        ("fs-1", "fn-1", 3)
    );
    step.submit(secret("ft_fail")).await.unwrap();
    expect!(states, FaceNeeded(info, step));
    assert_eq!(
        (failure_code(info.failure).as_deref(), info.attempts_left),
        (Some("face_failed"), 2)
    );
    step.submit(secret("ft_pass")).await.unwrap();
    expect!(states, LoggedIn(_));
    assert_eq!(phone.center.seen().len(), 6, "five, and the failed face");
}

#[tokio::test]
async fn l7_returning_people_need_one_and_two_round_trips() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, LoggedIn(_));
    assert_eq!(phone.center.seen().len(), 1);

    let phone = Phone::of(Person::ReturningSigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, FaceNeeded(_, step));
    step.submit(secret("ft_pass")).await.unwrap();
    expect!(states, LoggedIn(_));
    assert_eq!(phone.center.seen().len(), 2);
}

#[tokio::test]
async fn l5_who_declines_the_face_gets_the_banks_alternative() {
    let phone = Phone::with_standing_clock(Person::ReturningSigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, FaceNeeded(info, step));
    step.decline().await.unwrap();
    expect!(states, Stopped(stop, step));
    assert_eq!(
        (stop.reason, stop.alternative),
        (StopReason::FaceDeclined, Some(info.alternative))
    );
    assert_eq!(
        step.try_again().await,
        Err(StepError::Invalid(InvalidInput::NotOffered))
    );
    step.start_over().await.unwrap();
    expect!(states, Ready(info, _step));
    assert_eq!(info.failure, None);
    assert_eq!((phone.center.counts()[4], phone.kept()), (1, None));
}

#[tokio::test]
async fn a_double_tap_is_one_answer() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    let twin = step.clone();
    let (one, other) = tokio::join!(step.submit("13800000000"), twin.submit("13900000000"));
    assert_eq!((one, other), (Ok(()), Err(StepError::Superseded)));
    expect!(states, SmsCodeNeeded(_, _step));
    assert_eq!(
        step.cancel().await,
        Err(StepError::Superseded),
        "a step serves once"
    );
    assert_eq!(
        (phone.center.seen().len(), phone.center.counts()[1]),
        (2, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_taps_on_many_threads_one_gets_through() {
    for _ in 0..20 {
        let phone = Phone::of(Person::NewUnsigned);
        let (_postern, mut states) = phone.begin();
        agree(&mut states).await;
        expect!(states, PhoneNeeded(_, step));
        let taps: Vec<_> = (0..8)
            .map(|_| {
                let step = step.clone();
                tokio::spawn(async move { step.submit("13800000000").await })
            })
            .collect();
        let mut won = 0;
        for tap in taps {
            match tap.await.unwrap() {
                Ok(()) => won += 1,
                Err(error) => assert_eq!(error, StepError::Superseded),
            }
        }
        assert_eq!((won, phone.center.counts()[1]), (1, 1));
    }
}

#[tokio::test]
async fn a_step_returns_once_the_state_after_it_was_announced_and_its_future_may_be_dropped() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    assert!(matches!(
        postern.login().state(),
        LoginState::PhoneNeeded(..)
    ));
    expect!(states, PhoneNeeded(_, step));
    {
        // A rotated screen: the future is polled once and dropped.
        let mut submitting = Box::pin(step.submit("13800000000"));
        assert!(submitting.as_mut().now_or_never().is_none());
    }
    expect!(states, SmsCodeNeeded(_, _step));
}

#[tokio::test]
async fn wrong_forms_use_nothing_up() {
    let phone = Phone::of(Person::NewSigned);
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    assert_eq!(
        step.choose(Provider::Alipay).await,
        Err(StepError::Invalid(InvalidInput::NotOffered))
    );
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, step));
    for state in [None, Some(String::new()), Some("another".to_owned())] {
        let stray = ProviderReply {
            state,
            ..wechat(&request, 0, Some("evil"))
        };
        assert_eq!(
            step.answer(stray).await,
            Err(StepError::Invalid(InvalidInput::StrayAnswer))
        );
    }
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
    expect!(states, PhoneNeeded(_, step));
    let typo = step.submit("1380000000").await;
    assert_eq!(
        typo,
        Err(StepError::Invalid(InvalidInput::PhoneNumber(
            PhoneNumberError::TooShort
        )))
    );
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(_, step));
    assert_eq!(
        step.submit("12345").await,
        Err(StepError::Invalid(InvalidInput::SmsCode { digits: 6 }))
    );
    step.submit("２４６ ８１０").await.unwrap();
    expect!(states, VerificationNeeded(_, step));
    let mistyped = step
        .submit_card(&secret("4111111111111112"), &secret("123456"))
        .await;
    assert_eq!(
        mistyped,
        Err(StepError::Invalid(InvalidInput::CardNumberMistyped))
    );
    assert_eq!(
        step.submit_login_password(secret("")).await,
        Err(StepError::Invalid(InvalidInput::PasswordEmpty))
    );
    step.submit_login_password(secret(PASSWORD)).await.unwrap();
    expect!(states, FaceNeeded(_, step));
    assert_eq!(
        step.submit(secret("")).await,
        Err(StepError::Invalid(InvalidInput::FaceTicket))
    );
    step.submit(secret("ft_pass")).await.unwrap();
    expect!(states, LoggedIn(_));
    assert_eq!(phone.center.seen().len(), 5);
}

#[tokio::test]
async fn l4_wrong_codes_to_the_limit_stop_the_login() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    step.submit("13800000000").await.unwrap();
    for left in [4, 3, 2, 1] {
        expect!(states, SmsCodeNeeded(_, step));
        step.submit("000000").await.unwrap();
        let LoginState::SmsCodeNeeded(info, _) = postern.login().state() else {
            panic!("still asked")
        };
        assert_eq!(
            (info.attempts_left, failure_code(info.failure).as_deref()),
            (left, Some("sms_code_wrong"))
        );
    }
    expect!(states, SmsCodeNeeded(_, step));
    step.submit("000000").await.unwrap();
    expect!(states, Stopped(stop, _step));
    assert_eq!(
        (stop.reason, stop.retry_after, stop.can_try_again),
        (StopReason::TooManyAttempts, Some(900), false)
    );
    assert_eq!(phone.kept(), None);
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_with_identical_bytes() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, step));
    phone.center.fault(Fault::DropReply, 1);
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
    expect!(states, PhoneNeeded(info, step));
    assert_eq!(info.failure, None, "nobody noticed");
    phone.center.fault(Fault::DropReply, 2);
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(_, _step));
    let seen = phone.center.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!((&seen[0].key, &seen[0].body), (&seen[1].key, &seen[1].body));
    assert_eq!((&seen[2].key, &seen[2].body), (&seen[4].key, &seen[4].body));
    assert_eq!(phone.center.counts(), [1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_failed_start_lands_at_the_buttons_and_a_failed_answer_at_its_step() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    for (fault, code) in [
        (Fault::DropRequest, "network"),
        (Fault::Rubbish, "server_unintelligible"),
        (Fault::BadGateway, "server_unavailable"),
    ] {
        expect!(states, Ready(_, step));
        step.choose(Provider::WeChat).await.unwrap();
        expect!(states, Authorizing(request, step));
        phone.center.fault(fault, 4);
        step.answer(wechat(&request, 0, Some("0815")))
            .await
            .unwrap();
        let LoginState::Ready(info, _) = postern.login().state() else {
            panic!("at the buttons")
        };
        assert_eq!(failure_code(info.failure).as_deref(), Some(code));
        assert_eq!(phone.kept(), None);
        phone.center.clear_faults();
    }
    agree(&mut states).await;
    for (fault, code) in [
        (Fault::DropRequest, "network"),
        (Fault::Rubbish, "server_unintelligible"),
        (Fault::BadGateway, "server_unavailable"),
    ] {
        expect!(states, PhoneNeeded(_, step));
        phone.center.fault(fault, 4);
        step.submit("13800000000").await.unwrap();
        let LoginState::PhoneNeeded(info, _) = postern.login().state() else {
            panic!("at the step")
        };
        assert_eq!(failure_code(info.failure).as_deref(), Some(code));
        phone.center.clear_faults();
    }
    expect!(states, PhoneNeeded(_, step));
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(info, _step));
    assert_eq!((info.failure, phone.center.counts()[1]), (None, 1));
}

#[tokio::test]
async fn an_answer_that_was_carried_out_unheard_is_found_again_by_the_next_one() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    phone.center.fault(Fault::DropReply, 4);
    step.submit("13800000000").await.unwrap();
    expect!(states, PhoneNeeded(info, step));
    assert_eq!(failure_code(info.failure).as_deref(), Some("network"));
    // The SMS went out. The stale step is repaired without a second one.
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(info, step));
    assert_eq!(
        (info.failure.unwrap().kind, phone.center.counts()[1]),
        (FailureKind::Moved, 1)
    );
    step.submit(SMS_CODE).await.unwrap();
    expect!(states, RegistrationNeeded(_, step));
    // The last answer ends the login at the server, and nobody hears of it.
    phone.center.fault(Fault::DropReply, 4);
    step.submit(secret(PASSWORD)).await.unwrap();
    expect!(states, RegistrationNeeded(_, step));
    let before = phone.center.seen().len();
    step.submit(secret(PASSWORD)).await.unwrap();
    expect!(states, LoggedIn(_));
    assert_eq!(
        phone.center.seen().len() - before,
        2,
        "the new answer, then the old one again"
    );
    assert_eq!(phone.center.counts(), [1, 1, 1, 1, 0]);
}

/// A vault that keeps everything but the session, while it is full.
struct Full {
    inner: Arc<crate::testing::FlakyVault>,
    full: Arc<std::sync::atomic::AtomicBool>,
}

impl Vault for Full {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        self.inner.load(name)
    }

    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        if name == "session" && self.full.load(Ordering::SeqCst) {
            return Err(VaultError::Failed {
                what: "full".into(),
            });
        }
        self.inner.store(name, value)
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.inner.delete(name)
    }

    fn description(&self) -> String {
        "full".to_owned()
    }
}

#[tokio::test]
async fn a_session_that_could_not_be_saved_is_no_login() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let vault = Arc::new(Full {
        inner: Arc::clone(&phone.world.vault),
        full: Arc::clone(&full),
    });
    let build = || {
        let builder = phone
            .world
            .builder(phone.world.config())
            .shared_vault(Arc::clone(&vault) as Arc<dyn Vault>);
        builder
            .transport(Arc::clone(&phone.center) as Arc<dyn Transport>)
            .build()
            .unwrap()
    };
    let postern = build();
    let mut states = postern.login().states();
    agree(&mut states).await;
    expect!(states, Stopped(stop, step));
    assert_eq!(
        (stop.reason, stop.can_try_again),
        (StopReason::SessionNotSaved, true)
    );
    assert!(!matches!(
        postern.session().status().await,
        SessionStatus::SignedIn(_)
    ));
    step.try_again().await.unwrap();
    expect!(states, Stopped(stop, _step));
    assert_eq!(stop.reason, StopReason::SessionNotSaved);
    assert_eq!(phone.center.seen().len(), 1, "saving again asks nobody");
    drop((postern, states));

    // A new process repeats the last call and gets the same session, which still can't be saved.
    let postern = build();
    let mut states = postern.login().states();
    expect!(states, Stopped(stop, step));
    assert_eq!(
        (stop.reason, phone.center.counts()[3]),
        (StopReason::SessionNotSaved, 1)
    );
    full.store(false, Ordering::SeqCst);
    step.try_again().await.unwrap();
    expect!(states, LoggedIn(_));
    assert!(matches!(
        postern.session().status().await,
        SessionStatus::SignedIn(_)
    ));
    assert_eq!((phone.kept(), phone.center.counts()[3]), (None, 1));
}

#[tokio::test]
async fn who_starts_over_after_a_session_that_could_not_be_saved_begins_at_the_buttons() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let vault = Full {
        inner: Arc::clone(&phone.world.vault),
        full: Arc::new(std::sync::atomic::AtomicBool::new(true)),
    };
    let builder = phone.world.builder(phone.world.config()).vault(vault);
    let postern = builder
        .transport(Arc::clone(&phone.center) as Arc<dyn Transport>)
        .build()
        .unwrap();
    let mut states = postern.login().states();
    agree(&mut states).await;
    expect!(states, Stopped(_stop, step));
    assert!(phone.kept().is_some());
    step.start_over().await.unwrap();
    expect!(states, Ready(info, _step));
    assert_eq!((info.failure, phone.kept()), (None, None));
}

#[tokio::test]
async fn nobody_leaves_and_nothing_is_sent_when_it_could_not_be_kept() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    phone.world.vault.fail_stores(Some(VaultError::Unavailable));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Ready(info, step));
    assert_eq!(failure_code(info.failure).as_deref(), Some("vault"));
    phone.world.vault.fail_stores(None);
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, step));
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
    expect!(states, PhoneNeeded(_, step));
    phone.world.vault.fail_stores(Some(VaultError::Unavailable));
    step.submit("13800000000").await.unwrap();
    expect!(states, PhoneNeeded(info, step));
    assert_eq!(info.failure.unwrap().kind, FailureKind::Device);
    assert_eq!(phone.center.seen().len(), 1, "not kept, so not sent");
    phone.world.vault.fail_stores(None);
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(_, _step));
}

#[tokio::test]
async fn w8_each_way_back_from_wechat_has_its_word_and_returns_to_the_buttons() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    for (error_code, away, kind) in [
        (-4, 5_000, RefusalKind::Denied),
        (-4, 100, RefusalKind::Misconfigured),
        (-2, 5_000, RefusalKind::Cancelled),
        (-1, 5_000, RefusalKind::ProviderFailed),
    ] {
        expect!(states, Ready(_, step));
        step.choose(Provider::WeChat).await.unwrap();
        expect!(states, Authorizing(request, step));
        phone.world.clock.advance(Duration::from_millis(away));
        step.answer(wechat(&request, error_code, None))
            .await
            .unwrap();
        expect!(states, Refused(refusal, step));
        assert_eq!(
            (refusal.kind, refusal.settings_hint.is_some()),
            (kind, kind == RefusalKind::Denied)
        );
        assert_eq!(phone.kept(), None);
        step.dismiss().await.unwrap();
    }
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(_, step));
    step.app_missing().await.unwrap();
    expect!(states, Refused(refusal, step));
    assert_eq!(refusal.kind, RefusalKind::AppMissing);
    step.ask_again().await.unwrap();
    expect!(states, Authorizing(_, step));
    step.returned_without_answer().await.unwrap();
    expect!(states, Refused(refusal, step));
    assert_eq!(refusal.kind, RefusalKind::ReturnedWithoutAnswer);
    step.ask_again().await.unwrap();
    expect!(states, Authorizing(_, step));
    step.cancel().await.unwrap();
    expect!(states, Ready(info, _step));
    assert_eq!(info.failure, None);
    assert_eq!(phone.center.seen().len(), 0);
    assert!(!matches!(
        postern.session().status().await,
        SessionStatus::SignedIn(_)
    ));
}

#[tokio::test]
async fn an_answer_of_an_earlier_attempt_is_a_stray() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(old, step));
    step.returned_without_answer().await.unwrap();
    expect!(states, Refused(_, step));
    step.ask_again().await.unwrap();
    expect!(states, Authorizing(new, step));
    assert_ne!(old.state, new.state);
    // WeChat calls back late, for the first attempt.
    let late = step.answer(wechat(&old, 0, Some("0815"))).await;
    assert_eq!(late, Err(StepError::Invalid(InvalidInput::StrayAnswer)));
    step.answer(wechat(&new, 0, Some("0816"))).await.unwrap();
    expect!(states, PhoneNeeded(_, _step));
}

#[tokio::test]
async fn m1_cancel_leads_to_the_buttons_and_tells_the_server() {
    let phone = Phone::with_standing_clock(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    step.cancel().await.unwrap();
    expect!(states, Ready(info, step));
    assert_eq!(
        (info.failure, phone.center.counts()[4], phone.kept()),
        (None, 1, None)
    );
    // Also without a network, and soon.
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, step));
    step.answer(wechat(&request, 0, Some("0816")))
        .await
        .unwrap();
    expect!(states, PhoneNeeded(_, step));
    phone.center.fault(Fault::DropRequest, 100);
    let before = phone.world.clock.slept().len();
    let clock = Arc::clone(&phone.world.clock);
    let begun = crate::testing::START;
    let passing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_millis(100));
        }
    };
    tokio::select! {
        cancelled = step.cancel() => cancelled.unwrap(),
        () = passing => {}
    }
    expect!(states, Ready(info, _step));
    assert_eq!((info.failure, phone.kept()), (None, None));
    assert!(phone.world.clock.slept().len() > before);
    let waited = crate::time::Clock::now(&crate::testing::SharedClock(clock)).as_secs() - begun;
    assert!(waited <= 4, "the person waited {waited} s");
}

#[tokio::test]
async fn m4_a_question_that_pops_up_by_itself_is_not_repeated_after_a_refusal() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    assert_eq!(postern.require_identity("order.list").await, Advice::AskNow);
    refuse(&phone, &mut states).await;
    assert_eq!(
        postern.require_identity("order.list").await,
        Advice::GoOnAsGuest
    );
    assert_eq!(
        postern.require_identity("mine").await,
        Advice::AskNow,
        "asked for another operation"
    );
    drop((postern, states));

    let (postern, mut states) = phone.begin();
    assert_eq!(
        postern.require_identity("order.list").await,
        Advice::GoOnAsGuest,
        "remembered over a restart"
    );
    phone.world.clock.advance(QUIET);
    assert_eq!(
        postern.require_identity("order.list").await,
        Advice::AskNow,
        "later it may"
    );
    // At a button, in nobody's name: counts for all.
    phone.world.clock.advance(Duration::from_secs(700));
    refuse(&phone, &mut states).await;
    assert_eq!(
        postern.require_identity("order.list").await,
        Advice::GoOnAsGuest
    );
    assert_eq!(postern.require_identity("mine").await, Advice::GoOnAsGuest);
    // The button itself asks every time; a login forgets refusals.
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    step.submit("13800000000").await.unwrap();
    expect!(states, SmsCodeNeeded(_, step));
    step.submit(SMS_CODE).await.unwrap();
    expect!(states, RegistrationNeeded(_, step));
    step.submit(secret(PASSWORD)).await.unwrap();
    expect!(states, LoggedIn(_));
    assert_eq!(postern.require_identity("order.list").await, Advice::GoOn);
    phone.world.vault.inner.delete("session").unwrap();
    let postern = phone.postern();
    assert_eq!(
        postern.require_identity("order.list").await,
        Advice::AskNow,
        "forgotten"
    );
}

/// Through the button to `WeChat`, and no.
async fn refuse(phone: &Phone, states: &mut StateStream) {
    expect!(*states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(*states, Authorizing(request, step));
    phone.world.clock.advance(Duration::from_secs(5));
    step.answer(wechat(&request, -4, None)).await.unwrap();
    expect!(*states, Refused(_, step));
    step.dismiss().await.unwrap();
}

#[tokio::test]
async fn m4_a_clock_that_was_wrong_keeps_no_question_away_for_ever() {
    let phone = Phone::of(Person::NewUnsigned);
    let right = Duration::from_secs(crate::testing::START);
    phone
        .world
        .clock
        .set_wall(right + Duration::from_secs(10 * 365 * 86_400));
    let (postern, mut states) = phone.begin();
    refuse(&phone, &mut states).await;
    phone.world.clock.set_wall(right);
    assert_eq!(postern.require_identity("mine").await, Advice::GoOnAsGuest);
    phone.world.clock.advance(QUIET);
    assert_eq!(postern.require_identity("mine").await, Advice::AskNow);
}

#[tokio::test]
async fn m4_an_unreadable_memory_asks_nobody_by_itself() {
    let phone = Phone::of(Person::NewUnsigned);
    let postern = phone.postern();
    assert!(matches!(
        postern.session().status().await,
        SessionStatus::SignedOut
    ));
    phone.world.vault.fail_loads(Some(VaultError::Unavailable));
    assert_eq!(postern.require_identity("mine").await, Advice::GoOnAsGuest);
    phone.world.vault.fail_loads(None);
    assert_eq!(postern.require_identity("mine").await, Advice::AskNow);
}

#[tokio::test]
async fn a_step_of_tomorrow_means_that_the_app_must_be_updated() {
    let phone = Phone::of(Person::NewUnsigned);
    let (_postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    let tomorrow = json!({"login": "lg_1", "step_id": "s", "expires_in": 600, "next": {"step": "iris_scan", "color": "green"}});
    phone.center.answer_next(200, tomorrow);
    step.submit("13800000000").await.unwrap();
    expect!(states, Stopped(stop, _step));
    assert_eq!(stop.reason, StopReason::UpdateNeeded);
    assert_eq!(phone.center.counts()[4], 0, "the login is left as it is");
}

#[tokio::test]
async fn each_end_that_the_server_gives_has_its_reason() {
    for (status, code, reason) in [
        (410, "login_expired", StopReason::LoginExpired),
        (404, "login_unknown", StopReason::LoginExpired),
        (429, "too_many_attempts", StopReason::TooManyAttempts),
        (409, "customer_ambiguous", StopReason::CustomerAmbiguous),
        (
            409,
            "phone_bound_elsewhere",
            StopReason::PhoneBoundElsewhere,
        ),
        (
            409,
            "identity_bound_elsewhere",
            StopReason::IdentityBoundElsewhere,
        ),
        (418, "brand_new_code", StopReason::Refused),
    ] {
        let phone = Phone::of(Person::NewUnsigned);
        let (postern, mut states) = phone.begin();
        agree(&mut states).await;
        expect!(states, PhoneNeeded(_, step));
        phone.center.answer_next(status, json!({"code": code}));
        step.submit("13800000000").await.unwrap();
        expect!(states, Stopped(stop, _step));
        assert_eq!(stop.reason, reason, "{code}");
        assert_eq!(phone.kept(), None);
        assert!(!matches!(
            postern.session().status().await,
            SessionStatus::SignedIn(_)
        ));
        // The same code as the answer to a start: at the buttons, with the code.
        let phone = Phone::of(Person::NewUnsigned);
        phone.center.answer_next(status, json!({"code": code}));
        let (_postern, mut states) = phone.begin();
        agree(&mut states).await;
        expect!(states, Ready(info, _step));
        let expected = if code == "brand_new_code" {
            "unknown_refusal"
        } else {
            code
        };
        assert_eq!(failure_code(info.failure).as_deref(), Some(expected));
    }
}

/// Panics at every state.
struct Careless(AtomicUsize);

impl LoginListener for Careless {
    fn on_state(&self, _: LoginState) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a host's bug");
    }
}

/// Looks at the login while it is being called.
struct Curious {
    login: Mutex<Option<Login>>,
    heard: Mutex<Vec<(&'static str, &'static str)>>,
}

impl LoginListener for Curious {
    fn on_state(&self, state: LoginState) {
        let login = self.login.lock().unwrap().clone();
        let now = login.map_or("gone", |login| login.state().name());
        self.heard.lock().unwrap().push((state.name(), now));
    }
}

#[tokio::test]
async fn a_listener_may_panic_and_may_ask_back() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let (postern, mut states) = phone.begin();
    let careless = Arc::new(Careless(AtomicUsize::new(0)));
    let curious = Arc::new(Curious {
        login: Mutex::new(Some(postern.login())),
        heard: Mutex::default(),
    });
    let first = postern
        .login()
        .subscribe(Arc::clone(&careless) as Arc<dyn LoginListener>);
    let second = postern
        .login()
        .subscribe(Arc::clone(&curious) as Arc<dyn LoginListener>);
    agree(&mut states).await;
    expect!(states, LoggedIn(_));
    assert!(
        careless.0.load(Ordering::SeqCst) >= 5,
        "it hears on, whatever it does"
    );
    let heard = curious.heard.lock().unwrap().clone();
    assert!(
        heard.iter().all(|(told, seen)| told == seen),
        "the state is there when it is told: {heard:?}"
    );
    let told: Vec<_> = heard
        .iter()
        .map(|(told, _)| *told)
        .filter(|name| *name != "resolving")
        .collect();
    assert_eq!(told, ["ready", "authorizing", "logged_in"]);
    curious.login.lock().unwrap().take();
    drop((first, second));
    assert_eq!(
        Arc::strong_count(&careless),
        1,
        "a dropped subscription lets go at once"
    );
}

#[tokio::test]
async fn resolving_is_announced_once_however_much_is_done() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let (_postern, mut states) = phone.begin();
    let mut names = Vec::new();
    loop {
        let state = states.next().await.unwrap();
        names.push(state.name());
        match state {
            LoginState::Ready(_, step) => step.choose(Provider::WeChat).await.unwrap(),
            LoginState::Authorizing(request, step) => step
                .answer(wechat(&request, 0, Some("0815")))
                .await
                .unwrap(),
            LoginState::LoggedIn(_) => break,
            _ => {}
        }
    }
    if names[0] == "resolving" {
        names.remove(0);
    }
    assert_eq!(
        names,
        [
            "ready",
            "resolving",
            "authorizing",
            "resolving",
            "logged_in"
        ]
    );
}

#[tokio::test]
async fn after_shutdown_steps_are_closed_streams_end_and_listeners_are_let_go() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    let careless = Arc::new(Careless(AtomicUsize::new(0)));
    let subscription = postern
        .login()
        .subscribe(Arc::clone(&careless) as Arc<dyn LoginListener>);
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    let login = postern.login();
    postern.shutdown();
    assert_eq!(step.submit("13800000000").await, Err(StepError::Closed));
    assert!(states.next().await.is_none());
    assert_eq!(
        Arc::strong_count(&careless),
        1,
        "though the subscription lives on"
    );
    drop(subscription);
    assert!(login.states().next().await.is_none());
    assert!(matches!(postern.login().state(), LoginState::Resolving));
    assert!(
        postern.login().states().next().await.is_none(),
        "no login after shutdown"
    );
    // What was kept is there for the next process.
    let (_postern, mut states) = phone.begin();
    expect!(states, PhoneNeeded(_, _step));
}

#[tokio::test]
async fn steps_of_a_dropped_postern_are_closed() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    drop(postern);
    assert_eq!(step.submit("13800000000").await, Err(StepError::Closed));
}

#[tokio::test]
async fn the_current_login_is_one_until_it_succeeded() {
    let phone = Phone::of(Person::ReturningUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, LoggedIn(_));
    let mut states = postern.login().states();
    expect!(states, Ready(_, step));
    let same = postern.login();
    step.choose(Provider::WeChat).await.unwrap();
    assert!(matches!(same.state(), LoginState::Authorizing(..)));
}

#[tokio::test]
async fn a_provider_that_is_not_offered_here_is_no_way_to_begin() {
    let phone = Phone::of(Person::NewUnsigned);
    let mut options = phone.world.root.options(1);
    options["providers"] = json!([]);
    phone
        .world
        .transport
        .reply(crate::testing::json_reply(200, &options));
    let postern = phone.world.postern();
    let mut states = postern.login().states();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Ready(info, step));
    assert_eq!(
        failure_code(info.failure).as_deref(),
        Some("not_offered_here")
    );
    // The script is over: offline.
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Ready(info, _step));
    assert_eq!(info.failure.unwrap().kind, FailureKind::Network);
}

#[tokio::test]
async fn nothing_that_prints_holds_a_secret_or_a_number() {
    let phone = Phone::of(Person::NewSigned);
    let (_postern, mut states) = phone.begin();
    let mut printed = String::new();
    let mut written = String::new();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    let authorizing = settled(&mut states).await;
    printed += &format!("{authorizing:?}");
    let LoginState::Authorizing(request, step) = authorizing else {
        panic!()
    };
    assert!(!printed.contains(&request.state));
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
    for _ in 0..4 {
        let state = settled(&mut states).await;
        printed += &format!("{state:?} {state:#?}");
        written += &phone.kept().unwrap();
        match state {
            LoginState::PhoneNeeded(_, step) => step.submit("13812345678").await.unwrap(),
            LoginState::SmsCodeNeeded(_, step) => step.submit(SMS_CODE).await.unwrap(),
            LoginState::VerificationNeeded(_, step) => {
                // Unheard, so that the call stays in the record.
                phone.center.fault(Fault::DropRequest, 4);
                step.submit_card(&secret(CARD), &secret("918273"))
                    .await
                    .unwrap();
                written += &phone.kept().unwrap();
                expect!(states, VerificationNeeded(_, step));
                step.submit_login_password(secret(PASSWORD)).await.unwrap();
            }
            LoginState::FaceNeeded(_, step) => step.submit(secret("ft_pass")).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    expect!(states, LoggedIn(account));
    printed += &format!("{account:?}");
    for hidden in [
        "13812345678",
        SMS_CODE,
        "0815",
        CARD,
        "918273",
        PASSWORD,
        "ft_pass",
        "lg_AAAA",
        "138****0000",
    ] {
        assert!(!printed.contains(hidden), "{hidden} in {printed}");
    }
    assert!(written.contains("sealed"));
    for hidden in [CARD, "918273", PASSWORD] {
        assert!(!written.contains(hidden), "{hidden} is kept only sealed");
    }
}

#[tokio::test]
async fn an_answer_that_starts_the_process_finds_its_attempt() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, _step));
    drop((postern, states));
    let postern = phone.postern();
    // Before the vault was read.
    let stray = ProviderReply {
        state: Some("evil".into()),
        ..wechat(&request, 0, Some("evil"))
    };
    assert_eq!(
        postern.login().deliver(stray).await,
        Err(StepError::Invalid(InvalidInput::StrayAnswer))
    );
    postern
        .login()
        .deliver(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
    assert!(matches!(
        postern.login().state(),
        LoginState::PhoneNeeded(..)
    ));
    let late = postern
        .login()
        .deliver(wechat(&request, 0, Some("0815")))
        .await;
    assert_eq!(
        late,
        Err(StepError::Invalid(InvalidInput::StrayAnswer)),
        "nobody waits for it any more"
    );
}

#[tokio::test]
async fn what_a_dead_process_left_is_taken_up_or_left_behind() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    expect!(states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(states, Authorizing(request, _step));
    drop((postern, states));

    // The same attempt, also under a clock that was set back.
    phone
        .world
        .clock
        .set_wall(Duration::from_secs(crate::testing::START - 600));
    let (postern, mut states) = phone.begin();
    expect!(states, Authorizing(again, step));
    assert_eq!(again, request);
    // How long the person was away is not known: a denial is a denial.
    step.answer(wechat(&request, -4, None)).await.unwrap();
    expect!(states, Refused(refusal, step));
    assert_eq!(refusal.kind, RefusalKind::Denied);
    step.ask_again().await.unwrap();
    expect!(states, Authorizing(_, _step));
    drop((postern, states));

    // Longer ago than a login lives.
    let record = phone.world.vault.inner.load(RECORD).unwrap().unwrap();
    phone.world.clock.advance(Duration::from_secs(601));
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(info, _step));
    assert_eq!((info.failure, phone.kept()), (None, None));

    // Truncated, of a newer schema, of another installation, no JSON at all.
    let whole = String::from_utf8(record.expose().to_vec()).unwrap();
    for broken in [
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"schema\":1", "\"schema\":2"),
        whole.replace("unspecified", "another-installation"),
        whole.replace("at_provider", "at_the_moon"),
        "[]".to_owned(),
        String::new(),
    ] {
        assert_ne!(broken, whole);
        phone
            .world
            .vault
            .inner
            .store(RECORD, &SecretBytes::from(broken.into_bytes()))
            .unwrap();
        let (_postern, mut states) = phone.begin();
        expect!(states, Ready(info, _step));
        assert_eq!((info.failure, phone.kept()), (None, None));
    }

    // A locked vault says nothing about what is in it.
    phone.world.vault.fail_loads(Some(VaultError::Unavailable));
    let (_postern, mut states) = phone.begin();
    expect!(states, Ready(info, _step));
    assert_eq!(failure_code(info.failure).as_deref(), Some("vault"));
}
