//! Bytes, proofs, nonces and repetitions.

use super::*;

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
async fn a_kept_call_sends_the_same_bytes_in_the_next_process() {
    let world = World::new();
    let postern = world.postern();
    let call = postern.core().center.prepare_start(&start()).unwrap();
    let kept = serde_json::to_string(&KeptCall::from(&call)).unwrap();
    assert!(!format!("{call:?}{:?}", KeptCall::from(&call)).contains("0815"));
    let later: PreparedCall = crate::json::read::<KeptCall>(kept.as_bytes())
        .unwrap()
        .into();
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
