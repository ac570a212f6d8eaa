//! How many parts a batch has. They are counted on its bytes before a message is made of them: two bytes can become a message of
//! hundreds, so the size of a body alone bounds no memory.

use prost::{DecodeError, Message, decode_length_delimiter};

use super::{Problem, limits};
use crate::v1::{Batch, Event, Mark, event::What, mark};

const VARINT: usize = 0;
const EIGHT_BYTES: usize = 1;
const DELIMITED: usize = 2;
const FOUR_BYTES: usize = 5;

/// Counts of what a batch holds, over all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts {
    processes: usize,
    sessions: usize,
    /// Arguments of all sessions.
    words: usize,
    /// Blocks of samples on the same ticks.
    samples: usize,
    series: usize,
    /// Ticks and how late they were.
    ticks: usize,
    values: usize,
    marks: usize,
    /// Types and lines that diagnoses name.
    grown: usize,
    notices: usize,
    events: usize,
    /// Processes that events name.
    told: usize,
}

impl Parts {
    /// Counts the parts of an encoded batch. What is repeated within a part that is no list counts as often as it is said.
    pub(super) fn of_bytes(batch: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = Self::default();
        for (number, content) in fields(batch)? {
            match number {
                4 => parts.processes += 1,
                5 => {
                    parts.sessions += 1;
                    parts.words += fields(content)?.filter(|(number, _)| *number == 3).count();
                }
                6 => parts.count_samples(content)?,
                7 => {
                    parts.marks += 1;
                    parts.grown += grown(content)?;
                }
                8 => parts.notices += 1,
                9 => {
                    parts.events += 1;
                    parts.told += told(content)?;
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    fn count_samples(&mut self, samples: &[u8]) -> Result<(), DecodeError> {
        self.samples += 1;
        for (number, content) in fields(samples)? {
            match number {
                1 | 2 => self.ticks += numbers(content),
                3 => {
                    self.series += 1;
                    let values = fields(content)?.filter(|(number, _)| *number == 5);
                    self.values += values.map(|(_, content)| numbers(content)).sum::<usize>();
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn of(batch: &Batch) -> Self {
        let series = || batch.samples.iter().flat_map(|samples| &samples.series);
        let ticks =
            |samples: &crate::v1::Samples| samples.t_us_delta.len() + samples.lateness_us.len();
        Self {
            processes: batch.processes.len(),
            sessions: batch.sessions.len(),
            words: batch
                .sessions
                .iter()
                .map(|session| session.args.len())
                .sum(),
            samples: batch.samples.len(),
            series: series().count(),
            ticks: batch.samples.iter().map(ticks).sum(),
            values: series().map(|series| series.value_delta.len()).sum(),
            marks: batch.marks.len(),
            grown: batch.marks.iter().map(diagnosed).sum(),
            notices: batch.notices.len(),
            events: batch.events.len(),
            told: batch.events.iter().map(guarded).sum(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        for (field, entries, most) in [
            ("processes", self.processes, limits::MAX_PROCESSES),
            ("sessions", self.sessions, limits::MAX_SESSIONS),
            ("sessions.args", self.words, limits::MAX_MARKS),
            ("samples", self.samples, limits::MAX_SERIES),
            ("samples.series", self.series, limits::MAX_SERIES),
            ("samples.t_us_delta", self.ticks, limits::MAX_SAMPLES),
            (
                "samples.series.value_delta",
                self.values,
                limits::MAX_SAMPLES,
            ),
            ("marks", self.marks, limits::MAX_MARKS),
            ("marks.diagnosis_end", self.grown, limits::MAX_MARKS),
            ("notices", self.notices, limits::MAX_NOTICES),
            ("events", self.events, limits::MAX_EVENTS),
            ("events.guard.pids", self.told, limits::MAX_PROCESSES),
        ] {
            limits::count(field, entries, most)?;
        }
        Ok(())
    }

    /// About what they take in a recording and its digest, without their texts, bytes: measured where half of the marks begin a test.
    pub(super) fn weight(&self) -> usize {
        1_000
            + 1_300 * (self.marks + self.processes)
            + 200
                * (self.grown
                    + self.sessions
                    + self.notices
                    + self.events
                    + self.series
                    + self.samples)
            + 96 * (self.values + self.ticks + self.words + self.told)
    }
}

/// How many processes an encoded event names.
fn told(event: &[u8]) -> Result<usize, DecodeError> {
    let mut told = 0;
    for (_, guard) in fields(event)?.filter(|(number, _)| *number == 13) {
        let pids = fields(guard)?.filter(|(number, _)| *number == 5);
        told += pids.map(|(_, content)| numbers(content)).sum::<usize>();
    }
    Ok(told)
}

/// How many types and lines an encoded mark names.
fn grown(mark: &[u8]) -> Result<usize, DecodeError> {
    let mut grown = 0;
    for (_, diagnosis) in fields(mark)?.filter(|(number, _)| *number == 26) {
        grown += fields(diagnosis)?
            .filter(|(number, _)| (11..=14).contains(number))
            .count();
    }
    Ok(grown)
}

fn diagnosed(mark: &Mark) -> usize {
    match &mark.what {
        Some(mark::What::DiagnosisEnd(end)) => [&end.garbage, &end.types, &end.lines, &end.pytest]
            .iter()
            .map(|rows| rows.len())
            .sum(),
        _ => 0,
    }
}

fn guarded(event: &Event) -> usize {
    match &event.what {
        Some(What::Guard(guard)) => guard.pids.len(),
        _ => 0,
    }
}

/// Number and content of each field of a message.
fn fields(message: &[u8]) -> Result<Fields<'_>, DecodeError> {
    // Passes over every field and makes nothing of them: what comes after finds no damage.
    <() as Message>::decode(message)?;
    Ok(Fields(message))
}

struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let key = decode_length_delimiter(&mut self.0).ok()?;
        let length = match key & 7 {
            VARINT => self.0.iter().take_while(|byte| **byte >= 0x80).count() + 1,
            EIGHT_BYTES => 8,
            FOUR_BYTES => 4,
            DELIMITED => decode_length_delimiter(&mut self.0).ok()?,
            // Begin and end of a group, whose fields are counted as if they stood outside.
            _ => 0,
        };
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((key >> 3, content))
    }
}

/// How many numbers a field holds, packed or alone: each ends with a byte below 128.
fn numbers(content: &[u8]) -> usize {
    content.iter().filter(|byte| **byte < 0x80).count()
}
