//! The same requests twice, out of order or late leave the same as once, in order, in time.

use std::time::Duration;

use highwater_wire::receipt::Receipt;
use proptest::{
    prelude::{Just, Strategy, any},
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, batch, end, job, wait_for};

const BATCHES: i64 = 5;

/// A request of the job: a batch by its number, or its end.
type Request = i64;

fn send(app: &App, uuid: Uuid, stream: Uuid, request: Request) {
    let path = format!("/api/v1/jobs/{uuid}");
    let (answer, receipt) = if request == BATCHES {
        (
            app.put(&format!("{path}/end"), &end(stream, BATCHES)),
            Receipt::of_end(uuid),
        )
    } else {
        let path = format!("{path}/streams/{stream}/batches/{request}");
        (
            app.put(&path, &batch(request, &format!("test_{}.py", request / 2))),
            Receipt::of_batch(uuid, stream, request.unsigned_abs()),
        )
    };
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    assert_eq!(answer.json(), json!(receipt));
}

/// Everything that can be asked of a job, without what tells one job from another.
fn everything(app: &App, uuid: Uuid) -> Vec<Value> {
    app.settled(uuid, "finished");
    let kinds = [
        "",
        "/processes",
        "/files",
        "/tests",
        "/fixtures",
        "/series?points=5000",
    ];
    kinds
        .iter()
        .map(|kind| {
            let mut answer = app.get(&format!("/api/v1/jobs/{uuid}{kind}")).json();
            if let Some(job) = answer.as_object_mut() {
                for own in ["uuid", "revision", "run", "name"] {
                    job.remove(own);
                }
            }
            answer
        })
        .collect()
}

#[test]
fn order_repetition_and_lateness_do_not_matter() {
    let app = App::start();
    let begin = |name: &str| {
        let uuid = Uuid::now_v7();
        app.put_new(&format!("/api/v1/jobs/{uuid}"), &job(name));
        uuid
    };
    let (plain, stream) = (begin("plain"), Uuid::new_v4());
    for request in 0..=BATCHES {
        send(&app, plain, stream, request);
    }
    let expected = everything(&app, plain);
    assert_eq!(expected[3]["tests"].as_array().map(Vec::len), Some(5));
    let order = Just((0..=BATCHES).collect::<Vec<_>>()).prop_shuffle();
    let cases = (order, any::<[bool; 6]>(), any::<bool>());
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&cases, |(order, twice, pause)| {
        let (uuid, stream) = (begin("shuffled"), Uuid::new_v4());
        for (at, request) in order.iter().enumerate() {
            send(&app, uuid, stream, *request);
            if twice[at] {
                send(&app, uuid, stream, *request);
            }
            if pause {
                // Read in between: an unsettled job is answered from what is there.
                let status = app.get(&format!("/api/v1/jobs/{uuid}")).status;
                assert_eq!(status, 200);
            }
        }
        assert_eq!(everything(&app, uuid), expected);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_batch_that_comes_after_the_job_was_given_up_joins_it() {
    let app = App::with_silence(Duration::from_millis(300));
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("late"));
    for request in [0, 1, 3] {
        send(&app, uuid, stream, request);
    }
    let lost = app.settled(uuid, "lost");
    assert_eq!(lost["ending"]["verdict"], "runner_lost");
    send(&app, uuid, stream, BATCHES);
    let incomplete = app.settled(uuid, "incomplete");
    assert_eq!(incomplete["sessions"][0]["tests"], 3);
    for request in [2, 4] {
        send(&app, uuid, stream, request);
    }
    let whole = App::start();
    whole.put_new(&format!("/api/v1/jobs/{uuid}"), &job("late"));
    for request in 0..=BATCHES {
        send(&whole, uuid, stream, request);
    }
    assert_eq!(everything(&app, uuid), everything(&whole, uuid));
}

#[test]
fn a_silent_job_is_decided_by_the_room_it_had_and_again_when_the_rest_comes() {
    let app = App::with_silence(Duration::from_millis(300));
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("silent"));
    let mut first = batch(0, "test_it.py");
    let machine = json!({"tUsDelta": [900_000], "series": [
        {"metric": "METRIC_MACHINE_TOTAL", "first": 0, "valueDelta": [100_000_000]},
        {"metric": "METRIC_MACHINE_AVAILABLE", "first": 0, "valueDelta": [4_000_000]}]});
    first["samples"].as_array_mut().unwrap().push(machine);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &first);
    let lost = app.settled(uuid, "lost");
    assert_eq!(lost["ending"]["verdict"], "runner_lost_memory");
    assert_eq!(lost["ending"]["confidence"], "likely");
    assert_eq!(lost["censored"], true);
    let sentence = lost["ending"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("(96 %)"), "{sentence}");
    let mut rest = batch(1, "test_it.py");
    let told = json!({"tUs": 1_600_000, "rssBytes": 1, "sessionEnd": {"exitStatus": 0}});
    rest["marks"].as_array_mut().unwrap().push(told);
    app.put_new(&format!("{path}/streams/{stream}/batches/1"), &rest);
    app.put_new(&format!("{path}/end"), &end(stream, 2));
    let whole = wait_for("the job to be settled again", || {
        let job = app.get(&path).json();
        (job["revision"].as_u64() > lost["revision"].as_u64()).then_some(job)
    });
    assert_eq!(whole["state"], "finished");
    assert_eq!(whole["ending"]["verdict"], "passed", "{}", whole["ending"]);
    assert_eq!(whole["censored"], false);
}

