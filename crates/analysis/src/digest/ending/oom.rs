//! What the kernel says of its out-of-memory killer, by counters and by its log, and whether that tells how the job ended.

use std::collections::BTreeSet;

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::Metric,
};

use super::{
    Decision,
    deaths::Death,
    evidence::Evidence,
    kernel_log::{self, LogKill},
    status,
    words::{SIGKILL, count, seconds},
};
use crate::{
    digest::{
        limits::{self, is_full},
        parts::Parts,
        readings::{self, Rise},
    },
    recording::Subject,
};

/// A process may go on being seen as long as this after the kernel counted it as killed, and its death be told as late.
const SLACK_US: i64 = 3_000_000;

/// A counter that the job's limits share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Counter {
    /// Whether it was read at all.
    pub(in crate::digest) read: bool,
    pub(in crate::digest) rises: Vec<Rise>,
}

/// What speaks for a kill by the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct OomKills {
    /// Kills in the job's own cgroups.
    pub(in crate::digest) own: Counter,
    /// In the cgroups around them, the own kills among them.
    pub(in crate::digest) above: Counter,
    pub(in crate::digest) machine: Counter,
    /// How often nothing could be freed below a limit that binds the job.
    pub(in crate::digest) ooms: Counter,
    /// How often such a limit was met.
    pub(in crate::digest) limit_met: Counter,
    pub(in crate::digest) log: Vec<LogKill>,
    /// A cgroup has a limit.
    pub(in crate::digest) cgroup_limited: bool,
    /// A cgroup was at its limit.
    pub(in crate::digest) cgroup_full: bool,
    /// The machine had next to nothing left.
    pub(in crate::digest) machine_full: bool,
    /// The kernel kills all of a cgroup of the job at once.
    pub(in crate::digest) kills_all: bool,
    /// Kills of that kind.
    pub(in crate::digest) group_kills: i64,
    /// The death that the kernel is to blame for, by its position, and by what.
    pub(in crate::digest) struck: Option<(usize, Verdict, Confidence)>,
}

/// A counter may say what cannot be.
fn saturating<'a>(rises: impl Iterator<Item = &'a Rise>) -> i64 {
    rises.fold(0, |sum, rise| sum.saturating_add(rise.by))
}

impl Counter {
    fn of<'a>(parts: &Parts<'_>, cgroups: impl Iterator<Item = &'a str>, metric: Metric) -> Self {
        let mut counter = Self::default();
        for path in cgroups {
            let subject = Subject::Cgroup(path.to_owned());
            counter.add(readings::rises(parts.recording, &subject, metric));
        }
        counter
    }

    fn add(&mut self, rises: Option<Vec<Rise>>) {
        self.read |= rises.is_some();
        self.rises.extend(rises.into_iter().flatten());
    }

    pub(super) fn sum(&self) -> i64 {
        saturating(self.rises.iter())
    }

    pub(super) fn last_us(&self) -> Option<i64> {
        self.rises.iter().map(|rise| rise.to_us).max()
    }

    /// By how much it rose when a process died.
    fn near(&self, death: &Death) -> i64 {
        let near = |rise: &&Rise| {
            rise.to_us >= death.from_us.saturating_sub(SLACK_US)
                && rise.from_us <= death.until_us.saturating_add(SLACK_US)
        };
        saturating(self.rises.iter().filter(near))
    }
}

impl OomKills {
    /// Whether it was read that the kernel killed nothing, neither of the job nor beside it.
    pub(super) fn killed_nothing(&self) -> bool {
        let counters = [&self.own, &self.above, &self.machine];
        counters.iter().any(|counter| counter.read)
            && counters.iter().all(|counter| counter.sum() == 0)
            && self.log.is_empty()
    }

    /// `coded`: the signal that the command's end tells of, for a death whose own end nobody saw; `untold`: the command ended with a
    /// code that tells of none.
    pub(super) fn of(
        parts: &Parts<'_>,
        deaths: &[Death],
        coded: Option<i32>,
        untold: bool,
    ) -> Self {
        let cgroups = parts.cgroups;
        let fullness: Vec<bool> = cgroups
            .all()
            .filter_map(|path| limits::was_full(parts.recording, &Subject::Cgroup(path.to_owned())))
            .collect();
        let mut own = Counter::default();
        for outermost in cgroups.outermost() {
            own.add(kills_within(parts, outermost));
        }
        let above = cgroups.above.iter().map(String::as_str);
        let above: Vec<Counter> = above
            .map(|path| Counter::of(parts, std::iter::once(path), Metric::CgroupOomKills))
            .collect();
        let mut machine = Counter::default();
        machine.add(readings::rises(
            parts.recording,
            &Subject::Machine,
            Metric::MachineOomKills,
        ));
        let group = Counter::of(parts, cgroups.all(), Metric::CgroupOomGroupKills);
        let mut kills = Self {
            own,
            above: above
                .into_iter()
                .max_by_key(Counter::sum)
                .unwrap_or_default(),
            machine,
            ooms: Counter::of(parts, cgroups.all(), Metric::CgroupOoms),
            limit_met: Counter::of(parts, cgroups.all(), Metric::CgroupLimitMet),
            log: kernel_log::of(parts),
            cgroup_limited: !fullness.is_empty(),
            cgroup_full: fullness.contains(&true),
            machine_full: limits::machine_was_full(parts.recording),
            kills_all: cgroups.all().any(|path| {
                let subject = Subject::Cgroup(path.to_owned());
                readings::values(parts.recording, &subject, Metric::CgroupOomGroup)
                    .any(|set| set == 1)
            }),
            group_kills: group.sum(),
            struck: None,
        };
        kills.struck = deaths
            .iter()
            .enumerate()
            .filter_map(|(at, death)| {
                let (verdict, confidence) = kills.of_death(parts, death, coded, untold)?;
                Some((at, verdict, confidence))
            })
            // Of several the surest; of equally sure ones the first, which is a whole session before a worker.
            .min_by_key(|(at, _, confidence)| (std::cmp::Reverse(*confidence), *at));
        kills
    }

