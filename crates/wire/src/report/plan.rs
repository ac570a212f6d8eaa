use std::fmt::Write;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LimitKind, ShardReport};

/// A suite cut into jobs that fit a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanReport {
    /// Made of the recorded job, the files of each job and what stays together: the same id, the same jobs.
    pub id: Uuid,
    /// The job whose recording it rests on.
    pub of: Uuid,
    /// What a job may take at its peak.
    pub budget_bytes: i64,
    /// The limit of the recorded job that this was taken of, where no budget was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<BudgetLimit>,
    /// What each process stands at before its first file, imports and fixtures that files share included.
    pub base_bytes: i64,
    /// Processes of each job that run tests: `-n` of xdist, 1 without.
    pub workers: u32,
    /// How many jobs were asked for, where a number was: of more than files that go apart there are fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_asked: Option<usize>,
    /// The jobs, the longest first.
    pub jobs: Vec<PlannedJob>,
    /// How the predictions of the jobs are meant.
    pub bound: Bound,
    /// Files that go together, the new ones among them too.
    pub together: Vec<Together>,
    /// What else could be done.
    pub alternatives: Vec<Alternative>,
    /// The recorded job did not run to its end: what it had not even imported is not in the plan.
    pub is_partial: bool,
    /// The recorded job was diagnosed: files began lower in it than they will in these jobs, which may take more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_diagnosed: bool,
    /// Files that were imported and did not run in that recording, and of which no other job was found to tell: a guess, the figures of those in the middle.
    pub not_run: Vec<String>,
    /// Files whose recording was cut short and of which no other job tells: planned with what they were seen to need until then, which is the least.
    pub cut_short: Vec<String>,
    /// Files that did not run in that recording, or not to their end: planned with the most that they needed in other jobs of the name, or until then.
    #[serde(default)]
    pub recalled: Vec<String>,
    /// Those of `recalled` that no other job of the recorded job's branch or pull request ran to their end, and none of main or master: planned with figures of other branches
    /// and pull requests, whose code may be another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<String>,
    /// Files that were collected in that recording and had no test to run, such as modules without doctests: in none of the jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_tests: Vec<String>,
    /// Test files whose names are empty or have a control character, so that they can stand in no plan: in none of the jobs, to which they are new files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The recorded job was this shard of several: files of the others are in none of the jobs, which take them for new ones where they run by the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardReport>,
}

impl PlanReport {
    /// Its id: the UUIDv5, in the namespace of the recorded job, of the lines `job N` and `together N`, each with its files or globs below it, a space before each.
    #[must_use]
    pub fn digest(&self) -> Uuid {
        let mut text = String::new();
        let mut part = |what: &str, job: usize, lines: &[String]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{what} {job}");
            for line in lines {
                let _ = writeln!(text, " {line}");
            }
        };
        for job in &self.jobs {
            part("job", job.index, &job.files);
        }
        for group in &self.together {
            part("together", group.job, &group.globs);
        }
        Uuid::new_v5(&self.of, text.as_bytes())
    }

    /// Whether its jobs count from 1, each name is a line and each group is in one of the jobs: else its id could stand for another plan too.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_line = |text: &String| !text.is_empty() && !text.contains('\n');
        let mut jobs = self.jobs.iter().zip(1..);
        let mut groups = self.together.iter();
        jobs.all(|(job, index)| job.index == index && job.files.iter().all(is_line))
            && groups.all(|group| {
                (1..=self.jobs.len()).contains(&group.job) && group.globs.iter().all(is_line)
            })
    }
}

/// A limit of a recorded job that the budget of a plan is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BudgetLimit {
    /// Which constraint.
    pub kind: LimitKind,
    /// What it allows.
    pub limit_bytes: u64,
    /// What it leaves the job: all but what others used of it at the worst.
    pub left_bytes: u64,
}

/// How to cut the suite of a job that memory ended, or that grows towards its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanHint {
    /// The command that does, as a shell takes it.
    Command(String),
    /// Why no cut fits, with what is to be done instead.
    Nothing(String),
}

impl PlanHint {
    /// The command, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Command(command) => Some(command),
            Self::Nothing(_) => None,
        }
    }

    /// Why there is none, where there is none.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Self::Command(_) => None,
            Self::Nothing(why) => Some(why),
        }
    }
}

/// One job of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedJob {
    /// From 1.
    pub index: usize,
    /// Its files, in the order that keeps the peak lowest.
    pub files: Vec<String>,
    /// What it leads to.
    #[serde(flatten)]
    pub predicted: Predicted,
    /// How that is meant, where it is meant otherwise than in the other jobs of the plan: one of its files was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

impl PlannedJob {
    /// How its peak is meant, in words before a size; `plan` is how those of the plan are.
    #[must_use]
    pub fn bound_words(&self, plan: Bound) -> &'static str {
        match self.bound {
            // Among others that are bounds, or beside one that is known to be too low.
            Some(Bound::About) => "about ",
            Some(bound) => bound.words(),
            None => plan.words(),
        }
    }
}

