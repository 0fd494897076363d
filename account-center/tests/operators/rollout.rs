//! L12: staged release, over real HTTP.

use super::common::{APP, Device, Server};
use super::desk::Desk;
use serde_json::{Value, json};

const PLACE: &str = "/v1/admin/rollout/bank-android/alipay";
const EDGE: &str = "[server]\nregion_header = \"x-region\"\n";

/// Asks for a request at Alipay: what a login's start is asked too, without a provider behind it.
async fn ask(
    server: &Server,
    device: &Device,
    region: Option<&str>,
    client: Value,
) -> (u16, Value) {
    let body = json!({"app_id": APP, "provider": "alipay", "client": client}).to_string();
    let mut request = server
        .post(device, "/v1/provider-requests", body.as_bytes())
        .await;
    if let Some(region) = region {
        request = request.with("X-Region", region);
    }
    let reply = server.send(request).await;
    (reply.status, reply.json())
}

async fn start(server: &Server, device: &Device, provider: &str) -> Value {
    let body = json!({"app_id": APP, "start": {"provider": {"provider": provider, "code": super::common::random128()}}});
    let request = server
        .post(device, "/v1/login", body.to_string().as_bytes())
        .await;
    server.send(request).await.json()
}

/// Which buttons login-options shows.
async fn shown(server: &Server, query: &str, region: Option<&str>) -> (Vec<String>, String) {
    let mut request = super::common::Request {
        method: "GET",
        path: format!("/v1/apps/{APP}/login-options{query}"),
        headers: Vec::new(),
        body: Vec::new(),
    };
    if let Some(region) = region {
        request = request.with("X-Region", region);
    }
    let reply = server.send(request).await;
    let providers = reply.json()["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["provider"].as_str().unwrap().to_owned())
        .collect();
    (providers, reply.header("etag").to_owned())
}

async fn put(desk: &Desk<'_>, version: i64, rule: Value) {
    let reply = desk.send("PUT", PLACE, Some(version), Some(&rule)).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    assert_eq!(reply.json()["version"], version + 1);
}

#[tokio::test]
async fn l12_a_provider_that_is_taken_back_is_refused_at_once_and_the_others_go_on() {
    let server = Server::start().await;
    let (device, desk) = (Device::new(), Desk::open(&server, "operator").await);
    assert_eq!(ask(&server, &device, None, json!({})).await.0, 200);
    let (before, etag) = shown(&server, "", None).await;
    assert!(before.contains(&"alipay".to_owned()));

    put(&desk, 0, json!({"stage": "off"})).await;
    let (status, problem) = ask(&server, &device, None, json!({})).await;
    assert_eq!(
        (status, &problem["code"]),
        (403, &json!("not_offered_here"))
    );
    let offered = problem["offered"].as_array().unwrap();
    assert!(offered.contains(&json!("wechat")) && !offered.contains(&json!("alipay")));
    // Also at the login's start, before the provider is asked: a request that does not exist would be another problem.
    let body = json!({"app_id": APP, "start": {"provider": {"provider": "alipay", "code": "c", "request": "0".repeat(32)}}});
    let request = server
        .post(&device, "/v1/login", body.to_string().as_bytes())
        .await;
    assert_eq!(server.send(request).await.problem(), "not_offered_here");
    // And without asking the person.
    let body = json!({"app_id": APP, "start": {"silent": {"provider": "alipay", "code": "c", "request": "0".repeat(32)}}});
    let request = server
        .post(&device, "/v1/login", body.to_string().as_bytes())
        .await;
    assert_eq!(server.send(request).await.problem(), "not_offered_here");
    let (after, changed) = shown(&server, "", None).await;
    assert!(!after.contains(&"alipay".to_owned()));
    assert_ne!(etag, changed);
    assert_ne!(
        start(&server, &device, "wechat").await["code"],
        "not_offered_here"
    );

    put(&desk, 1, json!({"stage": "all"})).await;
    assert_eq!(ask(&server, &device, None, json!({})).await.0, 200);
    assert_eq!(shown(&server, "", None).await, (before, etag));
    // What was prepared is worth nothing while the provider is taken back, and no other app is touched.
    put(&desk, 2, json!({"stage": "off"})).await;
    let body = json!({"app_id": "bank-ios", "provider": "alipay"}).to_string();
    let request = server
        .post(&device, "/v1/provider-requests", body.as_bytes())
        .await;
    assert_eq!(server.send(request).await.status, 200);
}

#[tokio::test]
async fn l12_regions_go_by_the_banks_edge_and_the_clients_word_only_narrows() {
    let server = Server::start_with(EDGE).await;
    let (device, desk) = (Device::new(), Desk::open(&server, "operator").await);
    put(
        &desk,
        0,
        json!({"stage": "regions", "regions": ["CN-GD", "CN-HI"], "percentage": 100}),
    )
    .await;
    for (edge, client, status) in [
        (Some("CN-GD"), json!({}), 200),
        (Some("CN-GD"), json!({"region": "CN-HI"}), 200),
        (Some("CN-GD"), json!({"region": "CN-BJ"}), 403),
        (Some("CN-BJ"), json!({"region": "CN-GD"}), 403),
        (None, json!({"region": "CN-GD"}), 403),
    ] {
        assert_eq!(
            ask(&server, &device, edge, client.clone()).await.0,
            status,
            "{edge:?} {client}"
        );
    }
    let has = |shown: (Vec<String>, String)| shown.0.contains(&"alipay".to_owned());
    assert!(has(shown(&server, "", Some("CN-HI")).await));
    assert!(!has(shown(&server, "?region=CN-BJ", Some("CN-HI")).await));
    assert!(!has(shown(&server, "?region=CN-HI", None).await));
    // Not set up: whatever a client sends in that header says nothing.
    let plain = Server::start().await;
    let desk = Desk::open(&plain, "operator").await;
    put(&desk, 0, json!({"stage": "regions", "regions": ["CN-GD"]})).await;
    assert_eq!(ask(&plain, &device, Some("CN-GD"), json!({})).await.0, 403);
}

#[tokio::test]
async fn l12_a_trial_is_its_regions_its_groups_and_a_percentage() {
    let server = Server::start_with(EDGE).await;
    let desk = Desk::open(&server, "operator").await;
    let (listed, customers, stranger) = (Device::new(), Device::new(), Device::new());
    // A person in the group counts on the devices that they have had a session on.
    server.session(&customers).await;
    let group = "/v1/admin/trial-groups/pilot";
    let members = json!({"devices": [listed.thumbprint().as_str()], "users": ["u1"]});
    let made = desk.send("PUT", group, Some(0), Some(&members)).await;
    assert_eq!(made.status, 200);
    put(
        &desk,
        0,
        json!({"stage": "trial", "regions": ["CN-GD"], "groups": ["pilot", "nobody"]}),
    )
    .await;
    assert_eq!(ask(&server, &listed, None, json!({})).await.0, 200);
    assert_eq!(ask(&server, &customers, None, json!({})).await.0, 200);
    assert_eq!(ask(&server, &stranger, None, json!({})).await.0, 403);
    assert_eq!(
        ask(&server, &stranger, Some("CN-GD"), json!({})).await.0,
        200
    );
    let query = format!("?device_key={}", listed.thumbprint().as_str());
    assert!(
        shown(&server, &query, None)
            .await
            .0
            .contains(&"alipay".to_owned())
    );
    assert!(
        !shown(&server, "", None)
            .await
            .0
            .contains(&"alipay".to_owned())
    );
    // Out of the group, out at once.
    let emptied = desk.send("PUT", group, Some(1), Some(&json!({}))).await;
    assert_eq!(emptied.json()["version"], 2);
    assert_eq!(ask(&server, &listed, None, json!({})).await.0, 403);
    put(&desk, 1, json!({"stage": "trial", "percentage": 100})).await;
    assert_eq!(ask(&server, &stranger, None, json!({})).await.0, 200);
    put(&desk, 2, json!({"stage": "trial", "percentage": 0})).await;
    assert_eq!(ask(&server, &stranger, None, json!({})).await.0, 403);
}

#[tokio::test]
async fn l12_old_versions_of_the_app_are_not_offered_what_they_cannot_do() {
    let server = Server::start().await;
    let (device, desk) = (Device::new(), Desk::open(&server, "operator").await);
    put(
        &desk,
        0,
        json!({"stage": "all", "min_version": "8.9", "max_version": "9.0"}),
    )
    .await;
    for (version, status) in [
        ("8.8.9", 403),
        ("8.9", 200),
        ("8.12.3-beta", 200),
        ("9.0.1", 403),
        ("x", 403),
    ] {
        assert_eq!(
            ask(&server, &device, None, json!({"app_version": version}))
                .await
                .0,
            status,
            "{version}"
        );
    }
    assert_eq!(ask(&server, &device, None, json!({})).await.0, 403);
    assert!(
        shown(&server, "?app_version=8.10", None)
            .await
            .0
            .contains(&"alipay".to_owned())
    );
    assert!(
        !shown(&server, "?app_version=8.8", None)
            .await
            .0
            .contains(&"alipay".to_owned())
    );
}

#[tokio::test]
async fn l12_changes_are_versioned_audited_and_only_for_those_who_may() {
    let server = Server::start().await;
    let admin = Desk::open(&server, "admin").await;
    let viewer = Desk::open_as(&server, "viewer", "viewer").await;
    let rule = json!({"stage": "regions", "regions": ["CN-GD"]});
    assert_eq!(
        viewer
            .send("PUT", PLACE, Some(0), Some(&rule))
            .await
            .problem(),
        "forbidden"
    );
    put(&admin, 0, rule.clone()).await;
    assert_eq!(
        admin
            .send("PUT", PLACE, Some(0), Some(&rule))
            .await
            .problem(),
        "conflict"
    );
    assert_eq!(
        admin
            .send("PUT", PLACE, Some(7), Some(&rule))
            .await
            .problem(),
        "conflict"
    );
    put(&admin, 1, json!({"stage": "off"})).await;
    let entry = admin
        .get("/v1/admin/audit?target=bank-android/alipay&limit=1")
        .await
        .json();
    let entry = &entry["entries"][0];
    assert_eq!(entry["action"], "rollout.changed");
    assert_eq!(
        (&entry["before"]["stage"], &entry["after"]["stage"]),
        (&json!("regions"), &json!("off"))
    );
    let all = viewer.get("/v1/admin/rollout").await.json();
    let rules = all["rules"].as_array().unwrap();
    let of = |app: &str, provider: &str| {
        rules
            .iter()
            .find(|one| one["app_id"] == app && one["provider"] == provider)
            .unwrap()
    };
    assert_eq!(of("bank-android", "alipay")["version"], 2);
    assert_eq!(of("bank-ios", "alipay")["version"], 0);
    assert_eq!(of("bank-ios", "alipay")["rule"]["stage"], "all");

    for (path, rule, code) in [
        (
            "/v1/admin/rollout/bank-x/alipay",
            json!({"stage": "off"}),
            "app_unknown",
        ),
        (
            "/v1/admin/rollout/bank-ios/myspace",
            json!({"stage": "off"}),
            "not_found",
        ),
        (PLACE, json!({"stage": "some"}), "invalid_request"),
        (
            PLACE,
            json!({"stage": "trial", "percentage": 101}),
            "invalid_request",
        ),
        (
            PLACE,
            json!({"stage": "all", "min_version": "new"}),
            "invalid_request",
        ),
        (
            PLACE,
            json!({"stage": "all", "until": 5}),
            "invalid_request",
        ),
    ] {
        assert_eq!(
            admin
                .send("PUT", path, Some(0), Some(&rule))
                .await
                .problem(),
            code,
            "{path} {rule}"
        );
    }
    let racing = futures_util::future::join_all((0..8).map(|_| {
        let rule = json!({"stage": "all"});
        let admin = &admin;
        async move { admin.send("PUT", PLACE, Some(2), Some(&rule)).await.status }
    }))
    .await;
    assert_eq!(
        racing.iter().filter(|status| **status == 200).count(),
        1,
        "{racing:?}"
    );
}
