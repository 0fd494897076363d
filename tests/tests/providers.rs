//! Every provider from its app on the phone to a session, through `POST /v1/login` as the contract has it: a phone that makes its own proofs and seals its
//! own fields, so that it can bring what no SDK would.
#![allow(clippy::unwrap_used)]

mod phone;

use std::time::{Duration, Instant};

use phone::Phone;
use postern_tests::{Person, World};
use serde_json::{Value, json};

async fn person(world: &World, wish: Value) -> Person {
    world.simulator().person(&wish).await.unwrap()
}

/// The Weibo app's answer: a code.
async fn weibo(phone: &Phone, world: &World, person: &Person) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.weibo);
    let body = json!({
        "client_id": "3100000001",
        "redirect_uri": "https://bank.example/weibo/callback",
        "person": person.wechat_person,
        "decision": "agree",
    });
    let answer = phone.ask(&url, &body).await;
    json!({"provider": "weibo", "code": answer["code"]})
}

/// The QQ app's answer: a token, or a web page's code.
async fn qq(phone: &Phone, world: &World, person: &Person, appid: &str, wanted: &str) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.qq);
    let body = json!({
        "appid": appid,
        "scope": "get_user_info",
        "wanted": wanted,
        "person": person.wechat_person,
        "decision": "agree",
    });
    let answer = phone.ask(&url, &body).await;
    match wanted {
        "code" => json!({"provider": "qq", "code": answer["code"]}),
        _ => json!({"provider": "qq", "access_token": answer["access_token"]}),
    }
}

const QQ_APP: &str = "101900001";

#[tokio::test]
async fn w10_a_new_person_registers_with_weibo_and_returns_in_one_request() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = weibo(&phone, &world, &lin).await;
    let done = phone.register(&world, &lin, &start).await;
    assert_eq!(
        done["account"]["bindings"][0]["provider"], "weibo",
        "{done}"
    );
    assert_eq!(done["account"]["nickname"], json!(lin.nickname));

    let again = phone.begin(&weibo(&phone, &world, &lin).await).await;
    assert_eq!(again.body["next"]["step"], "done", "{again:?}");
    assert_eq!(again.body["account"]["user_id"], done["account"]["user_id"]);
    // M2: the code served once.
    phone
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
    let made_up = json!({"provider": "weibo", "code": "made-up"});
    phone
        .begin(&made_up)
        .await
        .expect(400, "provider_code_invalid");
}

#[tokio::test]
async fn w10_a_new_person_registers_with_qqs_token_and_returns_with_a_web_pages_code() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = qq(&phone, &world, &lin, QQ_APP, "token").await;
    let done = phone.register(&world, &lin, &start).await;
    assert_eq!(done["account"]["bindings"][0]["provider"], "qq", "{done}");

    let code = qq(&phone, &world, &lin, QQ_APP, "code").await;
    let again = phone.begin(&code).await;
    assert_eq!(again.body["next"]["step"], "done", "{again:?}");
    assert_eq!(again.body["account"]["user_id"], done["account"]["user_id"]);
    phone
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
}

#[tokio::test]
async fn qqs_token_of_another_app_opens_nothing_and_without_a_union_id_nothing_is_recorded() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    // The other app is of the same developer, so the union id would fit.
    let stolen = qq(&phone, &world, &lin, "101900002", "token").await;
    phone
        .begin(&stolen)
        .await
        .expect(400, "provider_code_invalid");
    let nobody = person(&world, json!({"kind": "unsigned", "union_id": false})).await;
    let start = qq(&phone, &world, &nobody, QQ_APP, "token").await;
    phone
        .begin(&start)
        .await
        .expect(400, "provider_consent_incomplete");
}

