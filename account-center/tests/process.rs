//! The binary, as an operator meets it: ready file, signals, settings, keys.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use postern_server_security::base64url;
use postern_server_security::key_list::KeyList;
use postern_server_security::keys::VerifyingKey;
use serde_json::Value;

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern-account-center"));
    // The settings of whoever runs the tests are not the test's.
    command.env_clear().stdin(Stdio::null());
    command
}

/// A server as a process; killed when dropped.
struct Process {
    child: Child,
    facts: Value,
}

impl Process {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let ready = folder.join("ready.json");
        // A file of an earlier run is not this one's.
        let _ = std::fs::remove_file(&ready);
        let mut child = binary()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !ready.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it is not ready"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // Written at once: what is there is whole.
        let facts = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
        Self { child, facts }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it does not stop"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn serve_needs_nothing_and_says_what_others_need_to_know() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(
        folder.path(),
        &["--public-url", "http://127.0.0.1:9/postern"],
    );
    let facts = &process.facts;
    assert!(
        facts["listen"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    assert_eq!(facts["public_url"], "http://127.0.0.1:9/postern");
    assert_eq!(
        facts["app_ids"],
        serde_json::json!([
            "bank-android",
            "bank-h5",
            "bank-ios",
            "bank-mini",
            "bank-wealth"
        ])
    );
    assert_eq!(
        facts["data_dir"],
        folder.path().join("data").to_str().unwrap()
    );
    assert_eq!(
        base64url::decode(facts["root_key"].as_str().unwrap())
            .unwrap()
            .len(),
        65
    );
    let root = facts["root_key"].clone();
    drop(process);
    // The keys are kept.
    assert_eq!(Process::start(folder.path(), &[]).facts["root_key"], root);
}

#[test]
fn sigterm_and_sigint_stop_it_with_success() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(folder.path(), &[]);
        process.signal(signal);
        assert_eq!(process.wait(), Some(0), "{signal}");
    }
}

#[test]
fn a_data_folder_has_one_server_and_is_free_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]);
    let second = binary()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(
        text(&second).contains("in use by another account center"),
        "{}",
        text(&second)
    );
    process.signal("KILL");
    process.wait();
    Process::start(folder.path(), &[]);
}

#[test]
fn a_development_set_up_says_so_and_listens_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let refused = binary()
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("listens on loopback only"),
        "{}",
        text(&refused)
    );

    let ready = folder.path().join("ready.json");
    let mut child = binary()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .arg("--ready-file")
        .arg(&ready)
        .env("RUST_LOG", "error")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !ready.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let said = text(&child.wait_with_output().unwrap());
    assert!(said.contains("THIS IS A DEVELOPMENT SET-UP"), "{said}");
}

