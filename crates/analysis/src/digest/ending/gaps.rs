//! Figures of one ending that do not meet, each with the reason: a kill at a limit that no sample came near, and a peak above a limit.

use highwater_wire::report::{LimitKind, LimitUse, PeakMetric, Role, Verdict};

use super::{
    super::{cgroups::is_above, limits::is_full, parts::Parts},
    deaths::Death,
    evidence::Evidence,
    words::count,
};
use crate::figures::{duration, mebibytes};

/// What is needed to tell of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::digest) struct Gaps {
    /// The last sample of who died, and when it was seen to be gone.
    last_sample: Option<(i64, Option<i64>)>,
    peak_above: Option<PeakAbove>,
}

/// A limit that the job's peak is above of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PeakAbove {
    kind: LimitKind,
    limit_bytes: i64,
    /// So many processes of the job were in none of its cgroups.
    outside: u64,
    metric: PeakMetric,
}

impl Gaps {
    pub(super) fn of(parts: &Parts<'_>, limits: &[LimitUse], death: Option<&Death>) -> Self {
        let last_sample = death.and_then(|death| {
            let sampled_us = match death.process {
                Some(process) => parts.memory.last_tick(process),
                None => parts.memory.tree().last().map(|point| point.t_us),
            };
            let seen = death.seen_to_end || death.process.is_none();
            Some((sampled_us?, seen.then_some(death.until_us)))
        });
        // A budget may be passed.
        let kernels = limits.iter().filter(|it| it.kind != LimitKind::Budget);
        let least = kernels.min_by_key(|limit| limit.limit_bytes);
        let above = least.filter(|it| parts.peak.bytes > it.limit_bytes.cast_signed());
        Self {
            last_sample,
            peak_above: above.map(|limit| PeakAbove {
                kind: limit.kind,
                limit_bytes: limit.limit_bytes.cast_signed(),
                outside: outside(parts, limit),
                metric: parts.peak.metric,
            }),
        }
    }

    /// Why the peak is above a limit.
    pub(super) fn peak_words(&self) -> Option<String> {
        let above = self.peak_above?;
        let whose = match above.kind {
            LimitKind::Cgroup => "of the cgroup",
            LimitKind::Machine => "of the machine",
            LimitKind::Budget => "of the budget",
        };
        let why = match (above.outside, above.metric) {
            (0, PeakMetric::RssSum) => "it adds up the RSS of the processes, which counts what they share once for each of them; the limit counts it once".to_owned(),
            (0, PeakMetric::PssCorrected) => "what the processes share is read now and then (PSS) and taken to stay the same until it is read again".to_owned(),
            (0, PeakMetric::Rss) => "RSS counts pages of programs and libraries too, which the kernel charges to whoever read them first, and that may be another cgroup".to_owned(),
            (1, _) => "a process of the job was outside of that cgroup, and the peak is of all".to_owned(),
            (several, _) => format!("{} of the job were outside of that cgroup, and the peak is of all", count(several, "process")),
        };
        let limit = mebibytes(above.limit_bytes);
        Some(format!(
            "The peak is above the limit {whose} ({limit}): {why}."
        ))
    }

    /// That the kernel struck at a limit though less was sampled of it.
    pub(super) fn unsampled_words(
        &self,
        evidence: &Evidence,
        verdict: Verdict,
    ) -> Option<(i64, String)> {
        let room = evidence.headroom.tightest.as_ref()?;
        let kind = match verdict {
            Verdict::OomCgroup => LimitKind::Cgroup,
            Verdict::OomMachine => LimitKind::Machine,
            _ => return None,
        };
        let read = evidence.tightest.as_ref().filter(|it| it.kind == kind);
        let was_read_full = read.is_some_and(|it| {
            is_full(
                it.worst_used_bytes.cast_signed(),
                it.limit_bytes.cast_signed(),
            )
        });
        if room.kind != kind || was_read_full || is_full(room.used_bytes, room.limit_bytes) {
            return None;
        }
        let (sampled_us, gone_us) = self.last_sample?;
        let when = match gone_us {
            Some(gone_us) => format!(
                "The last sample was {} before the end",
                duration(gone_us.saturating_sub(sampled_us).max(0))
            ),
            None => "What came after this sample was not seen".to_owned(),
        };
        let mark = room.mark.filter(|(_, bytes)| *bytes > room.used_bytes);
        let mark = mark.map_or_else(String::new, |(_, bytes)| {
            format!(
                ": the cgroup's own mark, page cache among it, came to {} of {}",
                mebibytes(bytes),
                mebibytes(room.limit_bytes)
            )
        });
        Some((
            sampled_us,
            format!("{when}, and the use rose faster than it was sampled{mark}."),
        ))
    }
}

/// The processes of the job that were never in a cgroup or below it.
fn outside(parts: &Parts<'_>, limit: &LimitUse) -> u64 {
    if limit.kind != LimitKind::Cgroup {
        return 0;
    }
    let is_in = |cgroup: &String| *cgroup == limit.path || is_above(&limit.path, cgroup);
    let members = parts.processes.iter().filter(|it| it.role != Role::Other);
    let outside =
        members.filter(|process| !process.cgroups.is_empty() && !process.cgroups.iter().any(is_in));
    outside.count() as u64
}
