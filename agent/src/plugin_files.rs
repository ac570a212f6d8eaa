//! The pytest plugin, carried in this binary and laid out where the command's Python finds it.
//!
//! The folder's name holds a hash of the content, so agents of different versions do not meet. It is written under another
//! name and renamed, so it is there whole or not at all, however many agents do this at once. What is found there already is
//! compared byte by byte and replaced by a fresh folder when it differs.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use uuid::Uuid;

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
    if is_whole(&settled) {
        return Ok(settled);
    }
    let fresh = root.join(format!("{}-{}", embedded::NAME, Uuid::new_v4().simple()));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PluginFilesError { path, source }
    };
    write(&fresh).map_err(failed(&fresh))?;
    // Another agent may have been quicker, and then its folder is as good.
    match fs::rename(&fresh, &settled) {
        Ok(()) => Ok(settled),
        Err(_) if is_whole(&settled) => {
            fs::remove_dir_all(&fresh).map_err(failed(&fresh))?;
            Ok(settled)
        }
        // What lies there is damaged and may be in use: leave it and use the fresh one.
        Err(_) if settled.exists() => Ok(fresh),
        Err(source) => Err(failed(&settled)(source)),
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
    fn a_damaged_folder_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let settled = unpack(root.path()).unwrap();
        fs::write(
            settled.join("highwater_pytest/__init__.py"),
            "raise SystemExit",
        )
        .unwrap();
        let folder = unpack(root.path()).unwrap();
        assert_ne!(folder, settled);
        assert!(is_whole(&folder));
    }
}
