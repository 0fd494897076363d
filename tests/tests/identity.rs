//! Silent identification, guests, the bank's own login and providers' notifications (contract/identity.md), with the simulator's parties over real HTTP.
#![allow(clippy::unwrap_used)]

mod phone;

use phone::{Phone, random128};
use postern_tests::{Person, World};
use serde_json::{Value, json};

const WECHAT_APP: &str = "wx5b1e0c6a7d000001";

async fn person(world: &World, wish: Value) -> Person {
    world.simulator().person(&wish).await.unwrap()
}

/// WeChat's answer on the phone. `snsapi_base` asks nobody.
async fn wechat(phone: &Phone, world: &World, person: &Person, scope: &str) -> Value {
    let url = format!("{}/phone/authorize", world.env().simulator.wechat);
    let body = json!({"appid": WECHAT_APP, "scope": scope, "state": "s", "person": person.wechat_person, "decision": "agree"});
    let answer = phone.ask(&url, &body).await;
    json!({"provider": "wechat", "code": answer["code"]})
}

async fn silently(phone: &Phone, world: &World, person: &Person) -> Value {
    let credential = wechat(phone, world, person, "snsapi_base").await;
    let body = json!({"app_id": "bank-android", "start": {"silent": credential}});
    phone.post("/v1/login", &random128(), &body).await.body
}

async fn guest(phone: &Phone, world: &World, person: &Person) -> Value {
    let credential = wechat(phone, world, person, "snsapi_base").await;
    let body =
        json!({"app_id": "bank-android", "consent": {"version": "1"}, "provider": credential});
    phone.post("/v1/guests", &random128(), &body).await.body
}

/// Logs in at the bank, and brings that here.
async fn bank(
    phone: &Phone,
    world: &World,
    person: &Person,
    amr: &[&str],
    at_hand: Option<Value>,
) -> Value {
    let url = format!("{}/phone/bank-session", world.env().simulator.core);
    let login = json!({"phone": person.phone, "method": "password", "amr": amr, "audience": world.env().account_center, "device_key": phone.thumbprint().as_str()});
    let answer = phone.ask(&url, &login).await;
    let mut start = json!({"assertion": answer["assertion"]});
    if let Some(credential) = at_hand {
        start["provider"] = credential;
    }
    let body = json!({"app_id": "bank-android", "start": {"bank_session": start}});
    phone.post("/v1/login", &random128(), &body).await.body
}

async fn tell(phone: &Phone, world: &World, told: &Value) -> Value {
    let url = format!("{}/notifications", world.env().simulator.control);
    phone.ask(&url, told).await
}

#[tokio::test]
async fn w4_w6_w9_a_guest_of_an_open_id_becomes_an_account_that_is_then_identified_silently() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    assert_eq!(
        silently(&phone, &world, &lin).await,
        json!({"next": {"step": "not_known"}})
    );
    let first = guest(&phone, &world, &lin).await;
    assert_eq!(first["account"]["identification"], "guest", "{first}");
    assert_eq!(
        guest(&phone, &world, &lin).await["account"],
        first["account"]
    );
    // W9: WeChat tells the union id now.
    let start = wechat(&phone, &world, &lin, "snsapi_userinfo").await;
    let done = phone.register(&world, &lin, &start).await;
    let other = Phone::of(&world);
    for seen in [
        silently(&phone, &world, &lin).await,
        silently(&other, &world, &lin).await,
        guest(&other, &world, &lin).await,
    ] {
        assert_eq!(seen["account"]["user_id"], done["account"]["user_id"]);
        assert_eq!(seen["account"]["identification"], "identified", "{seen}");
        assert!(seen["account"].get("phone_masked").is_none());
    }
    // Somebody is logged in on the first phone.
    assert_eq!(guest(&phone, &world, &lin).await["code"], "conflict");
}

#[tokio::test]
async fn l1_l9_a_customer_of_the_banks_own_login_binds_wechat_with_the_proof_of_that_login() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let chen = person(&world, json!({"kind": "signed"})).await;
    let credential = wechat(&phone, &world, &chen, "snsapi_userinfo").await;
    let done = bank(&phone, &world, &chen, &["pwd"], Some(credential)).await;
    assert_eq!(done["account"]["identification"], "signed", "{done}");
    assert_eq!(done["binding"]["result"], "reauthentication_required");
    let credential = wechat(&phone, &world, &chen, "snsapi_userinfo").await;
    let done = bank(&phone, &world, &chen, &["pwd", "face"], Some(credential)).await;
    assert_eq!(done["binding"]["result"], "bound", "{done}");
    let seen = silently(&phone, &world, &chen).await;
    assert_eq!(seen["account"]["user_id"], done["account"]["user_id"]);
    let nobody = Phone::of(&world);
    let url = format!("{}/phone/bank-session", world.env().simulator.core);
    let login = json!({"phone": chen.phone, "method": "password", "audience": world.env().account_center, "device_key": phone.thumbprint().as_str()});
    let stolen = nobody.ask(&url, &login).await;
    let body = json!({"app_id": "bank-android", "start": {"bank_session": {"assertion": stolen["assertion"]}}});
    nobody
        .post("/v1/login", &random128(), &body)
        .await
        .expect(400, "bank_session_invalid");
}

#[tokio::test]
async fn l8_wechat_and_alipay_tell_of_a_withdrawn_authorization_and_a_login_restores_it() {
    let world = World::start().await.unwrap();
    let phone = Phone::of(&world);
    let lin = person(&world, json!({"kind": "unsigned"})).await;
    let start = wechat(&phone, &world, &lin, "snsapi_userinfo").await;
    phone.register(&world, &lin, &start).await;
    for as_json in [false, true] {
        let told = json!({"provider": "wechat", "appid": WECHAT_APP, "person": lin.wechat_person,
                          "event": "user_authorization_revoke", "revoke_info": "301", "json": as_json});
        let answer = tell(&phone, &world, &told).await;
        assert_eq!(answer, json!({"status": 200, "body": "success"}));
        assert_eq!(
            silently(&phone, &world, &lin).await["next"]["step"],
            "not_known"
        );
        let start = wechat(&phone, &world, &lin, "snsapi_userinfo").await;
        assert_eq!(phone.begin(&start).await.body["next"]["step"], "done");
        assert_eq!(silently(&phone, &world, &lin).await["next"]["step"], "done");
        // The next push has another CreateTime.
        let url = format!("{}/clock", world.env().simulator.control);
        phone.ask(&url, &json!({"advance_seconds": 5})).await;
    }
    let told =
        json!({"provider": "alipay", "appid": "2021000000000001", "person": lin.wechat_person});
    let answer = tell(&phone, &world, &told).await;
    assert_eq!(answer, json!({"status": 200, "body": "success"}));
}
