//! JUnit's XML, as CI systems read it: a case a test file, with its figures as properties, and one for the job. What pytest found of the tests is
//! in pytest's own report; a case fails here where the job died of memory: the job's own, and those of the files that held it.

use std::fmt::Write;

use highwater_wire::report::{Ending, FileRow, RemarkKind};

use crate::{Source, escape::markup, limits, names::fitted, rank};

const MOST_COLUMNS: usize = 3_000;

pub(crate) fn write(source: &Source<'_>) -> String {
    let mut cases = String::new();
    let mut failures = usize::from(job_case(&mut cases, source));
    for file in &source.digest.files {
        failures += usize::from(file_case(&mut cases, source, file));
    }
    let job = &source.digest.job;
    let name = markup(&rank::job_name(job));
    let tests = source.digest.files.len() + 1;
    let time = seconds(job.duration_us);
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\"");
    // An XML Schema's dateTime, without the fraction that some readers do not take.
    let started = job.started_at.get(..19).unwrap_or("1970-01-01T00:00:00");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"highwater\" {counts} time=\"{time}\">\n\
        <testsuite name=\"{name}\" {counts} skipped=\"0\" time=\"{time}\" timestamp=\"{}\">\n{cases}</testsuite>\n</testsuites>\n",
        markup(started)
    )
}

/// Whether it failed.
fn job_case(out: &mut String, source: &Source<'_>) -> bool {
    let job = &source.digest.job;
    let mut properties = vec![
        ("peak_bytes", job.peak_bytes.to_string()),
        ("peak_kind", job.peak_kind.as_str().to_owned()),
    ];
    properties.extend(
        job.headroom_bytes
            .map(|bytes| ("headroom_bytes", bytes.to_string())),
    );
    let limits = job.limits.iter();
    properties.extend(limits.map(|it| {
        (
            "limit",
            format!("{}: {}", limits::name(it), limits::used(it)),
        )
    }));
    properties.extend(
        job.forecast
            .as_ref()
            .map(|it| ("forecast", it.sentence.clone())),
    );
    if job.sessions.iter().any(|session| session.sampled) {
        properties.push(("failed_tests", "not known".to_owned()));
    }
    if let Some(found) = &job.diagnosis {
        properties.push(("diagnosis", found.sentence.clone()));
        let advice = found.advice.iter();
        properties.extend(advice.map(|it| ("advice", it.sentence.clone())));
    }
    if !source.files_gone.is_empty() {
        properties.push(("files_gone", source.files_gone.clone()));
    }
    properties.extend(source.page.map(|page| ("page", page.to_owned())));
    let failure = death(source).map(|ending| {
        let evidence = ending.evidence.iter().map(|line| line.sentence.as_str());
        let lines: Vec<&str> = evidence.chain([ending.next_step.as_str()]).collect();
        (ending.sentence.clone(), lines)
    });
    case(
        out,
        "highwater",
        &rank::job_name(job),
        0,
        &properties,
        failure.as_ref(),
    );
    failure.is_some()
}

/// Whether it failed.
fn file_case(out: &mut String, source: &Source<'_>, file: &FileRow) -> bool {
    let properties = [
        ("retained_bytes", file.retained_bytes),
        ("peak_bytes", file.peak_bytes),
        ("tree_peak_bytes", file.tree_peak_bytes),
        ("spike_bytes", file.spike_bytes),
        ("tree_spike_bytes", file.tree_spike_bytes),
        ("children_start_bytes", file.children_start_bytes),
        ("children_retained_bytes", file.children_retained_bytes),
        ("start_bytes", file.start_bytes),
        ("import_bytes", file.import_bytes),
        ("late_import_bytes", file.late_import_bytes),
        ("shared_fixture_bytes", file.shared_fixture_bytes),
        ("fixture_bytes", file.fixture_bytes),
        ("between_bytes", file.between_bytes),
    ];
    let mut properties: Vec<_> = properties
        .map(|(name, bytes)| (name, bytes.to_string()))
        .into();
    properties.push(("peak_kind", file.peak_kind.as_str().to_owned()));
    properties.push(("tests", file.tests.to_string()));
    properties.push(("censored", file.censored.to_string()));
    if let Some(found) = &file.diagnosis {
        let parts = [
            ("garbage_bytes", found.garbage_bytes),
            ("allocator_bytes", found.allocator_bytes),
            ("pymalloc_bytes", found.pymalloc_bytes),
            ("live_bytes", found.live_bytes),
            ("rest_bytes", found.rest_bytes),
        ];
        properties.extend(parts.map(|(name, bytes)| (name, bytes.to_string())));
    }
    let held = source.remarks.iter().find(|remark| {
        remark.kind == RemarkKind::Culprit && remark.path.as_deref() == Some(&file.path)
    });
    let failure = death(source)
        .zip(held)
        .map(|(ending, held)| (held.sentence.clone(), vec![ending.sentence.as_str()]));
    let class = format!(
        "highwater{}",
        rank::of_session(&source.digest.job, file.session)
    );
    case(
        out,
        &class,
        &file.path,
        file.duration_us,
        &properties,
        failure.as_ref(),
    );
    failure.is_some()
}

/// The ending of a job that died of memory.
fn death<'a>(source: &'a Source<'_>) -> Option<&'a Ending> {
    let ending = source.digest.job.ending.as_ref();
    ending.filter(|ending| ending.verdict.is_of_memory())
}

/// Writing to a string cannot fail, so its answers are let go.
fn case(
    out: &mut String,
    class: &str,
    name: &str,
    duration_us: i64,
    properties: &[(&str, String)],
    failure: Option<&(String, Vec<&str>)>,
) {
    let (class, name, time) = (markup(class), markup(name), seconds(duration_us));
    let _ = writeln!(
        out,
        "<testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\">\n<properties>"
    );
    for (name, value) in properties {
        let _ = writeln!(
            out,
            "<property name=\"{name}\" value=\"{}\"/>",
            markup(value)
        );
    }
    let _ = writeln!(out, "</properties>");
    if let Some((message, lines)) = failure {
        let message = markup(&fitted(message, MOST_COLUMNS));
        let _ = write!(out, "<failure type=\"memory\" message=\"{message}\">");
        for line in lines {
            let _ = writeln!(out, "{}", markup(&fitted(line, MOST_COLUMNS)));
        }
        let _ = writeln!(out, "</failure>");
    }
    let _ = writeln!(out, "</testcase>");
}

fn seconds(us: i64) -> String {
    format!("{:.3}", us as f64 / 1e6)
}
