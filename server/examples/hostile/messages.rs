//! Bodies: messages of the wire with hostile texts and numbers, and what becomes of them when their bytes are damaged.

use fastrand::Rng;
use highwater_wire::{VERSION, codec, v1};
use prost::Message;

use crate::texts::{number, short, text};

/// A body, and how it is said to be written.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: &'static str,
    pub(crate) encoding: &'static str,
}

/// How a job begins, with hostile text wherever text may be.
pub(crate) fn job(random: &mut Rng, project: &str) -> v1::Job {
    // A name is refused where nothing of it can be seen.
    let mut words = || format!("n{}", short(random));
    v1::Job {
        version: VERSION,
        project: project.to_owned(),
        run: Some(v1::Run {
            provider: words(),
            id: words(),
            branch: words(),
            head_commit: words(),
            base_commit: words(),
            pull_request: words(),
            event: words(),
            url: format!("https://ci.example/{}", words()),
            ..v1::Run::default()
        }),
        name: words(),
        variant: [(words(), words()), (words(), words())].into(),
        environment: Some(v1::Environment {
            os: words(),
            arch: words(),
            kernel: words(),
            hostname_hash: words(),
            versions: [(words(), words())].into(),
            ..v1::Environment::default()
        }),
        boot_id: words(),
        agent_version: words(),
        command: vec![words(), words()],
        url: format!("http://ci.example/?{}", words()),
        attempt: 1,
        started_unix_us: 1_767_225_600_000_000,
        interval_us: 50_000,
        ..v1::Job::default()
    }
}

fn grown(name: String) -> v1::Grown {
    v1::Grown {
        name,
        count: 3,
        bytes: 3_000_000,
    }
}

/// A second of a recording in which a test ran, with hostile text wherever text may be.
pub(crate) fn batch(random: &mut Rng) -> v1::Batch {
    use v1::{event, mark::What};
    let session = short(random);
    let mut words = || short(random);
    let path = words();
    let marks = [
        What::SessionBegin(v1::Empty {}),
        What::ImportBegin(v1::ImportBegin { path: words() }),
        What::ImportEnd(v1::ImportEnd {
            outcome: words(),
            cause: words(),
        }),
        What::TestBegin(v1::TestBegin {
            execution: 1,
            path: path.clone(),
            nodeid: format!("{path}::{}", words()),
            time_limit_us: None,
            time_limit_ends_process: None,
        }),
        What::FixtureBegin(v1::FixtureBegin {
            fixture: 1,
            name: words(),
            scope: words(),
            path: path.clone(),
            base: words(),
        }),
        What::ModuleBegin(v1::ModuleBegin { module: words() }),
        What::ModuleEnd(v1::Empty {}),
        What::ModuleGone(v1::ModuleGone { module: words() }),
        What::FixtureEnd(v1::FixtureEnd {
            fixture: 1,
            outcome: words(),
        }),
        What::TestEnd(v1::TestEnd {
            outcome: "failed".to_owned(),
            setup: words(),
            call: words(),
            teardown: words(),
            cause: words(),
        }),
        What::DiagnosisBegin(v1::Empty {}),
        What::DiagnosisEnd(v1::Diagnosis {
            trimmed_bytes: Some(9_000_000),
            collected_bytes: 1_000_000,
            live_bytes: 5_000_000,
            types: vec![grown(words())],
            garbage: vec![grown(words())],
            lines: vec![grown(words())],
            pytest: vec![grown(words())],
            ..v1::Diagnosis::default()
        }),
    ];
    let marks = (1..).zip(marks).map(|(n, what)| v1::Mark {
        process: 0,
        t_us: n * 1_000,
        rss_bytes: 10_000_000,
        peak_bytes: Some(11_000_000),
        what: Some(what),
    });
    v1::Batch {
        version: VERSION,
        from_us: 0,
        to_us: 1_000_000,
        marks: marks.collect(),
        processes: vec![v1::Process {
            pid: 7,
            start_ticks: 1,
            command: words(),
            role: Some(v1::Role::Pytest.into()),
            worker: words(),
            session: session.clone(),
            started_us: Some(0),
            exact_reason: words(),
            python: words(),
            pytest: words(),
            plugin: words(),
            cgroup: words(),
            ..v1::Process::default()
        }],
        sessions: vec![v1::Session {
            id: session,
            root: words(),
            args: vec![words()],
            dist: words(),
            began_us: Some(0),
            ..v1::Session::default()
        }],
        samples: vec![v1::Samples {
            t_us_delta: vec![0, 50_000],
            lateness_us: vec![1, 1],
            series: vec![
                v1::Series {
                    metric: v1::Metric::Rss.into(),
                    process: Some(0),
                    value_delta: vec![10_000_000, 4_096],
                    ..v1::Series::default()
                },
                v1::Series {
                    metric: v1::Metric::CgroupUsage.into(),
                    cgroup: words(),
                    value_delta: vec![10_000_000, 4_096],
                    ..v1::Series::default()
                },
            ],
        }],
        notices: vec![v1::Notice {
            t_us: 5,
            code: words(),
            message: words(),
            count: 1,
        }],
        events: vec![
            v1::Event {
                t_us: 6,
                what: Some(event::What::KernelOom(v1::KernelOom {
                    pid: 7,
                    comm: words(),
                    cgroup: words(),
                    ..v1::KernelOom::default()
                })),
            },
            v1::Event {
                t_us: 7,
                what: Some(event::What::Signal(v1::SignalTaken {
                    signal: 15,
                    sender: words(),
                    ..v1::SignalTaken::default()
                })),
            },
        ],
    }
}

