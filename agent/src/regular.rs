//! Opens files that whoever runs in the tests can replace. A pipe under such a name would keep the opener waiting for ever, and a link
//! would lead elsewhere: both are refused.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file with other options.
///
/// # Errors
/// As [`open`].
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = options
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            // Of a pipe or socket that nobody reads, and of a link; but one that is above it, and leads to itself, leads nowhere.
            Some(code) if is(code, Errno::NXIO) => irregular(),
            Some(code) if is(code, Errno::LOOP) => {
                path.symlink_metadata().err().unwrap_or_else(irregular)
            }
            _ => error,
        })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(irregular())
    }
}

/// Writes a file so that it is there whole or not at all; what stood under its name is replaced, not followed.
///
/// # Errors
/// When it cannot be written, by the file that did not go; nothing is left of it then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = open_with(&mut options, &fresh)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| (fresh.clone(), error));
    let replaced =
        written.and_then(|()| fs::rename(&fresh, path).map_err(|error| (path.to_owned(), error)));
    if replaced.is_err() {
        // Where there was no room, the half of it must not take what there is.
        drop(fs::remove_file(&fresh));
    }
    replaced
}

/// Whether nothing stands under a name: also where what should be a folder above it is none, or a link that leads to itself.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP]
        .into_iter()
        .any(|errno| error.kind() == io::Error::from(errno).kind())
}

fn is(code: i32, errno: Errno) -> bool {
    code == errno.raw_os_error()
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "is no regular file; remove it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_replaced_is_not_followed() {
        let place = TempDir::new().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("precious"), "kept").unwrap();
        symlink(at("precious"), at("link")).unwrap();
        replace(&at("link"), b"new").unwrap();
        assert_eq!(fs::read(at("link")).unwrap(), b"new");
        // Nor is one under the name that it is written by.
        symlink(at("precious"), at("other.new")).unwrap();
        let (named, error) = replace(&at("other"), b"new").unwrap_err();
        assert_eq!(
            (named, error.kind()),
            (at("other.new"), io::ErrorKind::InvalidInput)
        );
        assert_eq!(fs::read(at("precious")).unwrap(), b"kept");
        assert!(!at("other").exists());
    }
}