    fn of_death(
        &self,
        parts: &Parts<'_>,
        death: &Death,
        coded: Option<i32>,
        untold: bool,
    ) -> Option<(Verdict, Confidence)> {
        use Confidence::{Certain, Likely, Possible};
        let logged = self.log.iter().find(|kill| match death.process {
            Some(process) => kill.process == Some(process),
            // Which process the command is is not known, so that time must tell.
            None => kill.process.is_some() && is_near(death, kill),
        });
        if let Some(kill) = logged {
            let verdict = if kill.of_cgroup {
                Verdict::OomCgroup
            } else {
                Verdict::OomMachine
            };
            return Some((verdict, Certain));
        }
        let signal = death.signal.or(if death.is_worker { None } else { coded });
        let may_be_killed = match (signal, death.exit_code) {
            (Some(signal), _) => signal == SIGKILL,
            (None, code) => code.is_none(),
        };
        if !may_be_killed {
            return None;
        }
        let sure = signal.is_some() || death.is_worker || !untold;
        let (own, own_read) = self.own_near(parts, death);
        let of_others = self.others_near(death);
        let own = own - of_others;
        if own > 0 {
            let no_more = self.ooms.near(death) > 0;
            let full = self.cgroup_full || no_more || self.was_met(parts, death);
            return Some(match (full, self.machine_full) {
                (true, _) if sure && no_more => (Verdict::OomCgroup, Certain),
                (true, false) if sure => (Verdict::OomCgroup, Certain),
                (false, true) if sure => (Verdict::OomMachine, Certain),
                // Both full: either may have been the one that could give no more.
                (true, _) => (Verdict::OomCgroup, Likely),
                (false, true) => (Verdict::OomMachine, Likely),
                (false, false) if self.machine.near(death) > 0 && !self.cgroup_limited => {
                    (Verdict::OomMachine, Likely)
                }
                (false, false) => (Verdict::OomCgroup, Likely),
            });
        }
        if self.above.near(death) > of_others && self.cgroup_full {
            return Some((Verdict::OomCgroup, Likely));
        }
        // Where the job's own counter was read and stood still, the machine's rose for somebody else.
        (self.machine.near(death) > of_others && !own_read).then_some((
            Verdict::OomMachine,
            if self.machine_full { Likely } else { Possible },
        ))
    }

    /// How many kills near a death the log tells of others: of processes of the job, and of any that were killed while this one was still seen, which may
    /// be strangers, or be numbered as another pid namespace does. Their share of the counters is not its own.
    fn others_near(&self, death: &Death) -> i64 {
        let of_others = |kill: &&LogKill| match kill.process {
            Some(_) => true,
            None => kill.at_us < death.from_us,
        };
        let kills = self.log.iter().filter(|kill| is_near(death, kill));
        kills.filter(of_others).count() as i64
    }

    /// Whether a limit was met as a process died: by the kernel's count, which page cache raises too, so that the machine must have had room;
    /// or by what the job itself held.
    fn was_met(&self, parts: &Parts<'_>, death: &Death) -> bool {
        if self.cgroup_limited && self.limit_met.near(death) > 0 && !self.machine_full {
            return true;
        }
        let limit = parts.cgroups.all().filter_map(|path| {
            let subject = Subject::Cgroup(path.to_owned());
            readings::values(parts.recording, &subject, Metric::CgroupLimit).min()
        });
        let from_us = death.from_us.saturating_sub(SLACK_US);
        let held = parts.memory.highest_of_tree_in(from_us, death.until_us);
        limit
            .min()
            .zip(held)
            .is_some_and(|(limit, held)| is_full(held.bytes, limit))
    }

    /// Kills near a death in its own cgroups where these were read, else in those of the job; and whether any was read. A kill is counted in
    /// the cgroup of whoever was killed and, by version 2, in all above it, whether a cgroup or the whole machine was short. Above and in
    /// the machine's counter the kills of neighbours count too.
    fn own_near(&self, parts: &Parts<'_>, death: &Death) -> (i64, bool) {
        let named: BTreeSet<&str> = death.cgroups.iter().map(String::as_str).collect();
        let own = Counter::of(parts, named.into_iter(), Metric::CgroupOomKills);
        if own.read {
            (own.near(death), true)
        } else {
            (self.own.near(death), self.own.read)
        }
    }

