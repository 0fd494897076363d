//! Every scenario of `contract/scenarios.json`, through the Rust SDK's public API, against running servers; each is one test result.
//!
//! `cargo test -p postern-tests --test scenarios -- returning` plays those whose names contain the word.
#![allow(clippy::print_stdout, reason = "a test harness prints results")]

use std::process::ExitCode;
use std::time::Instant;

use postern_tests::{Player, Result, Scenario, Silent, World};

/// What of libtest's command line is understood.
#[derive(Default)]
struct Wanted {
    words: Vec<String>,
    exact: bool,
    list: bool,
}

impl Wanted {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => wanted.exact = true,
                "--list" => wanted.list = true,
                "--test-threads" | "--format" | "--color" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                _ => wanted.words.push(argument),
            }
        }
        wanted
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(word.as_str())
            }
        };
        self.words.is_empty() || self.words.iter().any(fits)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let wanted = Wanted::read(std::env::args().skip(1));
    let all = Scenario::all()?;
    let count = all.len();
    let scenarios: Vec<Scenario> = all
        .into_iter()
        .filter(|one| wanted.takes(&one.name))
        .collect();
    if wanted.list {
        for scenario in &scenarios {
            println!("{}: test", scenario.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nrunning {} tests", scenarios.len());
    let start = Instant::now();
    let mut failures = Vec::new();
    if !scenarios.is_empty() {
        // One world, one after the other: faults are the whole world's.
        let world = World::start().await?;
        let player = Player::new(world.env())?;
        for scenario in &scenarios {
            let result = player.play(scenario, &Silent).await;
            println!(
                "test {} ... {}",
                scenario.name,
                if result.is_ok() { "ok" } else { "FAILED" }
            );
            if let Err(trouble) = result {
                failures.push((&scenario.name, trouble));
            }
        }
    }
    for (name, trouble) in &failures {
        println!("\n---- {name} ----\n{trouble}");
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        scenarios.len() - failures.len(),
        failures.len(),
        count - scenarios.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
