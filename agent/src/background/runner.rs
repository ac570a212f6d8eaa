//! The CI runner's process that a background job belongs to, found among the ancestors of whoever starts it.
//!
//! A step's shell goes with its step, so it is passed over. What stays is, in this order: a process of a CI runner that serves one job;
//! in a container the first process; else the nearest program that is no shell with a script and nothing that only starts another
//! (`env`, `sudo`), which may be the shell somebody types into.

use std::path::Path;

use crate::{
    procfs::{ProcError, Procfs},
    tree::ProcessKey,
};

/// How far up the ancestry is followed.
const MAX_DEPTH: usize = 64;

/// Names of processes that live as long as one job of a CI. What also serves other jobs at the same time is not among them.
const RUNNERS_OF_ONE_JOB: [&str; 4] = [
    // GitHub Actions.
    "Runner.Worker",
    // Azure Pipelines.
    "Agent.Worker",
    // CircleCI.
    "task-agent",
    "circleci-agent",
];
/// Shells, which go with their script.
const SHELLS: [&str; 9] = [
    "sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "pwsh", "ash",
];
/// Programs that do nothing but start another.
const STARTERS: [&str; 14] = [
    "env", "sudo", "su", "nice", "nohup", "setsid", "setpriv", "time", "timeout", "stdbuf",
    "xargs", "chrt", "ionice", "taskset",
];

/// Where a background job stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// From the parent of whoever starts the job up to the last that stays, or to the last at all where none does.
    pub chain: Vec<ProcessKey>,
    /// The process that the job's life is bound to.
    pub runner: Option<ProcessKey>,
    /// The name of its program; what else its command says may be secret.
    pub command: String,
    /// Whether what ran below the runner before the start belongs to the job too: it serves this job alone.
    pub is_of_one_job: bool,
    /// Whether whatever has no parent here belongs to the job: a container, where each step may be a process from outside.
    pub is_container: bool,
}

/// One ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ancestor {
    key: ProcessKey,
    words: Vec<String>,
    comm: String,
}

impl Standing {
    /// Finds where a process stands. `named`: the runner, where the user names it.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(procfs: &Procfs, pid: u32, named: Option<u32>) -> Result<Self, ProcError> {
        let ancestors = ancestors(procfs, pid)?;
        if let Some(named) = named {
            return Self::named(procfs, &ancestors, named);
        }
        let is_container = matches!(procfs.is_in_first_pid_namespace(), Ok(false));
        let first = match is_container {
            true => ancestor(procfs, 1, &mut Vec::new())?.map(|(first, _)| first),
            false => None,
        };
        Ok(choose(&ancestors, is_container, first))
    }

    fn named(procfs: &Procfs, ancestors: &[Ancestor], named: u32) -> Result<Self, ProcError> {
        if let Some(at) = ancestors.iter().position(|it| it.key.pid == named) {
            return Ok(up_to(ancestors, at, named != 1));
        }
        let mut buffer = Vec::new();
        Ok(match ancestor(procfs, named, &mut buffer)? {
            // A thread of the kernel has no words, and nobody below it is of any job.
            Some((runner, _)) if !runner.words.is_empty() => up_to(&[runner], 0, named != 1),
            _ => Self::default(),
        })
    }
}

/// `first` is the first process of a container.
fn choose(ancestors: &[Ancestor], is_container: bool, first: Option<Ancestor>) -> Standing {
    if let Some(at) = ancestors.iter().position(Ancestor::is_runner_of_one_job) {
        return up_to(ancestors, at, true);
    }
    if is_container {
        return Standing {
            chain: ancestors.iter().map(|it| it.key).collect(),
            runner: first.as_ref().map(|first| first.key),
            command: first.map_or_else(String::new, |first| first.program().to_owned()),
            is_of_one_job: false,
            is_container,
        };
    }
    let stays = |it: &Ancestor| it.key.pid != 1 && !it.goes_soon();
    match ancestors.iter().position(stays) {
        Some(at) => up_to(ancestors, at, false),
        // Only shells that go: what they start belongs to the job, and its life is bound to none of them.
        None => Standing {
            chain: ancestors
                .iter()
                .map(|it| it.key)
                .filter(|key| key.pid != 1)
                .collect(),
            ..Standing::default()
        },
    }
}

fn up_to(ancestors: &[Ancestor], at: usize, is_of_one_job: bool) -> Standing {
    Standing {
        chain: ancestors[..=at].iter().map(|it| it.key).collect(),
        runner: Some(ancestors[at].key),
        command: ancestors[at].program().to_owned(),
        is_of_one_job,
        is_container: false,
    }
}

/// Every ancestor of a process, from its parent up.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn ancestors_of(procfs: &Procfs, pid: u32) -> Result<Vec<ProcessKey>, ProcError> {
    let ancestors = ancestors(procfs, pid)?;
    Ok(ancestors.into_iter().map(|it| it.key).collect())
}

fn ancestors(procfs: &Procfs, pid: u32) -> Result<Vec<Ancestor>, ProcError> {
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    let mut next = procfs.stat(pid, &mut buffer)?.map(|stat| stat.parent_pid);
    while let Some(pid) = next.filter(|pid| *pid > 0 && found.len() < MAX_DEPTH) {
        let Some((ancestor, parent)) = ancestor(procfs, pid, &mut buffer)? else {
            break;
        };
        found.push(ancestor);
        next = Some(parent);
    }
    Ok(found)
}

