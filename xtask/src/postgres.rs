//! A PostgreSQL server for the suites (`postern-postgres` of `tests/`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::process::Running;
use crate::{Result, repo};

/// The server, until this is dropped.
pub(crate) struct Postgres {
    url: String,
    // Closing it tells the program to end; so it is dropped before `running`, which gives it the time.
    stdin: Option<ChildStdin>,
    running: Running,
}

impl Postgres {
    /// Makes and starts a server; what it says goes to `log`.
    pub(crate) fn start(log: &Path) -> Result<Self> {
        let mut command = Command::new(repo::target().join("debug/postern-postgres"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?);
        let mut running = Running::start(&mut command)?;
        let stdin = running.child().stdin.take();
        let stdout = running
            .child()
            .stdout
            .take()
            .ok_or("postern-postgres has no output")?;
        let mut said = String::new();
        BufReader::new(stdout).take(1024).read_line(&mut said)?;
        let url = said.trim().to_owned();
        if !url.starts_with("postgres://") {
            return Err(format!("postern-postgres did not start, see {}", log.display()).into());
        }
        Ok(Self {
            url,
            stdin,
            running,
        })
    }

    /// Its address, as `POSTERN_TEST_POSTGRES` names it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // What does not end by itself is ended by `running`.
        let _ = self.running.wait_for(Duration::from_secs(30));
    }
}
