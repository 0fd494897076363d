//! A running account center and simulator for the suites of other languages (`postern-world` of `tests/`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::process::Running;
use crate::{Result, repo};

/// Both servers, until this is dropped.
pub(crate) struct World {
    env_file: PathBuf,
    // Closing it tells the program to end; so it is dropped before `running`, which gives it the time.
    stdin: Option<ChildStdin>,
    running: Running,
}

impl World {
    /// Starts a world of its own for the suite `name`; what the servers say goes to `log`.
    pub(crate) fn start(name: &str, log: &Path) -> Result<Self> {
        let folder = repo::root().join("build/worlds").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let env_file = folder.join("env.json");
        let debug = repo::target().join("debug");
        let mut command = Command::new(debug.join("postern-world"));
        command
            .arg("--env-file")
            .arg(&env_file)
            .arg("--folder")
            .arg(&folder)
            .env("POSTERN_BIN_DIR", debug)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?);
        let mut running = Running::start(&mut command)?;
        let stdin = running.child().stdin.take();
        let stdout = running
            .child()
            .stdout
            .take()
            .ok_or("postern-world has no output")?;
        let mut said = String::new();
        BufReader::new(stdout).take(1024).read_line(&mut said)?;
        if said.trim() != "ready" {
            return Err(format!("postern-world did not start, see {}", log.display()).into());
        }
        Ok(Self {
            env_file,
            stdin,
            running,
        })
    }

    /// The file that `POSTERN_TEST_ENV` names.
    pub(crate) fn env_file(&self) -> &Path {
        &self.env_file
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // What does not end by itself is ended by `running`.
        let _ = self.running.wait_for(Duration::from_secs(10));
    }
}
