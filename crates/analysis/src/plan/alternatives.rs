//! What else could be done than cutting a suite, and what that leads to.

use highwater_wire::report::{Alternative, AlternativeKind, Bound, Predicted};

use super::{Facts, File, Ground, SHARE, order, report::predicted, top};
use crate::figures::mebibytes;

/// So many workers are told of where nobody asks for a number.
pub(super) const USUAL_WORKERS: u32 = 2;
/// Fixtures of the session are worth a word from this part of the budget on.
pub(super) const LEAST_SHARED_PART: i64 = 20;
/// So many of these fixtures are named.
const MOST_NAMED: usize = 3;

/// All that is known of, for comparison. `ground` is that of the plan's jobs.
pub(super) fn of(facts: &Facts, ground: Ground, budget_bytes: i64) -> Vec<Alternative> {
    let alone = alone(facts);
    let mut ordered = facts.files.clone();
    order(&mut ordered);
    let recorded = predicted(alone, &facts.files);
    // A file that was cut short needs no less than is known of it: nothing that counts it is expected, or a bound from above.
    let (about, at_most) = match facts.cut_short.is_empty() {
        true => (Bound::About, Bound::AtMost),
        false => (Bound::AtLeast, Bound::About),
    };
    let told = |kind, sentence: String, predicted: Predicted, bound| Alternative {
        kind,
        sentence,
        predicted,
        bound,
        fits: match (kind, at_most) {
            (AlternativeKind::Workers, Bound::About) => None,
            _ => fits(predicted.peak_bytes, bound, budget_bytes),
        },
        workers: None,
        files: None,
        needed_bytes: None,
    };
    let workers = match ground.workers {
        0 | 1 => USUAL_WORKERS,
        workers => workers,
    };
    let mut all = vec![
        told(
            AlternativeKind::AsRecorded,
            "all files in one process, in the order in which they were recorded".to_owned(),
            recorded,
            about,
        ),
        told(
            AlternativeKind::BestOrder,
            "all files in one process, in the best order".to_owned(),
            predicted(alone, &ordered),
            about,
        ),
        Alternative {
            workers: Some(workers),
            ..told(
                AlternativeKind::Workers,
                format!("all files in one job of {workers} workers (-n {workers} --dist loadfile)"),
                predicted(Ground { workers, ..ground }, &facts.files),
                at_most,
            )
        },
    ];
    if let Some((files, predicted)) = restarted(facts, budget_bytes) {
        let cost = match facts.begin_us {
            Some(_) => "",
            None => "; how long a pytest takes to begin was not seen and is not counted",
        };
        all.push(Alternative {
            files: Some(files),
            ..told(
                AlternativeKind::Restart,
                format!("all files in one job, with a fresh pytest after each {files} in the order in which they were recorded{cost}"),
                predicted,
                about,
            )
        });
    }
    if let Some((sentence, predicted)) = narrowed(facts, &ordered, budget_bytes) {
        let kind = AlternativeKind::FixtureScope;
        all.push(told(kind, sentence, predicted, Bound::AtLeast));
    }
    let needed_bytes = (recorded.peak_bytes as f64 / SHARE).ceil() as i64;
    all.push(Alternative {
        needed_bytes: Some(needed_bytes),
        // It is made so; the budget is of another runner.
        fits: (about == Bound::About).then_some(true),
        ..told(
            AlternativeKind::LargerRunner,
            format!(
                "all files as recorded, on a runner that has {} for them, of which {:.0} % stay free",
                mebibytes(needed_bytes),
                (1.0 - SHARE) * 100.0
            ),
            recorded,
            about,
        )
    });
    all
}

fn fits(peak_bytes: i64, bound: Bound, budget_bytes: i64) -> Option<bool> {
    let is_inside = peak_bytes <= budget_bytes;
    match bound {
        Bound::About => Some(is_inside),
        Bound::AtMost => is_inside.then_some(true),
        Bound::AtLeast => (!is_inside).then_some(false),
    }
}

/// One process that runs all files.
fn alone(facts: &Facts) -> Ground {
    Ground {
        set_up_bytes: facts.set_up_bytes,
        ..Ground::alone(facts.base_bytes)
    }
}

