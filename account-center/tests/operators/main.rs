//! The admin API over real HTTP: who gets in, what they may do, and what the audit log says of it (contract/admin.md).
#![allow(clippy::unwrap_used, missing_docs, clippy::similar_names)]

#[path = "../common/mod.rs"]
mod common;
mod desk;
mod funnel;
mod rollout;

use common::Server;
use desk::{Desk, PASSWORD, code_of};
use postern_account_center::admin::audit::{self, Broken, Head};
use postern_account_center::store::StoreError;
use serde_json::{Value, json};

const WITH_SECOND_FACTOR: &str = "[admin]\nsecond_factor = \"required\"\n";

async fn audit_of(server: &Server) -> Vec<(String, String, String)> {
    let rows = server
        .state
        .store
        .read(|tx| {
            Box::pin(async move {
                postern_account_center::store::admin::entries_after(tx, 0, 1000).await
            })
        })
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    rows.into_iter()
        .map(|row| (row.actor, row.action, row.target))
        .collect()
}

async fn run_sql(server: &Server, sql: &'static str) {
    server
        .state
        .store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query(sql).execute(tx).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_operator_gets_in_with_password_and_second_factor_and_a_code_serves_once() {
    let server = Server::start_with(WITH_SECOND_FACTOR).await;
    let secret = desk::make(&server, "li.na", "operator").await;
    let set_up = desk::post(
        &server,
        "/v1/admin/set-up",
        &json!({"name": "li.na", "setup_secret": secret, "password": PASSWORD}),
    )
    .await;
    assert_eq!(set_up.status, 200);
    let totp = set_up.json()["totp_secret"].as_str().unwrap().to_owned();
    let uri = set_up.json()["totp_uri"].as_str().unwrap().to_owned();
    assert!(
        uri.starts_with("otpauth://totp/Postern:li.na?secret="),
        "{uri}"
    );

    let now = 1_800_000_000;
    let with = |code: &str| json!({"name": "li.na", "password": PASSWORD, "totp": code});
    let without = json!({"name": "li.na", "password": PASSWORD});
    let wrong = with("000000");
    for body in [&without, &wrong] {
        let reply = desk::post(&server, "/v1/admin/sessions", body).await;
        assert_eq!(
            (reply.status, reply.problem()),
            (401, "credentials_invalid".to_owned())
        );
    }
    let good = with(&code_of(&totp, now));
    let reply = desk::post(&server, "/v1/admin/sessions", &good).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["role"], "operator");
    assert_eq!(reply.json()["expires_in"], 8 * 3600);
    // RFC 6238 section 5.2: the same code again is refused, the next one is taken.
    let again = desk::post(&server, "/v1/admin/sessions", &good).await;
    assert_eq!(again.problem(), "credentials_invalid");
    server.pass(30);
    let next = desk::post(
        &server,
        "/v1/admin/sessions",
        &with(&code_of(&totp, now + 30)),
    )
    .await;
    assert_eq!(next.status, 200);
    // The set-up secret went with the first login.
    let late = desk::post(
        &server,
        "/v1/admin/set-up",
        &json!({"name": "li.na", "setup_secret": secret, "password": "another long password"}),
    )
    .await;
    assert_eq!(late.problem(), "credentials_invalid");
    let log = format!("{:?}", audit_of(&server).await);
    assert!(!log.contains(PASSWORD) && !log.contains(&secret) && !log.contains(&totp));
}

