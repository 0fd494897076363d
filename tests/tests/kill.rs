//! The account center is killed (SIGKILL) at random moments under load. After each start nothing that was acknowledged is lost, and nothing half done is seen.
//!
//! Fifty times; `POSTERN_KILLS=1000` (`cargo xtask kill-test --times 1000`) says otherwise.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../account-center/tests/common/invariants.rs"]
#[allow(missing_docs, unreachable_pub)]
mod invariants;
mod load;
mod phone;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use load::Load;
use postern_tests::World;
use ring::rand::{SecureRandom as _, SystemRandom};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Row as _};

/// The server's own data, as it is on the disk.
async fn database(world: &World) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let file = world.folder().join("account-center/postern.db");
    format!("sqlite://{}?mode=ro", file.display())
        .parse::<AnyConnectOptions>()
        .unwrap()
        .disable_statement_logging()
        .connect()
        .await
        .unwrap()
}

async fn rows(database: &mut AnyConnection, sql: &'static str) -> Vec<String> {
    sqlx::query(sql)
        .fetch_all(database)
        .await
        .unwrap()
        .iter()
        .map(|row| row.try_get(0).unwrap())
        .collect()
}

/// A number below `most`.
fn chance(most: u64) -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % most
}

/// A random moment of the work, however fast the machine is: after some answers, and a little later.
async fn random_moment(load: &Load) {
    let (start, until) = (Instant::now(), load.answered() + chance(24));
    while load.answered() < until && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(chance(40))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_account_center_loses_nothing_it_acknowledged_and_leaves_nothing_half_done() {
    let kills: u32 =
        std::env::var("POSTERN_KILLS").map_or(50, |kills| kills.parse().expect("a number"));
    let mut world = World::start().await.unwrap();
    // The gateway's address stays, whatever port the next account center gets. These people wait for a restart, but not 30 s for a request that died with its server.
    let gateway = world.env().account_center.clone();
    let mut load = Load::start(&world, &vec![gateway; 3], Duration::from_secs(3));
    for kill in 1..=kills {
        random_moment(&load).await;
        world.crash_account_center().await.unwrap();
        let acknowledged = load.done();
        let mut database = database(&world).await;
        let broken = invariants::broken(
            &[invariants::INVARIANTS, invariants::AFTER_LOGINS],
            async |sql| rows(&mut database, sql).await,
        )
        .await;
        assert!(broken.is_empty(), "after kill {kill}: {broken:#?}");
        let there: BTreeSet<String> = rows(
            &mut database,
            "SELECT user_id FROM bindings WHERE provider = 'weibo'",
        )
        .await
        .into_iter()
        .collect();
        for done in &acknowledged {
            assert!(
                there.contains(&done.user_id),
                "after kill {kill}: {} was acknowledged and is lost",
                done.user_id
            );
        }
    }
    load.end().await;
    load.assert_nothing_wrong();
    let (done, answers) = (load.done().len(), load.answers());
    // The kills met requests: most of what was asked was answered, some was not.
    assert!(done > kills as usize / 5, "{done} logins: {answers:?}");
    assert!(
        answers.keys().any(|(status, _)| *status != 200),
        "{answers:?}"
    );
    println!("{kills} kills, {done} logins; answers: {answers:?}");
}
