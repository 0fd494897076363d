//! Child processes that never outlive us.
//!
//! Every child leads a process group of its own, and a *guard* knows all groups: a shell that does nothing but wait for the pipe from us to
//! close. It closes however we end, also by Ctrl-C or SIGKILL; then the guard ends the groups. That needs no signal handler and no unsafe code.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How long a group has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

static GUARD: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// A running child and its process group, which ends when this is dropped.
pub(crate) struct Running {
    child: Child,
    group: u32,
    ended: bool,
}

impl Running {
    /// Starts `command` as the leader of a new process group.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        tell_guard("")?;
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let group = child.id();
        tell_guard(&format!("+{group}"))?;
        Ok(Self {
            child,
            group,
            ended: false,
        })
    }

    /// The child itself, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the child to end, then ends whatever it left behind in its group.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        self.end();
        Ok(status)
    }

    /// Waits at most `limit` for the child to end by itself.
    pub(crate) fn wait_for(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            end_groups(&BTreeSet::from([self.group]), || {
                // Reaped here, so that a zombie does not look like a living group.
                let _ = self.child.try_wait();
            });
            let _ = self.child.wait();
            let _ = tell_guard(&format!("-{}", self.group));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs `command` on our own terminal output, without input.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
    success(command, status)
}

/// Runs `command` and returns what it wrote to standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{}", shown(command), output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` for at most `limit`, with both outputs appended to `log` and given line by line to `on_line`.
pub(crate) fn logged(
    command: &mut Command,
    log: &Path,
    limit: Duration,
    on_line: impl FnMut(&str) + Send,
) -> Result<ExitStatus> {
    let mut file = File::options().create(true).append(true).open(log)?;
    writeln!(file, "$ {}", shown(command))?;
    let (reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut running = Running::start(command)?;
    // `command` holds the pipe's other end until it gets another one.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    thread::scope(|scope| {
        let copy = scope.spawn(|| copy_lines(reader, file, on_line));
        let status = running.wait_for(limit);
        // Also where it ended by itself: what it left behind would keep the pipe open.
        running.end();
        copy.join()
            .map_err(|_| "the thread that copies output panicked")??;
        status?.ok_or_else(|| {
            format!(
                "{}: not done after {} s, so ended",
                shown(command),
                limit.as_secs()
            )
            .into()
        })
    })
}

fn copy_lines(from: impl Read, mut to: File, mut on_line: impl FnMut(&str)) -> Result<()> {
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        to.write_all(&bytes)?;
        on_line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    Ok(())
}

/// Turns a status that is not 0 into an error that names the command.
pub(crate) fn success(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", shown(command)).into())
    }
}

/// The command as one would type it; environment left out.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a program of this name is on `PATH`.
pub(crate) fn on_path(name: impl AsRef<OsStr>) -> bool {
    let name = name.as_ref();
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

fn tell_guard(line: &str) -> Result<()> {
    let pipe = if let Some(pipe) = GUARD.get() {
        pipe
    } else {
        let pipe = start_guard()?;
        GUARD.get_or_init(|| Mutex::new(pipe))
    };
    let mut pipe = pipe
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if !line.is_empty() {
        writeln!(pipe, "{line}")?;
    }
    Ok(())
}

/// The guard's program: notes `+group` and `-group` until the pipe closes, then ends the groups that are left.
const GUARD_PROGRAM: &str = r#"
groups=' '
while read -r line; do
  case $line in
    +*) groups="$groups${line#+} " ;;
    -*) groups="${groups%% "${line#-}" *} ${groups#* "${line#-}" }" ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
tries=30
while [ $tries -gt 0 ]; do
  left=
  for group in $groups; do kill -s 0 -- "-$group" 2>/dev/null && left=yes; done
  [ -n "$left" ] || exit 0
  sleep 0.1
  tries=$((tries - 1))
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

fn start_guard() -> Result<ChildStdin> {
    let mut guard = Command::new("sh")
        .args(["-c", GUARD_PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(guard.stdin.take().expect("the pipe was asked for above"))
}

/// SIGTERM, up to [`GRACE`], then SIGKILL. Groups that are gone already cost nothing.
fn end_groups(groups: &BTreeSet<u32>, mut between: impl FnMut()) {
    let alive: BTreeSet<u32> = groups
        .iter()
        .copied()
        .filter(|group| signal("TERM", *group))
        .collect();
    let start = Instant::now();
    while start.elapsed() < GRACE {
        between();
        if !alive.iter().any(|group| signal("0", *group)) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    for group in alive {
        signal("KILL", group);
    }
}

/// Sends a signal to a group with the shell's own `kill`; false where there is no such group.
fn signal(name: &str, group: u32) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"-$1\"", name, &group.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_group_ends_with_what_its_leader_started() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped());
        let mut running = Running::start(&mut command).unwrap();
        let mut line = String::new();
        BufReader::new(running.child().stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let group = running.group;
        assert!(signal("0", group));
        drop(running);
        assert!(!signal("0", group));
        let state = std::fs::read_to_string(format!("/proc/{}/stat", line.trim()));
        assert!(
            state.is_err() || state.unwrap().contains(") Z"),
            "the grandchild still runs"
        );
    }

    #[test]
    fn a_log_has_both_outputs_and_the_command() {
        let folder = env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let log = folder.join("log");
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let status = logged(&mut command, &log, LONG, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(seen, ["out", "err"]);
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("$ sh -c") && text.contains("out\nerr\n"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_guard_ends_what_is_left_when_we_die_and_spares_what_it_was_told_to_forget() {
        let sleeper = || {
            Command::new("sleep")
                .arg("60")
                .process_group(0)
                .spawn()
                .unwrap()
        };
        let (mut first, mut forgotten, mut last) = (sleeper(), sleeper(), sleeper());
        let mut pipe = start_guard().unwrap();
        for child in [&first, &forgotten, &last] {
            writeln!(pipe, "+{}", child.id()).unwrap();
        }
        writeln!(pipe, "-{}", forgotten.id()).unwrap();
        drop(pipe);
        assert!(!first.wait().unwrap().success());
        assert!(!last.wait().unwrap().success());
        assert!(forgotten.try_wait().unwrap().is_none());
        forgotten.kill().unwrap();
        forgotten.wait().unwrap();
    }

    #[test]
    fn a_command_that_hangs_is_ended_at_its_limit() {
        let log = env::temp_dir().join(format!("xtask-hang-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60"]);
        let error = logged(&mut command, &log, Duration::from_millis(100), |_| ()).unwrap_err();
        assert!(error.to_string().contains("not done after"));
        std::fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_shown_command_can_be_typed_again() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'a b'", ""]);
        assert_eq!(shown(&command), r"sh -c 'echo '\''a b'\''' ''");
    }
}
