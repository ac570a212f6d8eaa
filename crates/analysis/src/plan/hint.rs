//! When cutting a suite is worth a word.

use highwater_wire::report::{Course, GrowthReport, JobReport, LimitUse, Verdict};

/// A job is planned with so much of what a limit leaves it: what the next run needs more must fit too.
pub const SHARE: f64 = 0.85;

/// What a job is planned with of the limit that has least left, bytes: the share of what others do not use of it. What was used at the worst above the
/// job's own peak was theirs, and is there in the next run too. `None` where there is no limit, or others use all of it.
#[must_use]
pub fn budget(job: &JobReport) -> Option<u64> {
    let limit = LimitUse::tightest(&job.limits)?;
    let beside_bytes = limit.worst_used_bytes.saturating_sub(job.peak_bytes);
    let left_bytes = limit.limit_bytes.saturating_sub(beside_bytes);
    (left_bytes > 0).then_some((left_bytes as f64 * SHARE) as u64)
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

/// How to cut the suite of a job that memory ended, or that grows towards its limit, whose `page` tells of which server to ask for it; `None` where that is no matter, there is no limit to go by, or the
/// recording is too coarse for a plan.
#[must_use]
pub fn hint(job: &JobReport, page: Option<&str>) -> Option<String> {
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
    let is_sampled = job.sessions.iter().any(|session| session.sampled);
    if !of_memory && !job.growth.iter().any(grows_near) || is_sampled {
        return None;
    }
    let megabytes = budget(job)? / 1_000_000;
    let workers = match workers(job) {
        0 | 1 => String::new(),
        workers => format!(" --workers {workers}"),
    };
    let server = page
        .and_then(|page| server_of(job, page))
        .map_or_else(String::new, |server| format!(" --server {server}"));
    (megabytes > 0).then(|| {
        format!(
            "highwater plan --budget {megabytes}MB{workers}{server} {}",
            job.uuid
        )
    })
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
            assert_eq!(budget(&job), expected, "{worst_used} {peak}");
        }
        assert_eq!(budget(&samples::job()), None);
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
