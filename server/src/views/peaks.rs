//! What the jobs of a list come to: the peaks of those that ran the same, and how all of them ended.

use highwater_charts::{HistoryBar, history};
use highwater_store::JobRow;
use highwater_wire::report::Verdict;

use super::{
    format,
    jobs::{detail, verdict_of},
};

/// Fewer jobs show no course.
const LEAST_JOBS: usize = 3;
/// More rows hide the list.
const MOST_KINDS: usize = 3;

/// The peaks of jobs that ran the same.
pub(crate) struct Peaks {
    /// Name of the jobs, what tells them from others of the name, and their branch.
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) branch: String,
    pub(crate) chart: String,
    pub(crate) words: String,
}

/// How many jobs ended in a way: its words, how it is shown, how many.
pub(crate) struct Share {
    pub(crate) ending: String,
    pub(crate) tone: &'static str,
    pub(crate) jobs: usize,
    /// Of a hundred.
    pub(crate) percent: usize,
}

impl Peaks {
    /// Of the jobs of a list, newest first: those that ran the same are one row each, the row of the newest first. Rows of too few jobs are left out.
    pub(crate) fn of(rows: &[JobRow]) -> Vec<Self> {
        let mut kinds: Vec<Vec<&JobRow>> = Vec::new();
        for row in counted(rows) {
            match kinds.iter_mut().find(|it| kind(it[0]) == kind(row)) {
                Some(alike) => alike.push(row),
                None => kinds.push(vec![row]),
            }
        }
        kinds
            .into_iter()
            .filter(|alike| alike.len() >= LEAST_JOBS)
            .take(MOST_KINDS)
            .map(|alike| Self::of_kind(&alike))
            .collect()
    }

    /// Newest first, one at least.
    fn of_kind(alike: &[&JobRow]) -> Self {
        let bars: Vec<HistoryBar> = alike
            .iter()
            .rev()
            .map(|row| HistoryBar {
                bytes: row.peak_bytes,
                censored: is_early(row),
                change: None,
            })
            .collect();
        let chart = history(&bars).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot draw the peaks");
            String::new()
        });
        let newest = alike[0];
        Self {
            name: newest.name.clone(),
            detail: detail(newest),
            branch: newest.branch.clone(),
            chart,
            words: words(newest, alike),
        }
    }
}

/// Jobs that ended, without those that run files of another again: these have no peak to be held against others.
fn counted(rows: &[JobRow]) -> impl Iterator<Item = &JobRow> {
    let rows = rows.iter();
    rows.filter(|row| row.confirms.is_none() && verdict_of(row).is_some())
}

fn words(newest: &JobRow, alike: &[&JobRow]) -> String {
    let peaks = || alike.iter().map(|row| row.peak_bytes);
    let (least, most) = (peaks().min().unwrap_or(0), peaks().max().unwrap_or(0));
    let headroom = newest.headroom_bytes.map_or_else(String::new, |left| {
        format!(", with {} left", format::mebibytes(left))
    });
    let hollow = match alike.iter().any(|row| is_early(row)) {
        true => " A hollow bar did not run to its end.",
        false => "",
    };
    format!(
        "The last {}, oldest first: between {} and {}, in the newest {}{headroom}.{hollow}",
        format::count(alike.len(), "job"),
        format::mebibytes(least),
        format::mebibytes(most),
        format::mebibytes(newest.peak_bytes),
    )
}

/// What jobs must have the same for their peaks to lie in one row.
fn kind(row: &JobRow) -> (&str, &str, &str, u32, u32) {
    let shard = (row.shard_index, row.shard_total);
    (&row.name, &row.variant, &row.branch, shard.0, shard.1)
}

fn is_early(row: &JobRow) -> bool {
    verdict_of(row).is_some_and(Verdict::is_early)
}

/// How the jobs of a list ended, the most first; nothing of those that have not.
pub(crate) fn endings(rows: &[JobRow]) -> Vec<Share> {
    let verdicts: Vec<Verdict> = counted(rows).filter_map(verdict_of).collect();
    let mut shares: Vec<Share> = Verdict::ALL
        .into_iter()
        .map(|verdict| {
            let jobs = verdicts.iter().filter(|it| **it == verdict).count();
            Share {
                ending: verdict.as_str().replace('_', " "),
                tone: format::tone(Some(verdict.as_str())),
                jobs,
                percent: (100 * jobs + verdicts.len() / 2) / verdicts.len().max(1),
            }
        })
        .filter(|share| share.jobs > 0)
        .collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.jobs));
    shares
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(name: &str, mebibytes: i64, verdict: Option<&str>) -> JobRow {
        JobRow {
            id: 1,
            uuid: Uuid::nil(),
            project: "owner/repo".to_owned(),
            run_id: 1,
            provider: "github".to_owned(),
            provider_run_id: "1".to_owned(),
            branch: "main".to_owned(),
            pull_request: String::new(),
            head_commit: String::new(),
            name: name.to_owned(),
            variant: "{}".to_owned(),
            shard_index: 0,
            shard_total: 0,
            attempt: 1,
            state: "finished".to_owned(),
            started_unix_us: 0,
            duration_us: 1,
            peak_bytes: mebibytes << 20,
            peak_kind: "exact".to_owned(),
            headroom_bytes: Some(5 << 20),
            verdict: verdict.map(str::to_owned),
            confidence: None,
            tests: 1,
            failed: 0,
            pinned: false,
            confirms: None,
        }
    }

    #[test]
    fn peaks_lie_in_one_row_where_the_jobs_ran_the_same() {
        let mut rows = vec![
            row("unit", 900, None),
            row("e2e", 300, Some("passed")),
            row("unit", 100, Some("passed")),
            row("unit", 140, Some("oom_cgroup")),
            row("unit", 80, Some("tests_failed")),
        ];
        rows.push(JobRow {
            confirms: Some(Uuid::nil()),
            ..row("unit", 1, Some("passed"))
        });
        let peaks = Peaks::of(&rows);
        let names: Vec<&str> = peaks.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["unit"]);
        assert_eq!(
            peaks[0].words,
            "The last 3 jobs, oldest first: between 80.0 MiB and 140.0 MiB, in the newest 100.0 MiB, with 5.0 MiB left. A hollow bar did not run to its end."
        );
        assert!(peaks[0].chart.contains("</svg>"));
        rows.truncate(4);
        assert!(Peaks::of(&rows).is_empty());
    }

    #[test]
    fn endings_are_counted_of_jobs_that_ended() {
        let verdicts = [Some("passed"), Some("oom_cgroup"), Some("passed"), None];
        let rows = verdicts.map(|verdict| row("unit", 1, verdict));
        let told = endings(&rows);
        let told: Vec<_> = told
            .iter()
            .map(|it| (it.ending.as_str(), it.tone, it.jobs, it.percent))
            .collect();
        assert_eq!(
            told,
            [("passed", "good", 2, 67), ("oom cgroup", "bad", 1, 33)]
        );
        assert!(endings(&rows[3..]).is_empty());
    }
}