#[tokio::test]
async fn what_a_provider_does_wrong_ends_in_the_contracts_problems() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    for (fault, status, code) in [
        (json!({"kind": "rubbish"}), 503, "provider_unavailable"),
        (
            json!({"kind": "status", "status": 302}),
            503,
            "provider_unavailable",
        ),
        (
            json!({"kind": "status", "status": 200, "body": "x".repeat(60_000)}),
            503,
            "provider_unavailable",
        ),
        (json!({"kind": "drop_request"}), 503, "provider_unavailable"),
        (
            json!({"kind": "errcode", "errcode": 21_325}),
            400,
            "provider_code_invalid",
        ),
        (
            json!({"kind": "errcode", "errcode": 21_330}),
            400,
            "provider_consent_incomplete",
        ),
        (
            json!({"kind": "errcode", "errcode": 21_324}),
            502,
            "provider_misconfigured",
        ),
    ] {
        let start = weibo(&phone, &world, &lin).await;
        let rule = json!({"party": "weibo", "fault": fault});
        world.simulator().fault(&rule).await.unwrap();
        phone.begin(&start).await.expect(status, code);
        world.simulator().clear_faults().await.unwrap();
    }
    for (errcode, status, code) in [
        (100_013, 400, "provider_code_invalid"),
        (100_030, 400, "provider_consent_incomplete"),
        (100_048, 502, "provider_misconfigured"),
        (-1, 503, "provider_unavailable"),
    ] {
        let start = qq(&phone, &world, &lin, QQ_APP, "token").await;
        let rule = json!({"party": "qq", "fault": {"kind": "errcode", "errcode": errcode}});
        world.simulator().fault(&rule).await.unwrap();
        phone.begin(&start).await.expect(status, code);
        world.simulator().clear_faults().await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_provider_is_left_alone_and_costs_the_others_nothing() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let dead = json!({"party": "weibo", "fault": {"kind": "status", "status": 503}});
    world.simulator().fault(&dead).await.unwrap();
    for _ in 0..5 {
        let start = weibo(&phone, &world, &lin).await;
        phone
            .begin(&start)
            .await
            .expect(503, "provider_unavailable");
    }
    // It would take ten seconds to answer now; nobody waits for it.
    let slow = json!({"party": "weibo", "fault": {"kind": "delay", "milliseconds": 10_000}});
    world.simulator().fault(&slow).await.unwrap();
    let start = weibo(&phone, &world, &lin).await;
    let began = Instant::now();
    phone
        .begin(&start)
        .await
        .expect(503, "provider_unavailable");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let other = qq(&phone, &world, &lin, QQ_APP, "token").await;
    assert_eq!(phone.begin(&other).await.body["next"]["step"], "phone");
}

#[tokio::test]
async fn a_start_that_is_not_described_is_refused_and_points_to_what_is_wrong() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    for (start, pointer) in [
        (
            json!({"provider": "weibo", "access_token": "t"}),
            "/start/provider/code",
        ),
        (
            json!({"provider": "qq", "access_token": "t", "openid": "o"}),
            "/start/provider/openid",
        ),
        (
            json!({"provider": "qq", "access_token": "t", "code": "c"}),
            "/start/provider/code",
        ),
    ] {
        let seen = phone.begin(&start).await;
        seen.expect(400, "invalid_request");
        assert_eq!(seen.body["pointer"], pointer);
    }
    let seen = phone
        .begin(&json!({"provider": "myspace", "code": "c"}))
        .await;
    seen.expect(403, "not_offered_here");
}

/// Asks for the signed string, lets the Alipay app answer it, and gives what a login starts with.
async fn alipay(phone: &Phone, world: &World, person: &Person) -> Value {
    let prepared = prepare(phone, "alipay").await;
    assert_eq!(prepared.status, 200, "{prepared:?}");
    assert_eq!(prepared.body["expires_in"], 600);
    let answer = alipay_answers(phone, world, person, &prepared.body, "agree").await;
    assert_eq!(answer["resultStatus"], "9000", "{answer}");
    json!({"provider": "alipay", "code": auth_code(&answer), "request": prepared.body["request"]})
}

async fn prepare(phone: &Phone, provider: &str) -> phone::Seen {
    let body = json!({"app_id": "bank-android", "provider": provider});
    phone
        .post("/v1/provider-requests", &phone::random128(), &body)
        .await
}

async fn alipay_answers(
    phone: &Phone,
    world: &World,
    person: &Person,
    prepared: &Value,
    decision: &str,
) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.alipay);
    let body = json!({
        "auth_info": prepared["auth_info"],
        "person": person.wechat_person,
        "decision": decision,
    });
    phone.ask(&url, &body).await
}

fn auth_code(answer: &Value) -> String {
    let result = answer["result"].as_str().unwrap();
    let code = result
        .split('&')
        .find_map(|pair| pair.strip_prefix("auth_code="));
    code.unwrap().to_owned()
}

