//! Markdown, as the job summary of GitHub Actions and the comments of forges show it.

use std::fmt::Write;

use highwater_analysis::{
    counts::Counts,
    digest::Digest,
    figures::{count, duration, mebibytes, web_address},
    next_step::NOTHING,
    plan,
};
use highwater_wire::report::{JobReport, JobState, PlanHint, Remark, RemarkKind, Severity};

use crate::{
    Source, diagnosis,
    escape::{code, markdown, markup},
    imports, limits,
    names::fitted,
    rank,
};

/// A job summary may have 1 MiB a step, and is not shown at all where it has more; other programs write into it too.
pub(crate) const MOST_BYTES: usize = 512 << 10;
const MOST_FILES: usize = 25;
const MOST_SPIKES: usize = 10;
const MOST_LINES: usize = 50;
const MOST_NAME_COLUMNS: usize = 300;
/// A notice says at its end what to do, so it is shown whole.
const MOST_SENTENCE_COLUMNS: usize = 2_000;

/// All of a report.
pub(crate) fn write(source: &Source<'_>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let next = source.next_step.as_deref();
    let _ = head(
        &mut out,
        &source.digest.job,
        &source.remarks,
        next,
        source.plan_hint.as_ref(),
    );
    if !source.checked.is_empty() {
        let _ = writeln!(out, "**Check:** {}\n", sentence(&source.checked));
    }
    let _ = details(&mut out, source);
    let _ = foot(&mut out, source.page);
    bounded(out, MOST_BYTES)
}

/// What is to be said and where to read on.
pub(crate) fn brief(
    job: &JobReport,
    remarks: &[Remark],
    plan_hint: Option<&PlanHint>,
    page: Option<&str>,
    most_bytes: usize,
) -> String {
    let mut out = String::new();
    let next = job.ending.as_ref().map(|ending| ending.next_step.as_str());
    let _ = head(&mut out, job, remarks, next, plan_hint);
    let _ = foot(&mut out, page);
    bounded(out, most_bytes)
}

fn head(
    out: &mut String,
    job: &JobReport,
    remarks: &[Remark],
    next_step: Option<&str>,
    plan_hint: Option<&PlanHint>,
) -> std::fmt::Result {
    writeln!(out, "### Memory of {}\n", name(&rank::job_name(job)))?;
    match &job.ending {
        Some(ending) => writeln!(
            out,
            "**{}** ({}, {})\n",
            sentence(&ending.sentence),
            markdown(ending.verdict.as_str()),
            ending.confidence.as_str()
        )?,
        None if job.state == JobState::Running => writeln!(out, "It still runs.\n")?,
        None => writeln!(out, "How it ended is not known.\n")?,
    }
    let kind = job.peak_kind.as_str();
    let peak = mebibytes(job.peak_bytes.cast_signed());
    let counts = Counts::of_job(job);
    let tests = match counts.is_whole() {
        true => counts.tests.to_string(),
        false => counts.words(),
    };
    // How a test ends that was read from memory nobody saw.
    let failed = match job.sessions.iter().any(|session| session.sampled) {
        true => "not known".to_owned(),
        false => (job.sessions.iter().map(|session| session.failed))
            .sum::<u64>()
            .to_string(),
    };
    let headroom = job.headroom_bytes.map_or("–".to_owned(), mebibytes);
    let took = duration(job.duration_us);
    writeln!(out, "| Peak | Headroom | Duration | Tests | Failed |")?;
    writeln!(out, "|---:|---:|---:|---:|---:|")?;
    writeln!(
        out,
        "| {peak} ({kind}) | {headroom} | {took} | {tests} | {failed} |\n"
    )?;
    if job.censored {
        writeln!(
            out,
            "The job was cut short: its figures are lower bounds.\n"
        )?;
    }
    for remark in remarks {
        let mark = match remark.severity {
            Severity::Error => "❌",
            Severity::Warning => "⚠️",
            Severity::Notice => "ℹ️",
        };
        let at = remark
            .unsaid_path()
            .map_or_else(String::new, |path| format!(" {}", name(path)));
        writeln!(
            out,
            "- {mark} {}:{at} {}",
            remark.kind.as_str(),
            sentence(&remark.sentence)
        )?;
    }
    if !remarks.is_empty() {
        writeln!(out)?;
    }
    // A death tells it itself.
    let tells = |remark: &Remark| remark.kind == RemarkKind::Death;
    let is_told = |next: &&str| *next != NOTHING && !remarks.iter().any(tells);
    if let Some(next) = next_step.filter(is_told) {
        writeln!(out, "**Next:** {}\n", sentence(next))?;
    }
    match plan_hint {
        Some(PlanHint::Command(command)) => writeln!(
            out,
            "To cut {} into jobs that fit: {}\n",
            plan::cuts(job),
            code(command)
        )?,
        Some(PlanHint::Nothing(why)) => writeln!(out, "{}\n", sentence(why))?,
        None => {}
    }
    Ok(())
}

