//! What a long run tells the person who waits for it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::count::Count;
use crate::{Result, repo};

/// How often a step that is under way says so.
const EVERY: Duration = Duration::from_secs(8);
/// How many lines of a failed suite's log are shown.
const TAIL: usize = 60;

/// The run's clock and voice; lines of several threads do not mix.
pub(crate) struct Report {
    start: Instant,
    results: Mutex<Vec<SuiteResult>>,
}

/// What became of one suite.
#[derive(Clone, Debug)]
pub(crate) struct SuiteResult {
    pub(crate) name: &'static str,
    pub(crate) count: Count,
    pub(crate) took: Duration,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            results: Mutex::default(),
        }
    }

    /// One line with the time since the run began.
    pub(crate) fn say(&self, text: &str) {
        println!("[{:>6.1} s] {text}", self.start.elapsed().as_secs_f64());
    }

    /// Passes on a line now and then.
    pub(crate) fn now_and_then<'a>(&'a self, name: &'a str) -> impl FnMut(&str) + Send + 'a {
        let mut last = Instant::now();
        move |line: &str| {
            let line = line.trim();
            if !line.is_empty() && last.elapsed() >= EVERY {
                last = Instant::now();
                let short: String = line.chars().take(100).collect();
                self.say(&format!("{name}: {short}"));
            }
        }
    }

    /// Runs one suite, tells its numbers, and shows the end of its log where it failed.
    pub(crate) fn suite(&self, name: &'static str, run: impl FnOnce(&Path) -> Result<Count>) {
        self.say(&format!("{name}: begins"));
        let begin = Instant::now();
        let log = log_file(name);
        let count = fresh(&log)
            .and_then(|()| run(&log))
            .unwrap_or_else(|error| {
                self.say(&format!("{name}: {error}"));
                Count::ONE_FAILED
            });
        let took = begin.elapsed();
        self.say(&format!(
            "{name}: {} passed, {} failed, {} skipped in {:.1} s",
            count.passed,
            count.failed,
            count.skipped,
            took.as_secs_f64()
        ));
        if count.failed > 0 {
            println!("{}", tail_of(name, &log));
        }
        self.add(SuiteResult { name, count, took });
    }

    pub(crate) fn add(&self, result: SuiteResult) {
        self.results
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(result);
    }

    /// The table in this order, then as the very last line `N passed, N failed`. True where all is well.
    pub(crate) fn finish(self, order: &[&str], nothing_may_be_skipped: bool) -> bool {
        let took = self.start.elapsed();
        let mut results = self
            .results
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|result| order.iter().position(|name| *name == result.name));
        let (text, good) = summary(&results, took, nothing_may_be_skipped);
        println!("{text}");
        good
    }
}

fn summary(
    results: &[SuiteResult],
    took: Duration,
    nothing_may_be_skipped: bool,
) -> (String, bool) {
    let mut text = format!(
        "\n{:<16}{:>8}{:>8}{:>9}{:>10}\n",
        "suite", "passed", "failed", "skipped", "seconds"
    );
    for SuiteResult { name, count, took } in results {
        let _ = writeln!(
            text,
            "{name:<16}{:>8}{:>8}{:>9}{:>10.1}",
            count.passed,
            count.failed,
            count.skipped,
            took.as_secs_f64()
        );
    }
    let sum: Count = results.iter().map(|result| result.count).sum();
    let mut failed = sum.failed;
    let _ = writeln!(text, "wall time {:.1} s", took.as_secs_f64());
    if nothing_may_be_skipped && sum.skipped > 0 {
        let _ = writeln!(text, "CI=true: {} skipped count as failed", sum.skipped);
        failed += sum.skipped;
    }
    let _ = write!(text, "{} passed, {failed} failed", sum.passed);
    (text, failed == 0 && sum.passed > 0)
}

/// Where a suite's output is kept.
pub(crate) fn log_file(name: &str) -> PathBuf {
    repo::root().join("build/logs").join(format!("{name}.log"))
}

/// Makes the log's folder and an empty log.
pub(crate) fn fresh(log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(log, "")?)
}

/// The last lines of a log, framed.
pub(crate) fn tail_of(name: &str, log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL)..];
    format!(
        "----- {name}: the last {} of {} lines of {}\n{}\n-----",
        shown.len(),
        lines.len(),
        log.display(),
        shown.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(counts: &[Count]) -> Vec<SuiteResult> {
        counts
            .iter()
            .map(|count| SuiteResult {
                name: "rust",
                count: *count,
                took: Duration::from_secs(1),
            })
            .collect()
    }

    fn last_line(counts: &[Count], ci: bool) -> (String, bool) {
        let (text, good) = summary(&results(counts), Duration::from_secs(1), ci);
        (text.lines().last().unwrap_or_default().to_owned(), good)
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let counts = [Count::of(3, 0, 0), Count::of(4, 0, 0)];
        assert_eq!(
            last_line(&counts, true),
            ("7 passed, 0 failed".into(), true)
        );
        let counts = [Count::of(3, 1, 0), Count::of(4, 0, 0)];
        assert_eq!(
            last_line(&counts, true),
            ("7 passed, 1 failed".into(), false)
        );
    }

    #[test]
    fn a_skip_fails_a_run_that_may_skip_nothing() {
        let counts = [Count::of(3, 0, 2)];
        assert_eq!(
            last_line(&counts, false),
            ("3 passed, 0 failed".into(), true)
        );
        assert_eq!(
            last_line(&counts, true),
            ("3 passed, 2 failed".into(), false)
        );
    }

    #[test]
    fn a_run_without_a_test_is_no_success() {
        assert_eq!(last_line(&[], false), ("0 passed, 0 failed".into(), false));
    }
}
