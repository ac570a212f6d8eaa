//! The summary in words, as a terminal shows it.

mod chart;
mod look;

use std::fmt::Write;

use highwater_analysis::{
    counts::Counts, digest::Digest, figures::mebibytes, next_step::NOTHING, plan,
};
use highwater_wire::report::{
    Books, Course, Diagnosis, JobReport, LimitKind, PeakKind, PeakMetric, PlanHint, Remark,
    RemarkKind,
};

pub use look::Look;

use crate::{Source, diagnosis, imports, names::fitted, rank};

const MOST_FILES: usize = 10;
const MOST_SPIKES: usize = 5;
const MOST_SESSIONS: usize = 10;
/// A notice says at its end what to do, so it is shown whole over several lines.
const MOST_NOTICE_COLUMNS: usize = 2_000;

/// A report for a terminal.
#[must_use]
pub fn terminal(source: &Source<'_>) -> String {
    let look = &source.look;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, source);
    if look.unicode {
        out
    } else {
        out.replace('…', "~").replace('µ', "u")
    }
}

fn write(out: &mut String, source: &Source<'_>) -> std::fmt::Result {
    let Source { digest, look, .. } = source;
    let job = &digest.job;
    writeln!(out)?;
    writeln!(
        out,
        "{}",
        look.bold(&format!("highwater: {}", headline(job)))
    )?;
    if let Some(ending) = &job.ending {
        writeln!(
            out,
            "{} ({}, {})",
            fitted(&ending.sentence, MOST_NOTICE_COLUMNS),
            ending.verdict.as_str(),
            ending.confidence.as_str()
        )?;
        for line in &ending.evidence {
            // What an ordinary end rests on is on the page.
            if !ending.verdict.is_early() {
                break;
            }
            let at = line.at_us.map_or_else(String::new, |at_us| {
                format!("{:.1} s: ", at_us as f64 / 1e6)
            });
            writeln!(out, "  {at}{}", fitted(&line.sentence, MOST_NOTICE_COLUMNS))?;
        }
        for (at, culprit) in ending.culprits.iter().enumerate() {
            let head = if at == 0 { "Held the memory:" } else { "" };
            let name = fitted(&culprit.name, look.name_columns.saturating_sub(40));
            let bytes = mebibytes(culprit.bytes);
            let so_far = match culprit.so_far().trim() {
                "" => String::new(),
                words => format!(" ({words})"),
            };
            writeln!(
                out,
                "{head:<17}{bytes:>11}  {} {name}{so_far}",
                culprit.what()
            )?;
        }
        if let Some(victim) = &ending.victim {
            writeln!(
                out,
                "Running at the end: {}",
                fitted(victim, look.name_columns.saturating_sub(20))
            )?;
        }
    }
    findings(out, &source.remarks)?;
    if !source.checked.is_empty() {
        writeln!(
            out,
            "Check: {}",
            fitted(&source.checked, MOST_NOTICE_COLUMNS)
        )?;
    }
    if let Some(next) = source.next_step.as_deref().filter(|next| *next != NOTHING) {
        writeln!(out, "Next: {}", fitted(next, MOST_NOTICE_COLUMNS))?;
    }
    let counts = Counts::of_job(job);
    let told = job.ending.as_ref().map_or("", |ending| &ending.sentence);
    if !counts.is_whole() && !told.contains(&counts.words()) {
        writeln!(out, "{}", counts.words())?;
    }
    match &source.plan_hint {
        Some(PlanHint::Command(command)) => writeln!(
            out,
            "To cut {} into jobs that fit: {command}",
            plan::cuts(job)
        )?,
        Some(PlanHint::Nothing(why)) => writeln!(out, "{}", fitted(why, MOST_NOTICE_COLUMNS))?,
        None => {}
    }
    if let Some(test) = job.peak_during.first() {
        let more = match job.peak_during.len() {
            1 => String::new(),
            tests => format!(" and {} more", tests - 1),
        };
        let name = fitted(test, look.name_columns.saturating_sub(25));
        writeln!(out, "at the peak ran: {name}{more}")?;
    }
    for limit in &job.limits {
        let share = 100.0 * limit.worst_used_bytes as f64 / limit.limit_bytes.max(1) as f64;
        let used = mebibytes(limit.worst_used_bytes.cast_signed());
        let of = mebibytes(limit.limit_bytes.cast_signed());
        // What counts against a limit is more than the job, but for its own budget.
        let line = match limit.kind {
            LimitKind::Cgroup => format!(
                "limit: cgroup {} used {used} of {of}",
                fitted(&limit.path, 40)
            ),
            LimitKind::Machine => format!("limit: the whole machine used {used} of {of}"),
            LimitKind::Budget => format!("limit: the job used {used} of its budget of {of}"),
        };
        writeln!(out, "{line} ({share:.0} %)")?;
    }
    for growth in job.growth.iter().filter(|it| it.course != Course::Level) {
        writeln!(out, "{}", fitted(&growth.sentence, MOST_NOTICE_COLUMNS))?;
    }
    if let Some(diagnosis) = &job.diagnosis {
        diagnosed(out, diagnosis)?;
    }
    if let Some(forecast) = &job.forecast {
        writeln!(out, "{}", fitted(&forecast.sentence, MOST_NOTICE_COLUMNS))?;
    }
    for line in chart::lines(digest, look) {
        writeln!(out, "{line}")?;
    }
    sessions(out, job, look)?;
    files(out, digest, look)?;
    spikes(out, digest, look)?;
    books(out, digest)?;
    if let Some(imports) = imports::of(digest) {
        writeln!(out, "{}", fitted(&imports.sentence(), MOST_NOTICE_COLUMNS))?;
    }
    provenance(out, digest)?;
    for notice in &job.notices {
        let notice = notice.to_string();
        writeln!(out, "note: {}", fitted(&notice, MOST_NOTICE_COLUMNS))?;
    }
    if let Some(page) = source.page {
        writeln!(out, "{page}")?;
    }
    Ok(())
}

