//! What holds for any marks in any order.

use highwater_wire::{
    report::JobState,
    v1::{Batch, Mark, Process, Role, mark::What},
};
use proptest::prelude::*;
use uuid::Uuid;

use super::builder::{Story, context, fb, fe, ib, ie, rb, re, sb, se, tb, te, tp};
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
        fixture.clone().prop_map(|n| fb(n, "f", "module", "0.py")),
        fixture.clone().prop_map(fe),
        fixture.clone().prop_map(rb),
        fixture.prop_map(re),
    ]
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

/// The marks in batches of a few.
fn batches(marks: &[Mark]) -> Vec<Batch> {
    marks
        .chunks(7)
        .zip(0..)
        .map(|(chunk, at)| Batch {
            from_us: at * 7_000,
            to_us: (at + 1) * 7_000,
            marks: chunk.to_vec(),
            processes: vec![Process {
                pid: 10,
                start_ticks: 10,
                role: Some(Role::Pytest.into()),
                session: if at % 2 == 0 {
                    "s".to_owned()
                } else {
                    String::new()
                },
                seen_us: at,
                ..Process::default()
            }],
            ..Batch::default()
        })
        .collect()
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
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(marks in any_marks(), seed in any::<u64>()) {
        let batches = batches(&marks);
        let mut order: Vec<usize> = (0..batches.len()).collect();
        order.sort_by_key(|at| seed.rotate_left(*at as u32 * 7) ^ (*at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let job = story(Vec::new()).recording().job().clone();
        let mut straight = Recording::new(job.clone());
        let mut shuffled = Recording::new(job);
        for (at, batch) in batches.iter().enumerate() {
            straight.add(Uuid::nil(), at as u64, batch);
        }
        for at in order.iter().chain(order.iter().rev()) {
            shuffled.add(Uuid::nil(), *at as u64, &batches[*at]);
        }
        let context = context(JobState::Finished);
        prop_assert_eq!(digest(&straight, &context), digest(&shuffled, &context));
        prop_assert_eq!(straight.residue(), shuffled.residue());
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
