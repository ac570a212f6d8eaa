//! A badge: the peak of a job and what was left, as a small picture.

use highwater_analysis::{figures::mebibytes, next_step::job_is_tight, trend::Trend};
use highwater_wire::report::JobReport;

use crate::escape::markup;

/// About the width of a character at 11 pixels; `textLength` makes the text as wide as its room.
const CHARACTER: usize = 7;
const PADDING: usize = 12;
const GOOD: &str = "#1a7a3c";
const WARN: &str = "#8a5300";
const BAD: &str = "#b3261e";
const QUIET: &str = "#5a626c";
const SUBJECT: &str = "memory";

/// What a badge shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The peak.
    pub peak_bytes: i64,
    /// The smallest room left under any limit.
    pub headroom_bytes: Option<i64>,
    /// Whether little is left, as [`highwater_analysis::next_step::is_tight`] says it of each job.
    pub is_tight: bool,
    /// Whether memory ended the job.
    pub died: bool,
    /// Where the peak lies beside those of the jobs before it.
    pub trend: Option<Trend>,
    /// Of a suite in shards of which some have not ended: how many have, and how many there are.
    pub shards: Option<(usize, usize)>,
}

/// The badge of a job.
pub(crate) fn of_job(job: &JobReport) -> String {
    let ending = job.ending.as_ref();
    badge(&Figures {
        peak_bytes: job.peak_bytes.cast_signed(),
        headroom_bytes: job.headroom_bytes,
        is_tight: job_is_tight(job),
        died: ending.is_some_and(|ending| ending.verdict.is_of_memory()),
        trend: None,
        shards: None,
    })
}

/// The badge of such figures.
#[must_use]
pub fn badge(figures: &Figures) -> String {
    let peak = mebibytes(figures.peak_bytes);
    let trend = match figures.trend {
        None => String::new(),
        Some(Trend::Level) => " →".to_owned(),
        Some(Trend::Up(percent)) => format!(" ↑ {percent} %"),
        Some(Trend::Down(percent)) => format!(" ↓ {percent} %"),
    };
    let rest = match (figures.died, figures.headroom_bytes) {
        (true, _) => ", died of it".to_owned(),
        (false, Some(left)) => format!(", {} left", mebibytes(left)),
        (false, None) => String::new(),
    };
    let colour = match (figures.died, figures.is_tight) {
        (true, _) => BAD,
        (false, true) => WARN,
        (false, false) => GOOD,
    };
    let shards = figures.shards.map_or_else(String::new, |(ended, total)| {
        format!(", {ended} of {total} shards")
    });
    draw(&format!("{peak}{trend}{rest}{shards}"), colour)
}

/// The badge where no job is known.
#[must_use]
pub fn unknown_badge() -> String {
    draw("no job yet", QUIET)
}

fn draw(text: &str, colour: &str) -> String {
    let width = |text: &str| text.chars().count() * CHARACTER;
    let (left, right) = (width(SUBJECT) + PADDING, width(text) + PADDING);
    let whole = left + right;
    let words = markup(text);
    let place = |at: usize, wide: usize, words: &str| {
        format!(
            "<text x=\"{}\" y=\"14\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\">{words}</text>",
            at + wide / 2,
            wide - PADDING
        )
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"{SUBJECT}: {words}\">\
        <title>{SUBJECT}: {words}</title><rect width=\"{left}\" height=\"20\" fill=\"#3a4149\"/>\
        <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\
        <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{}{}</g></svg>\n",
        place(0, left, SUBJECT),
        place(left, right, &words)
    )
}
