//! The bank's own login (L1, W7).

use std::collections::HashMap;
use std::sync::Arc;

use postern_server_security::Thumbprint;
use postern_server_security::jws::sign_parts;
use postern_server_security::keys::SigningKey;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use super::outside::{Customer, Person};
use super::races::{tally, together};
use super::world::{APP, Flow, PHONE, PHONE_TWO, Seen, World, new_key, new_signed, new_unsigned};
use crate::bank::{BankSessions, KeySource};
use crate::context::Context;
use crate::login::wire::LoginRequest;

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};
const BANK: &str = "https://app.bank.example";
const NOW: i64 = 1_800_000_000;

/// The bank's server, with its keys in a file.
pub(super) struct TestBank {
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl TestBank {
    pub(super) fn new() -> Self {
        let bank = Self {
            folder: tempfile::tempdir().unwrap(),
            key: key(),
        };
        bank.publish(&bank.key);
        bank
    }

    fn publish(&self, key: &SigningKey) {
        let mut jwk = key.public().jwk();
        jwk["kid"] = json!(key.kid());
        let path = self.folder.path().join("jwks.json");
        std::fs::write(path, json!({"keys": [jwk]}).to_string()).unwrap();
    }

    pub(super) fn connect(&self, audience: &str, context: Context) -> BankSessions {
        let source = KeySource::File(self.folder.path().join("jwks.json"));
        BankSessions::new(BANK.to_owned(), audience, source, context)
    }

    fn sign(&self, claims: &Value) -> String {
        sign(&self.key, claims)
    }
}

fn key() -> SigningKey {
    let random = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8(&random).unwrap(), &random).unwrap()
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"typ": "bank-session+jwt", "alg": "ES256", "kid": key.kid()});
    sign_parts(
        header.to_string().as_bytes(),
        claims.to_string().as_bytes(),
        key,
        &SystemRandom::new(),
    )
    .unwrap()
}

