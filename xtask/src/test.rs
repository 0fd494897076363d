//! `cargo xtask test`: every suite, built once, on two lanes.
//!
//! The cargo lane builds and runs what is Rust. The foreign lane installs Java and Swift meanwhile, waits for the library and the servers, then runs
//! Kotlin and Swift, each against servers of its own, while cargo goes on.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crate::count::{self, Count};
use crate::postgres::Postgres;
use crate::programs::{self, TestProgram, cargo};
use crate::report::{self, Report, SuiteResult};
use crate::setup::Tool;
use crate::swift::Swift;
use crate::world::World;
use crate::{Result, api, bindings, process, repo, setup};

/// Kotlin and Swift: downloads included, four times what two slow cores take.
const FOREIGN_LIMIT: Duration = Duration::from_mins(20);
/// Formatting, clippy, the demo.
const TOOL_LIMIT: Duration = Duration::from_mins(20);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these suites (all where left out).
    #[arg(long, value_enum)]
    only: Vec<Suite>,
    /// Name the suites and end.
    #[arg(long)]
    list: bool,
}

/// A suite, in the order of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Formatting of all Rust sources
    Fmt,
    /// Clippy over all targets, warnings are errors
    Clippy,
    /// Unit and integration tests of the core, bindings, simulator, security, xtask; examples in docs
    Rust,
    /// Unit and integration tests of the account center, on `SQLite`
    AccountCenter,
    /// The same tests, on `SQLite` with each transaction run again after a collision (40001)
    Collisions,
    /// The same tests, on `PostgreSQL`, and again with the collisions
    Postgres,
    /// Scenarios and faults through the Rust SDK against running servers
    E2e,
    /// The account center killed fifty times at random moments under load
    Kill,
    /// `PostgreSQL` that goes away and comes back, and a Patroni cluster whose primary is killed under load
    Failover,
    /// The Kotlin package: facade, traps, scenarios
    Kotlin,
    /// The Android module under Robolectric: Keystore, WeChat's own classes
    Android,
    /// The Swift package: facade, traps, scenarios
    Swift,
    /// Snapshots of the generated Kotlin and Swift API
    Api,
    /// contract/openapi.json is what the account center's code says
    Openapi,
    /// The demo's scripts
    Demo,
}

impl Suite {
    const ALL: [Self; 15] = [
        Self::Fmt,
        Self::Clippy,
        Self::Rust,
        Self::AccountCenter,
        Self::Collisions,
        Self::Postgres,
        Self::E2e,
        Self::Kill,
        Self::Failover,
        Self::Kotlin,
        Self::Android,
        Self::Swift,
        Self::Api,
        Self::Openapi,
        Self::Demo,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Rust => "rust",
            Self::AccountCenter => "account-center",
            Self::Collisions => "collisions",
            Self::Postgres => "postgres",
            Self::E2e => "e2e",
            Self::Kill => "kill",
            Self::Failover => "failover",
            Self::Kotlin => "kotlin",
            Self::Android => "android",
            Self::Swift => "swift",
            Self::Api => "api",
            Self::Openapi => "openapi",
            Self::Demo => "demo",
        }
    }

    /// Whether it runs test programs that cargo has to build.
    const fn has_programs(self) -> bool {
        matches!(
            self,
            Self::Rust
                | Self::AccountCenter
                | Self::Collisions
                | Self::Postgres
                | Self::E2e
                | Self::Kill
                | Self::Failover
        )
    }

    /// Whether it needs built servers or the library.
    const fn needs_build(self) -> bool {
        self.has_programs() || !matches!(self, Self::Fmt | Self::Clippy)
    }

    /// Which test programs it runs.
    fn takes(self, program: &TestProgram) -> bool {
        match program.package.as_str() {
            "postern-account-center" => {
                matches!(
                    self,
                    Self::AccountCenter | Self::Collisions | Self::Postgres
                )
            }
            "postern-tests" | "postern-conformance" if program.integration => {
                self == match program.target.as_str() {
                    "kill" => Self::Kill,
                    "failover" | "outage" => Self::Failover,
                    _ => Self::E2e,
                }
            }
            _ => self == Self::Rust,
        }
    }
}

