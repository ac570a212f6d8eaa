//! The processes of the job: under `run` every descendant of this agent; in the background whoever [`Membership`] says.
//!
//! Under `run` the agent is a child subreaper, so a descendant whose parent has ended becomes the agent's own child and stays a
//! descendant, whatever it does to become a daemon. Membership is decided once, by ancestry, when a process is first seen;
//! a process is its number and its start time, so a number used again is another process.
//!
//! Architecture invariant: while a tree is watched the agent starts no process but the command. Its threads are no
//! processes, so nothing of its own can be taken for a part of the job.

mod claims;
mod copies;
mod discovery;
mod facts;
mod member;
mod membership;
mod strangers;

use std::collections::HashSet;

use crate::{
    environ::is_title,
    procfs::{ProcError, Procfs, command_line},
};
use claims::is_beside_the_tests;
use copies::Copies;
use strangers::Strangers;

pub use claims::is_stop;
pub use discovery::Discovery;
pub use facts::{FactLooks, Facts, LookAt, is_python};
pub use member::{Member, Place, ProcessKey};
pub use membership::{BACKGROUND, CHAIN_FLAG, Membership, chain_of, chain_word, parse_chain};

/// What happened to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEvent {
    /// A process was seen for the first time.
    Born(Birth),
    /// A process runs another program now, or says that its command is another, or is found to be a fork of a pytest or none any more.
    Renamed {
        /// Which process.
        key: ProcessKey,
        /// Its command, as words.
        words: Vec<String>,
        /// As of a [`Birth`].
        is_copy: bool,
    },
    /// A process was not there any more.
    Gone {
        /// Which process.
        key: ProcessKey,
    },
}

/// A process as it was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// Which process.
    pub key: ProcessKey,
    /// Its parent when it was first seen: the one it was born to, unless that had already ended.
    pub parent_pid: u32,
    /// Its command, as words; the bracketed name of its program where it has none.
    pub words: Vec<String>,
    /// Whether it is a fork of a pytest and has not called exec: those words are not its own.
    pub is_copy: bool,
    /// Whether its address space was about as large as its parent's; `None` where the parent is none of the tree.
    pub is_as_large: Option<bool>,
}

/// How far up an unknown process's ancestry is followed.
const MAX_DEPTH: usize = 64;

/// The processes of the job.
#[derive(Debug)]
pub struct Tree {
    procfs: Procfs,
    agent_pid: u32,
    page_bytes: u64,
    /// Who belongs to it; none where every descendant of the agent does.
    membership: Option<Membership>,
    members: Vec<Member>,
    member_pids: HashSet<u32>,
    /// Numbers that were looked at and belong to others; forgotten at each scan, when every number is looked at again.
    outsiders: HashSet<u32>,
    /// Sessions of others; none where they tell nothing.
    strangers: Option<Strangers>,
    /// Other agents that members were already yielded to.
    met_rivals: usize,
    copies: Copies,
    events: Vec<TreeEvent>,
    buffer: Vec<u8>,
}

