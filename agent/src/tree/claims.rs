//! Whose a process is in a job beside the steps of a CI, by [`Membership`]; below `run` nothing of this is asked.

use std::{collections::HashSet, os::unix::fs::MetadataExt, path::Path};

use super::{
    Found, MAX_DEPTH, ProcessKey, Tree, TreeEvent,
    membership::{Claim, job_of},
};
use crate::procfs::{ProcError, Procfs, Stat, read_into};

/// Name of this program, as the kernel keeps it.
const OWN_NAME: &str = "highwater";

impl Tree {
    /// Whether the parent of a process is known to belong to others; in a job beside the steps. The child may still name the job in its
    /// environment (`systemd-run`), which the next look at everybody shows; until then the many that a build starts cost one reading each.
    fn is_strangers_child(&mut self, pid: u32) -> Result<bool, ProcError> {
        if self.membership.is_none() {
            return Ok(false);
        }
        let stat = match self.procfs.stat(pid, &mut self.buffer) {
            Err(error) if error.is_forbidden() => return Ok(true),
            found => found?,
        };
        Ok(stat
            .is_some_and(|stat| stat.comm != OWN_NAME && self.outsiders.contains(&stat.parent_pid)))
    }

    /// The same for one of many that were just born: what a stranger starts is a stranger.
    ///
    /// # Errors
    /// As [`consider`](Self::consider).
    pub fn consider_newborn(&mut self, pid: u32, now_us: i64) -> Result<bool, ProcError> {
        if self.is_strangers_child(pid)? {
            self.outsiders.insert(pid);
            return Ok(true);
        }
        self.consider(pid, now_us)
    }

    /// Those whose children are of the job: the agent or the runner and the steps' shells, and every member.
    pub(super) fn parents(&self, into: &mut Vec<u32>) {
        match &self.membership {
            None => into.push(self.agent_pid),
            Some(membership) => into.extend(membership.chain.iter().map(|key| key.pid)),
        }
        into.extend(self.members.iter().map(|member| member.key.pid));
    }

    /// What a process is by itself, whatever its parent is; `None` where that is to be asked. A descendant of the agent never says so itself.
    pub(super) fn word_of(
        &mut self,
        key: ProcessKey,
        stat: &Stat,
    ) -> Result<Option<Found>, ProcError> {
        if stat.comm == OWN_NAME {
            let words = self.procfs.words(key.pid, &mut self.buffer)?;
            // One that records a command is no agent of a job.
            if words.get(1).is_some_and(|word| word != "run") {
                // Another user's program may call itself what it likes.
                if let Some(membership) = &mut self.membership
                    && is_of_user_or_root(&self.procfs, key.pid)
                {
                    membership.meet(key, &words);
                }
                // What it starts is none of the job, and its session is all the same.
                self.strangers = None;
                return Ok(Some(Found::Outsider));
            }
        }
        let Some(membership) = &self.membership else {
            return Ok(None);
        };
        match read_into(&self.procfs.path_of(key.pid, "environ"), &mut self.buffer) {
            Ok(Some(())) => {
                if let Some(job) = job_of(&self.buffer) {
                    let ours = job == membership.job;
                    return Ok(Some(if ours { Found::Member } else { Found::Outsider }));
                }
            }
            Ok(None) => return Ok(Some(Found::Outsider)),
            // That of another user: its ancestry still tells.
            Err(error) if error.is_forbidden() => {}
            Err(error) => return Err(error),
        }
        Ok(match membership.claim(key) {
            Claim::Unclaimed => None,
            claim => Some(claim.into()),
        })
    }

