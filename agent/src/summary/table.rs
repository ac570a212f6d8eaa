//! Figures and names in columns, by their width on the screen.

pub(super) use highwater_analysis::figures::mebibytes;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A name that fits: control characters shown as escapes, and the middle left out of a long one.
pub(crate) fn fitted(name: &str, columns: usize) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        // Marks that turn the direction of text would carry on into the next columns.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
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
