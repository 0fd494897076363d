//! What providers tell by themselves, and what becomes of the bindings (L8).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::outside::Person;
use super::races::together;
use super::world::{Flow, PHONE, World, new_unsigned};
use crate::notifications::wechat::tests::{message, push};
use crate::problem::Code;
use crate::providers::alipay::{AlipayKeys, Theirs};

const NOW: i64 = 1_800_000_000;

const PUBLIC: &str = include_str!("../../config/simulated/alipay-public-SIMULATOR-ONLY.pem");

fn keys(private: &str) -> AlipayKeys {
    AlipayKeys::new(&private.into(), Theirs::PublicKey(PUBLIC)).unwrap()
}

/// The app `ali1`, as it is set up here.
pub(super) fn alipay_apps() -> BTreeMap<String, Arc<AlipayKeys>> {
    let app = include_str!("../../config/simulated/alipay-app-SIMULATOR-ONLY.pem");
    BTreeMap::from([("ali1".to_owned(), Arc::new(keys(app)))])
}

/// The simulator's Alipay, which signs what it sends.
fn alipay_itself() -> AlipayKeys {
    keys(include_str!(
        "../../../../simulator/keys/alipay-SIMULATOR-ONLY.pem"
    ))
}

async fn told(world: &World, event: &str, open_id: &str, info: &str, at: i64) -> Result<(), Code> {
    let (query, body) = push(&message(event, open_id, info, at), NOW, false);
    world
        .notifications
        .take("wechat", &query, body.as_bytes())
        .await
        .map_err(|problem| problem.code)
}

const REVOKED: &str = "user_authorization_revoke";

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_withdrawn_authorization_marks_the_binding_and_the_next_login_clears_it() {
    let world = World::new().await;
    let li = Person::new("li");
    let first = new_unsigned(&world, &li, PHONE).await;
    told(&world, REVOKED, "open-li@wx1", "301", NOW)
        .await
        .unwrap();
    assert_eq!(
        world.scalar("SELECT revoked_at FROM bindings".into()).await,
        NOW * 1000
    );
    assert_eq!(
        world.rows("sessions").await,
        1,
        "it unbinds nothing by itself"
    );
    // Again, and again under another time: nothing more is announced.
    for at in [NOW, NOW + 1] {
        told(&world, REVOKED, "open-li@wx1", "301", at)
            .await
            .unwrap();
    }
    let kinds = || {
        world.texts("SELECT kind FROM outbox WHERE kind IN ('binding.revoked', 'binding.restored') ORDER BY version")
    };
    assert_eq!(kinds().await, ["binding.revoked"]);
    let (_, seen) = Flow::begin(&world, &li).await;
    seen.expect_step("done");
    assert_eq!(seen.user_id(), first.user_id());
    assert_eq!(kinds().await, ["binding.revoked", "binding.restored"]);
    // A repetition that comes late marks nothing again.
    told(&world, REVOKED, "open-li@wx1", "301", NOW)
        .await
        .unwrap();
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM bindings WHERE revoked_at IS NULL".into())
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn m3_a_profile_that_was_taken_back_is_forgotten_and_a_closed_account_marked() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    told(&world, "user_info_modified", "open-li@wx1", "", NOW)
        .await
        .unwrap();
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM accounts WHERE nickname IS NULL".into())
            .await,
        1
    );
    told(
        &world,
        "user_authorization_cancellation",
        "open-li@wx1",
        "",
        NOW,
    )
    .await
    .unwrap();
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY action")
            .await,
        ["bound", "provider_closed", "provider_profile_taken_back"]
    );
    assert!(
        world
            .texts("SELECT payload FROM outbox WHERE kind = 'binding.revoked'")
            .await[0]
            .contains("closed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nobodys_or_not_the_providers_changes_nothing() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    told(&world, REVOKED, "open-nobody@wx1", "301", NOW)
        .await
        .unwrap();
    // The open id of another app is another name.
    told(&world, REVOKED, "open-li@wx2", "301", NOW)
        .await
        .unwrap();
    let (query, body) = push(&message(REVOKED, "open-li@wx1", "301", NOW), NOW, false);
    let forged = body.replace("<Encrypt><![CDATA[", "<Encrypt><![CDATA[AAAA");
    let old = push(
        &message(REVOKED, "open-li@wx1", "301", NOW),
        NOW - 400,
        true,
    );
    for (provider, query, body, code) in [
        ("wechat", &query, &forged, Code::SignatureInvalid),
        ("wechat", &old.0, &old.1, Code::SignatureInvalid),
        ("wechat", &String::new(), &body, Code::InvalidRequest),
        ("wechat", &query, &"<xml>".to_owned(), Code::InvalidRequest),
        ("weibo", &query, &body, Code::NotFound),
        ("alipay", &query, &body, Code::InvalidRequest),
    ] {
        let refused = world
            .notifications
            .take(provider, query, body.as_bytes())
            .await;
        assert_eq!(refused.unwrap_err().code, code, "{provider}");
    }
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM bindings WHERE revoked_at IS NULL".into())
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_push_that_comes_fifty_times_at_once_counts_once() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    let (query, body) = push(&message(REVOKED, "open-li@wx1", "301", NOW), NOW, true);
    let taken = together((0..50).map(|_| {
        let (world, query, body) = (Arc::clone(&world), query.clone(), body.clone());
        async move {
            world
                .notifications
                .take("wechat", &query, body.as_bytes())
                .await
                .is_ok()
        }
    }))
    .await;
    assert_eq!(taken, [true; 50]);
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY action")
            .await,
        ["bound", "provider_revoked"]
    );
}

