//! Times of day as text.

use jiff::Timestamp;

/// Microseconds since 1970 as RFC 3339 in UTC; the codec has refused what lies outside 1970 to 9999.
#[must_use]
pub fn rfc3339(unix_us: i64) -> String {
    Timestamp::from_microsecond(unix_us)
        .unwrap_or_default()
        .to_string()
}
