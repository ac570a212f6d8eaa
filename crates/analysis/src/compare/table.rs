//! The figures of a comparison as people read them: the same rows on the page, in the terminal and in Markdown.

use highwater_wire::report::{
    ComparedFile, ComparedSide, ComparisonReport, FileChange, FileComparison, FileCounts,
};

use super::words;
use crate::figures::{duration, mebibytes};

/// A figure of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// What it is.
    pub name: &'static str,
    /// What it was.
    pub before: String,
    /// What it is now.
    pub after: String,
    /// After minus before; empty for what is no number, or where one is not known.
    pub change: String,
}

/// What a figure of a side that was cut short is.
#[derive(Clone, Copy)]
enum Bound {
    Least,
    Most,
    /// Neither.
    No,
}

impl Bound {
    fn words(self, side: &ComparedSide) -> &'static str {
        match self {
            Self::Least if side.censored => "at least ",
            Self::Most if side.censored => "at most ",
            _ => "",
        }
    }
}

struct Sides<'a>([&'a ComparedSide; 2]);

impl Sides<'_> {
    fn total(
        &self,
        name: &'static str,
        bound: Bound,
        figure: fn(&ComparedSide) -> Option<i64>,
        shown: fn(i64) -> String,
    ) -> Total {
        let [was, is] = self.0.map(|side| {
            let known = figure(side).map(|figure| bound.words(side).to_owned() + &shown(figure));
            known.unwrap_or_else(|| "–".to_owned())
        });
        let change = match self.0.map(figure) {
            [Some(was), Some(is)] => change(was, is, shown),
            _ => String::new(),
        };
        Total {
            name,
            before: was,
            after: is,
            change,
        }
    }
}

/// The totals of a comparison, without those that neither side has.
#[must_use]
pub fn totals(report: &ComparisonReport) -> Vec<Total> {
    let sides = Sides([&report.before, &report.after]);
    let bytes = |name, bound, figure| sides.total(name, bound, figure, mebibytes);
    let time = |name, figure| sides.total(name, Bound::Least, figure, duration);
    let number = |name, figure| sides.total(name, Bound::Least, figure, |it| it.to_string());
    let has_several = sides.0.iter().any(|side| side.jobs.len() > 1);
    let longest = match has_several {
        true => "Duration of the longest job",
        false => "Duration",
    };
    let [was, is] = sides.0.map(|side| words::ending(&side.jobs));
    let mut totals = vec![
        Total {
            name: "Ending",
            before: was,
            after: is,
            change: String::new(),
        },
        bytes("Peak", Bound::Least, |side| {
            Some(side.peak_bytes.cast_signed())
        }),
        bytes("Tree peak of a test file", Bound::Least, |side| {
            side.tree_peak_bytes
        }),
        bytes("Headroom", Bound::Most, |side| side.headroom_bytes),
        bytes("Under a limit of", Bound::No, |side| {
            side.limit_bytes.map(u64::cast_signed)
        }),
        time(longest, |side| Some(side.duration_us)),
        time("Duration of all jobs", |side| Some(side.duration_sum_us)),
        number("Tests", |side| whole(Some(side.tests))),
        number("Failed", |side| whole(Some(side.failed))),
        number("Test files that ran", |side| whole(side.files)),
        bytes("Retained by them", Bound::Least, |side| side.retained_bytes),
        bytes("Growth a file", Bound::No, |side| {
            side.growth_per_file_bytes.map(|growth| growth.value)
        }),
    ];
    totals.retain(|total| {
        let is_known = total.before != "–" || total.after != "–";
        is_known && (has_several || total.name != "Duration of all jobs")
    });
    totals
}

fn whole(number: Option<u64>) -> Option<i64> {
    number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
}

/// A part of before that is more says nothing any more, %.
const MOST_PART: f64 = 1_000.0;

/// After minus before, with its sign and what part of before that is; a dash where it rounds to nothing.
fn change(was: i64, is: i64, shown: fn(i64) -> String) -> String {
    let by = is.saturating_sub(was);
    let text = signed(by, shown);
    let part = by.unsigned_abs() as f64 * 100.0 / was.unsigned_abs() as f64;
    match text.is_empty() {
        true => "–".to_owned(),
        false if was > 0 && (0.5..MOST_PART).contains(&part) => {
            format!("{text} ({}{part:.0} %)", sign(by))
        }
        false => text,
    }
}

fn sign(by: i64) -> &'static str {
    if by < 0 { "−" } else { "+" }
}

/// A difference with its sign; empty where it rounds to nothing.
#[must_use]
pub fn signed(by: i64, shown: fn(i64) -> String) -> String {
    let size = shown(by.saturating_abs());
    match size == shown(0) {
        true => String::new(),
        false => format!("{}{size}", sign(by)),
    }
}

/// How many test files became what.
#[must_use]
pub fn counted(counts: &FileCounts) -> String {
    let all = [
        (counts.changed, FileChange::Changed),
        (counts.new, FileChange::New),
        (counts.gone, FileChange::Gone),
        (counts.moved, FileChange::Moved),
        (counts.not_run_before, FileChange::NotRunBefore),
        (counts.not_run_after, FileChange::NotRunAfter),
        (counts.alike, FileChange::Alike),
    ];
    let files: u64 = all.iter().map(|(count, _)| count).sum();
    let told: Vec<String> = all
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, change)| format!("{count} {}", change.as_str().replace('_', " ")))
        .collect();
    match files {
        0 => "No test file ran.".to_owned(),
        1 => format!("1 test file: {}.", told.join(", ")),
        files => format!("{files} test files: {}.", told.join(", ")),
    }
}

/// What became of a test file, with the figures that changed by more than noise.
#[must_use]
pub fn changed(file: &FileComparison) -> String {
    let figures: Vec<&str> = file.beyond_noise.iter().map(|it| it.words()).collect();
    let word = file.change.as_str().replace('_', " ");
    match (figures.is_empty(), file.change) {
        (true, _) => word,
        (false, FileChange::Changed) => format!("changed: {}", figures.join(", ")),
        (false, _) => format!("{word}, changed: {}", figures.join(", ")),
    }
}

/// A figure of a test file before and after; a dash where it did not run.
#[must_use]
pub fn sizes(file: &FileComparison, figure: fn(&ComparedFile) -> i64) -> [String; 2] {
    [&file.before, &file.after].map(|side| match side {
        Some(file) if file.censored => format!("at least {}", mebibytes(figure(file))),
        Some(file) => mebibytes(figure(file)),
        None => "–".to_owned(),
    })
}
