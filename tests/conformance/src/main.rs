//! `postern-conformance --url URL`: holds an account center against the contract, and says what does not hold.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use postern_conformance::target::{Parties, Target};
use postern_conformance::{CheckResult, Finding, Outcome, run};

/// Checks any account center against the contract over HTTP.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The account center's public URL
    #[arg(long)]
    url: String,
    /// One of its apps that is offered WeChat (and Alipay, for the checks with the simulator)
    #[arg(long, default_value = "bank-android")]
    app_id: String,
    /// The offline root's public key, base64url of the uncompressed point: checks the key list's signature
    #[arg(long)]
    root_key: Option<String>,
    /// The ready file of a postern-simulator that the account center is set up with: logs people in
    #[arg(long)]
    simulator: Option<PathBuf>,
    /// Only checks whose name contains this
    #[arg(long)]
    only: Vec<String>,
    /// Name the checks and end
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut out = std::io::stdout();
    if options.list {
        for check in postern_conformance::checks::all() {
            let _ = writeln!(out, "{} (section {})", check.name, check.section);
        }
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let checked = runtime
        .map_err(|error| Finding::new(format!("no runtime: {error}")))
        .and_then(|runtime| runtime.block_on(check(&options)));
    match checked {
        Ok(results) => {
            let count = |wanted: fn(&Outcome) -> bool| {
                results
                    .iter()
                    .filter(|result| wanted(&result.outcome))
                    .count()
            };
            let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
            let passed = count(|outcome| matches!(outcome, Outcome::Passed));
            let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
            let _ = writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped");
            // A run that checked nothing has shown nothing.
            if failed == 0 && passed > 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(finding) => {
            let _ = writeln!(std::io::stderr(), "{finding}");
            ExitCode::FAILURE
        }
    }
}

async fn check(options: &Options) -> Result<Vec<CheckResult>, Finding> {
    let mut target = Target::new(&options.url, &options.app_id)?;
    target.root_key.clone_from(&options.root_key);
    if let Some(file) = &options.simulator {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Finding::new(format!("{}: {error}", file.display())))?;
        let parties: Parties = serde_json::from_str(&text)
            .map_err(|error| Finding::new(format!("{}: {error}", file.display())))?;
        target.parties = Some(parties);
    }
    run(target, &options.only, |result| {
        let mut out = std::io::stdout();
        let (name, section) = (result.name.replace('_', " "), result.section);
        let milliseconds = result.took.as_millis();
        let _ = match &result.outcome {
            Outcome::Passed => writeln!(
                out,
                "ok       {name} (section {section}, {milliseconds} ms)"
            ),
            Outcome::Failed(finding) => {
                writeln!(
                    out,
                    "FAILED   {name} (section {section})\n         {finding}"
                )
            }
            Outcome::Skipped(why) => writeln!(out, "skipped  {name} (section {section}): {why}"),
        };
    })
    .await
}
