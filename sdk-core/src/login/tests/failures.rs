//! What goes wrong on the way: where it lands, what is repeated, what is not lost.
#![allow(clippy::unwrap_used)]

use super::*;

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
    full: Arc<AtomicBool>,
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
    let full = Arc::new(AtomicBool::new(true));
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
        full: Arc::new(AtomicBool::new(true)),
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
