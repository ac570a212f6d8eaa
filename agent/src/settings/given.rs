//! What flags and variables say.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use uuid::Uuid;

use super::{Guarded, Token};
use crate::{backend::Backend, diagnose::Diagnose};

/// What was said by flag or variable; `None` where nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Address of the server.
    pub server: Option<String>,
    /// `owner/repo`.
    pub project: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// The matrix leg.
    pub variant: BTreeMap<String, String>,
    /// Shard index and total.
    pub shard: Option<(u32, u32)>,
    /// Attempt, from 1.
    pub attempt: Option<u32>,
    /// Name of the CI provider.
    pub provider: Option<String>,
    /// Id of the run.
    pub run_id: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// Commit under test.
    pub commit: Option<String>,
    /// Commit it is compared with.
    pub base_commit: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    pub fork: Option<bool>,
    /// What set the run off.
    pub event: Option<String>,
    /// The job of which this one runs files again; a variable alone says it, which `check --confirm` sets.
    pub confirms: Option<Uuid>,
    /// Page of the job.
    pub url: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// Length of the sampling grid.
    pub interval: Option<Duration>,
    /// What reads processes and machine.
    pub backend: Option<Backend>,
    /// Memory the user allows, bytes.
    pub budget_bytes: Option<u64>,
    /// The CI's own time limit for the job.
    pub ci_timeout: Option<Duration>,
    /// What the guard guards.
    pub guard: Guarded,
    /// Whether the kernel's mark is used.
    pub exact: Option<bool>,
    /// Whether the plugin takes apart why memory stays.
    pub diagnose: Option<Diagnose>,
    /// Whether the kernel shall take the tests before the agent when memory runs out.
    pub protect: Option<bool>,
    /// Whether pytest is given the plugin.
    pub plugin: Option<bool>,
    /// File or id of the plan of which the tests run their shard.
    pub plan: Option<PathBuf>,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Whether the report goes into the job summary of GitHub Actions.
    pub step_summary: Option<bool>,
    /// Say nothing but errors.
    pub quiet: Option<bool>,
    /// What a proxy before the server asks for; a variable alone gives it, for others can read the command line.
    pub token: Option<Token>,
}

impl Given {
    /// What is said here, else what is said there. Variants add up.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        let mut variant = other.variant;
        variant.extend(self.variant);
        Self {
            server: self.server.or(other.server),
            project: self.project.or(other.project),
            job: self.job.or(other.job),
            variant,
            shard: self.shard.or(other.shard),
            attempt: self.attempt.or(other.attempt),
            provider: self.provider.or(other.provider),
            run_id: self.run_id.or(other.run_id),
            branch: self.branch.or(other.branch),
            commit: self.commit.or(other.commit),
            base_commit: self.base_commit.or(other.base_commit),
            pull_request: self.pull_request.or(other.pull_request),
            fork: self.fork.or(other.fork),
            event: self.event.or(other.event),
            confirms: self.confirms.or(other.confirms),
            url: self.url.or(other.url),
            spool: self.spool.or(other.spool),
            interval: self.interval.or(other.interval),
            backend: self.backend.or(other.backend),
            budget_bytes: self.budget_bytes.or(other.budget_bytes),
            ci_timeout: self.ci_timeout.or(other.ci_timeout),
            guard: self.guard.or(other.guard),
            exact: self.exact.or(other.exact),
            diagnose: self.diagnose.or(other.diagnose),
            protect: self.protect.or(other.protect),
            plugin: self.plugin.or(other.plugin),
            plan: self.plan.or(other.plan),
            summary: self.summary.or(other.summary),
            step_summary: self.step_summary.or(other.step_summary),
            quiet: self.quiet.or(other.quiet),
            token: self.token.or(other.token),
        }
    }
}
