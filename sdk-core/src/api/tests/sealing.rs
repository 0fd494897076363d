//! What leaves the device only sealed, and to whom.

use super::*;

#[tokio::test]
async fn passwords_and_cards_leave_the_device_only_sealed() {
    let world = World::new();
    let postern = world.postern();
    let center = &postern.core().center;
    world
        .transport
        .reply(json_reply(200, &world.root.options(7)));
    let card = Answer::Card {
        number: SecretString::from("6222020000000000000"),
        withdrawal_password: SecretString::from("135790"),
    };
    let call = center
        .prepare_answer(&handle(), "st_1", &card)
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(call.body.expose()).unwrap();
    let text = body.to_string();
    assert!(!text.contains("622202") && !text.contains("135790"));
    assert_eq!(
        (&body["login"], &body["step_id"]),
        (&json!("lg_1"), &json!("st_1"))
    );
    for field in ["number", "withdrawal_password"] {
        let sealed = body["answer"]["card"][field]["sealed"].as_str().unwrap();
        assert!(
            sealed.starts_with("key-7.") && sealed.split('.').count() == 3,
            "{sealed}"
        );
    }
    assert!(!format!("{call:?} {card:?}").contains("622202"));
    let rest = [
        (
            Answer::LoginPassword("Str0ng-enough".into()),
            "/answer/login_password/sealed",
        ),
        (
            Answer::Registration {
                login_password: "Str0ng-enough".into(),
            },
            "/answer/registration/login_password/sealed",
        ),
    ];
    for (answer, pointer) in rest {
        let call = center
            .prepare_answer(&handle(), "st_1", &answer)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(call.body.expose()).unwrap();
        assert!(
            body.pointer(pointer)
                .unwrap()
                .as_str()
                .unwrap()
                .starts_with("key-7.")
        );
        assert!(!body.to_string().contains("Str0ng"));
    }
    // The list was fetched once.
    assert_eq!(world.transport.seen().len(), 1);
}

#[tokio::test]
async fn answers_without_secrets_go_as_the_contract_writes_them() {
    let world = World::new();
    let postern = world.postern();
    for (answer, expected) in [
        (
            Answer::Phone("+8613800000000".into()),
            json!({"phone": "+8613800000000"}),
        ),
        (
            Answer::SmsCode("123456".into()),
            json!({"sms_code": "123456"}),
        ),
        (Answer::Resend, json!({"resend": {}})),
        (Answer::ChangePhone, json!({"change_phone": {}})),
        (
            Answer::Face { ticket: "t".into() },
            json!({"face": {"ticket": "t"}}),
        ),
        (Answer::Cancel, json!({"cancel": {}})),
    ] {
        let call = postern
            .core()
            .center
            .prepare_answer(&handle(), "st_1", &answer)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(call.body.expose()).unwrap();
        assert_eq!(
            body,
            json!({"login": "lg_1", "step_id": "st_1", "answer": expected})
        );
    }
    assert!(world.transport.seen().is_empty());
}