#[test]
fn a_job_of_thousands_of_tests_is_answered_whole() {
    const BATCHES: i64 = 40;
    const TESTS: i64 = 125;
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("large"));
    for n in 0..BATCHES {
        let mut large = batch(n, "test_large.py");
        let marks = (0..TESTS).flat_map(|test| {
            let (at, rss) = (n * 1_000_000 + test * 4_000, 20_000_000);
            let nodeid = format!("test_large.py::test_{}", n * TESTS + test);
            let begin = json!({"execution": 1, "path": "test_large.py", "nodeid": nodeid});
            [
                json!({"tUs": at, "rssBytes": rss, "peakBytes": rss, "testBegin": begin}),
                json!({"tUs": at + 2_000, "rssBytes": rss, "peakBytes": rss, "testEnd": {"outcome": "passed"}}),
            ]
        });
        large["marks"] = marks.collect();
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &large);
    }
    app.put_new(&format!("{path}/end"), &end(stream, BATCHES));
    app.settled(uuid, "finished");
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}/tests?limit=1000{after}")).json();
        let rows = page["tests"].as_array().unwrap();
        found.extend(
            rows.iter()
                .map(|row| row["nodeid"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..BATCHES * TESTS)
        .map(|test| format!("test_large.py::test_{test}"))
        .collect();
    assert_eq!(found, expected);
    let html = app.get(&format!("/jobs/{uuid}")).text;
    assert!(
        html.contains("5000 executions in all") && html.len() < 400_000,
        "{}",
        html.len()
    );
}

#[test]
fn a_files_history_is_paged_to_its_end() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("history"));
    for request in 0..=BATCHES {
        send(&app, uuid, stream, request);
    }
    app.settled(uuid, "finished");
    let other = Uuid::now_v7();
    app.put_new(&format!("/api/v1/jobs/{other}"), &job("history"));
    for request in 0..=BATCHES {
        send(&app, other, stream, request);
    }
    app.settled(other, "finished");
    let path = "/api/v1/projects/owner~repo/files/test_0.py";
    let first = app.get(&format!("{path}?limit=1")).json();
    let next = first["next"].as_str().unwrap();
    let second = app.get(&format!("{path}?limit=1&after={next}")).json();
    let uuid_of = |page: &Value| page["history"][0]["job"].clone();
    assert_ne!(uuid_of(&first), uuid_of(&second));
    let next = second["next"].as_str().unwrap();
    let third = app.get(&format!("{path}?limit=1&after={next}")).json();
    assert_eq!(
        (third["history"].as_array().map(Vec::len), &third["next"]),
        (Some(0), &Value::Null)
    );
    let jobs = app
        .get("/api/v1/projects/owner~repo/jobs?verdict=interrupted")
        .json();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(2));
    wait_for("metrics", || {
        app.get("/metrics")
            .text
            .contains("highwater_finalised_total 2")
            .then_some(())
    });
}

/// Begins a job on a machine whose clock is so far ahead, µs; its document, and its line in the list of jobs.
fn begun_with_clock(app: &App, ahead_us: i64) -> (serde_json::Value, serde_json::Value) {
    let uuid = Uuid::now_v7();
    let clock = jiff::Timestamp::now().as_microsecond() + ahead_us;
    let mut begin = job("skewed");
    begin["startedUnixUs"] = json!(clock.to_string());
    let headers = [
        ("Content-Type", "application/json"),
        ("Highwater-Clock", &clock.to_string()),
    ];
    let path = format!("/api/v1/jobs/{uuid}");
    let answer = app.ask("PUT", &path, &headers, &begin.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text);
    let listed = app.get("/api/v1/projects/owner~repo/jobs").json();
    let mut lines = listed["jobs"].as_array().unwrap().iter();
    let line = lines.find(|line| line["uuid"] == uuid.to_string()).unwrap();
    (app.get(&path).json(), line.clone())
}

#[test]
fn times_are_shown_by_the_servers_clock_where_a_machines_is_wrong() {
    let app = App::start();
    let hour_us = 3_600_000_000;
    let minute = jiff::SignedDuration::from_mins(1);
    for ahead_us in [hour_us, -hour_us, 0] {
        let (job, line) = begun_with_clock(&app, ahead_us);
        let measured = job["clock_skew_us"].as_i64().unwrap();
        assert!((measured - ahead_us).abs() < 60_000_000, "{measured}");
        for told in [&job["started_at"], &line["started_at"]] {
            let told: jiff::Timestamp = told.as_str().unwrap().parse().unwrap();
            let off = told.duration_since(jiff::Timestamp::now()).abs();
            assert!(off < minute, "{ahead_us}: {told}");
        }
    }
    // A clock that cannot be is none.
    let path = format!("/api/v1/jobs/{}", Uuid::now_v7());
    let headers = [
        ("Content-Type", "application/json"),
        ("Highwater-Clock", "soon"),
    ];
    assert_eq!(
        app.ask("PUT", &path, &headers, &job("unit").to_string())
            .status,
        201
    );
    assert!(app.get(&path).json()["clock_skew_us"].is_null());
}
