//! The memory controller's view: every cgroup from those of the job's processes up to the root that is visible here.
//!
//! Version 1 and version 2, also both at once (the controller belongs to one of them). A cgroup's usage holds page cache, so
//! the figure to compare with its limit is the working set: usage minus inactive file pages.
//!
//! The agent's own cgroup is watched from the begin. A test harness may put pytest into another (a container, `systemd-run`, its pid written
//! to `cgroup.procs` after the fork), so the paths of the job's processes join it as they are seen.

mod find;
mod level;

use std::{path::Path, sync::Arc};

use crate::procfs::{ProcError, Procfs};
use find::Hierarchy;

pub use find::Version;
pub use level::{CgroupReading, Level};

/// So many cgroups are read at most; each costs some 50 µs a second.
const MOST_LEVELS: usize = 32;

/// The cgroups of the job.
#[derive(Debug)]
pub struct Cgroups {
    hierarchy: Option<Hierarchy>,
    levels: Vec<Level>,
}

/// A cgroup that a process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its path, as [`Level::name`] has it.
    pub name: Arc<str>,
    /// Whether it, or one above it, was not watched before.
    pub is_new: bool,
}

impl Cgroups {
    /// Finds and opens the cgroups of this process. There may be none: without a memory controller the list is empty.
    ///
    /// # Errors
    /// When `/proc` cannot be read or understood.
    pub fn of(procfs: &Procfs, pid: u32) -> Result<Self, ProcError> {
        let mut cgroups = Self {
            hierarchy: Hierarchy::find(procfs, pid)?,
            levels: Vec::new(),
        };
        let mut buffer = Vec::new();
        crate::procfs::read_into(&procfs.path_of(pid, "cgroup"), &mut buffer)?;
        let text = String::from_utf8_lossy(&buffer);
        if let Some(hierarchy) = &cgroups.hierarchy {
            // A name that is not visible here: only the mount itself is.
            let below = hierarchy.place_of(&text).unwrap_or(Path::new(""));
            let below = below.to_owned();
            cgroups.open(&below, true);
        }
        Ok(cgroups)
    }

    /// Watches the cgroup of a process, and those above it, from the text of its `/proc/PID/cgroup`; `None` where it is not visible here or
    /// has no memory controller. One that matters (a pytest is in it) keeps its place when there are too many.
    pub fn watch(&mut self, text: &[u8], matters: bool) -> Option<Home> {
        let text = std::str::from_utf8(text).ok()?;
        let hierarchy = self.hierarchy.as_ref()?;
        let below = hierarchy.place_of(text)?.to_owned();
        let is_new = self.open(&below, matters);
        // Where the process's own is too new or has no controller, the next above it counts for it.
        let hierarchy = self.hierarchy.as_ref()?;
        let name = below.ancestors().find_map(|part| {
            let name = hierarchy.name_of(part);
            self.levels.iter().find(|level| level.name() == name)
        })?;
        Some(Home {
            name: name.shared_name(),
            is_new,
        })
    }

    /// Opens what is not open on the way up; whether there was any.
    fn open(&mut self, below: &Path, matters: bool) -> bool {
        let Some(hierarchy) = &self.hierarchy else {
            return false;
        };
        let mut is_new = false;
        for part in below.ancestors() {
            let name = hierarchy.name_of(part);
            if let Some(known) = self.levels.iter_mut().find(|level| level.name() == name) {
                known.matters |= matters;
                continue;
            }
            if self.levels.len() >= MOST_LEVELS {
                match self.levels.iter().position(|level| !level.matters) {
                    Some(at) if matters => drop(self.levels.remove(at)),
                    _ => continue,
                }
            }
            let folder = hierarchy.folder_of(part);
            if let Some(level) = Level::open(hierarchy.version, &name, &folder, matters) {
                self.levels.push(level);
                is_new = true;
            }
        }
        is_new
    }

    /// Forgets a cgroup that was removed: another of its name is another.
    pub fn forget(&mut self, name: &str) {
        self.levels.retain(|level| level.name() != name);
    }

    /// Which version holds the memory controller.
    #[must_use]
    pub fn version(&self) -> Version {
        match &self.hierarchy {
            Some(hierarchy) => hierarchy.version,
            None => Version::None,
        }
    }

    /// The agent's own to the root, then those of the job's processes.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }
}

#[cfg(test)]
mod tests;
