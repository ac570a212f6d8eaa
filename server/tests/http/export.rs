//! A job as a file for other programs: jobs that are long, and jobs that change.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use highwater_store::{Expiry, RetentionKind, Store};
use highwater_wire::v1::{self, Metric};
use prost::Message;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{App, PATIENCE, batch, end, job, wait_for};

const TICKS: i64 = 300_000;

/// A second of nothing but samples, one each millisecond, with a hole in the middle.
fn long_batch() -> v1::Batch {
    let series = |from: i64, to: i64| v1::Series {
        metric: Metric::Rss.into(),
        process: Some(0),
        first: u32::try_from(from).unwrap(),
        value_delta: (from..to)
            .map(|at| if at == from { 1_000 + at } else { 1 })
            .collect(),
        ..v1::Series::default()
    };
    let holder = |metric: Metric| v1::Series {
        metric: metric.into(),
        process: Some(0),
        value_delta: (0..TICKS).map(|_| 0).collect(),
        ..v1::Series::default()
    };
    v1::Batch {
        version: 1,
        to_us: TICKS * 1_000,
        processes: vec![v1::Process {
            pid: 7,
            start_ticks: 1,
            ..v1::Process::default()
        }],
        samples: vec![v1::Samples {
            t_us_delta: (0..TICKS).map(|at| i64::from(at > 0) * 1_000).collect(),
            series: vec![
                series(10, 100_000),
                series(200_001, TICKS),
                holder(Metric::Anon),
            ],
            ..v1::Samples::default()
        }],
        ..v1::Batch::default()
    }
}

fn record_long(app: &App) -> (Uuid, Uuid, String) {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("long"));
    let body = long_batch().encode_to_vec();
    let of_batch = format!("{path}/streams/{stream}/batches/0");
    let answer = app.put_bytes(&of_batch, "application/x-protobuf", "", &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    (uuid, stream, path)
}

#[test]
fn every_sample_of_a_long_job_is_there_at_its_time() {
    let app = App::start();
    let (_, _, path) = record_long(&app);
    let csv = app.get(&format!("{path}/export?format=csv&what=series"));
    assert_eq!(csv.status, 200);
    let mut lines = csv.text.lines();
    assert_eq!(
        lines.next(),
        Some("t_us,series,metric,unit,process,pid,worker,cgroup,value")
    );
    let rss: Vec<(i64, i64)> = lines
        .filter(|line| line.contains(",rss,bytes,1,7,,,"))
        .map(|line| {
            let number = |field: Option<&str>| field.unwrap().parse().unwrap();
            (
                number(line.split(',').next()),
                number(line.rsplit(',').next()),
            )
        })
        .collect();
    let expected: Vec<(i64, i64)> = (10..100_000)
        .chain(200_001..TICKS)
        .map(|at| (at * 1_000, 1_000 + at))
        .collect();
    assert_eq!(rss.len(), expected.len());
    assert!(rss == expected);
}

#[test]
fn a_job_that_runs_is_exported_once_it_is_settled() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("unit"));
    app.put_new(
        &format!("{path}/streams/{stream}/batches/0"),
        &batch(0, "test_a.py"),
    );
    let export = format!("{path}/export?format=json");
    let refused = app.get(&export);
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["error"]["code"], "unsettled");
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    let answer = app.get(&export);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{uuid}.json\"")
    );
    assert_eq!(answer.json()["report"]["revision"], 1);
}

/// Begins to read an export, lets something happen, and reads the rest; whether it came whole.
fn read_with(app: &App, path: &str, between: impl FnOnce()) -> bool {
    let address = app.url.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = format!(
        "GET {path}/export?format=csv HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(ask.as_bytes()).unwrap();
    let mut first = [0; 15];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    between();
    let mut rest = Vec::new();
    // A connection that is reset has broken off as well.
    let _ = client.read_to_end(&mut rest);
    rest.ends_with(b"\r\n0\r\n\r\n")
}

/// A client that takes its time meets a job that is finalised again: what it holds by then must not look like the whole.
#[test]
fn an_export_of_what_changes_meanwhile_breaks_off() {
    let app = App::start();
    let (uuid, stream, path) = record_long(&app);
    assert!(
        read_with(&app, &path, || {}),
        "one that nothing changes comes whole"
    );
    let is_whole = read_with(&app, &path, || {
        app.put_new(
            &format!("{path}/streams/{stream}/batches/1"),
            &batch(1, "test_a.py"),
        );
        wait_for("the job to be settled again", || {
            let job = app.get(&format!("/api/v1/jobs/{uuid}")).json();
            (job["revision"] == 2).then_some(())
        });
    });
    assert!(!is_whole);
}

/// What is left of a job whose samples went meanwhile must not look like the whole either.
#[test]
fn an_export_that_retention_takes_from_breaks_off() {
    let app = App::start();
    let (_, _, path) = record_long(&app);
    let remove = async {
        let store = Store::open(&app.database).await.unwrap();
        let project = store.project("owner/repo").await.unwrap().unwrap().id;
        let expiry = Expiry {
            project,
            kind: RetentionKind::Pages,
            heard_unix_us: i64::MAX,
        };
        store.expire(expiry, 1).await.unwrap();
        while store.sweep().await.unwrap() {}
        store.close().await;
    };
    let is_whole = read_with(&app, &path, || {
        Runtime::new().unwrap().block_on(remove);
    });
    assert!(!is_whole);
    let gone = app.get(&format!("{path}/export?format=csv"));
    assert_eq!(gone.status, 410, "{}", gone.text);
}
