#![allow(clippy::unwrap_used)]
//! People see everything that is kept of them, and have it erased (PIPL, articles 45 and 47).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::super::outside::Person;
use super::super::world::{Flow, PHONE, new_key};
use super::bank::{Bank, User, registered, tally, together};
use crate::store::{migrations, personal, sessions};

/// A fresh proof of the person, as `POST /v1/account/proof` notes it.
async fn proved(bank: &Arc<Bank>, user: &User) {
    let session_id = user.holder.session_id.clone();
    let now = bank.engine().parts.context.now();
    bank.world
        .store
        .write(move |tx| {
            let session_id = session_id.clone();
            Box::pin(async move { sessions::prove(tx, &session_id, now).await })
        })
        .await
        .unwrap();
}

impl User {
    async fn close_as(&self, key: &str) -> super::super::world::Seen {
        self.call(
            ("DELETE", "/v1/account"),
            key,
            b"",
            |accounts, call, holder| async move { accounts.close(&call, &holder).await },
        )
        .await
    }

    async fn data(&self) -> Result<Value, crate::problem::Problem> {
        let reply = self.bank.accounts.data(&self.holder).await?;
        Ok(serde_json::from_slice(&reply.body).unwrap())
    }
}

#[test]
fn every_table_of_the_schema_is_decided_about() {
    let decided: BTreeSet<String> = personal::HOLDINGS
        .iter()
        .map(|holding| holding.table.to_owned())
        .chain(
            personal::NOT_PERSONAL
                .iter()
                .map(|(table, _)| (*table).to_owned()),
        )
        .collect();
    let there: BTreeSet<String> = migrations::migrator()
        .iter()
        .flat_map(|migration| {
            let sql = migration.sql.as_str().to_owned();
            sql.split("CREATE TABLE ")
                .skip(1)
                .map(|after| after.split_whitespace().next().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let undecided: Vec<_> = there.difference(&decided).collect();
    assert!(
        undecided.is_empty(),
        "what becomes of these when somebody wants their data, or wants it erased? (store/personal.rs): {undecided:?}"
    );
    let gone: Vec<_> = decided.difference(&there).collect();
    assert!(gone.is_empty(), "no such tables: {gone:?}");
    let count = personal::HOLDINGS.len() + personal::NOT_PERSONAL.len();
    assert_eq!(count, decided.len(), "a table stands twice");
}

#[tokio::test]
async fn l9_data_and_closing_want_a_fresh_proof() {
    let bank = Bank::new().await;
    let person = registered(&bank, "li", PHONE).await;
    let li = bank.log_in(&person.holder.user_id, "password").await;
    assert_eq!(
        li.data().await.unwrap_err().code.as_str(),
        "reauthentication_required"
    );
    li.close_as(&new_key())
        .await
        .expect_problem(403, "reauthentication_required");
    proved(&bank, &li).await;
    bank.world.pass(5 * 60);
    assert_eq!(
        li.data().await.unwrap_err().code.as_str(),
        "reauthentication_required"
    );
    proved(&bank, &li).await;
    li.data().await.unwrap();
}

#[tokio::test]
async fn the_holder_sees_all_that_is_kept_and_no_secret() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    registered(&bank, "wang", "+8613900000001").await;
    proved(&bank, &li).await;
    let seen = li.data().await.unwrap();
    let data = &seen["data"];
    assert_eq!(data["phones"][0]["number"], PHONE);
    assert_eq!(data["accounts"][0]["user_id"], li.holder.user_id.as_str());
    assert_eq!(data["bindings"].as_array().unwrap().len(), 1);
    assert_eq!(data["bindings"][0]["provider"], "wechat");
    assert_eq!(data["binding_history"][0]["action"], "bound");
    assert_eq!(data["sessions"].as_array().unwrap().len(), 1);
    let text = seen.to_string();
    for secret in ["$argon2", "hash", "sealed", "13900000001"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_closed_account_leaves_nothing_of_the_person_and_everybody_is_out() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let other = bank.log_in(&li.holder.user_id, "password").await;
    let wang = registered(&bank, "wang", "+8613900000001").await;
    proved(&bank, &li).await;
    let key = new_key();
    let seen = li.close_as(&key).await;
    assert_eq!(
        (seen.status, &seen.body["sessions_ended"]),
        (200, &2.into()),
        "{seen:?}"
    );
    // The reply was lost: the repetition gets it, though the session is over.
    assert_eq!(li.close_as(&key).await.body, seen.body);
    li.close_as(&new_key())
        .await
        .expect_problem(401, "session_ended");
    other
        .unbind("wechat")
        .await
        .expect_problem(401, "session_ended");

    for (table, left) in [
        ("phones", 1),
        ("bindings", 1),
        ("open_ids", 1),
        ("login_passwords", 1),
    ] {
        assert_eq!(
            bank.world.rows(table).await,
            left,
            "{table}: the other person's"
        );
    }
    let tables = personal::HOLDINGS.iter().map(|holding| holding.table);
    let text = bank.world.everything(tables.collect()).await;
    for trace in ["union-li", "open-li"] {
        assert!(!text.contains(trace), "{trace} is still somewhere");
    }
    assert!(
        text.contains("union-wang"),
        "the search finds what is there"
    );
    assert_eq!(bank.announced("account.closed").await, 1);
    assert_eq!(wang.providers().await, ["wechat"]);
}

#[tokio::test]
async fn u4_whoever_comes_back_after_closing_gets_a_new_account() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    proved(&bank, &li).await;
    li.close_as(&new_key()).await;
    bank.world.pass(3600);
    let (mut flow, begun) = Flow::begin(&bank.world, &Person::new("li")).await;
    begun.expect_step("phone");
    flow.prove_number(PHONE).await.expect_step("registration");
    let done = flow.register(super::super::world::PASSWORD).await;
    assert_ne!(done.expect_step("done").user_id(), li.holder.user_id);
}

#[tokio::test]
async fn twenty_closings_and_unbindings_at_once_close_it_once_and_break_nothing() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    proved(&bank, &li).await;
    let seen = together((0..20).map(|index| {
        let li = li.clone();
        async move {
            if index % 2 == 0 {
                li.close_as(&new_key()).await
            } else {
                li.unbind("wechat").await
            }
        }
    }))
    .await;
    let tally = tally(&seen);
    assert!(!tally.contains_key("internal"), "{tally:?}");
    assert!(bank.announced("account.closed").await <= 1);
    assert_eq!(bank.world.rows("bindings").await, 0);
}
