//! How many tests passed, failed and were skipped, read from what each test tool itself says.

use std::fs;
use std::iter::Sum;
use std::ops::Add;
use std::path::Path;

use crate::Result;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    pub(crate) const NONE: Self = Self::of(0, 0, 0);
    pub(crate) const ONE_PASSED: Self = Self::of(1, 0, 0);
    pub(crate) const ONE_FAILED: Self = Self::of(0, 1, 0);
    pub(crate) const ONE_SKIPPED: Self = Self::of(0, 0, 1);

    pub(crate) const fn of(passed: u64, failed: u64, skipped: u64) -> Self {
        Self {
            passed,
            failed,
            skipped,
        }
    }

    /// One test, for a tool that only says yes or no.
    pub(crate) const fn one(passed: bool) -> Self {
        if passed {
            Self::ONE_PASSED
        } else {
            Self::ONE_FAILED
        }
    }

    pub(crate) const fn total(self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// A tool that failed without a failed test crashed, and one that counted nothing tested nothing: both are failures.
    pub(crate) fn judged(self, tool_succeeded: bool) -> Self {
        if self.failed == 0 && (!tool_succeeded || self.total() == 0) {
            self + Self::ONE_FAILED
        } else {
            self
        }
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::of(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::NONE, Add::add)
    }
}

/// Rust: the `test result:` line of each test program.
pub(crate) fn of_libtest(text: &str) -> Count {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("test result: "))
        .filter_map(|line| line.split_once(". "))
        .map(|(_, numbers)| {
            let number = |name: &str| {
                numbers
                    .split("; ")
                    .find_map(|part| part.strip_suffix(name)?.trim().parse().ok())
                    .unwrap_or(0)
            };
            Count::of(number(" passed"), number(" failed"), number(" ignored"))
        })
        .sum()
}

/// Kotlin: the attributes of `testsuite` in surefire's reports.
pub(crate) fn of_surefire(folder: &Path) -> Result<Count> {
    let mut sum = Count::NONE;
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(sum);
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("TEST-") && name.ends_with(".xml") {
            let text = fs::read_to_string(&path)?;
            sum = sum
                + of_surefire_report(&text)
                    .ok_or_else(|| format!("{} is no surefire report", path.display()))?;
        }
    }
    Ok(sum)
}

fn of_surefire_report(text: &str) -> Option<Count> {
    let (_, rest) = text.split_once("<testsuite ")?;
    let (head, _) = rest.split_once('>')?;
    let attribute = |name: &str| -> Option<u64> {
        let (_, value) = head.split_once(&format!(" {name}=\""))?;
        value.split_once('"')?.0.parse().ok()
    };
    let tests = attribute("tests")?;
    let failed = attribute("failures")? + attribute("errors")?;
    let skipped = attribute("skipped")?;
    Some(Count::of(
        tests.checked_sub(failed + skipped)?,
        failed,
        skipped,
    ))
}

/// Swift: one line for each test, of `XCTest` (`Test Case 'X.y' passed`) and of Swift Testing (`Test y() passed`).
pub(crate) fn of_swift(text: &str) -> Count {
    text.lines().map(of_swift_line).sum()
}

fn of_swift_line(line: &str) -> Count {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("Test Case '") {
        return match rest.rsplit_once("' ").map(|(_, result)| result) {
            Some(result) if result.starts_with("passed") => Count::ONE_PASSED,
            Some(result) if result.starts_with("failed") => Count::ONE_FAILED,
            Some(result) if result.starts_with("skipped") => Count::ONE_SKIPPED,
            _ => Count::NONE,
        };
    }
    // A symbol (on a terminal without Unicode another one), then the words.
    let Some((symbol, rest)) = line.split_once(' ') else {
        return Count::NONE;
    };
    let Some(rest) = rest.trim_start().strip_prefix("Test ") else {
        return Count::NONE;
    };
    let symbol_like = !symbol.is_empty() && !symbol.contains(|c: char| c.is_ascii_alphanumeric());
    if !symbol_like || rest.starts_with("run ") || rest.starts_with("case ") {
        Count::NONE
    } else if rest.contains(" passed after ") {
        Count::ONE_PASSED
    } else if rest.contains(" failed after ") {
        Count::ONE_FAILED
    } else if rest.contains(" skipped") {
        Count::ONE_SKIPPED
    } else {
        Count::NONE
    }
}

/// The demo: its last line, `12 of 13 scenarios ended as described`.
pub(crate) fn of_demo(last_line: &str) -> Count {
    let mut words = last_line.split_whitespace();
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
    match (number(words.next()), words.next(), number(words.next())) {
        (Some(good), Some("of"), Some(all)) if good <= all => Count::of(good, all - good, 0),
        _ => Count::NONE,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_test_program_of_cargo_counts() {
        let text = "running 3 tests\ntest a ... ok\n\n\
                    test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.11s\n\n\
                    test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(of_libtest(text), Count::of(17, 2, 1));
        assert_eq!(of_libtest("error: could not compile"), Count::NONE);
    }

    #[test]
    fn a_surefire_report_counts_errors_as_failures() {
        let text = "<?xml version=\"1.0\"?>\n<testsuite xmlns:xsi=\"x\" version=\"3.0.2\" name=\"a.B\" time=\"0.4\" tests=\"7\" errors=\"1\" skipped=\"2\" failures=\"1\" flakes=\"0\">\n<properties/>";
        assert_eq!(of_surefire_report(text), Some(Count::of(3, 2, 2)));
        assert_eq!(of_surefire_report("<testsuite name=\"cut"), None);
    }

    #[test]
    fn both_kinds_of_swift_tests_count_once_each() {
        let text = "Test Suite 'All tests' started at 2026-01-01\n\
                    Test Case 'SessionTests.testA' started at 2026-01-01\n\
                    Test Case 'SessionTests.testA' passed (0.01 seconds)\n\
                    Test Case 'SessionTests.testB' failed (0.01 seconds)\n\
                    Test Case 'SessionTests.testC' skipped (0.0 seconds)\n\
                    \t Executed 3 tests, with 1 test skipped and 1 failure (0 unexpected) in 0.02 (0.02) seconds\n\
                    ◇ Test run started.\n\
                    ◇ Test \"a name\" started.\n\
                    ✔ Test \"a name\" passed after 0.001 seconds.\n\
                    ✘ Test tokens() recorded an issue at X.swift:1:1: Expectation failed: a\n\
                    ✘ Test tokens() failed after 0.002 seconds with 1 issue.\n\
                    ➜ Test later() skipped.\n\
                    ✔ Suite Sessions passed after 0.003 seconds.\n\
                    ✘ Test run with 3 tests failed after 0.003 seconds with 1 issue.\n";
        assert_eq!(of_swift(text), Count::of(2, 2, 2));
    }

    #[test]
    fn the_demo_counts_its_scenarios() {
        assert_eq!(
            of_demo("12 of 13 scenarios ended as described"),
            Count::of(12, 1, 0)
        );
        assert_eq!(of_demo("thread 'main' panicked"), Count::NONE);
    }

    #[test]
    fn a_tool_that_crashes_or_counts_nothing_is_a_failure() {
        assert_eq!(Count::of(5, 0, 0).judged(true), Count::of(5, 0, 0));
        assert_eq!(Count::of(5, 0, 0).judged(false), Count::of(5, 1, 0));
        assert_eq!(Count::of(5, 2, 0).judged(false), Count::of(5, 2, 0));
        assert_eq!(Count::NONE.judged(true), Count::ONE_FAILED);
    }
}
