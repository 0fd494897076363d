//! Steps: one answer each, forms that cost nothing, futures that may be dropped; what is told, to whom, and until when.
#![allow(clippy::unwrap_used)]

use super::*;

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
async fn steps_of_a_dropped_postern_are_closed_and_its_streams_end() {
    let phone = Phone::of(Person::NewUnsigned);
    let (postern, mut states) = phone.begin();
    agree(&mut states).await;
    expect!(states, PhoneNeeded(_, step));
    drop(postern);
    assert_eq!(step.submit("13800000000").await, Err(StepError::Closed));
    assert!(states.next().await.is_none());
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let phone = Phone::of(Person::NewUnsigned);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let ours = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let guard = runtime.enter();
    let (postern, mut states) = phone.begin();
    drop(guard);
    let step = ours.block_on(async {
        agree(&mut states).await;
        expect!(states, PhoneNeeded(_, step));
        step
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    ours.block_on(async {
        assert_eq!(step.submit("13800000000").await, Err(StepError::Closed));
        assert!(states.next().await.is_none());
        assert!(postern.login().states().next().await.is_none());
    });
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
