//! The document of a plan, made alike by server and agent.

use std::fmt;

use highwater_wire::report::{
    Bound, JobReport, JobState, PlanReport, PlannedJob, Predicted, Together,
};

use super::{Facts, File, Ground, Group, Plan, Shard, Wanted, alternatives, cut, fit, groups};
use crate::figures::{mebibytes, mebibytes_at_least, shown};

/// What is less is not worth a word.
const LEAST_TOLD_BYTES: i64 = 1 << 20;

/// What is asked of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// What a job may take at its peak, bytes.
    pub budget_bytes: i64,
    /// How many jobs; the fewest that fit where none is named.
    pub jobs: Option<usize>,
    /// Processes of each job that run tests; one where none is named.
    pub workers: Option<u32>,
    /// Globs: the files that look like one stay together.
    pub together: Vec<String>,
}

/// What a process is taken to hold before its first file, whichever files it runs: what it needs less in a job of few files is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Each {
    /// Processes that run tests.
    pub workers: u32,
    /// Imports of all test files and of modules that tests import, bytes.
    pub imported_bytes: i64,
    /// Fixtures of the session, bytes.
    pub shared_bytes: i64,
}

impl Each {
    fn is_little(self) -> bool {
        self.imported_bytes.max(self.shared_bytes) < LEAST_TOLD_BYTES
    }

