//! Our account center passes the suite, and an account center that is wrong in one thing fails the checks that are about it.

#![allow(clippy::unwrap_used)]

mod wrong;

use postern_conformance::target::{Parties, Target};
use postern_conformance::{Outcome, run};
use postern_tests::World;
use wrong::{Distorter, WRONGS};

async fn world() -> World {
    World::start().await.unwrap()
}

fn target(world: &World) -> Target {
    let env = world.env();
    let mut target = Target::new(&env.account_center, &env.app_id).unwrap();
    target.root_key = Some(env.root_key.clone());
    let parties = serde_json::to_value(&env.simulator).unwrap();
    target.parties = Some(serde_json::from_value::<Parties>(parties).unwrap());
    target
}

#[tokio::test(flavor = "multi_thread")]
async fn our_account_center_holds_the_whole_contract() {
    let world = world().await;
    let results = run(target(&world), &[], |_| ()).await.unwrap();
    let all = postern_conformance::checks::all().len();
    assert_eq!(results.len(), all);
    let bad: Vec<String> = results
        .iter()
        .filter(|result| !matches!(result.outcome, Outcome::Passed))
        .map(|result| format!("{}: {:?}", result.name, result.outcome))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_center_that_is_wrong_in_one_thing_fails_the_checks_about_it() {
    let world = world().await;
    let distorter = Distorter::start(&world.account_center_address().unwrap()).await;
    world
        .simulator()
        .set_target(&distorter.address)
        .await
        .unwrap();
    let names = |wrong: &wrong::Wrong| -> Vec<String> {
        wrong.found_by.iter().map(ToString::to_string).collect()
    };
    let every: Vec<String> = WRONGS.iter().flat_map(names).collect();
    let mut missed = Vec::new();
    // Through the proxy, but not distorted: they pass.
    for right in run(target(&world), &every, |_| ()).await.unwrap() {
        if !matches!(right.outcome, Outcome::Passed) {
            missed.push(format!(
                "{} fails for ours: {:?}",
                right.name, right.outcome
            ));
        }
    }
    for wrong in WRONGS {
        distorter.set(wrong);
        let results = run(target(&world), &names(wrong), |_| ()).await.unwrap();
        for result in &results {
            if !matches!(result.outcome, Outcome::Failed(_)) {
                missed.push(format!("{} did not find: {}", result.name, wrong.name));
            }
        }
        if results.len() != wrong.found_by.len() {
            missed.push(format!("{} names a check that is not there", wrong.name));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_said_and_never_passed() {
    let world = world().await;
    let mut target = target(&world);
    target.root_key = None;
    target.parties = None;
    let results = run(target, &[], |_| ()).await.unwrap();
    let skipped = results
        .iter()
        .filter(|result| matches!(result.outcome, Outcome::Skipped(_)))
        .count();
    let needing = postern_conformance::checks::all()
        .iter()
        .filter(|check| check.needs != postern_conformance::checks::Needs::Nothing)
        .count();
    assert_eq!(skipped, needing);
    assert!(needing > 20);
}
