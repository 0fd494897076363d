//! The account-center client against a script: bytes, proofs, nonces, repetitions, sealing.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::sealing::KeyListError;
use crate::secret::SecretString;
use crate::testing::{BASE, Root, START, Seen, Turn, World, done_json, json_reply, problem, reply};
use crate::transport::{HttpReply, TransportError};

fn start() -> LoginStart {
    LoginStart::Provider {
        provider: "wechat".to_owned(),
        code: SecretString::from("0815"),
    }
}

fn handle() -> LoginHandle {
    LoginHandle("lg_1".to_owned())
}

fn phone_step() -> HttpReply {
    json_reply(
        200,
        &json!({"login": "lg_1", "step_id": "st_1", "expires_in": 600, "next": {"step": "phone"}}),
    )
}

fn code_of(failure: &CallFailure) -> ProblemCode {
    failure.problem().unwrap().code
}

#[tokio::test]
async fn login_options_need_no_proof_and_give_the_first_nonce() {
    let world = World::new();
    let mut config = world.config();
    config.region = Some("海南".to_owned());
    config.app_version = Some("1.2+3".to_owned());
    let postern = world.builder(config).build().unwrap();
    world
        .transport
        .reply(json_reply(200, &world.root.options(7)));
    let options = postern.login_options().await.unwrap();
    assert_eq!(options.providers[0].provider_app_id, "wx-1");
    let seen = &world.transport.seen()[0];
    assert_eq!(
        seen.url,
        format!(
            "{BASE}/v1/apps/bank-android/login-options?region=%E6%B5%B7%E5%8D%97&app_version=1.2%2B3"
        )
    );
    assert!(seen.header("dpop").is_none() && seen.header("idempotency-key").is_none());
    assert_eq!(
        postern.core().center.nonce().as_deref(),
        Some("nonce-of-a-reply")
    );
}

#[tokio::test]
async fn login_options_are_asked_for_by_etag() {
    let world = World::new();
    let postern = world.postern();
    let body = world.root.options(7).to_string();
    world
        .transport
        .reply(reply(200, &[("etag", "\"v1\"")], body));
    world.transport.reply(reply(304, &[("etag", "\"v1\"")], ""));
    let first = postern.login_options().await.unwrap();
    assert_eq!(postern.login_options().await.unwrap(), first);
    let seen = world.transport.seen();
    assert_eq!(
        (
            seen[0].header("if-none-match"),
            seen[1].header("if-none-match")
        ),
        (None, Some("\"v1\""))
    );
    // A 304 that nobody asked for is rubbish.
    let other = World::new();
    other.transport.reply(reply(304, &[], ""));
    assert_eq!(
        other.postern().login_options().await,
        Err(CallFailure::Unintelligible)
    );
}

#[tokio::test]
async fn options_for_another_app_and_rubbish_are_not_understood() {
    let mut other = Root::new().options(1);
    other["app_id"] = json!("another-app");
    for body in [
        other.to_string(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        String::new(),
    ] {
        let world = World::new();
        world.transport.reply(reply(200, &[], body));
        assert_eq!(
            world.postern().login_options().await,
            Err(CallFailure::Unintelligible)
        );
    }
}

#[tokio::test]
async fn a_proof_covers_the_exact_request_and_is_new_for_each_transmission() {
    let world = World::new();
    let mut config = world.config();
    config.account_center = format!("{BASE}/gate/");
    let postern = world.builder(config).build().unwrap();
    let center = &postern.core().center;
    world
        .transport
        .fail(TransportError::Other)
        .reply(phone_step());
    let call = center.prepare_start(&start()).unwrap();
    center.perform_login(&call).await.unwrap();
    let seen = world.transport.seen();
    assert_eq!(
        seen[0].json(),
        json!({"app_id": "bank-android", "start": {"provider": {"provider": "wechat", "code": "0815"}}})
    );
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    for request in &seen {
        let claims = request.proof();
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], format!("{BASE}/gate/v1/login"));
        assert_eq!(claims["bh"], crate::proof::dpop::hash(&request.body));
        assert!(claims.get("ath").is_none() && claims["iat"].as_u64().unwrap() >= START);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    }
    assert_same_call(&seen[0], &seen[1]);
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
}

fn assert_same_call(one: &Seen, other: &Seen) {
    assert_eq!(one.body, other.body);
    assert_eq!(one.header("idempotency-key").unwrap().len(), 22);
    assert_eq!(
        one.header("idempotency-key"),
        other.header("idempotency-key")
    );
}

