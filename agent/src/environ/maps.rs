//! `/proc/PID/maps`: where the executable and libc lie.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead, BufReader, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use crate::procfs::{ProcError, Procfs, still_there};

/// More of `maps` than this is not read; a line has about 100 bytes.
const MAX_BYTES: u64 = 32 << 20;

/// A file of code that a process has mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// Its name in the process's own file system; ends with ` (deleted)` when it has none any more.
    pub(super) path: PathBuf,
    /// Where the part of it that lies lowest begins.
    pub(super) start: u64,
    /// Where that part begins in the file.
    pub(super) offset: u64,
}

/// What of `maps` is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Images {
    /// The program; `None` where its link names nothing that is mapped.
    pub(super) executable: Option<Image>,
    /// What looks like a libc, usually one.
    pub(super) libcs: Vec<Image>,
}

/// One line.
pub(super) struct Mapping<'a> {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) writable: bool,
    executable: bool,
    offset: u64,
    /// Empty where no file is mapped, `[heap]` or `[stack]`.
    pub(super) path: &'a [u8],
}

/// Reads `maps` of a process; `None` when it is gone.
///
/// # Errors
/// When it cannot be read or a line is not understood.
pub(super) fn read(procfs: &Procfs, pid: u32) -> Result<Option<Images>, ProcError> {
    let exe = procfs.path_of(pid, "exe");
    let Some(exe) = still_there(exe.read_link()).map_err(|source| ProcError::io(&exe, source))?
    else {
        return Ok(None);
    };
    let mut images = Images::default();
    // The lowest part of the file at hand, until a part of it that is code shows that it was mapped to run and not to be read.
    let mut lowest: Option<Image> = None;
    let read = each(procfs, pid, |mapping| {
        if !mapping.path.starts_with(b"/") {
            return;
        }
        let path = unescape(mapping.path);
        let is_executable = path == exe;
        if !is_executable && !is_libc(&path) {
            return;
        }
        let image = match lowest.take() {
            Some(image) if image.path == path && image.offset < mapping.offset => image,
            _ => Image {
                path,
                start: mapping.start,
                offset: mapping.offset,
            },
        };
        if mapping.executable {
            let known = if is_executable {
                images.executable.is_some()
            } else {
                images.libcs.contains(&image)
            };
            match (known, is_executable) {
                (true, _) => {}
                (false, true) => images.executable = Some(image.clone()),
                (false, false) => images.libcs.push(image.clone()),
            }
        }
        lowest = Some(image);
    })?;
    Ok(read.map(|()| images))
}

/// Goes through the lines of `maps`; `None` when the process is gone.
///
/// # Errors
/// When it cannot be read or a line is not understood.
pub(super) fn each(
    procfs: &Procfs,
    pid: u32,
    mut take: impl FnMut(&Mapping<'_>),
) -> Result<Option<()>, ProcError> {
    let maps = procfs.path_of(pid, "maps");
    let failed = |source| ProcError::io(&maps, source);
    let Some(file) = still_there(File::open(&maps)).map_err(failed)? else {
        return Ok(None);
    };
    let mut lines = BufReader::new(file.take(MAX_BYTES));
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if still_there(lines.read_until(b'\n', &mut line))
            .map_err(failed)?
            .unwrap_or(0)
            == 0
        {
            return Ok(Some(()));
        }
        number += 1;
        let mapping = parse(line.trim_ascii_end())
            .ok_or_else(|| ProcError::malformed(&maps, number, "is no mapping"))?;
        take(&mapping);
    }
}

/// `start-end rwxp offset dev inode   path`.
fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let mut rest = line;
    let mut field = || {
        let end = rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.strip_prefix(b" ").unwrap_or(after);
        std::str::from_utf8(field).ok()
    };
    let (range, access, offset) = (field()?, field()?, field()?);
    let (_device, _inode) = (field()?, field()?);
    let (start, end) = range.split_once('-')?;
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        writable: access.as_bytes().get(1)? == &b'w',
        executable: access.as_bytes().get(2)? == &b'x',
        offset: u64::from_str_radix(offset, 16).ok()?,
        path: rest.trim_ascii_start(),
    })
}

/// Whether a mapping of this path, as the kernel writes it, is of an image.
pub(super) fn is_named(image: &Image, path: &[u8]) -> bool {
    path.starts_with(b"/") && unescape(path) == image.path
}

/// The kernel writes a newline in a name as `\012`.
fn unescape(path: &[u8]) -> PathBuf {
    let mut name = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.windows(4).position(|piece| piece == br"\012") {
        name.extend_from_slice(&rest[..at]);
        name.push(b'\n');
        rest = &rest[at + 4..];
    }
    name.extend_from_slice(rest);
    PathBuf::from(OsString::from_vec(name))
}

/// glibc is `libc.so.6`, before 2.34 also `libc-2.31.so`; musl is its own loader.
fn is_libc(path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    let name = name.as_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    name == b"libc.so.6"
        || name == b"libc.so"
        || (name.starts_with(b"libc-2.") && name.ends_with(b".so"))
        || name.starts_with(b"ld-musl-")
        || name.starts_with(b"libc.musl-")
}