#[tokio::test]
async fn an_unknown_name_is_answered_as_a_wrong_password_and_attempts_are_limited() {
    let server = Server::start().await;
    let desk = Desk::open(&server, "admin").await;
    let try_in = |name: &'static str| {
        let server = &server;
        async move {
            let body = json!({"name": name, "password": "not the password"});
            desk::post(server, "/v1/admin/sessions", &body).await
        }
    };
    for name in [desk::NAME, "nobody.at.all"] {
        for attempt in 0..5 {
            let reply = try_in(name).await;
            assert_eq!(
                (reply.status, reply.problem()),
                (401, "credentials_invalid".to_owned()),
                "{name} {attempt}"
            );
        }
        let reply = try_in(name).await;
        assert_eq!(
            (reply.status, reply.problem()),
            (429, "rate_limited".to_owned())
        );
        assert_eq!(reply.json()["retry_after"], 900);
    }
    // The right password does not help now either, and a session that is open goes on.
    let right = json!({"name": desk::NAME, "password": PASSWORD});
    assert_eq!(
        desk::post(&server, "/v1/admin/sessions", &right)
            .await
            .problem(),
        "rate_limited"
    );
    assert_eq!(desk.get("/v1/admin/sessions").await.status, 200);
    server.pass(901);
    assert_eq!(
        desk::post(&server, "/v1/admin/sessions", &right)
            .await
            .status,
        200
    );
    // What a stranger typed as a name is not in the log.
    assert!(!format!("{:?}", audit_of(&server).await).contains("nobody.at.all"));
}