#[tokio::test]
async fn each_reply_renews_the_nonce_problems_too() {
    let world = World::new();
    let postern = world.postern();
    let center = &postern.core().center;
    center.restore_nonce("kept-with-the-login");
    let call = center.prepare_start(&start()).unwrap();
    world.transport.reply(reply(
        400,
        &[("dpop-nonce", "two")],
        json!({"code": "invalid_request"}).to_string(),
    ));
    world.transport.reply(reply(
        200,
        &[("dpop-nonce", "\u{7f}bad\u{7f}")].map(|_| ("x-none", "1")),
        done_json("1").to_string(),
    ));
    assert!(center.perform_login(&call).await.is_err());
    center.perform_login(&call).await.unwrap();
    let seen = world.transport.seen();
    assert_eq!(seen[0].proof()["nonce"], "kept-with-the-login");
    assert_eq!(seen[1].proof()["nonce"], "two");
    // A kept nonce is older than any that was learnt.
    center.restore_nonce("kept-with-the-login");
    assert_eq!(center.nonce().as_deref(), Some("two"));
}

#[tokio::test]
async fn a_stale_nonce_costs_one_repetition_outside_the_budget() {
    let world = World::new();
    let once = RetryPolicy {
        transmissions: 1,
        ..RetryPolicy::default()
    };
    let postern = world.builder(world.config()).retry(once).build().unwrap();
    let center = &postern.core().center;
    let stale = || {
        reply(
            401,
            &[("dpop-nonce", "fresh")],
            json!({"code": "use_dpop_nonce"}).to_string(),
        )
    };
    world.transport.reply(stale()).reply(phone_step());
    let call = center.prepare_start(&start()).unwrap();
    center.perform_login(&call).await.unwrap();
    let seen = world.transport.seen();
    assert_same_call(&seen[0], &seen[1]);
    assert_eq!(seen[1].proof()["nonce"], "fresh");
    // Never twice in one call.
    world.transport.reply(stale()).reply(stale());
    let failure = center.perform_login(&call).await.unwrap_err();
    assert_eq!(code_of(&failure), ProblemCode::UseDpopNonce);
    assert_eq!(world.transport.seen().len(), 4);
}

#[tokio::test]
async fn passing_failures_are_repeated_with_identical_bytes_and_growing_pauses() {
    let world = World::new();
    let postern = world.postern();
    let center = &postern.core().center;
    world.transport.fail(TransportError::Offline);
    world.transport.reply(problem(503, "busy", &json!({})));
    world
        .transport
        .reply(reply(502, &[], "<html>bad gateway</html>"));
    world.transport.reply(phone_step());
    let call = center.prepare_start(&start()).unwrap();
    center.perform_login(&call).await.unwrap();
    let seen = world.transport.seen();
    assert_eq!(seen.len(), 4);
    for request in &seen[1..] {
        assert_same_call(&seen[0], request);
    }
    let pauses: Vec<_> = world
        .clock
        .slept()
        .into_iter()
        .filter(|pause| *pause < Duration::from_secs(10))
        .collect();
    for (pause, full) in pauses.iter().zip([400, 800, 1600]) {
        let full = Duration::from_millis(full);
        assert!(
            *pause >= full / 2 && *pause <= full,
            "{pause:?} of {full:?}"
        );
    }
    assert_eq!(pauses.len(), 3);
}

#[tokio::test]
async fn repetitions_end_after_four_transmissions() {
    let world = World::new();
    let postern = world.postern();
    let call = postern.core().center.prepare_start(&start()).unwrap();
    let failure = postern
        .core()
        .center
        .perform_login(&call)
        .await
        .unwrap_err();
    assert_eq!(failure, CallFailure::Network(TransportError::Offline));
    assert_eq!(world.transport.seen().len(), 4);
}

#[tokio::test]
async fn a_request_in_flight_is_asked_for_again_when_the_server_says() {
    let world = World::new();
    let postern = world.postern();
    let center = &postern.core().center;
    let in_flight = reply(
        409,
        &[("retry-after", "3")],
        json!({"code": "request_in_flight"}).to_string(),
    );
    world.transport.reply(in_flight).reply(phone_step());
    let call = center.prepare_start(&start()).unwrap();
    center.perform_login(&call).await.unwrap();
    assert!(world.clock.slept().contains(&Duration::from_secs(3)));
    // Longer than anybody should wait: the person decides.
    world
        .transport
        .reply(problem(503, "busy", &json!({"retry_after": 60})));
    let failure = center.perform_login(&call).await.unwrap_err();
    assert_eq!(
        failure.problem().unwrap().retry_after,
        Some(Duration::from_mins(1))
    );
    assert_eq!(world.transport.seen().len(), 3);
}

