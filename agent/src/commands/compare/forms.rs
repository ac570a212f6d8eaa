//! A comparison as text and as Markdown. What it quotes is foreign: it moves no cursor and is no markup.

use std::fmt::Write;

use highwater_analysis::{
    compare::{self, Total},
    figures::{mebibytes, shown},
};
use highwater_wire::report::{
    ComparedFile, ComparisonReport, FileChange, FileComparison, FixtureComparison,
};

/// Fixtures that are shown in a table.
const SHOWN_FIXTURES: usize = 10;

pub(super) fn text(report: &ComparisonReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, report);
    out
}

fn write_text(out: &mut String, report: &ComparisonReport) -> std::fmt::Result {
    writeln!(out, "{}", shown(&report.sentence))?;
    for note in &report.notes {
        writeln!(out, "note: {}", shown(note))?;
    }
    let totals = compare::totals(report).into_iter().map(cells);
    let head = ["", "before", "after", "change"].map(str::to_owned);
    writeln!(out)?;
    aligned(out, &[vec![head], totals.collect()].concat())?;
    if let Some(counts) = &report.counts {
        writeln!(out, "\n{}", compare::counted(counts))?;
    }
    let told = told_files(report);
    if !told.is_empty() {
        let head = ["what", "retained", "spike", "import", "file"].map(str::to_owned);
        let rows = told.iter().map(|file| file_cells(file)).collect();
        named(out, &[vec![head], rows].concat())?;
    }
    more(out, report, told.len())?;
    if !report.fixtures.is_empty() {
        writeln!(out, "\nFixtures that changed:")?;
        let head = ["what", "one set-up", "retained", "fixture"].map(str::to_owned);
        let first = report.fixtures.iter().take(SHOWN_FIXTURES);
        let rows = first.map(fixture_cells).collect();
        named(out, &[vec![head], rows].concat())?;
    }
    Ok(())
}

/// Says how many that are not alike are left out.
fn more(out: &mut String, report: &ComparisonReport, told: usize) -> std::fmt::Result {
    let all = report.counts.map_or(0, |counts| {
        let both = counts.new + counts.gone + counts.moved + counts.changed;
        both + counts.not_run_before + counts.not_run_after
    });
    match all.saturating_sub(told as u64) {
        0 => Ok(()),
        left => writeln!(out, "and {left} more; --format json has all of them"),
    }
}

/// Those of which there is something to say.
fn told_files(report: &ComparisonReport) -> Vec<&FileComparison> {
    let is_told = |file: &&FileComparison| file.change != FileChange::Alike;
    report.files.iter().filter(is_told).collect()
}

fn cells(total: Total) -> [String; 4] {
    let Total {
        name,
        before,
        after,
        change,
    } = total;
    [name.to_owned(), before, after, change]
}

fn file_cells(file: &FileComparison) -> [String; 5] {
    let sizes = |figure: fn(&ComparedFile) -> i64| {
        let [was, is] = compare::sizes(file, figure);
        format!("{was} → {is}")
    };
    let from = match &file.moved_from {
        Some(from) => format!(" (was {})", shown(from)),
        None => String::new(),
    };
    [
        compare::changed(file),
        sizes(|file| file.retained_bytes),
        sizes(|file| file.tree_spike_bytes),
        sizes(|file| file.import_bytes),
        shown(&file.path) + &from,
    ]
}

fn fixture_cells(fixture: &FixtureComparison) -> [String; 4] {
    let signed = |bytes| match compare::signed(bytes, mebibytes) {
        text if text.is_empty() => "–".to_owned(),
        text => text,
    };
    [
        fixture.change.as_str().replace('_', " "),
        signed(fixture.setup_change_bytes),
        signed(fixture.retained_change_bytes),
        match fixture.base.as_str() {
            "" => shown(&fixture.name),
            base => format!("{} ({})", shown(&fixture.name), shown(base)),
        },
    ]
}

/// Columns, the first to the left and figures to the right.
fn aligned(out: &mut String, rows: &[[String; 4]]) -> std::fmt::Result {
    let [name, before, after, change] = widths(rows);
    for [first, second, third, last] in rows {
        let line = format!("{first:name$}  {second:>before$}  {third:>after$}  {last:>change$}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Columns, the first to the left, figures to the right, and a name as the last.
fn named<const N: usize>(out: &mut String, rows: &[[String; N]]) -> std::fmt::Result {
    let widths = widths(rows);
    for row in rows {
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            match at {
                0 => write!(out, "{cell:width$}")?,
                at if at + 1 == N => writeln!(out, "  {cell}")?,
                _ => write!(out, "  {cell:>width$}")?,
            }
        }
    }
    Ok(())
}

fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|at| {
        let widths = rows.iter().map(|row| row[at].chars().count());
        widths.max().unwrap_or(0)
    })
}

pub(super) fn markdown(report: &ComparisonReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_markdown(&mut out, report);
    out
}

fn write_markdown(out: &mut String, report: &ComparisonReport) -> std::fmt::Result {
    writeln!(out, "**{}**\n", marked_down(&report.sentence))?;
    for note in &report.notes {
        writeln!(out, "- {}", marked_down(note))?;
    }
    if !report.notes.is_empty() {
        writeln!(out)?;
    }
    let totals = compare::totals(report).into_iter().map(cells);
    table(
        out,
        ["", "Before", "After", "Change"],
        "| --- | ---: | ---: | ---: |",
        totals,
    )?;
    if let Some(counts) = &report.counts {
        writeln!(out, "\n{}\n", compare::counted(counts))?;
    }
    let told = told_files(report);
    if !told.is_empty() {
        let rows = told.iter().map(|file| file_cells(file));
        table(
            out,
            ["What", "Retained", "Spike", "Import", "Test file"],
            "| --- | ---: | ---: | ---: | --- |",
            rows,
        )?;
    }
    more(out, report, told.len())?;
    if !report.fixtures.is_empty() {
        writeln!(out)?;
        let first = report.fixtures.iter().take(SHOWN_FIXTURES);
        table(
            out,
            ["What", "One set-up", "Retained", "Fixture"],
            "| --- | ---: | ---: | --- |",
            first.map(fixture_cells),
        )?;
    }
    Ok(())
}

fn table<const N: usize>(
    out: &mut String,
    head: [&str; N],
    rule: &str,
    rows: impl Iterator<Item = [String; N]>,
) -> std::fmt::Result {
    writeln!(out, "| {} |\n{rule}", head.join(" | "))?;
    for row in rows {
        let cells = row.map(|cell| marked_down(&cell));
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Words that are no markup, whoever chose them.
fn marked_down(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in shown(text).chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' => {
                out.push('\\');
                out.push(char);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
