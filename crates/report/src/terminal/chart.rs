//! A small chart of the job's memory over time.

use highwater_analysis::{
    digest::Digest,
    figures::{mebibytes, peak_above_curve},
};

use super::Look;

const ROWS: usize = 6;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Lines of a chart as wide as the terminal, and what tells it apart from the peak; none for a curve of less than two points.
pub(super) fn lines(digest: &Digest, look: &Look) -> Vec<String> {
    let tree = &digest.tree;
    let (Some(first), Some(last)) = (tree.first(), tree.last()) else {
        return Vec::new();
    };
    let span_us = last.t_us - first.t_us;
    if span_us <= 0 {
        return Vec::new();
    }
    let highest_point = tree.iter().map(|point| point.bytes).max().unwrap_or(0);
    let top = highest_point.max(1);
    let label_width = mebibytes(top).len();
    let columns = look.columns.saturating_sub(label_width + 3).max(10);
    let mut highest = vec![None; columns];
    for point in tree {
        let at =
            ((point.t_us - first.t_us) as f64 / span_us as f64 * (columns - 1) as f64) as usize;
        let cell: &mut Option<i64> = &mut highest[at.min(columns - 1)];
        *cell = Some(cell.map_or(point.bytes, |known| known.max(point.bytes)));
    }
    let mut carried = 0;
    let heights: Vec<i64> = highest
        .into_iter()
        .map(|cell| {
            carried = cell.unwrap_or(carried);
            carried
        })
        .collect();
    let mut lines = Vec::new();
    for row in (0..ROWS).rev() {
        let label = match row {
            5 => mebibytes(top),
            0 => "0".to_owned(),
            _ => String::new(),
        };
        let cells: String = heights
            .iter()
            .map(|bytes| cell(*bytes, top, row, look.unicode))
            .collect();
        let bar = if look.unicode { '│' } else { '|' };
        lines.push(format!("{label:>label_width$} {bar}{}", cells.trim_end()));
    }
    let line = if look.unicode { "─" } else { "-" };
    let corner = if look.unicode { '└' } else { '+' };
    lines.push(format!(
        "{:>label_width$} {corner}{}",
        "",
        line.repeat(columns)
    ));
    let end = format!("{:.1} s", last.t_us as f64 / 1e6);
    let start = format!("{:.1} s", first.t_us as f64 / 1e6);
    let gap = columns.saturating_sub(start.len() + end.len());
    lines.push(format!(
        "{:>label_width$}  {start}{}{end}",
        "",
        " ".repeat(gap)
    ));
    lines.extend(peak_above_curve(
        digest.job.peak_bytes,
        digest.job.peak_kind,
        highest_point,
    ));
    lines
}

fn cell(bytes: i64, top: i64, row: usize, unicode: bool) -> char {
    let eighths = (bytes.max(0) as f64 / top as f64 * (ROWS * 8) as f64).round() as usize;
    let here = eighths.saturating_sub(row * 8).min(8);
    match (unicode, here) {
        (true, _) => BLOCKS[here],
        (false, 0..=3) => ' ',
        (false, _) => '#',
    }
}
