//! What a reader is to be told of a job. Each form writes down what is found here, and decides nothing by itself; how a job compares with others, which a server
//! alone knows, joins here.

use highwater_analysis::{digest::Digest, figures::mebibytes, next_step, plan, time};
use highwater_wire::report::{
    CheckReport, Course, Culprit, Diagnosis, Ending, ForecastReport, GrowthReport, JobReport,
    JobState, LimitUse, RUNNING, Remark, RemarkKind, SessionReport, Severity, Verdict,
};
use uuid::Uuid;

use crate::{diagnosis, limits, rank};

/// Culprits that are told one by one.
const MOST_CULPRITS: usize = 10;
/// Findings that are told one by one; all of them are in the check.
const MOST_FINDINGS: usize = 20;

/// Every remark on a job, the worst first.
#[must_use]
pub fn of(digest: &Digest) -> Vec<Remark> {
    let job = &digest.job;
    let ending = job.ending.as_ref().filter(|ending| is_death(ending));
    let mut remarks = Vec::new();
    if let Some(ending) = ending {
        remarks.push(death(digest, ending));
        let culprits = ending.culprits.iter().take(MOST_CULPRITS);
        remarks.extend(culprits.map(|it| culprit(digest, it)));
    }
    remarks.extend(job.sessions.iter().filter_map(|it| fallen(job, it)));
    remarks.extend(job.growth.iter().filter_map(|it| growth(job, it)));
    remarks.extend(job.forecast.as_ref().map(|it| forecast(digest, it)));
    if let Some(found) = &job.diagnosis {
        remarks.extend(diagnosed(job, found));
    }
    // Of a death by memory everybody knows that nothing was left.
    if !ending.is_some_and(|ending| ending.verdict.is_of_memory()) {
        remarks.extend(headroom(job));
    }
    remarks.sort_by_key(|remark| remark.severity);
    remarks
}

/// Adds what a check found beside the jobs before, so that the worst is first still.
pub fn add_findings(remarks: &mut Vec<Remark>, job: &JobReport, check: &CheckReport) {
    remarks.extend(check.findings.iter().take(MOST_FINDINGS).map(|found| {
        let severity = match found.fails() {
            true => Severity::Warning,
            false => Severity::Notice,
        };
        let path = found.path.clone();
        // A figure may be over its limit, and worse besides.
        let what = match &found.limit {
            Some(set) => set.name.as_str(),
            None => found.figure.as_str(),
        };
        let subject = match &path {
            Some(path) => format!("{what} of {path}"),
            None => what.to_owned(),
        };
        let known = found.acknowledged.as_ref().map_or_else(String::new, |it| {
            let until = time::day(&it.until);
            format!(" Acknowledged until {until} by {}: {}", it.by, it.reason)
        });
        let sentence = format!("{}{known}", found.sentence);
        Remark {
            is_refuted: found.again.is_some_and(|again| !again.confirms),
            ..remark(job, RemarkKind::Finding, severity, &subject, path, sentence)
        }
    }));
    remarks.sort_by_key(|remark| remark.severity);
}

/// Whether somebody has to be told: what a person stopped, or pytest explains itself, is no death.
fn is_death(ending: &Ending) -> bool {
    ending.verdict.is_of_memory()
        || matches!(
            ending.verdict,
            Verdict::Crashed
                | Verdict::WorkerCrashed
                | Verdict::RunnerLost
                | Verdict::TimedOut
                | Verdict::Killed
        )
}

fn death(digest: &Digest, ending: &Ending) -> Remark {
    let victim = ending.victim.as_deref();
    let running = victim.map_or_else(String::new, |test| format!(" Running at the end: {test}."));
    let named = most_blamed(digest, ending);
    let sentence = format!("{}{running} Next: {}", ending.sentence, ending.next_step);
    // The line that a reader is led to is of what held the memory, not of whom it hit.
    let path = named.or_else(|| Some(victim?.split_once("::")?.0.to_owned()));
    remark(
        &digest.job,
        RemarkKind::Death,
        Severity::Error,
        "",
        path,
        sentence,
    )
}

/// The test file of what held most. The test that ran found no room, unless it had taken more than all that was held before it.
fn most_blamed(digest: &Digest, ending: &Ending) -> Option<String> {
    let (running, held): (Vec<&Culprit>, Vec<&Culprit>) =
        ending.culprits.iter().partition(|it| it.kind == RUNNING);
    let all_held = held.iter().map(|it| it.bytes).fold(0, i64::saturating_add);
    let running = running.into_iter().filter(|it| it.bytes > all_held);
    running.chain(held).find_map(|it| path_of(digest, it))
}

