//! The job as a whole.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::{
    report::{
        CheckLimits, Ending, EnvironmentReport, JobReport, JobState, NoticeReport, RecorderReport,
        RunReport, SessionReport, ShardReport, TestRow,
    },
    v1::{self, Job},
};

use super::{ending, fallen, forecast, growth, limits, parts::Parts, walk::Walk};
use crate::{
    next_step,
    recording::Recording,
    time::{by_the_server, rfc3339},
};

/// More tests than this are not named where the peak was.
const MOST_AT_THE_PEAK: usize = 16;

pub(super) fn report(parts: &Parts<'_>) -> JobReport {
    let job = parts.recording.job();
    let end = parts.recording.end();
    let running = parts.context.state == JobState::Running;
    let duration_us = end.map_or(parts.recording.last_us(), |end| end.ended_us.max(0));
    let mut limits = limits::of_job(parts.recording, parts.cgroups, parts.peak.bytes);
    let mut sessions = session_reports(parts);
    if running {
        fallen::tell(parts, &mut sessions, &limits);
    }
    let ending = (!running).then(|| {
        let evidence = ending::Evidence::gather(parts, &sessions, &limits);
        evidence.raise(&mut limits);
        ending::decide(&evidence)
    });
    let headroom_bytes = limits::headroom(&limits);
    let (ending, censored) = ending.unzip();
    let forecast = forecast::of_job(parts, &sessions, &limits, ending.as_ref(), censored);
    let run = run_report(job);
    let started_unix_us = by_the_server(job.started_unix_us, parts.context.clock_skew_us);
    let mut report = JobReport {
        uuid: parts.context.uuid,
        state: parts.context.state,
        revision: parts.context.revision,
        project: job.project.clone(),
        name: job.name.clone(),
        variant: job.variant.clone(),
        shard: job.shard.map(|shard| ShardReport {
            index: shard.index,
            total: shard.total,
        }),
        attempt: job.attempt,
        confirms: job.confirms.parse().ok(),
        branch: run.branch.clone(),
        commit: run.head_commit.clone(),
        run,
        environment: environment(parts),
        command: job.command.clone(),
        sessions,
        started_at: rfc3339(started_unix_us),
        ended_at: (!running).then(|| rfc3339(started_unix_us.saturating_add(duration_us))),
        clock_skew_us: parts.context.clock_skew_us,
        duration_us,
        peak_bytes: parts.peak.bytes.max(0).cast_unsigned(),
        peak_at_us: parts.peak.at_us,
        peak_during: tests_at(parts, parts.peak.at_us),
        peak_high_bytes: parts.peak.high_bytes.max(0).cast_unsigned(),
        peak_metric: parts.peak.metric,
        peak_kind: parts.peak.kind,
        peak_error_bytes: parts.peak.error_bytes,
        growth: match parts.is_imported() {
            // What others recorded has no memory between the files.
            true => Vec::new(),
            false => growth::reports(parts.visits, &limits),
        },
        diagnosis: parts.diagnosis.clone(),
        forecast,
        limits,
        check_limits: job.check_limits.as_ref().map(check_limits),
        headroom_bytes,
        exit_code: end.and_then(|end| end.exit_code),
        signal: end.and_then(|end| end.signal),
        censored: censored.unwrap_or(false),
        ending,
        notices: notices(parts.recording),
        recorder: recorder(parts.recording),
        ci_url: job.url.clone(),
        agent_version: job.agent_version.clone(),
        url: None,
        spool: None,
    };
    report.ending = report.ending.take().map(|ending| Ending {
        next_step: next_step::of_ending(&report, &ending),
        ..ending
    });
    report
}

fn check_limits(set: &v1::CheckLimits) -> CheckLimits {
    let bytes = |size: Option<u64>| size.map(u64::cast_signed);
    CheckLimits {
        max_peak_bytes: bytes(set.max_peak_bytes),
        min_headroom_bytes: bytes(set.min_headroom_bytes),
        max_retained_bytes: bytes(set.max_retained_bytes),
        max_spike_bytes: bytes(set.max_spike_bytes),
        files: set.files.clone(),
    }
}

fn tests_at(parts: &Parts<'_>, t_us: i64) -> Vec<String> {
    let ran = |test: &&TestRow| {
        (test.started_us..=test.started_us.saturating_add(test.duration_us)).contains(&t_us)
    };
    let mut names: Vec<String> = parts.tests.iter().filter(ran).map(TestRow::name).collect();
    names.sort();
    names.dedup();
    names.truncate(MOST_AT_THE_PEAK);
    names
}

fn run_report(job: &Job) -> RunReport {
    let run = job.run.clone().unwrap_or_default();
    RunReport {
        provider: run.provider,
        id: run.id,
        branch: run.branch,
        head_commit: run.head_commit,
        base_commit: run.base_commit,
        commit_at: if run.commit_unix_us > 0 {
            rfc3339(run.commit_unix_us)
        } else {
            String::new()
        },
        pull_request: run.pull_request,
        fork: run.fork,
        event: run.event,
        url: run.url,
    }
}