#[tokio::test]
async fn many_names_from_one_address_are_limited_too() {
    let server = Server::start().await;
    for attempt in 0..31 {
        let body = json!({"name": format!("name{attempt}"), "setup_secret": "x", "password": "a long enough one"});
        let reply = desk::post(&server, "/v1/admin/set-up", &body).await;
        let wanted = if attempt < 30 { 401 } else { 429 };
        assert_eq!(reply.status, wanted, "{attempt}");
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_after_eight_hours_and_when_ended() {
    let server = Server::start().await;
    let desk = Desk::open(&server, "viewer").await;
    for _ in 0..40 {
        server.pass(13 * 60);
        if server.state.context.now().seconds() - 1_800_000_000 >= 8 * 3600 {
            break;
        }
        assert_eq!(desk.get("/v1/admin/sessions").await.status, 200);
    }
    assert_eq!(
        desk.get("/v1/admin/sessions").await.problem(),
        "session_ended"
    );
    let desk = desk.again().await;
    server.pass(15 * 60);
    let idle = desk.get("/v1/admin/sessions").await;
    assert_eq!(idle.problem(), "session_ended");

    let (one, two) = (desk.again().await, desk.again().await);
    let listed = one.get("/v1/admin/sessions").await.json();
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    let current = listed.iter().filter(|session| session["current"] == true);
    assert_eq!(current.count(), 1);
    assert_eq!(
        two.send("DELETE", "/v1/admin/sessions/current", None, None)
            .await
            .status,
        204
    );
    assert_eq!(
        two.get("/v1/admin/sessions").await.problem(),
        "session_ended"
    );
    assert_eq!(one.get("/v1/admin/sessions").await.status, 200);
    let stranger = Desk::with_token(&server, "pa_nothing");
    assert_eq!(
        stranger.get("/v1/admin/sessions").await.problem(),
        "invalid_token"
    );
    assert_eq!(
        stranger
            .get("/v1/admin/sessions")
            .await
            .header("www-authenticate"),
        "Bearer error=\"invalid_token\""
    );
}

#[tokio::test]
async fn a_role_counts_as_it_is_now_and_whoever_is_shut_out_is_out_at_once() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    let other = Desk::open_as(&server, "wang.wei", "viewer").await;
    assert_eq!(
        other.get("/v1/admin/operators").await.problem(),
        "forbidden"
    );
    assert_eq!(other.get("/v1/admin/audit").await.problem(), "forbidden");

    let place = "/v1/admin/operators/wang.wei";
    let version = admin.version_of("wang.wei").await;
    let promote = json!({"role": "admin"});
    let stale = admin
        .send("PUT", place, Some(version - 1), Some(&promote))
        .await;
    assert_eq!(
        (stale.status, stale.problem()),
        (409, "conflict".to_owned())
    );
    let unversioned = admin.send("PUT", place, None, Some(&promote)).await;
    assert_eq!(unversioned.problem(), "invalid_request");
    let done = admin
        .send("PUT", place, Some(version), Some(&promote))
        .await;
    assert_eq!(done.status, 200);
    assert_eq!(other.get("/v1/admin/audit").await.status, 200);

    let out = json!({"role": "admin", "disabled": true});
    let done = admin
        .send("PUT", place, Some(version + 1), Some(&out))
        .await;
    assert_eq!(done.json()["disabled"], true);
    assert_eq!(
        other.get("/v1/admin/audit").await.problem(),
        "session_ended"
    );
    assert_eq!(other.sign_in().await.problem(), "credentials_invalid");

    // The last admin can neither be shut out nor lose the role.
    let me = format!("/v1/admin/operators/{}", desk::NAME);
    let version = admin.version_of(desk::NAME).await;
    for body in [
        json!({"role": "viewer"}),
        json!({"role": "admin", "disabled": true}),
    ] {
        let refused = admin.send("PUT", &me, Some(version), Some(&body)).await;
        assert_eq!(refused.problem(), "conflict");
    }
    assert_eq!(admin.get("/v1/admin/operators").await.status, 200);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_a_reset_all_of_them() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    let (one, other) = {
        let one = Desk::open_as(&server, "zhao.min", "viewer").await;
        let other = one.again().await;
        (one, other)
    };
    let change = |old: &str, new: &str| json!({"password": old, "new_password": new});
    let path = "/v1/admin/password";
    let wrong = one
        .send(
            "PUT",
            path,
            None,
            Some(&change("not this one", "a new long password")),
        )
        .await;
    assert_eq!(wrong.problem(), "credentials_invalid");
    for weak in ["short", "zhao.min zhao.min", &"x".repeat(300)] {
        let refused = one
            .send("PUT", path, None, Some(&change(PASSWORD, weak)))
            .await;
        assert_eq!(refused.problem(), "password_unacceptable", "{weak}");
    }
    let done = one
        .send(
            "PUT",
            path,
            None,
            Some(&change(PASSWORD, "a new long password")),
        )
        .await;
    assert_eq!(done.status, 204);
    assert_eq!(one.get("/v1/admin/sessions").await.status, 200);
    assert_eq!(
        other.get("/v1/admin/sessions").await.problem(),
        "session_ended"
    );

    let version = admin.version_of("zhao.min").await;
    let reset = admin
        .send(
            "POST",
            "/v1/admin/operators/zhao.min/reset",
            Some(version),
            Some(&json!({})),
        )
        .await;
    assert_eq!(reset.status, 200);
    assert!(reset.json()["setup_secret"].as_str().unwrap().len() == 22);
    assert_eq!(
        one.get("/v1/admin/sessions").await.problem(),
        "session_ended"
    );
    let old = json!({"name": "zhao.min", "password": "a new long password"});
    assert_eq!(
        desk::post(&server, "/v1/admin/sessions", &old)
            .await
            .problem(),
        "credentials_invalid"
    );
}

#[tokio::test]
async fn a_set_up_secret_ends_after_a_day_and_belongs_to_its_name() {
    let server = Server::start().await;
    let first = desk::make(&server, "first", "viewer").await;
    desk::make(&server, "second", "viewer").await;
    let set_up = |name: &str, secret: &str| json!({"name": name, "setup_secret": secret, "password": PASSWORD});
    let path = "/v1/admin/set-up";
    assert_eq!(
        desk::post(&server, path, &set_up("second", &first))
            .await
            .problem(),
        "credentials_invalid"
    );
    server.pass(24 * 3600);
    assert_eq!(
        desk::post(&server, path, &set_up("first", &first))
            .await
            .problem(),
        "credentials_invalid"
    );
}

#[tokio::test]
async fn the_admin_api_is_on_its_own_listener_and_nothing_else_is() {
    let server = Server::start().await;
    assert_ne!(server.admin, server.base);
    let request = |path: &str| common::Request {
        method: "GET",
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for path in [
        "/v1/admin/operators",
        "/v1/admin/sessions",
        "/v1/admin/audit",
    ] {
        assert_eq!(server.get(path).await.problem(), "not_found", "{path}");
        let there = server.send_to(&server.admin, request(path)).await;
        assert_eq!(there.problem(), "invalid_token", "{path}");
        assert_eq!(there.header("dpop-nonce"), "");
    }
    for path in [
        "/v1/apps/bank-android/login-options",
        "/.well-known/jwks.json",
    ] {
        let there = server.send_to(&server.admin, request(path)).await;
        assert_eq!(there.problem(), "not_found", "{path}");
    }
    let off = Server::start_with("[admin]\nlisten = \"off\"\n").await;
    assert_eq!(off.admin, "");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_who_when_what_and_the_request() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    let made = admin
        .send(
            "POST",
            "/v1/admin/operators",
            None,
            Some(&json!({"name": "chen", "role": "viewer"})),
        )
        .await;
    let version = made.json()["operator"]["version"].as_i64().unwrap();
    let request_id = made.header("x-request-id").to_owned();
    admin
        .send(
            "PUT",
            "/v1/admin/operators/chen",
            Some(version),
            Some(&json!({"role": "appeals"})),
        )
        .await;
    let page = admin
        .get("/v1/admin/audit?target=chen&limit=1")
        .await
        .json();
    let changed = &page["entries"][0];
    assert_eq!(
        (&changed["actor"], &changed["action"], &changed["target"]),
        (
            &json!(desk::NAME),
            &json!("operator.changed"),
            &json!("chen")
        )
    );
    assert_eq!(changed["before"]["role"], "viewer");
    assert_eq!(changed["after"]["role"], "appeals");
    let cursor = page["cursor"].as_str().unwrap();
    let older = admin
        .get(&format!(
            "/v1/admin/audit?target=chen&limit=1&cursor={cursor}"
        ))
        .await
        .json();
    assert_eq!(older["entries"][0]["action"], "operator.created");
    assert_eq!(older["entries"][0]["before"], Value::Null);
    assert_eq!(older["entries"][0]["request_id"], json!(request_id));
    let bad = admin.get("/v1/admin/audit?cursor=x").await;
    assert_eq!(bad.problem(), "cursor_invalid");
    assert_eq!(
        admin.get("/v1/admin/audit?limit=0").await.problem(),
        "invalid_request"
    );
    // A change that is refused leaves no entry.
    let before = audit_of(&server).await.len();
    let taken = admin
        .send(
            "POST",
            "/v1/admin/operators",
            None,
            Some(&json!({"name": "chen", "role": "viewer"})),
        )
        .await;
    assert_eq!(taken.problem(), "conflict");
    assert_eq!(audit_of(&server).await.len(), before);
}

#[tokio::test]
async fn an_audit_log_that_was_tampered_with_is_not_whole() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    for index in 0..5 {
        let body = json!({"name": format!("operator{index}"), "role": "viewer"});
        admin
            .send("POST", "/v1/admin/operators", None, Some(&body))
            .await;
    }
    let (store, keys) = (&server.state.store, &server.state.keys);
    let head = audit::verify(store, keys, None).await.unwrap();
    assert_eq!(
        head.seq,
        i64::try_from(audit_of(&server).await.len()).unwrap()
    );
    // Later entries do not change that the noted one is there.
    admin.get("/v1/admin/accounts/nobody").await;
    assert!(audit::verify(store, keys, Some(&head)).await.unwrap().seq > head.seq);
    // Another server secret: a chain that somebody made anew.
    let others = postern_account_center::keys::Keys::derive(&[9; 32]);
    assert!(matches!(
        audit::verify(store, &others, None).await,
        Err(Broken::Entry(1))
    ));

    run_sql(
        &server,
        "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)",
    )
    .await;
    assert_eq!(audit::verify(store, keys, Some(&head)).await.unwrap(), head);
    run_sql(
        &server,
        "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)",
    )
    .await;
    assert!(audit::verify(store, keys, None).await.is_ok());
    assert!(matches!(
        audit::verify(store, keys, Some(&head)).await,
        Err(Broken::Head(seq)) if seq == head.seq
    ));
    let other = Head {
        hash: "x".to_owned(),
        seq: 2,
    };
    assert!(matches!(
        audit::verify(store, keys, Some(&other)).await,
        Err(Broken::Head(2))
    ));
    run_sql(
        &server,
        "UPDATE audit_log SET actor = 'somebody' WHERE seq = 3",
    )
    .await;
    assert!(matches!(
        audit::verify(store, keys, None).await,
        Err(Broken::Entry(3))
    ));
    run_sql(&server, "DELETE FROM audit_log WHERE seq = 2").await;
    assert!(matches!(
        audit::verify(store, keys, None).await,
        Err(Broken::Entry(3))
    ));
}

#[tokio::test]
async fn concurrent_changes_keep_one_chain() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    let bodies: Vec<Value> = (0..20)
        .map(|index| json!({"name": format!("operator{index}"), "role": "viewer"}))
        .collect();
    let sent = bodies
        .iter()
        .map(|body| admin.send("POST", "/v1/admin/operators", None, Some(body)));
    let replies = futures_util::future::join_all(sent).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    audit::verify(&server.state.store, &server.state.keys, None)
        .await
        .unwrap();
    let made = audit_of(&server)
        .await
        .into_iter()
        .filter(|(_, action, _)| action == "operator.created")
        .count();
    assert_eq!(made, 21);
}

