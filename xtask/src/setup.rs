//! `cargo xtask setup`: what the tests need, installed on Debian, named elsewhere.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::apt::{self, Root};
use crate::swift::{self, Swift};
use crate::{Result, process};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these (all where left out).
    #[arg(long, value_enum)]
    only: Vec<Tool>,
}

/// One thing that the tests need beyond cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    /// A C compiler and linker: ring, `SQLite`, every link step.
    Cc,
    /// The pinned toolchain's formatter and linter.
    Rust,
    /// A JDK (17 or later) and Maven: the Kotlin package.
    Kotlin,
    /// Swift 6: the Swift package.
    Swift,
    /// A PostgreSQL server's programs, and a way from root to its user.
    Postgres,
    /// Patroni and etcd: the fail-over of a PostgreSQL cluster.
    Patroni,
    /// A NATS server: the outbox's broker.
    Nats,
}

impl Tool {
    pub(crate) const ALL: [Self; 7] = [
        Self::Cc,
        Self::Rust,
        Self::Kotlin,
        Self::Swift,
        Self::Postgres,
        Self::Patroni,
        Self::Nats,
    ];

    /// What is there (a text for people), or what is missing.
    fn look(self) -> std::result::Result<String, String> {
        match self {
            Self::Cc => {
                first_line("cc", &["--version"])?;
                let version = first_line("pkg-config", &["--version"])?;
                Ok(format!(
                    "{}; pkg-config {version}",
                    first_line("cc", &["--version"])?
                ))
            }
            Self::Rust => {
                first_line("cargo", &["fmt", "--version"])?;
                first_line("cargo", &["clippy", "--version"])
            }
            Self::Kotlin => {
                let javac = first_line("javac", &["-version"])?;
                if java_major(&javac).is_none_or(|major| major < 17) {
                    return Err(format!("{javac} is older than 17"));
                }
                Ok(format!(
                    "{javac}; {}",
                    first_line("mvn", &["--batch-mode", "--version"])?
                ))
            }
            Self::Postgres => {
                first_line("setpriv", &["--version"])?;
                let server = postgres_server().ok_or("there is no PostgreSQL server here")?;
                first_line_of(&server.to_string_lossy(), &["--version"])
            }
            Self::Patroni => Ok(format!(
                "{}; {}",
                first_line("patroni", &["--version"])?,
                first_line("etcd", &["--version"])?
            )),
            Self::Nats => first_line("nats-server", &["--version"]),
            Self::Swift => Swift::find()
                .ok_or("no Swift 6 on PATH and no chroot of ours".to_owned())
                .and_then(|swift| swift.version().map_err(|error| error.to_string())),
        }
    }

    /// How it is had by hand.
    fn advice(self) -> &'static str {
        match self {
            Self::Cc => "install a C compiler and pkg-config (Debian: gcc libc6-dev pkg-config)",
            Self::Rust => "rustup component add rustfmt clippy (rustup reads rust-toolchain.toml)",
            Self::Kotlin => {
                "install a JDK 17 or later and Maven 3.8 or later (Debian: default-jdk-headless maven)"
            }
            Self::Postgres => {
                "install a PostgreSQL server, 13 or later, and util-linux (Debian: postgresql util-linux)"
            }
            Self::Patroni => "install Patroni and etcd (Debian: patroni etcd-server)",
            Self::Nats => "install a NATS server, 2.9 or later (Debian: nats-server)",
            Self::Swift => {
                "install Swift 6 (swift.org/install) so that `swift` is on PATH; on Debian run this as root or with sudo that asks for no password"
            }
        }
    }

    fn install(self, root: Root) -> Result<()> {
        match self {
            Self::Cc => apt::install(root, &["gcc", "libc6-dev", "pkg-config"]),
            Self::Rust => process::stream(Command::new("rustup").args([
                "component",
                "add",
                "rustfmt",
                "clippy",
            ])),
            Self::Kotlin => apt::install(root, &["default-jdk-headless", "maven"]),
            Self::Swift => swift::install(root),
            Self::Postgres => apt::install(root, &["postgresql", "util-linux"]),
            Self::Patroni => apt::install(root, &["patroni", "etcd-server"]),
            Self::Nats => apt::install(root, &["nats-server"]),
        }
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// `cargo xtask setup`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let wanted = if options.only.is_empty() {
        Tool::ALL.to_vec()
    } else {
        options.only.clone()
    };
    // All are tried before any failure is told, so that one run names everything.
    let failed: Vec<String> = wanted
        .into_iter()
        .filter_map(|tool| ensure(tool).err())
        .map(|error| error.to_string())
        .collect();
    if failed.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(failed.join("\n       ").into())
    }
}

/// Makes sure that `tool` is there: looks, installs where this machine lets us, looks again.
pub(crate) fn ensure(tool: Tool) -> Result<()> {
    let missing = match tool.look() {
        Ok(found) => {
            println!("setup: {}: {found}", tool.name());
            return Ok(());
        }
        Err(missing) => missing,
    };
    println!("setup: {}: {missing}", tool.name());
    let root = Root::find().filter(|_| apt::is_here() || tool == Tool::Rust);
    let Some(root) = root else {
        return Err(format!("{}: {missing}. To get it: {}", tool.name(), tool.advice()).into());
    };
    tool.install(root)
        .map_err(|error| format!("{}: {error}. By hand: {}", tool.name(), tool.advice()))?;
    let found = tool.look().map_err(|still| {
        format!(
            "{}: installed, and yet: {still}. By hand: {}",
            tool.name(),
            tool.advice()
        )
    })?;
    println!("setup: {}: {found}", tool.name());
    Ok(())
}

/// Where Debian has the newest server, or the one on PATH.
fn postgres_server() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let server = entry.path().join("bin/postgres");
            server.exists().then_some((version, server))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, server)| server)
        .or_else(|| process::on_path("postgres").then(|| PathBuf::from("postgres")))
}

fn first_line(program: &str, words: &[&str]) -> std::result::Result<String, String> {
    if !process::on_path(program) {
        return Err(format!("there is no {program} on PATH"));
    }
    first_line_of(program, words)
}

fn first_line_of(program: &str, words: &[&str]) -> std::result::Result<String, String> {
    let said =
        process::capture(Command::new(program).args(words)).map_err(|error| error.to_string())?;
    Ok(without_escapes(said.lines().next().unwrap_or_default()))
}

/// The text without the escape sequences that Maven colours its version with.
fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('\x1b');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// 17 of `javac 17.0.15`; 8 of `javac 1.8.0_402`.
fn java_major(said: &str) -> Option<u32> {
    let version = said.trim().strip_prefix("javac ")?;
    let mut numbers = version.split(['.', '_', '-']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out_of_a_version() {
        assert_eq!(
            without_escapes("\x1b[1mApache Maven 3.8.7\x1b[m"),
            "Apache Maven 3.8.7"
        );
    }

    #[test]
    fn java_versions_old_and_new_are_read() {
        assert_eq!(java_major("javac 17.0.15\n"), Some(17));
        assert_eq!(java_major("javac 21-ea"), Some(21));
        assert_eq!(java_major("javac 1.8.0_402"), Some(8));
        assert_eq!(java_major("bash: javac"), None);
    }
}
