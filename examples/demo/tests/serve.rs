//! `--serve` prints lines that work, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEMO: &str = env!("CARGO_BIN_EXE_postern-demo");

/// The demo, ended with the test whatever happens.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Status and body of a GET. The servers are on loopback, in plain HTTP.
fn get(url: &str) -> Option<(u16, String)> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text))
}

/// The addresses that can be fetched as they are: those of plain curl lines, and the browser's.
fn addresses(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !line.contains("-X POST"))
        .filter(|line| line.trim_start().starts_with("curl") || line.contains("/connect/authorize"))
        .map(|line| {
            line.split(' ')
                .next_back()
                .unwrap()
                .trim_matches('\'')
                .to_owned()
        })
        .collect()
}

#[test]
fn each_printed_line_works_and_nothing_is_left_after_a_signal() {
    let child = Command::new(DEMO)
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut served = Served(child);
    let stdout = served.0.stdout.take().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(stdout).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("root_key") {
            break;
        }
    }
    let addresses = addresses(&lines);
    assert_eq!(addresses.len(), 6, "{lines:#?}");
    for url in &addresses {
        let (status, body) = get(url).unwrap();
        assert_eq!(status, 200, "{url}: {body}");
    }
    let kill = Command::new("sh")
        .args(["-c", "kill -s INT \"$0\"", &served.0.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let start = Instant::now();
    let status = loop {
        match served.0.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(
                start.elapsed() < Duration::from_secs(15),
                "it does not stop"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
    for url in &addresses {
        assert!(get(url).is_none(), "{url} still answers");
    }
}

#[test]
fn an_unknown_script_is_an_error_that_says_how_to_find_the_right_one() {
    let output = Command::new(DEMO)
        .args(["--script", "dance"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--list"));
}