    /// In words behind what the processes stand at; nothing where it is little.
    fn words(self) -> String {
        if self.is_little() {
            return String::new();
        }
        let whom = match self.workers {
            0 | 1 => String::new(),
            workers => format!("in each of its {workers} workers "),
        };
        let parts = [
            (self.imported_bytes, "the imports of all test files"),
            (self.shared_bytes, "fixtures of the session"),
        ];
        let parts = parts.map(|(bytes, of)| (mebibytes(bytes), of));
        let told = parts.iter().filter(|(bytes, _)| *bytes != mebibytes(0));
        let told: Vec<String> = told
            .map(|(bytes, of)| format!("{bytes} for {of}"))
            .collect();
        format!(
            " (among it {whom}{}: a job whose files need less of that takes less)",
            told.join(" and ")
        )
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No test file ran.
    Nothing,
    /// This session was recorded without the plugin, so what its files take is not known.
    Sampled(u32),
    /// The names of all test files are such that they can stand in no list of arguments, line or matrix: this is the first.
    OddPath(String),
    /// A glob can stand in no document of a plan.
    OddGlob(String),
    /// No file is like a glob.
    Unmatched(String),
    /// One file, or those that stay together, passes the budget.
    Infeasible {
        /// The file that needs most.
        path: String,
        /// So many stay together with it.
        with: usize,
        /// What was asked for, bytes.
        budget_bytes: i64,
        /// What the processes stand at before their first file, bytes.
        idle_bytes: i64,
        /// Of that what each process takes for the imports of all test files and for the session's fixtures, and how many there are.
        each: Each,
        /// What it needs without files that give back before it, bytes.
        alone_bytes: i64,
        /// What a job of those that need most takes where its processes stand at pytest and its plugins alone, so that it is no less, bytes.
        bare_bytes: i64,
        /// The least budget that was found to bear all files, bytes.
        least_bytes: i64,
    },
    /// So few jobs do not fit.
    TooFew {
        /// What was asked for, bytes.
        budget_bytes: i64,
        /// How many do.
        least_jobs: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("it ran no test file, so there is nothing to plan"),
            Self::Sampled(session) => write!(
                f,
                "its session {session} was recorded without the plugin: what its test files need and leave is not known, nor are those that ran between two samples, so a plan would not hold; record it with the plugin, as `highwater run -- pytest` does, and plan from that"
            ),
            Self::OddPath(path) => write!(
                f,
                "{path:?}: the name of this test file is empty or has a control character, so that no plan can be written with it, and there is no other file to plan"
            ),
            Self::OddGlob(glob) => write!(
                f,
                "{glob:?}: what stays together is named by a glob that is not empty and has no control character"
            ),
            Self::Unmatched(glob) => write!(
                f,
                "no test file of that recording looks like {glob}, so nothing stays together by it: a path is told as in its list of files, and * stands for any characters"
            ),
            Self::Infeasible {
                path,
                with,
                budget_bytes,
                idle_bytes,
                each,
                alone_bytes,
                bare_bytes,
                least_bytes,
            } => {
                let alone = match with {
                    0 => "alone".to_owned(),
                    1 => "with the file that stays together with it".to_owned(),
                    more => format!("with the {more} files that stay together with it"),
                };
                write!(
                    f,
                    "no plan fits into {}: a job stands at {} before its first file{}, and {} {alone} brings it to {}, ",
                    mebibytes(*budget_bytes),
                    mebibytes(*idle_bytes),
                    each.words(),
                    shown(path),
                    mebibytes_at_least(*alone_bytes)
                )?;
                match least_bytes < alone_bytes {
                    true => write!(
                        f,
                        "or less behind files that give back: the least budget found is {} ({least_bytes} bytes)",
                        mebibytes_at_least(*least_bytes)
                    ),
                    false => write!(f, "so that is the least budget ({least_bytes} bytes)"),
                }?;
                if each.is_little() {
                    return Ok(());
                }
                f.write_str(" with everything that the suite imports and shares")?;
                if bare_bytes < alone_bytes && alone_bytes <= least_bytes {
                    write!(
                        f,
                        "; how much of that the files need is not recorded, and without any it is at least {}",
                        mebibytes(*bare_bytes)
                    )?;
                }
                Ok(())
            }
            Self::TooFew {
                budget_bytes,
                least_jobs,
            } => write!(
                f,
                "no plan of so few jobs was found that fits into {}; {least_jobs} do",
                mebibytes(*budget_bytes)
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Makes the plan of a job from the facts of its recording.
///
/// # Errors
/// When there is none.
pub fn report(job: &JobReport, facts: &Facts, asked: &Asked) -> Result<PlanReport, Refusal> {
    if facts.files.is_empty() {
        return Err(Refusal::Nothing);
    }
    let mut sessions = job.sessions.iter();
    if let Some(session) = sessions.find(|it| it.sampled && it.tests > 0) {
        return Err(Refusal::Sampled(session.ordinal));
    }
    let is_odd = |text: &str| text.is_empty() || text.contains(char::is_control);
    let (odd, files): (Vec<File>, Vec<File>) = facts
        .files
        .iter()
        .cloned()
        .partition(|file| is_odd(&file.path));
    if let Some(file) = odd.first().filter(|_| files.is_empty()) {
        return Err(Refusal::OddPath(file.path.clone()));
    }
    if let Some(glob) = asked.together.iter().find(|glob| is_odd(glob)) {
        return Err(Refusal::OddGlob(glob.clone()));
    }
    let groups =
        groups(&asked.together, &files).map_err(|glob| Refusal::Unmatched(glob.to_owned()))?;
    let budget_bytes = asked.budget_bytes;
    let ground = Ground {
        base_bytes: facts.base_bytes,
        set_up_bytes: facts.set_up_bytes,
        controller_bytes: facts.controller_bytes,
        workers: asked.workers.unwrap_or(1).max(1),
    };
    let wanted = Wanted {
        budget_bytes,
        jobs: asked.jobs,
    };
    let shards = match cut(ground, &files, &groups, wanted) {
        Plan::Shards(shards) => shards,
        Plan::Infeasible {
            path,
            with,
            alone_bytes,
            least_bytes,
        } => {
            let bare = Ground {
                base_bytes: facts.controller_bytes.min(facts.base_bytes),
                set_up_bytes: 0,
                ..ground
            };
            return Err(Refusal::Infeasible {
                bare_bytes: fit::units(&files, &groups)
                    .iter()
                    .map(|unit| bare.peak(unit.files()))
                    .max()
                    .unwrap_or(0),
                path,
                with,
                budget_bytes,
                idle_bytes: ground.idle_bytes(),
                each: Each {
                    workers: ground.workers,
                    imported_bytes: facts.imported_bytes,
                    shared_bytes: facts.shared.iter().map(|(_, bytes)| bytes).sum(),
                },
                alone_bytes,
                least_bytes,
            });
        }
        Plan::TooFew { least_jobs } => {
            return Err(Refusal::TooFew {
                budget_bytes,
                least_jobs,
            });
        }
    };
    let jobs = shards.into_iter().zip(1..);
    let has_cut_short = |shard: &Shard| {
        let mut files = shard.files.iter();
        files.any(|file| facts.cut_short.contains(&file.path))
    };
    let jobs = jobs.map(|(shard, index)| PlannedJob {
        bound: has_cut_short(&shard).then_some(match ground.workers {
            1 => Bound::AtLeast,
            // What all need at once is not reached, what one needs is not known.
            _ => Bound::About,
        }),
        index,
        predicted: Predicted {
            peak_bytes: shard.peak_bytes,
            duration_us: shard.duration_us,
        },
        files: shard.files.into_iter().map(|file| file.path).collect(),
    });
    let mut report = PlanReport {
        id: job.uuid,
        of: job.uuid,
        budget_bytes,
        base_bytes: facts.base_bytes,
        workers: ground.workers,
        jobs_asked: asked.jobs,
        jobs: jobs.collect(),
        bound: match ground.workers {
            1 => Bound::About,
            _ => Bound::AtMost,
        },
        together: Vec::new(),
        alternatives: alternatives::of(facts, ground, budget_bytes),
        is_partial: job.censored || job.state == JobState::Running,
        not_run: facts.not_run.clone(),
        cut_short: facts.cut_short.clone(),
        recalled: facts.recalled.clone(),
        no_tests: facts.no_tests.clone(),
        left_out: odd.into_iter().map(|file| file.path).collect(),
        shard: job.shard.filter(|shard| shard.total > 1),
    };
    let group = |group: Group| {
        let first = group.files.first().and_then(|at| files.get(*at))?;
        let has = |job: &&PlannedJob| job.files.contains(&first.path);
        let job = report.jobs.iter().find(has)?.index;
        Some(Together {
            globs: group.globs,
            job,
        })
    };
    report.together = groups.into_iter().filter_map(group).collect();
    report.id = report.digest();
    Ok(report)
}

/// Files of one process in an order, with what they lead to.
pub(super) fn predicted(ground: Ground, files: &[File]) -> Predicted {
    Predicted {
        peak_bytes: ground.peak(files),
        duration_us: ground.duration_us(files),
    }
}
