//! The evidence in words: each thing that speaks for an ending or against another, with its time where it has one.

use highwater_wire::report::{Evidence as Figure, LimitKind, Verdict};

use super::{
    evidence::Evidence,
    words::{count, seconds, signal_name},
};
use crate::figures::mebibytes;

/// Most files, tests or processes of one kind that are named.
const MOST_NAMED: usize = 10;
/// Time in which something waited for memory, hundredths of a percent, from which it is told.
const LEAST_PRESSURE: i64 = 500;

struct Figures(Vec<Figure>);

impl Figures {
    fn say(&mut self, sentence: impl Into<String>) {
        self.push(None, sentence.into());
    }

    fn at(&mut self, at_us: i64, sentence: impl Into<String>) {
        self.push(Some(at_us), sentence.into());
    }

    fn push(&mut self, at_us: Option<i64>, sentence: String) {
        self.0.push(Figure { at_us, sentence });
    }
}

pub(super) fn of(evidence: &Evidence, verdict: Verdict) -> Vec<Figure> {
    let mut figures = Figures(Vec::new());
    command(evidence, &mut figures);
    sessions(evidence, &mut figures);
    deaths(evidence, &mut figures);
    failures(evidence, &mut figures);
    kernel(evidence, verdict, &mut figures);
    seen(evidence, &mut figures);
    memory(evidence, verdict, &mut figures);
    time(evidence, verdict, &mut figures);
    recording(evidence, &mut figures);
    figures.0
}

fn command(evidence: &Evidence, figures: &mut Figures) {
    let whose = if evidence.background {
        "job"
    } else {
        "command"
    };
    if let Some(signal) = evidence.own_signal {
        figures.say(format!("The {whose} was ended by {}.", signal_name(signal)));
    }
    if let Some(code) = evidence.exit_code {
        figures.say(format!("The {whose}'s exit code was {code}."));
    }
    if let Some(signal) = evidence.forwarded_signal {
        let name = signal_name(signal);
        figures.say(format!("The agent was sent {name} and handed it on."));
    }
    if !evidence.ci_status.is_empty() {
        figures.say(format!("The CI says of the job: {}.", evidence.ci_status));
    }
}

fn sessions(evidence: &Evidence, figures: &mut Figures) {
    for status in &evidence.statuses {
        figures.say(format!("A pytest session ended with status {status}."));
    }
    let open = &evidence.open;
    let whole = if evidence.background {
        "recording"
    } else {
        "command"
    };
    let told = [
        (open.vanished, "never told its end.".to_owned()),
        (open.left.len(), "ended without a status.".to_owned()),
        (
            open.unseen,
            "ran without the plugin, and nobody saw it end.".to_owned(),
        ),
        (
            open.going_on,
            format!("still ran when the {whole} had ended."),
        ),
    ];
    for (sessions, what) in told {
        if sessions > 0 {
            figures.say(format!(
                "{} {what}",
                count(sessions as u64, "pytest session")
            ));
        }
    }
    for code in open.left.iter().flatten() {
        figures.say(format!("Its process ended with exit code {code}."));
    }
    if open.torn > 0 {
        let sessions = count(open.torn as u64, "pytest session");
        figures.say(format!("The recording of {sessions} broke off."));
    }
    if evidence.vanished_workers() > 0 {
        let workers = count(evidence.vanished_workers() as u64, "worker process");
        figures.say(format!(
            "{workers} never told an end, while the session did."
        ));
    }
}

fn deaths(evidence: &Evidence, figures: &mut Figures) {
    for death in evidence
        .deaths
        .iter()
        .filter(|death| death.process.is_some())
    {
        let who = if death.is_worker {
            "A worker process"
        } else {
            "The pytest process"
        };
        let how = match (death.signal, death.exit_code) {
            (Some(signal), _) => format!(", and was ended by {}", signal_name(signal)),
            (None, Some(code)) => format!(", and ended with exit code {code}"),
            (None, None) => String::new(),
        };
        let ran = death
            .running
            .as_ref()
            .map_or_else(String::new, |running| format!(" in {running}"));
        figures.at(death.from_us, format!("{who} was seen last{ran}{how}."));
    }
}

