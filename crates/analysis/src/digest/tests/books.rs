//! What holds for any marks in any order.

use highwater_wire::{
    report::JobState,
    v1::{
        Batch, Diagnosis, End, Grown, Job, Mark, Metric, Notice, Process, Role, Samples, Series,
        Session, mark::What,
    },
};
use proptest::prelude::*;
use uuid::Uuid;

use super::builder::{Story, context, db, de, fb, fe, ib, ie, rb, re, sb, se, tb, te, tp};
use crate::{digest::digest, recording::Recording};

fn any_what() -> impl Strategy<Value = What> {
    let fixture = 1_u64..4;
    prop_oneof![
        Just(sb()),
        Just(se(0)),
        (0..3).prop_map(|n| ib(&format!("{n}.py"))),
        Just(ie()),
        (0..3, 0..3).prop_map(|(n, t)| tb(&format!("{n}.py"), &format!("t{t}"))),
        Just(tp("call")),
        Just(tp("teardown")),
        Just(te("passed")),
        (fixture.clone(), any_scope()).prop_map(|(n, scope)| fb(n, "f", scope, "0.py")),
        fixture.clone().prop_map(fe),
        fixture.clone().prop_map(rb),
        fixture.prop_map(re),
        Just(db()),
        any_diagnosis().prop_map(de),
    ]
}

fn any_scope() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("function"), Just("module"), Just("session")]
}

fn any_diagnosis() -> impl Strategy<Value = Diagnosis> {
    let growth = || -1_000_000_i64..1_000_000;
    let rss = || 0_u64..1_000_000;
    (
        proptest::option::of(rss()),
        rss(),
        growth(),
        growth(),
        growth(),
    )
        .prop_map(|(trimmed, collected, kept, freed, live)| Diagnosis {
            trimmed_bytes: trimmed,
            collected_bytes: collected,
            kept_bytes: kept,
            freed_bytes: freed,
            live_bytes: live,
            types: vec![Grown {
                name: format!("type {}", live % 3),
                count: kept,
                bytes: live,
            }],
            ..Diagnosis::default()
        })
}

fn any_marks() -> impl Strategy<Value = Vec<Mark>> {
    proptest::collection::vec(
        (
            any_what(),
            0_u64..1_000_000,
            proptest::option::of(0_u64..2_000_000),
        ),
        0..60,
    )
    .prop_map(|marks| {
        marks
            .into_iter()
            .zip(0..)
            .map(|((what, rss_bytes, peak_bytes), t_us)| Mark {
                process: 0,
                t_us: t_us * 1_000,
                rss_bytes,
                peak_bytes,
                what: Some(what),
            })
            .collect()
    })
}

fn story(marks: Vec<Mark>) -> Story {
    let mut story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s");
    story.batch.to_us = 1_000_000;
    story.batch.marks = marks;
    story
}

/// What else a batch may hold: values of two processes, of the machine and of a cgroup, and a word of the recorder.
#[derive(Debug, Clone)]
struct Beside {
    values: Vec<i64>,
    notice: Option<u64>,
}

fn any_beside() -> impl Strategy<Value = Beside> {
    let values = proptest::collection::vec(0_i64..500_000_000, 1..8);
    let notice = proptest::option::of(0_u64..3);
    (values, notice).prop_map(|(values, notice)| Beside { values, notice })
}

/// Marks in batches of a few, in two streams by turns, each batch with something beside them.
fn batches(marks: &[Mark], beside: &[Beside]) -> Vec<(Uuid, u64, Batch)> {
    const MARKS: usize = 7;
    let several = marks.len().div_ceil(MARKS).max(beside.len());
    (0..several)
        .map(|at| {
            let marks = marks.chunks(MARKS).nth(at).unwrap_or_default();
            let t_us = at as i64 * 7_000;
            let process = |pid: u32, role: Role| Process {
                pid,
                start_ticks: u64::from(pid),
                parent_pid: pid - 1,
                role: Some(role.into()),
                session: if at % 2 == 0 && pid == 10 {
                    "s".to_owned()
                } else {
                    String::new()
                },
                started_us: Some(0),
                ended_us: (at == 3).then_some(t_us),
                peak_error_bytes: Some(at as u64),
                seen_us: t_us,
                ..Process::default()
            };
            let batch = Batch {
                from_us: t_us,
                to_us: t_us + 7_000,
                marks: marks.to_vec(),
                processes: vec![process(10, Role::Pytest), process(11, Role::Child)],
                sessions: vec![Session {
                    id: if at % 3 == 0 { "s" } else { "t" }.to_owned(),
                    began_us: Some(t_us),
                    ended_us: (at % 4 == 1).then_some(t_us),
                    exit_status: (at % 4 == 1).then_some(at as i32 % 6),
                    ..Session::default()
                }],
                ..Batch::default()
            };
            let stream = Uuid::from_u128(at as u128 % 2);
            (stream, at as u64 / 2, with(batch, t_us, beside.get(at)))
        })
        .collect()
}

