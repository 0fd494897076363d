//! Provider subjects that change (M5), one to one (W3), silent identification (W4, W5).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::outside::{Customer, Person};
use super::races::{tally, together};
use super::world::{
    APP, APP_TWO, Flow, MOVED_APP, MOVED_APP_TWO, PASSWORD, PHONE, PHONE_TWO, Seen, World, new_key,
    new_signed, new_unsigned,
};
use crate::context::Timestamp;
use crate::guests::wire::GuestRequest;
use crate::login::LoginPolicy;
use crate::login::wire::LoginRequest;
use crate::store::accounts::{self, BindingRow};
use crate::store::limits::Limit;
use std::sync::Arc;

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};

fn silent_body(app_id: &str, code: &str) -> Value {
    json!({"app_id": app_id, "start": {"silent": {"provider": "wechat", "code": code}}})
}

async fn silently(world: &Arc<World>, app_id: &str, person: &Person) -> Seen {
    let code = world.outside.agree(person);
    world
        .request(&world.device(), &new_key(), &silent_body(app_id, &code))
        .await
}

async fn login(world: &Arc<World>, app_id: &str, person: &Person) -> Seen {
    let code = world.outside.agree(person);
    Flow::begin_in(world, app_id, &world.device(), &code)
        .await
        .1
}

