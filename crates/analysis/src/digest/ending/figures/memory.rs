//! What the kernel counted and wrote, and how much memory there was.

use highwater_wire::report::{LimitKind, Verdict};

use super::{
    super::{culprits, ended_early, evidence::Evidence, holders, is_of_memory, words::count},
    Figures, MOST_NAMED,
};
use crate::figures::mebibytes;

/// Time in which something waited for memory, hundredths of a percent, from which it is told.
const LEAST_PRESSURE: i64 = 500;

pub(super) fn kernel(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    let oom = &evidence.oom;
    let above = oom.above.sum() - oom.own.sum();
    for (whose, kills, at_us) in [
        (
            "The cgroup's oom_kill counter",
            oom.own.sum(),
            oom.own.last_us(),
        ),
        (
            "The oom_kill counter of a cgroup above",
            above,
            oom.above.last_us(),
        ),
        (
            "The machine's oom_kill counter",
            oom.machine.sum(),
            oom.machine.last_us(),
        ),
    ] {
        if kills > 0 {
            figures.push(at_us, format!("{whose} rose by {kills}."));
        }
    }
    if oom.ooms.sum() > 0 {
        let times = count(oom.ooms.sum().cast_unsigned(), "time");
        let sentence =
            format!("A cgroup was at its limit and nothing in it could be freed, {times}.");
        figures.push(oom.ooms.last_us(), sentence);
    }
    if oom.kills_all && (oom.own.sum() > 0 || oom.group_kills > 0 || verdict == Verdict::OomCgroup)
    {
        figures.say("The kernel kills all of this cgroup at once (memory.oom.group).");
    }
    // What another's cgroup did to another's process says nothing of this job.
    let told = oom
        .log
        .iter()
        .filter(|kill| kill.process.is_some() || !kill.of_cgroup);
    for kill in told.take(MOST_NAMED) {
        let short = if kill.of_cgroup {
            "a cgroup's limit"
        } else {
            "want of memory of the machine"
        };
        let whose = if kill.process.is_some() {
            ""
        } else {
            ", outside the job"
        };
        let held = match kill.anon_bytes {
            0 => String::new(),
            bytes => format!("; it held {}", mebibytes(bytes.cast_signed())),
        };
        figures.at(
            kill.at_us,
            format!(
                "The kernel's log: process {} ({}){whose} was killed for {short}{held}.",
                kill.pid, kill.comm
            ),
        );
    }
    let of_pytest = matches!(verdict, Verdict::OomCgroup | Verdict::OomMachine);
    let children = oom.children(&evidence.deaths);
    if !of_pytest && verdict != Verdict::OomChild {
        if let Some(kill) = children.first() {
            let more = match children.len() {
                1 => String::new(),
                several => format!(", with {} more", several - 1),
            };
            figures.at(
                kill.at_us,
                format!(
                    "The kernel killed process {} ({}){more} of the job for memory, and the job went on (oom_child).",
                    kill.pid, kill.comm
                ),
            );
        } else if oom.own.sum() > 0 {
            let sentence = "The kernel killed a process of the job for memory, and the job went on (oom_child).";
            figures.push(oom.own.last_us(), sentence.to_owned());
        }
    }
}

pub(super) fn room(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    if evidence.peak_bytes > 0 {
        let peak = mebibytes(evidence.peak_bytes);
        let sentence = format!("The job's memory was highest with {peak}.");
        figures.at(evidence.peak_at_us, sentence);
        if let Some(why) = evidence.gaps.peak_words() {
            figures.at(evidence.peak_at_us, why);
        }
    }
    if let Some(limit) = evidence
        .tightest
        .as_ref()
        .filter(|it| bears(evidence, verdict, it.kind))
    {
        let name = limit.kind.as_str();
        figures.say(format!(
            "The tightest limit was the {name}'s: {} of {} used at the worst that was read.",
            mebibytes(limit.worst_used_bytes.cast_signed()),
            mebibytes(limit.limit_bytes.cast_signed())
        ));
    }
    if is_of_memory(verdict) {
        held(evidence, verdict, figures);
    }
    let headroom = &evidence.headroom;
    if ended_early(verdict, evidence)
        && let Some(room) = &headroom.tightest
        && bears(evidence, verdict, room.kind)
    {
        figures.at(room.at_us, format!("Near the end {}.", room.words()));
        if let Some((at_us, sentence)) = evidence.gaps.unsampled_words(evidence, verdict) {
            figures.at(at_us, sentence);
        }
    }
    if !is_of_memory(verdict) && !headroom.is_short() {
        return;
    }
    if !bears(evidence, verdict, LimitKind::Machine) {
        return;
    }
    if let Some((at_us, some, full)) = headroom
        .pressure
        .filter(|(_, some, _)| *some >= LEAST_PRESSURE)
    {
        let percent = |hundredths: i64| hundredths as f64 / 100.0;
        figures.at(
            at_us,
            format!(
                "Processes of the machine waited for memory {:.0} % of the time, all of them {:.0} %.",
                percent(some),
                percent(full)
            ),
        );
    }
    if let Some((at_us, bytes)) = headroom.swap {
        figures.at(at_us, format!("{} of swap were in use.", mebibytes(bytes)));
    }
    if verdict == Verdict::OomCgroup {
        // Who else was there took nothing of the cgroup's limit.
        return;
    }
    for (command, pid, bytes) in &headroom.others {
        figures.say(format!(
            "{command} (process {pid}), outside the job, held {}.",
            mebibytes(*bytes)
        ));
    }
    if let Some((at_us, bytes)) = headroom.all_others {
        let held = mebibytes(bytes);
        let sentence = format!("All processes outside the job together held {held}.");
        figures.at(at_us, sentence);
    }
    if let Some(daemon) = &headroom.daemon {
        figures.say(format!("{daemon} runs on the machine."));
    }
}

/// Whether what is known of a limit speaks for the verdict: what the guard did rests on the one limit that it met.
fn bears(evidence: &Evidence, verdict: Verdict, kind: LimitKind) -> bool {
    let stop = evidence.seen.guard_stop();
    verdict != Verdict::GuardStopped
        || stop.is_none_or(|stop| stop.limit.is_empty() || stop.limit == kind.as_str())
}

/// What was there before the test that ran, and what that test added.
fn held(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    let named = culprits(evidence, verdict);
    let (more, bytes) = holders::unnamed(&super::super::all_holders(evidence, verdict), &named);
    if more > 0 {
        let held = mebibytes(bytes);
        figures.at(
            evidence.moment_us,
            format!(
                "{more} more than the {} that are named held {held} together.",
                named.len()
            ),
        );
    }
    if let Some(left) = evidence.left_behind {
        figures.at(
            evidence.moment_us,
            format!(
                "{} test files had left {} behind, {} each in the middle.",
                left.files,
                mebibytes(left.bytes),
                mebibytes(left.middle_bytes)
            ),
        );
    }
    if let (Some(running), Some(took)) = (&evidence.running, evidence.running_took_bytes)
        && took >= holders::LEAST_CULPRIT_BYTES
    {
        let took = mebibytes(took);
        figures.at(
            evidence.moment_us,
            format!("{running} had taken {took} since it began."),
        );
    }
}
