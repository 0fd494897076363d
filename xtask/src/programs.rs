//! What cargo builds: the servers, the library, and one test program per target, which are then run without cargo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::count::{self, Count};
use crate::report::Report;
use crate::{Result, process, repo};

/// A cold build of everything on two slow cores takes a third of this.
const BUILD_LIMIT: Duration = Duration::from_mins(45);
/// No test program takes a tenth of this.
const TEST_LIMIT: Duration = Duration::from_mins(15);

/// A test program that cargo has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    pub(crate) target: String,
    /// A file of a package's `tests/` folder.
    pub(crate) integration: bool,
    folder: PathBuf,
    program: PathBuf,
}

/// The library as the Kotlin and Swift suites need it: with what they count living objects by, and the desktop's vaults. What ships has neither.
pub(crate) const LIBRARY: &str = "--features=postern-bindings/test-hooks,postern-bindings/desktop";

/// Cargo's words for every program and library of the workspace.
pub(crate) const EVERYTHING: [&str; 5] = ["build", "--workspace", "--lib", "--bins", LIBRARY];

/// Builds everything, dev profile.
pub(crate) fn build(report: &Report, log: &Path) -> Result<()> {
    let mut cargo = cargo(&EVERYTHING);
    let status = process::logged(&mut cargo, log, BUILD_LIMIT, report.now_and_then("build"))?;
    process::success(&cargo, status)
}

/// Every test program of the workspace.
pub(crate) fn build_tests(report: &Report, log: &Path) -> Result<Vec<TestProgram>> {
    let words = ["test", "--workspace", "--no-run", LIBRARY];
    let mut build = cargo(&words);
    let status = process::logged(&mut build, log, BUILD_LIMIT, report.now_and_then("build"))?;
    process::success(&build, status)?;
    // All is fresh now; this only names what was built.
    let mut name = cargo(&words);
    name.arg("--message-format=json");
    Ok(test_programs(&process::capture(&mut name)?))
}

/// Runs test programs one after the other and adds up what they say.
pub(crate) fn run<'a>(
    report: &Report,
    name: &str,
    programs: impl Iterator<Item = &'a TestProgram>,
    variables: &[(&str, &str)],
    log: &Path,
) -> Result<Count> {
    // Of our own, so that what a killed test leaves behind is found and removed by the next run.
    let temporary = repo::root().join("build/tmp").join(name);
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    fs::create_dir_all(&temporary)?;
    let mut sum = Count::NONE;
    for program in programs {
        let mut command = Command::new(&program.program);
        command
            .current_dir(&program.folder)
            .env("CARGO_MANIFEST_DIR", &program.folder)
            .env("TMPDIR", &temporary)
            .env("POSTERN_BIN_DIR", repo::target().join("debug"))
            .env("RUST_BACKTRACE", "1")
            .envs(variables.iter().copied());
        let count = counted(&mut command, log, report, name)?;
        // A target without a test is fine among others; that a suite has some is looked at by its caller.
        sum = sum + count;
    }
    Ok(sum)
}

/// The examples in the documentation of every library.
pub(crate) fn run_doc_tests(report: &Report, log: &Path) -> Result<Count> {
    counted(
        &mut cargo(&["test", "--workspace", "--doc", LIBRARY]),
        log,
        report,
        "rust",
    )
}

fn counted(command: &mut Command, log: &Path, report: &Report, name: &str) -> Result<Count> {
    let mut said = String::new();
    let mut tell = report.now_and_then(name);
    let status = process::logged(command, log, TEST_LIMIT, |line| {
        said.push_str(line);
        said.push('\n');
        tell(line);
    })?;
    let count = count::of_libtest(&said);
    Ok(if status.success() {
        count
    } else {
        count.judged(false)
    })
}

/// A cargo command at the top of the repository.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(repo::cargo());
    command
        .args(words)
        .current_dir(repo::root())
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("RUST_BACKTRACE", "1");
    command
}

/// Builds the bindings as one kind of library (`cdylib`, `staticlib`), with link-time optimisation as `profile` says.
pub(crate) fn library(kind: &str, profile: &str) -> Command {
    let words = ["rustc", "--package", "postern-bindings", "--lib"];
    let mut build = cargo(&words);
    build.args(["--crate-type", kind, "--profile", profile]);
    build
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

fn test_programs(messages: &str) -> Vec<TestProgram> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| {
            let target = message.target?;
            message.profile?.test.then_some(())?;
            Some(TestProgram {
                package: package_name(&message.package_id?)?,
                target: target.name,
                integration: target.kind.iter().any(|kind| kind == "test"),
                folder: message.manifest_path?.parent()?.to_path_buf(),
                program: message.executable?,
            })
        })
        .collect()
}

/// `path+file:///…/sdk-core#postern-sdk-core@0.1.0`, or `path+file:///…/xtask#0.1.0` where the folder has the package's name.
fn package_name(id: &str) -> Option<String> {
    let (path, rest) = id.rsplit_once('#')?;
    Some(match rest.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn package_ids_are_read_in_both_forms() {
        assert_eq!(
            package_name("path+file:///repo/sdk-core#postern-sdk-core@0.1.0").unwrap(),
            "postern-sdk-core"
        );
        assert_eq!(
            package_name("path+file:///repo/xtask#0.1.0").unwrap(),
            "xtask"
        );
    }

    #[test]
    fn only_test_programs_are_taken_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"path+file:///r/tests#postern-tests@0.1.0","manifest_path":"/r/tests/Cargo.toml","target":{"kind":["test"],"name":"scenarios"},"profile":{"test":true},"executable":"/t/scenarios-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///r/tests#postern-tests@0.1.0","manifest_path":"/r/tests/Cargo.toml","target":{"kind":["bin"],"name":"postern-world"},"profile":{"test":false},"executable":"/t/postern-world"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\nnot json\n"
        );
        let programs = test_programs(messages);
        assert_eq!(programs.len(), 1);
        assert_eq!(programs[0].package, "postern-tests");
        assert!(programs[0].integration);
        assert_eq!(programs[0].folder, Path::new("/r/tests"));
    }
}