impl Tree {
    /// An empty tree below an agent.
    #[must_use]
    pub fn new(procfs: Procfs, agent_pid: u32, page_bytes: u64) -> Self {
        Self {
            strangers: Strangers::seen_in(&procfs, agent_pid),
            procfs,
            agent_pid,
            page_bytes,
            membership: None,
            members: Vec::new(),
            member_pids: HashSet::new(),
            outsiders: HashSet::new(),
            met_rivals: 0,
            copies: Copies::default(),
            events: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// An empty tree of a job in the background; the agent itself is none of it.
    #[must_use]
    pub fn of_job(procfs: Procfs, agent_pid: u32, page_bytes: u64, membership: Membership) -> Self {
        Self {
            membership: Some(membership),
            strangers: None,
            ..Self::new(procfs, agent_pid, page_bytes)
        }
    }

    /// The living members.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The living members, to be read.
    pub fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// Takes what has happened since the last call.
    pub fn take_events(&mut self) -> std::vec::Drain<'_, TreeEvent> {
        self.events.drain(..)
    }

    /// Looks whether a process is a member, adding it, and those between it and the tree, when it is. False when there is no
    /// such process.
    ///
    /// # Errors
    /// When the kernel's files cannot be read or understood.
    pub fn consider(&mut self, pid: u32, now_us: i64) -> Result<bool, ProcError> {
        self.settle_rivals()?;
        self.outsiders.remove(&pid);
        if let Some(found) = self.word_of_session(pid) {
            return Ok(found != Found::Nothing);
        }
        let found = self.climb(pid, now_us, MAX_DEPTH)?;
        // A fork shows the environment of its parent until it calls exec.
        let may_change = self.membership.is_some() && found == Found::Outsider;
        Ok(found != Found::Nothing && !may_change)
    }

    fn is_member(&self, pid: u32) -> bool {
        self.member_pids.contains(&pid)
    }

    /// Whether a number was looked at and belongs to a member or to an outsider.
    fn is_known(&self, pid: u32) -> bool {
        self.is_member(pid) || self.outsiders.contains(&pid)
    }

    /// Whether it holds every descendant of the agent, or the members of a job.
    fn is_below_the_agent(&self) -> bool {
        self.membership.is_none()
    }

    /// Takes in the command itself, which may have ended already and then shows no words of its own.
    ///
    /// # Errors
    /// When the kernel's files cannot be read or understood.
    pub fn adopt(&mut self, pid: u32, words: Vec<String>, now_us: i64) -> Result<(), ProcError> {
        if let Some(stat) = self.procfs.stat(pid, &mut self.buffer)? {
            let key = ProcessKey {
                pid,
                start_ticks: stat.start_ticks,
            };
            self.add(key, stat.parent_pid, words, now_us)?;
        }
        Ok(())
    }

    /// What a process is, adding it, and those between it and the tree, where it is a member.
    fn climb(&mut self, pid: u32, now_us: i64, depth: usize) -> Result<Found, ProcError> {
        if self.member_pids.contains(&pid) {
            return Ok(Found::Member);
        }
        match &self.membership {
            None if pid == self.agent_pid => return Ok(Found::Above),
            None if pid <= 1 => return Ok(Found::Outsider),
            Some(_) if pid == self.agent_pid => return Ok(Found::Outsider),
            Some(membership) if pid == 0 => return Ok(membership.claim_of_orphans().into()),
            _ => {}
        }
        if depth == 0 || self.outsiders.contains(&pid) {
            return Ok(Found::Outsider);
        }
        // The parent may end between two looks, and the child is then another's: ask again.
        for _ in 0..2 {
            let stat = match self.procfs.stat(pid, &mut self.buffer) {
                Ok(Some(stat)) => stat,
                Ok(None) => return Ok(Found::Nothing),
                // Where `/proc` hides what other users do (hidepid), what is hidden is theirs.
                Err(error) if error.is_forbidden() => break,
                Err(error) => return Err(error),
            };
            if stat.is_thread || stat.is_dead() {
                return Ok(Found::Outsider);
            }
            let key = ProcessKey {
                pid,
                start_ticks: stat.start_ticks,
            };
            let is_sure = match self.word_of(key, &stat)? {
                Some(Found::Member) => true,
                Some(Found::Above) => return Ok(Found::Above),
                Some(Found::Outsider | Found::Nothing) => break,
                None => match self.climb(stat.parent_pid, now_us, depth - 1)? {
                    Found::Nothing => continue,
                    Found::Outsider => {
                        self.learn_stranger(pid);
                        break;
                    }
                    Found::Above if self.is_from_before(key) => return Ok(Found::Above),
                    Found::Above => self.runner_serves_this_job_alone(),
                    Found::Member => self.is_sure(stat.parent_pid),
                },
            };
            let name = vec![format!("[{}]", stat.comm)];
            self.add(key, stat.parent_pid, name, now_us)?;
            if let Some(member) = self.members.last_mut().filter(|it| it.key == key) {
                member.is_sure = is_sure;
            }
            return Ok(Found::Member);
        }
        self.outsiders.insert(pid);
        Ok(Found::Outsider)
    }

    fn add(
        &mut self,
        key: ProcessKey,
        parent_pid: u32,
        otherwise: Vec<String>,
        now_us: i64,
    ) -> Result<(), ProcError> {
        let Some(statm) = self.procfs.open_statm(key.pid, self.page_bytes)? else {
            return Ok(());
        };
        let mut words = self.procfs.words(key.pid, &mut self.buffer)?;
        if words.is_empty() {
            words = otherwise;
        }
        let members = self.members.iter().map(|member| member.key);
        let is_copy = self
            .copies
            .judge(&self.procfs, key, &words, members)
            .unwrap_or(false);
        self.member_pids.insert(key.pid);
        let mut member = Member::new(key, statm, command_line(&words), now_us);
        member.is_copy = is_copy;
        let parent = self.members.iter_mut().find(|it| it.key.pid == parent_pid);
        // What cannot be read is not known.
        let is_as_large = parent.and_then(|parent| member.is_as_large_as(parent).ok().flatten());
        self.members.push(member);
        self.events.push(TreeEvent::Born(Birth {
            key,
            parent_pid,
            words,
            is_copy,
            is_as_large,
        }));
        Ok(())
    }

    /// Removes the members that were found to have ended.
    pub fn bury(&mut self) {
        let (events, pids) = (&mut self.events, &mut self.member_pids);
        self.members.retain(|member| {
            if member.ended {
                pids.remove(&member.key.pid);
                events.push(TreeEvent::Gone { key: member.key });
            }
            !member.ended
        });
    }

    /// Asks again for the command of those members that may have called exec.
    ///
    /// # Errors
    /// When the kernel's files cannot be read.
    pub fn refresh_commands(&mut self, now_us: i64) -> Result<(), ProcError> {
        for member in &mut self.members {
            if !member.takes_look_at_command(now_us) {
                continue;
            }
            let words = self.procfs.words(member.key.pid, &mut self.buffer)?;
            if words.is_empty() {
                continue;
            }
            let key = member.key;
            if is_beside_the_tests(&words) {
                // A shell that was about to become one.
                member.ended = true;
                self.member_pids.remove(&key.pid);
                self.outsiders.insert(key.pid);
                self.strangers = None;
                continue;
            }
            // A title that xdist changes with each test is no other command.
            let is_renamed = !is_title(&words) && member.rename(command_line(&words));
            let before = member.is_copy;
            member.is_copy = self
                .copies
                .judge(&self.procfs, key, &words, std::iter::empty())
                .unwrap_or(before && !is_renamed);
            if is_renamed || (before != member.is_copy && !is_title(&words)) {
                self.events.push(TreeEvent::Renamed {
                    key,
                    words,
                    is_copy: member.is_copy,
                });
            }
        }
        Ok(())
    }
}

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Member,
    /// No member itself, but its children are.
    Above,
    Outsider,
    Nothing,
}

#[cfg(test)]
mod tests;
