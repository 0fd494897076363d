//! Crashes, and lines that are slow, broken, gone or hostile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use tokio::sync::Notify;

use crate::world::{Receiver, World, eventually, first_times, line, lines, nothing, points};

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_dies_between_sending_and_marking_is_followed_by_one_that_sends_again() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let held = Arc::new(AtomicBool::new(true));
    let holding = held.clone();
    // Takes the first webhook, and answers it only when the sender is dead.
    let receiver = Receiver::answering(move |_| {
        let held = holding.clone();
        async move {
            while held.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            StatusCode::OK.into_response()
        }
    })
    .await;
    world.announce("u1", 2, "account.created", nothing()).await;
    world.announce("u1", 3, "binding.added", nothing()).await;
    let dying = world.dispatcher(points(&receiver.url)).await;
    receiver.has(1).await;
    dying.kill().await;
    held.store(false, Ordering::SeqCst);

    // Its leases still hold: nobody sends before they end.
    let next = world.dispatcher(points(&receiver.url)).await;
    world.announce("u2", 2, "account.created", nothing()).await;
    let came = receiver.has(2).await;
    assert_eq!(came[1].version(), ("u2".to_owned(), 2));
    world.pass(31);
    world.taken("points").await;
    let came = receiver.received();
    let of_u1: Vec<_> = came.iter().filter(|it| it.version().0 == "u1").collect();
    assert_eq!(of_u1.len(), 3);
    // The same message: id and body are those of the first time.
    assert_eq!(
        (&of_u1[0].id, &of_u1[0].body),
        (&of_u1[1].id, &of_u1[1].body)
    );
    assert_eq!(first_times(&came)["u1"], [2, 3]);
    next.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way_and_marks_it() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (beginning, going_on) = (began.clone(), go_on.clone());
    let receiver = Receiver::answering(move |_| {
        let (began, go_on) = (beginning.clone(), going_on.clone());
        async move {
            began.notify_one();
            go_on.notified().await;
            StatusCode::OK.into_response()
        }
    })
    .await;
    world.announce("u1", 2, "account.created", nothing()).await;
    world.announce("u1", 3, "binding.added", nothing()).await;
    let outbox = world.dispatcher(points(&receiver.url)).await;
    began.notified().await;
    let stopping = tokio::spawn(async move { outbox.stop(Duration::from_secs(30)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_finished());
    go_on.notify_one();
    stopping.await.unwrap();
    // The first is taken, the second is not begun, and its lease is given back: the next dispatcher has no need to wait.
    assert_eq!(world.backlog("points").await.waiting, 1);
    let next = world.dispatcher(points(&receiver.url)).await;
    go_on.notify_one();
    world.taken("points").await;
    let versions: Vec<_> = receiver
        .received()
        .iter()
        .map(|it| it.version().1)
        .collect();
    assert_eq!(versions, [2, 3]);
    next.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_hang_fail_redirect_or_answer_without_end_cost_the_others_nothing() {
    let world = World::new().await;
    let good = Receiver::start().await;
    let trap = Receiver::start().await;
    let led_to = trap.url.clone();
    let redirecting = Receiver::answering(move |_| {
        let led_to = led_to.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, led_to)]).into_response() }
    })
    .await;
    let failing = Receiver::answering(|_| async {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/html")],
            "<html>",
        )
            .into_response()
    })
    .await;
    let hanging = Receiver::answering(|_| std::future::pending()).await;
    let endless = Receiver::answering(|_| async {
        let page = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'<'; 1024]));
        Body::from_stream(page).into_response()
    })
    .await;
    let dripping = Receiver::answering(|_| async {
        let drops = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(vec![b'<']), ()))
        });
        Body::from_stream(drops).into_response()
    })
    .await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let names = [
        "good",
        "redirecting",
        "failing",
        "hanging",
        "endless",
        "dripping",
        "closed",
    ];
    world.register(&names).await;
    let mut impatient = line(&hanging.url);
    impatient.time_limit = Duration::from_millis(300);
    let outbox = world
        .dispatcher(lines([
            ("good", line(&good.url)),
            ("redirecting", line(&redirecting.url)),
            ("failing", line(&failing.url)),
            ("hanging", impatient),
            ("endless", line(&endless.url)),
            ("dripping", line(&dripping.url)),
            ("closed", line(&closed)),
        ]))
        .await;
    for n in 0..20 {
        world
            .announce(&format!("u{n}"), 2, "account.created", nothing())
            .await;
    }
    world.taken("good").await;
    // A 200 is a 200, whatever follows it.
    for (name, receiver) in [("endless", &endless), ("dripping", &dripping)] {
        world.taken(name).await;
        assert_eq!(
            (
                receiver.count(),
                outbox.gauges().lines[name].failed.load(Ordering::Relaxed)
            ),
            (20, 0)
        );
    }
    assert_eq!(good.count(), 20);
    for name in ["redirecting", "failing", "hanging", "closed"] {
        eventually(&format!("{name} has failed"), async || {
            outbox.gauges().lines[name].failed.load(Ordering::Relaxed) > 0
        })
        .await;
        assert_eq!(outbox.gauges().lines[name].taken.load(Ordering::Relaxed), 0);
    }
    assert_eq!(trap.count(), 0);
    outbox.stop(Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_name_is_of_this_machine_is_not_reached_unless_the_settings_say_so() {
    let world = World::new().await;
    world.register(&["points"]).await;
    let receiver = Receiver::start().await;
    let by_name = receiver.url.replace("127.0.0.1", "localhost");
    let mut settings = points(&by_name);
    settings.private_hosts.clear();
    let outbox = world.dispatcher(settings).await;
    world.announce("u1", 2, "account.created", nothing()).await;
    eventually("it failed", async || {
        outbox.gauges().lines["points"]
            .failed
            .load(Ordering::Relaxed)
            > 0
    })
    .await;
    assert_eq!(receiver.count(), 0);
    outbox.stop(Duration::from_secs(5)).await;

    world.pass(60);
    let mut settings = points(&by_name);
    settings.private_hosts = ["localhost".to_owned()].into();
    let allowed = world.dispatcher(settings).await;
    receiver.has(1).await;
    allowed.stop(Duration::from_secs(5)).await;
}
