//! Which processes there are, and what their command is.

use std::{fs, io, path::Path};

use highwater_wire::mask;

use crate::bounds::cut;

use super::{ProcError, Procfs, number_after, read_into, still_there};

/// Names of `/proc` that are asked for at once, bytes: on the stack.
#[cfg(target_os = "linux")]
const NAMES_BYTES: usize = 8 << 10;
/// Longest command that is kept, in bytes; the wire allows more, but a table of processes needs no more.
const MAX_COMMAND_BYTES: usize = 4_000;

impl Procfs {
    /// Every process number in `/proc`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn pids(&self) -> Result<Vec<u32>, ProcError> {
        let mut found = Vec::new();
        self.pids_into(&mut found)?;
        Ok(found)
    }

    /// Adds every process number in `/proc`; takes no memory beyond the list's.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn pids_into(&self, found: &mut Vec<u32>) -> Result<(), ProcError> {
        let result = each_name(&self.root, |name| found.extend(name.parse::<u32>().ok()));
        result.map_err(|error| ProcError::io(&self.root, error))
    }

    /// Whether this kernel lists the children of a thread (`CONFIG_PROC_CHILDREN`).
    #[must_use]
    pub fn has_children_files(&self, pid: u32) -> bool {
        self.path_of(pid, &format!("task/{pid}/children")).exists()
    }

    /// Adds the children of every thread of a process; nothing when it is gone.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn children(
        &self,
        pid: u32,
        buffer: &mut Vec<u8>,
        found: &mut Vec<u32>,
    ) -> Result<(), ProcError> {
        let tasks = self.path_of(pid, "task");
        let failed = |source| ProcError::io(&tasks, source);
        let Some(entries) = still_there(fs::read_dir(&tasks)).map_err(failed)? else {
            return Ok(());
        };
        for entry in entries {
            let Some(entry) = still_there(entry).map_err(failed)? else {
                continue;
            };
            if read_into(&entry.path().join("children"), buffer)?.is_some() {
                let numbers = buffer.split(|byte| *byte == b' ').filter_map(number_after);
                found.extend(numbers.filter_map(|number| u32::try_from(number).ok()));
            }
        }
        Ok(())
    }

    /// The words a process was started with; empty when it is gone, a zombie, or has none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn words(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Vec<String>, ProcError> {
        if read_into(&self.path_of(pid, "cmdline"), buffer)?.is_none() || buffer.is_empty() {
            return Ok(Vec::new());
        }
        let whole = buffer.strip_suffix(&[0]).unwrap_or(buffer);
        let kept = &whole[..whole.len().min(MAX_COMMAND_BYTES)];
        Ok(kept
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect())
    }
}

/// Tells each name of a folder that is text.
#[cfg(target_os = "linux")]
fn each_name(folder: &Path, mut tell: impl FnMut(&str)) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, RawDir, open};

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); NAMES_BYTES];
    let mut names = RawDir::new(folder, &mut buffer);
    while let Some(entry) = names.next() {
        if let Ok(name) = entry?.file_name().to_str() {
            tell(name);
        }
    }
    Ok(())
}

/// The same where the system is not asked so directly.
#[cfg(not(target_os = "linux"))]
fn each_name(folder: &Path, mut tell: impl FnMut(&str)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        if let Some(name) = entry?.file_name().to_str() {
            tell(name);
        }
    }
    Ok(())
}

/// The words as one line, quoted where a shell would need it, and cut where it grows too long.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || "_-./=:,@%+~[]{}".contains(c))
    };
    let quoted = |word: &String| match plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let mut words = words.to_vec();
    mask::words(&mut words);
    let mut line = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    // Quoting makes four characters of one.
    cut(&mut line, MAX_COMMAND_BYTES);
    line
}
