//! Follows the events files of the plugin while they grow.
//!
//! One file a process, `<dir>/<pid>.events`, defined in `pytest-plugin/FORMAT.md`. A look costs one `stat` of the folder and one
//! a file; a file is opened only when it has grown. A file that has been quiet for long is looked at about once a second while its
//! process is known to live; of the others so many at a time, in turn, so thousands of forked test processes do not cost thousands of looks.

mod file;
mod lines;
mod writer;

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

use crate::{regular::is_gone, tree::ProcessKey};
use file::EventsFile;

pub use writer::{find_writer, writer_lives};

/// Most bytes one look takes, over all files: what is left waits for the next.
const MAX_LOOK_BYTES: usize = 4 << 20;
/// Time without news after which a file is quiet, µs.
const QUIET_AFTER_US: i64 = 10_000_000;
/// How often quiet files are looked at, µs: less than lies between two blocks of the grid, so that each of these finds them due.
const QUIET_EVERY_US: i64 = 900_000;
/// So many quiet files are looked at then of those whose process is not known to live; the rest waits for its turn. A look at one costs about a microsecond.
const MOST_QUIET: usize = 100;

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
    /// A file, or their folder, that could not be read. The others were.
    Unread {
        /// Which, and why.
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
    /// When the last look was, and the last at quiet files.
    looked_us: i64,
    looked_at_quiet_us: Option<i64>,
    /// Counts the rounds in which each quiet file has its turn.
    round: u32,
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
            looked_us: i64::MIN,
            looked_at_quiet_us: None,
            round: 0,
            chunk: Vec::new(),
        }
    }

    /// Whether the folder is there, as it was at the begin.
    #[must_use]
    pub fn has_folder(&self) -> bool {
        self.folder.is_dir()
    }

    /// Whether a process of that number ever wrote.
    #[must_use]
    pub fn has_file_of(&self, pid: u32) -> bool {
        self.files
            .contains_key(&OsString::from(format!("{pid}.events")))
    }

    /// Whose files were removed before they had left pytest: what they told since they were read last is missing.
    pub fn cut_off(&self) -> impl Iterator<Item = ProcessKey> {
        self.files.values().filter_map(EventsFile::cut_off)
    }

    /// Takes what is new. True when there is more than one look may take, so the next should follow at once. `now_us` is of a clock that never
    /// goes back; `lives` says whether a process, as its file names it, is known to live.
    /// What cannot be read is told; what is not there is not: it may come again.
    pub fn look(
        &mut self,
        now_us: i64,
        lives: impl Fn(ProcessKey) -> bool,
        told: &mut Vec<Told>,
    ) -> bool {
        self.looked_us = now_us;
        tell_failed(self.find_files(), told);
        let last_us = self.looked_at_quiet_us;
        let are_quiet_due = last_us.is_none_or(|last_us| now_us - last_us >= QUIET_EVERY_US);
        if !are_quiet_due {
            return self.read(told, |file| !file.is_quiet(now_us));
        }
        self.looked_at_quiet_us = Some(now_us);
        let round = self.round;
        let (mut turns, mut waits) = (MOST_QUIET, false);
        let read = self.read(told, |file| {
            if !file.is_quiet(now_us) || file.writer().is_some_and(&lives) {
                return true;
            }
            if file.round == round {
                return false;
            }
            if turns == 0 {
                waits = true;
                return false;
            }
            turns -= 1;
            file.round = round;
            true
        });
        if !waits {
            self.round = round.wrapping_add(1);
        }
        read
    }

    /// Has the next look read the files too to which nothing was written for a while: somebody wants to know at once.
    pub fn hurry(&mut self) {
        self.looked_at_quiet_us = None;
    }

    /// Takes everything to the end of every file, for when nobody writes any more; answers as [`look`](Self::look) does.
    pub fn drain(&mut self, told: &mut Vec<Told>) -> bool {
        self.folder_changed = None;
        tell_failed(self.find_files(), told);
        self.read(told, |_| true)
    }

    fn read(
        &mut self,
        told: &mut Vec<Told>,
        mut wanted: impl FnMut(&mut EventsFile) -> bool,
    ) -> bool {
        let mut allowance = MAX_LOOK_BYTES;
        for file in self.files.values_mut() {
            if !wanted(file) {
                continue;
            }
            let before = allowance;
            let read = file.read_news(&mut allowance, &mut self.chunk, &self.start, told);
            tell_failed(read, told);
            if allowance < before {
                file.news_us = self.looked_us;
            }
            if allowance == 0 {
                break;
            }
        }
        allowance == 0
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
                    .or_insert_with(|| EventsFile::new(path, self.looked_us));
            }
        }
        // The kernel's time is coarse: a folder that changed this very moment may change again unnoticed.
        let settled = changed.elapsed().is_ok_and(|age| age.as_millis() > 100);
        self.folder_changed = settled.then_some(changed);
        Ok(())
    }
}

/// Tells of what cannot be read. What was removed may be made anew, and is looked at then.
fn tell_failed(result: io::Result<()>, told: &mut Vec<Told>) {
    if let Err(error) = result
        && !is_gone(&error)
    {
        let reason = error.to_string();
        told.push(Told::Unread { reason });
    }
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