#[tokio::test]
async fn an_unknown_sealing_key_is_sealed_again_once_under_a_new_key() {
    let world = World::new();
    let postern = world.postern();
    let center = &postern.core().center;
    world
        .transport
        .reply(json_reply(200, &world.root.options(7)));
    let answer = Answer::LoginPassword("Str0ng-enough".into());
    let call = center
        .prepare_answer(&handle(), "st_1", &answer)
        .await
        .unwrap();
    world
        .transport
        .reply(problem(400, "sealing_key_unknown", &json!({})));
    world
        .transport
        .reply(json_reply(200, &world.root.options(8)));
    world.transport.reply(json_reply(200, &done_json("1")));
    center.perform_login(&call).await.unwrap();
    let seen = world.transport.seen();
    let sealed = |seen: &Seen| {
        seen.json()["answer"]["login_password"]["sealed"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(sealed(&seen[1]).starts_with("key-7.") && sealed(&seen[3]).starts_with("key-8."));
    assert_ne!(
        seen[1].header("idempotency-key"),
        seen[3].header("idempotency-key")
    );
    // Once: the second refusal stands.
    for reply in [
        problem(400, "sealing_key_unknown", &json!({})),
        json_reply(200, &world.root.options(9)),
        problem(400, "sealing_key_unknown", &json!({})),
    ] {
        world.transport.reply(reply);
    }
    let failure = center.perform_login(&call).await.unwrap_err();
    assert_eq!(code_of(&failure), ProblemCode::SealingKeyUnknown);
}

#[tokio::test]
async fn with_a_rejected_key_list_no_secret_leaves_the_device() {
    let mut expired = Root::payload(7);
    expired["expires_at"] = json!(START);
    let mut foreign = Root::payload(7);
    foreign["issuer"] = json!("https://evil.example");
    let world = World::new();
    let stranger = Root::new();
    for (list, reason) in [
        (stranger.key_list(9), KeyListError::Signature),
        (world.root.sign(&expired), KeyListError::Expired),
        (world.root.sign(&foreign), KeyListError::Issuer),
        ("nonsense".to_owned(), KeyListError::Malformed),
    ] {
        let postern = world.postern();
        let mut options = world.root.options(7);
        options["key_list"] = json!(list);
        world
            .transport
            .reply(json_reply(200, &options))
            .reply(json_reply(200, &options));
        // The buttons may be shown: a returning unsigned person needs no sealed field (L7).
        assert_eq!(postern.login_options().await.unwrap().providers.len(), 1);
        let answer = Answer::LoginPassword("Str0ng-enough".into());
        let failure = postern
            .core()
            .center
            .prepare_answer(&handle(), "st_1", &answer)
            .await
            .unwrap_err();
        assert_eq!(failure, CallFailure::KeyListRejected(reason));
        assert!(
            world
                .transport
                .seen()
                .iter()
                .all(|seen| seen.path.ends_with("/login-options"))
        );
    }
}

#[tokio::test]
async fn an_older_key_list_is_refused_by_a_later_process_too() {
    let world = World::new();
    world
        .transport
        .reply(json_reply(200, &world.root.options(8)));
    world.postern().login_options().await.unwrap();
    let later = world.postern();
    world
        .transport
        .reply(json_reply(200, &world.root.options(7)));
    later.login_options().await.unwrap();
    // The list of the earlier run is still in use.
    let answer = Answer::LoginPassword("Str0ng-enough".into());
    let call = later
        .core()
        .center
        .prepare_answer(&handle(), "st_1", &answer)
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(call.body.expose()).contains("key-8."));
    // Where none is in use any more, the older one is no way out.
    world.clock.advance(Duration::from_hours(25));
    let mut old = Root::payload(7);
    old["expires_at"] = json!(START + 900_000);
    let mut options = world.root.options(7);
    options["key_list"] = json!(world.root.sign(&old));
    world.transport.reply(json_reply(200, &options));
    let failure = later
        .core()
        .center
        .prepare_answer(&handle(), "st_1", &answer)
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        CallFailure::KeyListRejected(KeyListError::RolledBack)
    );
}

#[tokio::test]
async fn a_vault_that_cannot_remember_the_version_lets_no_secret_out() {
    let world = World::new();
    let postern = world.postern();
    postern.core().center.identity().thumbprint().await.unwrap();
    let full = crate::vault::VaultError::Failed {
        what: "disk full".to_owned(),
    };
    world.vault.fail_stores(Some(full.clone()));
    world
        .transport
        .reply(json_reply(200, &world.root.options(7)));
    let answer = Answer::LoginPassword("Str0ng-enough".into());
    let failure = postern
        .core()
        .center
        .prepare_answer(&handle(), "st_1", &answer)
        .await
        .unwrap_err();
    assert_eq!(failure, CallFailure::Vault(full));
}

#[tokio::test]
async fn pins_of_an_accepted_list_hold_from_the_next_start_on() {
    let pin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let mut world = World::new();
    let mut list = Root::payload(7);
    list["tls_pins"] = json!([pin]);
    let mut options = world.root.options(7);
    options["key_list"] = json!(world.root.sign(&list));
    world.transport.reply(json_reply(200, &options));
    world.postern().login_options().await.unwrap();
    let pinned = [crate::transport::SpkiPin::parse(pin).unwrap()];
    assert_eq!(world.transport.pins(), pinned);
    world.transport = crate::testing::ScriptedTransport::new();
    assert!(world.postern().login_options().await.is_err());
    assert_eq!(world.transport.pins(), pinned);
}
