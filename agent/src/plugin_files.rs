//! The pytest plugin, carried in this binary and laid out where the command's Python finds it.
//!
//! The folder's name holds a hash of the content, so agents of different versions do not meet. It is written under another
//! name and renamed, so it is there whole or not at all, however many agents do this at once. What is found there already is
//! compared byte by byte and changes places with a fresh folder when it differs. A folder that no agent has used for a week, of
//! another version or half written, is removed.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

#[cfg(target_os = "linux")]
use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

/// A folder is used anew by each run, and no run is this long.
const UNUSED_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// How the names of these folders begin.
const PREFIX: &str = "plugin-";

/// Files and `NAME`, made by the build script from `pytest-plugin/`.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/plugin_files.rs"));
}

/// The plugin could not be laid out.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the pytest plugin to {}: {source}", path.display())]
pub struct PluginFilesError {
    /// Where.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// Lays the plugin out below `root`, unless it is there, and answers the folder to put on `PYTHONPATH`.
///
/// # Errors
/// When a file cannot be written.
pub fn unpack(root: &Path) -> Result<PathBuf, PluginFilesError> {
    let settled = root.join(embedded::NAME);
    let folder = if is_whole(&settled) {
        settled
    } else {
        settle(root, settled)?
    };
    sweep(root, &folder);
    Ok(folder)
}

/// `PYTHONPATH` with the plugin's folder before what is there.
#[must_use]
pub fn python_path(folder: &Path, present: Option<OsString>) -> OsString {
    let mut path = OsString::from(folder);
    // An empty part of PYTHONPATH means the working folder, so an empty variable adds nothing, not even its colon.
    if let Some(present) = present.filter(|present| !present.is_empty()) {
        path.push(":");
        path.push(present);
    }
    path
}

fn settle(root: &Path, settled: PathBuf) -> Result<PathBuf, PluginFilesError> {
    let fresh = root.join(format!("{}-{}", embedded::NAME, Uuid::new_v4().simple()));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PluginFilesError { path, source }
    };
    if let Err(error) = write(&fresh) {
        discard(&fresh);
        return Err(failed(&fresh)(error));
    }
    match fs::rename(&fresh, &settled) {
        Ok(()) => Ok(settled),
        Err(source) if !settled.exists() => {
            discard(&fresh);
            Err(failed(&settled)(source))
        }
        // Another agent was quicker, and its folder is as good; or what lies there is damaged and may be in use this very moment.
        Err(_) if is_whole(&settled) || exchange(&fresh, &settled).is_ok() => {
            discard(&fresh);
            Ok(settled)
        }
        // Not every filesystem exchanges.
        Err(_) => Ok(fresh),
    }
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Only Linux's way of exchanging is used; elsewhere a fresh folder beside the damaged one does.
#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What cannot be removed now is swept up later.
fn discard(folder: &Path) {
    drop(fs::remove_dir_all(folder));
}

/// Notes that a folder is used, and removes those that have not been for long. A failure leaves a folder too many.
fn sweep(root: &Path, used: &Path) {
    drop(File::open(used).and_then(|folder| folder.set_modified(SystemTime::now())));
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNUSED_AFTER));
        if is_ours && is_old {
            discard(&entry.path());
        }
    }
}

fn is_whole(folder: &Path) -> bool {
    embedded::FILES
        .iter()
        .all(|(name, content)| fs::read(folder.join(name)).is_ok_and(|found| found == *content))
}

fn write(folder: &Path) -> io::Result<()> {
    for (name, content) in embedded::FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_there_with_its_entry_point() {
        let root = tempfile::tempdir().unwrap();
        let folder = unpack(root.path()).unwrap();
        assert!(folder.join("highwater_pytest/__init__.py").is_file());
        let info = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let info = info
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "dist-info"))
            .unwrap();
        let entry_points = fs::read_to_string(info.join("entry_points.txt")).unwrap();
        assert!(
            entry_points.contains("[pytest11]\nhighwater_pytest"),
            "{entry_points}"
        );
    }

    #[test]
    fn many_agents_at_once_end_with_one_whole_folder() {
        let root = tempfile::tempdir().unwrap();
        let folders: Vec<_> = std::thread::scope(|scope| {
            let agents: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| unpack(root.path()).unwrap()))
                .collect();
            agents
                .into_iter()
                .map(|agent| agent.join().unwrap())
                .collect()
        });
        assert!(
            folders
                .iter()
                .all(|folder| *folder == root.path().join(embedded::NAME)),
            "{folders:?}"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_folder_is_mended() {
        let root = tempfile::tempdir().unwrap();
        let settled = unpack(root.path()).unwrap();
        fs::write(
            settled.join("highwater_pytest/__init__.py"),
            "raise SystemExit",
        )
        .unwrap();
        fs::remove_file(settled.join("highwater_pytest/recorder.py")).unwrap();
        for _ in 0..3 {
            assert_eq!(unpack(root.path()).unwrap(), settled);
            assert!(is_whole(&settled));
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_no_agent_has_used_for_long_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let folder = root.path().join(name);
            fs::create_dir_all(folder.join("highwater_pytest")).unwrap();
            let at = SystemTime::now() - age;
            File::open(&folder).unwrap().set_modified(at).unwrap();
        };
        let hour = Duration::from_secs(3_600);
        make("plugin-0.0.1-old", UNUSED_AFTER + hour);
        make("plugin-0.0.2-used", UNUSED_AFTER - hour);
        make("not ours", UNUSED_AFTER + hour);
        make(embedded::NAME, UNUSED_AFTER + hour);
        let settled = unpack(root.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut expected = ["not ours", "plugin-0.0.2-used", embedded::NAME];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert!(is_whole(&settled));
    }
}
