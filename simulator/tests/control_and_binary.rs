//! People and the control endpoint; the program's start and stop.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::HashSet,
    fs,
    io::Read as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Bench, client, read};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_people_at_the_start_never_change() {
    let bench = Bench::start().await;
    let people = bench
        .get(format!("{}/people", bench.at().control))
        .await
        .json();
    let people = people["people"].as_array().unwrap();
    assert_eq!(people.len(), 5);
    assert_eq!(
        people[1],
        json!({
            "kind": "signed", "phone": "+8613800000002", "wechat_person": "chen", "union_id": true, "nickname": "陈建国",
            "customer_reference": "C1000000002", "login_password": "chen-Login-22", "card_number": "6222020000000000026", "withdrawal_password": "258012",
        })
    );
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for person in people {
        for name in [
            "phone",
            "wechat_person",
            "login_password",
            "card_number",
            "withdrawal_password",
            "customer_reference",
        ] {
            if let Some(value) = person.get(name) {
                assert!(
                    readme.contains(value.as_str().unwrap()),
                    "the README lacks {value}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_person_made_is_unique() {
    let bench = Bench::start().await;
    let mut seen = HashSet::new();
    for kind in ["unsigned", "signed", "ambiguous", "signed"] {
        let reply = bench
            .control(Method::POST, "/people", json!({ "kind": kind }))
            .await;
        assert_eq!(reply.status, 201);
        let person = reply.json();
        let phone = person["phone"].as_str().unwrap();
        assert!(phone.starts_with("+86138") && phone.len() == 14);
        for name in [
            "phone",
            "wechat_person",
            "login_password",
            "card_number",
            "customer_reference",
        ] {
            if let Some(value) = person.get(name) {
                assert!(seen.insert(value.to_string()), "{name} came twice");
            }
        }
        assert_eq!(person.get("customer_reference").is_some(), kind == "signed");
        assert_eq!(person.get("card_number").is_some(), kind != "unsigned");
        let body = json!({ "phone": phone });
        let found = bench
            .post(
                format!("{}/customers/lookup", bench.at().core),
                "simulator-core-key",
                body,
            )
            .await
            .json();
        let expected = ["unsigned", "signed", "ambiguous"]
            .iter()
            .position(|known| *known == kind)
            .unwrap();
        assert_eq!(found["customers"].as_array().unwrap().len(), expected);
    }
    assert_eq!(
        bench
            .get(format!("{}/people", bench.at().control))
            .await
            .json()["people"]
            .as_array()
            .unwrap()
            .len(),
        9
    );
}

#[tokio::test]
async fn w2_a_person_can_be_made_without_union_id() {
    let bench = Bench::start().await;
    let person = bench
        .control(
            Method::POST,
            "/people",
            json!({ "kind": "unsigned", "union_id": false }),
        )
        .await
        .json();
    let tokens = bench
        .tokens("snsapi_userinfo", person["wechat_person"].as_str().unwrap())
        .await;
    assert!(tokens.get("unionid").is_none());
}

#[tokio::test]
async fn bad_input_is_400_and_never_echoed() {
    let bench = Bench::start().await;
    for body in [
        "",
        "{",
        "[]",
        "{\"kind\":\"hunter2\"}",
        "{\"kind\":\"signed\",\"hunter2\":1}",
        "{\"kind\":\"signed\",\"wechat\":\"hunter2\"}",
    ] {
        let reply = read(
            bench
                .client
                .post(format!("{}/people", bench.at().control))
                .body(body),
        )
        .await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(!reply.text.contains("hunter2"));
    }
    let long = read(
        bench
            .client
            .post(format!("{}/people", bench.at().control))
            .body(vec![b' '; 70_000]),
    )
    .await;
    assert_eq!(long.status, 413);
    for target in [
        "ftp://127.0.0.1",
        "https://127.0.0.1",
        "127.0.0.1:80",
        "http://a:b@127.0.0.1",
        "http://127.0.0.1/?a=1",
        "http://elsewhere.example",
    ] {
        assert_eq!(
            bench
                .control(Method::PUT, "/target", json!({ "account_center": target }))
                .await
                .status,
            400,
            "{target}"
        );
    }
    assert_eq!(
        bench
            .get(format!("{}/nothing", bench.at().control))
            .await
            .status,
        404
    );
    assert_eq!(
        bench
            .control(Method::PATCH, "/people", json!({}))
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn stopping_lets_a_request_under_way_finish() {
    let bench = Bench::start().await;
    bench.fault(json!({ "party": "sms", "path": "/inbox", "fault": { "kind": "delay", "milliseconds": 400 } })).await;
    let request = bench.client.get(format!("{}/inbox/+861", bench.at().sms));
    let under_way = tokio::spawn(read(request));
    while bench.requests("sms").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.simulator.stop().await;
    assert_eq!(under_way.await.unwrap().status, 200);
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern-simulator"));
    Program(
        command
            .args(arguments)
            .env("RUST_LOG", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

fn wait(program: &mut Program) -> (bool, String) {
    let began = Instant::now();
    let status = loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            break status;
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it does not stop"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut log = String::new();
    program
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    (status.success(), log)
}

async fn ready(file: &std::path::Path) -> Value {
    let began = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            return serde_json::from_str(&text).expect("the ready file is whole when it appears");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no ready file");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_program_says_where_it_listens_stops_on_both_signals_and_logs_no_secret() {
    for signal in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready.json");
        let mut program = program(&["--any-port", "--ready-file", file.to_str().unwrap()]);
        let at = ready(&file).await;
        for party in [
            "control", "wechat", "sms", "core", "face", "weibo", "qq", "alipay", "gateway",
        ] {
            assert!(
                at[party].as_str().unwrap().starts_with("http://127.0.0.1:"),
                "{party}"
            );
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a temporary file was left"
        );

        let client = client();
        let post = |url: String, body: Value| {
            client
                .post(url)
                .bearer_auth("simulator-core-key")
                .body(body.to_string())
        };
        let (core, wechat, sms) = (
            at["core"].as_str().unwrap(),
            at["wechat"].as_str().unwrap(),
            at["sms"].as_str().unwrap(),
        );
        let checked = read(post(
            format!("{core}/customers/C1000000002/login-password"),
            json!({ "password": "chen-Login-22" }),
        ))
        .await;
        assert_eq!(checked.json()["result"], "ok");
        read(client.get(format!("{sms}/inbox/+8613800000002"))).await;
        read(client.get(format!(
            "{wechat}/sns/oauth2/access_token?secret=simulator-secret-of-app-1&code=hunter2"
        )))
        .await;
        read(client.get(format!(
            "{}/v1/x?code=hunter2",
            at["gateway"].as_str().unwrap()
        )))
        .await;

        let pid = program.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let (success, log) = wait(&mut program);
        assert!(success, "{log}");
        assert!(
            log.contains("stopping") && log.contains("answered"),
            "{log}"
        );
        for secret in [
            "chen-Login-22",
            "simulator-core-key",
            "simulator-secret",
            "hunter2",
            "13800000002",
            "C1000000002",
        ] {
            assert!(!log.contains(secret), "{secret} was logged");
        }
    }
}

#[test]
fn the_program_refuses_other_addresses_than_loopback_and_ports_beyond_the_last() {
    for (arguments, complaint) in [
        (&["--any-port", "--listen-host", "0.0.0.0"][..], "loopback"),
        (&["--port-base", "65530"], "too high"),
        (
            &["--any-port", "--port-base", "8610"],
            "cannot be used with",
        ),
        (
            &["--any-port", "--ready-file", "/nowhere/at/all/ready.json"],
            "ready file",
        ),
    ] {
        let (success, log) = wait(&mut program(arguments));
        assert!(!success && log.contains(complaint), "{arguments:?}: {log}");
    }
}

#[tokio::test]
async fn a_port_base_puts_each_party_at_its_place() {
    // Some base whose ports are free; another test may take one in between, hence the attempts.
    for base in (21_000_u16..60_000).step_by(1_777) {
        let config = postern_simulator::SimulatorConfig {
            port_base: Some(base),
            ..Default::default()
        };
        let Ok(simulator) = postern_simulator::Simulator::start(config).await else {
            continue;
        };
        let at = simulator.addresses();
        for (url, offset) in [
            (&at.control, 0),
            (&at.wechat, 1),
            (&at.sms, 2),
            (&at.core, 3),
            (&at.face, 4),
            (&at.oidc, 8),
            (&at.notices, 9),
            (&at.gateway, 10),
        ] {
            assert_eq!(*url, format!("http://127.0.0.1:{}", base + offset));
        }
        return;
    }
    panic!("no free ports");
}
