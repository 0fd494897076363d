//! The ways through a login, and what they leave behind.

use serde_json::json;

use super::outside::{Customer, Person};
use super::world::{
    APP_TWO, Flow, MOVED_APP, PASSWORD, PHONE, PHONE_TWO, World, new_signed, new_unsigned,
};

const LI: Customer = Customer {
    reference: "C1",
    password: "core-Passw0rd",
    card: ("6222020000000001", "123456"),
};
const WANG: Customer = Customer {
    reference: "C2",
    password: "other-Passw0rd",
    card: ("6222020000000002", "654321"),
};

#[tokio::test(flavor = "multi_thread")]
async fn l6_u1_a_new_unsigned_person_registers_and_everything_is_written_at_the_last_step() {
    let world = World::new().await;
    let (mut flow, seen) = Flow::begin(&world, &Person::new("li")).await;
    seen.expect_step("phone");
    assert_eq!(seen.body["expires_in"], 600);
    assert!(seen.body["login"].as_str().unwrap().starts_with("lg_"));
    let code_asked = flow.phone(PHONE).await;
    assert_eq!(
        code_asked.body["next"],
        json!({"step": "sms_code", "sent_to": "138****8000", "digits": 6, "expires_in": 600, "resend_after": 60, "attempts_left": 5})
    );
    let asked = flow.right_code(PHONE).await;
    assert_eq!(
        asked.body["next"],
        json!({"step": "registration", "password_rules": {"min_length": 8, "max_length": 64, "min_classes": 2}})
    );
    world.assert_nothing_bound().await;

    let done = flow.register(PASSWORD).await;
    done.expect_step("done");
    let account = &done.body["account"];
    assert_eq!(account["identification"], "unsigned");
    assert_eq!(account["phone_masked"], "138****8000");
    assert_eq!(account["nickname"], "li");
    assert_eq!(
        account["bindings"],
        json!([{"provider": "wechat", "bound_at": 1_800_000_000}])
    );
    assert_eq!(done.body["session"]["token_type"], "DPoP");
    assert!(done.body.get("login").is_none() && done.body.get("step_id").is_none());
    for table in [
        "accounts",
        "phones",
        "login_passwords",
        "bindings",
        "open_ids",
        "binding_history",
        "sessions",
    ] {
        assert_eq!(world.rows(table).await, 1, "{table}");
    }
    assert_eq!(world.rows("logins").await, 0, "the login is over");
    assert_eq!(
        world
            .texts("SELECT kind FROM outbox ORDER BY version")
            .await,
        ["account.created", "binding.added"]
    );
    assert_eq!(
        world
            .texts("SELECT kind FROM flow_events ORDER BY kind")
            .await,
        [
            "account_created",
            "asked_phone",
            "asked_registration",
            "asked_sms_code",
            "bound",
            "identified",
            "logged_in"
        ],
        "L11"
    );
    assert_eq!(
        world.texts("SELECT acr FROM sessions").await,
        ["unsigned"],
        "L10"
    );
    let hash = &world
        .texts("SELECT password_hash FROM login_passwords")
        .await[0];
    assert!(hash.starts_with("$argon2id$"));
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_new_signed_customer_proves_by_password_or_card_and_then_by_face() {
    for by_card in [false, true] {
        let world = World::new().await;
        world.outside.contract(PHONE, &[LI]);
        let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
        let asked = flow.prove_number(PHONE).await;
        assert_eq!(
            asked.body["next"],
            json!({"step": "verification", "methods": ["login_password", "card"], "attempts_left": 5})
        );
        let face = if by_card {
            flow.card(LI.card.0, LI.card.1).await
        } else {
            flow.password(LI.password).await
        };
        face.expect_step("face");
        assert_eq!(face.body["next"]["attempts_left"], 3);
        assert!(
            face.body["next"]["alternative"]["zh"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "L5: the bank's alternative is named"
        );
        let request = &face.body["next"]["request"];
        let binding = world
            .outside
            .face_binding(request["face_session"].as_str().unwrap());
        assert_eq!(
            (binding.customer.0.as_str(), binding.device_key.as_str()),
            ("C1", flow.device.as_str())
        );
        assert_eq!(json!(binding.nonce), request["nonce"]);
        assert!(
            !flow.login.contains(&binding.login) && !binding.login.contains(&flow.login),
            "the handle is not told"
        );
        world.assert_nothing_bound().await;

        let done = flow.face(&face, true).await;
        done.expect_step("done");
        assert_eq!(done.body["account"]["identification"], "signed");
        assert_eq!(
            world.texts("SELECT customer_ref FROM accounts").await,
            ["C1"]
        );
        assert_eq!(
            world.texts("SELECT acr FROM sessions").await,
            ["signed"],
            "L10"
        );
        assert_eq!(world.rows("login_passwords").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_returning_unsigned_person_is_logged_in_by_one_request() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    let (_, seen) = Flow::begin(
        &world,
        &Person {
            nickname: "new name".into(),
            ..li
        },
    )
    .await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(
        seen.body["account"]["nickname"], "new name",
        "M6: the profile is refreshed"
    );
    assert_eq!(
        (
            world.rows("accounts").await,
            world.rows("bindings").await,
            world.rows("sessions").await
        ),
        (1, 1, 2)
    );
    assert_eq!(
        world.rows("binding_history").await,
        1,
        "nothing new was bound"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_returning_signed_customer_passes_face_first() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    let first = new_signed(&world, &li, PHONE, LI.password).await;
    let (mut flow, face) = Flow::begin(&world, &li).await;
    face.expect_step("face");
    assert_eq!(world.rows("sessions").await, 1);
    let done = flow.face(&face, true).await;
    done.expect_step("done");
    assert_eq!(done.user_id(), first.user_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_w5_another_app_of_the_same_platform_knows_the_person_by_the_union_id() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    let (_, seen) =
        Flow::begin_in(&world, APP_TWO, &world.device(), &world.outside.agree(&li)).await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(
        world
            .texts("SELECT app_id FROM open_ids ORDER BY app_id")
            .await,
        ["wx1", "wx2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_a_person_whose_union_id_changed_is_known_by_the_open_id() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    // The app moved to another open-platform account: same app id and open id, another union id there.
    let (_, seen) = Flow::begin_in(
        &world,
        MOVED_APP,
        &world.device(),
        &world.outside.agree(&li),
    )
    .await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(
        world
            .texts("SELECT platform FROM bindings ORDER BY platform")
            .await,
        ["op2"]
    );
    // The same platform, and yet another union id: the binding takes it over.
    let renamed = Person {
        union_id: Some("another".into()),
        ..li
    };
    let (_, seen) = Flow::begin_in(
        &world,
        MOVED_APP,
        &world.device(),
        &world.outside.agree(&renamed),
    )
    .await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(world.rows("accounts").await, 1);
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY at, action")
            .await,
        ["bound", "moved", "renamed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_a_person_who_got_another_open_id_is_known_by_the_one_told_beside_it() {
    let world = World::new().await;
    let older = Person::new("older");
    let first = new_unsigned(&world, &older, PHONE).await;
    // Alipay, where an app's people get open ids: the user id of before comes beside it for a while.
    let newer = Person {
        aliases: vec![older.open_id.clone()],
        ..Person::new("newer")
    };
    let alone = Person::new("newer");
    for person in [newer, alone] {
        let (_, seen) = Flow::begin(&world, &person).await;
        seen.expect_step("done");
        assert_eq!(seen.user_id(), first.user_id());
    }
    assert_eq!(world.rows("bindings").await, 1);
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY at, action")
            .await,
        ["bound", "renamed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_without_a_union_id_nothing_is_recorded() {
    let world = World::new().await;
    let (_, seen) = Flow::begin(
        &world,
        &Person {
            union_id: None,
            ..Person::new("li")
        },
    )
    .await;
    seen.expect_over(400, "provider_consent_incomplete");
    world.assert_nothing_bound().await;
    assert_eq!(
        (world.rows("logins").await, world.rows("flow_events").await),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_an_open_id_alone_names_whoever_it_was_linked_to_and_in_its_own_app_only() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    let silent = Person {
        union_id: None,
        ..li
    };
    let (_, seen) = Flow::begin(&world, &silent).await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    // Nothing of the binding changed.
    assert_eq!(
        world.texts("SELECT action FROM binding_history").await,
        ["bound"]
    );
    let code = world.outside.agree(&silent);
    let (_, seen) = Flow::begin_in(&world, APP_TWO, &world.device(), &code).await;
    seen.expect_over(400, "provider_consent_incomplete");
    assert_eq!(world.rows("open_ids").await, 1, "W2");
}

#[tokio::test(flavor = "multi_thread")]
async fn u2_a_number_of_an_unsigned_account_is_proved_by_its_login_password_and_the_provider_bound_to_it()
 {
    let world = World::new().await;
    let first = new_unsigned(&world, &Person::new("li"), PHONE).await;
    // The binding is taken away, so that the account has no WeChat.
    world
        .store
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM open_ids")
                    .execute(&mut *tx)
                    .await?;
                sqlx::query("DELETE FROM bindings").execute(tx).await?;
                Ok::<_, crate::store::StoreError>(())
            })
        })
        .await
        .unwrap();
    let (mut flow, _) = Flow::begin(&world, &Person::new("other")).await;
    let asked = flow.prove_number(PHONE).await;
    assert_eq!(
        asked.body["next"],
        json!({"step": "verification", "methods": ["login_password"], "attempts_left": 5})
    );
    flow.card("1", "2")
        .await
        .expect_mendable(409, "answer_not_expected", "verification");
    flow.password("wrong")
        .await
        .expect_mendable(422, "password_wrong", "verification");
    let done = flow.password(PASSWORD).await;
    done.expect_step("done");
    assert_eq!(done.user_id(), first.user_id());
    assert_eq!(
        (world.rows("accounts").await, world.rows("bindings").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_an_account_with_another_wechat_takes_no_second_one() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("other")).await;
    flow.prove_number(PHONE).await.expect_step("verification");
    flow.password(PASSWORD)
        .await
        .expect_over(409, "identity_bound_elsewhere");
    assert_eq!(
        (world.rows("bindings").await, world.rows("logins").await),
        (1, 0)
    );

    world.outside.contract(PHONE_TWO, &[LI]);
    new_signed(&world, &Person::new("wang"), PHONE_TWO, LI.password).await;
    let (mut flow, _) = Flow::begin(&world, &Person::new("other")).await;
    flow.prove_number(PHONE_TWO)
        .await
        .expect_step("verification");
    flow.password(LI.password)
        .await
        .expect_over(409, "identity_bound_elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_number_of_several_customers_is_refused() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI, WANG]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("li")).await;
    flow.prove_number(PHONE)
        .await
        .expect_over(409, "customer_ambiguous");
    assert_eq!(world.rows("logins").await, 0);
    world.assert_nothing_bound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_recycled_number_with_the_new_holders_own_card_opens_nothing() {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    new_signed(&world, &Person::new("li"), PHONE, LI.password).await;
    // The number is Wang's now, and so is its contract.
    world.outside.contract(PHONE, &[WANG]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("wang")).await;
    flow.prove_number(PHONE)
        .await
        .expect_over(409, "phone_bound_elsewhere");
    // Or it is on no contract.
    world.outside.contract(PHONE, &[]);
    let (mut flow, _) = Flow::begin(&world, &Person::new("wang")).await;
    world.pass(60);
    flow.prove_number(PHONE)
        .await
        .expect_over(409, "phone_bound_elsewhere");
    assert_eq!(world.rows("bindings").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn u2_l5_an_unsigned_account_becomes_signed_only_by_both_proofs() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    world
        .store
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM open_ids")
                    .execute(&mut *tx)
                    .await?;
                sqlx::query("DELETE FROM bindings").execute(tx).await?;
                Ok::<_, crate::store::StoreError>(())
            })
        })
        .await
        .unwrap();
    world.outside.contract(PHONE, &[LI]);
    let (mut flow, _) = Flow::begin(&world, &li).await;
    let asked = flow.prove_number(PHONE).await;
    assert_eq!(
        asked.body["next"]["methods"],
        json!(["login_password"]),
        "the account's own password first"
    );
    flow.password(LI.password)
        .await
        .expect_mendable(422, "password_wrong", "verification");
    let asked = flow.password(PASSWORD).await;
    asked.expect_step("verification");
    assert_eq!(
        asked.body["next"],
        json!({"step": "verification", "methods": ["login_password", "card"], "attempts_left": 4})
    );
    let face = flow.card(LI.card.0, LI.card.1).await;
    let done = flow.face(&face, true).await;
    done.expect_step("done");
    assert_eq!(
        (done.user_id(), &done.body["account"]["identification"]),
        (first.user_id(), &json!("signed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn u4_a_customer_with_a_new_number_on_the_contract_comes_to_their_account_and_the_old_number_is_forgotten()
 {
    let world = World::new().await;
    world.outside.contract(PHONE, &[LI]);
    let li = Person::new("li");
    let first = new_signed(&world, &li, PHONE, LI.password).await;
    world
        .store
        .write(|tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM open_ids")
                    .execute(&mut *tx)
                    .await?;
                sqlx::query("DELETE FROM bindings").execute(tx).await?;
                Ok::<_, crate::store::StoreError>(())
            })
        })
        .await
        .unwrap();
    world.outside.contract(PHONE, &[]);
    world.outside.contract(PHONE_TWO, &[LI]);
    let again = new_signed(&world, &li, PHONE_TWO, LI.password).await;
    assert_eq!(
        (again.user_id(), &again.body["account"]["phone_masked"]),
        (first.user_id(), &json!("139****9000"))
    );
    assert_eq!(world.rows("phones").await, 1);
    // Whoever has the old number now gets a new account.
    let new = new_unsigned(&world, &Person::new("new holder"), PHONE).await;
    assert_ne!(new.user_id(), first.user_id());
}
