//! Where the memory cgroup of a process lies: `/proc/PID/cgroup` names it, `/proc/PID/mountinfo` says where that is mounted.

use std::path::{Path, PathBuf};

use crate::procfs::{ProcError, Procfs, read_into};

/// Which version of cgroups has the memory controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// None is visible.
    None,
    /// Version 1, a hierarchy of its own.
    One,
    /// Version 2, the unified hierarchy.
    Two,
}

impl Version {
    /// 0, 1 or 2, as the wire says it.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// The mounted hierarchy that has the memory controller.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    mount: Mount,
}

#[derive(Debug)]
struct Mount {
    /// Which cgroup of the hierarchy is mounted; in a container often the container's own.
    root: PathBuf,
    point: PathBuf,
}

impl Hierarchy {
    /// The one that this process sees; `None` without a memory controller.
    pub(super) fn find(procfs: &Procfs, pid: u32) -> Result<Option<Self>, ProcError> {
        let mut buffer = Vec::new();
        let mut text = |name: &str| -> Result<String, ProcError> {
            read_into(&procfs.path_of(pid, name), &mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer).into_owned())
        };
        let cgroups = text("cgroup")?;
        let mounts = text("mountinfo")?;
        for version in [Version::One, Version::Two] {
            if let (Some(_), Some(mount)) = (named(&cgroups, version), mount_of(&mounts, version)) {
                return Ok(Some(Self { version, mount }));
            }
        }
        Ok(None)
    }

    /// Where a process is below the mount, from the text of its `/proc/PID/cgroup`; `None` where it is not visible there (another cgroup
    /// namespace, a container's bind mount).
    pub(super) fn place_of<'a>(&self, cgroups: &'a str) -> Option<&'a Path> {
        let name = Path::new(named(cgroups, self.version)?);
        let below = name.strip_prefix(&self.mount.root).ok()?;
        let is_outside = below.components().any(|part| part.as_os_str() == "..");
        (!is_outside).then_some(below)
    }

    /// Name of the cgroup at a place below the mount, as `/proc/PID/cgroup` has it.
    pub(super) fn name_of(&self, below: &Path) -> String {
        join(&self.mount.root, below).to_string_lossy().into_owned()
    }

    /// The folder of the cgroup at a place below the mount.
    pub(super) fn folder_of(&self, below: &Path) -> PathBuf {
        join(&self.mount.point, below)
    }
}

fn join(base: &Path, part: &Path) -> PathBuf {
    match part.as_os_str().is_empty() {
        // Joining nothing would leave a slash at the end.
        true => base.to_owned(),
        false => base.join(part),
    }
}

/// The path in the line of `/proc/PID/cgroup` (`id:controllers:path`) of the memory controller; a cgroup that was removed has a note behind it.
fn named(cgroups: &str, version: Version) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_wanted = match version {
            Version::None => false,
            Version::One => controllers.split(',').any(|name| name == "memory"),
            Version::Two => controllers.is_empty(),
        };
        is_wanted.then(|| path.strip_suffix(" (deleted)").unwrap_or(path))
    })
}

/// The mount of a hierarchy: `id parent dev root point options ... - type source superoptions`.
fn mount_of(mounts: &str, version: Version) -> Option<Mount> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next().unwrap_or(""));
        let wanted = match version {
            Version::None => false,
            Version::One => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            Version::Two => kind == "cgroup2",
        };
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        wanted.then(|| Mount {
            root: PathBuf::from(unescape(root)),
            point: PathBuf::from(unescape(point)),
        })
    })
}

/// Undoes the octal escapes of blanks and backslashes in `mountinfo`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}
