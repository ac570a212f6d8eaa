//! `highwater run -- CMD`: starts the command, records it, and ends with its exit code.
//!
//! The command comes first. Nothing that fails here keeps it from running or changes how it ends: where recording cannot be set up
//! one line says why, and the command runs without.

mod child;

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus},
    sync::{Arc, atomic::AtomicBool},
};

use highwater_wire::v1;
use uuid::Uuid;

use crate::{
    backend::Backend,
    clock::JobClock,
    diagnose::Diagnose,
    forecaster::Forewarn,
    guard::Limit,
    procfs::Procfs,
    recorder::{BatchSink, Ending},
    recording::{Running, RunningProps, SetupError, Watched},
    signals::{self, Happened, Signals},
    terminal,
    tree::{Discovery, Tree},
    witness::{Protector, signal_taken},
};
pub(super) use child::exit_code_of;

pub use child::{NOT_EXECUTABLE, NOT_FOUND, StartError};

/// What `run` needs.
#[derive(Debug)]
pub struct RunProps<S> {
    /// The command's words; the first is the program.
    pub command: Vec<OsString>,
    /// Variables to give it.
    pub variables: Vec<(&'static str, OsString)>,
    /// How to record it; `None` to only run it.
    pub recording: Option<RecordingProps<S>>,
}

/// How to record.
#[derive(Debug)]
pub struct RecordingProps<S> {
    /// The job's identity.
    pub uuid: Uuid,
    /// How it began: its start on both clocks, its boot and its interval are used.
    pub job: v1::Job,
    /// Where batches go.
    pub sink: S,
    /// Folder of the plugin's files; must be there.
    pub events: PathBuf,
    /// Folder with the plugin, for `PYTHONPATH` (see [`crate::plugin_files::unpack`]); `None` to run pytest without.
    pub plugin: Option<PathBuf>,
    /// What reads processes and machine.
    pub backend: Backend,
    /// Root of the repository.
    pub repo_root: Option<PathBuf>,
    /// Whether the plugin may reset the kernel's high-water mark.
    pub exact: bool,
    /// Whether the plugin takes apart why memory stays.
    pub diagnose: Diagnose,
    /// Whether the kernel shall take the command before the agent when memory runs out.
    pub protects: bool,
    /// The limit of memory, where one is guarded.
    pub guarded: Option<Limit>,
    /// Whether it is said that a limit will be crossed, and how loud.
    pub forewarns: Option<Forewarn>,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunOutcome<S> {
    /// What the agent should end with: the command's exit code, 128 and the signal's number, 127 or 126.
    pub exit_code: u8,
    /// Why the command could not be started.
    pub not_started: Option<StartError>,
    /// The command's exit code, when it exited.
    pub command_exit: Option<i32>,
    /// The signal that ended it, otherwise.
    pub command_signal: Option<i32>,
    /// When it ended, µs since the job's start; 0 when nothing was recorded.
    pub ended_us: i64,
    /// The last signal by which the agent was told to stop.
    pub forwarded_signal: Option<i32>,
    /// The sink, given back; `None` when nothing was recorded, or its disk hangs.
    pub sink: Option<S>,
    /// Batches that were made; `None` when that is not known, since the recorder did not come to its end.
    pub batches: Option<u64>,
    /// Those that the sink had no room for, with their numbers.
    pub unwritten: Vec<(u64, v1::Batch)>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
    /// Raised by a signal that came after the command had ended: come to an end soon. The next such signal kills the agent.
    pub hurry: Arc<AtomicBool>,
}

/// Runs a command inside the job of another agent, by becoming it: that agent sees and records it already.
///
/// # Errors
/// Only returns when the command cannot be started.
pub fn become_command(
    command: &[OsString],
    variables: Vec<(&'static str, OsString)>,
) -> StartError {
    let Some((program, words)) = command.split_first() else {
        return StartError::no_command();
    };
    let mut command = Command::new(program);
    signals::hand_on(command.args(words).envs(variables));
    StartError::new(program, command.exec())
}

/// Runs the command, records it, and tells how it ended.
pub fn run<S: BatchSink + Send + 'static>(props: RunProps<S>) -> RunOutcome<S> {
    let mut outcome = RunOutcome::nothing();
    let mut signals = match Signals::take_over() {
        Ok(signals) => Some(signals),
        Err(error) => {
            outcome
                .warnings
                .push(format!("signals are not forwarded: {error}"));
            None
        }
    };
    let clock = props
        .recording
        .as_ref()
        .map(|recording| JobClock::new(recording.job.started_monotonic_us));
    let command_pid = match child::start(&props.command, props.variables, props.recording.as_ref())
    {
        Ok(pid) => pid,
        Err(error) => {
            outcome.exit_code = error.exit_code();
            outcome.not_started = Some(error);
            outcome.sink = props.recording.map(|recording| recording.sink);
            return outcome;
        }
    };
    let running =
        props.recording.and_then(
            |recording| match watch(recording, command_pid, &props.command) {
                Ok(running) => Some(running),
                Err(error) => {
                    terminal::tell(format_args!("not recording: {error}"));
                    None
                }
            },
        );

    let mut ended = None;
    while ended.is_none() {
        match &mut signals {
            Some(signals) => {
                for happened in signals.wait() {
                    tell_of(happened, running.as_ref());
                    pass_on(happened, command_pid, &mut outcome);
                }
            }
            None => ended = reap_all(true, command_pid, running.as_ref()),
        }
        ended = ended.or_else(|| reap_all(false, command_pid, running.as_ref()));
    }
    if let Some(status) = ended {
        (outcome.command_exit, outcome.command_signal) = child::parts_of(status);
        outcome.exit_code = exit_code_of(status);
    }
    outcome.ended_us = clock.map_or(0, |clock| clock.now_us());
    match signals.map(Signals::hurry) {
        Some(Ok(hurry)) => outcome.hurry = hurry,
        Some(Err(error)) => outcome
            .warnings
            .push(format!("signals are not heard any more: {error}")),
        None => {}
    }
    match running.map(Running::finish) {
        Some(Ok(recorded)) => {
            outcome.sink = Some(recorded.sink);
            outcome.batches = Some(recorded.batches);
            outcome.unwritten = recorded.unwritten;
            outcome.warnings.extend(recorded.warnings);
        }
        Some(Err(reason)) => {
            outcome.batches = None;
            outcome.warnings.push(reason);
        }
        None => {}
    }
    outcome
}

/// Begins to record a command that was just started.
fn watch<S: BatchSink + Send + 'static>(
    props: RecordingProps<S>,
    command_pid: u32,
    command: &[OsString],
) -> Result<Running<S>, SetupError> {
    let words = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let watched = match props.backend {
        Backend::Linux => {
            adopt_orphans().map_err(SetupError::Subreaper)?;
            let clock = JobClock::new(props.job.started_monotonic_us);
            let page_bytes = rustix::param::page_size() as u64;
            let mut tree = Tree::new(Procfs::system(), std::process::id(), page_bytes);
            let discovery = Discovery::begin(&tree, command_pid, clock.now_us());
            tree.adopt(command_pid, words, clock.now_us())?;
            Watched::Linux {
                tree: Box::new(tree),
                discovery: Box::new(discovery),
                protector: props
                    .protects
                    .then(|| Protector::above(&Procfs::system(), std::process::id(), &[]))
                    .flatten(),
                guarded: props.guarded,
            }
        }
        Backend::Sysinfo => Watched::Sysinfo { command_pid, words },
    };
    Running::start(RunningProps {
        job: props.job,
        sink: props.sink,
        events: props.events,
        repo_root: props.repo_root,
        wants_plugin: props.plugin.is_some(),
        forewarns: props.forewarns,
        watched,
    })
}

/// Descendants whose parent has ended become the agent's own children.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> io::Result<()> {
    let own = rustix::process::getpid();
    Ok(rustix::process::set_child_subreaper(Some(own))?)
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Tells the recorder of a signal, and of its sender before that is gone.
fn tell_of<S>(happened: Happened, running: Option<&Running<S>>) {
    if let (
        Happened::Signal {
            number,
            from_terminal,
            sender_pid,
        },
        Some(running),
    ) = (happened, running)
    {
        let taken = signal_taken(&Procfs::system(), number, sender_pid, from_terminal);
        running.happened(v1::event::What::Signal(taken));
    }
}

fn pass_on<S>(happened: Happened, command_pid: u32, outcome: &mut RunOutcome<S>) {
    if let Some(signal) = happened.told_to_stop(command_pid) {
        outcome.forwarded_signal = Some(signal);
    }
    if let Some(signal) = happened.to_forward(command_pid)
        && !happened.reached_command(&Procfs::system(), command_pid)
        && let Err(error) = signals::send_to_child(command_pid, signal)
    {
        outcome.warnings.push(format!(
            "failed to forward signal {signal} to the command: {error}"
        ));
    }
}

/// Reaps whoever has ended; the command's status, when it was among them. Until then its number cannot be another's.
///
/// The kernel's account of a reaped child is not used: its `ru_maxrss` is the largest of the child and all children it waited for
/// itself, and survives exec, so it says nothing of the one process.
fn reap_all<S>(wait: bool, command_pid: u32, running: Option<&Running<S>>) -> Option<ExitStatus> {
    let mut ended = None;
    while let Some((pid, status)) = child::reap(wait && ended.is_none()) {
        if let Some(running) = running {
            let (exit_code, signal) = child::parts_of(status);
            running.reaped(pid, Ending { exit_code, signal });
        }
        if pid == command_pid {
            ended = Some(status);
        }
    }
    ended
}

impl<S> RunOutcome<S> {
    fn nothing() -> Self {
        Self {
            exit_code: 0,
            not_started: None,
            command_exit: None,
            command_signal: None,
            ended_us: 0,
            forwarded_signal: None,
            sink: None,
            batches: Some(0),
            unwritten: Vec::new(),
            warnings: Vec::new(),
            hurry: Arc::default(),
        }
    }
}
