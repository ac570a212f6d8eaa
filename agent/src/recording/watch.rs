//! What watches the processes of a recording: one sampler for each backend, told apart here and nowhere below.

use std::sync::atomic::AtomicBool;

use super::SetupError;
use crate::{
    cgroup::Cgroups,
    clock::JobClock,
    portable::{PortableProps, PortableSampler, Processes},
    procfs::Procfs,
    recorder::Message,
    sampler::{Sampler, SamplerProps, Seconds, Teller},
    tree::{Discovery, Tree},
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
    },
    /// Through sysinfo: this agent's descendants.
    Sysinfo {
        /// The command, just started.
        command_pid: u32,
        /// Its words, for one that ends before it can be looked at.
        words: Vec<String>,
    },
}

/// A sampler with what it watches.
#[derive(Debug)]
pub(super) enum Watch {
    Linux(Box<Sampler<Message>>),
    Sysinfo(Box<PortableSampler<Message>>),
}

impl Watch {
    pub(super) fn begin(
        watched: Watched,
        clock: JobClock,
        interval_us: u64,
        teller: Teller<Message>,
    ) -> Result<Self, SetupError> {
        let own_pid = std::process::id();
        match watched {
            Watched::Linux { tree, discovery } => {
                let procfs = Procfs::system();
                let seconds = Seconds::new(procfs.open_machine()?, Cgroups::of(&procfs, own_pid)?);
                let sampler = Sampler::new(SamplerProps {
                    procfs,
                    clock,
                    interval_us,
                    tree: *tree,
                    discovery: *discovery,
                    seconds,
                    teller,
                });
                Ok(Self::Linux(Box::new(sampler.map_err(SetupError::Thread)?)))
            }
            Watched::Sysinfo { command_pid, words } => {
                let sampler = PortableSampler::new(PortableProps {
                    processes: Processes::new().map_err(SetupError::Sysinfo)?,
                    clock,
                    interval_us,
                    agent_pid: own_pid,
                    command_pid,
                    words,
                    teller,
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
