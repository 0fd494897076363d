//! WeChat's mini programs and web pages, and an `OpenID` Connect issuer, from the phone to a session through `POST /v1/login`, against the simulator.
#![allow(clippy::unwrap_used)]

mod phone;

use std::time::{Duration, Instant};

use phone::{Phone, Seen, random128};
use postern_tests::{Person, World};
use serde_json::{Value, json};

const PAGE: &str = "bank-h5";
const MINI: &str = "bank-mini";

async fn person(world: &World, wish: Value) -> Person {
    world.simulator().person(&wish).await.unwrap()
}

/// `wx.login` in the mini program.
async fn mini_program(phone: &Phone, world: &World, person: &Person) -> Value {
    let url = format!("{}/phone/login", world.env().simulator.wechat);
    let body = json!({"appid": "wx5b1e0c6a7d000003", "person": person.wechat_person});
    let answer = phone.ask(&url, &body).await;
    json!({"provider": "wechat", "code": answer["code"]})
}

/// A web page in WeChat.
async fn web_page(phone: &Phone, world: &World, person: &Person, scope: &str) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.wechat);
    let body = json!({
        "appid": "wx5b1e0c6a7d000004",
        "scope": scope,
        "person": person.wechat_person,
        "decision": "agree",
    });
    let answer = phone.ask(&url, &body).await;
    json!({"provider": "wechat", "code": answer["code"]})
}

async fn prepare(phone: &Phone) -> Seen {
    let body = json!({"app_id": PAGE, "provider": "bank-sso"});
    phone
        .post("/v1/provider-requests", &random128(), &body)
        .await
}

async fn at_the_page(phone: &Phone, world: &World, person: &Person, prepared: &Value) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.oidc);
    let body = json!({
        "authorization_url": prepared["authorization_url"],
        "person": person.wechat_person,
        "decision": "agree",
    });
    phone.ask(&url, &body).await
}

/// From the prepared request to what `start` brings.
async fn issuer(phone: &Phone, world: &World, person: &Person) -> Value {
    let prepared = prepare(phone).await;
    assert_eq!(prepared.status, 200, "{prepared:?}");
    assert!(prepared.body.get("auth_info").is_none());
    let answer = at_the_page(phone, world, person, &prepared.body).await;
    assert_eq!(answer["state"], prepared.body["request"]);
    json!({"provider": "bank-sso", "code": answer["code"], "request": prepared.body["request"], "iss": answer["iss"]})
}

#[tokio::test]
async fn m3_w5_a_mini_programs_code_registers_and_the_web_page_knows_the_person_without_a_page() {
    let world = World::start().await.unwrap();
    let mini = Phone::of_app(&world, MINI);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = mini_program(&mini, &world, &lin).await;
    let done = mini.register(&world, &lin, &start).await;
    mini.begin(&start)
        .await
        .expect(400, "provider_code_invalid");
    // W5: the page asks once with consent, and links its open id; W4: then the open id alone is enough.
    let page = Phone::of_app(&world, PAGE);
    let silent = web_page(&page, &world, &lin, "snsapi_base").await;
    page.begin(&silent)
        .await
        .expect(400, "provider_consent_incomplete");
    for scope in ["snsapi_userinfo", "snsapi_base"] {
        let again = page
            .begin(&web_page(&page, &world, &lin, scope).await)
            .await;
        assert_eq!(again.body["next"]["step"], "done", "{scope}: {again:?}");
        assert_eq!(again.body["account"]["user_id"], done["account"]["user_id"]);
    }
    // A code of one kind of app is nothing to another.
    let other = web_page(&page, &world, &lin, "snsapi_userinfo").await;
    mini.begin(&other)
        .await
        .expect(400, "provider_code_invalid");
}

#[tokio::test]
async fn w2_an_issuers_subject_registers_and_returns_and_its_answer_serves_one_device_once() {
    let world = World::start().await.unwrap();
    let phone = Phone::of_app(&world, PAGE);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = issuer(&phone, &world, &lin).await;
    // Caught on the way: worth nothing to another device, and not spent by its try.
    let thief = Phone::of_app(&world, PAGE);
    thief
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
    let done = phone.register(&world, &lin, &start).await;
    assert_eq!(
        done["account"]["bindings"][0]["provider"], "bank-sso",
        "{done}"
    );
    assert_eq!(done["account"]["nickname"], json!(lin.nickname));
    phone
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
    let again = phone.begin(&issuer(&phone, &world, &lin).await).await;
    assert_eq!(again.body["next"]["step"], "done", "{again:?}");
    assert_eq!(again.body["account"]["user_id"], done["account"]["user_id"]);
    // RFC 9207: another issuer's answer; and a request that was never made.
    let mut mixed = issuer(&phone, &world, &lin).await;
    mixed["iss"] = json!("https://evil.example");
    phone
        .begin(&mixed)
        .await
        .expect(400, "provider_code_invalid");
    mixed["request"] = json!("00");
    phone
        .begin(&mixed)
        .await
        .expect(400, "provider_code_invalid");
    // Another app does not offer it, and a known name wants its members.
    let elsewhere = Phone::of(&world);
    elsewhere
        .begin(&mixed)
        .await
        .expect(403, "not_offered_here");
    let bare = json!({"provider": "bank-sso", "code": "c"});
    phone.begin(&bare).await.expect(400, "invalid_request");
}

