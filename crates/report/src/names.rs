//! Names as they can be shown: nothing in them steers what shows them.

use highwater_analysis::figures::shown;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A name that fits: control characters shown as escapes, and the middle left out of a long one.
#[must_use]
pub fn fitted(name: &str, columns: usize) -> String {
    let shown = shown(name);
    if shown.width() <= columns {
        return shown;
    }
    let head = columns.saturating_sub(1) / 2;
    let tail = columns.saturating_sub(1) - head;
    let start = taken(shown.chars(), head);
    let mut end: Vec<char> = taken(shown.chars().rev(), tail).chars().collect();
    end.reverse();
    format!("{start}…{}", end.into_iter().collect::<String>())
}

fn taken(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}
