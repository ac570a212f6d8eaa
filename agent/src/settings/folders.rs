//! Where recordings and the plugin are kept.
//!
//! Whoever may write into these folders has code run as whoever records: the plugin lies there, first on `PYTHONPATH`. A folder of the
//! user's own choice is the user's business; below `/var/tmp`, where everybody may make folders, ours is taken by [`claim`] alone.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};
use uuid::Uuid;

use super::SettingsError;
use crate::ci::Env;

/// Whoever may write besides a file's owner.
const OTHERS_WRITE: u32 = 0o022;

/// The command and what it starts may leave the folder, and find plugin and events by this path.
pub(super) fn spool(
    said: Option<PathBuf>,
    env: &Env,
    folder: &Path,
    problems: &mut Vec<String>,
) -> Result<PathBuf, SettingsError> {
    let spool = folder.join(said.unwrap_or_else(|| usable(default_spool(env), problems)));
    claimed(spool)
}

/// The same for whoever reads what was recorded: nothing is made, and what is not there holds nothing.
pub(super) fn spool_to_read(
    said: Option<PathBuf>,
    env: &Env,
    folder: &Path,
) -> Result<PathBuf, SettingsError> {
    let place = || usable(default_spool(env), &mut Vec::new());
    let spool = folder.join(said.unwrap_or_else(place));
    let ours = homeless_spool();
    if spool.starts_with(&ours) && fs::symlink_metadata(&ours).is_ok() {
        return claimed(spool);
    }
    Ok(spool)
}

/// Below the spool, unless its path holds a colon: that is where `PYTHONPATH` is cut, and no colon can be escaped there.
pub(super) fn plugin_root(spool: &Path, env: &Env) -> Result<PathBuf, SettingsError> {
    let has_colon = |path: &Path| path.as_os_str().as_encoded_bytes().contains(&b':');
    let default = default_spool(env);
    let root = if !has_colon(spool) {
        spool.to_path_buf()
    } else if !has_colon(&default) && try_out(&default).is_ok() {
        default
    } else {
        homeless_spool()
    };
    claimed(root).map(|root| root.join("plugin"))
}

/// `$XDG_STATE_HOME/highwater`, else `~/.local/state/highwater`, else a folder of the user's own below `/var/tmp`.
#[must_use]
pub fn default_spool(env: &Env) -> PathBuf {
    let absolute = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map_or_else(homeless_spool, |state| state.join("highwater"))
}

/// Where a spool goes whose own place was removed and takes none any more: the default, or below `/var/tmp` where that is it.
pub(crate) fn spool_elsewhere(spool: &Path, env: &Env) -> Option<PathBuf> {
    [default_spool(env), homeless_spool()]
        .into_iter()
        .find(|other| other != spool)
}

/// Makes the folder below `/var/tmp` where `root` is that or in it; any other is left as it is.
///
/// # Errors
/// When it is there and is no folder of this user's alone, or cannot be made.
pub(crate) fn claim(root: &Path) -> io::Result<()> {
    let ours = homeless_spool();
    match root.starts_with(&ours) {
        true => own(&ours),
        false => Ok(()),
    }
}

fn claimed(root: PathBuf) -> Result<PathBuf, SettingsError> {
    match claim(&root) {
        Ok(()) => Ok(root),
        Err(source) => Err(SettingsError::Folder {
            path: homeless_spool(),
            source,
        }),
    }
}

/// Makes a folder that nobody else may enter, or finds one to which nobody else may write. What is found right stays right in a folder
/// like `/var/tmp`, where nobody else may rename or remove it.
fn own(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let owner = found.uid();
    let wrong = if !found.is_dir() {
        "is no folder".to_owned()
    } else if owner != geteuid().as_raw() {
        format!("belongs to user {owner}")
    } else if found.mode() & OTHERS_WRITE != 0 {
        format!(
            "may be written by others (mode {:o})",
            found.mode() & 0o7777
        )
    } else {
        return Ok(());
    };
    let why = format!("{wrong}, who could have the tests run other code");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// The user's place, or the one below `/var/tmp` where nothing can be kept in that.
fn usable(state: PathBuf, problems: &mut Vec<String>) -> PathBuf {
    let Err(error) = try_out(&state) else {
        return state;
    };
    let other = homeless_spool();
    problems.push(format!(
        "nothing can be kept in {} ({error}): recordings are in {}",
        state.display(),
        other.display()
    ));
    other
}

/// Whether something can be made in a folder that is there, or the folder itself: in some, as `/proc`, permissions do not tell.
fn try_out(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?);
    }
    let above = folder.ancestors().find(|above| above.exists());
    let trial = above
        .unwrap_or(folder)
        .join(format!(".highwater-{}", Uuid::new_v4().simple()));
    DirBuilder::new().mode(0o700).create(&trial)?;
    fs::remove_dir(&trial)
}

fn homeless_spool() -> PathBuf {
    PathBuf::from(format!("/var/tmp/highwater-{}", geteuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_made_for_nobody_else() {
        let place = TempDir::new().unwrap();
        let folder = place.path().join("highwater-7");
        for _ in 0..2 {
            own(&folder).unwrap();
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        }
    }

    #[test]
    fn a_folder_in_which_others_may_write_is_refused() {
        let place = TempDir::new().unwrap();
        let make = |name: &str, mode: u32| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            folder
        };
        own(&make("read by others", 0o755)).unwrap();
        let link = place.path().join("link");
        symlink(make("behind a link", 0o700), &link).unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let mut cases = vec![
            (make("of all", 0o1777), "(mode 1777)"),
            (make("of the group", 0o770), "(mode 770)"),
            (link, "is no folder"),
            (file, "is no folder"),
        ];
        let foreign = make("of another", 0o700);
        // Only root can give a folder away.
        if chown(&foreign, Some(12_345), None).is_ok() {
            cases.push((foreign, "belongs to user 12345"));
        }
        for (folder, expected) in cases {
            let error = own(&folder).unwrap_err().to_string();
            assert!(error.contains(expected), "{}: {error}", folder.display());
        }
    }

    #[test]
    fn a_place_that_takes_nothing_gives_way_to_one_that_does_and_this_is_told() {
        let home = TempDir::new().unwrap();
        let state = home.path().join("a/b");
        let mut problems = Vec::new();
        assert_eq!(usable(state.clone(), &mut problems), state);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        assert_eq!(problems, [""; 0]);
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        for nothing in [file.join("state"), PathBuf::from("/proc/.local/state")] {
            problems.clear();
            assert_eq!(usable(nothing.clone(), &mut problems), homeless_spool());
            let [problem] = problems.as_slice() else {
                panic!("{problems:?}")
            };
            assert!(problem.contains(nothing.to_str().unwrap()), "{problem}");
        }
    }
}
