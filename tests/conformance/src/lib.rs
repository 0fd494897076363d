//! Checks any account center against `contract/` over HTTP: for a bank that keeps its own server, and for ours.
//!
//! Nothing here comes from our server or from the SDK; the sentences of `contract/README.md` and the schemas of `contract/openapi.json` decide. Every reply that
//! any check gets is also held against section 1 and against its schema.

pub mod checks;
pub mod device;
pub mod outside;
pub mod play;
pub mod schema;
pub mod seal;
pub mod target;
pub mod tester;

use std::time::{Duration, Instant};

use checks::{Check, Needs};
use target::Target;
use tester::Tester;

/// What one check found wrong, in a sentence that names what came and what the contract says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Finding(String);

impl Finding {
    /// A finding with these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// Gives up with a finding where a condition does not hold.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::Finding::new(format!($($words)+)));
        }
    };
}

/// What became of a check.
#[derive(Debug)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed(Finding),
    /// It needs what this run does not have.
    Skipped(&'static str),
}

/// A check with what became of it.
#[derive(Debug)]
pub struct CheckResult {
    /// The check's name.
    pub name: &'static str,
    /// The section of `contract/README.md`.
    pub section: u8,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Longer than any answer of a healthy account center takes, all of a check's calls together.
const CHECK_LIMIT: Duration = Duration::from_mins(1);

/// Runs the checks whose names contain one of `only` (all where it is empty), and tells each result to `listener` as it comes.
pub async fn run(
    target: Target,
    only: &[String],
    mut listener: impl FnMut(&CheckResult),
) -> Result<Vec<CheckResult>, Finding> {
    let mut results = Vec::new();
    let tester = Tester::new(target)?;
    let wanted = checks::all()
        .into_iter()
        .filter(|check| only.is_empty() || only.iter().any(|part| check.name.contains(part)));
    for check in wanted {
        let started = Instant::now();
        let result = CheckResult {
            name: check.name,
            section: check.section,
            outcome: outcome(&tester, &check).await,
            took: started.elapsed(),
        };
        listener(&result);
        results.push(result);
    }
    Ok(results)
}

async fn outcome(tester: &Tester, check: &Check) -> Outcome {
    match check.needs {
        Needs::Parties if tester.target.parties.is_none() => {
            return Outcome::Skipped(
                "it logs somebody in, which needs the simulator as the world outside (--simulator)",
            );
        }
        Needs::RootKey if tester.target.root_key.is_none() => {
            return Outcome::Skipped(
                "it checks the key list's signature, which needs the root's key (--root-key)",
            );
        }
        _ => {}
    }
    match tokio::time::timeout(CHECK_LIMIT, (check.run)(tester)).await {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(finding)) => Outcome::Failed(finding),
        Err(_) => Outcome::Failed(Finding::new(format!(
            "not over after {} s",
            CHECK_LIMIT.as_secs()
        ))),
    }
}
