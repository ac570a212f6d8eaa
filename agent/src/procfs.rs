//! What the kernel says of processes and of the machine: readers of `/proc`.
//!
//! The root is injected, so that tests lay a tree of real files. A process that is gone is no error but `None`; every other
//! failure carries the path and, where the content was not understood, the line.
//!
//! What is read on each tick ([`StatmFile`], [`BirthCounter`]) stays open and is read into the stack.

mod births;
mod error;
mod fields;
mod machine;
mod pids;
mod smaps;
mod stat;
mod statm;
mod status;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use births::BirthCounter;
pub use error::{ProcError, still_there};
pub use fields::{bytes_of, number_after, value_of};
pub(crate) use machine::HeldFile;
pub use machine::{MachineFiles, MachineReading};
pub use pids::command_line;
pub use smaps::Rollup;
pub use stat::Stat;
pub use statm::{Statm, StatmFile};
pub use status::{MemoryLimits, Status, effective_capabilities, ignored_signals};

/// So many bytes of a file are asked for at first.
const PIECE_BYTES: usize = 4 << 10;
/// Link of the PID namespace that the kernel itself is in (`PROC_PID_INIT_INO` in the kernel's `include/linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A process filesystem: `/proc`, or a tree that looks like it.
#[derive(Debug, Clone)]
pub struct Procfs {
    root: PathBuf,
}

impl Procfs {
    /// Reads below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The real one.
    #[must_use]
    pub fn system() -> Self {
        Self::new("/proc")
    }

    /// Whether this is the kernel's own, so that its numbers are those of system calls.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.root == Path::new("/proc")
    }

    /// Where a file of the machine lies.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where a file of a process lies.
    #[must_use]
    pub fn path_of(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(format!("{pid}/{name}"))
    }

    /// Whether this process is in the PID namespace that the kernel itself is in; in a container it is not.
    ///
    /// # Errors
    /// Where the kernel has no namespaces or does not tell.
    pub fn is_in_first_pid_namespace(&self) -> io::Result<bool> {
        let namespace = std::fs::read_link(self.path("self/ns/pid"))?;
        Ok(namespace == Path::new(FIRST_PID_NAMESPACE))
    }
}

/// Reads a whole file into a buffer that is used again and again; `None` when it, or its process, is gone.
///
/// # Errors
/// Every failure but "gone", with the path.
pub fn read_into(path: &Path, buffer: &mut Vec<u8>) -> Result<Option<()>, ProcError> {
    buffer.clear();
    let failed = |source| ProcError::io(path, source);
    let Some(mut file) = still_there(File::open(path)).map_err(failed)? else {
        return Ok(None);
    };
    // The kernel's files tell no size, so none is asked for: that takes as long as to read a short one.
    let mut length = 0;
    loop {
        buffer.resize(length + PIECE_BYTES.max(length), 0);
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.clear();
                return still_there(Err(error)).map_err(failed);
            }
        }
    }
    buffer.truncate(length);
    Ok(Some(()))
}

#[cfg(test)]
mod tests;
