//! A PostgreSQL server that goes away under load and comes back: 503 with the time to come again meanwhile, then everything goes on; nothing is half done.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../account-center/tests/common/invariants.rs"]
#[allow(missing_docs, unreachable_pub)]
mod invariants;
mod load;
mod phone;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use load::Load;
use postern_tests::postgres::Cluster;
use postern_tests::{World, WorldOptions};

const PATIENCE: Duration = Duration::from_secs(90);

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ready(address: &str) -> u16 {
    reqwest::get(format!("{address}/readyz"))
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back_is_503_meanwhile_and_nothing_is_half_done() {
    let mut cluster = Cluster::start().unwrap();
    cluster.sql("postgres", "CREATE DATABASE postern").unwrap();
    // Every statement that the server is ever sent, for the end of this test.
    cluster
        .sql("postgres", "ALTER SYSTEM SET log_statement = 'all'")
        .unwrap();
    cluster.sql("postgres", "SELECT pg_reload_conf()").unwrap();
    let world = World::start_with(WorldOptions {
        database: Some(cluster.url_of("postern")),
        ..WorldOptions::default()
    })
    .await
    .unwrap();
    let address = world.account_center_address().unwrap();
    let people = vec![address.clone(); 3];
    let mut load = Load::start(&world, &people, PATIENCE);
    for kill in [true, false] {
        let before = load.done().len();
        until("logins", async || load.done().len() > before + 4).await;
        assert_eq!(ready(&address).await, 200);
        // Once as a crash, once as an operator.
        if kill {
            cluster.kill();
        } else {
            cluster.stop();
        }
        until("not ready", async || ready(&address).await == 503).await;
        let busy = |load: &Load| {
            load.answers()
                .get(&(503, "busy".to_owned()))
                .copied()
                .unwrap_or(0)
        };
        let already = busy(&load);
        until("busy", async || busy(&load) > already).await;
        cluster.run().unwrap();
        let before = load.done().len();
        until("logins again", async || load.done().len() > before + 4).await;
        assert_eq!(ready(&address).await, 200);
    }
    load.end().await;
    load.assert_nothing_wrong();

    let broken = invariants::broken(
        &[invariants::INVARIANTS, invariants::AFTER_LOGINS],
        async |sql| {
            let rows = cluster.sql("postern", sql).unwrap();
            rows.lines().map(str::to_owned).collect()
        },
    )
    .await;
    assert!(broken.is_empty(), "{broken:#?}");
    let there = cluster
        .sql("postern", "SELECT user_id FROM bindings")
        .unwrap();
    let there: BTreeSet<&str> = there.lines().collect();
    for done in load.done() {
        assert!(
            there.contains(done.user_id.as_str()),
            "{} was acknowledged and is lost",
            done.user_id
        );
    }
    println!("{} logins; {:?}", load.done().len(), load.answers());

    // Nothing that a distributed engine with PostgreSQL's protocol lacks was ever sent, by us or by sqlx.
    let log = cluster.log().unwrap();
    let statements: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("statement:") || line.contains("execute "))
        .collect();
    assert!(statements.len() > 200, "{}", statements.len());
    for statement in statements {
        let lower = statement.to_lowercase();
        for forbidden in [
            "advisory",
            "nextval",
            "create sequence",
            "listen ",
            "notify ",
            "lock table",
            "create trigger",
            "create function",
        ] {
            assert!(!lower.contains(forbidden), "{statement}");
        }
    }
}
