//! Whole lines out of pieces of a growing file.

use highwater_wire::codec::MAX_LINE_BYTES;

/// A line, or that there was one too long to keep.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Line(&'a [u8]),
    TooLong,
}

/// Keeps the begin of a line until its end comes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begin: Vec<u8>,
    too_long: bool,
    number: u64,
    unended_bytes: usize,
}

impl Lines {
    /// Takes the next bytes of the file and hands on each line that ends in them, with its number from 1.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(u64, Piece<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            self.number += 1;
            if self.too_long || self.begin.len() + line.len() > MAX_LINE_BYTES {
                take(self.number, Piece::TooLong);
            } else if self.begin.is_empty() {
                take(self.number, Piece::Line(line));
            } else {
                self.begin.extend_from_slice(line);
                take(self.number, Piece::Line(&self.begin));
            }
            self.begin.clear();
            self.too_long = false;
            self.unended_bytes = 0;
        }
        self.unended_bytes = self.unended_bytes.saturating_add(bytes.len());
        if self.too_long || self.begin.len() + bytes.len() > MAX_LINE_BYTES {
            self.too_long = true;
            self.begin = Vec::new();
        } else {
            self.begin.extend_from_slice(bytes);
        }
    }

    /// Lines that have ended.
    pub(super) fn ended(&self) -> u64 {
        self.number
    }

    /// Bytes since the last of them.
    pub(super) fn unended_bytes(&self) -> usize {
        self.unended_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece, |number, piece| {
                found.push(match piece {
                    Piece::Line(line) => (number, Some(line.to_vec())),
                    Piece::TooLong => (number, None),
                });
            });
        }
        found
    }

    #[test]
    fn lines_cut_anywhere_come_whole() {
        let text = b"one\n\nthree and more\nfour";
        let expected = vec![
            (1, Some(b"one".to_vec())),
            (2, Some(Vec::new())),
            (3, Some(b"three and more".to_vec())),
        ];
        for cut in 0..text.len() {
            assert_eq!(
                lines_of(&[&text[..cut], &text[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_too_long_is_passed_over_and_counted() {
        let long = vec![b'x'; MAX_LINE_BYTES];
        let found = lines_of(&[b"a\n", &long, b"y\n", b"b\n", &long, b"\nc\n"]);
        let expected = vec![
            (1, Some(b"a".to_vec())),
            (2, None),
            (3, Some(b"b".to_vec())),
            (4, Some(long)),
            (5, Some(b"c".to_vec())),
        ];
        assert_eq!(found, expected);
    }
}