/// Restarts after the most files that stay inside the budget each time; none where none is needed, or one file alone passes it.
fn restarted(facts: &Facts, budget_bytes: i64) -> Option<(usize, Predicted)> {
    let alone = alone(facts);
    if alone.begin_bytes() > budget_bytes || alone.peak(&facts.files) <= budget_bytes {
        return None;
    }
    let reach = reach(&facts.files, budget_bytes.saturating_sub(alone.base_bytes));
    let all = facts.files.len();
    let fits = |files: &usize| {
        let mut begins = (0..all).step_by(*files);
        begins.all(|from| reach[from] >= all.min(from + files))
    };
    let files = (1..all).rev().find(fits)?;
    let parts = facts.files.chunks(files);
    let begins = i64::try_from(parts.len()).unwrap_or(i64::MAX) - 1;
    let work_us: i64 = facts.files.iter().map(|file| file.duration_us).sum();
    let begin_us = facts.begin_us.unwrap_or(0).saturating_mul(begins);
    let predicted = Predicted {
        peak_bytes: parts.map(|part| alone.peak(part)).max()?,
        duration_us: work_us.saturating_add(begin_us),
    };
    Some((files, predicted))
}

/// For each file the place behind the last that one process can run which begins with it, with so many bytes above its base.
fn reach(files: &[File], room_bytes: i64) -> Vec<usize> {
    let mut level = 0_i64;
    // Before each file, and at its highest, were all run in one process.
    let levels = files.iter().map(|file| {
        let before = level;
        level = level.saturating_add(file.retained_bytes);
        (before, before.saturating_add(top(file)))
    });
    let levels: Vec<(i64, i64)> = levels.collect();
    let mut reach = vec![files.len(); files.len()];
    // Of the files from here on those that go higher than all between, the nearest last.
    let mut higher: Vec<usize> = Vec::new();
    for (at, (before, highest)) in levels.iter().enumerate().rev() {
        while higher.pop_if(|far| levels[*far].1 <= *highest).is_some() {}
        higher.push(at);
        let most = before.saturating_add(room_bytes);
        let over = higher.partition_point(|far| levels[*far].1 > most);
        if let Some(nearest) = over.checked_sub(1) {
            reach[at] = higher[nearest];
        }
    }
    reach
}

