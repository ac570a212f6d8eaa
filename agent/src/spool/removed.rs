//! A folder that is removed under its writer, by `rm -rf`, by `git clean -fdx`, or by a test that clears away what it takes for its own.
//!
//! What the running segment holds lies in the file that the writer has open, whatever became of its name. It is written into a folder that is made anew, under
//! the same number, so that whoever reads behind the writer finds its place there. What lay in closed segments and no server has is missing: its
//! numbers are not given again, and it is told.
//!
//! A segment that somebody cut short (`: > FILE`) is written again as well, with what of it is left, and what it lost is told.
//!
//! The folder is not made anew at once: whoever removes it would find it not empty where it is about to remove its parents, and fail.
//!
//! The plugin's files stay where they were begun, wherever the rest goes: their folder stands in the environment of every pytest.

use std::{
    ffi::{CString, OsStr},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FileType, Stat, fstat, lstat, stat};

use super::{
    MAGIC, Spool, SpoolError, io as at, is_job,
    read::SegmentReader,
    room::{Reserve, is_full},
    segments::path_of,
    write::{lock, write_bytes},
};
use crate::{regular, settings::claim};

/// How long whoever removes a folder is left alone with it.
pub(super) const SETTLES: Duration = Duration::from_millis(500);

/// What a removal took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The folder that was removed.
    pub folder: PathBuf,
    /// How many batches are missing: they lay there, and no server is known to have them.
    pub missing: u64,
    /// Where the recording goes on, or why there is no such place and it waits in memory.
    pub goes_on: Result<PathBuf, String>,
    /// The plugin has no folder to write to.
    pub lacks_events: bool,
    /// Nothing was removed: files in it were cut short.
    pub is_cut: bool,
}

/// Which file something is.
type Inode = (i128, u64);

/// What a spool stands on, and what it takes to make that anew.
#[derive(Debug)]
pub(super) struct Ground {
    /// Name of the running segment.
    name: CString,
    /// The folder of the plugin's files, wherever the rest lies.
    events: CString,
    /// What lies beside the segment.
    lock: CString,
    job_file: CString,
    /// The lock that is held, by this spool or whoever made it.
    held: Option<Inode>,
    /// Since when something beside the segment is known to be gone, where that is there.
    beside_gone: Option<Instant>,
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
    /// The running segment was cut short, and with it went so many batches that no server is known to have.
    cut: Option<u64>,
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
            held: inode_at(&name_of(&folder.join("lock"))),
            lock: name_of(&folder.join("lock")),
            job_file: name_of(&path),
            beside_gone: None,
            job,
            elsewhere: None,
            gone: None,
            is_quiet: false,
            removed: None,
            is_told: false,
            cut: None,
        })
    }

    /// Another segment is written.
    pub(super) fn set_segment(&mut self, segment: &Path) {
        self.name = name_of(segment);
    }

    /// Whether what lies beside the segment is there, and the lock is the one that is held.
    fn is_whole(&self) -> bool {
        self.has_events() && self.holds_lock() && lstat(self.job_file.as_c_str()).is_ok()
    }

    fn holds_lock(&self) -> bool {
        self.held.is_some() && inode_at(&self.lock) == self.held
    }

    fn has_events(&self) -> bool {
        match stat(self.events.as_c_str()) {
            Ok(found) => FileType::from_raw_mode(found.st_mode).is_dir(),
            found => !is_gone(found),
        }
    }

    /// Whether a file is still what its name leads to. Where that cannot be told it is.
    fn holds(&self, segment: &File) -> bool {
        match (fstat(segment), lstat(self.name.as_c_str())) {
            (_, found) if is_gone(found) => false,
            (Ok(held), Ok(found)) => inode(&held) == inode(&found),
            _ => true,
        }
    }
}

/// No path with a NUL was ever opened.
fn name_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn is_gone(found: rustix::io::Result<Stat>) -> bool {
    found.is_err_and(|errno| regular::is_gone(&errno.into()))
}

fn inode(stat: &Stat) -> Inode {
    // The number of a device has another width on each system.
    (i128::from(stat.st_dev), stat.st_ino)
}