#[tokio::test]
async fn a_new_person_registers_with_alipay_and_returns_in_one_login_request() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = alipay(&phone, &world, &lin).await;
    let done = phone.register(&world, &lin, &start).await;
    assert_eq!(
        done["account"]["bindings"][0]["provider"], "alipay",
        "{done}"
    );
    assert_eq!(done["account"]["nickname"], json!(lin.nickname));
    let again = phone.begin(&alipay(&phone, &world, &lin).await).await;
    assert_eq!(again.body["next"]["step"], "done", "{again:?}");
    assert_eq!(again.body["account"]["user_id"], done["account"]["user_id"]);
    phone
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
}

#[tokio::test]
async fn a_prepared_request_answers_to_its_device_once_and_for_ten_minutes_only() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    // Another device brings it: as if it did not exist, and the code is not even tried.
    let start = alipay(&phone, &world, &lin).await;
    Phone::of(&world)
        .begin(&start)
        .await
        .expect(400, "provider_code_invalid");
    assert_eq!(phone.begin(&start).await.body["next"]["step"], "phone");
    // A request that was used, with a fresh code.
    let mut second = alipay(&phone, &world, &lin).await;
    let unused = second["request"].clone();
    second["request"] = start["request"].clone();
    phone
        .begin(&second)
        .await
        .expect(400, "provider_code_invalid");
    second["request"] = unused;
    assert_eq!(phone.begin(&second).await.body["next"]["step"], "phone");
    // The same call repeated is the same request.
    let (key, body) = (
        phone::random128(),
        json!({"app_id": "bank-android", "provider": "alipay"}),
    );
    let one = phone.post("/v1/provider-requests", &key, &body).await;
    let two = phone.post("/v1/provider-requests", &key, &body).await;
    assert_eq!(one.body, two.body);
    let first = alipay_answers(&phone, &world, &lin, &one.body, "close").await;
    assert_eq!(first["resultStatus"], "6001");
    let reused = alipay_answers(&phone, &world, &lin, &two.body, "agree").await;
    assert_eq!(reused["resultStatus"], "5000");
}

#[tokio::test]
async fn provider_requests_are_refused_as_the_contract_says() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    prepare(&phone, "myspace")
        .await
        .expect(403, "not_offered_here");
    let wechat = prepare(&phone, "wechat").await;
    wechat.expect(400, "invalid_request");
    assert_eq!(wechat.body["pointer"], "/provider");
    for (body, pointer) in [
        (json!({"provider": "alipay"}), "/app_id"),
        (json!({"app_id": "bank-android"}), "/provider"),
        (
            json!({"app_id": "bank-android", "provider": "alipay", "target_id": "x"}),
            "/target_id",
        ),
    ] {
        let seen = phone
            .post("/v1/provider-requests", &phone::random128(), &body)
            .await;
        seen.expect(400, "invalid_request");
        assert_eq!(seen.body["pointer"], pointer);
    }
    let unknown = json!({"app_id": "nobody", "provider": "alipay"});
    phone
        .post("/v1/provider-requests", &phone::random128(), &unknown)
        .await
        .expect(404, "app_unknown");
}

#[tokio::test]
async fn what_alipay_does_wrong_ends_in_the_contracts_problems() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    for (fault, status, code) in [
        (
            json!({"kind": "wrong_signature"}),
            502,
            "provider_misconfigured",
        ),
        (json!({"kind": "rubbish"}), 503, "provider_unavailable"),
        (
            json!({"kind": "status", "status": 302}),
            503,
            "provider_unavailable",
        ),
        (
            json!({"kind": "expire_codes"}),
            400,
            "provider_code_invalid",
        ),
        (
            json!({"kind": "errcode", "errcode": 20_000, "errmsg": "isp.unknow-error"}),
            503,
            "provider_unavailable",
        ),
        (
            json!({"kind": "errcode", "errcode": 40_002, "errmsg": "isv.code-invalid"}),
            400,
            "provider_code_invalid",
        ),
        (
            json!({"kind": "errcode", "errcode": 40_006, "errmsg": "isv.insufficient-user-permissions"}),
            400,
            "provider_consent_incomplete",
        ),
    ] {
        let start = alipay(&phone, &world, &lin).await;
        let rule = json!({"party": "alipay", "fault": fault});
        world.simulator().fault(&rule).await.unwrap();
        phone.begin(&start).await.expect(status, code);
        world.simulator().clear_faults().await.unwrap();
    }
}