/// Of a customer or of a number, with what was shown.
fn claims(device: &Thumbprint, who: &Value, method: &str, shown: &[&str]) -> Value {
    let mut claims = json!({
        "iss": BANK, "aud": "https://login.bank.example", "iat": NOW, "exp": NOW + 60, "jti": new_key(),
        "cnf": {"jkt": device.as_str()}, "method": method, "amr": shown,
    });
    for (name, value) in who.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn body(assertion: &str) -> Value {
    json!({"app_id": APP, "start": {"bank_session": {"assertion": assertion}}})
}

async fn enter(
    world: &World,
    device: &Thumbprint,
    who: &Value,
    method: &str,
    shown: &[&str],
) -> Seen {
    let assertion = world.bank.sign(&claims(device, who, method, shown));
    world.request(device, &new_key(), &body(&assertion)).await
}

/// With a WeChat credential at hand; what became of it.
async fn enter_with(
    world: &World,
    device: &Thumbprint,
    who: &Value,
    shown: &[&str],
    person: &Person,
) -> (Seen, String) {
    let assertion = world.bank.sign(&claims(device, who, "password", shown));
    let mut body = body(&assertion);
    body["start"]["bank_session"]["provider"] =
        json!({"provider": "wechat", "code": world.outside.agree(person)});
    let seen = world.request(device, &new_key(), &body).await;
    seen.expect_step("done");
    assert_eq!(seen.body["binding"]["provider"], "wechat");
    let result = seen.body["binding"]["result"].as_str().unwrap().to_owned();
    (seen, result)
}

fn customer() -> Value {
    json!({"sub": "C1", "phone_number": PHONE})
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_w7_a_customer_of_the_banks_own_login_gets_an_account_and_the_same_one_again() {
    let world = World::new().await;
    let first = enter(&world, &world.device(), &customer(), "password", &["pwd"]).await;
    first.expect_step("done");
    assert_eq!(first.body["account"]["identification"], "signed");
    assert_eq!(first.body["account"]["phone_masked"], "138****8000");
    assert_eq!(first.body["session"]["token_type"], "DPoP");
    for (who, method) in [
        (customer(), "fingerprint"),
        (json!({"sub": "C1"}), "phone"),
        (json!({"sub": "C1", "phone_number": PHONE_TWO}), "password"),
    ] {
        let seen = enter(&world, &world.device(), &who, method, &[]).await;
        assert_eq!(seen.user_id(), first.user_id(), "{who}");
    }
    assert_eq!(
        world
            .texts("SELECT began_with FROM sessions ORDER BY began_with")
            .await,
        [
            "bank:fingerprint",
            "bank:password",
            "bank:password",
            "bank:phone"
        ]
    );
    assert_eq!(
        world.texts("SELECT DISTINCT acr FROM sessions").await,
        ["signed"]
    );
    assert_eq!(
        world
            .texts("SELECT kind FROM outbox ORDER BY version")
            .await,
        ["account.created", "phone.changed"],
        "U4: the contract's new number replaces the one before"
    );
    assert_eq!(
        (world.rows("accounts").await, world.rows("phones").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_the_banks_login_comes_to_the_account_that_a_providers_login_made_and_the_other_way_round()
 {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    let first = new_signed(&world, &li, PHONE, LI.password).await;
    let seen = enter(&world, &world.device(), &customer(), "password", &[]).await;
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(seen.body["account"]["bindings"][0]["provider"], "wechat");

    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let first = enter(&world, &world.device(), &customer(), "password", &[]).await;
    assert_eq!(
        new_signed(&world, &li, PHONE, LI.password).await.user_id(),
        first.user_id()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_recycled_number_opens_nothing_of_its_holder_before() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let first = new_signed(&world, &Person::new("li"), PHONE, LI.password).await;
    // The number is another customer's, or somebody's who is none.
    for who in [
        json!({"sub": "C2", "phone_number": PHONE}),
        json!({"phone_number": PHONE}),
    ] {
        enter(&world, &world.device(), &who, "password", &["pwd"])
            .await
            .expect_over(409, "phone_bound_elsewhere");
    }
    // Without the number, the other customer has an account of their own, and keeps it whatever the number says.
    let second = enter(
        &world,
        &world.device(),
        &json!({"sub": "C2"}),
        "password",
        &[],
    )
    .await;
    assert_ne!(second.user_id(), first.user_id());
    let again = enter(
        &world,
        &world.device(),
        &json!({"sub": "C2", "phone_number": PHONE}),
        "password",
        &[],
    )
    .await;
    assert_eq!(again.user_id(), second.user_id());
    assert!(again.body["account"].get("phone_masked").is_none());
    assert_eq!(world.rows("phones").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn u2_an_unsigned_account_is_not_opened_by_a_message_alone_nor_made_a_customers() {
    let world = World::new().await;
    let first = new_unsigned(&world, &Person::new("li"), PHONE).await;
    let number = json!({"phone_number": PHONE});
    let weak = enter(&world, &world.device(), &number, "phone", &["sms"]).await;
    assert_eq!(
        weak.body["account"],
        json!({"user_id": first.user_id(), "identification": "identified", "nickname": "li", "bindings": []})
    );
    let strong = enter(&world, &world.device(), &number, "password", &["pwd"]).await;
    assert_eq!(strong.body["account"]["identification"], "unsigned");
    assert_eq!(strong.user_id(), first.user_id());
    enter(&world, &world.device(), &customer(), "password", &["pwd"])
        .await
        .expect_over(409, "phone_bound_elsewhere");
    let new = enter(
        &world,
        &world.device(),
        &json!({"phone_number": PHONE_TWO}),
        "phone",
        &["sms"],
    )
    .await;
    assert_eq!(new.body["account"]["identification"], "unsigned");
    assert_ne!(new.user_id(), first.user_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_an_assertion_serves_once_and_its_own_device_key_only() {
    let world = World::new().await;
    let (own, other) = (world.device(), world.device());
    let assertion = world.bank.sign(&claims(&own, &customer(), "password", &[]));
    world
        .request(&other, &new_key(), &body(&assertion))
        .await
        .expect_over(400, "bank_session_invalid");
    let key = new_key();
    let first = world.request(&own, &key, &body(&assertion)).await;
    first.expect_step("done");
    assert_eq!(
        world.request(&own, &key, &body(&assertion)).await.body,
        first.body
    );
    world
        .request(&own, &new_key(), &body(&assertion))
        .await
        .expect_over(400, "bank_session_invalid");
    // The same jti in another assertion.
    let mut again = claims(&own, &customer(), "password", &[]);
    again["jti"] = json!("0123456789abcdef");
    let once = world.bank.sign(&again);
    again["method"] = json!("fingerprint");
    let twice = world.bank.sign(&again);
    world
        .request(&own, &new_key(), &body(&once))
        .await
        .expect_step("done");
    world
        .request(&own, &new_key(), &body(&twice))
        .await
        .expect_over(400, "bank_session_invalid");
    assert_eq!(world.rows("sessions").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_an_assertion_that_is_not_the_banks_opens_nothing() {
    let world = World::new().await;
    let device = world.device();
    let good = claims(&device, &customer(), "password", &[]);
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        world.bank.sign(&changed)
    };
    for assertion in [
        sign(&key(), &good),
        with("iss", json!("https://evil.example")),
        with("aud", json!("https://other.example")),
        with("exp", json!(NOW + 120)),
        with("exp", json!(NOW - 20)),
        with("phone_number", json!("13800138000")),
        with("sub", json!(["C1"])),
        String::new(),
        "a.b.c".to_owned(),
    ] {
        world
            .request(&device, &new_key(), &body(&assertion))
            .await
            .expect_over(400, "bank_session_invalid");
    }
    world.assert_nothing_bound().await;
    for hostile in [
        json!({"assertion": "a", "user_id": "u"}),
        json!({"assertion": "a", "sub": "C1"}),
        json!({"assertion": "a", "phone": PHONE}),
        json!({}),
    ] {
        let body = json!({"app_id": APP, "start": {"bank_session": hostile}});
        assert!(LoginRequest::parse(body.to_string().as_bytes()).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_new_key_of_the_banks_is_read_and_one_that_was_taken_back_ends() {
    let world = World::new().await;
    let device = world.device();
    let old = &world.bank.key;
    let enter_by = async |key: &SigningKey, later: i64| {
        let mut claims = claims(&device, &customer(), "password", &[]);
        claims["iat"] = json!(NOW + later);
        claims["exp"] = json!(NOW + later + 60);
        world
            .request(&device, &new_key(), &body(&sign(key, &claims)))
            .await
    };
    enter_by(old, 0).await.expect_step("done");
    let new = key();
    world.bank.publish(&new);
    // Not more than once in ten seconds is it looked for.
    enter_by(&new, 0)
        .await
        .expect_over(400, "bank_session_invalid");
    world.pass(11);
    enter_by(&new, 11).await.expect_step("done");
    enter_by(old, 11)
        .await
        .expect_over(400, "bank_session_invalid");
    // A file that cannot be read leaves the keys for an hour, and no longer.
    std::fs::remove_file(world.bank.folder.path().join("jwks.json")).unwrap();
    world.pass(1800);
    enter_by(&new, 1811).await.expect_step("done");
    world.pass(1800);
    enter_by(&new, 3611)
        .await
        .expect_problem(503, "core_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_l9_a_provider_at_hand_is_bound_only_by_the_proof_that_l9_asks_for() {
    let world = World::new().await;
    let device = world.device();
    let li = Person::new("li");
    for shown in [
        &[][..],
        &["pwd"],
        &["face"],
        &["fpt", "face"],
        &["sms", "face"],
    ] {
        let (_, result) = enter_with(&world, &device, &customer(), shown, &li).await;
        assert_eq!(result, "reauthentication_required", "{shown:?}");
        assert_eq!(world.rows("bindings").await, 0);
    }
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM sessions WHERE proved_at IS NOT NULL".into())
            .await,
        0
    );
    let (seen, result) = enter_with(&world, &device, &customer(), &["pwd", "face"], &li).await;
    assert_eq!(result, "bound");
    assert_eq!(seen.body["account"]["bindings"][0]["provider"], "wechat");
    assert_eq!(world.rows("notices").await, 1, "L9: the customer is told");
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM sessions WHERE proved_at IS NOT NULL".into())
            .await,
        1
    );
    // What is bound already needs no proof; another person's, and a second one, are refused.
    let (_, result) = enter_with(&world, &device, &customer(), &[], &li).await;
    assert_eq!(result, "bound_already");
    let (_, result) = enter_with(
        &world,
        &device,
        &customer(),
        &["pwd", "face"],
        &Person::new("wang"),
    )
    .await;
    assert_eq!(result, "provider_already_bound", "W3");
    let number = json!({"phone_number": PHONE_TWO});
    let (_, result) = enter_with(&world, &world.device(), &number, &["pwd"], &li).await;
    assert_eq!(result, "identity_bound_elsewhere", "U3");
    let silent = Person {
        union_id: None,
        ..Person::new("zhao")
    };
    let (_, result) = enter_with(&world, &world.device(), &number, &["pwd"], &silent).await;
    assert_eq!(result, "provider_consent_incomplete", "W2");
    let (_, result) = enter_with(
        &world,
        &world.device(),
        &number,
        &["pwd"],
        &Person::new("zhou"),
    )
    .await;
    assert_eq!(result, "bound");
    assert_eq!(world.rows("bindings").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_a_provider_that_is_down_costs_nobody_the_banks_login() {
    let world = World::new().await;
    world
        .outside
        .provider_down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let (_, result) = enter_with(
        &world,
        &world.device(),
        &customer(),
        &["pwd", "face"],
        &Person::new("li"),
    )
    .await;
    assert_eq!(result, "provider_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w7_fifty_first_logins_of_one_customer_at_once_make_one_account() {
    let world = World::new().await;
    let seen = together((0..50).map(|index| {
        let world = Arc::clone(&world);
        async move {
            let method = if index % 2 == 0 {
                "password"
            } else {
                "fingerprint"
            };
            enter(&world, &world.device(), &customer(), method, &[]).await
        }
    }))
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    assert!(seen.iter().all(|one| one.user_id() == seen[0].user_id()));
    assert_eq!(
        (world.rows("accounts").await, world.rows("phones").await),
        (1, 1)
    );
    // And one assertion by fifty requests: once.
    let device = world.device();
    let assertion = world
        .bank
        .sign(&claims(&device, &customer(), "password", &[]));
    let seen = together((0..50).map(|_| {
        let (world, device, body) = (Arc::clone(&world), device.clone(), body(&assertion));
        async move { world.request(&device, &new_key(), &body).await }
    }))
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("done".to_owned(), 1),
            ("bank_session_invalid".to_owned(), 49)
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_an_account_of_the_banks_login_is_found_by_its_number_at_a_providers_login() {
    let world = World::new().await;
    let first = enter(
        &world,
        &world.device(),
        &json!({"phone_number": PHONE}),
        "password",
        &["pwd"],
    )
    .await;
    first.expect_step("done");
    // It has no login password here, so a number alone does not open it (U2); the way is to bind while logged in.
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE)
        .await
        .expect_over(409, "phone_bound_elsewhere");
}
