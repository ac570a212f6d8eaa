//! Why there is no plan, in words.

use std::fmt;

use highwater_wire::report::BudgetLimit;

use super::{
    SHARE,
    notes::{capitalised, of_limit},
};
use crate::figures::{mebibytes, mebibytes_at_least, shown};

/// What is less is not worth a word.
const LEAST_TOLD_BYTES: i64 = 1 << 20;

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

    /// What is to be done where not even all of a limit bears a suite, which bears so much at least, bytes.
    fn way_out(self, least_bytes: i64) -> String {
        let needed_bytes = (least_bytes as f64 / SHARE).ceil() as i64;
        let less = match self.is_little() {
            true => "or that file less memory",
            false => {
                "that file less memory, or each job less before its first file (fixtures in a narrower scope, imports where they are needed)"
            }
        };
        format!(
            "it needs a runner that has {} for it, {less}",
            mebibytes_at_least(needed_bytes)
        )
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
    /// No budget was named, and no limit of the job is known that one could be taken of.
    NoLimit,
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
        /// Its figures are guessed: it did not run, and no other job tells of it.
        is_guessed: bool,
        /// So many stay together with it.
        with: u32,
        /// What was asked for, or all that the limit leaves, bytes.
        budget_bytes: i64,
        /// That limit, where nothing was asked for.
        limit: Option<BudgetLimit>,
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
            Self::NoLimit => f.write_str(
                "a plan needs a budget: no limit of its memory is known that one could be taken of",
            ),
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
                is_guessed,
                with,
                budget_bytes,
                limit,
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
                let budget = match limit {
                    Some(limit) => of_limit(limit),
                    None => mebibytes(*budget_bytes),
                };
                write!(
                    f,
                    "no plan fits into {budget}: a job stands at {} before its first file{}, and {}{} {alone} brings it to {}, ",
                    mebibytes(*idle_bytes),
                    each.words(),
                    shown(path),
                    of_guess(*is_guessed),
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
                if !each.is_little() {
                    f.write_str(" with everything that the suite imports and shares")?;
                    if bare_bytes < alone_bytes && alone_bytes <= least_bytes {
                        write!(
                            f,
                            "; how much of that the files need is not recorded, and without any it is at least {}",
                            mebibytes(*bare_bytes)
                        )?;
                    }
                }
                match limit {
                    Some(_) => write!(f, "; {}", each.way_out(*least_bytes)),
                    None => Ok(()),
                }
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

fn of_guess(is_guessed: bool) -> &'static str {
    match is_guessed {
        true => " (which did not run: a guess, by the files that did)",
        false => "",
    }
}

impl Refusal {
    /// Why not even all of a job's limit bears what it ran, in a sentence; `cuts` is what is to be cut. `None` where there is another reason.
    pub(super) fn of_limit(&self, cuts: &str) -> Option<String> {
        let Self::Infeasible {
            path,
            is_guessed,
            limit: Some(limit),
            idle_bytes,
            each,
            alone_bytes,
            least_bytes,
            ..
        } = self
        else {
            return None;
        };
        Some(format!(
            "No cut of {cuts} fits into {}: {}{} alone brings a job to {}, which stands at {} before its first file. {}.",
            of_limit(limit),
            shown(path),
            of_guess(*is_guessed),
            mebibytes_at_least(*alone_bytes),
            mebibytes(*idle_bytes),
            capitalised(&each.way_out(*least_bytes))
        ))
    }
}
