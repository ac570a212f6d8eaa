//! Keeps the agent's own memory from being swapped out or dropped while the machine runs out of it, where that cannot hurt.
//!
//! Locked is what the agent touches, now and later, not what it merely reserves (`MCL_ONFAULT`). That is only safe without a limit: under the
//! usual one of 8 MB a lock of all future pages makes the next allocation fail, and with it the recording. A command that the agent starts
//! inherits nothing: the kernel drops locks and their standing order at fork and exec.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::procfs::{Procfs, effective_capabilities};

/// Number of `CAP_IPC_LOCK` in a set of capabilities.
const CAP_IPC_LOCK: u32 = 14;
/// How the first user namespace maps users: all of them, to themselves.
const ALL_USERS: [&str; 3] = ["0", "0", "4294967295"];

/// What lets this process lock its memory without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `CAP_IPC_LOCK`, where the kernel heeds it.
    Capability,
    /// `RLIMIT_MEMLOCK` is unlimited.
    Unlimited,
    /// Nothing does; so many bytes may be locked.
    None(u64),
}

/// What lets this process lock its memory.
#[must_use]
pub fn right(procfs: &Procfs) -> Right {
    match getrlimit(Resource::Memlock).current {
        None => Right::Unlimited,
        Some(_) if has_capability(procfs) => Right::Capability,
        Some(bytes) => Right::None(bytes),
    }
}

/// Whether `CAP_IPC_LOCK` is effective. In a user namespace of its own a process may have all capabilities, but the kernel asks for this one
/// outside of it.
fn has_capability(procfs: &Procfs) -> bool {
    let own = |name| fs::read_to_string(procfs.path_of(std::process::id(), name));
    let (Ok(status), Ok(users)) = (own("status"), own("uid_map")) else {
        return false;
    };
    users.split_whitespace().eq(ALL_USERS)
        && effective_capabilities(&status).is_some_and(|set| set >> CAP_IPC_LOCK & 1 == 1)
}

/// Locks what the agent touches from now on, where [`right`] allows it; whether it is locked.
pub fn lock(procfs: &Procfs) -> bool {
    !matches!(right(procfs), Right::None(_)) && lock_all()
}

#[cfg(target_os = "linux")]
fn lock_all() -> bool {
    use rustix::mm::{MlockAllFlags, mlockall};

    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    // A kernel before 4.4 does not know the last flag: there nothing is locked.
    mlockall(all).is_ok()
}

/// No other system locks only what is touched.
#[cfg(not(target_os = "linux"))]
fn lock_all() -> bool {
    false
}

/// Gives it up again, for work that is no recording and may take much.
pub fn unlock() {
    // What was never locked cannot be unlocked, and need not be.
    #[cfg(target_os = "linux")]
    let _ = rustix::mm::munlockall();
}