#[tokio::test]
async fn an_account_is_shown_masked_and_each_look_is_audited() {
    let server = Server::start().await;
    let keys = server.state.keys.clone();
    let phone = "+8613800000077";
    let number = postern_account_center::phone_number::PhoneNumber::parse(phone).unwrap();
    let index = postern_account_center::identity::phone_index(&keys, &number);
    let sealed = keys.seal(
        postern_account_center::keys::Purpose::PhoneNumber,
        b"u7",
        phone.as_bytes(),
        server.state.context.randomness(),
    );
    server
        .state
        .store
        .write(move |tx| {
            let (index, sealed) = (index.clone(), sealed.clone());
            Box::pin(async move {
                sqlx::query("INSERT INTO accounts (user_id, kind, nickname, avatar_url, created_at, version) VALUES ('u7', 'real', '王小明', 'https://x/y', 0, 1)")
                    .execute(&mut *tx).await?;
                sqlx::query("INSERT INTO phones (blind_index, user_id, sealed_number, bound_at) VALUES ($1, 'u7', $2, 0)")
                    .bind(index).bind(sealed).execute(tx).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let operator = Desk::open(&server, "operator").await;
    let found = operator
        .send(
            "POST",
            "/v1/admin/account-lookups",
            None,
            Some(&json!({"phone": phone})),
        )
        .await;
    assert_eq!(found.status, 200);
    let account = &found.json()["account"];
    assert_eq!(account["user_id"], "u7");
    assert_eq!(account["phone_masked"], "138****0077");
    assert_eq!(account["nickname"], "王**");
    assert_eq!(account["avatar_url"], Value::Null);
    assert_eq!(operator.get("/v1/admin/accounts/u7").await.status, 200);
    assert_eq!(
        operator.get("/v1/admin/accounts/u8").await.problem(),
        "not_found"
    );
    let wrong = operator
        .send(
            "POST",
            "/v1/admin/account-lookups",
            None,
            Some(&json!({"phone": "138"})),
        )
        .await;
    assert_eq!(wrong.json()["pointer"], "/phone");
    let looks: Vec<_> = audit_of(&server)
        .await
        .into_iter()
        .filter(|(_, action, _)| action == "account.looked_at")
        .map(|(actor, _, target)| (actor, target))
        .collect();
    let look = |target: &str| (desk::NAME.to_owned(), target.to_owned());
    assert_eq!(looks, [look("u7"), look("u7"), look("(none)")]);
    for _ in 3..60 {
        operator.get("/v1/admin/accounts/u8").await;
    }
    assert_eq!(
        operator.get("/v1/admin/accounts/u7").await.problem(),
        "rate_limited"
    );

    let viewer = Desk::open_as(&server, "viewer", "viewer").await;
    assert_eq!(
        viewer.get("/v1/admin/accounts/u7").await.problem(),
        "forbidden"
    );
}

#[tokio::test]
async fn the_command_line_makes_the_first_operator_beside_a_running_server() {
    let server = Server::start().await;
    // The command line has the machine's clock.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    server.pass(i64::try_from(now.unwrap().as_secs()).unwrap() - 1_800_000_000);
    let folder = server.database.folder.path();
    let (data, settings) = (folder.join("data"), folder.join("settings.toml"));
    let database = format!(
        "mode = \"development\"\n[database]\nurl = \"{}\"\n",
        server.database.url()
    );
    std::fs::write(&settings, database).unwrap();
    let run = |arguments: &[&str]| {
        let mut line = vec!["postern-account-center"];
        line.extend(arguments);
        line.extend(["--data-dir", data.to_str().unwrap()]);
        line.extend(["--config", settings.to_str().unwrap()]);
        let cli = <postern_account_center::cli::Cli as clap::Parser>::try_parse_from(line).unwrap();
        async move {
            let mut output = Vec::new();
            let code = postern_account_center::cli::run(cli, &mut output).await;
            (
                code == std::process::ExitCode::SUCCESS,
                String::from_utf8(output).unwrap(),
            )
        }
    };
    let (good, secret) = run(&["admin", "create", "root.admin"]).await;
    assert!(good);
    let body = json!({"name": "root.admin", "setup_secret": secret.trim(), "password": PASSWORD});
    assert_eq!(
        desk::post(&server, "/v1/admin/set-up", &body).await.status,
        200
    );
    let (again, _) = run(&["admin", "create", "root.admin"]).await;
    assert!(!again);
    let (_, list) = run(&["admin", "list"]).await;
    assert_eq!(list, "root.admin  admin  set up\n");
    let (last, _) = run(&["admin", "disable", "root.admin"]).await;
    assert!(!last, "the last admin stays one");
    let (whole, head) = run(&["audit", "verify"]).await;
    assert!(whole && head.starts_with("2:"), "{head}");
    let (known, _) = run(&["audit", "verify", "--expect", head.trim()]).await;
    let (unknown, _) = run(&["audit", "verify", "--expect", "9:x"]).await;
    assert!(known && !unknown);
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_their_place() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    for (body, pointer) in [
        (json!({"name": "A B", "role": "viewer"}), "/name"),
        (json!({"name": "ab", "role": "root"}), "/role"),
        (json!({"name": "ab", "role": "viewer", "x": 1}), "/x"),
        (json!({"name": 5, "role": "viewer"}), "/name"),
        (json!([]), ""),
    ] {
        let reply = admin
            .send("POST", "/v1/admin/operators", None, Some(&body))
            .await;
        assert_eq!(reply.problem(), "invalid_request", "{body}");
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
    let plain = common::Request {
        method: "POST",
        path: "/v1/admin/sessions".to_owned(),
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        body: b"{}".to_vec(),
    };
    let reply = server.send_to(&server.admin, plain).await;
    assert_eq!(reply.problem(), "unsupported_media_type");
    let huge = json!({"name": "x".repeat(70_000), "password": "x"});
    assert_eq!(
        desk::post(&server, "/v1/admin/sessions", &huge)
            .await
            .problem(),
        "body_too_large"
    );
}