/// What got worse, and what is over or near a limit.
fn findings(out: &mut String, remarks: &[Remark]) -> std::fmt::Result {
    let found = remarks.iter().filter(|it| it.kind == RemarkKind::Finding);
    for (at, finding) in found.enumerate() {
        let head = if at == 0 { "Found:" } else { "" };
        let sentence = fitted(&finding.sentence, MOST_NOTICE_COLUMNS);
        writeln!(out, "{head:<7}{:<8} {sentence}", finding.severity.as_str())?;
    }
    Ok(())
}

/// Why memory stayed.
fn diagnosed(out: &mut String, diagnosis: &Diagnosis) -> std::fmt::Result {
    writeln!(out, "{}", diagnosis::NOTE)?;
    writeln!(out, "{}", diagnosis.sentence)?;
    for advice in &diagnosis.advice {
        let sentence = fitted(&advice.sentence, MOST_NOTICE_COLUMNS);
        writeln!(out, "  {sentence}")?;
    }
    Ok(())
}

fn headline(job: &JobReport) -> String {
    let metric = match job.peak_metric {
        PeakMetric::Rss => "RSS",
        PeakMetric::PssCorrected => "RSS corrected by PSS",
        PeakMetric::RssSum => "sum of RSS",
    };
    format!(
        "peak {} ({metric}, {}) in {:.1} s",
        mebibytes(job.peak_bytes.cast_signed()),
        job.peak_kind.as_str(),
        job.duration_us as f64 / 1e6
    )
}

/// The sessions of a job that has several: the rows after them name them by their number.
fn sessions(out: &mut String, job: &JobReport, look: &Look) -> std::fmt::Result {
    if job.sessions.len() < 2 {
        return Ok(());
    }
    for session in job.sessions.iter().take(MOST_SESSIONS) {
        let tests = Counts::of_session(session, job).words();
        let failed = match (session.sampled, session.failed) {
            (true, _) => "outcomes not known".to_owned(),
            (false, failed) => format!("{failed} failed"),
        };
        let line = format!("session {}: {tests}; {failed}", session.ordinal);
        let asked = session.asked();
        if asked.is_empty() {
            writeln!(out, "{line}")?;
        } else {
            let columns = look.name_columns.saturating_sub(line.len() + 2);
            writeln!(out, "{line}: {}", fitted(&asked, columns))?;
        }
    }
    match job.sessions.len().saturating_sub(MOST_SESSIONS) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more sessions"),
    }
}

