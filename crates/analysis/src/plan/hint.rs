//! When cutting a suite is worth a word.

use highwater_wire::report::{
    BudgetLimit, Course, GrowthReport, JobReport, LimitUse, PlanHint, Verdict,
};

use super::{Asked, Facts, report::feasible};

/// A job is planned with so much of what a limit leaves it: what the next run needs more must fit too.
pub const SHARE: f64 = 0.85;

/// Budgets that nobody names are whole numbers of megabytes.
const MEGABYTE: i64 = 1_000_000;

/// The limit of a job that has least left. What was used at the worst above the job's own peak was others', and is there in the next run too. `None` where no
/// limit is known, or others use all of it.
pub(super) fn limit(job: &JobReport) -> Option<BudgetLimit> {
    let limit = LimitUse::tightest(&job.limits)?;
    let beside_bytes = limit.worst_used_bytes.saturating_sub(job.peak_bytes);
    let left_bytes = limit.limit_bytes.saturating_sub(beside_bytes);
    (left_bytes > 0).then_some(BudgetLimit {
        kind: limit.kind,
        limit_bytes: limit.limit_bytes,
        left_bytes,
    })
}

/// Whether a job has a limit that a budget can be taken of.
#[must_use]
pub fn has_limit(job: &JobReport) -> bool {
    limit(job).is_some()
}

/// A budget as people name it: in megabytes where it is whole ones, else in bytes.
#[must_use]
pub fn written(bytes: i64) -> String {
    match bytes % MEGABYTE {
        0 => format!("{}MB", bytes / MEGABYTE),
        _ => bytes.to_string(),
    }
}

/// What a job is planned with of what a limit leaves, bytes, where all files fit into that.
pub(super) fn usual_bytes(limit: &BudgetLimit) -> i64 {
    let share = (limit.left_bytes as f64 * SHARE) as i64;
    match share / MEGABYTE {
        0 => share,
        megabytes => megabytes * MEGABYTE,
    }
}

/// Bytes in whole megabytes that are no less.
pub(super) fn rounded_up(bytes: i64) -> i64 {
    let more = (MEGABYTE - bytes.rem_euclid(MEGABYTE)) % MEGABYTE;
    bytes.saturating_add(more)
}

/// Workers of each job: as many as ran; 0 or 1 without xdist.
#[must_use]
pub fn workers(job: &JobReport) -> u32 {
    let sessions = job.sessions.iter();
    sessions.map(|it| it.numprocesses).max().unwrap_or(0)
}

/// Whether a session grew on and on, and meets a limit before as many files again have run.
#[must_use]
pub fn grows_near(growth: &GrowthReport) -> bool {
    let ran = i64::try_from(growth.files).unwrap_or(i64::MAX);
    let room = growth.room.as_ref();
    growth.course == Course::Steady && room.is_some_and(|room| room.files.value < ran)
}

/// The server in the address of a job's page: what comes before the job. `None` where a shell would take something else of it than what it says.
fn server_of<'a>(job: &JobReport, page: &'a str) -> Option<&'a str> {
    let server = page.strip_suffix(&format!("/jobs/{}", job.uuid))?;
    let is_plain = |char: char| char.is_ascii_alphanumeric() || ":/.-_[]%".contains(char);
    (!server.is_empty() && server.chars().all(is_plain)).then_some(server)
}

/// What a plan of a job cuts, in words: of a shard it knows no file of the others.
#[must_use]
pub fn cuts(job: &JobReport) -> String {
    match job.shard {
        Some(shard) if shard.total > 1 => {
            format!(
                "the files of shard {} of {} alone",
                shard.index, shard.total
            )
        }
        _ => "the suite".to_owned(),
    }
}

/// Whether how to cut the suite of a job is worth a word: memory ended it, or it grows towards its limit.
#[must_use]
pub fn is_due(job: &JobReport) -> bool {
    let of_memory = job.ending.as_ref().is_some_and(|ending| {
        matches!(
            ending.verdict,
            Verdict::OomCgroup
                | Verdict::OomMachine
                | Verdict::OomDaemon
                | Verdict::RunnerLostMemory
                | Verdict::GuardStopped
        )
    });
    of_memory || job.growth.iter().any(grows_near)
}

/// How to cut the suite of a job for which that [is due](is_due), by what is known of its files: with as many workers as ran or, where nothing fits among these, in one process. Its `page` tells of
/// which server to ask for it. `None` where it is no matter, there is no limit to go by, or the recording is no ground for a plan.
#[must_use]
pub fn hint(job: &JobReport, facts: &Facts, page: Option<&str>) -> Option<PlanHint> {
    if !is_due(job) {
        return None;
    }
    let with = |workers: u32| {
        let asked = Asked {
            workers: Some(workers),
            ..Asked::default()
        };
        feasible(job, facts, &asked).map(|bytes| (bytes, workers))
    };
    let ran = workers(job).max(1);
    let found = match with(ran) {
        Err(_) if ran > 1 => with(1),
        found => found,
    };
    let (bytes, workers) = match found {
        Ok(found) => found,
        Err(why) => return why.of_limit(&cuts(job)).map(PlanHint::Nothing),
    };
    let workers = match workers {
        1 => String::new(),
        workers => format!(" --workers {workers}"),
    };
    let server = page
        .and_then(|page| server_of(job, page))
        .map_or_else(String::new, |server| format!(" --server {server}"));
    Some(PlanHint::Command(format!(
        "highwater plan --budget {}{workers}{server} {}",
        written(bytes),
        job.uuid
    )))
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::{LimitKind, ShardReport};

    use super::*;
    use crate::samples;

    #[test]
    fn what_others_use_of_a_limit_is_in_no_budget() {
        let gigabytes = |count: u64| count * 1_000_000_000;
        for (worst_used, peak, expected) in [
            // 3 GB are others': with 85 % of 7 GB the plan would be the job that died.
            (7, 4, Some(3_400_000_000)),
            (4, 4, Some(5_950_000_000)),
            // Processes that share memory add up to more than is used.
            (3, 4, Some(5_950_000_000)),
            (9, 1, None),
            (7, 0, None),
        ] {
            let mut job = samples::job();
            job.peak_bytes = gigabytes(peak);
            job.limits = vec![LimitUse {
                kind: LimitKind::Machine,
                path: String::new(),
                limit_bytes: gigabytes(7),
                worst_used_bytes: gigabytes(worst_used),
            }];
            let budget = limit(&job).map(|limit| usual_bytes(&limit));
            assert_eq!(budget, expected, "{worst_used} {peak}");
        }
        assert_eq!(limit(&samples::job()), None);
    }
    #[test]
    fn what_a_plan_of_a_shard_cuts_is_not_called_the_suite() {
        let mut job = samples::job();
        for (shard, expected) in [
            (None, "the suite"),
            (Some((1, 1)), "the suite"),
            (Some((2, 3)), "the files of shard 2 of 3 alone"),
        ] {
            job.shard = shard.map(|(index, total)| ShardReport { index, total });
            assert_eq!(cuts(&job), expected);
        }
    }
}
