//! What the agent saw happen: signals to itself, actions of its guard, the end of the CI's runner, gaps of its own.

use std::collections::BTreeSet;

use highwater_wire::{
    MEMORY_DAEMONS,
    report::Role,
    v1::{Event, event::What},
};

use super::{
    super::parts::Parts,
    words::{SIGINT, SIGTERM, program, signal_name},
};

/// The provider of GitHub Actions, as an agent names it.
const GITHUB: &str = "github";
/// GitHub sends SIGINT, SIGTERM and SIGKILL within this.
const CANCEL_US: i64 = 60_000_000;

/// A signal that the agent was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::digest) struct Taken {
    pub(in crate::digest) at_us: i64,
    pub(in crate::digest) signal: i32,
    pub(in crate::digest) sender_pid: u32,
    pub(in crate::digest) sender: String,
    pub(in crate::digest) from_terminal: bool,
}

/// What the guard did when its limit was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::digest) struct Guarded {
    pub(in crate::digest) at_us: i64,
    pub(in crate::digest) stopped: bool,
    pub(in crate::digest) limit: String,
    pub(in crate::digest) used_bytes: i64,
    pub(in crate::digest) limit_bytes: i64,
    /// Who was told to end, and by which signal.
    pub(in crate::digest) pids: Vec<u32>,
    pub(in crate::digest) signal: i32,
}

/// Everything of that kind, in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Seen {
    pub(in crate::digest) signals: Vec<Taken>,
    pub(in crate::digest) guard: Vec<Guarded>,
    /// When the CI runner's process was gone, its number and command.
    pub(in crate::digest) runner_gone: Option<(i64, u32, String)>,
    /// From when to when an agent was missing.
    pub(in crate::digest) gaps: Vec<(i64, i64)>,
    /// The job is one of GitHub's.
    pub(in crate::digest) of_github: bool,
    /// Processes of the job: signals of theirs are none of the CI's.
    pub(in crate::digest) members: BTreeSet<u32>,
}

impl Seen {
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let members = parts.processes.iter().filter(|it| it.role != Role::Other);
        let run = parts.recording.job().run.as_ref();
        let mut seen = Self {
            of_github: run.is_some_and(|run| run.provider == GITHUB),
            members: members.map(|process| process.key.pid).collect(),
            ..Self::default()
        };
        for event in parts.recording.events() {
            seen.take(event);
        }
        seen
    }

    fn take(&mut self, event: &Event) {
        let at_us = event.t_us;
        match &event.what {
            Some(What::Signal(taken)) => self.signals.push(Taken {
                at_us,
                signal: taken.signal,
                sender_pid: taken.sender_pid,
                sender: taken.sender.clone(),
                from_terminal: taken.from_terminal,
            }),
            Some(What::Guard(action)) => self.guard.push(Guarded {
                at_us,
                stopped: action.action == "stopped",
                limit: action.limit.clone(),
                used_bytes: action.used_bytes.cast_signed(),
                limit_bytes: action.limit_bytes.cast_signed(),
                pids: action.pids.clone(),
                signal: action.signal,
            }),
            Some(What::RunnerGone(gone)) => {
                self.runner_gone = Some((at_us, gone.pid, gone.command.clone()));
            }
            Some(What::AgentGap(gap)) => self.gaps.push((gap.from_us, at_us)),
            // The kernel's log is read with its counters.
            Some(What::KernelOom(_)) | None => {}
        }
    }

    /// When the guard told pytest to end.
    pub(super) fn guard_stop(&self) -> Option<&Guarded> {
        self.guard.iter().find(|action| action.stopped)
    }

    /// What the guard did. Where it decided how the job ended: what it did at the limit at which it told pytest to end, the first warning and from that on.
    pub(super) fn guarded(&self, decided: bool) -> Vec<&Guarded> {
        let Some(stop) = self.guard_stop().filter(|_| decided) else {
            return self.guard.iter().collect();
        };
        let mut warned = self.guard.iter();
        let warned = warned.find(|it| !it.stopped && it.limit == stop.limit);
        let stops = self.guard.iter().filter(|it| it.stopped);
        warned.into_iter().chain(stops).collect()
    }

    /// The signals by which a CI ends a step that was cancelled: SIGINT, and SIGTERM where that did not help, from no terminal. In a job of
    /// GitHub, which alone begins with SIGINT, one that helped is enough.
    pub(super) fn cancel(&self) -> Option<(&Taken, Option<&Taken>)> {
        let of_ci = |taken: &&Taken, signal| {
            let by_job = self.members.contains(&taken.sender_pid);
            taken.signal == signal && !taken.from_terminal && !taken.by_timeout() && !by_job
        };
        let interrupts = || self.signals.iter().filter(|taken| of_ci(taken, SIGINT));
        let followed = interrupts().find_map(|interrupt| {
            let until_us = interrupt.at_us.saturating_add(CANCEL_US);
            let term = self.signals.iter().find(|taken| {
                of_ci(taken, SIGTERM) && (interrupt.at_us..=until_us).contains(&taken.at_us)
            })?;
            Some((interrupt, Some(term)))
        });
        let alone = || interrupts().next().map(|interrupt| (interrupt, None));
        followed.or_else(|| self.of_github.then(alone).flatten())
    }

    /// The last signal of a kind with a sender that is known.
    pub(super) fn sender_of(&self, signal: i32) -> Option<&Taken> {
        let mut taken = self.signals.iter().rev();
        taken.find(|taken| taken.signal == signal && taken.sender_pid != 0)
    }
}

impl Taken {
    pub(super) fn by_timeout(&self) -> bool {
        program(&self.sender) == "timeout"
    }

    /// Whether it is one by its program, or by the script that this runs.
    pub(super) fn is_memory_daemon(&self) -> bool {
        let words = self.sender.split_whitespace();
        let named = words.filter(|word| !word.starts_with('-')).take(2);
        named
            .map(|word| program(word.trim_matches(['[', ']'])))
            .any(|name| MEMORY_DAEMONS.contains(&name))
    }

    /// As "process 812 (kill -9 7)".
    pub(super) fn sender_words(&self) -> String {
        if self.sender.is_empty() {
            format!("process {}", self.sender_pid)
        } else {
            format!("process {} ({})", self.sender_pid, self.sender)
        }
    }

    pub(super) fn words(&self) -> String {
        let from = match (self.from_terminal, self.sender_pid) {
            (true, _) => " from the terminal".to_owned(),
            (false, 0) => String::new(),
            (false, _) => format!(" by {}", self.sender_words()),
        };
        format!("The agent was sent {}{from}.", signal_name(self.signal))
    }
}
