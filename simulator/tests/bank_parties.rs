//! SMS inbox, core bank and face service.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, Reply};
use reqwest::Method;
use serde_json::{Value, json};

const SMS: &str = "simulator-sms-key";
const CORE: &str = "simulator-core-key";
const FACE: &str = "simulator-face-key";

#[tokio::test]
async fn server_calls_want_their_own_key() {
    let bench = Bench::start().await;
    let at = bench.at();
    for url in [
        format!("{}/messages", at.sms),
        format!("{}/customers/lookup", at.core),
        format!("{}/customers/C1000000002/login-password", at.core),
        format!("{}/customers/C1000000002/card", at.core),
        format!("{}/sessions", at.face),
        format!("{}/tickets/verify", at.face),
    ] {
        for key in [None, Some("wrong"), Some("simulator-none-key")] {
            assert_eq!(
                bench
                    .send(Method::POST, url.clone(), key, &json!({}))
                    .await
                    .status,
                401,
                "{url}"
            );
        }
    }
    assert_eq!(
        bench
            .get(format!("{}/customers/C1000000002", at.core))
            .await
            .status,
        401
    );
}

fn message(to: &str, code: &str) -> Value {
    json!({ "to": to, "template": "login_code", "parameters": { "code": code, "minutes": "10" } })
}

#[tokio::test]
async fn l4_a_code_sent_is_found_in_the_inbox_newest_first() {
    let bench = Bench::start().await;
    let url = format!("{}/messages", bench.at().sms);
    for code in ["111111", "222222"] {
        let reply = bench
            .post(url.clone(), SMS, message("+8613800000001", code))
            .await;
        assert!(
            reply.json()["message_id"]
                .as_str()
                .unwrap()
                .starts_with("sms_")
        );
        bench.clock.advance(60);
    }
    for phone in ["+8613800000001", "%2B8613800000001"] {
        let inbox = bench
            .get(format!("{}/inbox/{phone}", bench.at().sms))
            .await
            .json();
        let messages = inbox["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!(
            messages[0]["parameters"],
            json!({ "code": "222222", "minutes": "10" })
        );
        assert_eq!(
            (&messages[0]["at"], &messages[1]["at"]),
            (&json!(1_700_000_060_u64), &json!(1_700_000_000_u64))
        );
        assert!(messages[0]["text"].as_str().unwrap().contains("222222"));
    }
    assert_eq!(
        bench
            .get(format!("{}/inbox/+8613899999999", bench.at().sms))
            .await
            .json(),
        json!({ "messages": [] })
    );
}

#[tokio::test]
async fn a_message_that_no_gateway_would_send_is_refused() {
    let bench = Bench::start().await;
    let url = format!("{}/messages", bench.at().sms);
    let mut unknown = message("+8613800000001", "1");
    unknown["template"] = json!("newsletter");
    let mut extra = message("+8613800000001", "1");
    extra["colour"] = json!("red");
    for body in [
        message("13800000001", "1"),
        message("+86138000000011111", "1"),
        message("+0138000000", "1"),
        unknown,
        extra,
        json!([]),
    ] {
        assert_eq!(bench.post(url.clone(), SMS, body).await.status, 400);
    }
}

async fn lookup(bench: &Bench, phone: &str) -> Value {
    bench
        .post(
            format!("{}/customers/lookup", bench.at().core),
            CORE,
            json!({ "phone": phone }),
        )
        .await
        .json()
}

#[tokio::test]
async fn l4_the_phone_number_tells_whether_somebody_is_signed() {
    let bench = Bench::start().await;
    assert_eq!(
        lookup(&bench, "+8613800000001").await,
        json!({ "customers": [] })
    );
    assert_eq!(
        lookup(&bench, "+8613800000002").await,
        json!({ "customers": [{ "reference": "C1000000002" }] })
    );
    let both =
        json!({ "customers": [{ "reference": "C1000000003" }, { "reference": "C1000000003B" }] });
    assert_eq!(lookup(&bench, "+8613800000003").await, both);
}

async fn signed(bench: &Bench) -> Value {
    bench
        .control(Method::POST, "/people", json!({ "kind": "signed" }))
        .await
        .json()
}

async fn check(bench: &Bench, person: &Value, what: &str, body: Value) -> Reply {
    let reference = person["customer_reference"].as_str().unwrap();
    bench
        .post(
            format!("{}/customers/{reference}/{what}", bench.at().core),
            CORE,
            body,
        )
        .await
}

#[tokio::test]
async fn l5_password_and_card_are_checked_against_that_customer_only() {
    let bench = Bench::start().await;
    let (one, other) = (signed(&bench).await, signed(&bench).await);
    let card = |person: &Value| json!({ "card_number": person["card_number"], "withdrawal_password": person["withdrawal_password"] });
    let password = |person: &Value| json!({ "password": person["login_password"] });
    let ok = json!({ "result": "ok" });
    let wrong = json!({ "result": "wrong" });
    assert_eq!(
        check(&bench, &one, "login-password", password(&one))
            .await
            .json(),
        ok
    );
    assert_eq!(check(&bench, &one, "card", card(&one)).await.json(), ok);
    assert_eq!(
        check(&bench, &one, "login-password", password(&other))
            .await
            .json(),
        wrong
    );
    assert_eq!(
        check(&bench, &one, "card", card(&other)).await.json(),
        wrong
    );
    let mut half = card(&one);
    half["withdrawal_password"] = json!("not it");
    assert_eq!(check(&bench, &one, "card", half).await.json(), wrong);
}

