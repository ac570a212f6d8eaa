//! Why it cannot be told which test runs.

use std::path::PathBuf;

/// Why the environment of a process cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It has ended.
    #[error("the process has ended")]
    Gone,
    /// It belongs to another user, and this program has no `CAP_SYS_PTRACE`.
    #[error(
        "the process belongs to user {uid}; run the agent as the same user, or with CAP_SYS_PTRACE"
    )]
    OtherUser {
        /// The owner.
        uid: u32,
    },
    /// Yama allows it for descendants only (1), with `CAP_SYS_PTRACE` only (2), or for nobody (3).
    #[error(
        "kernel.yama.ptrace_scope is {scope}; start pytest below the agent (`highwater run`), or allow it with `sysctl kernel.yama.ptrace_scope=0`"
    )]
    PtraceScope {
        /// Its value.
        scope: u8,
    },
    /// The kernel refuses it for another reason: the process made itself undumpable, has capabilities of its own, or a container's rules forbid it.
    #[error("the kernel does not let this program read the process's memory")]
    Forbidden,
    /// Neither the executable nor a libc that it has mapped names `environ`, and nothing in their data points to an environment.
    #[error(
        "the executable and its libc have no symbol `environ`, and none was found in their data"
    )]
    NoSymbol,
    /// The file that is now under a name is not the one that the process runs.
    #[error("{} has been replaced since the process started", path.display())]
    Replaced {
        /// Which file.
        path: PathBuf,
    },
    /// A file could not be read or understood.
    #[error("failed to read {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It changed during each of several tries.
    #[error("the environment changed while it was read")]
    Changing,
    /// More variables, or a longer value, than is read.
    #[error("the environment is larger than what is read of it")]
    TooLarge,
}
