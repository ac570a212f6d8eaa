//! Finding `environ` of a process; done once a program, since it costs some milliseconds.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use rustix::{io::Errno, process::geteuid};

use super::{
    Reason,
    attached::Attached,
    maps::{self, Image},
    memory::Memory,
    scan,
    symbols::{Problem, Table, find_environ},
};
use crate::{
    procfs::{ProcError, Procfs, read_into},
    regular,
};

/// A process and what it takes to look at it.
pub(super) struct Found {
    pub(super) attached: Attached,
    /// When the process began, in clock ticks since boot.
    pub(super) start_ticks: u64,
}

/// Opens the memory of a process and finds its `environ`.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn attach(procfs: &Procfs, pid: u32) -> Result<Found, Reason> {
    // Opened before anything else is read: if the process meanwhile executes another program, this still is the old one's memory, which is gone.
    let memory = Memory::open(procfs, pid).map_err(|error| of_open(procfs, pid, &error))?;
    let (start_ticks, initial) = of_stat(procfs, pid)?;
    let images = maps::read(procfs, pid).map_err(|error| of_reading(procfs, pid, &error))?;
    let images = images.ok_or(Reason::Gone)?;
    let executable = images.executable.as_ref();
    let mut environs = Vec::new();
    if let Some(image) = executable {
        environs.extend(search(procfs, pid, image, true, &memory, Table::Dynamic)?);
    }
    for image in &images.libcs {
        environs.extend(search(procfs, pid, image, false, &memory, Table::Dynamic)?);
    }
    if let (true, Some(image)) = (environs.is_empty(), executable) {
        environs.extend(search(procfs, pid, image, true, &memory, Table::Full)?);
    }
    let mut guessed = None;
    if environs.is_empty() {
        let scanned = scan::scan(procfs, pid, &memory, &initial);
        let scanned = scanned.map_err(|error| of_reading(procfs, pid, &error))?;
        (environs, guessed) = (scanned.environs, Some(scanned.first_array));
    }
    if environs.is_empty() {
        return Err(Reason::NoSymbol);
    }
    Ok(Found {
        attached: Attached::new(memory, environs, guessed, initial),
        start_ticks,
    })
}

fn search(
    procfs: &Procfs,
    pid: u32,
    image: &Image,
    is_executable: bool,
    memory: &Memory,
    table: Table,
) -> Result<Option<u64>, Reason> {
    let (file, path) = if is_executable {
        // The link leads to the file itself, also when it has no name any more or is in another file system.
        (File::open(procfs.path_of(pid, "exe")), &image.path)
    } else {
        (
            regular::open(&in_its_root(procfs, pid, &image.path)),
            &image.path,
        )
    };
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Reason::Replaced { path: path.clone() },
        _ => unreadable(path, &error),
    })?;
    find_environ(&file, image, memory, table).map_err(|problem| match problem {
        Problem::Replaced => Reason::Replaced { path: path.clone() },
        problem => unreadable(path, &problem),
    })
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Reason {
    Reason::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// A path as the process sees it, which may be in a container.
fn in_its_root(procfs: &Procfs, pid: u32, path: &Path) -> PathBuf {
    procfs
        .path_of(pid, "root")
        .join(path.strip_prefix("/").unwrap_or(path))
}

/// When the process began, and where the kernel laid the strings of its environment (fields 50 and 51).
fn of_stat(procfs: &Procfs, pid: u32) -> Result<(u64, Range<u64>), Reason> {
    let mut text = Vec::new();
    let stat = procfs
        .stat(pid, &mut text)
        .map_err(|error| of_reading(procfs, pid, &error))?
        .ok_or(Reason::Gone)?;
    let after_name = text.rsplit(|byte| *byte == b')').next().unwrap_or_default();
    let mut fields = after_name
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .skip(50 - 3)
        .map(|field| std::str::from_utf8(field).ok()?.parse().ok());
    // Without them every string is looked at in each scan.
    let mut address = || fields.next().flatten().unwrap_or(0);
    let (start, end) = (address(), address());
    Ok((stat.start_ticks, start..end))
}

fn of_open(procfs: &Procfs, pid: u32, error: &io::Error) -> Reason {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::SRCH) => Reason::Gone,
        Some(Errno::ACCESS | Errno::PERM) => forbidden(procfs, pid),
        _ => unreadable(&procfs.path_of(pid, "mem"), error),
    }
}

fn of_reading(procfs: &Procfs, pid: u32, error: &ProcError) -> Reason {
    if error.is_forbidden() {
        return forbidden(procfs, pid);
    }
    unreadable(&procfs.path_of(pid, ""), error)
}

/// What it is that forbids it, as far as the kernel shows it.
pub(super) fn forbidden(procfs: &Procfs, pid: u32) -> Reason {
    match owner(procfs, pid) {
        Some(uid) if uid != geteuid().as_raw() => return Reason::OtherUser { uid },
        _ => {}
    }
    let scope = fs::read_to_string(procfs.path("sys/kernel/yama/ptrace_scope"));
    match scope.ok().and_then(|scope| scope.trim().parse().ok()) {
        Some(scope) if scope > 0 => Reason::PtraceScope { scope },
        _ => Reason::Forbidden,
    }
}

/// The real user of a process.
fn owner(procfs: &Procfs, pid: u32) -> Option<u32> {
    let mut status = Vec::new();
    read_into(&procfs.path_of(pid, "status"), &mut status).ok()??;
    let status = String::from_utf8_lossy(&status);
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    uids.split_ascii_whitespace().next()?.parse().ok()
}
