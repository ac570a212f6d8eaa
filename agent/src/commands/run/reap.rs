//! Reaping children, with the kernel's account of them.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// A child that was reaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reaped {
    pub(super) pid: u32,
    pub(super) status: ExitStatus,
    /// `ru_maxrss`, bytes. Survives exec, so it may be an ancestor's.
    pub(super) high_water_bytes: u64,
}

/// Reaps one child that has ended; `None` when there is none. Waits for one when told to.
pub(super) fn reap(wait: bool) -> Option<Reaped> {
    let mut status: libc::c_int = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let options = if wait { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: both pointers are to live, writable objects of the types wait4 fills in; it keeps neither.
        #[expect(
            unsafe_code,
            reason = "neither std nor rustix gives wait4 with the resource usage of any child"
        )]
        let pid = unsafe { libc::wait4(-1, &raw mut status, options, usage.as_mut_ptr()) };
        if pid < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
            continue;
        }
        // SAFETY: all bytes zero is a valid rusage, and the kernel only writes valid ones.
        #[expect(unsafe_code, reason = "belongs to the call above")]
        let usage = unsafe { usage.assume_init() };
        return (pid > 0).then(|| Reaped {
            pid: pid.cast_unsigned(),
            status: ExitStatus::from_raw(status),
            high_water_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        });
    }
}
