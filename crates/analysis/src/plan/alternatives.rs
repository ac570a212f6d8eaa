//! What else could be done than cutting a suite, and what that leads to.

use highwater_wire::report::{Alternative, AlternativeKind, Bound, Predicted};

use super::{Facts, File, Ground, SHARE, order, peak, report::predicted};
use crate::figures::mebibytes;

/// So many workers are told of where nobody asks for a number.
const USUAL_WORKERS: u32 = 2;
/// Fixtures of the session are worth a word from this part of the budget on.
const LEAST_SHARED_PART: i64 = 20;
/// So many of these fixtures are named.
const MOST_NAMED: usize = 3;

/// All that is known of, for comparison. `ground` is that of the plan's jobs.
pub(super) fn of(facts: &Facts, ground: Ground, budget_bytes: i64) -> Vec<Alternative> {
    let alone = Ground::alone(facts.base_bytes);
    let mut ordered = facts.files.clone();
    order(&mut ordered);
    let recorded = predicted(alone, &facts.files);
    let told = |kind, sentence: String, predicted: Predicted, bound| Alternative {
        kind,
        sentence,
        predicted,
        bound,
        fits: fits(predicted.peak_bytes, bound, budget_bytes),
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
            Bound::About,
        ),
        told(
            AlternativeKind::BestOrder,
            "all files in one process, in the best order".to_owned(),
            predicted(alone, &ordered),
            Bound::About,
        ),
        Alternative {
            workers: Some(workers),
            ..told(
                AlternativeKind::Workers,
                format!("all files in one job of {workers} workers (-n {workers} --dist loadfile)"),
                predicted(Ground { workers, ..ground }, &facts.files),
                Bound::AtMost,
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
                Bound::About,
            )
        });
    }
    if let Some((sentence, predicted)) = narrowed(facts, budget_bytes) {
        let kind = AlternativeKind::FixtureScope;
        all.push(told(kind, sentence, predicted, Bound::AtLeast));
    }
    let needed_bytes = (recorded.peak_bytes as f64 / SHARE).ceil() as i64;
    all.push(Alternative {
        needed_bytes: Some(needed_bytes),
        ..told(
            AlternativeKind::LargerRunner,
            format!(
                "all files as recorded, on a runner that has {} for them, of which {:.0} % stay free",
                mebibytes(needed_bytes),
                (1.0 - SHARE) * 100.0
            ),
            recorded,
            Bound::About,
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

/// The fewest restarts after equal numbers of files that stay inside the budget; none where none is needed, or one file alone passes it.
fn restarted(facts: &Facts, budget_bytes: i64) -> Option<(usize, Predicted)> {
    let all = facts.files.len();
    let mut before = all;
    for parts in 2..=all {
        let files = all.div_ceil(parts);
        if files == before {
            continue;
        }
        before = files;
        let parts = facts.files.chunks(files);
        let begins = i64::try_from(parts.len()).unwrap_or(i64::MAX) - 1;
        let highest = parts.map(|part| peak(facts.base_bytes, part)).max()?;
        if highest <= budget_bytes {
            let work_us: i64 = facts.files.iter().map(|file| file.duration_us).sum();
            let begin_us = facts.begin_us.unwrap_or(0).saturating_mul(begins);
            return Some((
                files,
                Predicted {
                    peak_bytes: highest,
                    duration_us: work_us.saturating_add(begin_us),
                },
            ));
        }
    }
    None
}

/// Fixtures of the session in the scope of a module. Which files ask for them is not recorded but of those that they were set up in, so this is the least.
fn narrowed(facts: &Facts, budget_bytes: i64) -> Option<(String, Predicted)> {
    let taken: i64 = facts.shared.iter().map(|(_, bytes)| bytes).sum();
    if taken <= 0 || taken < budget_bytes / LEAST_SHARED_PART {
        return None;
    }
    let holding = |file: &File| {
        let own = facts.asked.get(&file.path).copied().unwrap_or(0);
        File {
            spike_bytes: file.spike_bytes.saturating_add(own),
            ..file.clone()
        }
    };
    let mut files: Vec<File> = facts.files.iter().map(holding).collect();
    order(&mut files);
    let named = facts.shared.iter().take(MOST_NAMED);
    let named = named.filter(|(_, bytes)| *bytes > 0);
    let named: Vec<String> = named
        .map(|(name, bytes)| format!("{name} {}", mebibytes(*bytes)))
        .collect();
    let sentence = format!(
        "all files in one process, in the best order, with the session's fixtures ({}) in the scope of a module; which other files ask for them is not recorded",
        named.join(", ")
    );
    let ground = Ground::alone(facts.base_bytes.saturating_sub(taken));
    Some((sentence, predicted(ground, &files)))
}
