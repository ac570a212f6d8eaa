//! Names as they can be shown: nothing in them steers what shows them.

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

/// A text in one line, whatever is in it: what moves a cursor, begins a line or turns the direction of text is shown as an escape.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Marks that turn the direction of text would carry on into what comes after.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        // Some readers begin a line at these, and XML has no place for the last two.
        let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
        if c.is_control() || turns || breaks {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
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
