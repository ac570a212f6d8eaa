//! What else could be done than cutting a suite, and what that leads to.

use highwater_wire::report::{Alternative, AlternativeKind, Bound, JobReport, JobState, Predicted};

use super::{Facts, File, Ground, SHARE, hint, order, report::predicted, top};
use crate::figures::{count, mebibytes};

/// So many workers are told of where nobody asks for a number.
pub(super) const USUAL_WORKERS: u32 = 2;
/// Fixtures of the session are worth a word from this part of the budget on.
pub(super) const LEAST_SHARED_PART: i64 = 20;
/// What is less is not worth a word.
const LEAST_TOLD_BYTES: i64 = 1 << 20;
/// So many of these fixtures are named.
const MOST_NAMED: usize = 3;

/// All that is known of, for comparison. `ground` is that of the plan's jobs.
pub(super) fn of(
    job: &JobReport,
    facts: &Facts,
    ground: Ground,
    budget_bytes: i64,
) -> Vec<Alternative> {
    let alone = alone(facts);
    let files = facts.surely();
    let mut ordered = files.clone();
    order(&mut ordered);
    let in_order = predicted(alone, &files);
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
            format!(
                "all files in one process, in the order in which they were recorded{}",
                came_to(job, in_order.peak_bytes)
            ),
            in_order,
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
                predicted(Ground { workers, ..ground }, &files),
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
    let recorded = recorded(job, facts, in_order);
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

/// What the job came to as it was recorded, in words behind what its files are predicted to lead to in one process; nothing where that is about the same.
fn came_to(job: &JobReport, predicted_bytes: i64) -> String {
    let recorded_bytes = i64::try_from(job.peak_bytes).unwrap_or(i64::MAX);
    let off_bytes = predicted_bytes.saturating_sub(recorded_bytes);
    if job.peak_bytes == 0 || off_bytes.saturating_abs() < LEAST_TOLD_BYTES {
        return String::new();
    }
    let recorded = mebibytes(recorded_bytes);
    let ran = job.sessions.iter().filter(|session| session.tests > 0);
    let sessions = ran.count();
    let how = match (hint::workers(job), sessions) {
        _ if is_cut_short(job) => ", until it was cut short".to_owned(),
        (workers @ 2.., _) => format!(", on {}", count(workers as usize, "worker")),
        (_, 2..) => format!(", in {}", count(sessions, "session")),
        _ => "; a plan counts what files share from the start".to_owned(),
    };
    format!(" (that job came to {recorded}{how})")
}

fn is_cut_short(job: &JobReport) -> bool {
    job.censored || job.state == JobState::Running
}

/// What the suite takes if it runs as it did: what it came to, where all of it ran.
fn recorded(job: &JobReport, facts: &Facts, in_order: Predicted) -> Predicted {
    let unknown = [&facts.cut_short, &facts.not_run, &facts.recalled];
    let is_whole = !is_cut_short(job) && unknown.iter().all(|files| files.is_empty());
    if !is_whole || job.peak_bytes == 0 {
        return in_order;
    }
    let ran = Ground {
        workers: hint::workers(job),
        ..alone(facts)
    };
    Predicted {
        peak_bytes: i64::try_from(job.peak_bytes).unwrap_or(i64::MAX),
        duration_us: ran.duration_us(&facts.files),
    }
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
    let surely = facts.surely();
    let parts = surely.chunks(files);
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
mod tests;