#[tokio::test]
async fn an_issuers_keys_change_and_its_wrong_tokens_open_nothing() {
    let world = World::start().await.unwrap();
    let phone = Phone::of_app(&world, PAGE);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    for (wrong, status, code) in [
        ("nonce", 400, "provider_code_invalid"),
        ("issuer", 502, "provider_misconfigured"),
        ("audience", 502, "provider_misconfigured"),
        ("none", 502, "provider_misconfigured"),
        ("hmac", 502, "provider_misconfigured"),
        ("expired", 502, "provider_misconfigured"),
        ("signature", 502, "provider_misconfigured"),
        ("unknown_key", 503, "provider_unavailable"),
    ] {
        let start = issuer(&phone, &world, &lin).await;
        let fault = json!({"kind": "id_token", "wrong": wrong});
        let rule = json!({"party": "oidc", "path": "/token", "fault": fault});
        world.simulator().fault(&rule).await.unwrap();
        phone.begin(&start).await.expect(status, code);
        world.simulator().clear_faults().await.unwrap();
    }
    for (error, status, code) in [
        ("invalid_grant", 400, "provider_code_invalid"),
        ("invalid_client", 502, "provider_misconfigured"),
        ("temporarily_unavailable", 503, "provider_unavailable"),
    ] {
        let start = issuer(&phone, &world, &lin).await;
        let fault = json!({"kind": "errcode", "errcode": 0, "errmsg": error});
        let rule = json!({"party": "oidc", "path": "/token", "fault": fault});
        world.simulator().fault(&rule).await.unwrap();
        phone.begin(&start).await.expect(status, code);
        world.simulator().clear_faults().await.unwrap();
    }
    let start = issuer(&phone, &world, &lin).await;
    let begun = phone.begin(&start).await;
    assert_eq!(begun.body["next"]["step"], "phone", "{begun:?}");
}

#[tokio::test]
async fn no_provider_is_followed_elsewhere_or_listened_to_without_end_and_one_that_hangs_costs_the_others_nothing()
 {
    let world = World::start().await.unwrap();
    let phone = Phone::of_app(&world, PAGE);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    for fault in [
        json!({"kind": "redirect"}),
        json!({"kind": "oversized", "bytes": 1_000_000}),
        json!({"kind": "rubbish"}),
    ] {
        let at_wechat = web_page(&phone, &world, &lin, "snsapi_userinfo").await;
        let at_issuer = issuer(&phone, &world, &lin).await;
        for party in ["wechat", "oidc"] {
            let rule = json!({"party": party, "fault": fault});
            world.simulator().fault(&rule).await.unwrap();
        }
        for start in [at_wechat, at_issuer] {
            phone
                .begin(&start)
                .await
                .expect(503, "provider_unavailable");
        }
        world.simulator().clear_faults().await.unwrap();
    }
    let seen = phone
        .get(&format!("{}/requests", world.env().simulator.control))
        .await;
    let requests = seen["requests"].as_array().unwrap();
    assert!(requests.iter().all(|one| one["path"] != "/followed"));

    // The issuer hangs: whoever goes to WeChat does not notice.
    let hanging = issuer(&phone, &world, &lin).await;
    let delay = json!({"kind": "delay", "milliseconds": 60_000});
    let rule = json!({"party": "oidc", "fault": delay});
    world.simulator().fault(&rule).await.unwrap();
    let other = web_page(&phone, &world, &lin, "snsapi_userinfo").await;
    let (waited, (seen, took)) = tokio::join!(phone.begin(&hanging), async {
        let began = Instant::now();
        let seen = phone.begin(&other).await;
        (seen, began.elapsed())
    });
    waited.expect(503, "provider_unavailable");
    assert_eq!(seen.body["next"]["step"], "phone", "{seen:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}
