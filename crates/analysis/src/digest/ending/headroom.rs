//! How much room was left when a process died, and who outside the job held the rest.

use highwater_wire::{
    MEMORY_DAEMONS,
    report::{Culprit, LimitKind, LimitUse, Role},
    v1::Metric,
};

use super::{
    super::{parts::Parts, readings},
    words::{percent, rounded_percent},
};
use crate::{figures::mebibytes, recording::Subject};

/// Readings no older than this before a death speak of it.
const NEAR_US: i64 = 3_000_000;
/// A process that was seen last at a sample may have lived for as long as this.
const AFTER_US: i64 = 200_000;
/// A single reading may be as old as this where the shortage itself delayed the next.
const DELAYED_US: i64 = 10_000_000;
/// Less room than this share of a limit, in percent, is a shortage.
const SHORT_PERCENT: i64 = 10;
/// Daemons that end processes for memory may be told to act earlier.
const SHORT_FOR_DAEMONS_PERCENT: i64 = 20;
/// Share of time in which everything waited for memory, hundredths of a percent, from which daemons act.
const PRESSURE_FOR_DAEMONS: i64 = 4_000;
const MOST_OTHERS: usize = 3;
/// What holds less than this is not worth a word.
const LEAST_OTHER_BYTES: i64 = 16 << 20;

/// Use of one limit at one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::digest) struct Room {
    pub(in crate::digest) kind: LimitKind,
    pub(in crate::digest) limit_bytes: i64,
    /// At the last reading, and what the job grew by since, by its own samples.
    pub(in crate::digest) used_bytes: i64,
    pub(in crate::digest) grown_bytes: i64,
    pub(in crate::digest) at_us: i64,
    /// The kernel's own mark of a cgroup's use, page cache among it, and when it was read first; where it rose during the job.
    pub(in crate::digest) mark: Option<(i64, i64)>,
}

impl Room {
    fn left_percent(&self) -> i64 {
        percent(self.limit_bytes - self.used_bytes, self.limit_bytes)
    }

    pub(super) fn is_short(&self) -> bool {
        self.left_percent() < SHORT_PERCENT
    }

    /// What is told of a limit's worst is no less than what was used here.
    pub(in crate::digest) fn raise(&self, limit: &mut LimitUse) {
        if limit.kind == self.kind && limit.limit_bytes == self.limit_bytes.cast_unsigned() {
            let used = self.used_bytes.max(0).cast_unsigned();
            limit.worst_used_bytes = limit.worst_used_bytes.max(used);
        }
    }

    /// As "the machine had used 6.1 GiB of 6.8 GiB (90 %)".
    pub(super) fn words(&self) -> String {
        let whose = match self.kind {
            LimitKind::Cgroup => "the cgroup",
            LimitKind::Machine => "the machine",
            LimitKind::Budget => "the job",
        };
        let since = if self.grown_bytes >= LEAST_OTHER_BYTES {
            let grown = mebibytes(self.grown_bytes);
            format!(", {grown} of it since its last reading")
        } else {
            String::new()
        };
        format!(
            "{whose} had used {} of {} ({} %{since})",
            mebibytes(self.used_bytes),
            mebibytes(self.limit_bytes),
            rounded_percent(self.used_bytes, self.limit_bytes)
        )
    }
}

/// What was short at a moment, and who else was there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Headroom {
    /// The use of whatever limit had the least room.
    pub(in crate::digest) tightest: Option<Room>,
    /// Time in which anything, and everything, waited for memory: hundredths of a percent.
    pub(in crate::digest) pressure: Option<(i64, i64, i64)>,
    /// Time and bytes of swap in use.
    pub(in crate::digest) swap: Option<(i64, i64)>,
    /// The largest processes outside the job: command, number and bytes.
    pub(in crate::digest) others: Vec<(String, u32, i64)>,
    /// All of them together.
    pub(in crate::digest) all_others: Option<(i64, i64)>,
    /// A daemon of the machine that ends processes for want of memory.
    pub(in crate::digest) daemon: Option<String>,
}

