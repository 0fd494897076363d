//! Whole logins, from the button to the session, and their round trips.
#![allow(clippy::unwrap_used)]

use super::*;

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
