//! A plan as text, JSON, arguments and matrix.

use std::fmt::Write;

use highwater_analysis::figures::mebibytes;
use highwater_wire::report::{PlanReport, PlannedJob, Predicted};
use serde_json::json;

pub(super) fn text(report: &PlanReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &PlanReport) -> std::fmt::Result {
    let files: usize = report.jobs.iter().map(|job| job.files.len()).sum();
    writeln!(
        out,
        "{} of {files} test files inside {}, from job {}; each begins at {}",
        count(report.jobs.len(), "job"),
        mebibytes(report.budget_bytes),
        report.of,
        mebibytes(report.base_bytes)
    )?;
    writeln!(
        out,
        "{:>4} {:>6} {:>15} {:>10}",
        "job", "files", "predicted peak", "duration"
    )?;
    for job in &report.jobs {
        let Predicted {
            peak_bytes,
            duration_us,
        } = job.predicted;
        writeln!(
            out,
            "{:>4} {:>6} {:>15} {:>10}",
            job.index,
            job.files.len(),
            mebibytes(peak_bytes),
            duration(duration_us)
        )?;
    }
    for (name, all) in [
        ("All in one job as recorded", report.as_recorded),
        ("in the best order", report.best_order),
    ] {
        let fits = match all.peak_bytes <= report.budget_bytes {
            true => "inside the budget",
            false => "over the budget",
        };
        writeln!(
            out,
            "{name}: {} in {}, {fits}",
            mebibytes(all.peak_bytes),
            duration(all.duration_us)
        )?;
    }
    if report.is_partial {
        writeln!(
            out,
            "note: that job did not run to its end: what it had not even imported is not in this plan"
        )?;
    }
    for (files, what) in [
        (
            &report.not_run,
            "did not run in that recording, and is planned as the file in the middle of those that did",
        ),
        (
            &report.cut_short,
            "did not finish in that recording, and needs more than is predicted for it",
        ),
    ] {
        if let [first, others @ ..] = &files[..] {
            let more = match others.len() {
                0 => String::new(),
                more => format!(" (and so {more} more)"),
            };
            writeln!(out, "note: {}{more} {what}", shown(first))?;
        }
    }
    write!(
        out,
        "Predicted from one recording, for one process a job (no -n). `pytest @DIR/test_selection_1.txt` runs what --write DIR writes."
    )
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn duration(us: i64) -> String {
    let seconds = us as f64 / 1e6;
    match seconds {
        ..60.0 => format!("{seconds:.1} s"),
        ..3_600.0 => format!("{} m {:02} s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{} h {:02} m", us / 3_600_000_000, us / 60_000_000 % 60),
    }
}

pub(super) fn json(report: &PlanReport) -> std::io::Result<String> {
    serde_json::to_string_pretty(report).map_err(std::io::Error::other)
}

/// A line a job, each path quoted as a shell reads it.
pub(super) fn args(report: &PlanReport) -> String {
    let lines: Vec<String> = report.jobs.iter().map(line).collect();
    lines.join("\n")
}

fn line(job: &PlannedJob) -> String {
    let words: Vec<String> = job.files.iter().map(|path| quoted(path)).collect();
    words.join(" ")
}

/// What `strategy.matrix` takes by `fromJSON`: each leg has its number, how many there are, and its arguments for pytest.
pub(super) fn github(report: &PlanReport) -> std::io::Result<String> {
    let all = report.jobs.len();
    let leg = |job: &PlannedJob| json!({"shard": job.index, "shards": all, "args": line(job)});
    let legs: Vec<_> = report.jobs.iter().map(leg).collect();
    serde_json::to_string(&json!({"include": legs})).map_err(std::io::Error::other)
}

/// A word that a POSIX shell reads as it is. What begins like a flag or like a file of arguments is no path to pytest, but behind `./`.
fn quoted(path: &str) -> String {
    let word = as_path(path);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@%:,".contains(&byte);
    match word.bytes().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

pub(super) fn as_path(path: &str) -> String {
    match path.starts_with(['-', '@']) {
        true => format!("./{path}"),
        false => path.to_owned(),
    }
}

/// A path in a sentence.
pub(super) fn shown(path: &str) -> String {
    path.chars()
        .flat_map(|char| match char.is_control() {
            true => char.escape_default().collect::<Vec<_>>(),
            false => vec![char],
        })
        .collect()
}
