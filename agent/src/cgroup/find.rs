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

/// The cgroup of a process and the mount it is found in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) version: Version,
    /// As `/proc/PID/cgroup` names it.
    name: PathBuf,
    mount: Mount,
}

/// A mounted hierarchy.
#[derive(Debug)]
struct Mount {
    /// Which cgroup of the hierarchy is mounted; in a container often the container's own.
    root: PathBuf,
    point: PathBuf,
}

impl Place {
    /// Name and folder of each cgroup, from the process's own up to the root of the mount.
    pub(super) fn levels(&self) -> impl Iterator<Item = (String, PathBuf)> {
        // A name outside the mount (another cgroup namespace, a container's bind mount): only the mount itself is visible.
        let below = self
            .name
            .strip_prefix(&self.mount.root)
            .unwrap_or(Path::new(""));
        let below = if below.components().any(|part| part.as_os_str() == "..") {
            Path::new("")
        } else {
            below
        };
        let join = |base: &Path, part: &Path| match part.as_os_str().is_empty() {
            // Joining nothing would leave a slash at the end.
            true => base.to_owned(),
            false => base.join(part),
        };
        below.ancestors().map(move |part| {
            let name = join(&self.mount.root, part);
            (
                name.to_string_lossy().into_owned(),
                join(&self.mount.point, part),
            )
        })
    }
}

pub(super) fn find(procfs: &Procfs, pid: u32) -> Result<Option<Place>, ProcError> {
    let mut buffer = Vec::new();
    let mut text = |name: &str| -> Result<String, ProcError> {
        read_into(&procfs.path_of(pid, name), &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    };
    let cgroups = text("cgroup")?;
    let mounts = text("mountinfo")?;
    let one = named(&cgroups, |controllers| {
        controllers.split(',').any(|name| name == "memory")
    });
    if let (Some(name), Some(mount)) = (one, mount_of(&mounts, Version::One)) {
        return Ok(Some(Place {
            version: Version::One,
            name,
            mount,
        }));
    }
    let two = named(&cgroups, str::is_empty);
    Ok(match (two, mount_of(&mounts, Version::Two)) {
        (Some(name), Some(mount)) => Some(Place {
            version: Version::Two,
            name,
            mount,
        }),
        _ => None,
    })
}

/// The path in the line of `/proc/PID/cgroup` (`id:controllers:path`) with the controllers asked for.
fn named(cgroups: &str, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        wanted(controllers).then(|| PathBuf::from(path))
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
