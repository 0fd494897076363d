//! One refresh for any number of processes: real processes, a real lock, a real server.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postern_sdk_core::account::{AccountSummary, Identification};
use postern_sdk_core::secret::SecretString;
use postern_sdk_core::session::{SessionGrant, SessionTokens};
use postern_sdk_core::vault::EncryptedFileVault;
use postern_sdk_core::{Postern, PosternConfig};

const CHILD: &str = "POSTERN_TEST_CHILD";
/// The base point of P-256: a key list is not asked for here.
const ROOT: &str =
    "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

fn postern(folder: &Path, account_center: &str) -> Postern {
    let mut config = PosternConfig::new(account_center, "bank", ROOT);
    config.data_dir = Some(folder.join("data"));
    let vault = EncryptedFileVault::open(folder.join("vault")).unwrap();
    Postern::builder(config).vault(vault).build().unwrap()
}

fn grant() -> SessionGrant {
    SessionGrant {
        account: AccountSummary {
            user_id: "u-1".to_owned(),
            identification: Identification::Unsigned,
            phone_masked: "138****0000".to_owned(),
            nickname: None,
            avatar_url: None,
            bindings: Vec::new(),
        },
        tokens: SessionTokens {
            session_id: "s-1".to_owned(),
            access_token: SecretString::from("at-1"),
            // About to expire already.
            expires_in: Duration::from_secs(10),
            refresh_token: SecretString::from("rt_1"),
            refresh_expires_in: Duration::from_hours(1),
        },
    }
}

/// Answers every refresh, slowly, with the next tokens.
fn serve(refreshes: Arc<AtomicU32>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let refreshes = Arc::clone(&refreshes);
            std::thread::spawn(move || answer(stream.unwrap(), &refreshes));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, refreshes: &AtomicU32) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    assert!(first.starts_with("POST /v1/sessions/refresh "), "{first}");
    let number = refreshes.fetch_add(1, Ordering::SeqCst) + 2;
    std::thread::sleep(Duration::from_millis(300));
    let body = format!(
        r#"{{"session":{{"session_id":"s-1","access_token":"at-{number}","token_type":"DPoP","expires_in":300,"refresh_token":"rt_{number}","refresh_expires_in":3600}}}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn any_number_of_processes_make_one_refresh() {
    // This very test is also what the other processes run.
    if let Ok(told) = std::env::var(CHILD) {
        let (folder, account_center) = told.split_once('|').unwrap();
        return be_a_child(Path::new(folder), account_center);
    }
    let folder = tempfile::tempdir().unwrap();
    let refreshes = Arc::new(AtomicU32::new(0));
    let account_center = serve(Arc::clone(&refreshes));
    let runtime = runtime();
    runtime.block_on(async {
        postern(folder.path(), &account_center)
            .session()
            .establish(grant())
            .await
            .unwrap();
    });
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "any_number_of_processes_make_one_refresh",
                    "--nocapture",
                ])
                .env(
                    CHILD,
                    format!("{}|{account_center}", folder.path().display()),
                )
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && said.contains("the token is good"),
            "{said}"
        );
    }
    assert_eq!(refreshes.load(Ordering::SeqCst), 1);
}

/// Uses the session, as an app extension would beside its app.
#[allow(clippy::print_stdout)]
fn be_a_child(folder: &Path, account_center: &str) {
    let token = runtime().block_on(async {
        let url = format!("{account_center}/v1/account").parse().unwrap();
        let session = postern(folder, account_center).session();
        let headers = session.authorize("GET", &url).await.unwrap();
        headers.authorization().expose().to_owned()
    });
    assert_eq!(token, "DPoP at-2");
    println!("the token is good");
}
