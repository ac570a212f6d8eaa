//! A folder that is removed under its writer, by `rm -rf`, by `git clean -fdx`, or by a test that clears away what it takes for its own.
//!
//! What the running segment holds lies in the file that the writer has open, whatever became of its name. It is written into a folder that is made anew, under
//! the same number, so that whoever reads behind the writer finds its place there. What lay in closed segments and no server has is missing: its
//! numbers are not given again, and it is told.
//!
//! The folder is not made anew at once: whoever removes it would find it not empty where it is about to remove its parents, and fail.

use std::{
    ffi::CString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, fstat, lstat, mkdir},
    io::Errno,
};

use super::{
    Spool, SpoolError, io as at, is_job,
    room::{Reserve, is_full},
    segments::path_of,
    write::{lock, write_bytes},
};
use crate::regular;

/// How long whoever removes a folder is left alone with it.
const SETTLES: Duration = Duration::from_millis(500);

/// What a removal took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The folder that was removed.
    pub folder: PathBuf,
    /// How many batches are missing: they lay there, and no server is known to have them.
    pub missing: u64,
    /// Where the recording goes on, or why there is no such place and it waits in memory.
    pub goes_on: Result<PathBuf, String>,
}

/// What a spool stands on, and what it takes to make that anew.
#[derive(Debug)]
pub(super) struct Ground {
    /// Name of the running segment, and of the folder of the plugin's files.
    name: CString,
    events: CString,
    /// Since when that is known to be gone, where the rest is there.
    events_gone: Option<Instant>,
    /// The file `job`, as it is on disk.
    job: Vec<u8>,
    /// Where the folder is made where its own place takes none.
    elsewhere: Option<PathBuf>,
    /// Since when it is known to be gone.
    gone: Option<Instant>,
    /// Nobody is left who could still be removing it.
    is_quiet: bool,
    removed: Option<Removed>,
    is_told: bool,
}

impl Ground {
    /// Of the folder of a job and the segment that is written there.
    pub(super) fn of(folder: &Path, segment: &Path) -> Result<Self, SpoolError> {
        let path = folder.join("job");
        let mut job = Vec::new();
        regular::open(&path)
            .and_then(|mut file| file.read_to_end(&mut job))
            .map_err(at(&path))?;
        Ok(Self {
            name: name_of(segment),
            events: name_of(&folder.join("events")),
            events_gone: None,
            job,
            elsewhere: None,
            gone: None,
            is_quiet: false,
            removed: None,
            is_told: false,
        })
    }

    /// Another segment is written.
    pub(super) fn set_segment(&mut self, segment: &Path) {
        self.name = name_of(segment);
    }

    /// Makes the folder of the plugin's files anew where that alone was removed.
    fn see_to_events(&mut self) {
        if !matches!(lstat(self.events.as_c_str()), Err(Errno::NOENT)) {
            self.events_gone = None;
            return;
        }
        let since = self.events_gone.get_or_insert_with(Instant::now);
        if since.elapsed() >= SETTLES {
            // Where it cannot be made the plugin's silence is told.
            let _ = mkdir(self.events.as_c_str(), Mode::RWXU);
        }
    }

    /// Whether a file is still what its name leads to. Where that cannot be told it is.
    fn holds(&self, segment: &File) -> bool {
        match (fstat(segment), lstat(self.name.as_c_str())) {
            (_, Err(Errno::NOENT | Errno::NOTDIR)) => false,
            (Ok(held), Ok(found)) => (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino),
            _ => true,
        }
    }
}

/// No path with a NUL was ever opened.
fn name_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

impl Spool {
    /// Names a root for the folder, for where it is removed and its own place takes none any more.
    #[must_use]
    pub fn with_elsewhere(mut self, root: Option<PathBuf>) -> Self {
        self.ground.elsewhere = root;
        self
    }

    /// Nobody is left who could be removing the folder: it may be made anew at once.
    pub fn be_quick(&mut self) {
        self.ground.is_quiet = true;
    }

    /// What a removal took, once it is known.
    pub fn take_removed(&mut self) -> Option<Removed> {
        self.ground.removed.take()
    }