fn alipay_form(change: &[(&str, &str)], without: &str) -> String {
    let content =
        json!({"app_id": "ali1", "open_id": "open-li@ali1", "user_id": "2088"}).to_string();
    let sent = (NOW * 1000).to_string();
    let mut parameters = BTreeMap::from([
        ("notify_id", "n1"),
        ("utc_timestamp", &sent),
        ("msg_method", "alipay.open.auth.userauth.cancelled"),
        ("app_id", "ali1"),
        ("version", "1.1"),
        ("charset", "UTF-8"),
        ("sign_type", "RSA2"),
        ("biz_content", &content),
    ]);
    let signed: Vec<(&str, &str)> = parameters
        .iter()
        .filter(|(name, _)| **name != without)
        .map(|(name, value)| (*name, *value))
        .collect();
    let sign = alipay_itself().sign_parameters(&signed).unwrap();
    parameters.insert("sign", &sign);
    parameters.extend(change.iter().copied());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_alipays_cancelled_authorization_marks_the_binding_of_its_open_id() {
    let world = World::new().await;
    new_unsigned(&world, &Person::new("li"), PHONE).await;
    world
        .execute("UPDATE bindings SET provider = 'alipay'")
        .await;
    world
        .execute(
            "UPDATE open_ids SET provider = 'alipay', app_id = 'ali1', open_id = 'open-li@ali1'",
        )
        .await;
    let take = async |body: &str| {
        let taken = world
            .notifications
            .take("alipay", "", body.as_bytes())
            .await;
        taken.map_err(|problem| problem.code)
    };
    for (name, value, code) in [
        ("app_id", "ali2", Code::SignatureInvalid),
        ("biz_content", "{\"open_id\":\"x\"}", Code::SignatureInvalid),
        ("sign", "AAAA", Code::SignatureInvalid),
        ("sign_type", "RSA", Code::SignatureInvalid),
        ("sign", "", Code::InvalidRequest),
    ] {
        let body = alipay_form(&[(name, value)], "sign_type");
        assert_eq!(take(&body).await, Err(code), "{name}");
    }
    let twice = format!("{}&app_id=ali1", alipay_form(&[], "sign_type"));
    assert_eq!(take(&twice).await, Err(Code::InvalidRequest));
    assert_eq!(
        world
            .scalar("SELECT COUNT(*) FROM bindings WHERE revoked_at IS NOT NULL".into())
            .await,
        0
    );
    // With and without sign_type among what is signed; the second is a repetition of the first.
    for without in ["sign_type", "sign"] {
        take(&alipay_form(&[], without)).await.unwrap();
    }
    assert_eq!(
        world
            .texts("SELECT action FROM binding_history ORDER BY action")
            .await,
        ["bound", "provider_revoked"]
    );
    world.pass(26 * 3600);
    assert_eq!(
        take(&alipay_form(&[], "sign_type")).await,
        Err(Code::SignatureInvalid)
    );
}
