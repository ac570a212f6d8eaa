//! What was found, as lines for people and as JSON for programs.

use unicode_width::UnicodeWidthStr;

use super::{Check, Status, can_record};
use crate::summary::{Look, fitted};

/// Width of the widest status.
const STATUS_COLUMNS: usize = "not checked".len();
/// Between two columns.
const GAP: &str = "  ";

impl Status {
    fn words(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Limited => "limited",
            Self::Missing => "missing",
            Self::NotChecked => "not checked",
        }
    }
}

/// One line a check, what to do under what is not right, and a sum.
#[must_use]
pub fn terminal(checks: &[Check], look: &Look) -> String {
    let name_columns = checks.iter().map(|check| check.name.width()).max();
    let name_columns = name_columns.unwrap_or(0);
    let indent = name_columns + STATUS_COLUMNS + 2 * GAP.len();
    let room = look.name_columns.saturating_sub(indent);
    let arrow = if look.unicode { "→ " } else { "> " };
    let mut out = String::new();
    for check in checks {
        let words = check.status.words();
        let status = match check.status {
            Status::Works | Status::NotChecked => words.to_owned(),
            Status::Limited | Status::Missing => look.bold(words),
        };
        let filler = " ".repeat(STATUS_COLUMNS - words.len());
        let head = format!("{:<name_columns$}{GAP}{status}{filler}{GAP}", check.name);
        let seen = wrapped(&plain(&check.seen, look), room);
        out.push_str(&hung(&head, &seen, indent));
        if let Some(mend) = &check.mend {
            let mend = wrapped(&plain(mend, look), room.saturating_sub(arrow.width()));
            let head = format!("{}{arrow}", " ".repeat(indent));
            out.push_str(&hung(&head, &mend, indent + arrow.width()));
        }
    }
    out.push_str(&hung("", &wrapped(&sum(checks), look.name_columns), 0));
    out
}

/// Everything that was found, and whether a recording can be made.
#[must_use]
pub fn json(checks: &[Check]) -> String {
    let whole = serde_json::json!({ "can_record": can_record(checks), "checks": checks });
    format!("{whole:#}")
}

fn sum(checks: &[Check]) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let counts: Vec<String> = [
        Status::Works,
        Status::Limited,
        Status::Missing,
        Status::NotChecked,
    ]
    .into_iter()
    .map(|status| (count(status), status.words()))
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| match (count, words) {
        (2.., "works") => format!("{count} work"),
        _ => format!("{count} {words}"),
    })
    .collect();
    let verdict = match can_record(checks) {
        true => "tests can be recorded here",
        false => "mend what is missing",
    };
    format!("{}: {verdict}", counts.join(", "))
}

/// Foreign words show no control characters, and none that the terminal cannot draw where they are ours.
fn plain(text: &str, look: &Look) -> String {
    let text = fitted(text, usize::MAX);
    match look.unicode {
        true => text,
        false => text.replace('µ', "u"),
    }
}

/// Lines of whole words; a word that is wider than a line has one of its own.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The first line after its head, the others under it.
fn hung(head: &str, lines: &[String], indent: usize) -> String {
    let under = format!("\n{}", " ".repeat(indent));
    format!("{head}{}\n", lines.join(&under))
}
