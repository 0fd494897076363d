//! The servers as processes: found, started, waited for, ended.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::trouble::{Result, Trouble, unexpected};

/// A server that has not said in this time that it listens will not.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A server process. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    /// Ends the server where this process dies without dropping anything: it waits for a pipe from us to close.
    guard: Child,
    /// What the server wrote when it was ready.
    pub(crate) ready: Value,
}

impl Server {
    /// Starts `name` with these arguments and `--ready-file`, and waits until it has written the file.
    pub(crate) fn start(
        name: &'static str,
        arguments: &[&OsStr],
        variables: &[(&str, &str)],
        folder: &Path,
    ) -> Result<Self> {
        let ready_file = folder.join(format!("{name}.ready.json"));
        // One of an earlier start would be taken for this one's.
        let _ = fs::remove_file(&ready_file);
        let log = folder.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Trouble::io(log.display().to_string()))?;
        let err = log.try_clone().map_err(Trouble::io("a log file"))?;
        let program = binaries()?.join(name);
        let mut child = Command::new(&program)
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready_file)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err)
            .spawn()
            .map_err(Trouble::io(program.display().to_string()))?;
        let guard = match guard(&child) {
            Ok(guard) => guard,
            Err(error) => {
                let _ = child.kill();
                return Err(error);
            }
        };
        let mut server = Self {
            name,
            child,
            guard,
            ready: Value::Null,
        };
        server.ready = server.wait_until_ready(&ready_file, folder)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, ready_file: &Path, folder: &Path) -> Result<Value> {
        let start = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(ready_file) {
                return serde_json::from_str(&text)
                    .map_err(Trouble::json(ready_file.display().to_string()));
            }
            let over = self.child.try_wait().map_err(Trouble::io(self.name))?;
            if over.is_some() || start.elapsed() > START_LIMIT {
                let log = folder.join(format!("{}.log", self.name));
                let said = fs::read_to_string(&log).unwrap_or_default();
                return unexpected(format!("{} did not start; it said:\n{said}", self.name));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as an operator would: SIGTERM, and time to finish what is under way.
    pub(crate) fn stop(&mut self) {
        // SIGTERM through the shell's kill: the standard library can only send SIGKILL.
        let _ = Command::new("sh")
            .args(["-c", "kill -s TERM \"$0\"", &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        self.kill();
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        // Before its pipe closes: else it would send a signal to a number that may be another's by now.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// What the guard does once the pipe closes: SIGTERM, up to three seconds, SIGKILL; never to a number that may have become another's.
const GUARD_PROGRAM: &str = r#"
cat >/dev/null
kill -s TERM "$0" || exit 0
tries=30
while [ $tries -gt 0 ]; do
  sleep 0.1
  kill -s 0 "$0" || exit 0
  tries=$((tries - 1))
done
kill -s KILL "$0"
"#;

pub(crate) fn guard(server: &Child) -> Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD_PROGRAM, &server.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Of its own, so that a Ctrl-C meant for us does not end it first.
        .process_group(0)
        .spawn()
        .map_err(Trouble::io("sh"))
}

/// The folder with the servers: `POSTERN_BIN_DIR`, else they are built now (cargo does nothing where they are fresh).
fn binaries() -> Result<PathBuf> {
    static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);
    // Held while building, so that the tests of one process build once.
    let mut known = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = known.as_ref() {
        return Ok(folder.clone());
    }
    let folder = match env::var_os("POSTERN_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => build()?,
    };
    Ok(known.insert(folder).clone())
}

fn build() -> Result<PathBuf> {
    let root = repository();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = ["postern-simulator", "postern-account-center"];
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--bins"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(&root)
        .status()
        .map_err(Trouble::io("cargo build"))?;
    if !status.success() {
        return unexpected("the servers could not be built");
    }
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder));
    Ok(target.join("debug"))
}

/// The repository's top folder.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the repository")
        .to_path_buf()
}
