//! How a process ended that is nobody's child here.
//!
//! A pidfd is readable once its process has ended, whosever child it was. Until its parent has reaped it, `/proc/PID/stat` has the status for
//! whoever might trace it; afterwards the pidfd itself tells it, since Linux 6.15.

use std::{fs, io, os::fd::OwnedFd, os::unix::fs::MetadataExt, os::unix::process::ExitStatusExt};

use rustix::{
    io::Errno,
    ioctl::{Updater, ioctl, opcode},
    process::geteuid,
};

pub use std::process::ExitStatus;

use crate::{
    pidfd,
    procfs::{Procfs, effective_capabilities, read_into},
    tree::ProcessKey,
};

/// `CAP_SYS_PTRACE`, as a bit of `CapEff`.
const MAY_TRACE_ALL: u64 = 1 << 19;
/// `PIDFD_INFO_EXIT`.
const INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of `linux/pidfd.h` in its first size, which every later kernel takes.
#[repr(C)]
#[derive(Debug, Default)]
struct PidfdInfo {
    /// What is asked for, and then what is told.
    mask: u64,
    cgroup_id: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    /// Real, effective, saved and filesystem ids of user and group.
    ids: [u32; 8],
    exit_status: i32,
}

/// `PIDFD_GET_INFO`.
const GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// A process that is held on to, so that its end is heard of.
#[derive(Debug)]
pub struct Held {
    /// Which process.
    pub key: ProcessKey,
    fd: OwnedFd,
}

impl Held {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, another has its number, or that cannot be told; others where the kernel has no such thing, forbids it, or gives no
    /// more descriptors.
    pub fn of(procfs: &Procfs, key: ProcessKey) -> io::Result<Self> {
        let held = Self::of_number(key)?;
        // Asked after it is held: whoever has the number now had it then.
        let stat = procfs.stat_of(key.pid, key.start_ticks, &mut Vec::new());
        match stat {
            Ok(Some(_)) => Ok(held),
            // What is not known to be it is not held.
            Ok(None) | Err(_) => Err(Errno::SRCH.into()),
        }
    }

    /// The same of whoever has the number.
    fn of_number(key: ProcessKey) -> io::Result<Self> {
        let fd = pidfd::open(key.pid)?;
        Ok(Self { key, fd })
    }

    /// What is readable once it has ended, and hung up once it was reaped.
    #[must_use]
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// How it ended; `None` while it lives, and where nobody tells. What exit code and signal are made of, as `wait` has them.
    #[must_use]
    pub fn exit_status(&self, procfs: &Procfs) -> Option<ExitStatus> {
        let reaped = self.status_of_reaped().ok().flatten();
        reaped.or_else(|| self.status_of_zombie(procfs))
    }

    /// Whether the kernel may tell it once it was reaped.
    #[must_use]
    pub fn may_be_told_later(&self) -> bool {
        self.status_of_reaped().is_ok()
    }

    fn status_of_reaped(&self) -> io::Result<Option<ExitStatus>> {
        let mut info = PidfdInfo {
            mask: INFO_EXIT,
            ..PidfdInfo::default()
        };
        // SAFETY: PIDFD_GET_INFO reads and writes at most as many bytes as its number says, which is made of the size of this type; every field
        // is an integer, for which all bits are valid. A descriptor that knows no such call refuses it.
        #[expect(unsafe_code, reason = "rustix has no safe call for PIDFD_GET_INFO")]
        unsafe {
            ioctl(&self.fd, Updater::<GET_INFO, PidfdInfo>::new(&mut info))?;
        }
        let is_told = info.mask & INFO_EXIT != 0;
        Ok(is_told.then(|| ExitStatus::from_raw(info.exit_status)))
    }

    fn status_of_zombie(&self, procfs: &Procfs) -> Option<ExitStatus> {
        let mut buffer = Vec::new();
        let ProcessKey { pid, start_ticks } = self.key;
        let stat = procfs.stat_of(pid, start_ticks, &mut buffer).ok()??;
        if !stat.is_dead() {
            return None;
        }
        // The kernel writes 0 for whoever may not know.
        let is_true = stat.exit_status != 0 || may_know(procfs, self.key.pid, &mut buffer);
        is_true.then(|| ExitStatus::from_raw(stat.exit_status))
    }
}

fn may_know(procfs: &Procfs, pid: u32, buffer: &mut Vec<u8>) -> bool {
    let own = geteuid().as_raw();
    if fs::metadata(procfs.path_of(pid, "")).is_ok_and(|folder| folder.uid() == own) {
        return true;
    }
    if !matches!(read_into(&procfs.path("self/status"), buffer), Ok(Some(()))) {
        return false;
    }
    let status = String::from_utf8_lossy(buffer);
    effective_capabilities(&status).is_some_and(|set| set & MAY_TRACE_ALL != 0)
}

/// Whether this kernel tells how a process ended after it was reaped, tried with a child that is reaped here.
///
/// # Errors
/// Where a process cannot be held on to, or the child cannot be started.
pub fn tells_exit_of_reaped(mut child: std::process::Command) -> io::Result<bool> {
    let mut child = child.spawn()?;
    let key = ProcessKey {
        pid: child.id(),
        start_ticks: 0,
    };
    // A child that is not reaped keeps its number.
    let held = Held::of_number(key);
    drop(child.kill());
    child.wait()?;
    Ok(held?.status_of_reaped().is_ok_and(|told| told.is_some()))
}

#[cfg(test)]
mod tests;
