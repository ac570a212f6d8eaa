//! The signals of a run: what reaches the agent in the command's stead is handed on, and the agent outlives the command.
//!
//! A signal from the terminal (`si_code` `SI_KERNEL`) went to the whole foreground group, so the command, which is in the
//! agent's group, has it already. One that somebody sent to the agent is forwarded, unless the command itself was the sender, or a
//! `timeout` that signals the whole group.
//! A signal that was ignored when the agent began (`nohup`, a background job of a plain `sh`) stays ignored, for the agent and,
//! since dispositions survive exec, for the command; `inherited` does the same for those that Rust or the agent changes for itself.

mod group;
mod inherited;

use std::{
    fs, io,
    sync::{Arc, atomic::AtomicBool},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    flag,
    iterator::{
        SignalsInfo,
        exfiltrator::{WithOrigin, origin::Origin},
    },
    low_level::siginfo::Cause,
};

use crate::{
    pidfd,
    procfs::{Procfs, ignored_signals},
    tree::ProcessKey,
};

pub use inherited::hand_on;

/// Lets a limit of the file size (`ulimit -f`) be an error of the write that met it, as a full disk is, instead of the end of the agent.
///
/// A handler, unlike a signal that is ignored, does not go to the command: after exec the signal does there what it always did.
///
/// # Errors
/// When the system refuses a handler.
pub fn outlive_the_file_limit() -> io::Result<()> {
    if ignores(&Procfs::system(), std::process::id(), SIGXFSZ) {
        return Ok(());
    }
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Whether a process ignores a signal; not, where that cannot be read.
#[must_use]
pub fn ignores(procfs: &Procfs, pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(procfs.path_of(pid, "status")).unwrap_or_default();
    ignored_signals(&status).unwrap_or(0) & (1 << (signal - 1)) != 0
}

/// Every signal that is handed on.
pub const FORWARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// What woke the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A child changed its state; there may be several to reap.
    ChildEnded,
    /// A signal came.
    Signal {
        /// Which.
        number: i32,
        /// Whether the kernel sent it to the whole foreground group.
        from_terminal: bool,
        /// Who sent it, where that is known.
        sender_pid: Option<u32>,
    },
}

impl Happened {
    /// The signal to forward to the command, if there is one it does not have already.
    #[must_use]
    pub fn to_forward(self, command_pid: u32) -> Option<i32> {
        match self {
            Self::Signal {
                number,
                from_terminal: false,
                sender_pid,
            } if sender_pid != Some(command_pid) => Some(number),
            _ => None,
        }
    }

    /// Whether somebody sent the signal to the whole group, so that the command has it; `false` where that cannot be told.
    #[must_use]
    pub fn reached_command(self, procfs: &Procfs, command_pid: u32) -> bool {
        match self {
            Self::Signal {
                sender_pid: Some(sender),
                ..
            } => group::reached_both(procfs, sender, std::process::id(), command_pid),
            _ => false,
        }
    }

    /// The signal by which the job was told to stop.
    #[must_use]
    pub fn told_to_stop(self, command_pid: u32) -> Option<i32> {
        match self {
            Self::Signal {
                number, sender_pid, ..
            } if [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&number)
                && sender_pid != Some(command_pid) =>
            {
                Some(number)
            }
            _ => None,
        }
    }
}

/// The signals this agent has taken over.
#[derive(Debug)]
pub struct Signals {
    taken: Vec<i32>,
    info: SignalsInfo<WithOrigin>,
}

impl Signals {
    /// Takes over every forwarded signal that was not ignored until now, and `SIGCHLD`.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn take_over() -> io::Result<Self> {
        let taken: Vec<i32> = FORWARDED
            .into_iter()
            .filter(|signal| !ignores(&Procfs::system(), std::process::id(), *signal))
            .collect();
        let info = SignalsInfo::new(taken.iter().chain([&SIGCHLD]))?;
        Ok(Self { taken, info })
    }

    /// Takes over what ends an agent in the background, and `SIGHUP`, which does not: its terminal may go, it stays.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn take_over_in_background() -> io::Result<Self> {
        let taken = vec![SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let info = SignalsInfo::new(&taken)?;
        Ok(Self { taken, info })
    }

    /// Whether a signal ends an agent in the background.
    #[must_use]
    pub fn ends_background(signal: i32) -> bool {
        [SIGINT, SIGQUIT, SIGTERM].contains(&signal)
    }

    /// Waits for the next to happen.
    pub fn wait(&mut self) -> impl Iterator<Item = Happened> {
        self.info.wait().map(|origin| happened(&origin))
    }

    /// What is to be done with further signals, once the command has ended: the first raises the flag, by which whoever still works
    /// should come to an end soon; the next ends the agent as if it had never taken over.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn hurry(self) -> io::Result<Arc<AtomicBool>> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in self.taken {
            flag::register_conditional_default(signal, Arc::clone(&flag))?;
            flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(flag)
    }
}

