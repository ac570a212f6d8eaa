//! A job that still runs: what it holds now and what its tests do.

use std::{collections::HashMap, fmt::Write};

use highwater_analysis::{digest::Digest, figures::mebibytes};
use highwater_report::{Look, fitted};
use highwater_wire::report::{Fallen, ForecastReport, LimitKind, ProcessRow, Role, TestRow};
use serde::Serialize;

/// Most processes that are listed; the largest are.
const MOST_PROCESSES: usize = 15;
/// A sentence is shown whole over several lines.
const MOST_SENTENCE_COLUMNS: usize = 2_000;

/// What is known of a job at this moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Live {
    /// Identity of the job.
    pub uuid: uuid::Uuid,
    /// Name of the job.
    pub job: String,
    /// Process of its agent.
    pub agent_pid: u32,
    /// Whether that lives.
    pub agent_lives: bool,
    /// How long it has been recorded, µs.
    pub duration_us: i64,
    /// What its processes held together at the last tick, bytes.
    pub now_bytes: i64,
    /// How long ago that was, µs; what lies in the spool is up to a second old. None where no agent records.
    pub age_us: Option<i64>,
    /// The most they held together, bytes.
    pub peak_bytes: u64,
    /// The smallest room left under any limit at the worst moment, bytes.
    pub headroom_bytes: Option<i64>,
    /// Executions of tests that began, and those of them that failed.
    pub tests: u64,
    /// See `tests`.
    pub failed: u64,
    /// pytest sessions that have begun and not ended.
    pub open_sessions: usize,
    /// How pytests were gone that told no end.
    pub fallen: Vec<Fallen>,
    /// What it comes to by the end; none where too little is known.
    pub forecast: Option<ForecastReport>,
    /// What runs, one a process.
    pub running: Vec<Running>,
    /// Its processes, the largest first.
    pub processes: Vec<LiveProcess>,
}

/// A test that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Node id under the path of its file.
    pub test: String,
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Its process.
    pub pid: u32,
    /// For how long, µs.
    pub duration_us: i64,
}

/// A process that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveProcess {
    /// Its number.
    pub pid: u32,
    /// What it does.
    pub role: &'static str,
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Its command line.
    pub command: String,
    /// What it holds now (RSS), bytes.
    pub rss_bytes: u64,
}

impl Live {
    /// Puts together what the recording tells and what processes hold now, `now_us` after the job's start.
    #[must_use]
    pub fn of(
        digest: &Digest,
        agent: (u32, bool),
        now_us: i64,
        rss: &dyn Fn(u32) -> Option<u64>,
    ) -> Self {
        let job = &digest.job;
        let (agent_pid, agent_lives) = agent;
        let last = digest.tree.last();
        let living =
            |process: &&ProcessRow| process.ended_us.is_none() && process.role != Role::Other;
        let mut processes: Vec<LiveProcess> = digest
            .processes
            .iter()
            .filter(living)
            .filter_map(|process| {
                Some(LiveProcess {
                    pid: process.pid,
                    role: process.role.as_str(),
                    worker: process.worker.clone(),
                    command: process.command.clone(),
                    rss_bytes: rss(process.pid)?,
                })
            })
            .collect();
        processes.sort_by_key(|process| std::cmp::Reverse(process.rss_bytes));
        Self {
            uuid: job.uuid,
            job: job.name.clone(),
            agent_pid,
            agent_lives,
            duration_us: job.duration_us,
            now_bytes: match processes.is_empty() {
                true => 0,
                false => last.map_or(0, |point| point.bytes),
            },
            age_us: last
                .filter(|_| agent_lives)
                .map(|point| now_us.saturating_sub(point.t_us).max(0)),
            peak_bytes: job.peak_bytes,
            headroom_bytes: job.headroom_bytes,
            tests: job.sessions.iter().map(|session| session.tests).sum(),
            failed: job.sessions.iter().map(|session| session.failed).sum(),
            open_sessions: job
                .sessions
                .iter()
                .filter(|session| session.is_open())
                .count(),
            fallen: (job.sessions.iter())
                .filter_map(|session| session.fallen.clone())
                .collect(),
            forecast: job.forecast.clone(),
            running: running(digest),
            processes,
        }
    }
}