/// Fixtures that files share in the scope of a module. Which files ask for them is not recorded: this is what the others lead to.
fn narrowed(facts: &Facts, ordered: &[File], budget_bytes: i64) -> Option<(String, Predicted)> {
    let taken: i64 = facts.shared.iter().map(|(_, bytes)| bytes).sum();
    if taken <= 0 || taken < budget_bytes / LEAST_SHARED_PART {
        return None;
    }
    let named = facts.shared.iter().take(MOST_NAMED);
    let named = named.filter(|(_, bytes)| *bytes > 0);
    let named: Vec<String> = named
        .map(|(name, bytes)| format!("{name} {}", mebibytes(*bytes)))
        .collect();
    let sentence = format!(
        "all files in one process, in the best order, with the session's fixtures ({}) in the scope of a module; more where the files that need most ask for them, which is not recorded",
        named.join(", ")
    );
    let ground = Ground::alone(facts.base_bytes.saturating_sub(taken));
    Some((sentence, predicted(ground, ordered)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> Facts {
        let file = |at: i64| File {
            path: format!("test_{at}.py"),
            spike_bytes: 50 + at,
            retained_bytes: 40,
            duration_us: 100,
        };
        Facts {
            base_bytes: 100,
            controller_bytes: 30,
            begin_us: Some(7),
            shared: vec![("shared".to_owned(), 60)],
            files: (0..10).map(file).collect(),
            ..Facts::default()
        }
    }

    fn told(
        facts: &Facts,
        workers: u32,
        budget_bytes: i64,
        kind: AlternativeKind,
    ) -> Option<Alternative> {
        let ground = Ground {
            base_bytes: facts.base_bytes,
            set_up_bytes: facts.set_up_bytes,
            controller_bytes: facts.controller_bytes,
            workers,
        };
        let all = of(facts, ground, budget_bytes);
        all.into_iter().find(|it| it.kind == kind)
    }

    proptest! {
        #[test]
        fn a_pytest_is_restarted_after_the_most_files_that_stay_inside(
            figures in proptest::collection::vec((0..100_i64, -60..80_i64), 1..30),
            set_up_bytes in 0..60_i64,
            budget_bytes in 90..400_i64,
        ) {
            let file = |(spike_bytes, retained_bytes)| File { path: String::new(), spike_bytes, retained_bytes, duration_us: 1 };
            let facts = Facts {
                base_bytes: 50,
                set_up_bytes,
                begin_us: Some(7),
                files: figures.into_iter().map(file).collect(),
                ..Facts::default()
            };
            let highest = |files: usize| facts.files.chunks(files).map(|part| alone(&facts).peak(part)).max().unwrap();
            let all = facts.files.len();
            let most = (1..=all).rev().find(|files| highest(*files) <= budget_bytes);
            let expected = most.filter(|files| *files < all).map(|files| {
                let begins = i64::try_from(all.div_ceil(files)).unwrap() - 1;
                let duration_us = i64::try_from(all).unwrap() + 7 * begins;
                (files, Predicted { peak_bytes: highest(files), duration_us })
            });
            prop_assert_eq!(restarted(&facts, budget_bytes), expected);
        }
    }

    #[test]
    fn each_alternative_has_its_peak_and_duration() {
        let facts = facts();
        // 100 and nine files of 40 lie there when the last needs 59, or the first of them 50.
        for (kind, peak, duration, bound, fits) in [
            (
                AlternativeKind::AsRecorded,
                100 + 360 + 59,
                1_000,
                Bound::About,
                Some(false),
            ),
            (
                AlternativeKind::BestOrder,
                100 + 360 + 50,
                1_000,
                Bound::About,
                Some(false),
            ),
            (
                AlternativeKind::Workers,
                230 + 400 + 19 + 18,
                500,
                Bound::AtMost,
                None,
            ),
            // In fours, of which the second is the highest: 100, 120 and 57 for the last. Two begins more.
            (
                AlternativeKind::Restart,
                277,
                1_014,
                Bound::About,
                Some(true),
            ),
            (
                AlternativeKind::FixtureScope,
                40 + 360 + 50,
                1_000,
                Bound::AtLeast,
                Some(false),
            ),
            (
                AlternativeKind::LargerRunner,
                519,
                1_000,
                Bound::About,
                Some(true),
            ),
        ] {
            let told = told(&facts, 1, 280, kind).unwrap();
            let predicted = (told.predicted.peak_bytes, told.predicted.duration_us);
            assert_eq!(
                (predicted, told.bound, told.fits),
                ((peak, duration), bound, fits),
                "{kind:?}"
            );
        }
        let runner = told(&facts, 1, 280, AlternativeKind::LargerRunner).unwrap();
        assert_eq!(runner.needed_bytes, Some(611));
        let restart = told(&facts, 1, 280, AlternativeKind::Restart).unwrap();
        assert_eq!(restart.files, Some(4));
        let workers = told(&facts, 5, 800, AlternativeKind::Workers).unwrap();
        assert_eq!(
            (workers.workers, workers.predicted.duration_us),
            (Some(5), 200)
        );
    }

    #[test]
    fn what_is_not_known_is_not_told_as_known() {
        for (peak, bound, told) in [
            (9, Bound::About, Some(true)),
            (11, Bound::About, Some(false)),
            (9, Bound::AtMost, Some(true)),
            (11, Bound::AtMost, None),
            (9, Bound::AtLeast, None),
            (11, Bound::AtLeast, Some(false)),
        ] {
            assert_eq!(fits(peak, bound, 10), told, "{peak} {bound:?}");
        }
        // Fixtures that hold little are no matter, and a suite that fits needs no restart.
        assert_eq!(
            told(&facts(), 1, 1_220, AlternativeKind::FixtureScope),
            None
        );
        assert_eq!(told(&facts(), 1, 1_000, AlternativeKind::Restart), None);
        // Of a file that was cut short only the least is known.
        let cut_short = Facts {
            cut_short: vec!["test_9.py".to_owned()],
            ..facts()
        };
        for (kind, bound, fits) in [
            (AlternativeKind::AsRecorded, Bound::AtLeast, None),
            (AlternativeKind::Workers, Bound::About, None),
            (AlternativeKind::LargerRunner, Bound::AtLeast, None),
        ] {
            let told = told(&cut_short, 1, 1_000, kind).unwrap();
            assert_eq!((told.bound, told.fits), (bound, fits), "{kind:?}");
        }
        let unseen = Facts {
            begin_us: None,
            ..facts()
        };
        let restart = told(&unseen, 1, 280, AlternativeKind::Restart).unwrap();
        assert!(
            restart.sentence.contains("is not counted"),
            "{}",
            restart.sentence
        );
    }
}
