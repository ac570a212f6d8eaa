//! The evidence in words: each thing that speaks for an ending or against another, with its time where it has one.

mod memory;

use highwater_wire::report::{Evidence as Figure, Verdict};

use super::{
    evidence::Evidence,
    words::{count, seconds, signal_name},
};
use crate::figures::{duration, mebibytes};

/// Most files, tests or processes of one kind that are named.
const MOST_NAMED: usize = 10;
/// What was not sampled for less than this is no gap that anybody sees.
const LEAST_GAP_US: i64 = 1_000_000;

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
    memory::kernel(evidence, verdict, &mut figures);
    seen(evidence, verdict, &mut figures);
    memory::room(evidence, verdict, &mut figures);
    time(evidence, verdict, &mut figures);
    recording(evidence, &mut figures);
    // First what is of no instant, then as it happened.
    figures.0.sort_by_key(|figure| figure.at_us);
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
    for (at, status) in evidence.statuses.iter().enumerate() {
        let which = match evidence.ordinals.get(at) {
            Some(ordinal) => format!("The pytest session {ordinal}"),
            None => "A pytest session".to_owned(),
        };
        figures.say(format!("{which} ended with status {status}."));
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
    let afterwards = evidence.afterwards.iter().take(MOST_NAMED);
    for death in evidence
        .deaths
        .iter()
        .chain(afterwards)
        .filter(|death| death.process.is_some())
    {
        let who = match (death.is_worker, death.worker.as_deref()) {
            (true, Some(worker)) => format!("The worker process {worker}"),
            (true, None) => "A worker process".to_owned(),
            (false, _) => "The pytest process".to_owned(),
        };
        if let Some(signal) = death.signal.filter(|_| death.after_end) {
            let signal = signal_name(signal);
            let sentence = format!("{who} was ended by {signal}, after its session had ended.");
            figures.at(death.until_us, sentence);
            continue;
        }
        let how = match (death.signal, death.exit_code) {
            (Some(signal), _) => format!(", and was ended by {}", signal_name(signal)),
            (None, Some(code)) => format!(", and ended with exit code {code}"),
            (None, None) => String::new(),
        };
        let ran = death
            .running
            .as_ref()
            .map_or_else(String::new, |running| format!(" in {running}"));
        // Of what was sampled nobody knows what began since.
        let before = match death.sampled && death.seen_to_end {
            true => format!(
                ", {} before it was gone",
                duration(death.until_us - death.from_us)
            ),
            false => String::new(),
        };
        let sentence = format!("{who} was seen last{ran}{before}{how}.");
        figures.at(death.from_us, sentence);
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
    if failures.pytest_without_memory {
        figures.say("pytest itself broke off with a MemoryError.");
    }
    for name in failures.out_of_time.iter().take(MOST_NAMED) {
        figures.say(format!("{name} was ended by pytest-timeout."));
    }
    if let Some(space) = failures.address_space {
        figures.say(space.words());
    }
    if let Some((limit_bytes, pid)) = failures.data_limit {
        let limit = mebibytes(limit_bytes.cast_signed());
        figures.say(format!(
            "The data of process {pid} was limited to {limit} (ulimit -d)."
        ));
    }
}

fn seen(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    for taken in &evidence.seen.signals {
        figures.at(taken.at_us, taken.words());
    }
    for action in evidence.seen.guarded(verdict == Verdict::GuardStopped) {
        let did = match (action.stopped, action.signal) {
            (false, _) => "warned".to_owned(),
            (true, 0) => "told pytest to end".to_owned(),
            (true, signal) => format!("told pytest to end by {}", signal_name(signal)),
        };
        let named: Vec<String> = action.pids.iter().map(u32::to_string).collect();
        let whom = match &named[..] {
            [] => String::new(),
            [one] => format!(" (process {one})"),
            _ => format!(
                " (processes {})",
                named[..named.len().min(MOST_NAMED)].join(", ")
            ),
        };
        figures.at(
            action.at_us,
            format!("The guard {did}, at {}{whom}.", action.words()),
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

fn time(evidence: &Evidence, verdict: Verdict, figures: &mut Figures) {
    if let Some(timeout) = evidence.time.timeout {
        let allowed = seconds(timeout.allowed_us);
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
        let whose = if evidence.background {
            "job"
        } else {
            "command"
        };
        let (from_us, to_us) = (evidence.sampled_until_us, evidence.last_us);
        let unsampled = match to_us - from_us {
            ..LEAST_GAP_US => String::new(),
            _ => format!(
                ": nothing was sampled from {} to {}",
                seconds(from_us),
                seconds(to_us)
            ),
        };
        let sentence = format!("The agent was gone before the {whose}'s end{unsampled}.");
        figures.at(from_us, sentence);
    }
    if evidence.lost() {
        figures.at(evidence.last_us, "Nothing arrived after this.");
    }
}
