use proptest::prelude::*;

use super::*;
use crate::v1::{
    Diagnosis, Environment, Event, Grown, GuardAction, Mark, Metric, Process, Run, Samples, Series,
    Session, SignalTaken, StreamCount, event, mark,
};

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

/// A field of a message, `times` over.
fn many(number: u8, content: &[u8], times: usize) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, content.len() as u8];
    field.extend_from_slice(content);
    [&[0x08, 0x01][..], &field.repeat(times)].concat()
}

#[test]
fn a_small_body_cannot_become_a_large_message() {
    let series = many(3, &[], 60)[2..].to_vec();
    let zeros = [&[0x0a, 100][..], &[0; 100]].concat();
    let cases = [
        ("processes", many(4, &[0x08, 0x01], 100_000)),
        ("sessions", many(5, &[], 100_000)),
        ("samples", many(6, &[], 1_000_000)),
        ("samples.series", many(6, &series, 10_000)),
        ("samples.t_us_delta", many(6, &zeros, 20_000)),
        ("marks", many(7, &[0x52, 0x00], 1_000_000)),
        ("notices", many(8, &[], 100_000)),
    ];
    for (field, bytes) in cases {
        let problem = decode_plain::<Batch>(&bytes).unwrap_err().to_string();
        assert!(problem.contains("allowed"), "{field}: {problem}");
    }
    let objects = format!(
        r#"{{"version":1,"processes":[{}{{}}]}}"#,
        "{},".repeat(200_000)
    );
    let problem = decode_json::<Batch>(objects.as_bytes()).unwrap_err();
    assert!(problem.to_string().contains("objects"), "{problem}");
    let long = format!(r#"{{"version":1}}{}"#, " ".repeat(5 << 20));
    let problem = decode_json::<Batch>(long.as_bytes()).unwrap_err();
    assert!(matches!(problem, Problem::TooLarge { .. }), "{problem}");
}

fn guarded(pids: Vec<u32>) -> Event {
    Event {
        t_us: 5,
        what: Some(event::What::Guard(GuardAction {
            action: "stopped".to_owned(),
            pids,
            ..GuardAction::default()
        })),
    }
}

fn diagnosed(rows: usize) -> Mark {
    let rows = vec![Grown::default(); rows];
    Mark {
        what: Some(mark::What::DiagnosisEnd(Diagnosis {
            cost_us: 300,
            garbage: rows.clone(),
            types: rows.clone(),
            lines: rows.clone(),
            pytest: rows,
            ..Diagnosis::default()
        })),
        ..Mark::default()
    }
}

#[test]
fn a_diagnosis_is_bounded_in_what_it_names_and_says() {
    let with = |mark: Mark| Batch {
        marks: vec![mark],
        ..batch()
    };
    let refused = |mark: Mark| decode::<Batch>(&encode(&with(mark)).unwrap()).unwrap_err();
    assert!(decode::<Batch>(&encode(&with(diagnosed(100))).unwrap()).is_ok());
    let many = refused(diagnosed(101)).to_string();
    assert!(
        many.contains("marks[0].diagnosis_end") && many.contains("101 entries"),
        "{many}"
    );
    let mut absurd = diagnosed(0);
    if let Some(mark::What::DiagnosisEnd(end)) = &mut absurd.what {
        end.live_bytes = i64::MIN;
    }
    let absurd = refused(absurd).to_string();
    assert!(absurd.contains("live_bytes"), "{absurd}");
}

#[test]
fn parts_are_counted_alike_on_bytes_and_on_the_message() {
    let mut batch = batch();
    batch.sessions = vec![Session {
        id: "s".to_owned(),
        args: vec!["-q".to_owned(), "-x".to_owned()],
        numprocesses: 300,
        began_us: Some(-5),
        ..Session::default()
    }];
    batch.marks = vec![Mark::default(); 3];
    batch.marks.push(diagnosed(4));
    batch.notices = vec![crate::v1::Notice::default(); 2];
    batch.events = vec![guarded(vec![300, 7]), Event::default()];
    batch.samples[0].series[0].value_delta = vec![1 << 40, -5];
    let counted = parts::Parts::of_bytes(&batch.encode_to_vec()).unwrap();
    assert_eq!(counted, parts::Parts::of(&batch));
    assert_eq!(
        weight(&batch),
        (counted.weight() + batch.encoded_len()) as u64
    );
}

#[test]
fn what_the_busiest_agent_makes_is_far_below_the_limits() {
    // 512 KiB of the smallest marks, 2,000 processes, and each of them on 20 ticks.
    let process = Process {
        pid: 7,
        command: "python -m pytest".to_owned(),
        ..Process::default()
    };
    let series = |process: u32| Series {
        metric: Metric::Rss.into(),
        process: Some(process),
        value_delta: vec![4096; 20],
        ..Series::default()
    };
    let busy = Batch {
        version: VERSION,
        to_us: 1_000_000,
        processes: vec![process; 2_000],
        samples: vec![Samples {
            t_us_delta: vec![50_000; 20],
            lateness_us: vec![3; 20],
            series: (0..2_000).flat_map(|at| [series(at), series(at)]).collect(),
        }],
        marks: vec![
            Mark {
                what: Some(crate::v1::mark::What::CollectBegin(crate::v1::Empty {})),
                ..Mark::default()
            };
            (512 << 10) / 16
        ],
        ..Batch::default()
    };
    let read: Batch = decode(&encode(&busy).unwrap()).unwrap();
    assert!(read == busy && weight(&busy) * 50 < MAX_JOB_WEIGHT);
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
        ("events[0].signal", |b| {
            b.events = vec![Event {
                t_us: 1,
                what: Some(event::What::Signal(SignalTaken::default())),
            }];
        }),
        ("events[0].t_us", |b| {
            b.events = vec![Event {
                t_us: i64::MAX,
                what: None,
            }];
        }),
        ("processes[0].cgroup", |b| {
            b.processes[0].cgroup = "x".repeat(MAX_TEXT_BYTES + 1);
        }),
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

fn limits(job: &mut Job) -> &mut crate::v1::CheckLimits {
    job.check_limits.get_or_insert_default()
}

#[test]
fn each_wrong_field_of_a_job_is_named() {
    type Break = (&'static str, fn(&mut Job));
    let cases: &[Break] = &[
        ("project", |j| j.project = "no-owner".to_owned()),
        ("name", |j| j.name = String::new()),
        ("name", |j| j.name = " \n\u{a0}".to_owned()),
        ("run.id", |j| j.run.as_mut().unwrap().id = " ".to_owned()),
        ("run.provider", |j| {
            j.run.as_mut().unwrap().provider = String::new();
        }),
        ("variant", |j| {
            j.variant.insert(String::new(), "x".to_owned());
        }),
        ("attempt", |j| j.attempt = 0),
        ("run", |j| j.run = None),
        ("url", |j| j.url = "javascript:alert(1)".to_owned()),
        ("shard", |j| {
            j.shard = Some(crate::v1::Shard { index: 3, total: 2 });
        }),
        ("started_unix_us", |j| j.started_unix_us = -1),
        ("interval_us", |j| j.interval_us = 0),
        ("check_limits.max_spike_bytes", |j| {
            limits(j).max_spike_bytes = Some(u64::MAX);
        }),
        ("check_limits.files", |j| {
            limits(j).files = vec![String::new(); 101];
        }),
        ("check_limits.files", |j| {
            limits(j).files = vec!["x".repeat(201)];
        }),
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
    let cases: [(&str, Spoil<Batch>); 9] = [
        ("signal", |batch| batch.processes[0].signal = Some(-9)),
        ("series", |batch| {
            batch.samples[0].series[0].value_delta = vec![1 << 56, 0];
        }),
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
    let cases: [(&str, Spoil<End>); 4] = [
        ("ended_us", |end| end.ended_us = -1),
        ("ended_us", |end| end.ended_us = i64::MAX),
        ("signal", |end| end.signal = Some(i32::MIN)),
        ("forwarded_signal", |end| end.forwarded_signal = Some(0)),
    ];
    for (field, spoil) in cases {
        let mut spoilt = End {
            version: VERSION,
            ..End::default()
        };
        spoilt.check().unwrap();
        spoil(&mut spoilt);
        let problem = spoilt.check().unwrap_err().to_string();
        assert!(problem.contains(field), "{field}: {problem}");
    }
}

/// A frame that nobody reads, of so many bytes.
fn skippable(length: u32) -> Vec<u8> {
    let head = [0x184D_2A50_u32.to_le_bytes(), length.to_le_bytes()].concat();
    [head, vec![0; length as usize]].concat()
}

#[test]
fn a_body_is_held_to_what_it_announces() {
    let plain = vec![7; 300_000];
    let whole = zstd::bulk::compress(&plain, 1).unwrap();
    assert_eq!(announced_bytes(&whole), Some(plain.len()));
    assert_eq!(decompress(&whole).unwrap(), plain);
    // Several frames may become anything: they announce nothing.
    let small = zstd::bulk::compress(b"x", 1).unwrap();
    for several in [
        [&small[..], &whole].concat(),
        [&skippable(9)[..], &whole].concat(),
        [&whole[..], &skippable(9)].concat(),
    ] {
        assert_eq!(announced_bytes(&several), None);
        assert!(decompress(&several).is_ok());
    }
    // One that lies of its size is broken. The size stands behind magic and descriptor, in four bytes here.
    let mut liar = whole;
    assert_eq!(liar[4] >> 6, 2, "a size of four bytes");
    let at = if liar[4] & 0b10_0000 == 0 { 6 } else { 5 };
    liar[at..at + 4].copy_from_slice(&9_u32.to_le_bytes());
    assert_eq!(announced_bytes(&liar), Some(9));
    assert!(matches!(decompress(&liar), Err(Problem::Compression(_))));
    let mut bomb = liar;
    bomb[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(decompress(&bomb), Err(Problem::TooLarge { .. })));
}
