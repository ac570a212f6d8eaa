//! Which test each pytest without the plugin runs, read beside its RSS on each tick.
//!
//! Whoever may be such a pytest is looked at until the recorder says that nothing is to be learnt of it: its plugin speaks, or it belongs to a
//! test. All looks together are held to a share of a core; where that does not suffice, those go first who have waited longest.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    budget::Budget,
    clock::thread_cpu_us,
    environ::{Look, Phase, Reader, is_title},
    procfs::Procfs,
    pytest::{is_pytest, is_worker},
    tree::{ProcessKey, TreeEvent},
};

/// Share of one core that looking may take.
const SHARE: f64 = 0.005;
/// So much of that time may be used at once, µs: the first look at a program costs a millisecond or more, and workers are born together.
const SAVED_US: i64 = 60_000_000;
/// What a look is taken to cost before one was measured, µs.
const FIRST_COST_US: i64 = 1_000;
/// How the kernel ends the name of a plugin's file that was removed.
const REMOVED: &[u8] = b".events (deleted)";
/// So many of a process's open files are looked at for that, a few milliseconds once: the plugin's has a high number, so those of the tests may come first.
const MOST_LINKS: usize = 2_000;
/// A process without any test is told of after so long, µs: by then its plugin would have spoken.
pub const PATIENCE_US: i64 = 2_000_000;

/// A change in what a process was seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Which process.
    pub key: ProcessKey,
    /// The tick it was seen at, µs since the job's start.
    pub t_us: i64,
    /// Its RSS at that tick, bytes.
    pub rss_bytes: u64,
    /// The look before, which saw something else; `None` where this is the first.
    pub before: Option<Glance>,
    /// What was seen.
    pub what: Seeing,
}

/// A process at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// When, µs since the job's start.
    pub t_us: i64,
    /// Its RSS then, bytes.
    pub rss_bytes: u64,
}