fn ancestor(
    procfs: &Procfs,
    pid: u32,
    buffer: &mut Vec<u8>,
) -> Result<Option<(Ancestor, u32)>, ProcError> {
    let stat = match procfs.stat(pid, buffer) {
        // Where `/proc` hides what other users do, the ancestry ends for us.
        Err(error) if error.is_forbidden() => None,
        found => found?,
    };
    let Some(stat) = stat else {
        return Ok(None);
    };
    let words = procfs.words(pid, buffer)?;
    let key = ProcessKey {
        pid,
        start_ticks: stat.start_ticks,
    };
    let ancestor = Ancestor {
        key,
        words,
        comm: stat.comm,
    };
    Ok(Some((ancestor, stat.parent_pid)))
}

impl Ancestor {
    fn program(&self) -> &str {
        let word = self.words.first().map_or("", String::as_str);
        let name = Path::new(word).file_name().and_then(|name| name.to_str());
        // A login shell has a dash before its name.
        name.unwrap_or(&self.comm).trim_start_matches('-')
    }

    fn is_runner_of_one_job(&self) -> bool {
        let program = self.program();
        // `buildkite-agent bootstrap` runs one job; `buildkite-agent start` is there for all.
        let is_bootstrap = program == "buildkite-agent"
            && self.words.get(1).is_some_and(|word| word == "bootstrap");
        // Where the runtime of .NET runs the worker, the name is that of a library.
        let by_runtime = program == "dotnet"
            && self.words.get(1).is_some_and(|word| {
                RUNNERS_OF_ONE_JOB
                    .iter()
                    .any(|name| word.ends_with(&format!("{name}.dll")))
            });
        RUNNERS_OF_ONE_JOB.contains(&program) || is_bootstrap || by_runtime
    }

    /// A shell with a script, or a program that only starts another.
    fn goes_soon(&self) -> bool {
        let program = self.program();
        (SHELLS.contains(&program) && has_script(&self.words)) || STARTERS.contains(&program)
    }
}

/// Whether a shell runs a script or commands, by its words, and is none to type into.
fn has_script(words: &[String]) -> bool {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // An option with a word of its own.
            "--init-file" | "--rcfile" | "-o" | "+o" | "-O" | "+O" => drop(words.next()),
            "-c" => return true,
            "-i" => return false,
            option if option.starts_with(['-', '+']) => {}
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(lines: &[(u32, &str)]) -> Vec<Ancestor> {
        lines
            .iter()
            .map(|(pid, line)| Ancestor {
                key: ProcessKey {
                    pid: *pid,
                    start_ticks: u64::from(*pid),
                },
                words: line.split(' ').map(str::to_owned).collect(),
                comm: String::new(),
            })
            .collect()
    }

    #[track_caller]
    fn check(lines: &[(u32, &str)], is_container: bool, runner: Option<u32>, is_of_one_job: bool) {
        let first = chain(&[(1, "sh -c build")]).pop();
        let standing = choose(&chain(lines), is_container, first);
        let found = standing.runner.map(|key| key.pid);
        assert_eq!((found, standing.is_of_one_job), (runner, is_of_one_job));
    }

    #[test]
    fn a_runner_of_one_job_goes_before_everything() {
        let github = [
            (40, "/usr/bin/bash -e /runner/_temp/1.sh"),
            (30, "/runner/bin/Runner.Worker spawnclient 1 2"),
            (20, "/runner/bin/Runner.Listener run"),
            (1, "/sbin/init"),
        ];
        check(&github, false, Some(30), true);
        check(&github, true, Some(30), true);
        let buildkite = [
            (41, "/bin/bash -e -c ci/test"),
            (40, "buildkite-agent bootstrap"),
            (30, "buildkite-agent start"),
        ];
        check(&buildkite, false, Some(40), true);
        check(&[(9, "dotnet /a/Agent.Worker.dll x")], false, Some(9), true);
    }

    #[test]
    fn shells_that_go_with_their_step_are_passed_over() {
        let script = [
            (50, "sh -c highwater start"),
            (40, "sudo -u ci bash step.sh"),
            (30, "bash -e step.sh"),
            (20, "python harness.py"),
            (1, "init"),
        ];
        check(&script, false, Some(20), false);
        assert_eq!(choose(&chain(&script), false, None).chain.len(), 4);
        let typed = [(50, "-bash"), (40, "sshd: me"), (1, "init")];
        check(&typed, false, Some(50), false);
        for typed in [
            "bash --login",
            "bash --init-file /x/init.sh -i",
            "bash --rcfile /x/rc",
            "bash -O globstar",
            "zsh -o autocd",
        ] {
            check(
                &[(50, typed), (40, "code"), (1, "init")],
                false,
                Some(50),
                false,
            );
        }
        let script = [(50, "bash -eo pipefail step.sh"), (40, "node"), (1, "init")];
        check(&script, false, Some(40), false);
    }

    #[test]
    fn in_a_container_its_first_process_stays() {
        let steps = [(7, "bash"), (1, "sh -c if [ -x /bin/bash ]")];
        check(&steps, true, Some(1), false);
        // Started from outside: nobody above it is seen.
        check(&[(7, "sh -e step.sh")], true, Some(1), false);
    }

    #[test]
    fn without_anybody_who_stays_a_job_stands_alone() {
        let alone = [(8, "sh -c x"), (7, "sh step.sh"), (1, "init")];
        check(&alone, false, None, false);
        assert_eq!(choose(&chain(&alone), false, None).chain.len(), 2);
        check(&[], false, None, false);
    }
}