fn environment(parts: &Parts<'_>) -> EnvironmentReport {
    let environment = parts
        .recording
        .job()
        .environment
        .clone()
        .unwrap_or_default();
    let mut versions = environment.versions;
    for (name, version) in parts.processes.iter().flat_map(|process| &process.versions) {
        if !version.is_empty() {
            versions.insert((*name).to_owned(), version.clone());
        }
    }
    EnvironmentReport {
        os: environment.os,
        arch: environment.arch,
        kernel: environment.kernel,
        cpus: environment.cpus,
        memory_total_bytes: environment.memory_total_bytes,
        swap_total_bytes: environment.swap_total_bytes,
        page_bytes: environment.page_bytes,
        cgroup_version: environment.cgroup_version,
        versions,
    }
}

/// pytest's own word on a session counts where the marks have it: a worker's status is not the session's. Without marks, the
/// sender's word on the session.
fn session_reports(parts: &Parts<'_>) -> Vec<SessionReport> {
    let mut statuses: BTreeMap<u32, i32> = BTreeMap::new();
    for walk in parts.walks {
        if parts.processes[walk.process].worker.is_none() {
            statuses.extend(walk.session_ends.iter().copied());
        }
    }
    let mut counts: BTreeMap<u32, (u64, u64, u64)> = BTreeMap::new();
    for test in parts.tests {
        let (tests, firsts, failed) = counts.entry(test.session).or_default();
        *tests += 1;
        *firsts += u64::from(test.execution <= 1);
        *failed += u64::from(matches!(test.outcome.as_str(), "failed" | "error"));
    }
    let unfinished = unfinished(parts.walks);
    let collected = collected(parts.walks);
    let report = |(session, ordinal): (&highwater_wire::v1::Session, u32)| {
        let (tests, firsts, failed) = counts.get(&ordinal).copied().unwrap_or_default();
        SessionReport {
            ordinal,
            id: session.id.clone(),
            root: session.root.clone(),
            args: session.args.clone(),
            dist: session.dist.clone(),
            numprocesses: session.numprocesses,
            began_us: session.began_us,
            ended_us: session.ended_us,
            exit_status: statuses.get(&ordinal).copied().or(session.exit_status),
            tests,
            unfinished: unfinished.get(&ordinal).map_or(0, |open| open.len() as u64),
            not_begun: collected
                .get(&ordinal)
                .map(|tests| tests.saturating_sub(firsts)),
            failed,
            sampled: session.sampled,
            fallen: None,
        }
    };
    parts
        .sessions
        .ordered()
        .iter()
        .zip(1..)
        .map(report)
        .collect()
}

/// The tests of each session that never ended, each once: a forked child tells its parent's again.
fn unfinished<'a>(walks: &[Walk<'a>]) -> BTreeMap<u32, BTreeSet<&'a str>> {
    let mut open: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for test in walks
        .iter()
        .filter_map(|walk| walk.tests.get(walk.open_test?))
    {
        open.entry(test.session).or_default().insert(test.nodeid);
    }
    open
}

/// How many tests each session was to run, where it told.
fn collected(walks: &[Walk<'_>]) -> BTreeMap<u32, u64> {
    let mut collected: BTreeMap<u32, u64> = BTreeMap::new();
    for list in walks.iter().flat_map(|walk| &walk.collected) {
        let known = collected.entry(list.session).or_default();
        *known = list.items.max(*known);
    }
    collected
}

/// Codes of the notices in which an agent says what it took itself.
const AGENT_CPU: &str = "agent_cpu_us";
const AGENT_RSS: &str = "agent_rss_bytes";

fn recorder(recording: &Recording) -> Option<RecorderReport> {
    let said = |code: &str| {
        let mut said = recording.notices().iter().rev();
        said.find(|notice| notice.code == code)
            .map(|notice| notice.count)
    };
    Some(RecorderReport {
        cpu_us: said(AGENT_CPU)?,
        rss_bytes: said(AGENT_RSS)?,
    })
}

/// Notices of one code and message together.
fn notices(recording: &Recording) -> Vec<NoticeReport> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let told = |code: &str| code != AGENT_CPU && code != AGENT_RSS;
    for notice in recording
        .notices()
        .iter()
        .filter(|notice| told(&notice.code))
    {
        let count = counts.entry((&notice.code, &notice.message)).or_default();
        *count = count.saturating_add(notice.count.max(1));
    }
    let report = |((code, message), count): ((&str, &str), u64)| NoticeReport {
        code: code.to_owned(),
        message: message.to_owned(),
        count,
    };
    counts.into_iter().map(report).collect()
}
