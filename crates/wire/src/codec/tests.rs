use proptest::prelude::*;

use super::*;
use crate::v1::{Environment, Mark, Metric, Process, Run, Samples, Series, Session, StreamCount};

fn job() -> Job {
    Job {
        version: VERSION,
        project: "owner/repo".to_owned(),
        run: Some(Run {
            provider: "local".to_owned(),
            id: "1".to_owned(),
            ..Run::default()
        }),
        name: "unit".to_owned(),
        attempt: 1,
        interval_us: 50_000,
        ..Job::default()
    }
}

fn batch() -> Batch {
    Batch {
        version: VERSION,
        to_us: 1_000_000,
        processes: vec![Process {
            pid: 7,
            ..Process::default()
        }],
        samples: vec![Samples {
            t_us_delta: vec![0, 50_000],
            lateness_us: vec![3, 4],
            series: vec![Series {
                metric: Metric::Rss.into(),
                process: Some(0),
                value_delta: vec![4096, -4096],
                ..Series::default()
            }],
        }],
        ..Batch::default()
    }
}

#[test]
fn a_message_is_the_same_after_protobuf_and_after_json() {
    let batch = batch();
    let through_protobuf: Batch = decode(&encode(&batch).unwrap()).unwrap();
    let through_json: Batch = decode_json(&serde_json::to_vec(&batch).unwrap()).unwrap();
    assert_eq!(through_protobuf, batch);
    assert_eq!(through_json, batch);
}

#[test]
fn json_by_hand_may_use_plain_numbers_and_unknown_fields() {
    let json = br#"{"version":1,"project":"o/r","run":{"provider":"local","id":"1"},"name":"unit","attempt":1,
        "intervalUs":50000,"startedUnixUs":1700000000000000,"somethingNewer":[1,2]}"#;
    let job: Job = decode_json(json).unwrap();
    assert_eq!(job.started_unix_us, 1_700_000_000_000_000);
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_memory() {
    let bomb = zstd::bulk::compress(&vec![0_u8; MAX_BATCH_BYTES + 1], 19).unwrap();
    assert!(bomb.len() < 10_000);
    assert!(matches!(
        decode::<Batch>(&bomb),
        Err(Problem::TooLarge { .. })
    ));
}

#[test]
fn an_unknown_version_is_refused_by_its_number() {
    let problem = Batch {
        version: 9,
        ..batch()
    }
    .check()
    .unwrap_err();
    assert_eq!(
        problem.to_string(),
        "wire version 9 is not known here (this side reads 1); update the older side"
    );
}

