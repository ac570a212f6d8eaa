//! Sizes, durations and pairs as people write them. Each error says what is expected.

use std::time::Duration;

/// `50ms`, `1s`, `2m`; a bare number is milliseconds.
///
/// # Errors
/// When it is none of these.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number: f64 = number
        .parse()
        .map_err(|_| expected("a duration such as 50ms or 1s", text))?;
    let seconds = match unit {
        "us" | "µs" => number / 1e6,
        "" | "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        _ => return Err(expected("one of the units us, ms, s, m", text)),
    };
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| expected("a duration such as 50ms or 1s", text))
}

/// The length of a sampling grid: a duration from 1 ms to 1 hour.
///
/// # Errors
/// When it is none.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&interval) {
        Ok(interval)
    } else {
        Err(expected("between 1ms and 1 hour", text))
    }
}

/// `3GB` (10⁹), `200MiB` (2²⁰), a bare number is bytes.
///
/// # Errors
/// When it is none of these.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let number: f64 = number
        .parse()
        .map_err(|_| expected("a size such as 3GB or 200MiB", text))?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return Err(expected("one of the units kB, MB, GB, KiB, MiB, GiB", text)),
    };
    let bytes = number * factor;
    if (0.0..=(1_u64 << 56) as f64).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(expected("a size that can be", text))
    }
}

/// `K=V`.
///
/// # Errors
/// When there is no `=` or nothing before it.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(expected("KEY=VALUE", text)),
    }
}

/// `I/N` with 1 ≤ I ≤ N.
///
/// # Errors
/// When it is not.
pub fn parse_shard(text: &str) -> Result<(u32, u32), String> {
    text.split_once('/')
        .and_then(|(index, total)| Some((index.trim().parse().ok()?, total.trim().parse().ok()?)))
        .filter(|(index, total)| (1..=*total).contains(index))
        .ok_or_else(|| expected("a shard from 1/N to N/N", text))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    (&text[..at], text[at..].trim())
}

fn expected(what: &str, text: &str) -> String {
    format!("{text:?} is not {what}")
}
