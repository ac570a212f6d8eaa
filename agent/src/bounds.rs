//! Texts and lists from outside, cut to what a server takes.

use highwater_wire::codec::MAX_TEXT_BYTES;

/// Words beyond this are left out, with a word that says so.
const MAX_WORDS: usize = 200;

/// Cuts a text to so many bytes, between two characters.
pub fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
}

/// The words of a command, as many and as long as a server takes: suites are split by naming thousands of files, scripts are
/// handed over whole.
#[must_use]
pub fn bounded(mut words: Vec<String>) -> Vec<String> {
    let left_out = words.len().saturating_sub(MAX_WORDS);
    words.truncate(MAX_WORDS);
    if left_out > 0 {
        words.push(format!("… and {left_out} more"));
    }
    for word in &mut words {
        cut(word, MAX_TEXT_BYTES);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let words: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
        let kept = bounded(words);
        assert_eq!((kept.len(), kept[199].as_str()), (201, "199"));
        assert_eq!(kept[200], "… and 1800 more");
        assert_eq!(bounded(vec!["a".to_owned(); 200]).len(), 200);
    }

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let kept = bounded(vec!["ä".repeat(20_000), format!("x{}", "ä".repeat(20_000))]);
        assert_eq!(kept[0].len(), MAX_TEXT_BYTES);
        assert_eq!(kept[1].len(), MAX_TEXT_BYTES - 1);
    }
}
