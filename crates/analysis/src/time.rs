//! Times of day as text.

use jiff::Timestamp;

/// Microseconds since 1970 as RFC 3339 in UTC; the codec has refused what lies outside 1970 to 9999.
#[must_use]
pub fn rfc3339(unix_us: i64) -> String {
    Timestamp::from_microsecond(unix_us)
        .unwrap_or_default()
        .to_string()
}
/// The other way; `None` for what is no moment.
#[must_use]
pub fn unix_us(rfc3339: &str) -> Option<i64> {
    let moment: Timestamp = rfc3339.parse().ok()?;
    Some(moment.as_microsecond())
}

/// Clocks that differ by less are alike: a request on its way makes up for as much, µs.
const ALIKE_US: i64 = 2_000_000;

/// A moment by the server's clock, where the machine's was so far ahead of it (µs since 1970, and µs).
#[must_use]
pub fn by_the_server(unix_us: i64, clock_skew_us: Option<i64>) -> i64 {
    match clock_skew_us {
        Some(skew_us) if skew_us.saturating_abs() >= ALIKE_US => unix_us.saturating_sub(skew_us),
        _ => unix_us,
    }
}

/// The day of a moment in UTC, as people write it; the text itself where it is no moment.
#[must_use]
pub fn day(rfc3339: &str) -> String {
    let moment: Result<Timestamp, _> = rfc3339.parse();
    moment.map_or_else(
        |_| rfc3339.to_owned(),
        |moment| moment.strftime("%-d %b %Y").to_string(),
    )
}