fn failures(evidence: &Evidence, figures: &mut Figures) {
    let failures = &evidence.failures;
    for path in failures.imports.iter().take(MOST_NAMED) {
        figures.say(format!("{path} could not be collected."));
    }
    for name in failures.without_memory.iter().take(MOST_NAMED) {
        figures.say(format!("{name} failed with a MemoryError."));
    }
    for name in failures.out_of_time.iter().take(MOST_NAMED) {
        figures.say(format!("{name} was ended by pytest-timeout."));
    }
    if let Some(space) = failures.address_space {
        figures.say(space.words());
    }
}

fn kernel(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
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
    if oom.kills_all && (oom.own.sum() > 0 || oom.group_kills > 0) {
        figures.say("The kernel kills all of this cgroup at once (memory.oom.group).");
    }
    for kill in oom.log.iter().take(MOST_NAMED) {
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
        figures.at(
            kill.at_us,
            format!(
                "The kernel's log: process {} ({}){whose} was killed for {short}.",
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

fn seen(evidence: &Evidence, figures: &mut Figures) {
    for taken in &evidence.seen.signals {
        figures.at(taken.at_us, taken.words());
    }
    for action in &evidence.seen.guard {
        let did = match (action.stopped, action.signal) {
            (false, _) => "warned".to_owned(),
            (true, 0) => "told pytest to end".to_owned(),
            (true, signal) => format!("told pytest to end by {}", signal_name(signal)),
        };
        figures.at(
            action.at_us,
            format!("The guard {did}, at {}.", action.words()),
        );
    }
    if let Some((at_us, pid, command)) = &evidence.seen.runner_gone {
        let sentence = format!("The CI's runner, process {pid} ({command}), was gone.");
        figures.at(*at_us, sentence);
    }
    for (from_us, to_us) in &evidence.seen.gaps {
        figures.at(
            *to_us,
            format!(
                "The agent was gone from {} to {}: nothing was sampled meanwhile.",
                seconds(*from_us),
                seconds(*to_us)
            ),
        );
    }
}

fn memory(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    if evidence.peak_bytes > 0 {
        let peak = mebibytes(evidence.peak_bytes);
        let sentence = format!("The job's memory was highest with {peak}.");
        figures.at(evidence.peak_at_us, sentence);
    }
    if let Some(limit) = &evidence.tightest {
        let name = match limit.kind {
            LimitKind::Cgroup => "cgroup",
            LimitKind::Machine => "machine",
            LimitKind::Budget => "budget",
        };
        figures.say(format!(
            "The tightest limit was the {name}'s: {} of {} used at the worst.",
            mebibytes(limit.worst_used_bytes.cast_signed()),
            mebibytes(limit.limit_bytes.cast_signed())
        ));
    }
    let headroom = &evidence.headroom;
    if super::ended_early(verdict, evidence)
        && let Some(room) = &headroom.tightest
    {
        figures.at(room.at_us, format!("Near the end {}.", room.words()));
    }
    if !super::is_of_memory(verdict) && !headroom.is_short() {
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

fn time(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    if let Some(allowed_us) = evidence.time.timeout_us {
        let allowed = seconds(allowed_us);
        figures.say(format!("A `timeout` of {allowed} around pytest was up."));
    }
    let of_time = matches!(verdict, Verdict::TimedOut | Verdict::Cancelled);
    if let Some((limit_us, ran_us)) = evidence.time.ci.filter(|_| of_time) {
        figures.say(format!(
            "The CI allows the job {}; {} had passed.",
            seconds(limit_us),
            seconds(ran_us)
        ));
    }
}

fn recording(evidence: &Evidence, figures: &mut Figures) {
    if evidence.agent_lost {
        figures.at(
            evidence.last_us,
            format!(
                "The agent was gone before the {}'s end.",
                if evidence.background {
                    "job"
                } else {
                    "command"
                }
            ),
        );
    }
    if evidence.lost() {
        figures.at(evidence.last_us, "Nothing arrived after this.");
    }
}
