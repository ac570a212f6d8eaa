//! Opens files that whoever runs in the tests can replace. A pipe under such a name would keep the opener waiting for ever, and a link
//! would lead elsewhere: both are refused.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
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

/// More than that no file has that the CI or its user names, bytes.
const MOST_TEXT_BYTES: u64 = 32 << 20;

/// All of a file that somebody named, through links too.
///
/// # Errors
/// When it cannot be read, is no regular file, or has more than 32 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is no regular file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(MOST_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_TEXT_BYTES {
        let told = format!("has more than {} MiB", MOST_TEXT_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, told));
    }
    Ok(bytes)
}

/// As [`read`], of text.
///
/// # Errors
/// As [`read`], and when it is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Writes a file so that it is there whole or not at all; what stood under its name is replaced, not followed.
///
/// # Errors
/// When it cannot be written, by the file that did not go; nothing is left of it then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    replace_by(path, &path.with_file_name(name), bytes)
}

/// Writes a file that somebody named, as they have it: through a link, into a pipe or a device; a regular file, or one that is not there yet, is there whole
/// or not at all. Nothing beside it is touched.
///
/// # Errors
/// When it cannot be written, as where nobody reads the pipe, by the file that did not go.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    let at = |error| (path.to_owned(), error);
    if let Ok(kind) = fs::metadata(path)
        && !kind.is_file()
        && !kind.is_dir()
    {
        // A pipe that nobody reads is told, and waits for nobody.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path)
            .map_err(at)?;
        rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(|error| at(error.into()))?;
        return file.write_all(bytes).map_err(at);
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    replace_by(&path, &fresh, bytes)
}

/// The same as [`replace`], by a name beside it that is nobody else's.
///
/// # Errors
/// As [`replace`].
pub fn replace_by(path: &Path, fresh: &Path, bytes: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = open_with(&mut options, fresh)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| (fresh.to_owned(), error));
    let replaced =
        written.and_then(|()| fs::rename(fresh, path).map_err(|error| (path.to_owned(), error)));
    if replaced.is_err() {
        // Where there was no room, the half of it must not take what there is.
        drop(fs::remove_file(fresh));
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
    fn only_what_is_a_file_of_a_bounded_size_is_read() {
        let place = TempDir::new().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("text"), "said").unwrap();
        symlink(at("text"), at("link")).unwrap();
        assert_eq!(read_text(&at("link")).unwrap(), "said");
        fs::write(at("bytes"), [0xff]).unwrap();
        let told = |path: &Path| read_text(path).unwrap_err().to_string();
        assert!(told(&at("bytes")).contains("utf-8"));
        // Nobody writes to it, and what it would say has no end.
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
        for path in [&at("pipe"), Path::new("/dev/zero"), place.path()] {
            assert_eq!(told(path), "is no regular file");
        }
        File::create(at("large"))
            .unwrap()
            .set_len(MOST_TEXT_BYTES + 1)
            .unwrap();
        assert_eq!(told(&at("large")), "has more than 32 MiB");
    }

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

    #[test]
    fn what_somebody_names_is_written_as_they_have_it() {
        let place = TempDir::new().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("target"), "old").unwrap();
        fs::write(at("target.new"), "kept").unwrap();
        symlink(at("target"), at("link")).unwrap();
        put(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(fs::read(at("target")).unwrap(), b"new");
        put(&at("fresh"), b"first").unwrap();
        assert_eq!(fs::read(at("fresh")).unwrap(), b"first");
        assert_eq!(fs::read(at("target.new")).unwrap(), b"kept");
        symlink("/dev/null", at("device")).unwrap();
        put(&at("device"), b"gone").unwrap();
        assert!(at("device").is_symlink() && !fs::metadata("/dev/null").unwrap().is_file());
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let (named, _) = put(&at("pipe"), b"nobody reads").unwrap_err();
        assert_eq!(named, at("pipe"));
        let reads = open_reader(&at("pipe"));
        put(&at("pipe"), b"somebody").unwrap();
        assert_eq!(io::read_to_string(reads).unwrap(), "somebody");
        let left = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 6, "nothing beside them is left");
    }

    /// Opened before anybody writes.
    fn open_reader(path: &Path) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags).open(path).unwrap()
    }
}
