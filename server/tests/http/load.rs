//! Many and slow clients, and a server that was away.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use highwater_server::config::Config;
use highwater_store::{Moment, Store};
use highwater_wire::v1;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{App, PATIENCE, batch, end, job, wait_for};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn whoever_looks_at_a_job_at_the_same_time_shares_the_work() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("live"));
    for n in 0..30 {
        let path = format!("{path}/streams/{stream}/batches/{n}");
        app.put_new(&path, &batch(n, "test_a.py"));
    }
    let pages = ["", "/files", "/tests", "/series", "/processes", "/fixtures"];
    std::thread::scope(|scope| {
        for page in pages.map(|page| format!("{path}{page}")) {
            let app = &app;
            scope.spawn(move || assert_eq!(app.get(&page).status, 200));
        }
        scope.spawn(|| assert_eq!(app.get(&format!("/jobs/{uuid}")).status, 200));
    });
    let metrics = app.get("/metrics").text;
    assert!(
        metrics.contains("\nhighwater_live_digests_total 1\n"),
        "{metrics}"
    );
    app.put_new(
        &format!("{path}/streams/{stream}/batches/30"),
        &batch(30, "test_a.py"),
    );
    let tests = app.get(&format!("{path}/tests")).json();
    assert_eq!(tests["tests"].as_array().map(Vec::len), Some(31));
    let span = app
        .get(&format!("{path}/series?from=2000000&to=2999999&points=7"))
        .json();
    let rss = &span["series"][0];
    assert_eq!(
        (&rss["metric"], &rss["t_us"][0]),
        (&"rss".into(), &2_000_000.into())
    );
    assert_eq!(rss["t_us"].as_array().map(Vec::len), Some(7));
}

#[test]
fn more_readers_than_the_store_has_connections_look_at_a_settled_job_at_once() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("settled"));
    app.put_new(
        &format!("{path}/streams/{stream}/batches/0"),
        &batch(0, "test_a.py"),
    );
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    let pages = [
        format!("/jobs/{uuid}"),
        format!("/jobs/{uuid}/plan"),
        format!("{path}/check"),
        format!("{path}/report?format=html"),
        format!("{path}/plan?budget=1GB"),
        format!("/p/owner~repo?job={uuid}"),
        "/p/owner~repo/files/test_a.py".to_owned(),
        format!("/compare?before={uuid}&after={uuid}"),
    ];
    for page in pages {
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let answer = app.get(&page);
                    assert!(
                        [200, 422].contains(&answer.status),
                        "{page}: {}",
                        answer.text
                    );
                });
            }
        });
    }
}

/// Sends part of a request, and waits until the server gives up on it.
fn half_a_request(app: &App, part: &str) -> String {
    let address = app.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(part.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_client_that_does_not_finish_its_request_is_let_go() {
    let app = App::with(
        Config {
            patience: Duration::from_millis(200),
            ..App::config(LONG)
        },
        |_| {},
    );
    let uuid = Uuid::now_v7();
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    assert!(!half_a_request(&app, head).contains(" 200 "));
    let body = format!(
        "PUT /api/v1/jobs/{uuid} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n{{"
    );
    let answer = half_a_request(&app, &body);
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("too_slow"),
        "{answer}"
    );
    assert_eq!(app.get("/healthz").status, 200);
}

#[test]
fn who_comes_when_there_is_no_room_is_told_to_come_again() {
    // Room for one body of the largest kind.
    let config = Config {
        intake_bytes: 0,
        ..App::config(LONG)
    };
    let app = App::with(config, |_| {});
    let path = format!("/api/v1/jobs/{}", Uuid::now_v7());
    let mut slow = TcpStream::connect(app.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4190000\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).unwrap();
    wait_for("the slow body to be let in", || {
        let figures = app.get("/metrics").text;
        (!figures.contains("highwater_intake_used_bytes 0\n")).then_some(())
    });
    let refused = app.put(&format!("/api/v1/jobs/{}", Uuid::now_v7()), &job("unit"));
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.json()["error"]["code"], "busy");
    assert_eq!(refused.header("retry-after"), "1");
    // Who looks is not held up.
    let figures = app.get("/metrics").text;
    assert!(
        figures.contains("highwater_refused_total{code=\"busy\"}"),
        "{figures}"
    );
    assert!(
        !figures.contains("highwater_intake_used_bytes 0\n"),
        "{figures}"
    );
    drop(slow);
    wait_for("room", || {
        (app.put(&path, &job("unit")).status == 201).then_some(())
    });
    assert!(
        app.get("/metrics")
            .text
            .contains("highwater_intake_used_bytes 0\n")
    );
}

#[test]
fn what_was_done_is_counted_by_route_and_by_what_was_wrong() {
    let app = App::start();
    let path = format!("/api/v1/jobs/{}", Uuid::now_v7());
    app.put_new(&path, &job("unit"));
    assert_eq!(app.put(&path, &job("other")).status, 409);
    assert_eq!(app.put_bytes(&path, "text/plain", "", b"x").status, 400);
    assert_eq!(app.get("/nowhere").status, 404);
    let answer = app.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"highwater_requests_total{method="PUT",route="/api/v1/jobs/{uuid}",status="201"} 1"#,
        r#"highwater_refused_total{code="conflict"} 1"#,
        r#"highwater_refused_total{code="bad_request"} 1"#,
        r#"highwater_refused_total{code="not_found"} 1"#,
        "highwater_jobs 1",
        "highwater_unsettled_jobs 1",
        "highwater_commit_failures_total 0",
        "highwater_queue 0",
        "# EOF",
    ] {
        assert!(
            answer.text.lines().any(|told| told == line),
            "{line}\n{}",
            answer.text
        );
    }
    let seconds = "highwater_request_duration_seconds_count{route=\"/api/v1/jobs/{uuid}\"} 3";
    assert!(answer.text.contains(seconds), "{}", answer.text);
}

#[test]
fn nobody_is_silent_while_the_server_does_not_listen() {
    let uuid = Uuid::now_v7();
    let yesterday = jiff::Timestamp::now().as_microsecond() - 86_400_000_000;
    let begin: v1::Job = serde_json::from_value(job("live")).unwrap();
    let app = App::with(App::config(LONG), |database| {
        Runtime::new().unwrap().block_on(async {
            let store = Store::open(database).await.unwrap();
            let at = Moment {
                started_unix_us: yesterday,
                heard_unix_us: yesterday,
                clock_skew_us: None,
            };
            store.put_job(uuid, begin, at).await.unwrap();
            store.close().await;
        });
    });
    let job = app.get(&format!("/api/v1/jobs/{uuid}")).json();
    assert_eq!(job["state"], "running");
}
