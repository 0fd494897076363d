//! `cargo xtask size`: how large the library is that ships inside an app, against its budget and its history.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::{Result, mobile, process, repo};

/// Bytes of the stripped library of one ABI (benches/README.md).
const BUDGET: u64 = 2_500_000;
const HEAD: &str = "date,commit,target,bytes,what\n";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets to build for (this machine's where left out)
    #[arg(long)]
    target: Vec<String>,
    /// Append the result to benches/size-history.csv, with what was changed for it
    #[arg(long, value_name = "WHAT")]
    record: Option<String>,
}

/// `cargo xtask size`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let targets = if options.target.is_empty() {
        vec![host()?]
    } else {
        options.target.clone()
    };
    let history = fs::read_to_string(history_file()).unwrap_or_default();
    let mut good = true;
    for target in &targets {
        let bytes = measure(target)?;
        println!("{}", judged(target, bytes, &history));
        good &= bytes <= BUDGET;
        if let Some(what) = &options.record {
            record(target, bytes, what)?;
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds as it ships, looks at what it lets out, strips a copy, and returns its length.
fn measure(target: &str) -> Result<u64> {
    let library = mobile::build(target)?;
    mobile::check(&library)?;
    let stripped = repo::root()
        .join("build")
        .join(format!("stripped-{target}"));
    if let Some(folder) = stripped.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(&library, &stripped)?;
    process::capture(Command::new("strip").arg(&stripped))?;
    Ok(fs::metadata(&stripped)?.len())
}

fn judged(target: &str, bytes: u64, history: &str) -> String {
    let verdict = if bytes <= BUDGET {
        format!("{} under", BUDGET - bytes)
    } else {
        format!("{} OVER", bytes - BUDGET)
    };
    let before = match last_of(target, history) {
        Some(last) if bytes >= last => format!("{} more than recorded last", bytes - last),
        Some(last) => format!("{} less than recorded last", last - bytes),
        None => "nothing recorded before".to_owned(),
    };
    format!("{target}: {bytes} bytes stripped, {verdict} the budget of {BUDGET}; {before}")
}

fn last_of(target: &str, history: &str) -> Option<u64> {
    history
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',').skip(2);
            (fields.next()? == target).then(|| fields.next()?.parse().ok())?
        })
        .next_back()
}

fn record(target: &str, bytes: u64, what: &str) -> Result<()> {
    let git = |words: &[&str]| {
        process::capture(Command::new("git").args(words).current_dir(repo::root()))
    };
    let (date, commit) = (
        git(&["log", "-1", "--format=%cs"])?,
        git(&["rev-parse", "--short", "HEAD"])?,
    );
    let file = history_file();
    let is_new = !file.exists();
    let mut file = File::options().create(true).append(true).open(file)?;
    if is_new {
        file.write_all(HEAD.as_bytes())?;
    }
    writeln!(
        file,
        "{},{},{target},{bytes},{}",
        date.trim(),
        commit.trim(),
        what.replace([',', '\n'], ";")
    )?;
    Ok(())
}

fn history_file() -> PathBuf {
    repo::root().join("benches/size-history.csv")
}

/// This machine's target, as rustc names it.
fn host() -> Result<String> {
    let said = process::capture(Command::new("rustc").arg("-vV").current_dir(repo::root()))?;
    said.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc names no host".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: &str = "date,commit,target,bytes\n2026-01-01,abc,one,2000000\n2026-01-02,abd,two,5\n2026-01-03,abe,one,2100000\n";

    #[test]
    fn the_newest_record_of_the_same_target_counts() {
        assert_eq!(last_of("one", HISTORY), Some(2_100_000));
        assert_eq!(last_of("three", HISTORY), None);
    }

    #[test]
    fn more_than_the_budget_is_said_loudly() {
        assert!(judged("one", 2_500_001, HISTORY).contains("1 OVER"));
        let text = judged("one", 2_099_999, HISTORY);
        assert!(
            text.contains("400001 under") && text.contains("1 less than"),
            "{text}"
        );
    }
}