/// The last test of each process that lives, where it has not ended.
fn running(digest: &Digest) -> Vec<Running> {
    let mut last: HashMap<u32, &TestRow> = HashMap::new();
    for test in &digest.tests {
        last.insert(test.process, test);
    }
    let living = digest
        .processes
        .iter()
        .filter(|process| process.ended_us.is_none());
    living
        .filter_map(|process| {
            let test = last
                .get(&process.id)
                .filter(|test| test.outcome == "unknown")?;
            Some(Running {
                test: test.name(),
                worker: process.worker.clone(),
                pid: process.pid,
                duration_us: test.duration_us,
            })
        })
        .collect()
}

/// It in words, for a terminal.
#[must_use]
pub fn status(live: &Live, digest: &Digest, look: &Look) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, live, digest, look);
    out
}

fn write(out: &mut String, live: &Live, digest: &Digest, look: &Look) -> std::fmt::Result {
    let when = match live.age_us {
        Some(age_us) => format!("{:.1} s ago", age_us as f64 / 1e6),
        None => "at the last".to_owned(),
    };
    let line = format!(
        "{} {when}, {} at the most, after {:.0} s",
        mebibytes(live.now_bytes),
        mebibytes(live.peak_bytes.cast_signed()),
        live.duration_us as f64 / 1e6
    );
    writeln!(out, "{}", look.bold(&line))?;
    for limit in &digest.job.limits {
        let name = match limit.kind {
            LimitKind::Cgroup => format!("cgroup {}", fitted(&limit.path, 40)),
            LimitKind::Machine => "machine".to_owned(),
            LimitKind::Budget => "budget".to_owned(),
        };
        let share = 100.0 * limit.worst_used_bytes as f64 / limit.limit_bytes.max(1) as f64;
        writeln!(
            out,
            "limit: {name}, {} of {} at the most ({share:.0} %)",
            mebibytes(limit.worst_used_bytes.cast_signed()),
            mebibytes(limit.limit_bytes.cast_signed())
        )?;
    }
    let sessions = match (live.open_sessions, digest.job.sessions.len()) {
        (0, 0) => "no pytest session yet".to_owned(),
        (open, all) => format!("{open} of {all} pytest sessions open"),
    };
    let running = live.running.len() as u64;
    let done = live.tests.saturating_sub(running);
    writeln!(
        out,
        "{sessions}; {}, {} running, {} failed",
        match done {
            0 => "no test done".to_owned(),
            1 => "1 test done".to_owned(),
            done => format!("{done} tests done"),
        },
        match running {
            0 => "none".to_owned(),
            1 => "one".to_owned(),
            running => running.to_string(),
        },
        match live.failed {
            0 => "none".to_owned(),
            failed => failed.to_string(),
        }
    )?;
    for fallen in &live.fallen {
        let seconds = fallen.at_us as f64 / 1e6;
        let sentence = fitted(&fallen.sentence, MOST_SENTENCE_COLUMNS);
        writeln!(
            out,
            "{}",
            look.bold(&format!("after {seconds:.0} s: {sentence}"))
        )?;
    }
    if let Some(forecast) = &live.forecast {
        let sentence = fitted(&forecast.sentence, MOST_SENTENCE_COLUMNS);
        match forecast.is_warning {
            true => writeln!(out, "{}", look.bold(&format!("warning: {sentence}")))?,
            false => writeln!(out, "{sentence}")?,
        }
    }
    let columns = look.name_columns.saturating_sub(24);
    for running in &live.running {
        let who = running.worker.as_deref().unwrap_or("runs");
        let test = fitted(&running.test, columns);
        let seconds = running.duration_us as f64 / 1e6;
        writeln!(out, "{who}: {test} ({seconds:.1} s)")?;
    }
    if live.processes.is_empty() {
        return writeln!(out, "no process of the job lives");
    }
    let head = format!("{:>9} {:>12} {:10}  command", "process", "RSS", "role");
    writeln!(out, "{}", look.bold(&head))?;
    for process in live.processes.iter().take(MOST_PROCESSES) {
        writeln!(
            out,
            "{:>9} {:>12} {:10}  {}",
            process.pid,
            mebibytes(process.rss_bytes.cast_signed()),
            process.worker.as_deref().unwrap_or(process.role),
            fitted(&process.command, look.name_columns.saturating_sub(36))
        )?;
    }
    match live.processes.len().saturating_sub(MOST_PROCESSES) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more"),
    }
}