    /// Processes of the job that the kernel killed and that were no pytest process of it.
    pub(super) fn children(&self, deaths: &[Death]) -> Vec<&LogKill> {
        let is_pytest = |process| deaths.iter().any(|death| death.process == process);
        let of_job = self.log.iter().filter(|kill| kill.process.is_some());
        of_job.filter(|kill| !is_pytest(kill.process)).collect()
    }
}

/// Whether the log tells of a kill about when a process died.
fn is_near(death: &Death, kill: &LogKill) -> bool {
    let from_us = death.from_us.saturating_sub(SLACK_US);
    (from_us..=death.until_us.saturating_add(SLACK_US)).contains(&kill.at_us)
}

/// The kills in a cgroup and the job's own ones inside it. Version 2 counts the inner ones in the outer, version 1 does not.
fn kills_within(parts: &Parts<'_>, outermost: &str) -> Option<Vec<Rise>> {
    let own = parts.cgroups.own.iter();
    own.filter(|path| *path == outermost || crate::digest::cgroups::is_above(outermost, path))
        .filter_map(|path| {
            let subject = Subject::Cgroup(path.clone());
            readings::rises(parts.recording, &subject, Metric::CgroupOomKills)
        })
        .max_by_key(|rises| rises.iter().map(|rise| rise.by).sum::<i64>())
}

/// How the kernel killed a process that leads a session; `None` where it did not.
pub(in crate::digest) fn killed(evidence: &Evidence, leader: usize) -> Option<String> {
    let (at, verdict, _) = evidence.oom.struck?;
    let death = evidence.deaths.get(at)?;
    (death.process == Some(leader)).then(|| {
        format!(
            "The kernel killed pytest because {}, after {}.",
            shortage(verdict),
            evidence.tests_so_far()
        )
    })
}

fn shortage(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::OomCgroup => "its cgroup reached its memory limit",
        _ => "the machine ran out of memory",
    }
}

/// The kernel killed the job, or a worker of it.
pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let (at, verdict, confidence) = evidence.oom.struck?;
    let death = &evidence.deaths[at];
    // A session that ended well without its worker was not harmed by the loss.
    if death.is_worker && !evidence.fell_by_its_workers() {
        return None;
    }
    let shortage = shortage(verdict);
    let so_far = evidence.tests_so_far();
    let guard = beside_the_guard(evidence, death);
    let sentence = if death.is_worker {
        format!(
            "The kernel killed {} because {shortage}{}: {}.",
            match evidence.vanished_workers() {
                1 => "a worker process".to_owned(),
                several => format!("{several} worker processes"),
            },
            guard.unwrap_or_else(|| "; pytest went on without".to_owned()),
            evidence.tests_all_told()
        )
    } else {
        // Where a shell or a CI went on, the job is still there.
        let whom = match death.process {
            Some(_) if evidence.own_signal.is_none() => "pytest",
            _ => "the job",
        };
        let guard = guard.unwrap_or_default();
        format!("The kernel killed {whom} because {shortage}{guard}, after {so_far}.")
    };
    Some(Decision {
        verdict,
        confidence,
        sentence,
        next_step: "Look at the files and fixtures that retained the most: free what they hold, run them in another job, or raise the limit.",
    })
}

/// That the guard had told pytest to end, or did so afterwards, where pytest was broken off by it.
fn beside_the_guard(evidence: &Evidence, death: &Death) -> Option<String> {
    let stop = evidence.seen.guard_stop()?;
    if death.is_worker && evidence.worst_status() != Some(status::INTERRUPTED) {
        return None;
    }
    let logged = evidence.oom.log.iter();
    let logged = logged.filter(|kill| kill.process.is_some() && kill.process == death.process);
    let killed_us = logged.map(|kill| kill.at_us).next();
    let apart_us = killed_us.unwrap_or(death.until_us) - stop.at_us;
    Some(if apart_us >= 0 {
        let after = seconds(apart_us);
        format!(", {after} after the guard had told pytest to end")
    } else {
        let later = seconds(-apart_us);
        format!("; {later} later the guard told pytest to end")
    })
}

/// The kernel killed a process of the job, and nothing else tells why the command failed.
pub(super) fn of_child(evidence: &Evidence) -> Option<Decision> {
    let logged = evidence.oom.children(&evidence.deaths).len();
    let counted = usize::try_from(evidence.oom.own.sum()).unwrap_or(0);
    let killed = logged.max(counted);
    (killed > 0 && evidence.exit_code.is_some_and(|code| code != 0)).then(|| Decision {
        verdict: Verdict::OomChild,
        // The counter of a cgroup counts whoever else is in it.
        confidence: if logged > 0 {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        sentence: format!(
            "The kernel killed {} of the job for memory, and the command ended with exit code {}; no pytest told its end.",
            count(killed as u64, "process"),
            evidence.exit_code.unwrap_or_default()
        ),
        next_step: "Look at what the command starts and how much memory that needs, or raise the limit.",
    })
}
