//! What is kept between processes, and what is printed and written of it.
#![allow(clippy::unwrap_used)]

use super::*;

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
    let found = AuthorizationRequest {
        resumed: true,
        ..request.clone()
    };
    assert_eq!(again, found);
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