fn inode_at(name: &CString) -> Option<Inode> {
    lstat(name.as_c_str()).ok().as_ref().map(inode)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
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
    pub(super) fn hold_ground(&mut self, now: Instant) -> Result<(), SpoolError> {
        self.see_to_cut()?;
        let is_held = self.ground.holds(&self.segment);
        if self.ground.gone.is_none() && self.ground.cut.is_none() && is_held {
            self.see_to_beside(now);
            return Ok(());
        }
        let is_cut = self.ground.cut.is_some() && is_held && self.ground.gone.is_none();
        let since = *self.ground.gone.get_or_insert(now);
        let is_early = !self.ground.is_quiet && now.saturating_duration_since(since) < SETTLES;
        // Who cuts a file does not mind one in its place.
        if is_early && !is_cut {
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
                    lacks_events: !self.ground.has_events(),
                    is_cut,
                });
            }
            Err(_) => {}
            Ok(missing) => {
                let missing = *missing + self.ground.cut.take().unwrap_or(0);
                self.ground.gone = None;
                self.ground.is_told = false;
                self.ground.removed = Some(Removed {
                    folder,
                    missing,
                    goes_on: Ok(self.folder.clone()),
                    lacks_events: !self.ground.has_events(),
                    is_cut,
                });
            }
        }
        made.map(drop)
    }

    /// Where the running segment got shorter than what was written to it, keeps what of it is whole.
    fn see_to_cut(&mut self) -> Result<(), SpoolError> {
        let failed = || at(&self.path);
        let length = self.segment.metadata().map_err(failed())?.len();
        if length >= self.length {
            return Ok(());
        }
        let file = self.segment.try_clone().map_err(failed())?;
        let mut reader = SegmentReader::of(file, &self.path)?;
        while reader.next_record()?.is_some() {}
        let (whole, last) = reader.read_to();
        if length < MAGIC.len() as u64 {
            self.segment.set_len(0).map_err(failed())?;
            self.segment.write_all(MAGIC).map_err(failed())?;
        } else {
            self.segment.set_len(whole).map_err(failed())?;
        }
        let kept = last.map_or(self.first, |last| last + 1);
        let kept = kept.max(self.handoff.acknowledged());
        let cut = self.batches.saturating_sub(kept);
        self.length = whole;
        *self.ground.cut.get_or_insert(0) += cut;
        Ok(())
    }

    /// Makes again what alone was removed of what lies beside the segment.
    fn see_to_beside(&mut self, now: Instant) {
        if self.ground.is_whole() {
            self.ground.beside_gone = None;
            return;
        }
        let since = *self.ground.beside_gone.get_or_insert(now);
        if self.ground.is_quiet || now.saturating_duration_since(since) >= SETTLES {
            // What cannot be made is tried again with the next batch; where that is the plugin's folder, its silence is told.
            let folder = self.folder.clone();
            if self.make_beside(&folder).is_ok() {
                self.ground.beside_gone = None;
            }
        }
    }

    fn make_beside(&mut self, folder: &Path) -> Result<(), SpoolError> {
        // Of this the rest does not depend.
        drop(make_folder(Path::new(OsStr::from_bytes(
            self.ground.events.as_bytes(),
        ))));
        self.ground.lock = name_of(&folder.join("lock"));
        self.ground.job_file = name_of(&folder.join("job"));
        if !self.ground.holds_lock() {
            self.lock = Some(lock(folder)?);
            self.ground.held = inode_at(&self.ground.lock);
        }
        if !is_job(folder) {
            write_bytes(&folder.join("job"), &self.ground.job)?;
        }
        Ok(())
    }

    /// Makes the folder in its place, or elsewhere where that takes none; answers how many batches are missing.
    fn make_anew(&mut self) -> Result<u64, SpoolError> {
        let own = self.folder.clone();
        let refused = match make_folder(&own) {
            Ok(()) => return self.make_in(&own),
            Err(error) => error,
        };
        let other = match (&self.ground.elsewhere, own.file_name()) {
            (Some(root), Some(name)) if !is_full(&refused) => root.join(name),
            _ => return Err(at(&own)(refused)),
        };
        if claim(&other).and_then(|()| make_folder(&other)).is_ok() {
            if let Ok(missing) = self.make_in(&other) {
                self.handoff.move_to(&other);
                return Ok(missing);
            }
            // Nobody shall take it for a job.
            for name in ["job", "lock"] {
                drop(fs::remove_file(other.join(name)));
            }
            drop(fs::remove_dir(&other));
        }
        Err(at(&own)(refused))
    }

    /// Writes into a folder that is there what a spool begins with, and the running segment.
    fn make_in(&mut self, folder: &Path) -> Result<u64, SpoolError> {
        self.make_beside(folder)?;
        let path = path_of(folder, self.stream, self.number);
        self.segment = copy(&self.segment, &path).map_err(at(&path))?;
        self.ground.set_segment(&path);
        self.length = self.segment.metadata().map_err(at(&path))?.len();
        self.path = path;
        self.folder = folder.to_path_buf();
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
            let about = path_of(folder, *stream, segment.number).symlink_metadata();
            // Also of one that was cut nothing is there.
            let is_there = about.is_ok_and(|it| it.is_file() && it.len() > MAGIC.len() as u64);
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
