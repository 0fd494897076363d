//! A PostgreSQL cluster of our own, as an ordinary user, on loopback, durable (fsync and `synchronous_commit` on, as they are by default).

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::{self, Running};

/// Whom the cluster runs as where we are root, whom PostgreSQL refuses.
const USER: &str = "postgres";

/// A running cluster.
pub(crate) struct Postgres {
    process: Running,
    bin: PathBuf,
    port: u16,
}

/// A port that is free just now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where Debian puts the newest PostgreSQL's programs.
fn newest() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .map_err(|_| "PostgreSQL is not installed (Debian: apt-get install postgresql)")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, bin)| bin)
        .ok_or_else(|| "there is no PostgreSQL in /usr/lib/postgresql".into())
}

/// A command, as the ordinary user where we are root.
fn command(program: &Path) -> Result<Command> {
    let root = process::run(Command::new("id").arg("-u"))?.trim() == "0";
    if !root {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={USER}"))
        .arg(format!("--regid={USER}"))
        .arg("--clear-groups")
        .arg(program);
    Ok(command)
}

impl Postgres {
    /// Makes and starts one in `folder`, which must not be there yet.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let bin = newest()?;
        fs::create_dir(folder)?;
        if process::run(Command::new("id").arg("-u"))?.trim() == "0" {
            process::run(Command::new("chown").arg(USER).arg(folder))?;
        }
        let data = folder.join("data");
        // Loopback, made-up people, deleted at the end: no password.
        process::run(command(&bin.join("initdb"))?.arg("-D").arg(&data).args([
            "-U",
            "bench",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]))?;
        let port = free_port()?;
        let mut server = command(&bin.join("postgres"))?;
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=512MB",
            "max_wal_size=4GB",
        ] {
            server.args(["-c", setting]);
        }
        let log = folder.with_extension("log");
        let mut postgres = Self {
            process: Running::start(&mut server, &log)?,
            bin,
            port,
        };
        process::until(Duration::from_mins(1), "PostgreSQL", || {
            if let Some(status) = postgres.process.ended()? {
                return Err(format!("PostgreSQL ended ({status}), see {}", log.display()).into());
            }
            Ok(postgres.sql("postgres", "SELECT 1").ok())
        })?;
        Ok(postgres)
    }

    /// Its first process: the others are its children.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Makes an empty database and gives its URL.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// The URL of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        format!(
            "postgres://bench@127.0.0.1:{}/{name}?sslmode=disable",
            self.port
        )
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-qXAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "bench",
        ])
        .args(["-p", &self.port.to_string(), "-d", database]);
        psql
    }

    /// Runs SQL and gives what it printed.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> Result<String> {
        process::run(self.psql(database).args(["-c", sql]))
    }

    /// `COPY … FROM STDIN` with the lines that `write` writes.
    pub(crate) fn copy(
        &self,
        database: &str,
        into: &str,
        write: impl FnOnce(&mut dyn std::io::Write) -> Result<()>,
    ) -> Result<()> {
        let mut child = self
            .psql(database)
            // The rows are whole by their making: each reference need not be looked up again.
            .args(["-c", "SET session_replication_role = replica"])
            .args(["-c", &format!("COPY {into} FROM STDIN")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let written = {
            let stdin = child.stdin.take().ok_or("psql has no input")?;
            let mut stdin = std::io::BufWriter::with_capacity(1 << 20, stdin);
            write(&mut stdin).and_then(|()| Ok(std::io::Write::flush(&mut stdin)?))
        };
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("COPY {into}: {}", said.trim_end()).into());
        }
        written
    }
}
