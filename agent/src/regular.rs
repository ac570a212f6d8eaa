//! Opens files that whoever runs in the tests can replace. A pipe under such a name would keep the opener waiting for ever, and a link
//! would lead elsewhere: both are refused.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

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
            // Of a link, and of a pipe or socket that nobody reads.
            Some(code)
                if is(code, rustix::io::Errno::LOOP) || is(code, rustix::io::Errno::NXIO) =>
            {
                irregular()
            }
            _ => error,
        })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(irregular())
    }
}

fn is(code: i32, errno: rustix::io::Errno) -> bool {
    code == errno.raw_os_error()
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "is no regular file; remove it")
}
