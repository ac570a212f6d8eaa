//! Follows the events files of the plugin while they grow.
//!
//! One file a process, `<dir>/<pid>.events`, defined in `pytest-plugin/FORMAT.md`. A look costs one `stat` of the folder and one
//! a file; a file is opened only when it has grown. A file that has been quiet for long is looked at more rarely, so
//! thousands of forked test processes do not cost thousands of looks each time.

mod file;
mod lines;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use highwater_wire::{
    marks::{Header, NoticeLine, SessionLine},
    v1::Mark,
};

use crate::tree::ProcessKey;
use file::EventsFile;

/// Most bytes one look takes, over all files: what is left waits for the next.
const MAX_LOOK_BYTES: usize = 4 << 20;
/// Looks without news after which a file is quiet.
const QUIET_AFTER: u32 = 20;
/// Of so many looks a quiet file gets one.
const QUIET_EVERY: u32 = 10;

/// What the plugin of a process said.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A process begins to write.
    Header(Header),
    /// It belongs to a session.
    Session(ProcessKey, SessionLine),
    /// A remark on the recording.
    Notice(ProcessKey, NoticeLine),
    /// A mark; `t_us` is since the job's start, `process` is to be filled in.
    Mark(ProcessKey, Mark),
    /// A line that was not understood.
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line of it, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A process whose clock belongs to another boot or a time namespace; its times are shifted by the wall clock.
    OtherBoot(ProcessKey),
}

/// How instants of a process's clock become the job's.
#[derive(Debug, Clone)]
pub struct JobStart {
    /// Which boot the job's monotonic clock belongs to.
    pub boot_id: String,
    /// CLOCK_MONOTONIC at the job's start, µs.
    pub monotonic_us: i64,
    /// CLOCK_REALTIME at the same instant, µs.
    pub unix_us: i64,
}

/// Follows every events file of a folder.
#[derive(Debug)]
pub struct Tailer {
    folder: PathBuf,
    folder_changed: Option<SystemTime>,
    start: JobStart,
    files: BTreeMap<OsString, EventsFile>,
    looks: u32,
    chunk: Vec<u8>,
}

impl Tailer {
    /// Follows the files of a folder from their begin.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, start: JobStart) -> Self {
        Self {
            folder: folder.into(),
            folder_changed: None,
            start,
            files: BTreeMap::new(),
            looks: 0,
            chunk: Vec::new(),
        }
    }

    /// Whether a process of that number ever wrote.
    #[must_use]
    pub fn has_file_of(&self, pid: u32) -> bool {
        self.files
            .contains_key(&OsString::from(format!("{pid}.events")))
    }

    /// Takes what is new. True when there is more than one look may take, so the next should follow at once.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read; what was read until then has been told.
    pub fn look(&mut self, told: &mut Vec<Told>) -> io::Result<bool> {
        self.find_files()?;
        self.looks = self.looks.wrapping_add(1);
        let quiet_too = self.looks.is_multiple_of(QUIET_EVERY);
        self.read(told, |file| quiet_too || file.idle_looks < QUIET_AFTER)
    }

    /// Takes everything to the end of every file, for when nobody writes any more.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub fn drain(&mut self, told: &mut Vec<Told>) -> io::Result<bool> {
        self.folder_changed = None;
        self.find_files()?;
        self.read(told, |_| true)
    }

    fn read(
        &mut self,
        told: &mut Vec<Told>,
        wanted: impl Fn(&EventsFile) -> bool,
    ) -> io::Result<bool> {
        let mut allowance = MAX_LOOK_BYTES;
        let mut result = Ok(());
        for file in self.files.values_mut().filter(|file| wanted(file)) {
            let read = file.read_news(&mut allowance, &mut self.chunk, &self.start, told);
            result = result.and(read);
            if allowance == 0 {
                break;
            }
        }
        result.map(|()| allowance == 0)
    }

    /// A folder's time changes when a file is made in it.
    fn find_files(&mut self) -> io::Result<()> {
        let changed = fs::metadata(&self.folder)
            .map_err(named(&self.folder))?
            .modified()?;
        if self.folder_changed == Some(changed) {
            return Ok(());
        }
        for entry in fs::read_dir(&self.folder).map_err(named(&self.folder))? {
            let entry = entry.map_err(named(&self.folder))?;
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "events")
            {
                self.files
                    .entry(entry.file_name())
                    .or_insert_with(|| EventsFile::new(path));
            }
        }
        // The kernel's time is coarse: a folder that changed this very moment may change again unnoticed.
        let settled = changed.elapsed().is_ok_and(|age| age.as_millis() > 100);
        self.folder_changed = settled.then_some(changed);
        Ok(())
    }
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
