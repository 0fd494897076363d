//! A PostgreSQL server of one's own, from the machine's packages: made with `initdb`, run as somebody who is not root (PostgreSQL refuses root), reached through a
//! socket in a folder that only that user and root can enter.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::servers::guard;
use crate::trouble::{Result, Trouble, unexpected};

/// PostgreSQL recovers from a crash within a second here.
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Debian's user for PostgreSQL.
const USER: &str = "postgres";

/// Whoever runs servers that refuse root: ourselves, or `postgres` where we are root.
#[derive(Clone, Copy, Debug)]
pub struct Unprivileged {
    root: bool,
}

impl Unprivileged {
    /// Looks who we are.
    pub fn find() -> Result<Self> {
        let said = Command::new("id")
            .arg("-u")
            .output()
            .map_err(Trouble::io("id"))?;
        Ok(Self {
            root: said.stdout.trim_ascii() == b"0",
        })
    }

    /// `program`, run as that user in a plain environment. Where we are root `setpriv` becomes the program, so its process is ours to signal.
    pub fn command(self, program: &Path) -> Command {
        let mut command = if self.root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--init-groups", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .env("LC_ALL", "C")
            .env("TMPDIR", "/tmp")
            .current_dir("/");
        command
    }

    /// A new folder that only that user (and root) can enter. Not in `TMPDIR`: a socket's path is short, and the user must reach it.
    pub fn folder(self) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_orphans();
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = PathBuf::from(format!("/tmp/{PREFIX}{}-{number}", std::process::id()));
        let mut make = Command::new("install");
        make.args(["-d", "-m", "0700"]);
        if self.root {
            make.args(["-o", USER, "-g", USER]);
        }
        run(make.arg(&folder))?;
        Ok(folder)
    }
}

const PREFIX: &str = "postern-postgres-";

/// Folders of processes that died without removing theirs.
fn remove_orphans() {
    let Ok(entries) = fs::read_dir("/tmp") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        if let Some(process) = process
            && !Path::new("/proc").join(process).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder with PostgreSQL's programs: Debian's newest, else where PATH has them.
pub fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").exists().then_some((version, folder))
        })
        .collect();
    found.sort();
    if let Some((_, folder)) = found.pop() {
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).find(|folder| folder.join("initdb").exists()) {
        Some(folder) => Ok(folder),
        None => unexpected("PostgreSQL is not installed: cargo xtask setup --only postgres"),
    }
}

/// A running server. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    who: Unprivileged,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<(Child, Child)>,
}

impl Cluster {
    /// Makes a server and starts it. It survives its own crash, not the machine's: nothing is flushed to the disk.
    pub fn start() -> Result<Self> {
        let who = Unprivileged::find()?;
        let programs = programs()?;
        let folder = who.folder()?;
        let mut cluster = Self {
            who,
            programs,
            folder,
            port: 5432,
            running: None,
        };
        run(cluster
            .program("initdb")
            .args(["--no-sync", "--locale=C", "--encoding=UTF8", "--auth=trust"])
            .args(["--username=postern", "--pgdata"])
            .arg(cluster.data()))?;
        cluster.run()?;
        Ok(cluster)
    }

    fn program(&self, name: &str) -> Command {
        self.who.command(&self.programs.join(name))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts it (again), and waits until it takes connections.
    pub fn run(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let log = self.folder.join("log");
            let file = File::options()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(Trouble::io(log.display().to_string()))?;
            let err = file.try_clone().map_err(Trouble::io("a log file"))?;
            let mut server = self.program("postgres");
            server
                .arg("-D")
                .arg(self.data())
                .arg("-k")
                .arg(&self.folder);
            for setting in [
                "listen_addresses=",
                "max_connections=300",
                "shared_buffers=64MB",
                // A commit that was answered is with the kernel, so it survives a kill of the server.
                "fsync=off",
                "full_page_writes=off",
                "autovacuum=off",
            ] {
                server.args(["-c", setting]);
            }
            let mut child = server
                .stdin(Stdio::null())
                .stdout(file)
                .stderr(err)
                .spawn()
                .map_err(Trouble::io("postgres"))?;
            let guard = guard(&child)?;
            while child.try_wait().map_err(Trouble::io("postgres"))?.is_none() {
                if self.answers() {
                    self.running = Some((child, guard));
                    return Ok(());
                }
                if start.elapsed() > START_LIMIT {
                    self.running = Some((child, guard));
                    return unexpected("PostgreSQL does not answer");
                }
                thread::sleep(Duration::from_millis(20));
            }
            end_guard(guard);
            // After a crash the old one's backends keep its memory for a moment; then a new one refuses to start.
            if start.elapsed() > START_LIMIT {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return unexpected(format!("PostgreSQL does not start; it said:\n{said}"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self) -> bool {
        self.program("pg_isready")
            .args(["-q", "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Ends it as a crash of the machine's memory would: SIGKILL.
    pub fn kill(&mut self) {
        if let Some((mut child, guard)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
            end_guard(guard);
        }
    }

    /// Ends it as an operator does (SIGINT: sessions are ended, nothing is lost).
    pub fn stop(&mut self) {
        if let Some((mut child, guard)) = self.running.take() {
            let _ = Command::new("sh")
                .args(["-c", "kill -s INT \"$0\"", &child.id().to_string()])
                .status();
            let start = Instant::now();
            while start.elapsed() < STOP_LIMIT && matches!(child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
            end_guard(guard);
        }
    }

    /// Its address, with the database that every server has.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of one of its databases.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postern@localhost:{}/{database}?host={}",
            self.port,
            self.folder.display()
        )
    }

    /// What it wrote to its log.
    pub fn log(&self) -> Result<String> {
        let log = self.folder.join("log");
        fs::read_to_string(&log).map_err(Trouble::io(log.display().to_string()))
    }

    /// Runs SQL with psql, and gives what it prints: rows as lines, columns apart by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-U", "postern", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql]);
        run(&mut psql)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn end_guard(mut guard: Child) {
    // Before its pipe closes: else it would send a signal to a number that may be another's by now.
    let _ = guard.kill();
    let _ = guard.wait();
}

/// Runs a command to its end, and gives what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Trouble::io(name.clone()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return unexpected(format!("{name}: {}\n{said}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
