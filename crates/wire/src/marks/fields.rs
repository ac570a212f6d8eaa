//! The fields of one line, taken from left to right.

use std::str::{FromStr, Split};

use serde::de::DeserializeOwned;

use super::LineError;

pub(super) struct Fields<'a> {
    kind: &'a str,
    rest: Split<'a, char>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(kind: &'a str, rest: &'a str) -> Self {
        Self {
            kind,
            rest: rest.split('\t'),
        }
    }

    fn wrong(&self, field: &'static str, reason: impl Into<String>) -> LineError {
        LineError::Field {
            kind: self.kind.to_owned(),
            field,
            reason: reason.into(),
        }
    }

    pub(super) fn raw(&mut self, field: &'static str) -> Result<&'a str, LineError> {
        self.rest
            .next()
            .ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub(super) fn int<T: FromStr>(&mut self, field: &'static str) -> Result<T, LineError> {
        let raw = self.raw(field)?;
        raw.parse()
            .map_err(|_| self.wrong(field, format!("is {:?}, no number that fits", shown(raw))))
    }

    pub(super) fn int_or_dash<T: FromStr>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<T>, LineError> {
        let mut ahead = self.rest.clone();
        if ahead.next() == Some("-") {
            self.rest = ahead;
            return Ok(None);
        }
        self.int(field).map(Some)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<String, LineError> {
        Ok(unescape(self.raw(field)?))
    }

    /// A field that writers of version 1 did not always write; `-` and what is not there say nothing.
    pub(super) fn further_text(&mut self) -> String {
        match self.rest.next() {
            None | Some("-") => String::new(),
            Some(raw) => unescape(raw),
        }
    }

    /// The same for a number; what is none says nothing either.
    pub(super) fn further_int<T: FromStr>(&mut self) -> Option<T> {
        self.rest.next()?.parse().ok()
    }

    pub(super) fn json<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
    ) -> Result<T, LineError> {
        let raw = self.raw(field)?;
        serde_json::from_str(raw)
            .map_err(|error| self.wrong(field, format!("is no such JSON: {error}")))
    }
}

fn shown(raw: &str) -> String {
    raw.chars().take(40).collect()
}

/// Undoes the four escapes; any other backslash stands for itself.
pub(super) fn unescape(raw: &str) -> String {
    if !raw.contains('\\') {
        return raw.to_owned();
    }
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('\\') => text.push('\\'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}