fn files(out: &mut String, digest: &Digest, look: &Look) -> std::fmt::Result {
    let ranked = rank::retained(digest);
    if ranked.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = ranked
        .iter()
        .take(MOST_FILES)
        .map(|file| (file, rank::retained_words(file)))
        .collect();
    let widths = told.iter().map(|(_, retained)| retained.chars().count());
    let width = widths.max().unwrap_or(0).max(12);
    writeln!(
        out,
        "{}",
        look.bold(&format!(
            "{:>width$} {:>12} {:>6}  retained most",
            "retained", "peak", "tests"
        ))
    )?;
    for (file, retained) in told {
        let mut mark = rank::of_session(&digest.job, file.session);
        let running = rank::left_running(file.children_retained_bytes);
        if !running.is_empty() {
            mark += &format!(", {running}");
        }
        let columns = look.name_columns.saturating_sub(24 + width + mark.len());
        let name = fitted(&file.path, columns);
        mark += if file.censored { " (cut short)" } else { "" };
        let peak = mebibytes(file.peak_bytes);
        writeln!(
            out,
            "{retained:>width$} {peak:>12} {:>6}  {name}{mark}",
            file.tests
        )?;
    }
    if ranked.len() > MOST_FILES {
        writeln!(out, "{:>33}  and {} more", "", ranked.len() - MOST_FILES)?;
    }
    Ok(())
}

/// Ranked with what was below each test, so that one whose child needed the memory is named too.
fn spikes(out: &mut String, digest: &Digest, look: &Look) -> std::fmt::Result {
    let ranked = rank::spikes(digest);
    if ranked.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{}",
        look.bold(&format!(
            "{:>12} {:>12}         largest spikes",
            "spike", "peak"
        ))
    )?;
    for test in ranked.iter().take(MOST_SPIKES) {
        let (peak, kind) = rank::peak(test);
        let with_children = match rank::with_children(test) {
            true => " (with its children)",
            false => "",
        };
        let mark = rank::of_session(&digest.job, test.session);
        let columns = look
            .name_columns
            .saturating_sub(36 + mark.len() + with_children.len());
        let name = fitted(&test.name(), columns);
        let (spike, peak) = (mebibytes(test.tree_spike_bytes), mebibytes(peak));
        writeln!(
            out,
            "{spike:>12} {peak:>12} {:>7} {name}{mark}{with_children}",
            kind.as_str()
        )?;
    }
    Ok(())
}

/// How the RSS of the processes that ran pytest went from the first mark to the last.
fn books(out: &mut String, digest: &Digest) -> std::fmt::Result {
    let all: Vec<_> = digest
        .processes
        .iter()
        .filter_map(|process| process.books)
        .collect();
    let mib = |part: fn(&Books) -> i64| {
        let bytes: i64 = all.iter().map(part).sum();
        bytes as f64 / 1_048_576.0
    };
    let whose = match all.len() {
        0 => return Ok(()),
        1 => String::new(),
        several => format!(" of {several} processes"),
    };
    writeln!(
        out,
        "books{whose}: start {:.1}, imports {:+.1}, fixtures {:+.1}, tests {:+.1}, pytest {:+.1}, end {:.1} MiB",
        mib(|books| books.first_bytes),
        mib(|books| books.import_bytes),
        mib(|books| books.fixture_bytes),
        mib(|books| books.test_bytes),
        mib(|books| books.between_bytes),
        mib(|books| books.last_bytes),
    )
}

/// What was exact and what sampled.
fn provenance(out: &mut String, digest: &Digest) -> std::fmt::Result {
    if digest.tests.is_empty() {
        return Ok(());
    }
    let exact = digest
        .tests
        .iter()
        .filter(|test| test.peak_kind == PeakKind::Exact)
        .count();
    let all = digest.tests.len();
    write!(
        out,
        "peaks: {exact} of {all} tests exact by the kernel's mark"
    )?;
    let reason = digest
        .processes
        .iter()
        .find(|process| !process.exact_reason.is_empty());
    match reason {
        Some(process) if exact < all => {
            writeln!(out, ", the rest sampled ({})", process.exact_reason)?;
        }
        _ if exact < all => writeln!(out, ", the rest sampled")?,
        _ => writeln!(out)?,
    }
    writeln!(
        out,
        "children of tests and the job's curve are sampled\nretained is RSS after minus RSS before, without late imports and shared fixtures"
    )
}