/// How it ends.
pub(crate) fn end(random: &mut Rng, stream: &str) -> v1::End {
    v1::End {
        version: VERSION,
        ended_us: 1_000_000,
        exit_code: Some(1),
        ci_status: short(random),
        streams: vec![v1::StreamCount {
            stream: stream.to_owned(),
            batches: 1,
        }],
        ..v1::End::default()
    }
}

/// A batch with numbers that cannot be.
pub(crate) fn absurd(random: &mut Rng) -> v1::Batch {
    let mut batch = batch(random);
    for _ in 0..random.usize(1..6) {
        let value = number(random);
        match random.u8(..10) {
            0 => batch.from_us = value,
            1 => batch.to_us = value,
            2 => batch.marks[0].t_us = value,
            3 => batch.marks[0].rss_bytes = value.cast_unsigned(),
            4 => batch.marks[0].process = random.u32(..),
            5 => batch.samples[0].t_us_delta = vec![value, value, value],
            6 => batch.samples[0].series[0].value_delta = vec![value, value],
            7 => batch.samples[0].series[0].first = random.u32(..),
            8 => batch.processes[0].started_us = Some(value),
            _ => batch.events[0].t_us = value,
        }
    }
    batch
}

/// As protobuf, plain or compressed, or as JSON.
pub(crate) fn written<M: Message + serde::Serialize>(random: &mut Rng, message: &M) -> Body {
    let (bytes, kind, encoding) = match random.u8(..3) {
        0 => (message.encode_to_vec(), "application/x-protobuf", ""),
        1 => (
            codec::encode(message).unwrap_or_default(),
            "application/x-protobuf",
            "zstd",
        ),
        _ => (
            serde_json::to_vec(message).unwrap_or_default(),
            "application/json",
            "",
        ),
    };
    Body {
        bytes,
        kind,
        encoding,
    }
}

/// Cuts, turns, doubles and swaps bytes.
pub(crate) fn damage(random: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..5) {
        if bytes.is_empty() {
            return;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes[at] = random.u8(..),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            4 => bytes.splice(at..at, [0xff; 10]).for_each(drop),
            _ => {
                let with = text(random).into_bytes();
                bytes.splice(at..at, with).for_each(drop);
            }
        }
    }
}

/// Frames of a few bytes that become much.
pub(crate) fn bombs() -> Vec<Vec<u8>> {
    let zeros = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap_or_default();
    let just_over = zstd::bulk::compress(&vec![0; (16 << 20) + 1], 1).unwrap_or_default();
    let parts = [0x22, 0x02, 0x08, 0x01].repeat(3_000_000);
    let parts = zstd::bulk::compress(&parts, 1).unwrap_or_default();
    // Says nothing of its size, as a stream does.
    let silent = zstd::stream::encode_all(&vec![b' '; 64 << 20][..], 1).unwrap_or_default();
    // Says that it is small.
    let mut lying = zeros.clone();
    lying.iter_mut().skip(5).take(4).for_each(|byte| *byte = 1);
    let many = zstd::bulk::compress(&[0; 1 << 20], 1)
        .unwrap_or_default()
        .repeat(64);
    vec![zeros, just_over, parts, silent, lying, many]
}