fn details(out: &mut String, source: &Source<'_>) -> std::fmt::Result {
    let job = &source.digest.job;
    if let Some(ending) = job.ending.as_ref().filter(|it| it.verdict.is_early()) {
        let lines = ending.evidence.iter().map(|line| match line.at_us {
            Some(at_us) => format!("{} at {}", sentence(&line.sentence), duration(at_us)),
            None => sentence(&line.sentence),
        });
        list(out, "Evidence", lines)?;
    }
    let limits = job.limits.iter();
    let limits = limits.map(|it| format!("{}: {}", sentence(&limits::name(it)), limits::used(it)));
    list(out, "Limits", limits)?;
    if !source.files_gone.is_empty() {
        writeln!(out, "{}\n", sentence(&source.files_gone))?;
    }
    let files = rank::retained(source.digest);
    let rows = files.iter().take(MOST_FILES).map(|file| {
        let cut = if file.censored { " (cut short)" } else { "" };
        let session = rank::of_session(job, file.session);
        let running = rank::left_running(file.children_retained_bytes);
        let comma = if running.is_empty() { "" } else { ", " };
        format!(
            "{}{session}{comma}{running}{cut} | {} | {} | {} | {} |",
            name(&file.path),
            rank::retained_words(file),
            mebibytes(file.peak_bytes),
            mebibytes(file.tree_peak_bytes),
            file.tests
        )
    });
    let title = format!("Test files that retained most ({} in all)", files.len());
    let columns = "Test file | Retained | Peak | Tree peak (sampled) | Tests |";
    table(out, &title, columns, rows)?;
    left(out, source.digest)?;
    let imports = imports::of(source.digest);
    list(
        out,
        "Imports",
        imports.iter().map(|it| sentence(&it.sentence())),
    )?;
    let spikes = rank::spikes(source.digest);
    let rows = spikes.iter().take(MOST_SPIKES).map(|test| {
        let session = rank::of_session(job, test.session);
        let (peak, kind) = rank::peak(test);
        format!(
            "{}{session} | {} | {} | {} |",
            name(&test.name()),
            mebibytes(test.tree_spike_bytes),
            mebibytes(peak),
            kind.as_str()
        )
    });
    let title = format!("Largest spikes ({} in all)", count(spikes.len(), "test"));
    table(out, &title, "Test | Spike | Peak | |", rows)?;
    let notices = job
        .notices
        .iter()
        .map(|notice| sentence(&notice.to_string()));
    list(out, "What the recorder says", notices)
}

/// What a diagnosed job left, taken apart.
fn left(out: &mut String, digest: &Digest) -> std::fmt::Result {
    let files = diagnosis::diagnosed(&digest.files);
    let rows = files.iter().take(MOST_FILES).map(|(file, found)| {
        let session = rank::of_session(&digest.job, file.session);
        let parts = diagnosis::parts(found).map(mebibytes).join(" | ");
        format!("{}{session} | {parts} |", name(&file.path))
    });
    let title = format!("Why memory stays ({})", count(files.len(), "test file"));
    let columns = format!("Test file | {} |", diagnosis::PARTS.join(" | "));
    table(out, &title, &columns, rows)?;
    let grown = diagnosis::grown(digest);
    let rows = grown.iter().map(|(what, it)| {
        let bytes = mebibytes(it.bytes);
        format!("{} | {what} | {:+} | {bytes} |", name(&it.name), it.count)
    });
    let title = "What grew most over the job";
    table(out, title, "Type or line | | Count | Bytes |", rows)
}

fn foot(out: &mut String, page: Option<&str>) -> std::fmt::Result {
    let page = page.map_or("", web_address);
    if !page.is_empty() {
        writeln!(out, "<a href=\"{}\">The job's page</a>", markup(page))?;
    }
    Ok(())
}

fn list(
    out: &mut String,
    title: &str,
    mut lines: impl ExactSizeIterator<Item = String>,
) -> std::fmt::Result {
    if lines.len() == 0 {
        return Ok(());
    }
    writeln!(out, "<details><summary>{title}</summary>\n")?;
    for line in lines.by_ref().take(MOST_LINES) {
        writeln!(out, "- {line}")?;
    }
    if lines.len() > 0 {
        writeln!(out, "- and {} more", lines.len())?;
    }
    writeln!(out, "\n</details>\n")
}

/// A table of a name and figures; nothing where it has no row.
fn table(
    out: &mut String,
    title: &str,
    columns: &str,
    rows: impl ExactSizeIterator<Item = String>,
) -> std::fmt::Result {
    if rows.len() == 0 {
        return Ok(());
    }
    let figures = columns.matches('|').count().saturating_sub(1);
    writeln!(out, "<details><summary>{title}</summary>\n")?;
    writeln!(out, "| {columns}")?;
    writeln!(out, "|---|{}", "---:|".repeat(figures))?;
    for row in rows {
        writeln!(out, "| {row}")?;
    }
    writeln!(out, "\n</details>\n")
}

fn name(name: &str) -> String {
    code(&fitted(name, MOST_NAME_COLUMNS))
}

pub(crate) fn sentence(sentence: &str) -> String {
    markdown(&fitted(sentence, MOST_SENTENCE_COLUMNS))
}

/// Whole lines up to so many bytes, and word of it where more were there.
fn bounded(text: String, most_bytes: usize) -> String {
    const LEFT_OUT: &str = "\n</details>\n\nThe rest is left out: it is too long for this place.\n";
    if text.len() <= most_bytes {
        return text;
    }
    let room = most_bytes.saturating_sub(LEFT_OUT.len());
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        if kept.len() + line.len() > room {
            break;
        }
        kept.push_str(line);
    }
    kept + LEFT_OUT
}