impl Sight {
    /// About when what is seen began, with the RSS to count from. It was somewhere between two looks, so half of that is the least error. Who made the
    /// memory grow meanwhile cannot be known: tests and their fixtures take most as they begin and give it back as they end, so what is
    /// more counts for what is seen now, and what is less for what was before.
    #[must_use]
    pub fn turn(&self) -> Glance {
        let (t_us, rss_bytes) = (self.t_us, self.rss_bytes);
        self.before
            .map_or(Glance { t_us, rss_bytes }, |before| Glance {
                t_us: before.t_us + (t_us - before.t_us) / 2,
                rss_bytes: before.rss_bytes.min(rss_bytes),
            })
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seeing {
    /// For the first time that it runs a test, or that it runs none after [`PATIENCE_US`].
    Begun {
        /// Its working folder; `None` where that cannot be read.
        folder: Option<PathBuf>,
        /// The xdist worker that it says it is.
        worker: Option<String>,
        /// Whether that was read in its title.
        by_title: bool,
        /// RSS of the controller that an xdist worker belongs to, its parent, at the same time, bytes.
        controller_rss_bytes: Option<u64>,
    },
    /// A test runs.
    Running {
        /// Its node id.
        nodeid: String,
        /// The phase it is in, where that is known.
        phase: Option<Phase>,
    },
    /// No test runs.
    Idle,
    /// It cannot be told, and why; said once of each process.
    Unknown(String),
}

/// Processes that are not to be looked at; the recorder tells the sampler.
#[derive(Debug, Clone, Default)]
pub struct Unwatched(Arc<Mutex<HashSet<ProcessKey>>>);

impl Unwatched {
    /// Has nobody look at a process any more.
    pub fn insert(&self, key: ProcessKey) {
        self.keys().insert(key);
    }

    /// Takes whoever was named since the last call.
    pub(crate) fn take(&self) -> HashSet<ProcessKey> {
        std::mem::take(&mut *self.keys())
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, HashSet<ProcessKey>> {
        // A set is whole whoever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process that is looked at.
#[derive(Debug)]
struct Watch {
    reader: Reader,
    born_us: i64,
    /// The controller of what looks like a worker.
    controller_pid: Option<u32>,
    /// When it was looked at last, for the next to compare with; fairness goes by it.
    last_look: Option<Glance>,
    /// About what a look at it costs, µs.
    cost_us: i64,
    is_due: bool,
    has_begun: bool,
    /// Its plugin speaks, though its file was removed.
    has_plugin: bool,
    is_told_unknown: bool,
    last: Last,
}

/// What was told of a process last.
#[derive(Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Idle,
    Running(String, Option<Phase>),
}

/// Everybody who is looked at.
#[derive(Debug)]
pub struct Sights {
    procfs: Procfs,
    events: PathBuf,
    /// The same as the kernel names it, which follows links. Known while it is there.
    real_events: Option<PathBuf>,
    unwatched: Unwatched,
    budget: Budget,
    watched: HashMap<ProcessKey, Watch>,
    seen: Vec<Sight>,
    /// Looks that were left out for their cost.
    left_out: u64,
}

impl Sights {
    /// Nobody yet; `events` is where the plugin writes.
    #[must_use]
    pub fn new(procfs: Procfs, events: PathBuf, unwatched: Unwatched) -> Self {
        Self {
            procfs,
            real_events: events.canonicalize().ok(),
            events,
            unwatched,
            budget: Budget::saving(SHARE, SAVED_US),
            watched: HashMap::new(),
            seen: Vec::new(),
            left_out: 0,
        }
    }

    /// Learns who may be a pytest, and who is none any more. A fork of one runs no session of its own.
    pub fn hear(&mut self, event: &TreeEvent, now_us: i64) {
        match event {
            TreeEvent::Born(birth) if birth.is_copy => {}
            TreeEvent::Born(birth) => {
                self.consider(birth.key, birth.parent_pid, &birth.words, now_us);
            }
            TreeEvent::Renamed {
                key,
                words,
                is_copy,
            } => {
                self.watched.remove(key);
                if *is_copy {
                    return;
                }
                let mut buffer = Vec::new();
                if let Ok(Some(stat)) = self.procfs.stat(key.pid, &mut buffer) {
                    self.consider(*key, stat.parent_pid, words, now_us);
                }
            }
            TreeEvent::Gone { key } => {
                self.watched.remove(key);
            }
        }
    }

    fn consider(&mut self, key: ProcessKey, parent_pid: u32, words: &[String], now_us: i64) {
        let is_worker = is_worker(words) || is_title(words);
        if !is_worker && !is_pytest(words) {
            return;
        }
        let watch = Watch {
            reader: Reader::new(self.procfs.clone(), key.pid),
            born_us: now_us,
            controller_pid: is_worker.then_some(parent_pid),
            last_look: None,
            cost_us: FIRST_COST_US,
            is_due: false,
            has_begun: false,
            has_plugin: false,
            is_told_unknown: false,
            last: Last::Nothing,
        };
        self.watched.insert(key, watch);
    }

    /// Chooses who is looked at on this tick.
    pub fn begin_tick(&mut self, now_us: i64) {
        if self.watched.is_empty() {
            return;
        }
        for key in self.unwatched.take() {
            self.watched.remove(&key);
        }
        let mut room_us = self.budget.room_us(now_us);
        let mut waiting: Vec<&mut Watch> = self.watched.values_mut().collect();
        waiting.sort_unstable_by_key(|watch| watch.last_look.map(|it| it.t_us));
        let mut is_first = true;
        for watch in waiting {
            // A look that costs more than may ever be saved must not wait for ever.
            watch.is_due = room_us >= watch.cost_us || (is_first && room_us > 0);
            self.left_out += u64::from(!watch.is_due);
            room_us -= watch.cost_us;
            is_first = false;
        }
    }

    /// Looks at a process whose RSS was just read, if it is its turn.
    pub fn look(&mut self, key: ProcessKey, now_us: i64, rss_bytes: u64) {
        let Some(watch) = self.watched.get_mut(&key) else {
            return;
        };
        if !std::mem::take(&mut watch.is_due) {
            return;
        }
        // Until it is known as a pytest without the plugin, its plugin may come: its file is there before the first test. The recorder says when
        // its session is heard; of a plugin that failed as it began none is.
        if !watch.has_begun
            && now_us - watch.born_us < PATIENCE_US
            && self.events.join(format!("{}.events", key.pid)).exists()
        {
            return;
        }
        let began = thread_cpu_us();
        if let Some(what) = watch.see(now_us) {
            let events = self.real_events.as_ref().unwrap_or(&self.events);
            if watch.begins(&what) && holds_removed(&self.procfs, key.pid, events) {
                watch.has_plugin = true;
            } else {
                let sight = Sight {
                    key,
                    t_us: now_us,
                    rss_bytes,
                    before: watch.last_look,
                    what,
                };
                watch.tell(sight, &self.procfs, &mut self.seen);
            }
        }
        let cost_us = (thread_cpu_us() - began).max(1);
        // The mean of what was lately: the first look at a program is dear, and one preempted in the midst says little.
        watch.cost_us = match watch.last_look {
            None => cost_us.min(FIRST_COST_US),
            Some(_) => (3 * watch.cost_us + cost_us) / 4,
        };
        watch.last_look = Some(Glance {
            t_us: now_us,
            rss_bytes,
        });
        self.budget.spend(now_us, cost_us);
        if watch.has_plugin {
            self.watched.remove(&key);
        }
    }

    /// How many looks were left out because all of them together would have cost too much.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes what was seen since the last call, if anything was.
    pub fn take(&mut self) -> Option<Vec<Sight>> {
        (!self.seen.is_empty()).then(|| std::mem::take(&mut self.seen))
    }
}

impl Watch {
    /// What a look shows that was not told yet.
    fn see(&mut self, t_us: i64) -> Option<Seeing> {
        let is_patient = t_us - self.born_us < PATIENCE_US;
        match self.reader.look() {
            Look::Running { nodeid, phase } => match &self.last {
                Last::Running(known, last) if known == nodeid && *last == phase => None,
                _ => {
                    self.last = Last::Running(nodeid.to_owned(), phase);
                    Some(Seeing::Running {
                        nodeid: nodeid.to_owned(),
                        phase,
                    })
                }
            },
            // Whatever else uses execnet looks like a worker until it runs a test.
            Look::Idle if !self.has_begun && (is_patient || self.controller_pid.is_some()) => None,
            Look::Idle if self.last == Last::Idle => None,
            Look::Idle => {
                self.last = Last::Idle;
                Some(Seeing::Idle)
            }
            Look::Unknown(_) if is_patient || self.is_told_unknown || self.has_begun => None,
            Look::Unknown(reason) => {
                self.is_told_unknown = true;
                Some(Seeing::Unknown(reason.to_string()))
            }
        }
    }

    /// Whether this is the first that is told of what it runs.
    fn begins(&self, what: &Seeing) -> bool {
        !self.has_begun && !matches!(what, Seeing::Unknown(_))
    }

    fn tell(&mut self, sight: Sight, procfs: &Procfs, seen: &mut Vec<Sight>) {
        if self.begins(&sight.what) {
            self.has_begun = true;
            let begun = Seeing::Begun {
                folder: fs::read_link(procfs.path_of(sight.key.pid, "cwd")).ok(),
                worker: self.reader.worker().map(str::to_owned),
                by_title: self.reader.is_by_title(),
                controller_rss_bytes: self.controller_pid.and_then(|pid| rss_of(procfs, pid)),
            };
            seen.push(Sight {
                what: begun,
                ..sight.clone()
            });
        }
        seen.push(sight);
    }
}

/// Whether a process writes an events file that somebody removed: its plugin writes it again once there is a folder for it.
fn holds_removed(procfs: &Procfs, pid: u32, events: &Path) -> bool {
    let files = fs::read_dir(procfs.path_of(pid, "fd"));
    let links = files.into_iter().flatten().flatten();
    links
        .take(MOST_LINKS)
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|link| link.starts_with(events) && link.as_os_str().as_bytes().ends_with(REMOVED))
}

fn rss_of(procfs: &Procfs, pid: u32) -> Option<u64> {
    let page_bytes = rustix::param::page_size() as u64;
    let statm = procfs.open_statm(pid, page_bytes).ok()??;
    Some(statm.read().ok()??.resident_bytes)
}

#[cfg(test)]
mod tests;
