//! Whether a recording can be kept.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::fs::statvfs;
use uuid::Uuid;

use super::{Check, machine::size};
use crate::settings::SettingsError;

/// Below this a recording of a long suite may not fit, bytes.
const SCARCE_BYTES: u64 = 256 << 20;

/// A folder that is there while this lives, with the folders above it that were not there before.
#[derive(Debug)]
pub(super) struct Trial {
    folder: PathBuf,
    /// The innermost first.
    made: Vec<PathBuf>,
}

impl Trial {
    /// Makes a folder of its own below `root`. One that is left among the plugin's folders by an agent that was killed is
    /// swept up there by its name.
    pub(super) fn below(root: &Path) -> io::Result<Self> {
        let folder = root.join(format!("plugin-doctor-{}", Uuid::new_v4().simple()));
        let made = folder.ancestors().take_while(|path| !path.exists());
        let trial = Self {
            made: made.map(Path::to_path_buf).collect(),
            folder,
        };
        // Removes what was made also when the rest cannot be.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&trial.folder)?;
        Ok(trial)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
        for folder in &self.made {
            // One that somebody else has begun to use is not empty, and stays.
            drop(fs::remove_dir(folder));
        }
    }
}

const NAME: &str = "spool";
const NAME_ANOTHER: &str = "name a folder that can be written by --spool or HIGHWATER_SPOOL";

/// The folder of recordings is one in which others may write.
pub(super) fn refused(error: &SettingsError) -> Check {
    let seen = match error {
        SettingsError::Folder { path, source } => format!("{} {source}", path.display()),
        SettingsError::Job(problem) => problem.to_string(),
    };
    Check::missing(NAME, seen, NAME_ANOTHER)
}

/// Whether the spool can be made and written, and what room is on its disk. Nothing is recorded without it.
pub(super) fn spool(root: &Path) -> Check {
    match try_out(root) {
        Ok(free_bytes) => {
            let seen = format!("{} free in {}", size(free_bytes), root.display());
            match free_bytes < SCARCE_BYTES {
                true => Check::limited(NAME, seen, "make room, or name another folder by --spool"),
                false => Check::works(NAME, seen),
            }
        }
        Err(error) => Check::missing(NAME, format!("{}: {error}", root.display()), NAME_ANOTHER),
    }
}

/// Writes a file where recordings would be; answers the bytes that are free there.
fn try_out(root: &Path) -> io::Result<u64> {
    let trial = Trial::below(root)?;
    let mut file = File::create(trial.folder().join("segment"))?;
    file.write_all(&[0; 4096])?;
    file.sync_data()?;
    let disk = statvfs(trial.folder())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