fn happened(origin: &Origin) -> Happened {
    if origin.signal == SIGCHLD {
        return Happened::ChildEnded;
    }
    Happened::Signal {
        number: origin.signal,
        from_terminal: origin.cause == Cause::Kernel,
        sender_pid: origin
            .process
            .and_then(|process| u32::try_from(process.pid).ok()),
    }
}

/// Sends a signal to a child that was not reaped yet: until then its number cannot be another's.
///
/// # Errors
/// When the kernel refuses, as for a command that has become another user.
pub fn send_to_child(pid: u32, signal: i32) -> io::Result<()> {
    let (pid, signal) = named(pid, signal)?;
    Ok(kill_process(pid, signal)?)
}

/// Sends a signal to a process, and to no other that has its number by now.
///
/// # Errors
/// When it is gone, or the kernel refuses.
pub fn send(procfs: &Procfs, key: ProcessKey, signal: i32) -> io::Result<()> {
    let (pid, signal) = named(key.pid, signal)?;
    let handle = pidfd::open(key.pid);
    // The handle stands for whoever had the number when it was opened: what is read now is of that process, or of none.
    let stat = procfs
        .stat(key.pid, &mut Vec::new())
        .map_err(io::Error::other)?;
    if stat.is_none_or(|stat| stat.start_ticks != key.start_ticks) {
        return Err(Errno::SRCH.into());
    }
    match handle {
        Ok(handle) => pidfd::send(&handle, signal)?,
        // Before Linux 5.3, and where a sandbox forbids it.
        Err(Errno::NOSYS | Errno::PERM) => kill_process(pid, signal)?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn named(pid: u32, signal: i32) -> io::Result<(Pid, Signal)> {
    let pid = Pid::from_raw(pid.cast_signed());
    let both = pid.zip(Signal::from_named_raw(signal));
    both.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_has_or_sent_is_not_sent_again() {
        let signal = |from_terminal, sender_pid| Happened::Signal {
            number: SIGTERM,
            from_terminal,
            sender_pid,
        };
        assert_eq!(signal(false, Some(1)).to_forward(7), Some(SIGTERM));
        assert_eq!(signal(false, None).to_forward(7), Some(SIGTERM));
        assert_eq!(signal(true, None).to_forward(7), None);
        assert_eq!(signal(false, Some(7)).to_forward(7), None);
        assert_eq!(Happened::ChildEnded.to_forward(7), None);
    }

    #[test]
    fn the_terminal_tells_to_stop_too_but_the_command_does_not() {
        let interrupt = |from_terminal, sender_pid| Happened::Signal {
            number: SIGINT,
            from_terminal,
            sender_pid,
        };
        assert_eq!(interrupt(true, None).told_to_stop(7), Some(SIGINT));
        assert_eq!(interrupt(false, Some(7)).told_to_stop(7), None);
        let other = Happened::Signal {
            number: SIGUSR1,
            from_terminal: false,
            sender_pid: None,
        };
        assert_eq!(other.told_to_stop(7), None);
    }

    #[test]
    fn a_number_that_is_anothers_by_now_is_not_signalled() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let procfs = Procfs::system();
        let stat = procfs.stat(child.id(), &mut Vec::new()).unwrap().unwrap();
        let mut key = ProcessKey {
            pid: child.id(),
            start_ticks: stat.start_ticks + 1,
        };
        let error = send(&procfs, key, 15).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::SRCH));
        assert!(child.try_wait().unwrap().is_none());
        key.start_ticks = stat.start_ticks;
        send(&procfs, key, 15).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15)
        );
    }
}