#[test]
fn check_config_tells_every_fault_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(
        &file,
        "mode = \"production\"\n[server]\nlisten = \"nowhere\"\npublic_url = \"http://x\"\n",
    )
    .unwrap();
    let output = binary()
        .args(["check-config", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    for key in [
        "server.listen",
        "keys.root_key",
        "sms.base_url",
        "core.api_key",
        "database.url",
        "apps",
    ] {
        assert!(
            text(&output).contains(&format!("  {key}: ")),
            "{key} is not in:\n{}",
            text(&output)
        );
    }
    let missing = binary()
        .args(["check-config", "--config", "/nowhere.toml"])
        .output()
        .unwrap();
    assert!(text(&missing).contains("cannot be read"));
}

/// Keys and settings of a production account center with an SQLite file.
fn production(folder: &Path) -> PathBuf {
    let keys = folder.join("keys");
    assert!(
        binary()
            .args(["make-keys", "--out"])
            .arg(&keys)
            .output()
            .unwrap()
            .status
            .success()
    );
    let signed = binary()
        .args([
            "sign-keys",
            "--make-root",
            "--issuer",
            "https://login.bank.example",
            "--pin",
            "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "--root",
        ])
        .arg(folder.join("root-key"))
        .arg("--sealing-key")
        .arg(keys.join("sealing-key-public"))
        .arg("--output")
        .arg(keys.join("key-list"))
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", text(&signed));
    let said = text(&signed);
    let root_key = said.trim().rsplit(' ').next().unwrap();
    let file = folder.join("settings.toml");
    let keys = keys.display();
    let settings = format!(
        "mode = \"production\"\n\
         [server]\npublic_url = \"https://login.bank.example\"\n\
         [database]\nurl = \"sqlite:{data}/postern.db\"\n\
         [keys]\nserver_secret_file = \"{keys}/server-secret\"\nsigning_key_file = \"{keys}/signing-key\"\nsealing_key_files = [\"{keys}/sealing-key\"]\n\
         key_list_file = \"{keys}/key-list\"\nroot_key = \"{root_key}\"\n\
         [sms]\nbase_url = \"https://sms.bank.example\"\napi_key = \"a\"\n\
         [core]\nbase_url = \"https://core.bank.example\"\napi_key = \"b\"\n\
         [face]\nbase_url = \"https://face.bank.example\"\napi_key = \"c\"\n\
         [apps.bank-android.wechat]\napp_id = \"wx0123456789abcdef\"\nsecret = \"d\"\nplatform = \"op_bank\"\n",
        data = folder.join("data").display()
    );
    std::fs::write(&file, settings).unwrap();
    file
}

#[test]
fn keys_made_and_signed_offline_make_a_production_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = production(folder.path());
    let checked = binary()
        .args(["check-config", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked));

    // Production does not migrate by itself: that is done once, before a release starts anywhere.
    let operate = |words: &[&str]| {
        let mut command = binary();
        command.args(words).arg("--config").arg(&file);
        command.output().unwrap()
    };
    let mut serve = binary();
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .arg("--data-dir")
        .arg(folder.path().join("data"));
    let refused = serve.output().unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("postern-account-center migrate"),
        "{}",
        text(&refused)
    );
    let behind = operate(&["migrate", "--check"]);
    assert!(!behind.status.success() && text(&behind).contains("0001 initial"));
    let migrated = operate(&["migrate"]);
    assert!(
        migrated.status.success() && text(&migrated).contains("applied: 0001 initial"),
        "{}",
        text(&migrated)
    );
    assert!(operate(&["migrate", "--check"]).status.success());
    assert!(text(&operate(&["migrate"])).contains("up to date"));

    let process = Process::start(folder.path(), &["--config", file.to_str().unwrap()]);
    let root = VerifyingKey::from_sec1(
        &base64url::decode(process.facts["root_key"].as_str().unwrap()).unwrap(),
    )
    .unwrap();
    let list = std::fs::read_to_string(folder.path().join("keys/key-list")).unwrap();
    let read = KeyList::verify(list.trim(), &root, "https://login.bank.example", 0, 0).unwrap();
    assert_eq!((read.sealing_keys.len(), read.tls_pins.len()), (1, 1));
    drop(process);

    // Keys that are there already are left alone.
    let secret = std::fs::read(folder.path().join("keys/server-secret")).unwrap();
    assert!(
        binary()
            .args(["make-keys", "--out"])
            .arg(folder.path().join("keys"))
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(
        std::fs::read(folder.path().join("keys/server-secret")).unwrap(),
        secret
    );
}

#[test]
fn production_refuses_development_keys_and_lists_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let file = production(folder.path());
    let settings = std::fs::read_to_string(&file).unwrap();
    let desk = tempfile::tempdir().unwrap();
    drop(Process::start(desk.path(), &[]));
    let check = |settings: &str| {
        std::fs::write(&file, settings).unwrap();
        let output = binary()
            .args(["check-config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    let made = |name: &str| folder.path().join("keys").join(name).display().to_string();
    let desks = |name: &str| desk.path().join("data").join(name).display().to_string();
    for name in ["server-secret", "signing-key", "sealing-key"] {
        let said =
            check(&settings.replace(&format!("{}\"", made(name)), &format!("{}\"", desks(name))));
        assert!(said.contains("is a development key"), "{name}: {said}");
    }
    let said = check(&settings.replace("https://login.bank.example", "https://other.bank.example"));
    assert!(said.contains("the issuer is another one"), "{said}");
    // Another sealing key than the list's.
    let other = folder.path().join("other");
    assert!(
        binary()
            .args(["make-keys", "--out"])
            .arg(&other)
            .output()
            .unwrap()
            .status
            .success()
    );
    let said = check(&settings.replace(
        &made("sealing-key\""),
        &format!("{}\"", other.join("sealing-key").display()),
    ));
    assert!(
        said.contains("which is not in keys.sealing_key_files"),
        "{said}"
    );
    // The desk's root signs nothing for production.
    let signed = binary()
        .args([
            "sign-keys",
            "--issuer",
            "https://login.bank.example",
            "--root",
            &desks("root-key"),
            "--sealing-key",
            &made("sealing-key-public"),
            "--output",
            &made("key-list"),
        ])
        .output()
        .unwrap();
    assert!(!signed.status.success());
    assert!(
        text(&signed).contains("is a development key"),
        "{}",
        text(&signed)
    );
}

#[test]
fn openapi_is_written_to_standard_output() {
    let output = binary().arg("openapi").output().unwrap();
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/login"]["post"].is_object());
}
