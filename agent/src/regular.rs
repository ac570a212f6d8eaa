//! Opens files that whoever runs in the tests can replace. A pipe under such a name would keep the opener waiting for ever, and a link
//! would lead elsewhere: both are refused.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
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