    /// Sees to it that what is written now can be found, and makes the folder anew where it was removed.
    ///
    /// # Errors
    /// [`SpoolError::Removed`] as long as it is left alone; else when it cannot be made.
    pub(super) fn hold_ground(&mut self) -> Result<(), SpoolError> {
        if self.ground.gone.is_none() {
            if self.ground.holds(&self.segment) {
                self.ground.see_to_events();
                return Ok(());
            }
            self.ground.gone = Some(Instant::now());
        }
        let is_settled = |since: Instant| since.elapsed() >= SETTLES;
        if !self.ground.is_quiet && !self.ground.gone.is_some_and(is_settled) {
            return Err(SpoolError::Removed(self.folder.clone()));
        }
        let folder = self.folder.clone();
        let made = self.make_anew();
        match &made {
            // What has no room now may have it with the next batch.
            Err(SpoolError::Io { source, .. }) if is_full(source) => {}
            Err(error) if !self.ground.is_told => {
                self.ground.is_told = true;
                self.ground.removed = Some(Removed {
                    folder,
                    missing: 0,
                    goes_on: Err(error.to_string()),
                });
            }
            Err(_) => {}
            Ok(missing) => {
                self.ground.gone = None;
                self.ground.is_told = false;
                self.ground.removed = Some(Removed {
                    folder,
                    missing: *missing,
                    goes_on: Ok(self.folder.clone()),
                });
            }
        }
        made.map(drop)
    }

    /// Makes the folder in its place, or elsewhere; answers how many batches are missing.
    fn make_anew(&mut self) -> Result<u64, SpoolError> {
        let own = self.folder.clone();
        match self.make_at(&own) {
            Err(SpoolError::Io { path, source }) if !is_full(&source) => {
                let refused = SpoolError::Io { path, source };
                let (Some(root), Some(name)) = (self.ground.elsewhere.clone(), own.file_name())
                else {
                    return Err(refused);
                };
                let other = root.join(name);
                let missing = self.make_at(&other).map_err(|_| refused)?;
                self.handoff.move_to(&other);
                Ok(missing)
            }
            made => made,
        }
    }

    fn make_at(&mut self, folder: &Path) -> Result<u64, SpoolError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.join("events"))
            .map_err(at(folder))?;
        let lock = match lock(folder) {
            Ok(lock) => Some(lock),
            // Where only a segment was removed it is still held, by this very agent.
            Err(SpoolError::Busy(_)) => None,
            Err(error) => return Err(error),
        };
        if !is_job(folder) {
            write_bytes(&folder.join("job"), &self.ground.job)?;
        }
        let path = path_of(folder, self.stream, self.number);
        self.segment = copy(&self.segment, &path).map_err(at(&path))?;
        self.ground.set_segment(&path);
        self.ground.events = name_of(&folder.join("events"));
        self.path = path;
        self.folder = folder.to_path_buf();
        self.lock = lock.or(self.lock.take());
        self.reserve = Reserve::new(folder);
        self.reserve.refill();
        self.handoff.bell.ring();
        Ok(self.let_go_of_removed())
    }

    /// Forgets the closed segments that are gone; answers how many of their batches no server is known to have.
    fn let_go_of_removed(&mut self) -> u64 {
        let acknowledged = self.handoff.acknowledged();
        let (mut from, mut missing) = (0_u64, 0_u64);
        let Self {
            closed,
            folder,
            stream,
            ..
        } = self;
        closed.retain(|segment| {
            let is_there = path_of(folder, *stream, segment.number).is_file();
            if !is_there {
                missing += segment.below.saturating_sub(from.max(acknowledged));
            }
            from = segment.below;
            is_there
        });
        missing
    }
}

/// Writes all of a file that may have no name any more into one that has; what stood there half copied goes.
fn copy(from: &File, path: &Path) -> io::Result<File> {
    drop(fs::remove_file(path));
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let mut to = regular::open_with(&mut options, path)?;
    let mut bytes = vec![0; usize::try_from(from.metadata()?.len()).map_err(io::Error::other)?];
    let copied = from
        .read_exact_at(&mut bytes, 0)
        .and_then(|()| to.write_all(&bytes));
    if copied.is_err() {
        drop(fs::remove_file(path));
    }
    copied.map(|()| to)
}