impl Headroom {
    pub(super) fn at(parts: &Parts<'_>, moment_us: i64) -> Self {
        let recording = parts.recording;
        let last = |metric| {
            let until_us = moment_us.saturating_add(AFTER_US);
            readings::last_at(recording, &Subject::Machine, metric, until_us)
        };
        let pressure = last(Metric::MachinePsiSome).map(|(at_us, some)| {
            let full = last(Metric::MachinePsiFull).map_or(0, |point| point.1);
            (at_us, some, full)
        });
        Self {
            tightest: Gauges::of(parts).tightest(moment_us),
            pressure,
            swap: last(Metric::MachineSwapUsed).filter(|point| point.1 > 0),
            others: others(parts, moment_us),
            all_others: last(Metric::MachineOthers),
            daemon: daemon(parts, moment_us),
        }
    }

    /// Whether some limit had next to no room.
    pub(super) fn is_short(&self) -> bool {
        self.tightest.as_ref().is_some_and(Room::is_short)
    }

    /// Whether a daemon would have ended something for it, be it one that nobody saw.
    pub(super) fn moves_a_daemon(&self) -> bool {
        let left = self.tightest.as_ref().map_or(100, Room::left_percent);
        let waited = self.pressure.map_or(0, |(_, _, full)| full);
        left < SHORT_PERCENT
            || (self.daemon.is_some()
                && (left < SHORT_FOR_DAEMONS_PERCENT || waited >= PRESSURE_FOR_DAEMONS))
    }

    /// Processes outside the job as holders of memory; they count where the machine is short, not where a cgroup is.
    pub(super) fn culprits(&self) -> impl Iterator<Item = Culprit> + '_ {
        self.others.iter().map(|(command, pid, bytes)| Culprit {
            kind: "other".to_owned(),
            name: format!("{command} (process {pid})"),
            bytes: *bytes,
        })
    }
}

/// What was read of each limit that binds the job, to be asked for many moments.
pub(super) struct Gauges<'a> {
    parts: &'a Parts<'a>,
    gauges: Vec<Gauge>,
}

struct Gauge {
    kind: LimitKind,
    /// Time and bytes of each reading, in order of time: what a cgroup uses, what the machine has left.
    read: Vec<(i64, i64)>,
    /// The limit from a time on.
    limits: Vec<(i64, i64)>,
    /// See [`Room::mark`].
    mark: Option<(i64, i64)>,
}

impl<'a> Gauges<'a> {
    pub(super) fn of(parts: &'a Parts<'a>) -> Self {
        let recording = parts.recording;
        let cgroups = parts.cgroups.all().map(|path| {
            let subject = Subject::Cgroup(path.to_owned());
            let points = |metric| readings::points(recording, &subject, metric).collect();
            Gauge {
                kind: LimitKind::Cgroup,
                read: points(Metric::CgroupWorkingSet),
                limits: points(Metric::CgroupLimit),
                mark: risen(readings::points(recording, &subject, Metric::CgroupPeak)),
            }
        });
        let machine = Subject::Machine;
        let total = readings::values(recording, &machine, Metric::MachineTotal).max();
        let machine = Gauge {
            kind: LimitKind::Machine,
            read: readings::points(recording, &machine, Metric::MachineAvailable).collect(),
            limits: total.map(|total| (i64::MIN, total)).into_iter().collect(),
            mark: None,
        };
        Self {
            parts,
            gauges: cgroups.chain([machine]).collect(),
        }
    }

    /// The use of each limit shortly before a moment, each at its worst; of these the one with the least room.
    pub(super) fn tightest(&self, moment_us: i64) -> Option<Room> {
        let rooms = self.gauges.iter().filter_map(|gauge| {
            let (limit_bytes, used) = gauge.worst(moment_us)?;
            let room = room(self.parts, gauge.kind, limit_bytes, used, moment_us);
            Some(Room {
                mark: gauge.mark,
                ..room
            })
        });
        rooms
            .filter(|room| room.limit_bytes > 0)
            .min_by_key(|room| {
                let left = i128::from(room.limit_bytes - room.used_bytes);
                left * 10_000 / i128::from(room.limit_bytes)
            })
    }
}