/// What files lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Predicted {
    /// Peak.
    pub peak_bytes: i64,
    /// Time.
    pub duration_us: i64,
}

/// How a prediction is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// What is expected.
    About,
    /// The peak is not above it, in whatever order and on whichever worker the files run, as long as each takes what it took.
    AtMost,
    /// The peak is not below it: what more it takes is not recorded.
    AtLeast,
}

impl Bound {
    /// In words before a size; empty for what is expected.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::About => "",
            Self::AtMost => "at most ",
            Self::AtLeast => "at least ",
        }
    }
}

/// Files that run in one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Together {
    /// What the paths look like: `*` stands for any characters, `/` among them, `?` for one.
    pub globs: Vec<String>,
    /// Index of the job.
    pub job: usize,
}

/// Something else than cutting the suite into these jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alternative {
    /// What is done.
    pub kind: AlternativeKind,
    /// The same in words.
    pub sentence: String,
    /// What it leads to.
    #[serde(flatten)]
    pub predicted: Predicted,
    /// How that is meant.
    pub bound: Bound,
    /// Whether its peak is inside the budget, of `larger_runner` inside what that runner has for it; none where the prediction does not tell.
    pub fits: Option<bool>,
    /// Processes that run tests, for `workers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Files after which a pytest ends and the next begins, for `restart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// Memory of the runner that is needed, for `larger_runner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed_bytes: Option<i64>,
}

impl Alternative {
    /// Whether it fits, in words.
    #[must_use]
    pub fn fits_words(&self) -> &'static str {
        match (self.kind, self.fits) {
            (AlternativeKind::LargerRunner, Some(true)) => "inside what that runner has",
            (_, Some(true)) => "inside the budget",
            (_, Some(false)) => "over the budget",
            (_, None) => "whether that fits is not known",
        }
    }
}

/// What else can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlternativeKind {
    /// All files in one process, in the order in which they were recorded.
    AsRecorded,
    /// All files in one process, in the order with the lowest peak.
    BestOrder,
    /// All files in one job of several workers.
    Workers,
    /// All files in one job, with a fresh pytest after so many.
    Restart,
    /// Fixtures of the session set up for a file and torn down after it.
    FixtureScope,
    /// All files as recorded, on a runner with so much memory.
    LargerRunner,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanReport {
        let job = |index, files: &[&str]| PlannedJob {
            index,
            files: files.iter().map(|path| (*path).to_owned()).collect(),
            predicted: Predicted {
                peak_bytes: 1,
                duration_us: 1,
            },
            bound: None,
        };
        PlanReport {
            id: Uuid::nil(),
            of: Uuid::from_u128(0x0197_a7d4_0000_7000_8000_0000_0000_0001),
            budget_bytes: 1,
            limit: None,
            base_bytes: 1,
            workers: 1,
            jobs_asked: None,
            jobs: vec![
                job(1, &["tests/test_a.py", "tests/test_ü b.py"]),
                job(2, &["job 1"]),
            ],
            bound: Bound::About,
            together: vec![Together {
                globs: vec!["tests/*".to_owned(), "?".to_owned()],
                job: 1,
            }],
            alternatives: Vec::new(),
            is_partial: false,
            is_diagnosed: false,
            not_run: Vec::new(),
            cut_short: Vec::new(),
            recalled: Vec::new(),
            elsewhere: Vec::new(),
            no_tests: Vec::new(),
            left_out: Vec::new(),
            shard: None,
        }
    }

    #[test]
    fn an_id_is_worked_out_as_the_plugin_does() {
        let mut plan = plan();
        // The same figures stand in the plugin's tests/test_shard.py.
        let golden = "2a2b0170-0df6-5fe7-9f61-fdb1e6127b53";
        assert_eq!(plan.digest().to_string(), golden);
        plan.budget_bytes = 2;
        assert_eq!(plan.digest().to_string(), golden);
        plan.jobs[0].files.swap(0, 1);
        assert_ne!(plan.digest().to_string(), golden);
    }

    #[test]
    fn a_plan_whose_id_could_stand_for_another_is_not_whole() {
        let whole = plan();
        assert!(whole.is_whole());
        let spoil: [fn(&mut PlanReport); 6] = [
            |plan| plan.jobs[1].index = 3,
            |plan| plan.jobs[0].files[0] = "a.py\njob 2\n b.py".to_owned(),
            |plan| plan.jobs[0].files[0].clear(),
            |plan| plan.together[0].globs[0].push('\n'),
            |plan| plan.together[0].job = 0,
            |plan| plan.together[0].job = 3,
        ];
        for spoil in spoil {
            let mut plan = plan();
            spoil(&mut plan);
            assert!(!plan.is_whole(), "{plan:?}");
        }
    }
}
