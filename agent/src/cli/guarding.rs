//! The flags of the guard, for every command that records.

use clap::Args;

use crate::{
    guard::OnLimit,
    settings::{Guarded, MemoryLimit, parse_memory_limit, parse_on_limit},
};

#[derive(Debug, Args)]
pub(super) struct GuardArgs {
    /// Guard a limit on the job's memory: a size such as 6GB, or a share of what the cgroup or the machine allows, 90% where nothing
    /// follows; `off` guards none.
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "90%", value_parser = parse_memory_limit)]
    memory_limit: Option<MemoryLimit>,
    /// What the guard does at the limit: `warn`, or `stop`, which ends pytest in an orderly way, reports written, exit code 2 [default: warn].
    #[arg(long, value_name = "warn|stop", value_parser = parse_on_limit)]
    on_limit: Option<OnLimit>,
}

impl From<GuardArgs> for Guarded {
    fn from(args: GuardArgs) -> Self {
        Self {
            limit: args.memory_limit,
            on_limit: args.on_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        cli::{Cli, Task},
        guard::LimitSize,
    };

    fn guarded(flags: &[&str]) -> Result<Guarded, clap::Error> {
        let words = ["highwater", "run"].iter().chain(flags);
        match Cli::try_parse_from(words.chain(&["--", "pytest", "-q"]))?.into_task() {
            Task::Run(task) => {
                assert_eq!(task.command, ["pytest", "-q"]);
                Ok(task.given.guard)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_may_stand_without_a_size() {
        let at = |limit, on_limit| Guarded { limit, on_limit };
        let (share, size) = (LimitSize::Share(90), LimitSize::Bytes(6_000_000_000));
        for (flags, expected) in [
            (&[] as &[&str], at(None, None)),
            (&["--memory-limit"], at(Some(MemoryLimit::At(share)), None)),
            (
                &["--memory-limit", "--on-limit", "stop"],
                at(Some(MemoryLimit::At(share)), Some(OnLimit::Stop)),
            ),
            (
                &["--memory-limit", "6GB", "--on-limit=warn"],
                at(Some(MemoryLimit::At(size)), Some(OnLimit::Warn)),
            ),
            (&["--on-limit", "stop"], at(None, Some(OnLimit::Stop))),
            (&["--memory-limit=off"], at(Some(MemoryLimit::Off), None)),
        ] {
            assert_eq!(guarded(flags).unwrap(), expected, "{flags:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_the_flag() {
        for flags in [
            ["--memory-limit", "3 apples"],
            ["--memory-limit", "0"],
            ["--on-limit", "kill"],
        ] {
            let error = guarded(&flags).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(flags[0]), "{error}");
        }
    }
}
