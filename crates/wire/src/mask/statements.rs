//! Passwords in statements of SQL: `ALTER USER me PASSWORD 'x'`, `CREATE USER me IDENTIFIED BY 'x'`.

use std::ops::Range;

use super::{Counts, Found, INNER_QUOTE, after, is_quote, named};

/// Statements that give somebody a password begin with one of these.
const VERBS: [&str; 6] = ["alter", "create", "grant", "set", "attach", "change"];

/// Where passwords are in the statements of a text; of these only those that count.
pub(super) fn secrets(text: &str, counts: Counts<'_>) -> Found {
    let bytes = text.as_bytes();
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut found = Found::new();
    let mut is_statement = false;
    let mut is_identified = false;
    let mut at = 0;
    while at < bytes.len() {
        let begin = after(bytes, at, |byte| !is_of_word(byte));
        let end = after(bytes, begin, is_of_word);
        at = end;
        let word = &text[begin..end];
        let is = |known: &str| known.eq_ignore_ascii_case(word);
        if !is_statement {
            is_statement = VERBS.iter().any(|verb| is(verb));
            continue;
        }
        let value = if is("identified") {
            is_identified = true;
            continue;
        } else if is("password") {
            literal(text, end)
        } else if is_identified && (is("by") || is("as")) {
            is_identified = false;
            literal(text, end).or_else(|| bare(text, end))
        } else {
            continue;
        };
        if let Some(value) = value {
            at = value.end.max(at);
            if counts(&text[value.clone()]) {
                found.push(value);
            }
        }
    }
    found
}

/// What stands in quotes behind a word and a blank or a bracket. A quote that is written twice is one of the value.
fn literal(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let begin = after(bytes, from, |byte| {
        byte.is_ascii_whitespace() || byte == b'('
    });
    // `E'…'` and `N'…'`.
    let prefix = after(&bytes[..bytes.len().min(begin + 1)], begin, |byte| {
        matches!(byte, b'E' | b'e' | b'N' | b'n')
    });
    if begin == from {
        return None;
    }
    let quote = after(bytes, prefix, |byte| byte == b'\\');
    let open = match bytes.get(quote) {
        _ if text[prefix..].starts_with(INNER_QUOTE) => prefix..prefix + INNER_QUOTE.len(),
        Some(byte) if is_quote(*byte) => prefix..quote + 1,
        Some(b'$') if text[prefix..].starts_with("$$") => prefix..prefix + 2,
        _ => return None,
    };
    let quote = &text[open.clone()];
    let value = named::quoted(text, open.clone());
    let mut end = value.end;
    while text[end..]
        .strip_prefix(quote)
        .is_some_and(|rest| rest.starts_with(quote))
    {
        let second = end + quote.len();
        end = named::quoted(text, second..second + quote.len()).end;
    }
    Some(value.start..end)
}

/// A word without quotes, as Oracle takes one.
fn bare(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let begin = after(bytes, from, |byte| byte.is_ascii_whitespace());
    let end = after(bytes, begin, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && !matches!(byte, b';' | b'\\' | b')')
    });
    let word = &text[begin..end];
    // What follows is a hash that was made before.
    let is_keyword = ["password", "values", "random"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word));
    (begin > from && end > begin && !is_keyword).then_some(begin..end)
}
