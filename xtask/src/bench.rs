//! `cargo xtask bench server`: builds what is measured and what measures it, fetches the peer, then becomes the measurement.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::programs::cargo;
use crate::{Result, process, repo};

/// The peer, as Maven names it.
const KEYCLOAK: &str = "26.4.0";

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The account center over SQLite and PostgreSQL, and Keycloak beside it (benches/server/README.md)
    Server(ServerOptions),
}

#[derive(clap::Args)]
struct ServerOptions {
    /// Leave Keycloak out: then there is no ratio
    #[arg(long)]
    without_keycloak: bool,
    /// Handed on: --accounts 10k,1m,10m, --logins N, --bindings N, --connections N, --folder FOLDER, --without-postgres
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `cargo xtask bench`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let What::Server(options) = &options.what;
    println!("building for release (the first time takes minutes)");
    let mut build = cargo(&["build", "--release", "--bins"]);
    build
        .env_remove("CARGO_TERM_PROGRESS_WHEN")
        .args(["--package", "postern-account-center"])
        .args(["--package", "postern-bench-server"]);
    process::stream(&mut build)?;
    let programs = repo::target().join("release");
    let mut bench = Command::new(programs.join("postern-bench-server"));
    bench
        .arg("--account-center")
        .arg(programs.join("postern-account-center"));
    if !options.without_keycloak {
        bench.arg("--keycloak").arg(keycloak()?);
    }
    // Becoming it leaves Ctrl-C and the exit code to it alone.
    let error = bench.args(&options.words).exec();
    Err(format!("postern-bench-server: {error}").into())
}

/// Keycloak's folder: from Maven Central, with the machine's own settings for Maven, kept for the next time.
fn keycloak() -> Result<PathBuf> {
    let folder = repo::target().join("bench");
    let home = folder.join(format!("keycloak-{KEYCLOAK}"));
    // Its last file: an unpacking that was broken off is done again.
    let done = folder.join(format!("keycloak-{KEYCLOAK}.complete"));
    if !done.exists() {
        fs::create_dir_all(&folder)?;
        println!("fetching Keycloak {KEYCLOAK} (160 MB)");
        let mut maven = Command::new("mvn");
        maven
            .args([
                "-B",
                "-q",
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack",
            ])
            .arg(format!(
                "-Dartifact=org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:zip"
            ))
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .current_dir(&folder);
        process::stream(&mut maven)?;
        fs::write(&done, "")?;
    }
    Ok(home)
}
