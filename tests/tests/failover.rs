//! A PostgreSQL cluster whose primary is killed under load: what was acknowledged is on the new primary, and the service comes back by itself.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod load;
mod phone;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use load::{Done, Load};
use phone::Phone;
use postern_tests::patroni::Patroni;
use postern_tests::{World, WorldOptions};
use serde_json::json;

/// Logins before the kill, and after it on the new primary.
const LOGINS: usize = 12;
/// From the kill to the first login on the new primary: the leader's key lives ten seconds, then there is an election, a promotion, and our search for the host.
const BACK_WITHIN: Duration = Duration::from_mins(1);
/// Without any load on the machine all this takes a third of it.
const PATIENCE: Duration = Duration::from_secs(150);

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_loses_nothing_that_was_acknowledged_and_logins_go_on_by_themselves() {
    let mut cluster = tokio::task::spawn_blocking(Patroni::start)
        .await
        .unwrap()
        .unwrap();
    let mut world = World::start_with(WorldOptions {
        database: Some(cluster.url()),
        ..WorldOptions::default()
    })
    .await
    .unwrap();
    let first = world.account_center_address().unwrap();
    let second = world.add_account_center().unwrap();
    let people = [&first, &second, &first, &second].map(Clone::clone);
    let mut load = Load::start(&world, &people, PATIENCE);
    until("logins before the kill", || load.done().len() >= LOGINS).await;

    let (cluster, primary) = tokio::task::spawn_blocking(move || {
        let primary = cluster.kill_primary().unwrap();
        (cluster, primary)
    })
    .await
    .unwrap();
    let killed = Instant::now();
    let after = |done: &[Done]| done.iter().filter(|done| done.at > killed).count();
    // Some were on their way and answered just before; these are new ones.
    until("logins after the kill", || {
        load.done()
            .iter()
            .any(|done| done.at > killed + Duration::from_secs(2))
            && after(&load.done()) >= LOGINS
    })
    .await;
    load.end().await;
    load.assert_nothing_wrong();
    let answers = load.answers();
    assert!(
        answers.keys().all(|(status, _)| *status != 500),
        "{answers:?}"
    );
    let done = load.done();
    let pause = done
        .iter()
        .map(|done| done.at)
        .filter(|at| *at > killed + Duration::from_secs(1))
        .min()
        .unwrap()
        - killed;
    assert!(pause < BACK_WITHIN, "{pause:?}");

    // Through the database: each acknowledged account with its binding and its session.
    let sql = "SELECT a.user_id FROM accounts a JOIN bindings b ON b.user_id = a.user_id JOIN phones p ON p.user_id = a.user_id \
               WHERE EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = a.user_id)";
    let (cluster, there) = tokio::task::spawn_blocking(move || {
        let there = cluster.sql("postern", sql).unwrap();
        (cluster, there)
    })
    .await
    .unwrap();
    let there: BTreeSet<&str> = there.lines().collect();
    for done in &done {
        assert!(
            there.contains(done.user_id.as_str()),
            "{} was acknowledged and is lost",
            done.user_id
        );
    }
    // Through the API: they are who they were, at either account center.
    for (done, address) in done.iter().zip([&first, &second].into_iter().cycle()) {
        let phone = Phone::new(world.env(), address);
        let url = format!("{}/phone/authorize", world.env().simulator.weibo);
        let wish = json!({
            "client_id": "3100000001",
            "redirect_uri": "https://bank.example/weibo/callback",
            "person": done.person.wechat_person,
            "decision": "agree",
        });
        let code = phone.ask(&url, &wish).await["code"].clone();
        let seen = phone
            .begin(&json!({"provider": "weibo", "code": code}))
            .await;
        assert_eq!(
            seen.body["account"]["user_id"],
            json!(done.user_id),
            "{seen:?}"
        );
    }
    println!(
        "node {primary} was killed; {} logins, {} of them after it; the first after {pause:?}; answers: {answers:?}",
        done.len(),
        after(&done)
    );
    drop(cluster);
}
