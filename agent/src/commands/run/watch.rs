//! What watches the processes of a recording: one sampler for each backend, told apart here and nowhere below.

use std::{ffi::OsString, io, sync::atomic::AtomicBool};

use super::recording::SetupError;
use crate::{
    backend::Backend,
    cgroup::Cgroups,
    clock::JobClock,
    portable::{PortableProps, PortableSampler, Processes},
    procfs::Procfs,
    recorder::Message,
    sampler::{Sampler, SamplerProps, Seconds, Teller},
    tree::{Discovery, Tree},
};

/// What is to be watched.
#[derive(Debug)]
pub(super) struct WatchProps<'a> {
    pub(super) backend: Backend,
    pub(super) clock: JobClock,
    pub(super) interval_us: u64,
    pub(super) command_pid: u32,
    pub(super) command: &'a [OsString],
    pub(super) teller: Teller<Message>,
}

/// A sampler with the command in its tree.
#[derive(Debug)]
pub(super) enum Watch {
    Linux(Box<Sampler<Message>>),
    Sysinfo(Box<PortableSampler<Message>>),
}

impl Watch {
    /// Takes in a command that was just started.
    pub(super) fn begin(props: WatchProps<'_>) -> Result<Self, SetupError> {
        let words = props
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        match props.backend {
            Backend::Linux => Self::linux(props, words),
            Backend::Sysinfo => Self::sysinfo(props, words),
        }
    }

    fn linux(props: WatchProps<'_>, words: Vec<String>) -> Result<Self, SetupError> {
        let procfs = Procfs::system();
        let own_pid = std::process::id();
        adopt_orphans().map_err(SetupError::Subreaper)?;
        let now_us = props.clock.now_us();
        let mut tree = Tree::new(procfs.clone(), own_pid, rustix::param::page_size() as u64);
        let discovery = Discovery::begin(&tree, props.command_pid, now_us);
        tree.adopt(props.command_pid, words, now_us)?;
        let seconds = Seconds::new(procfs.open_machine()?, Cgroups::of(&procfs, own_pid)?);
        let sampler = Sampler::new(SamplerProps {
            procfs,
            clock: props.clock,
            interval_us: props.interval_us,
            tree,
            discovery,
            seconds,
            teller: props.teller,
        });
        Ok(Self::Linux(Box::new(sampler.map_err(SetupError::Thread)?)))
    }

    fn sysinfo(props: WatchProps<'_>, words: Vec<String>) -> Result<Self, SetupError> {
        let processes = Processes::new().map_err(SetupError::Sysinfo)?;
        Ok(Self::Sysinfo(Box::new(PortableSampler::new(
            PortableProps {
                processes,
                clock: props.clock,
                interval_us: props.interval_us,
                agent_pid: std::process::id(),
                command_pid: props.command_pid,
                words,
                teller: props.teller,
            },
        ))))
    }

    /// Samples until told to stop; answers how many ticks were missed.
    pub(super) fn run(self, stop: &AtomicBool) -> u64 {
        match self {
            Self::Linux(sampler) => sampler.run(stop),
            Self::Sysinfo(sampler) => sampler.run(stop),
        }
    }
}

/// Descendants whose parent has ended become the agent's own children.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