#[tokio::test]
async fn l5_five_wrong_ones_of_either_kind_lock_the_customer_for_half_an_hour() {
    let bench = Bench::start().await;
    let (person, other) = (signed(&bench).await, signed(&bench).await);
    let wrong_card = json!({ "card_number": "1", "withdrawal_password": "1" });
    for (what, body) in [
        ("login-password", json!({ "password": "1" })),
        ("card", wrong_card.clone()),
        ("card", wrong_card.clone()),
        ("card", wrong_card.clone()),
    ] {
        assert_eq!(
            check(&bench, &person, what, body).await.json()["result"],
            "wrong"
        );
    }
    assert_eq!(
        check(&bench, &person, "card", wrong_card).await.json(),
        json!({ "result": "locked", "retry_after": 1800 })
    );
    bench.clock.advance(60);
    let right = json!({ "password": person["login_password"] });
    assert_eq!(
        check(&bench, &person, "login-password", right.clone())
            .await
            .json(),
        json!({ "result": "locked", "retry_after": 1740 })
    );
    assert_eq!(
        check(
            &bench,
            &other,
            "login-password",
            json!({ "password": other["login_password"] })
        )
        .await
        .json()["result"],
        "ok"
    );
    bench.clock.advance(1740);
    assert_eq!(
        check(&bench, &person, "login-password", right).await.json(),
        json!({ "result": "ok" })
    );
}

#[tokio::test]
async fn l10_limits_follow_the_customer_reference() {
    let bench = Bench::start().await;
    let get = async |reference: &str| {
        common::read(
            bench
                .client
                .get(format!("{}/customers/{reference}", bench.at().core))
                .bearer_auth(CORE),
        )
        .await
    };
    let customer = get("C1000000002").await.json();
    assert_eq!(
        (&customer["reference"], &customer["limits"]["per_day"]),
        (&json!("C1000000002"), &json!(5_000_000))
    );
    assert_eq!(get("C404").await.status, 404);
    assert_eq!(
        bench
            .post(
                format!("{}/customers/C404/card", bench.at().core),
                CORE,
                json!({ "card_number": "1", "withdrawal_password": "1" })
            )
            .await
            .status,
        404
    );
}

async fn face_session(bench: &Bench) -> (Value, Value) {
    let bound = json!({ "customer": "C1", "login": "lg_1", "device_key": "key", "nonce": "n" });
    let session = bench
        .post(format!("{}/sessions", bench.at().face), FACE, bound.clone())
        .await
        .json();
    (bound, session)
}

async fn perform(bench: &Bench, session: &Value, outcome: &str) -> Reply {
    let url = format!("{}/perform", session["url"].as_str().unwrap());
    bench
        .send(Method::POST, url, None, &json!({ "outcome": outcome }))
        .await
}

async fn verify(bench: &Bench, ticket: &Value) -> Value {
    bench
        .post(
            format!("{}/tickets/verify", bench.at().face),
            FACE,
            json!({ "ticket": ticket }),
        )
        .await
        .json()
}

#[tokio::test]
async fn l5_a_face_ticket_says_what_it_is_bound_to_and_serves_once() {
    let bench = Bench::start().await;
    for (outcome, result) in [
        ("pass", "passed"),
        ("fail", "failed"),
        ("timeout", "timed_out"),
    ] {
        let (mut expected, session) = face_session(&bench).await;
        let path = format!(
            "/phone/sessions/{}",
            session["face_session"].as_str().unwrap()
        );
        assert_eq!(session["url"], format!("{}{path}", bench.at().face));
        let ticket = perform(&bench, &session, outcome).await.json()["ticket"].clone();
        expected["result"] = json!(result);
        assert_eq!(verify(&bench, &ticket).await, expected);
        assert_eq!(verify(&bench, &ticket).await, json!({ "result": "used" }));
        assert_eq!(perform(&bench, &session, "pass").await.status, 404);
    }
    assert_eq!(
        verify(&bench, &json!("ft_unknown")).await,
        json!({ "result": "unknown" })
    );
}

#[tokio::test]
async fn l5_performing_again_before_the_check_voids_the_earlier_ticket() {
    let bench = Bench::start().await;
    let (_, session) = face_session(&bench).await;
    let first = perform(&bench, &session, "pass").await.json()["ticket"].clone();
    let second = perform(&bench, &session, "fail").await.json()["ticket"].clone();
    assert_eq!(verify(&bench, &first).await, json!({ "result": "unknown" }));
    assert_eq!(verify(&bench, &second).await["result"], "failed");
    assert_eq!(perform(&bench, &session, "pass").await.status, 404);
}

#[tokio::test]
async fn l5_a_face_session_waits_ten_minutes_and_a_ticket_five() {
    let bench = Bench::start().await;
    let (_, session) = face_session(&bench).await;
    let (_, late) = face_session(&bench).await;
    let ticket = perform(&bench, &session, "pass").await.json()["ticket"].clone();
    bench.clock.advance(300);
    assert_eq!(
        verify(&bench, &ticket).await,
        json!({ "result": "unknown" })
    );
    bench.clock.advance(300);
    assert_eq!(perform(&bench, &late, "pass").await.status, 404);
}