    /// Asks again who was about to become an agent: whoever did has a claim of its own.
    fn question_suspects(&mut self) -> Result<(), ProcError> {
        let Some(membership) = &mut self.membership else {
            return Ok(());
        };
        let mut result = Ok(());
        for suspect in membership.suspects.clone() {
            match words_of_agent(&self.procfs, suspect, &mut self.buffer) {
                Ok(words) => {
                    membership.suspects.retain(|it| *it != suspect);
                    if let Some(words) = words {
                        membership.meet(suspect, &words);
                    }
                }
                // It stays one.
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Whether all below the runner is of this job; so it is below `run`.
    pub(super) fn runner_serves_this_job_alone(&self) -> bool {
        let membership = self.membership.as_ref();
        membership.is_none_or(|membership| membership.since_ticks == 0)
    }

    pub(super) fn is_sure(&self, pid: u32) -> bool {
        let mut members = self.members.iter();
        members
            .find(|member| member.key.pid == pid)
            .is_some_and(|member| member.is_sure)
    }

    pub(super) fn is_from_before(&self, key: ProcessKey) -> bool {
        let membership = self.membership.as_ref();
        membership.is_some_and(|membership| key.start_ticks < membership.since_ticks)
    }

    /// Lets go of members that were taken in before the agent was met that has the better claim to them.
    pub(super) fn settle_rivals(&mut self) -> Result<(), ProcError> {
        self.question_suspects()?;
        let rivals = self.membership.as_ref().map_or(0, |it| it.rivals.len());
        if rivals == self.met_rivals {
            return Ok(());
        }
        // All are asked before anything is changed: where one cannot be, the next look asks all again.
        let mut theirs = HashSet::new();
        for at in 0..self.members.len() {
            let key = self.members[at].key;
            if self.is_a_rivals(key.pid)? {
                theirs.insert(key);
            }
        }
        for member in &mut self.members {
            if theirs.contains(&member.key) {
                member.ended = true;
                self.member_pids.remove(&member.key.pid);
                self.outsiders.insert(member.key.pid);
            }
        }
        // Those that nobody was told of leave without a word.
        let mut untold = HashSet::new();
        self.events.retain(|event| match event {
            TreeEvent::Born(birth) if theirs.contains(&birth.key) => !untold.insert(birth.key),
            _ => true,
        });
        self.members.retain(|member| !untold.contains(&member.key));
        self.met_rivals = rivals;
        Ok(())
    }

    /// Whether the ancestry of a process gives it to another agent. One whose ancestors have ended stays what it was; what is hidden (hidepid) is
    /// theirs, as it is when it is first seen.
    fn is_a_rivals(&mut self, mut pid: u32) -> Result<bool, ProcError> {
        for _ in 0..MAX_DEPTH {
            let stat = match self.procfs.stat(pid, &mut self.buffer) {
                Ok(Some(stat)) => stat,
                Ok(None) => return Ok(false),
                Err(error) if error.is_forbidden() => return Ok(true),
                Err(error) => return Err(error),
            };
            let key = ProcessKey {
                pid,
                start_ticks: stat.start_ticks,
            };
            match self.word_of(key, &stat)? {
                Some(Found::Outsider) => return Ok(true),
                Some(_) => return Ok(false),
                None if stat.parent_pid <= 1 => return Ok(false),
                None => pid = stat.parent_pid,
            }
        }
        Ok(false)
    }
}

/// Whether a command is one of this program's own, and not the one that runs tests: `start`, `status`, `stop` and the like are no part of a job, whose
/// steps they stand beside.
pub(super) fn is_beside_the_tests(words: &[String]) -> bool {
    subcommand_of(words).is_some_and(|subcommand| subcommand != "run")
}

/// Whether a command is `highwater stop`.
#[must_use]
pub fn is_stop(words: &[String]) -> bool {
    subcommand_of(words) == Some("stop")
}

fn subcommand_of(words: &[String]) -> Option<&str> {
    let [program, subcommand, ..] = words else {
        return None;
    };
    let name = Path::new(program).file_name()?;
    (name == OWN_NAME).then_some(subcommand)
}

/// The command of a process that runs this program; `None` where it is gone, runs another, or is hidden, as no agent is whose word counts.
fn words_of_agent(
    procfs: &Procfs,
    key: ProcessKey,
    buffer: &mut Vec<u8>,
) -> Result<Option<Vec<String>>, ProcError> {
    let is_there = |stat: &Stat| stat.start_ticks == key.start_ticks && stat.comm == OWN_NAME;
    let words = match procfs.stat(key.pid, buffer) {
        Ok(stat) if stat.as_ref().is_some_and(is_there) => procfs.words(key.pid, buffer).map(Some),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    match words {
        Err(error) if error.is_forbidden() => Ok(None),
        words => words,
    }
}

/// Whether a process belongs to the user of this one, or to root.
fn is_of_user_or_root(procfs: &Procfs, pid: u32) -> bool {
    let owner = std::fs::metadata(procfs.path_of(pid, "")).map(|about| about.uid());
    owner.is_ok_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
}

impl From<Claim> for Found {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::Ours => Self::Above,
            Claim::Others | Claim::Unclaimed => Self::Outsider,
        }
    }
}
