//! Sessions in which nobody is of the job: whoever is in one need not be looked at.
//!
//! A process is born into its parent's session, and leaves it only for one that bears its own number. So a descendant of the agent is
//! in the agent's session, or in one that another descendant made: a session that holds one stranger, and is not the agent's, holds strangers
//! alone. To ask for the session takes a tenth of the time that a look at a process takes, which counts where others on the machine start
//! processes all the time.
//!
//! Holds under `run` alone: in the background the environment of a process can make it a member, whatever its session is.

use std::{collections::HashSet, io};

use super::{Found, MAX_DEPTH, Tree};
use crate::procfs::{ProcError, Procfs};

/// Which session a process is in, or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// That of this number, as it is here; 0 where it was made outside.
    Is(u32),
    /// There is no such process.
    OfNobody,
    /// The system does not say.
    Untold,
}

/// Asks for the session of a process.
pub(super) type Ask = fn(u32) -> Session;

/// The strangers' sessions that are known.
#[derive(Debug)]
pub(super) struct Strangers {
    own: Session,
    known: HashSet<u32>,
    pub(super) ask: Ask,
}

impl Strangers {
    /// None is known yet; nothing where processes are told of whom the system does not know by these numbers.
    pub(super) fn seen_in(procfs: &Procfs, agent_pid: u32) -> Option<Self> {
        procfs.is_system().then(|| Self::to(agent_pid, session_of))
    }

    /// The same of sessions that are told otherwise.
    pub(super) fn to(agent_pid: u32, ask: Ask) -> Self {
        Self {
            own: ask(agent_pid),
            known: HashSet::new(),
            ask,
        }
    }

    /// Whether a process is one for certain; `None` where it is to be looked at, which is later where its number is not taken yet.
    pub(super) fn word_of(&self, pid: u32) -> Option<Found> {
        match (self.ask)(pid) {
            Session::Is(session) => self.known.contains(&session).then_some(Found::Outsider),
            Session::OfNobody => Some(Found::Nothing),
            Session::Untold => None,
        }
    }

    /// Learns that a process, and no thread, is one.
    pub(super) fn learn(&mut self, pid: u32) {
        let (Session::Is(own), Session::Is(session)) = (self.own, (self.ask)(pid)) else {
            return;
        };
        if session != own {
            self.known.insert(session);
        }
    }

    /// A number was given anew: a session of that number may be the job's.
    pub(super) fn forget(&mut self, pid: u32) {
        self.known.remove(&pid);
    }

    /// Everything is looked at again.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
    }
}

/// What the system says.
#[expect(
    unsafe_code,
    reason = "rustix takes a session's number for one that is never 0"
)]
pub(super) fn session_of(pid: u32) -> Session {
    let Ok(pid) = i32::try_from(pid) else {
        return Session::Untold;
    };
    // SAFETY: It takes a number and gives one.
    let session = unsafe { libc::getsid(pid) };
    match u32::try_from(session) {
        Ok(session) => Session::Is(session),
        Err(_) if io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) => {
            Session::OfNobody
        }
        Err(_) => Session::Untold,
    }
}

impl Tree {
    /// What the session of a number tells that has just been given.
    pub(super) fn word_of_session(&mut self, pid: u32) -> Option<Found> {
        let strangers = self.strangers.as_mut()?;
        strangers.forget(pid);
        strangers.word_of(pid)
    }

    /// Takes note of a process, and no thread, that is none of the job.
    pub(super) fn learn_stranger(&mut self, pid: u32) {
        if let Some(strangers) = &mut self.strangers {
            strangers.learn(pid);
        }
    }

    /// Forgets who was looked at and is none of the job.
    pub(super) fn forget_outsiders(&mut self) {
        self.outsiders.clear();
        if let Some(strangers) = &mut self.strangers {
            strangers.forget_all();
        }
    }

    /// Looks at one of all processes, whose number is of no thread.
    pub(super) fn look_again(&mut self, pid: u32, now_us: i64) -> Result<(), ProcError> {
        let strangers = self.strangers.as_ref();
        if !self.member_pids.contains(&pid) && strangers.is_some_and(|it| it.word_of(pid).is_some())
        {
            return Ok(());
        }
        // Ancestors first met on the way up are not climbed again.
        self.climb(pid, now_us, MAX_DEPTH).map(|_| ())
    }
}