/// `cargo xtask test`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        for suite in Suite::ALL {
            println!("{}", suite.name());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<Suite> = Suite::ALL
        .into_iter()
        .filter(|suite| options.only.is_empty() || options.only.contains(suite))
        .collect();
    setup::ensure(Tool::Cc)?;
    setup::ensure(Tool::Rust)?;
    let report = Report::new();
    let (built, wait_for_build) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| foreign_lane(&report, &wanted, wait_for_build));
        cargo_lane(&report, &wanted, &built);
    });
    let order: Vec<&str> = wanted.iter().map(|suite| suite.name()).collect();
    Ok(if report.finish(&order, repo::is_ci()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn cargo_lane(report: &Report, wanted: &[Suite], built: &Sender<bool>) {
    let wants = |suite| wanted.contains(&suite);
    if wants(Suite::Fmt) {
        report.suite("fmt", |log| {
            tool(report, "fmt", &mut cargo(&["fmt", "--all", "--check"]), log)
        });
    }
    let mut ready = true;
    if wanted.iter().any(|suite| suite.needs_build()) {
        ready = step(report, "build", |log| {
            programs::build(report, log)?;
            bindings::generate(&repo::target().join("debug"))
        })
        .is_some();
        // The receiver is gone where no foreign suite is wanted.
        let _ = built.send(ready);
    }
    if wanted.iter().any(|suite| suite.has_programs()) {
        let programs = ready
            .then(|| {
                step(report, "build-tests", |log| {
                    programs::build_tests(report, log)
                })
            })
            .flatten();
        for suite in wanted.iter().filter(|suite| suite.has_programs()) {
            match &programs {
                Some(programs) => report.suite(suite.name(), |log| {
                    Ok(run_programs(report, *suite, programs, log)?.judged(true))
                }),
                None => not_built(report, *suite),
            }
        }
    }
    for suite in [Suite::Api, Suite::Openapi, Suite::Demo] {
        if wants(suite) && !ready {
            not_built(report, suite);
        } else if wants(suite) {
            report.suite(suite.name(), |log| match suite {
                Suite::Api => foreign_api(log),
                Suite::Openapi => openapi(log),
                _ => demo(report, log),
            });
        }
    }
    if wants(Suite::Clippy) {
        report.suite("clippy", |log| {
            let words = [
                "clippy",
                "--workspace",
                "--all-targets",
                programs::LIBRARY,
                "--",
                "-D",
                "warnings",
            ];
            tool(report, "clippy", &mut cargo(&words), log)
        });
    }
}

/// Installs what a suite needs; where that cannot be, the suite is skipped.
fn missing(report: &Report, suite: Suite, tool: Tool) -> Option<Count> {
    let error = setup::ensure(tool).err()?;
    report.say(&format!("{}: SKIPPED: {error}", suite.name()));
    Some(Count::ONE_SKIPPED)
}

/// Runs the suite's test programs, with what they are to be run on.
fn run_programs(
    report: &Report,
    suite: Suite,
    programs: &[TestProgram],
    log: &Path,
) -> Result<Count> {
    let run = |variables: &[(&str, &str)]| {
        let own = programs.iter().filter(|program| suite.takes(program));
        programs::run(report, suite.name(), own, variables, log)
    };
    let collide = ("POSTERN_TEST_COLLIDE", "1");
    let has_outbox = matches!(
        suite,
        Suite::AccountCenter | Suite::Collisions | Suite::Postgres
    );
    if has_outbox && let Some(skipped) = missing(report, suite, Tool::Nats) {
        return Ok(skipped);
    }
    match suite {
        Suite::Rust => Ok(run(&[])? + programs::run_doc_tests(report, log)?),
        Suite::Collisions => run(&[collide]),
        Suite::Postgres => {
            if let Some(skipped) = missing(report, suite, Tool::Postgres) {
                return Ok(skipped);
            }
            let server = Postgres::start(log)?;
            let postgres = ("POSTERN_TEST_POSTGRES", server.url());
            Ok(run(&[postgres])? + run(&[postgres, collide])?)
        }
        Suite::Failover => {
            let tools = [Tool::Postgres, Tool::Patroni];
            match tools
                .into_iter()
                .find_map(|tool| missing(report, suite, tool))
            {
                Some(skipped) => Ok(skipped),
                None => run(&[]),
            }
        }
        _ => run(&[]),
    }
}

/// `cargo xtask kill-test`: the suite `kill`, as often as one likes.
#[derive(clap::Args)]
pub(crate) struct KillOptions {
    /// How often the account center is killed.
    #[arg(long, default_value_t = 1000)]
    times: u32,
}

/// `cargo xtask kill-test`
pub(crate) fn kill(options: &KillOptions) -> Result<ExitCode> {
    let mut test = cargo(&["test", "--package", "postern-tests", "--test", "kill"]);
    test.args(["--", "--nocapture"])
        .env("POSTERN_KILLS", options.times.to_string());
    process::stream(&mut test)?;
    Ok(ExitCode::SUCCESS)
}

fn foreign_lane(report: &Report, wanted: &[Suite], wait_for_build: Receiver<bool>) {
    let mut suites = Vec::new();
    for (suite, needs) in [
        (Suite::Kotlin, Tool::Kotlin),
        (Suite::Android, Tool::Kotlin),
        (Suite::Swift, Tool::Swift),
    ] {
        if !wanted.contains(&suite) {
            continue;
        }
        match setup::ensure(needs) {
            Ok(()) => suites.push(suite),
            Err(error) => {
                report.say(&format!("{}: SKIPPED: {error}", suite.name()));
                report.add(SuiteResult {
                    name: suite.name(),
                    count: Count::ONE_SKIPPED,
                    took: Duration::ZERO,
                });
            }
        }
    }
    if suites.is_empty() {
        return;
    }
    let ready = wait_for_build.recv().unwrap_or(false);
    drop(wait_for_build);
    for suite in suites {
        match suite {
            _ if !ready => not_built(report, suite),
            Suite::Swift => report.suite(suite.name(), |log| swift(report, log)),
            Suite::Android => report.suite(suite.name(), |log| android(report, log)),
            _ => report.suite(suite.name(), |log| kotlin(report, log)),
        }
    }
}

/// A step that is no suite: nothing where it failed, with the end of its log shown.
fn step<T>(report: &Report, name: &str, run: impl FnOnce(&Path) -> Result<T>) -> Option<T> {
    report.say(&format!("{name}: begins"));
    let log = report::log_file(name);
    match report::fresh(&log).and_then(|()| run(&log)) {
        Ok(done) => {
            report.say(&format!("{name}: done"));
            Some(done)
        }
        Err(error) => {
            report.say(&format!("{name}: {error}"));
            println!("{}", report::tail_of(name, &log));
            None
        }
    }
}

fn not_built(report: &Report, suite: Suite) {
    report.say(&format!("{}: could not be built", suite.name()));
    report.add(SuiteResult {
        name: suite.name(),
        count: Count::ONE_FAILED,
        took: Duration::ZERO,
    });
}

/// A tool that only says yes or no.
fn tool(report: &Report, name: &str, command: &mut Command, log: &Path) -> Result<Count> {
    let status = process::logged(command, log, TOOL_LIMIT, report.now_and_then(name))?;
    Ok(Count::one(status.success()))
}

fn kotlin(report: &Report, log: &Path) -> Result<Count> {
    let folder = repo::root().join("bindings/kotlin");
    let world = World::start("kotlin", log)?;
    let mut maven = maven(&folder);
    maven.env("POSTERN_TEST_ENV", world.env_file());
    surefire(report, "kotlin", &mut maven, &folder, log)
}

/// The Kotlin SDK is built again beside it (one reactor), and tested in its own suite.
fn android(report: &Report, log: &Path) -> Result<Count> {
    let folder = repo::root().join("android");
    let mut maven = maven(&folder);
    maven.arg("-Dpostern.kotlin.skip=true");
    surefire(report, "android", &mut maven, &folder.join("sdk"), log)
}

fn maven(folder: &Path) -> Command {
    let mut maven = Command::new("mvn");
    let native = repo::target().join("debug");
    maven
        .args(["--batch-mode", "--no-transfer-progress", "test"])
        .arg(format!("-Dpostern.native.dir={}", native.display()))
        .current_dir(folder);
    maven
}

/// Runs Maven and counts what surefire wrote for `module`.
fn surefire(
    report: &Report,
    name: &str,
    maven: &mut Command,
    module: &Path,
    log: &Path,
) -> Result<Count> {
    let reports = module.join("target/surefire-reports");
    if reports.exists() {
        // Yesterday's results are not today's.
        fs::remove_dir_all(&reports)?;
    }
    let status = process::logged(maven, log, FOREIGN_LIMIT, report.now_and_then(name))?;
    Ok(count::of_surefire(&reports)?.judged(status.success()))
}

fn swift(report: &Report, log: &Path) -> Result<Count> {
    let swift = Swift::find().ok_or("Swift has gone since it was looked for")?;
    let world = World::start("swift", log)?;
    let native = repo::target().join("debug");
    let words: Vec<&OsStr> = ["swift", "test", "--disable-sandbox", "-Xlinker"]
        .into_iter()
        .map(OsStr::new)
        .collect();
    let library = std::ffi::OsString::from(format!("-L{}", native.display()));
    let words = [&words[..], &[library.as_os_str()]].concat();
    let variables = [("POSTERN_TEST_ENV", world.env_file().as_os_str())];
    let mut test = swift.command(&repo::root().join("bindings/swift"), &variables, &words);
    let mut said = String::new();
    let mut tell = report.now_and_then("swift");
    let status = process::logged(&mut test, log, FOREIGN_LIMIT, |line| {
        said.push_str(line);
        said.push('\n');
        tell(line);
    })?;
    Ok(count::of_swift(&said).judged(status.success()))
}

/// The committed lists of the Kotlin and Swift API against what the sources say.
fn foreign_api(log: &Path) -> Result<Count> {
    let checked = api::check(&repo::root());
    if let Err(difference) = &checked {
        fs::write(log, difference.to_string())?;
    }
    Ok(Count::one(checked.is_ok()))
}

/// The committed document against the one that the code generates.
fn openapi(log: &Path) -> Result<Count> {
    let program = repo::target().join("debug/postern-account-center");
    let generated = process::capture(Command::new(program).arg("openapi"))?;
    let committed = fs::read_to_string(repo::root().join("contract/openapi.json"))?;
    if generated.trim() == committed.trim() {
        return Ok(Count::ONE_PASSED);
    }
    let fresh = repo::root().join("build/openapi.json");
    fs::write(&fresh, generated)?;
    fs::write(
        log,
        format!(
            "contract/openapi.json is not what the code says; compare with {}\n",
            fresh.display()
        ),
    )?;
    Ok(Count::ONE_FAILED)
}

/// Every script; the demo's own last line says how many ended as described.
fn demo(report: &Report, log: &Path) -> Result<Count> {
    let mut command = Command::new(repo::target().join("debug/postern-demo"));
    command
        .args(["--script", "all"])
        .env("POSTERN_BIN_DIR", repo::target().join("debug"))
        .current_dir(repo::root());
    let mut last = String::new();
    let mut tell = report.now_and_then("demo");
    let status = process::logged(&mut command, log, TOOL_LIMIT, |line| {
        if !line.trim().is_empty() {
            line.clone_into(&mut last);
        }
        tell(line);
    })?;
    Ok(count::of_demo(&last).judged(status.success()))
}
