//! L11: events from clients, and what operators read of them.

use super::common::{APP, Device, Server};
use super::desk::Desk;
use postern_account_center::store::StoreError;
use postern_account_center::store::events::{self, FlowEventRow};
use serde_json::{Value, json};

/// The tests' clock begins on this day in China.
const TODAY: &str = "2027-01-15";
const NOW: i64 = 1_800_000_000;
const RANGE: &str = "from=2027-01-01&to=2027-01-31";

fn uuid(number: u32) -> String {
    format!("01890000-0000-7000-8000-{number:012}")
}

fn event(number: u32, attempt: u32, kind: &str) -> Value {
    json!({"id": uuid(number), "attempt": uuid(attempt), "kind": kind, "provider": "wechat", "at": NOW})
}

async fn send(server: &Server, device: &Device, events: &[Value]) -> super::common::Reply {
    let body =
        json!({"app_id": APP, "sent_at": NOW, "client": {"region": "CN-GD"}, "events": events});
    let request = server
        .post(device, "/v1/events", body.to_string().as_bytes())
        .await;
    server.send(request).await
}

async fn steps(desk: &Desk<'_>, query: &str) -> Vec<(String, i64)> {
    let reply = desk.get(&format!("/v1/admin/funnel?{query}")).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    reply.json()["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["step"].as_str().unwrap().to_owned(),
                one["attempts"].as_i64().unwrap(),
            )
        })
        .collect()
}

fn step(name: &str, attempts: i64) -> (String, i64) {
    (name.to_owned(), attempts)
}

#[tokio::test]
async fn l11_a_batch_is_counted_once_however_often_it_comes() {
    let server = Server::start().await;
    let (device, desk) = (Device::new(), Desk::open(&server, "viewer").await);
    let batch = [
        event(1, 100, "shown"),
        event(2, 100, "tapped"),
        event(3, 101, "shown"),
        // Twice in one attempt: one attempt that saw it.
        event(4, 101, "shown"),
        json!({"id": uuid(5), "attempt": uuid(101), "kind": "left_at_step", "step": "phone", "provider": "wechat", "at": NOW}),
        // The server knows this better.
        event(6, 100, "logged_in"),
    ];
    let first = send(&server, &device, &batch).await;
    assert_eq!(first.json(), json!({"taken": 5, "known": 1, "late": 0}));
    let again = send(&server, &device, &batch).await;
    assert_eq!(again.json(), json!({"taken": 0, "known": 6, "late": 0}));
    let wanted = vec![
        step("shown", 2),
        step("tapped", 1),
        step("left_at_phone", 1),
    ];
    assert_eq!(steps(&desk, RANGE).await, wanted);
    // Another device cannot speak of the same attempt, whatever it says.
    send(&server, &Device::new(), &[event(1, 100, "shown")]).await;
    assert_eq!(steps(&desk, RANGE).await[0], step("shown", 3));
    assert_eq!(
        steps(&desk, &format!("{RANGE}&region=CN-GD")).await[0],
        step("shown", 3)
    );
    assert_eq!(steps(&desk, &format!("{RANGE}&region=CN-BJ")).await, []);
    assert_eq!(steps(&desk, &format!("{RANGE}&provider=alipay")).await, []);
    assert_eq!(
        steps(&desk, &format!("from={TODAY}&to={TODAY}&app={APP}")).await[0],
        step("shown", 3)
    );
    assert_eq!(steps(&desk, "from=2027-01-16&to=2027-01-31").await, []);
}

