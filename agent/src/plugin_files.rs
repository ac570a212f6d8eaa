//! The pytest plugin, carried in this binary and laid out where the command's Python finds it.
//!
//! The folder's name holds a hash of the content, so agents of different versions do not meet. It is written under another
//! name and renamed, so it is there whole or not at all, however many agents do this at once. What is found there already is
//! compared byte by byte and changes places with a fresh folder when it differs, holds anything else (Python's caches of these modules aside), or
//! others may write to it: it comes first where Python looks for modules. A folder that no agent has used for a week, of
//! another version or half written, is removed.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

#[cfg(target_os = "linux")]
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::geteuid;
use uuid::Uuid;

/// A folder is used anew by each run, and no run is this long.
const UNUSED_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// How the names of these folders begin.
const PREFIX: &str = "plugin-";
/// Whoever may write besides a file's owner.
const OTHERS_WRITE: u32 = 0o022;
/// Where Python 3 keeps what it compiled; Python 2 keeps it beside the module.
const CACHE: &str = "__pycache__";

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
    let folder = if is_whole(&settled) && is_ours(&settled) {
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
        // A job before may have left it there.
        if std::env::split_paths(&present).any(|part| part == folder) {
            return present;
        }
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
    // On some filesystems everybody owns everything.
    let tells_owners = is_ours(&fresh);
    match fs::rename(&fresh, &settled) {
        Ok(()) => Ok(settled),
        Err(source) if !settled.exists() => {
            discard(&fresh);
            Err(failed(&settled)(source))
        }
        // Another agent was quicker, and its folder is as good; or what lies there is damaged and may be in use this very moment.
        Err(_) if is_whole(&settled) && (is_ours(&settled) || !tells_owners) => {
            discard(&fresh);
            Ok(settled)
        }
        Err(_) if exchange(&fresh, &settled).is_ok() => {
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

/// Whether a folder holds the plugin and nothing that Python would take for another module.
fn is_whole(folder: &Path) -> bool {
    embedded::FILES
        .iter()
        .all(|(name, content)| fs::read(folder.join(name)).is_ok_and(|found| found == *content))
        && all_below(folder, &mut |path, _| {
            path.strip_prefix(folder).is_ok_and(is_expected)
        })
}

/// Whether nobody else may write to a folder and what is in it; root's is as good as the user's own.
fn is_ours(folder: &Path) -> bool {
    let own = geteuid().as_raw();
    let mut is_safe = |_: &Path, found: &Metadata| {
        [0, own].contains(&found.uid()) && found.mode() & OTHERS_WRITE == 0 && !found.is_symlink()
    };
    fs::symlink_metadata(folder).is_ok_and(|found| is_safe(folder, &found))
        && all_below(folder, &mut is_safe)
}

/// Whether something holds for all that is in a folder, links themselves; not where that cannot be seen.
fn all_below(folder: &Path, holds: &mut impl FnMut(&Path, &Metadata) -> bool) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.into_iter().all(|entry| {
        let Ok(path) = entry.map(|entry| entry.path()) else {
            return false;
        };
        match fs::symlink_metadata(&path) {
            Ok(found) => holds(&path, &found) && (!found.is_dir() || all_below(&path, holds)),
            // Python writes its caches under a passing name.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    })
}

/// Whether this is a file of the plugin, a folder of one, or a cache of what Python compiled from one.
fn is_expected(name: &Path) -> bool {
    let is_of = |(file, _): &(&str, &[u8])| {
        let file = Path::new(file);
        let package = file.parent().unwrap_or(file);
        if file.starts_with(name) || name == package.join(CACHE) {
            return true;
        }
        let module = file.file_stem().and_then(|stem| stem.to_str());
        let is_module = file.extension().is_some_and(|it| it == "py");
        let compiled = name
            .parent()
            .is_some_and(|parent| parent == package || parent == package.join(CACHE));
        is_module
            && compiled
            && name.file_name().zip(module).is_some_and(|(name, module)| {
                let rest = name.to_str().and_then(|name| name.strip_prefix(module));
                rest.is_some_and(|rest| rest.starts_with('.') && rest.contains(".pyc"))
            })
    };
    embedded::FILES.iter().any(is_of)
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
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)?
            .write_all(content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

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
    fn a_folder_that_holds_more_or_is_others_to_write_is_replaced() {
        type Spoil = fn(&Path) -> io::Result<()>;
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let spoils: [(&str, Spoil); 6] = [
            ("sitecustomize.py", |at| fs::write(at, "")),
            ("highwater_pytest/__pycache__/sitecustomize.pyc", |at| {
                fs::write(at, "")
            }),
            ("highwater_pytest/re.so", |at| fs::write(at, "")),
            ("json", |at| fs::create_dir(at)),
            ("link", |at| std::os::unix::fs::symlink("/tmp", at)),
            ("six.pth", |at| fs::write(at, "")),
        ];
        let root = tempfile::tempdir().unwrap();
        let settled = unpack(root.path()).unwrap();
        let cache = settled.join("highwater_pytest/__pycache__");
        for (name, spoil) in spoils {
            fs::create_dir_all(&cache).unwrap();
            spoil(&settled.join(name)).unwrap();
            assert_eq!(unpack(root.path()).unwrap(), settled);
            assert!(fs::symlink_metadata(settled.join(name)).is_err(), "{name}");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        }
        for name in ["", "highwater_pytest", "highwater_pytest/plugin.py"] {
            let before = fs::metadata(&settled).unwrap().ino();
            set_mode(&settled.join(name), 0o777);
            assert_eq!(unpack(root.path()).unwrap(), settled);
            assert!(is_ours(&settled), "{name}");
            assert_ne!(fs::metadata(&settled).unwrap().ino(), before, "{name}");
        }
        if chown(settled.join("highwater_pytest"), Some(12_345), None).is_ok() {
            assert_eq!(unpack(root.path()).unwrap(), settled);
            assert!(is_ours(&settled));
        }
    }

    #[test]
    fn what_python_compiled_stays() {
        let root = tempfile::tempdir().unwrap();
        let settled = unpack(root.path()).unwrap();
        let before = fs::metadata(&settled).unwrap().ino();
        fs::create_dir(settled.join("highwater_pytest/__pycache__")).unwrap();
        for name in [
            "__init__.pyc",
            "__pycache__/plugin.cpython-311.pyc",
            "__pycache__/plugin.cpython-311.pyc.139872",
            "__pycache__/__init__.cpython-312-pytest-8.3.4.pyc",
            "__pycache__/hooks.pypy310.opt-1.pyc",
        ] {
            fs::write(settled.join("highwater_pytest").join(name), "").unwrap();
        }
        assert_eq!(unpack(root.path()).unwrap(), settled);
        assert_eq!(fs::metadata(&settled).unwrap().ino(), before);
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