impl Gauge {
    /// The limit, and the reading shortly before a moment at which the most of it was used. The readings near it are found, not gone through.
    fn worst(&self, moment_us: i64) -> Option<(i64, (i64, i64))> {
        let after = |t_us: i64| self.read.partition_point(|point| point.0 <= t_us);
        let from_us = moment_us.saturating_sub(NEAR_US);
        let first = self.read.partition_point(|point| point.0 < from_us);
        let near = &self.read[first..after(moment_us.saturating_add(AFTER_US))];
        let worst = match self.kind {
            LimitKind::Machine => near.iter().min_by_key(|point| point.1),
            LimitKind::Cgroup | LimitKind::Budget => near.iter().max_by_key(|point| point.1),
        };
        let (at_us, bytes) = worst.copied().or_else(|| {
            let last = self.read[..after(moment_us)].last().copied();
            last.filter(|point| point.0 >= moment_us.saturating_sub(DELAYED_US))
        })?;
        let set = self.limits.partition_point(|point| point.0 <= at_us);
        let (_, limit_bytes) = *self.limits.get(set.saturating_sub(1))?;
        let used_bytes = match self.kind {
            LimitKind::Machine => limit_bytes - bytes,
            LimitKind::Cgroup | LimitKind::Budget => bytes,
        };
        Some((limit_bytes, (at_us, used_bytes)))
    }
}

/// The use of a limit at a reading, with what the job grew by until the moment: limits are read each second, and a job may take gigabytes in one.
fn room(
    parts: &Parts<'_>,
    kind: LimitKind,
    limit_bytes: i64,
    (read_us, used_bytes): (i64, i64),
    moment_us: i64,
) -> Room {
    let until_us = moment_us.saturating_add(AFTER_US);
    let before = parts.memory.tree_at(read_us).map(|point| point.bytes);
    let highest = parts.memory.highest_of_tree_in(read_us, until_us);
    let grown = before.zip(highest).map(|(before, highest)| {
        let grown_bytes = (highest.bytes - before).max(0);
        // More than there is cannot have been taken.
        (grown_bytes.min(limit_bytes - used_bytes), highest.t_us)
    });
    let (grown_bytes, at_us) = grown
        .filter(|(grown_bytes, _)| *grown_bytes > 0)
        .unwrap_or((0, read_us));
    Room {
        kind,
        limit_bytes,
        used_bytes: used_bytes + grown_bytes,
        grown_bytes,
        at_us,
        mark: None,
    }
}

/// The highest of a mark that rose; one that stood before the job began is none of it.
fn risen(mut points: impl Iterator<Item = (i64, i64)>) -> Option<(i64, i64)> {
    let (_, first) = points.next()?;
    let mut highest = None;
    for (at_us, bytes) in points {
        if bytes > highest.map_or(first, |(_, highest)| highest) {
            highest = Some((at_us, bytes));
        }
    }
    highest
}

fn others(parts: &Parts<'_>, moment_us: i64) -> Vec<(String, u32, i64)> {
    let others = parts.processes.iter().filter(|it| it.role == Role::Other);
    let until_us = moment_us.saturating_add(AFTER_US);
    let mut held: Vec<(String, u32, i64)> = others
        .filter(|process| process.ended_us.is_none_or(|ended| ended >= moment_us))
        .filter_map(|process| {
            let subject = Subject::Process(process.key);
            let read = readings::last_at(parts.recording, &subject, Metric::OtherRss, until_us);
            let (_, bytes) = read.filter(|point| point.1 >= LEAST_OTHER_BYTES)?;
            Some((process.command.clone(), process.key.pid, bytes))
        })
        .collect();
    held.sort_by(|a, b| (b.2, &a.0, a.1).cmp(&(a.2, &b.0, b.1)));
    held.truncate(MOST_OTHERS);
    held
}

/// One that was there at a moment.
fn daemon(parts: &Parts<'_>, moment_us: i64) -> Option<String> {
    let others = parts.processes.iter().filter(|it| it.role == Role::Other);
    let until_us = moment_us.saturating_add(AFTER_US);
    let mut there = others.filter(|process| {
        process.started_us <= until_us && process.ended_us.is_none_or(|ended| ended >= moment_us)
    });
    there.find_map(|process| {
        let program = super::words::program(&process.command);
        MEMORY_DAEMONS
            .contains(&program)
            .then(|| program.to_owned())
    })
}