/// A part of a job that goes on was ended by want of memory.
fn fallen(job: &JobReport, session: &SessionReport) -> Option<Remark> {
    let fallen = session.fallen.as_ref().filter(|it| it.by_kernel)?;
    let subject = format!("session {}", session.ordinal);
    let sentence = fallen.sentence.clone();
    let severity = Severity::Error;
    Some(remark(
        job,
        RemarkKind::Death,
        severity,
        &subject,
        None,
        sentence,
    ))
}

fn culprit(digest: &Digest, culprit: &Culprit) -> Remark {
    let bytes = mebibytes(culprit.bytes);
    let name = &culprit.name;
    let sentence = match culprit.kind.as_str() {
        RUNNING => {
            format!("{bytes} had been taken so far by the running test {name} when the job died")
        }
        "other" => {
            format!("{bytes} was held by a process outside the job {name} when the job died")
        }
        kind => format!("{bytes} was held by {kind} {name} when the job died"),
    };
    // A process has another number each time.
    let subject = match culprit.name.rsplit_once(" (process ") {
        Some((command, _)) if culprit.kind == "other" => command,
        _ => &culprit.name,
    };
    remark(
        &digest.job,
        RemarkKind::Culprit,
        Severity::Warning,
        &format!("{} {subject}", culprit.kind),
        path_of(digest, culprit),
        sentence,
    )
}

/// The test file of a culprit; of a fixture, the one it stands behind in brackets.
fn path_of(digest: &Digest, culprit: &Culprit) -> Option<String> {
    let path = match culprit.kind.as_str() {
        "file" => culprit.name.as_str(),
        RUNNING => culprit.name.split_once("::")?.0,
        "fixture" => culprit.name.strip_suffix(')')?.rsplit_once(" (")?.1,
        _ => return None,
    };
    let is_known = digest.files.iter().any(|file| file.path == path);
    is_known.then(|| path.to_owned())
}

/// Growth that goes on matters where a limit is met before as many files again have run.
fn growth(job: &JobReport, growth: &GrowthReport) -> Option<Remark> {
    let grows = matches!(growth.course, Course::Steady | Course::Steps);
    let severity = match plan::grows_near(growth) {
        true => Severity::Warning,
        false => Severity::Notice,
    };
    let subject = format!("session {}", growth.session);
    let step = growth.steps.iter().max_by_key(|step| step.bytes);
    let path = step.map(|step| step.path.clone());
    let sentence = growth.sentence.clone();
    grows.then(|| remark(job, RemarkKind::Growth, severity, &subject, path, sentence))
}

/// A forecast matters while there is time to do something.
fn forecast(digest: &Digest, forecast: &ForecastReport) -> Remark {
    let job = &digest.job;
    let severity = match forecast.is_warning && job.state == JobState::Running {
        true => Severity::Warning,
        false => Severity::Notice,
    };
    let crossing = forecast.crossings.first().map(|it| it.test_file.clone());
    let subject = format!("session {}", forecast.session);
    let path = crossing.filter(|path| !path.is_empty());
    let sentence = forecast.sentence.clone();
    remark(
        job,
        RemarkKind::Forecast,
        severity,
        &subject,
        path,
        sentence,
    )
}

/// Why memory stayed, and what to do about each part that matters. Nobody is looked at so without asking for it.
fn diagnosed(job: &JobReport, found: &Diagnosis) -> Vec<Remark> {
    let whole = (
        String::new(),
        format!("{} {}", diagnosis::NOTE, found.sentence),
    );
    let parts = found.advice.iter();
    let parts = parts.map(|it| (it.why.as_str().to_owned(), it.sentence.clone()));
    std::iter::once(whole)
        .chain(parts)
        .map(|(subject, sentence)| {
            let severity = Severity::Notice;
            remark(
                job,
                RemarkKind::Diagnosis,
                severity,
                &subject,
                None,
                sentence,
            )
        })
        .collect()
}

fn headroom(job: &JobReport) -> Option<Remark> {
    let limit = LimitUse::tightest(&job.limits)?;
    let is_tight = next_step::job_is_tight(job);
    let subject = limits::name(limit);
    let what = match limit.left_bytes() {
        ..0 => "More was used than a limit allows",
        _ => "Little is left below a limit",
    };
    let sentence = format!("{what}: {subject}, {} used", limits::used(limit));
    let severity = Severity::Warning;
    is_tight.then(|| {
        remark(
            job,
            RemarkKind::Headroom,
            severity,
            &subject,
            None,
            sentence,
        )
    })
}

fn remark(
    job: &JobReport,
    kind: RemarkKind,
    severity: Severity,
    subject: &str,
    path: Option<String>,
    sentence: String,
) -> Remark {
    // A separator that no part holds by chance.
    let of = [kind.as_str(), &job.project, &rank::job_name(job), subject].join("\0");
    Remark {
        kind,
        severity,
        subject: subject.to_owned(),
        path,
        sentence,
        fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_URL, of.as_bytes()),
        is_refuted: false,
    }
}
