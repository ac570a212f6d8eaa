//! Durations as people write them, on the command line and in the settings file alike.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads a duration such as `90d`, `6mo` or `2y`: a day has 24 hours, a month 30 days, a year 365. In `30m` the m stands for minutes.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = |why: &str| format!("{text:?} {why}; write it as 12h, 90d, 6mo or 2y");
    let span: Span = text.parse().map_err(|_| wrong("is no duration"))?;
    let days = i64::from(span.get_years()) * 365 + i64::from(span.get_months()) * 30;
    let rest = span
        .years(0)
        .months(0)
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong("is too long"))?;
    let duration = SignedDuration::from_hours(days * 24).checked_add(rest);
    let duration = duration.filter(SignedDuration::is_positive);
    duration
        .map(SignedDuration::unsigned_abs)
        .ok_or_else(|| wrong("is no time that passes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_written_and_nothing_else_is() {
        let day = 86_400;
        let table = [
            ("12h", Some(12 * 3_600)),
            ("30m", Some(1_800)),
            ("90d", Some(90 * day)),
            ("1w", Some(7 * day)),
            ("6mo", Some(180 * day)),
            ("2y", Some(730 * day)),
            ("1y 1d", Some(366 * day)),
            ("0d", None),
            ("-1d", None),
            ("soon", None),
            ("90", None),
        ];
        for (text, expected) in table {
            let read = parse(text);
            assert_eq!(
                read.as_ref().ok().map(Duration::as_secs),
                expected,
                "{text}: {read:?}"
            );
        }
    }
}
