//! The processes of the job: every descendant of this agent.
//!
//! The agent is a child subreaper, so a descendant whose parent has ended becomes the agent's own child and stays a
//! descendant, whatever it does to become a daemon. Membership is decided once, by ancestry, when a process is first seen;
//! a process is its number and its start time, so a number used again is another process.
//!
//! Architecture invariant: while a tree is watched the agent starts no process but the command. Its threads are no
//! processes, so nothing of its own can be taken for a part of the job.

mod discovery;
mod member;

use std::collections::HashSet;

use crate::{
    environ::is_title,
    procfs::{ProcError, Procfs, command_line},
};

pub use discovery::Discovery;
pub use member::{Member, ProcessKey};

/// What happened to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEvent {
    /// A process was seen for the first time.
    Born(Birth),
    /// A process runs another program now, or says that its command is another.
    Renamed {
        /// Which process.
        key: ProcessKey,
        /// Its command, as words.
        words: Vec<String>,
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
}

/// How far up an unknown process's ancestry is followed.
const MAX_DEPTH: usize = 64;

/// The processes of the job.
#[derive(Debug)]
pub struct Tree {
    procfs: Procfs,
    agent_pid: u32,
    page_bytes: u64,
    members: Vec<Member>,
    member_pids: HashSet<u32>,
    /// Numbers that were looked at and belong to others; forgotten at each scan, when every number is looked at again.
    outsiders: HashSet<u32>,
    events: Vec<TreeEvent>,
    buffer: Vec<u8>,
}

impl Tree {
    /// An empty tree below an agent.
    #[must_use]
    pub fn new(procfs: Procfs, agent_pid: u32, page_bytes: u64) -> Self {
        Self {
            procfs,
            agent_pid,
            page_bytes,
            members: Vec::new(),
            member_pids: HashSet::new(),
            outsiders: HashSet::new(),
            events: Vec::new(),
            buffer: Vec::new(),
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
        self.outsiders.remove(&pid);
        self.climb(pid, now_us, MAX_DEPTH)
            .map(|found| found != Found::Nothing)
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

    fn climb(&mut self, pid: u32, now_us: i64, depth: usize) -> Result<Found, ProcError> {
        if pid == self.agent_pid || self.member_pids.contains(&pid) {
            return Ok(Found::Member);
        }
        if pid <= 1 || depth == 0 || self.outsiders.contains(&pid) {
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
            match self.climb(stat.parent_pid, now_us, depth - 1)? {
                Found::Nothing => {}
                Found::Outsider => break,
                Found::Member => {
                    let key = ProcessKey {
                        pid,
                        start_ticks: stat.start_ticks,
                    };
                    self.add(
                        key,
                        stat.parent_pid,
                        vec![format!("[{}]", stat.comm)],
                        now_us,
                    )?;
                    return Ok(Found::Member);
                }
            }
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
        self.member_pids.insert(key.pid);
        self.members
            .push(Member::new(key, statm, command_line(&words), now_us));
        self.events.push(TreeEvent::Born(Birth {
            key,
            parent_pid,
            words,
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
            // A title that xdist changes with each test is no other command.
            if !words.is_empty() && !is_title(&words) && member.rename(command_line(&words)) {
                let key = member.key;
                self.events.push(TreeEvent::Renamed { key, words });
            }
        }
        Ok(())
    }

    fn procfs(&self) -> &Procfs {
        &self.procfs
    }

    fn forget_outsiders(&mut self) {
        self.outsiders.clear();
    }
}

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Member,
    Outsider,
    Nothing,
}

#[cfg(test)]
mod tests;
