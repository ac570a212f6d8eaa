//! The agent in the background, from its orders to its end.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater_wire::{VERSION, v1};
use uuid::Uuid;

use super::{
    continued::Continued,
    life::{Life, Over},
    state::{Agent, Beside, Orders, Outcome, Process, Stop},
};
use crate::{
    ci::Env,
    clock::JobClock,
    closing::Closed,
    procfs::{ProcError, Procfs},
    recording::{Running, RunningProps, SetupError, Watched},
    settings::Token,
    shipper::{self, Client, Shipper},
    spool::{self, Spool, SpoolError},
    terminal,
    tree::{Discovery, Membership, Tree, is_stop},
    witness::{Protector, signal_taken},
};

/// Why an agent in the background cannot record.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody gave it orders.
    #[error("{}: no orders are here; `highwater start` gives them", .0.display())]
    NoOrders(PathBuf),
    /// A file of the job's folder, a signal or a thread.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The spool.
    #[error("{0}")]
    Spool(#[from] SpoolError),
    /// The kernel's files.
    #[error("{0}")]
    Proc(#[from] ProcError),
    /// The recording.
    #[error("{0}")]
    Setup(#[from] SetupError),
}

/// An agent that records.
#[derive(Debug)]
pub struct BackgroundAgent {
    folder: PathBuf,
    orders: Orders,
    clock: JobClock,
    stream: Uuid,
    /// Batches of the agents before this one.
    before: BTreeMap<Uuid, u64>,
    running: Running<Continued>,
    shipper: Option<Shipper>,
    life: Life,
    /// Of a job that goes on; a spool that is new holds its own.
    _lock: Option<File>,
}

impl BackgroundAgent {
    /// Begins to record by the orders in a job's folder.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn begin(folder: &Path, env: &Env, token: Option<&Token>) -> Result<Self, AgentError> {
        let orders =
            Orders::read(folder)?.ok_or_else(|| AgentError::NoOrders(folder.to_path_buf()))?;
        // The word of a stop that came when no agent was there any more is not for this one.
        Stop::forget(folder)?;
        let life = Life::begin(orders.runner, Duration::from_micros(orders.max_age_us))?;
        let clock = JobClock::new(orders.job.started_monotonic_us);
        let (sink, before, lock) = open(folder, &orders)?;
        let stream = sink.stream();
        let handoff = sink.handoff();
        let gap_from_us = sink.known_until_us();
        let procfs = Procfs::system();
        let own_pid = std::process::id();
        let client = orders
            .server
            .as_deref()
            .map(|server| Client::new(server, token, env, orders.uuid));
        let page = client.as_ref().map(Client::page);
        let agent = agent(&procfs, &orders, page)?;
        // Before it records: from then on its recorder sees to the file.
        agent.write(folder)?;
        let sink = sink.with(Beside::of(&agent, &orders));
        let membership = Membership {
            job: orders.uuid.to_string(),
            chain: orders.chain.iter().copied().map(Into::into).collect(),
            is_container: orders.is_container,
            since_ticks: orders.since_ticks,
            rivals: Vec::new(),
            suspects: Vec::new(),
        };
        let page_bytes = rustix::param::page_size() as u64;
        let tree = Tree::of_job(procfs.clone(), own_pid, page_bytes, membership);
        let discovery = Discovery::begin_among(&tree, clock.now_us());
        let running = Running::start(RunningProps {
            job: orders.job.clone(),
            sink,
            events: folder.join("events"),
            repo_root: orders.repo_root.clone(),
            wants_plugin: orders.plugin,
            forewarns: orders.forewarns,
            watched: Watched::Linux {
                tree: Box::new(tree),
                discovery: Box::new(discovery),
                protector: protector(&procfs, &orders),
                guarded: orders.guarded,
            },
        })?;
        if let Some(from_us) = gap_from_us {
            running.happened(v1::event::What::AgentGap(v1::AgentGap { from_us }));
        }
        let shipper = client
            .map(|client| Shipper::start(client, folder, handoff))
            .transpose()
            .unwrap_or_else(|error| {
                terminal::tell(format_args!("not sending while recording: {error}"));
                None
            });
        Ok(Self {
            folder: folder.to_path_buf(),
            orders,
            clock,
            stream,
            before,
            running,
            shipper,
            life,
            _lock: lock,
        })
    }

    /// Records until it is over, and sends what is left.
    ///
    /// # Errors
    /// When what became of it cannot be written.
    pub fn live(self) -> Result<(), AgentError> {
        let over = self.life.wait();
        let stop = self.word_of_stop(over);
        match over {
            // `highwater stop` comes with its own word.
            Over::Told { signal, sender_pid } if stop.is_none() => {
                let taken = signal_taken(&Procfs::system(), signal, sender_pid, false);
                self.running.happened(v1::event::What::Signal(taken));
                terminal::tell(format_args!("ending: signal {signal}"));
            }
            Over::Told { .. } => terminal::tell("ending: `highwater stop`"),
            Over::RunnerGone => {
                self.running.happened(self.runner_gone());
                terminal::tell("ending: the CI runner's process is gone");
            }
            Over::Old => terminal::tell("ending: the age it may reach (--max-age)"),
        }
        let ended_us = self.clock.now_us();
        let mut outcome = Outcome::default();
        let (closed, _lock) = match self.running.finish() {
            Ok(recorded) => {
                outcome.warnings = recorded.warnings;
                // From here on nothing but the end is written.
                let lock = recorded.sink.into_lock();
                let mut streams = self.before;
                streams.insert(self.stream, recorded.batches);
                let end = v1::End {
                    ended_us,
                    streams: spool::stream_counts(streams),
                    ..end_of(over, stop.as_ref())
                };
                let left = recorded.unwritten;
                let (closed, warning) = Closed::with_end(&self.folder, self.stream, &left, &end);
                outcome.warnings.extend(warning);
                (closed, lock)
            }
            Err(reason) => {
                outcome.warnings.push(reason);
                outcome.left_to_stop = true;
                (Closed::without_end(), None)
            }
        };
        let sending = closed.send(self.shipper, self.life.hurry());
        match sending.outcome {
            Some(sent) => {
                outcome.complete = sent.complete;
                outcome.reason = sent.reason();
            }
            None => outcome.left_to_stop |= self.orders.server.is_some(),
        }
        outcome.warnings.extend(sending.lost);
        for warning in &outcome.warnings {
            terminal::tell(warning);
        }
        // Whoever stops it reads the spool for the summary, and removes it; that may have come since.
        let is_stopped = stop.is_some() || !matches!(Stop::read(&self.folder), Ok(None));
        if outcome.complete && !is_stopped {
            shipper::discard(&self.folder)?;
        } else {
            outcome.write(&self.folder)?;
        }
        Ok(())
    }

    /// What `highwater stop` says, where it told the agent to end. Its word may have gone with the folder; who sent the signal is known all the same.
    fn word_of_stop(&self, over: Over) -> Option<Stop> {
        let Over::Told { sender_pid, .. } = over else {
            return None;
        };
        match Stop::read(&self.folder) {
            Ok(None) => {
                let words = sender_pid
                    .and_then(|pid| Procfs::system().words(pid, &mut Vec::new()).ok())
                    .unwrap_or_default();
                is_stop(&words).then(Stop::default)
            }
            Ok(said) => said,
            Err(error) => {
                terminal::tell(format_args!(
                    "what `highwater stop` says cannot be read: {error}"
                ));
                Some(Stop::default())
            }
        }
    }

    fn runner_gone(&self) -> v1::event::What {
        v1::event::What::RunnerGone(v1::RunnerGone {
            pid: self.orders.runner.map_or(0, |runner| runner.pid),
            command: self.orders.runner_command.clone(),
        })
    }
}

/// The spool of the job, what earlier agents wrote there, and the lock of one that goes on.
type Opened = (Continued, BTreeMap<Uuid, u64>, Option<File>);

fn open(folder: &Path, orders: &Orders) -> Result<Opened, SpoolError> {
    if orders.goes_on {
        let lock = spool::lock_of_gone(folder)?;
        let recorded = spool::read(folder)?;
        let before = recorded.batches_of_streams();
        let sink = Continued::after(Spool::another_stream(folder)?, &recorded);
        return Ok((sink, before, Some(lock)));
    }
    let root = folder.parent().unwrap_or(folder);
    let spool = Spool::create(root, &orders.job, orders.uuid)?;
    Ok((Continued::new(spool), BTreeMap::new(), None))
}

fn agent(procfs: &Procfs, orders: &Orders, page: Option<String>) -> Result<Agent, ProcError> {
    let pid = std::process::id();
    let stat = procfs.stat(pid, &mut Vec::new())?;
    Ok(Agent {
        process: Process {
            pid,
            start_ticks: stat.map_or(0, |stat| stat.start_ticks),
        },
        uuid: orders.uuid,
        job: orders.job.name.clone(),
        project: orders.job.project.clone(),
        started_unix_us: orders.job.started_unix_us,
        page,
        chain: orders.chain.clone(),
        runner_command: orders.runner_command.clone(),
    })
}

fn protector(procfs: &Procfs, orders: &Orders) -> Option<Protector> {
    let runners: Vec<_> = orders.chain.iter().map(|process| process.pid).collect();
    let above = || Protector::above(procfs, std::process::id(), &runners);
    orders.protects.then(above).flatten()
}

/// How it ended, without what was recorded.
fn end_of(over: Over, stop: Option<&Stop>) -> v1::End {
    v1::End {
        version: VERSION,
        exit_code: stop.and_then(|stop| stop.exit_code),
        ci_status: stop.map_or_else(String::new, |stop| stop.ci_status.clone()),
        ended_by: ended_by(over, stop.is_some()).into(),
        forwarded_signal: match over {
            Over::Told { signal, .. } if stop.is_none() => Some(signal),
            _ => None,
        },
        ..v1::End::default()
    }
}

fn ended_by(over: Over, is_stopped: bool) -> v1::EndedBy {
    match over {
        Over::Told { .. } if is_stopped => v1::EndedBy::Stop,
        Over::Told { .. } => v1::EndedBy::Signal,
        Over::RunnerGone => v1::EndedBy::RunnerGone,
        Over::Old => v1::EndedBy::Age,
    }
}