#[test]
fn each_wrong_field_is_named() {
    type Break = (&'static str, fn(&mut Batch));
    let cases: &[Break] = &[
        ("to_us", |b| b.to_us = -1),
        ("from_us", |b| b.from_us = i64::MIN),
        ("processes[0].pid", |b| b.processes[0].pid = 0),
        ("samples[0].t_us_delta", |b| {
            b.samples[0].t_us_delta = vec![0, -1];
        }),
        ("samples[0].lateness_us", |b| {
            b.samples[0].lateness_us = vec![1];
        }),
        ("samples[0].series[0]", |b| {
            b.samples[0].series[0].process = Some(1);
        }),
        ("samples[0].series[0]", |b| {
            b.samples[0].series[0].process = None;
        }),
        ("samples[0].series[0]", |b| {
            b.samples[0].series[0].metric = 999;
        }),
        ("samples[0].series[0]", |b| {
            b.samples[0].series[0].value_delta = vec![-1];
        }),
        ("samples[0].series[0]", |b| b.samples[0].series[0].first = 2),
        ("marks[0].process", |b| {
            b.marks = vec![Mark {
                process: 5,
                ..Mark::default()
            }];
        }),
        ("marks[0].what", |b| b.marks = vec![Mark::default()]),
    ];
    for (field, break_it) in cases {
        let mut broken = batch();
        break_it(&mut broken);
        let problem = broken.check().unwrap_err().to_string();
        assert!(
            problem.starts_with(&format!("field {field}:")),
            "{field}: {problem}"
        );
    }
    assert!(batch().check().is_ok());
}

#[test]
fn each_wrong_field_of_a_job_is_named() {
    type Break = (&'static str, fn(&mut Job));
    let cases: &[Break] = &[
        ("project", |j| j.project = "no-owner".to_owned()),
        ("name", |j| j.name = String::new()),
        ("attempt", |j| j.attempt = 0),
        ("run", |j| j.run = None),
        ("url", |j| j.url = "javascript:alert(1)".to_owned()),
        ("shard", |j| {
            j.shard = Some(crate::v1::Shard { index: 3, total: 2 });
        }),
        ("started_unix_us", |j| j.started_unix_us = -1),
        ("interval_us", |j| j.interval_us = 0),
    ];
    for (field, break_it) in cases {
        let mut broken = job();
        break_it(&mut broken);
        let problem = broken.check().unwrap_err().to_string();
        assert!(
            problem.starts_with(&format!("field {field}:")),
            "{field}: {problem}"
        );
    }
    assert!(job().check().is_ok());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Batch>(&bytes);
        let _ = decode_plain::<Batch>(&bytes);
        let _ = decode_json::<Job>(&bytes);
        let _ = decode_plain::<End>(&bytes);
    }
}

/// Makes a good message one that cannot be.
type Spoil<M> = fn(&mut M);

#[test]
fn no_field_of_a_job_may_hold_what_cannot_be() {
    let cases: [(&str, Spoil<Job>); 4] = [
        ("budget_bytes", |job| job.budget_bytes = u64::MAX),
        ("started_monotonic_us", |job| {
            job.started_monotonic_us = u64::MAX;
        }),
        ("environment.memory_total_bytes", |job| {
            job.environment = Some(Environment {
                memory_total_bytes: u64::MAX,
                ..Environment::default()
            });
        }),
        ("environment.versions", |job| {
            let versions = (0..101).map(|n| (n.to_string(), String::new())).collect();
            job.environment = Some(Environment {
                versions,
                ..Environment::default()
            });
        }),
    ];
    job().check().unwrap();
    for (field, spoil) in cases {
        let mut spoilt = job();
        spoil(&mut spoilt);
        let problem = spoilt.check().unwrap_err().to_string();
        assert!(problem.contains(field), "{field}: {problem}");
    }
}

#[test]
fn no_field_of_a_batch_may_hold_what_cannot_be() {
    let cases: [(&str, Spoil<Batch>); 7] = [
        ("seen_us", |batch| batch.processes[0].seen_us = i64::MIN),
        ("peak_error_bytes", |batch| {
            batch.processes[0].peak_error_bytes = Some(u64::MAX);
        }),
        ("python", |batch| {
            batch.processes[0].python = "x".repeat(MAX_NAME_BYTES + 1);
        }),
        ("began_us", |batch| {
            batch.sessions.push(Session {
                id: "s".to_owned(),
                began_us: Some(i64::MAX),
                ..Session::default()
            });
        }),
        ("t_us_delta", |batch| {
            batch.samples[0].t_us_delta = vec![i64::MIN, i64::MAX];
        }),
        ("lateness_us", |batch| {
            batch.samples[0].lateness_us[0] = u64::MAX;
        }),
        ("args", |batch| {
            batch.sessions.push(Session {
                id: "s".to_owned(),
                args: vec![String::new(); 1_001],
                ..Session::default()
            });
        }),
    ];
    batch().check().unwrap();
    for (field, spoil) in cases {
        let mut spoilt = batch();
        spoil(&mut spoilt);
        let problem = spoilt.check().unwrap_err().to_string();
        assert!(problem.contains(field), "{field}: {problem}");
    }
    let end = End {
        version: VERSION,
        streams: vec![StreamCount {
            stream: uuid::Uuid::nil().to_string(),
            batches: u64::MAX,
        }],
        ..End::default()
    };
    assert!(end.check().unwrap_err().to_string().contains("batches"));
}
