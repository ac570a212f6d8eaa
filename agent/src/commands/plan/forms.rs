//! A plan as a table.

use std::fmt::Write;

use highwater_analysis::{
    figures::{mebibytes, shown},
    plan::forms::{command, recorded},
};
use highwater_wire::report::{Alternative, PlanReport, Predicted};

/// `is_kept`: a server keeps it.
pub(super) fn text(report: &PlanReport, is_kept: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report, is_kept);
    out
}

fn write(out: &mut String, report: &PlanReport, is_kept: bool) -> std::fmt::Result {
    let files: usize = report.jobs.iter().map(|job| job.files.len()).sum();
    let each = match report.workers {
        1 => "each begins".to_owned(),
        workers => format!("each of {workers} workers begins"),
    };
    writeln!(
        out,
        "{} of {files} test files inside {}, from job {}; {each} at {}",
        count(report.jobs.len(), "job"),
        mebibytes(report.budget_bytes),
        report.of,
        mebibytes(report.base_bytes)
    )?;
    writeln!(
        out,
        "{:>4} {:>6} {:>22} {:>10}",
        "job", "files", "predicted peak", "duration"
    )?;
    for job in &report.jobs {
        let Predicted {
            peak_bytes,
            duration_us,
        } = job.predicted;
        writeln!(
            out,
            "{:>4} {:>6} {:>22} {:>10}",
            job.index,
            job.files.len(),
            format!("{}{}", job.bound_words(report.bound), mebibytes(peak_bytes)),
            duration(duration_us)
        )?;
    }
    writeln!(out, "plan {}", report.id)?;
    writeln!(out, "instead:")?;
    for alternative in &report.alternatives {
        writeln!(out, "  {}", sentence(alternative))?;
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
            "did not finish in that recording, and nothing else is known of it: it is planned with what it was seen to need until then, and may need more",
        ),
        (
            &report.recalled,
            "did not finish in that recording, and is planned with the most that it needed in other jobs",
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
    let first = format!("1/{}", report.jobs.len());
    if is_kept {
        let id = report.id.to_string();
        return write!(
            out,
            "Predicted from one recording, and kept on the server. `{}` runs the first job and records it, `{}` without the agent.",
            recorded(report, &first, &id),
            command(report, &first, &id)
        );
    }
    write!(
        out,
        "Predicted from one recording. `{}` runs the first job of what --write DIR writes.",
        command(report, &first, "DIR/plan.json")
    )
}

fn sentence(alternative: &Alternative) -> String {
    let Predicted {
        peak_bytes,
        duration_us,
    } = alternative.predicted;
    let fits = alternative.fits_words();
    format!(
        "{}: {}{} in {}, {fits}",
        alternative.sentence,
        alternative.bound.words(),
        mebibytes(peak_bytes),
        duration(duration_us)
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