fn with(mut batch: Batch, t_us: i64, beside: Option<&Beside>) -> Batch {
    let Some(beside) = beside else {
        return batch;
    };
    let mut values = beside.values.clone();
    for at in (1..values.len()).rev() {
        values[at] -= values[at - 1];
    }
    let series = |metric: Metric, process, cgroup: &str| Series {
        metric: metric.into(),
        process,
        cgroup: cgroup.to_owned(),
        first: 0,
        value_delta: values.clone(),
    };
    let mut t_us_delta = vec![1_000; values.len()];
    t_us_delta[0] = t_us;
    batch.samples.push(Samples {
        lateness_us: vec![3; values.len()],
        t_us_delta,
        series: vec![
            series(Metric::Rss, Some(0), ""),
            series(Metric::Rss, Some(1), ""),
            series(Metric::Pss, Some(0), ""),
            series(Metric::CgroupOomKills, None, "/job"),
            series(Metric::CgroupLimit, None, "/job"),
            series(Metric::MachineAvailable, None, ""),
        ],
    });
    batch.notices.extend(beside.notice.map(|count| Notice {
        t_us: t_us % 3,
        code: "marks_malformed".to_owned(),
        message: String::new(),
        count,
    }));
    batch
}

/// The numbers up to one, in an order that a seed gives.
fn shuffled(several: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..several).collect();
    order.sort_by_key(|at| {
        seed.rotate_left(*at as u32 * 7) ^ (*at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    });
    order
}

fn end(revision: u32) -> End {
    End {
        ended_us: 100_000 + i64::from(revision),
        exit_code: Some(revision as i32),
        revision,
        ..End::default()
    }
}

proptest! {
    #[test]
    fn the_books_balance_to_the_byte(marks in any_marks()) {
        let digest = story(marks).digest();
        for process in &digest.processes {
            if let Some(books) = process.books {
                prop_assert!(books.balance(), "{books:?}");
            }
        }
        for file in &digest.files {
            prop_assert_eq!(
                file.retained_bytes,
                file.workers.iter().map(|worker| worker.retained_bytes).sum::<i64>()
            );
            prop_assert!(file.visits == 0 || file.peak_bytes >= file.start_bytes.max(file.end_bytes));
            let visits = digest.visits.iter();
            let visits = visits.filter(|visit| visit.path == file.path && visit.session == file.session);
            prop_assert_eq!(
                file.retained_bytes + file.late_import_bytes + file.shared_fixture_bytes,
                visits.map(|visit| visit.end_bytes - visit.start_bytes).sum::<i64>()
            );
        }
        // Everything that fixtures changed is told of one of them.
        let books = digest.processes.iter().filter_map(|process| process.books);
        prop_assert_eq!(
            books.map(|books| books.fixture_bytes).sum::<i64>(),
            digest.fixtures.iter().map(|fixture| fixture.retained_bytes).sum::<i64>()
        );
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        marks in any_marks(),
        beside in proptest::collection::vec(any_beside(), 0..12),
        seed in any::<u64>(),
        kept in 0_usize..12,
    ) {
        let batches = batches(&marks, &beside);
        let order = shuffled(batches.len(), seed);
        let job = Job::default();
        let add = |recording: &mut Recording, at: usize| {
            let (stream, seq, batch) = &batches[at];
            recording.add(*stream, *seq, batch);
        };
        let mut straight = Recording::new(job.clone());
        for at in 0..batches.len() {
            add(&mut straight, at);
        }
        straight.set_end(end(1));
        straight.set_end(end(2));

        let mut other = Recording::new(job.clone());
        other.set_end(end(2));
        for at in order.iter().chain(order.iter().rev()) {
            add(&mut other, *at);
        }
        other.set_end(end(1));

        // Finalised and restored in the middle; then come the late ones.
        let (early, late) = order.split_at(kept.min(order.len()));
        let mut first = Recording::new(job.clone());
        for at in early {
            add(&mut first, *at);
        }
        first.set_end(end(1));
        let mut restored = Recording::restore(job, first.end().cloned(), first.groups(), &first.residue());
        for at in late {
            add(&mut restored, *at);
        }
        restored.set_end(end(2));

        let context = context(JobState::Finished);
        prop_assert_eq!(digest(&straight, &context), digest(&other, &context));
        prop_assert_eq!(straight.residue(), other.residue());
        prop_assert_eq!(straight.groups(), other.groups());
        prop_assert_eq!(digest(&straight, &context), digest(&restored, &context));
        prop_assert_eq!(straight.groups(), restored.groups());
    }

    #[test]
    fn what_is_restored_is_what_was_kept(marks in any_marks(), values in proptest::collection::vec(0_i64..500, 1..50)) {
        let story = story(marks)
            .samples(highwater_wire::v1::Metric::Rss, 3, &values)
            .samples(highwater_wire::v1::Metric::Pss, 11, &values)
            .ends(Some(0), None);
        let kept = story.recording();
        let restored = Recording::restore(
            kept.job().clone(),
            kept.end().cloned(),
            kept.groups(),
            &kept.residue(),
        );
        prop_assert_eq!(restored.groups(), kept.groups());
        prop_assert_eq!(restored.residue(), kept.residue());
        let context = context(JobState::Finished);
        prop_assert_eq!(digest(&restored, &context), digest(&kept, &context));
    }
}
