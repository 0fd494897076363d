//! The provider's answers and the memory of refusals.
#![allow(clippy::unwrap_used)]

use super::*;

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
        .set_wall(right + Duration::from_hours(87600));
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
