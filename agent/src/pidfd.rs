//! Descriptors that stand for processes: whoever has one speaks of that process and of no other that has its number later. Linux has them from
//! 5.3 on; elsewhere the answers are those of a kernel that has none.

use std::os::fd::OwnedFd;

use rustix::{io::Errno, process::Signal};

/// Takes hold of a process; what comes is readable once it has ended.
///
/// # Errors
/// `ESRCH` when it is gone; others where the kernel has no such thing, forbids it, or gives no more descriptors.
#[cfg(target_os = "linux")]
pub fn open(pid: u32) -> Result<OwnedFd, Errno> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let pid = Pid::from_raw(pid.cast_signed()).ok_or(Errno::SRCH)?;
    pidfd_open(pid, PidfdFlags::empty())
}

/// Takes hold of a process, which this system does not let.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn open(_: u32) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Sends a signal to a process that is held.
///
/// # Errors
/// When it is gone, or the kernel refuses.
#[cfg(target_os = "linux")]
pub fn send(held: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    rustix::process::pidfd_send_signal(held, signal)
}

/// Sends a signal to a process that is held, which here none is.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn send(_: &OwnedFd, _: Signal) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