#[tokio::test]
async fn standing_failures_are_not_repeated() {
    let turns = [
        Turn::Fail(TransportError::Tls),
        Turn::Fail(TransportError::TooLarge),
        Turn::Reply(problem(500, "internal", &json!({}))),
        Turn::Reply(problem(502, "provider_misconfigured", &json!({}))),
        Turn::Reply(problem(429, "rate_limited", &json!({"retry_after": 1}))),
        Turn::Reply(problem(422, "idempotency_key_reused", &json!({}))),
        Turn::Reply(problem(401, "invalid_dpop_proof", &json!({}))),
    ];
    for turn in turns {
        let world = World::new();
        let postern = world.postern();
        world.transport.then(turn);
        let call = postern.core().center.prepare_start(&start()).unwrap();
        assert!(postern.core().center.perform_login(&call).await.is_err());
        assert_eq!(world.transport.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_transport_that_never_answers_is_given_up() {
    let world = World::new();
    let postern = world.postern();
    world.transport.then(Turn::Never);
    let failure = postern.login_options().await.unwrap_err();
    assert_eq!(failure, CallFailure::Network(TransportError::TimedOut));
}

#[tokio::test]
async fn a_hosts_transport_cannot_bring_in_an_endless_reply() {
    let world = World::new();
    world.transport.reply(reply(
        200,
        &[],
        vec![b' '; crate::transport::REPLY_LIMIT + 1],
    ));
    let failure = world.postern().login_options().await.unwrap_err();
    assert_eq!(failure, CallFailure::Network(TransportError::TooLarge));
}

#[tokio::test]
async fn replies_that_are_not_the_contracts_are_not_understood() {
    let bodies = [
        json!({}),
        json!({"next": {}}),
        json!({"next": {"step": "phone"}}),
        json!({"login": "lg_1", "step_id": 5, "next": {"step": "phone"}}),
        json!({"login": "lg_1", "step_id": "s", "next": {"step": "sms_code", "sent_to": "x", "digits": -1, "expires_in": 1, "resend_after": 1, "attempts_left": 1}}),
        json!({"next": {"step": "done"}}),
        json!({"next": {"step": "done"}, "account": {"user_id": "u"}, "session": {}}),
    ];
    let mut texts: Vec<String> = bodies.iter().map(Value::to_string).collect();
    texts.extend([
        String::new(),
        "<html>".to_owned(),
        "null".to_owned(),
        "[".repeat(10_000),
    ]);
    for text in texts {
        let world = World::new();
        let postern = world.postern();
        world.transport.reply(reply(200, &[], text.clone()));
        let call = postern.core().center.prepare_start(&start()).unwrap();
        let failure = postern
            .core()
            .center
            .perform_login(&call)
            .await
            .unwrap_err();
        assert_eq!(failure, CallFailure::Unintelligible, "{text}");
    }
    for (status, body) in [
        (404, "<html>"),
        (302, ""),
        (403, "{}"),
        (101, ""),
        (407, "proxy"),
    ] {
        let world = World::new();
        let postern = world.postern();
        world.transport.reply(reply(status, &[], body));
        let call = postern.core().center.prepare_start(&start()).unwrap();
        let failure = postern
            .core()
            .center
            .perform_login(&call)
            .await
            .unwrap_err();
        assert_eq!(failure, CallFailure::Unintelligible, "{status}");
    }
}

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

#[tokio::test]
async fn a_kept_call_sends_the_same_bytes_in_the_next_process() {
    let world = World::new();
    let postern = world.postern();
    let call = postern.core().center.prepare_start(&start()).unwrap();
    let kept = serde_json::to_string(&KeptCall::from(&call)).unwrap();
    assert!(!format!("{call:?}{:?}", KeptCall::from(&call)).contains("0815"));
    let later: PreparedCall = serde_json::from_str::<KeptCall>(&kept).unwrap().into();
    world.transport.reply(phone_step()).reply(phone_step());
    postern.core().center.perform_login(&call).await.unwrap();
    world
        .postern()
        .core()
        .center
        .perform_login(&later)
        .await
        .unwrap();
    let seen = world.transport.seen();
    assert_same_call(&seen[0], &seen[1]);
}

#[tokio::test]
async fn a_hosts_code_that_panics_is_a_failure_and_not_the_end() {
    struct Panics;
    impl crate::proof::DeviceKey for Panics {
        fn public_jwk(&self) -> Result<crate::proof::PublicJwk, crate::proof::DeviceKeyError> {
            panic!("the host's code")
        }
        fn sign(&self, _: &[u8]) -> Result<[u8; 64], crate::proof::DeviceKeyError> {
            panic!("the host's code")
        }
    }
    let world = World::new();
    let postern = world
        .builder(world.config())
        .device_key(std::sync::Arc::new(Panics))
        .build()
        .unwrap();
    let call = postern.core().center.prepare_start(&start()).unwrap();
    let failure = postern
        .core()
        .center
        .perform_login(&call)
        .await
        .unwrap_err();
    assert!(matches!(failure, CallFailure::DeviceKey(_)));
}
