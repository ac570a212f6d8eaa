//! A plan as a table.

use std::fmt::Write;

use highwater_analysis::{
    figures::{duration, mebibytes},
    plan::{
        forms::{by_list, command, recorded},
        notes::{notes, of_budget},
    },
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
        "{} of {files} test files inside {}{}, from job {}; {each} at {}",
        count(report.jobs.len(), "job"),
        mebibytes(report.budget_bytes),
        of_budget(report).map_or_else(String::new, |of| format!(" ({of})")),
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
    for note in notes(report) {
        writeln!(out, "note: {note}")?;
    }
    if report.shard.is_some() {
        let kept = match is_kept {
            true => ", and kept on the server",
            false => "",
        };
        return write!(
            out,
            "Predicted from one recording{kept}. `{}` runs the first job of what --write DIR writes.",
            by_list(report, "DIR/", "1")
        );
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

#[cfg(test)]
mod tests {
    use highwater_wire::report::ShardReport;

    use super::*;
    use crate::commands::kept::tests::plan_of;

    #[test]
    fn a_duration_is_told_as_on_the_page() {
        let mut plan = plan_of(&["a.py", "b.py"]);
        plan.jobs[0].predicted.duration_us = 18_900;
        plan.jobs[1].predicted.duration_us = 125_000_000;
        let told = text(&plan, false);
        assert!(told.contains("    18.9 ms\n"), "{told}");
        assert!(told.contains(" 2 min 05 s\n"), "{told}");
    }

    #[test]
    fn a_plan_of_one_shard_is_told_as_that_and_run_by_its_lists() {
        let mut plan = plan_of(&["a.py", "b.py"]);
        let whole = text(&plan, false);
        assert!(
            whole.contains("--highwater-shard 1/2") && !whole.contains("note:"),
            "{whole}"
        );
        plan.shard = Some(ShardReport { index: 2, total: 3 });
        for is_kept in [false, true] {
            let told = text(&plan, is_kept);
            for part in [
                "note: the recorded job was shard 2 of 3: files of the other shards are in none of these jobs",
                "`pytest @DIR/test_selection_1.txt` runs the first job of what --write DIR writes.",
            ] {
                assert!(told.contains(part), "{part}: {told}");
            }
            assert!(!told.contains("--highwater-shard"), "{told}");
        }
    }
}
