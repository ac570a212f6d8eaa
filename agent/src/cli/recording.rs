//! How a job is recorded, for every command that records.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Args;

use super::{about::About, guarding::GuardArgs, server::ServerParser};
use crate::{
    backend::Backend,
    diagnose::Diagnose,
    settings::{Given, parse_bytes, parse_ci_timeout, parse_interval, said},
};

/// How a job is recorded.
#[derive(Debug, Args)]
pub(super) struct RecordingArgs {
    #[command(flatten)]
    about: About,
    /// Address of the server, such as http://127.0.0.1:8080; without one the recording stays in the spool.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// Folder that holds what is not yet acknowledged.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Length of the sampling grid [default: 50ms].
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// What reads processes and machine: `linux` the kernel's own files, `sysinfo` on any other system, and coarser.
    #[arg(long, value_name = "NAME")]
    backend: Option<Backend>,
    /// Memory that the job may use, such as 3GB; shown as a limit.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// The CI's own time limit for the job, such as 60m, where the CI does not tell it.
    #[arg(long, value_name = "TIME", value_parser = parse_ci_timeout)]
    ci_timeout: Option<Duration>,
    /// Leave `oom_score_adj` of the tests alone: the kernel may take the agent first when memory runs out.
    #[arg(long, overrides_with = "protect")]
    no_protect: bool,
    /// Raise it, where pyproject.toml says not to.
    #[arg(long, overrides_with = "no_protect")]
    protect: bool,
    #[command(flatten)]
    guard: GuardArgs,
    /// Do not give the plugin to pytest: which test runs is read from its memory at each sample; no fixtures, imports, outcomes or exact peaks.
    #[arg(long, overrides_with = "plugin")]
    no_plugin: bool,
    /// Give the plugin to pytest, where pyproject.toml says not to.
    #[arg(long, overrides_with = "no_plugin")]
    plugin: bool,
    /// Do not use the kernel's high-water mark: peaks are sampled, `ru_maxrss` of the tests stays untouched.
    #[arg(long, overrides_with = "exact")]
    no_exact: bool,
    /// Use the kernel's high-water mark, where pyproject.toml says not to.
    #[arg(long, overrides_with = "no_exact")]
    exact: bool,
    /// Take apart at the end of each test file why memory stayed: garbage, allocator, live Python objects by type, native rest. Costs time, and changes
    /// the figures: garbage is collected and free memory given back. `--diagnose=tracemalloc` also names lines, at a higher price.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    diagnose: Option<Diagnose>,
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

impl From<RecordingArgs> for Given {
    fn from(args: RecordingArgs) -> Self {
        let about = args.about;
        let variant: BTreeMap<_, _> = about.variant.into_iter().collect();
        Self {
            server: args.server.and_then(said),
            project: about.project.and_then(said),
            job: about.job.and_then(said),
            variant,
            shard: about.shard,
            attempt: about.attempt,
            provider: about.provider.and_then(said),
            run_id: about.run_id.and_then(said),
            branch: about.branch.and_then(said),
            commit: about.commit.and_then(said),
            base_commit: about.base_commit.and_then(said),
            pull_request: about.pull_request.and_then(said),
            fork: about.fork,
            event: about.event.and_then(said),
            confirms: None,
            url: about.url.and_then(said),
            spool: args.spool,
            interval: args.interval,
            backend: args.backend,
            budget_bytes: args.budget,
            guard: args.guard.into(),
            ci_timeout: args.ci_timeout,
            exact: either(args.exact, args.no_exact),
            diagnose: args.diagnose,
            protect: either(args.protect, args.no_protect),
            plugin: either(args.plugin, args.no_plugin),
            plan: None,
            summary: None,
            step_summary: None,
            quiet: args.quiet.then_some(true),
            token: None,
        }
    }
}

/// What a flag and its opposite say together.
fn either(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}