fn without_union_id(person: &Person) -> Person {
    Person {
        union_id: None,
        ..person.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_two_apps_that_move_at_different_times_keep_one_account_and_free_the_old_union_id() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await.user_id();
    world.pass(1000);
    for app_id in [APP_TWO, MOVED_APP, APP_TWO, MOVED_APP] {
        let seen = login(&world, app_id, &li).await;
        seen.expect_step("done");
        assert_eq!(seen.user_id(), first, "{app_id}");
    }
    let platforms = || world.texts("SELECT platform FROM bindings ORDER BY platform");
    assert_eq!(platforms().await, ["op1", "op2"], "one app has not moved");
    assert_eq!(
        world
            .scalar("SELECT COUNT(DISTINCT bound_at) FROM bindings".into())
            .await,
        1,
        "U5: which binding is the earliest does not change"
    );
    let seen = login(&world, MOVED_APP_TWO, &li).await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first);
    assert_eq!(platforms().await, ["op2"]);
    assert_eq!(
        world
            .texts("SELECT old_platform || ' ' || old_subject || ' ' || new_subject || ' ' || app_id FROM subject_changes ORDER BY app_id")
            .await,
        [
            "op1 union-li@op1 union-li@op2 wx1",
            "op1 union-li@op1 union-li@op2 wx2"
        ]
    );
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM subject_changes c JOIN flow_events f ON f.login_ref = c.login_ref WHERE f.kind = 'logged_in'".into())
            .await,
        2,
        "the login by which it was seen"
    );
    assert_eq!(
        world
            .texts("SELECT kind FROM outbox WHERE kind LIKE 'binding.%' ORDER BY version")
            .await,
        ["binding.added", "binding.moved", "binding.moved"]
    );
    // The old union id is somebody else's one day.
    let other = Person {
        open_id: "open-other".into(),
        ..li
    };
    let (mut flow, seen) = Flow::begin_in(
        &world,
        APP_TWO,
        &world.device(),
        &world.outside.agree(&other),
    )
    .await;
    seen.expect_step("phone");
    flow.prove_number(PHONE_TWO).await;
    assert_ne!(flow.register(PASSWORD).await.user_id(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_a_union_id_that_was_given_to_somebody_else_opens_nothing_of_the_person_before() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await.user_id();
    let other = Person {
        open_id: "open-other".into(),
        ..li.clone()
    };
    login(&world, APP, &other)
        .await
        .expect_over(409, "identity_bound_elsewhere");
    silently(&world, APP, &other).await.expect_step("not_known");
    assert_eq!(world.rows("open_ids").await, 1);
    // Once the person before was seen under their new one, the union id is free.
    let renamed = Person {
        union_id: Some("union-new".into()),
        ..li.clone()
    };
    let seen = login(&world, APP, &renamed).await;
    assert_eq!(seen.user_id(), first);
    let (mut flow, seen) = Flow::begin(&world, &other).await;
    seen.expect_step("phone");
    flow.prove_number(PHONE_TWO).await;
    assert_ne!(flow.register(PASSWORD).await.user_id(), first);
    assert_eq!(login(&world, APP, &renamed).await.user_id(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_an_open_id_keeps_its_account_where_its_new_union_id_is_another_accounts() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await.user_id();
    // The same person has an account of the other platform's app, under another number.
    let code = world.outside.agree(&li);
    let (mut flow, seen) = Flow::begin_in(&world, MOVED_APP_TWO, &world.device(), &code).await;
    seen.expect_step("phone");
    flow.prove_number(PHONE_TWO).await;
    let second = flow.register(PASSWORD).await.user_id();
    assert_ne!(first, second);
    // Then the first app moves there. No two accounts are made one, and each app opens what it opened.
    for _ in 0..2 {
        assert_eq!(login(&world, MOVED_APP, &li).await.user_id(), first);
        assert_eq!(login(&world, MOVED_APP_TWO, &li).await.user_id(), second);
    }
    assert_eq!(world.rows("bindings").await, 2);
    assert_eq!(world.rows("subject_changes").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m5_fifty_logins_after_both_apps_moved_end_in_one_binding() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await.user_id();
    login(&world, APP_TWO, &li).await.expect_step("done");
    let seen = together((0..50).map(|index| {
        let (world, li) = (Arc::clone(&world), li.clone());
        let app_id = if index % 2 == 0 {
            MOVED_APP
        } else {
            MOVED_APP_TWO
        };
        async move { login(&world, app_id, &li).await }
    }))
    .await;
    assert_eq!(tally(&seen), HashMap::from([("done".to_owned(), 50)]));
    assert!(seen.iter().all(|seen| seen.user_id() == first));
    assert_eq!(world.texts("SELECT platform FROM bindings").await, ["op2"]);
    assert_eq!(world.rows("subject_changes").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w3_of_fifty_wechats_bound_to_one_user_id_at_once_one_is() {
    let many = Limit {
        count: 10_000,
        window: std::time::Duration::from_hours(1),
    };
    let world = World::with(LoginPolicy {
        sms_per_phone: vec![many],
        sms_per_address: vec![many],
        proofs_per_subject: many,
        ..LoginPolicy::default()
    })
    .await;
    let first = new_unsigned(&world, &Person::new("li"), PHONE)
        .await
        .user_id();
    world.execute("DELETE FROM open_ids").await;
    world.execute("DELETE FROM bindings").await;
    let mut flows = Vec::new();
    for index in 0..50 {
        let (mut flow, _) = Flow::begin(&world, &Person::new(&format!("w{index}"))).await;
        flow.prove_number(PHONE).await.expect_step("verification");
        flows.push(flow);
    }
    let seen = together(
        flows
            .into_iter()
            .map(|mut flow| async move { flow.password(PASSWORD).await }),
    )
    .await;
    assert_eq!(
        tally(&seen),
        HashMap::from([
            ("done".to_owned(), 1),
            ("identity_bound_elsewhere".to_owned(), 49)
        ])
    );
    let done = seen.iter().find(|seen| seen.step() == "done").unwrap();
    assert_eq!(done.user_id(), first);
    assert_eq!(
        (world.rows("bindings").await, world.rows("open_ids").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_m3_a_silent_credential_identifies_and_changes_no_profile() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    let first = new_signed(&world, &li, PHONE, LI.password).await;
    let renamed = Person {
        nickname: "told without being asked".into(),
        ..li
    };
    let seen = silently(&world, APP, &renamed).await;
    seen.expect_step("done");
    assert_eq!(
        seen.body["account"],
        json!({"user_id": first.user_id(), "identification": "identified", "nickname": "li", "bindings": []}),
        "L10: a reduced view"
    );
    assert_eq!(
        world.texts("SELECT acr FROM sessions ORDER BY acr").await,
        ["identified", "signed"]
    );
    assert_eq!(world.rows("logins").await, 0);
    // L7: to be signed, the face is still asked for.
    login(&world, APP, &renamed).await.expect_step("face");
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_a_silent_credential_of_nobody_known_records_nobody() {
    let world = World::new().await;
    for person in [Person::new("li"), without_union_id(&Person::new("wang"))] {
        let seen = silently(&world, APP, &person).await;
        assert_eq!(seen.body, json!({"next": {"step": "not_known"}}));
    }
    world.assert_nothing_bound().await;
    assert_eq!(
        world.texts("SELECT kind FROM flow_events").await,
        ["not_known", "not_known"],
        "L11"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_a_silent_credential_of_another_app_links_its_open_id_where_the_union_id_is_known() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await.user_id();
    silently(&world, APP_TWO, &without_union_id(&li))
        .await
        .expect_step("not_known");
    assert_eq!(silently(&world, APP_TWO, &li).await.user_id(), first);
    assert_eq!(
        world
            .texts("SELECT app_id FROM open_ids ORDER BY app_id")
            .await,
        ["wx1", "wx2"]
    );
    // From now on the open id alone is enough there.
    let seen = silently(&world, APP_TWO, &without_union_id(&li)).await;
    assert_eq!(seen.user_id(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn m2_a_silent_credential_serves_once_and_begins_no_login_besides() {
    let world = World::new().await;
    let li = Person::new("li");
    new_unsigned(&world, &li, PHONE).await;
    world
        .outside
        .codes_serve_for_ever
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let code = world.outside.agree(&li);
    let device = world.device();
    let body = silent_body(APP, &code);
    let key = new_key();
    let done = world.request(&device, &key, &body).await;
    done.expect_step("done");
    assert_eq!(
        world.request(&device, &key, &body).await.body,
        done.body,
        "the same call again has the same reply"
    );
    for body in [body, World::start_body(APP, &code)] {
        world
            .request(&device, &new_key(), &body)
            .await
            .expect_over(400, "provider_code_invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_whoever_withdrew_the_authorization_is_not_identified_until_they_log_in_again() {
    let world = World::new().await;
    let li = Person::new("li");
    new_unsigned(&world, &li, PHONE).await;
    world.execute("UPDATE bindings SET revoked_at = 5").await;
    silently(&world, APP, &li).await.expect_step("not_known");
    login(&world, APP, &li).await.expect_step("done");
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM bindings WHERE revoked_at IS NULL".into())
            .await,
        1
    );
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY action")
            .await,
        ["bound", "provider_restored"]
    );
    silently(&world, APP, &li).await.expect_step("done");
}

#[test]
fn w4_w7_no_request_field_carries_an_open_id_or_a_user_id() {
    let credential = json!({"provider": "wechat", "code": "c"});
    let bodies = [
        json!({"app_id": "a", "start": {"provider": credential}}),
        json!({"app_id": "a", "start": {"silent": credential}, "bring_guest": true}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"cancel": {}}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"phone": "+8613800138000"}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"face": {"ticket": "t"}}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"registration": {"login_password": {"sealed": "k"}}}}),
        json!({"login": "lg_x", "step_id": "s", "answer": {"card": {"number": {"sealed": "k"}, "withdrawal_password": {"sealed": "k"}}}}),
    ];
    for body in &bodies {
        LoginRequest::parse(body.to_string().as_bytes()).unwrap();
    }
    let guest = json!({"app_id": "a", "consent": {"version": "1"}, "provider": credential});
    GuestRequest::parse(guest.to_string().as_bytes()).unwrap();
    let mut tried = 0;
    for (body, is_guest) in bodies
        .iter()
        .map(|body| (body, false))
        .chain([(&guest, true)])
    {
        for place in objects(body, "") {
            for name in [
                "user_id",
                "sub",
                "account",
                "open_id",
                "openid",
                "union_id",
                "unionid",
                "subject",
                "customer_ref",
                "guest",
            ] {
                let mut hostile = body.clone();
                hostile.pointer_mut(&place).unwrap()[name] = json!("victim");
                let bytes = hostile.to_string().into_bytes();
                let refused = if is_guest {
                    GuestRequest::parse(&bytes).err()
                } else {
                    LoginRequest::parse(&bytes).err()
                };
                assert_eq!(
                    refused.unwrap().pointer,
                    format!("{place}/{name}"),
                    "{hostile}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

/// The pointers of all objects in a value.
fn objects(value: &Value, at: &str) -> Vec<String> {
    let Value::Object(members) = value else {
        return Vec::new();
    };
    let mut found = vec![at.to_owned()];
    for (name, member) in members {
        found.extend(objects(member, &format!("{at}/{name}")));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_virtual_id_holds_no_binding_no_number_no_password_and_no_customer() {
    let world = World::new().await;
    world
        .execute("INSERT INTO accounts (user_id, kind, created_at, version) VALUES ('v', 'virtual', 0, 1)")
        .await;
    let at = Timestamp::from_millis(1);
    let binding = BindingRow {
        binding_id: "b".into(),
        provider: "wechat".into(),
        platform: "op1".into(),
        subject: "s".into(),
        user_id: "v".into(),
        bound_at: at,
        revoked_at: None,
    };
    let tries = world
        .store
        .write(move |tx| {
            let binding = binding.clone();
            Box::pin(async move {
                Ok::<_, crate::store::StoreError>([
                    accounts::insert_binding(tx, &binding).await.is_err(),
                    accounts::set_phone(tx, "v", "i", "n", at).await.is_err(),
                    accounts::insert_password(tx, "v", "h", at).await.is_err(),
                    !accounts::set_customer(tx, "v", "C1").await?,
                ])
            })
        })
        .await
        .unwrap();
    assert_eq!(tries, [true; 4]);
    for table in ["bindings", "phones", "login_passwords"] {
        assert_eq!(world.rows(table).await, 0, "{table}");
    }
}
