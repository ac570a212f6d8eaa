//! What speaks for an ending: the kernel's log, and how processes end that are nobody's child here.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use super::Check;
use crate::{
    procfs::Procfs,
    witness::{KernelLog, Protector, tells_exit_of_reaped},
};

/// Whether the log of the kernel can be read, which names whom it killed for want of memory.
pub(super) fn kernel_log(procfs: &Procfs, path: &Path) -> Check {
    const NAME: &str = "kernel_log";
    let mend = "that there was a kill is counted all the same, who it was may stay unknown; run as root or with CAP_SYSLOG, or set kernel.dmesg_restrict=0, and in a container pass /dev/kmsg";
    match KernelLog::open_at(path, procfs) {
        Ok(log) if log.has_our_pids() => Check::works(NAME, "names whom the kernel kills"),
        Ok(_) => Check::works(
            NAME,
            "names whom the kernel kills, by their numbers outside this container",
        ),
        Err(error) => Check::limited(NAME, format!("{}: {error}", path.display()), mend),
    }
}

/// Whether it is known how any process of the job ended, not only the agent's own children: tried with a child that lives for a moment.
pub(super) fn exits(program: io::Result<std::path::PathBuf>) -> Check {
    const NAME: &str = "exits";
    let mend = "how a process ended that somebody else reaped at once may stay unknown; use a kernel from 6.15 on";
    let tried = program.and_then(|program| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        tells_exit_of_reaped(command)
    });
    match tried {
        Ok(true) => Check::works(NAME, "told of every process, also after it was reaped"),
        Ok(false) => Check::limited(NAME, "told of a process until it is reaped", mend),
        Err(error) => Check::limited(
            NAME,
            format!("a process cannot be held on to: {error}"),
            "how a process ended is known of the agent's own children alone; use a kernel from 5.3 on and let pidfd_open be called",
        ),
    }
}

/// Whether the tests can be made to stand above the agent and the CI's runner where the kernel looks for whom to kill.
pub(super) fn protection(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "protection";
    match Protector::above(procfs, pid, &[]) {
        Some(protector) => Check::works(
            NAME,
            format!("tests are raised to oom_score_adj {}", protector.target()),
        ),
        None => Check::limited(
            NAME,
            "nothing stands above the agent, or its oom_score_adj cannot be read",
            "the kernel may take the agent with the tests; start it with a lower oom_score_adj",
        ),
    }
}
