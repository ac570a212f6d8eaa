//! The memory controller's view: every cgroup from that of the command up to the root that is visible here.
//!
//! Version 1 and version 2, also both at once (the controller belongs to one of them). A cgroup's usage holds page cache, so
//! the figure to compare with its limit is the working set: usage minus inactive file pages.

mod find;
mod level;

use crate::procfs::{ProcError, Procfs};

pub use find::Version;
pub use level::{CgroupReading, Level};

/// The cgroups of a process, from its own up to the root.
#[derive(Debug)]
pub struct Cgroups {
    version: Version,
    levels: Vec<Level>,
}

impl Cgroups {
    /// Finds and opens the cgroups of a process. There may be none: without a memory controller the list is empty.
    ///
    /// # Errors
    /// When `/proc` cannot be read or understood.
    pub fn of(procfs: &Procfs, pid: u32) -> Result<Self, ProcError> {
        let Some(place) = find::find(procfs, pid)? else {
            return Ok(Self {
                version: Version::None,
                levels: Vec::new(),
            });
        };
        let levels = place
            .levels()
            .filter_map(|(name, folder)| Level::open(place.version, name, &folder))
            .collect();
        Ok(Self {
            version: place.version,
            levels,
        })
    }

    /// Which version holds the memory controller.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// From the process's own to the root.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }
}

#[cfg(test)]
mod tests;