#[tokio::test]
async fn l11_the_clients_and_the_servers_steps_meet_in_the_attempt() {
    let server = Server::start().await;
    let (device, desk) = (Device::new(), Desk::open(&server, "viewer").await);
    send(
        &server,
        &device,
        &[event(1, 100, "shown"), event(2, 100, "cancelled")],
    )
    .await;
    let keys = server.state.keys.clone();
    let device_key = device.thumbprint();
    server
        .state
        .store
        .write(move |tx| {
            let (keys, device_key) = (keys.clone(), device_key.clone());
            Box::pin(async move {
                let attempt = postern_account_center::store::funnel::AttemptRow {
                    login_ref: "login".to_owned(),
                    attempt: postern_account_center::funnel::attempt_name(
                        &keys,
                        device_key.as_str(),
                        &uuid(100),
                    ),
                    region: "CN-GD".to_owned(),
                    at: postern_account_center::context::Timestamp::from_seconds(NOW),
                };
                postern_account_center::store::funnel::insert_attempt(tx, &attempt).await?;
                for (id, kind) in [
                    ("a", "identified"),
                    ("b", "cancelled"),
                    ("c", "account_created"),
                ] {
                    let row = FlowEventRow {
                        event_id: id,
                        login_ref: "login",
                        app_id: APP,
                        provider: "wechat",
                        kind,
                        at: postern_account_center::context::Timestamp::from_seconds(NOW),
                    };
                    events::record(tx, &row).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let wanted = vec![
        step("shown", 1),
        step("identified", 1),
        step("account_created", 1),
        // Both told that it was cancelled: it is one attempt.
        step("cancelled", 1),
    ];
    assert_eq!(steps(&desk, RANGE).await, wanted);
    let won = desk
        .get(&format!("/v1/admin/new-customers?{RANGE}"))
        .await
        .json();
    assert_eq!(
        won["counts"],
        json!([{"provider": "wechat", "step": "account_created", "attempts": 1}])
    );
}

#[tokio::test]
async fn l11_a_wrong_clock_moves_nothing_and_old_events_are_not_counted() {
    let server = Server::start().await;
    let (device, desk) = (Device::new(), Desk::open(&server, "viewer").await);
    let at = |number: u32, at: i64| json!({"id": uuid(number), "attempt": uuid(number), "kind": "shown", "provider": "wechat", "at": at});
    // A phone whose clock is years behind; the second event was two days ago, the third is too old, the fourth from its future.
    let sent_at = 1_000_000_000;
    let events = [
        at(1, sent_at),
        at(2, sent_at - 2 * 86_400),
        at(3, sent_at - 4 * 86_400),
        at(4, sent_at + 500),
    ];
    let body = json!({"app_id": APP, "sent_at": sent_at, "events": events});
    let request = server
        .post(&device, "/v1/events", body.to_string().as_bytes())
        .await;
    let reply = server.send(request).await;
    assert_eq!(reply.json(), json!({"taken": 3, "known": 0, "late": 1}));
    assert_eq!(
        steps(&desk, &format!("from={TODAY}&to={TODAY}")).await,
        [step("shown", 2)]
    );
    assert_eq!(
        steps(&desk, "from=2027-01-13&to=2027-01-13").await,
        [step("shown", 1)]
    );
}

#[tokio::test]
async fn l11_events_hold_nothing_but_what_is_described() {
    let server = Server::start().await;
    let device = Device::new();
    let with = |name: &str, value: Value| {
        let mut event = event(1, 100, "shown");
        event[name] = value;
        event
    };
    for (event, pointer) in [
        (with("phone", json!("+8613800000000")), "/events/0/phone"),
        (
            with("kind", json!("phone +8613800000000")),
            "/events/0/kind",
        ),
        (
            with("id", json!("00000000-0000-4000-8000-000000000000")),
            "/events/0/id",
        ),
        (with("attempt", json!("138 0000 0000")), "/events/0/attempt"),
        (with("provider", json!("myspace")), "/events/0/provider"),
        (with("step", json!("phone")), "/events/0/step"),
        (with("at", json!("now")), "/events/0/at"),
    ] {
        let reply = send(&server, &device, std::slice::from_ref(&event)).await;
        assert_eq!(reply.problem(), "invalid_request", "{event}");
        assert_eq!(reply.json()["pointer"], pointer, "{event}");
    }
    let many: Vec<Value> = (0..101)
        .map(|number| event(number, number, "shown"))
        .collect();
    assert_eq!(
        send(&server, &device, &many).await.json()["pointer"],
        "/events"
    );
    assert_eq!(
        send(&server, &device, &many[1..]).await.json()["taken"],
        100
    );
    let body = json!({"app_id": "bank-x", "sent_at": NOW, "events": [event(1, 1, "shown")]});
    let request = server
        .post(&device, "/v1/events", body.to_string().as_bytes())
        .await;
    assert_eq!(server.send(request).await.problem(), "app_unknown");
}

#[tokio::test]
async fn l11_a_device_that_sends_without_end_is_limited() {
    let server = Server::start().await;
    let device = Device::new();
    for _ in 0..120 {
        assert_eq!(send(&server, &device, &[]).await.status, 200);
    }
    let refused = send(&server, &device, &[]).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (429, "rate_limited".to_owned())
    );
    assert_eq!(send(&server, &Device::new(), &[]).await.status, 200);
}

#[tokio::test]
async fn l11_whoever_logs_in_or_goes_on_with_a_session_is_active_that_day() {
    let server = Server::start().await;
    let desk = Desk::open(&server, "viewer").await;
    let (one, other) = (Device::new(), Device::new());
    let grant = server.session(&one).await;
    server.session(&other).await;
    let active = |query: &'static str| {
        let desk = &desk;
        async move {
            desk.get(&format!("/v1/admin/active-users?{query}"))
                .await
                .json()
        }
    };
    // One person on two devices.
    let today = active("from=2027-01-15&to=2027-01-15").await;
    assert_eq!(
        today,
        json!({"people": 1, "providers": [{"provider": "wechat", "people": 1}]})
    );
    server.pass(3 * 86_400);
    assert_eq!(active_people(&server, "2027-01-18").await, 0);
    let body = Server::refresh_body(&grant);
    let request = server.post(&one, super::common::REFRESH, &body).await;
    assert_eq!(server.send(request).await.status, 200);
    assert_eq!(active_people(&server, "2027-01-18").await, 1);
    let month = desk
        .again()
        .await
        .get(&format!("/v1/admin/active-users?{RANGE}"))
        .await
        .json();
    assert_eq!(month["people"], 1);
    for query in [
        "",
        "from=2027-01-02&to=2027-01-01",
        "from=2027-02-30&to=2027-03-01",
        "from=2000-01-01&to=2027-01-01",
        "from=2027-01-01&to=2027-01-02&x=1",
    ] {
        let refused = desk
            .again()
            .await
            .get(&format!("/v1/admin/active-users?{query}"))
            .await;
        assert_eq!(refused.problem(), "invalid_request", "{query}");
    }
}

async fn active_people(server: &Server, day: &str) -> i64 {
    let day = postern_account_center::funnel::parse_day(day).unwrap();
    let counts = server
        .state
        .store
        .read::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                postern_account_center::store::funnel::active(tx, day, day + 1, "").await
            })
        })
        .await
        .unwrap();
    counts.last().unwrap().1
}
