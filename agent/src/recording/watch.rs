//! What watches the processes of a recording: one sampler for each backend, told apart here and nowhere below.

use std::{path::PathBuf, sync::atomic::AtomicBool};

use super::SetupError;
use crate::{
    cgroup::Cgroups,
    clock::JobClock,
    guard::{Guard, Limit, Roster},
    pace::Pace,
    portable::{PortableProps, PortableSampler, Processes},
    procfs::Procfs,
    recorder::Message,
    sampler::{Sampler, SamplerProps, Seconds, Sights, Spares, Teller, Unwatched, Writers},
    tree::{Discovery, Tree},
    witness::Protector,
};

/// What is watched, and through what.
#[derive(Debug)]
pub enum Watched {
    /// Through the kernel's own files.
    Linux {
        /// The processes that are watched.
        tree: Box<Tree>,
        /// How new ones are found.
        discovery: Box<Discovery>,
        /// Lets the kernel take them before the agent when memory runs out.
        protector: Option<Protector>,
        /// The limit of memory, where one is guarded.
        guarded: Option<Limit>,
    },
    /// Through sysinfo: this agent's descendants.
    Sysinfo {
        /// The command, just started.
        command_pid: u32,
        /// Its words, for one that ends before it can be looked at.
        words: Vec<String>,
    },
}

impl Watched {
    /// Whether a limit of memory is guarded.
    pub(super) fn is_guarded(&self) -> bool {
        matches!(
            self,
            Self::Linux {
                guarded: Some(_),
                ..
            }
        )
    }
}

/// What a sampler works with, whichever it is.
#[derive(Debug)]
pub(super) struct WatchProps {
    /// The job's clock.
    pub(super) clock: JobClock,
    /// Length of the grid, µs.
    pub(super) interval_us: u64,
    /// What the job may take, bytes; 0 without a budget.
    pub(super) budget_bytes: u64,
    /// Folder of the plugin's files.
    pub(super) events: PathBuf,
    /// Whose tests are not read from memory.
    pub(super) unwatched: Unwatched,
    /// Whom the recorder came across first.
    pub(super) writers: Writers,
    /// Those who run pytest, where a guard wants to know.
    pub(super) roster: Option<Roster>,
    /// What the recorder has emptied.
    pub(super) spares: Spares,
    /// Where to tell.
    pub(super) teller: Teller<Message>,
}

/// A sampler with what it watches.
#[derive(Debug)]
pub(super) enum Watch {
    Linux(Box<Sampler<Message>>),
    Sysinfo(Box<PortableSampler<Message>>),
}

impl Watch {
    pub(super) fn begin(watched: Watched, props: WatchProps) -> Result<Self, SetupError> {
        let own_pid = std::process::id();
        match watched {
            Watched::Linux {
                tree,
                discovery,
                protector,
                guarded,
            } => {
                let procfs = Procfs::system();
                let guard = guarded
                    .zip(props.roster)
                    .map(|(limit, roster)| Guard::open(limit, procfs.clone(), own_pid, roster));
                let sampler = Sampler::new(SamplerProps {
                    clock: props.clock,
                    interval_us: props.interval_us,
                    tree: *tree,
                    discovery: *discovery,
                    seconds: Seconds::new(procfs.open_machine()?, Cgroups::of(&procfs, own_pid)?),
                    protector,
                    sights: Sights::new(procfs.clone(), props.events, props.unwatched),
                    teller: props.teller,
                    spares: props.spares,
                    budget_bytes: props.budget_bytes,
                    pace: Pace::default(),
                    procfs,
                });
                let sampler = sampler
                    .map_err(SetupError::Thread)?
                    .told_by(props.writers)
                    .guarded(guard);
                Ok(Self::Linux(Box::new(sampler)))
            }
            Watched::Sysinfo { command_pid, words } => {
                let sampler = PortableSampler::new(PortableProps {
                    processes: Processes::new().map_err(SetupError::Sysinfo)?,
                    clock: props.clock,
                    interval_us: props.interval_us,
                    agent_pid: own_pid,
                    command_pid,
                    words,
                    teller: props.teller,
                });
                Ok(Self::Sysinfo(Box::new(sampler)))
            }
        }
    }

    /// Samples until told to stop; answers how many ticks were missed.
    pub(super) fn run(self, stop: &AtomicBool) -> u64 {
        match self {
            Self::Linux(sampler) => sampler.run(stop),
            Self::Sysinfo(sampler) => sampler.run(stop),
        }
    }
}
