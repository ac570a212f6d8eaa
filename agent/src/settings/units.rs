//! Values as people write them. Each error says what is expected. What is empty says nothing: whoever asks leaves it out.

use std::time::Duration;

pub use highwater_analysis::figures::parse_bytes;
use highwater_wire::{
    codec::{MAX_NAME_BYTES, MAX_TEXT_BYTES},
    ids::ProjectSlug,
};

/// `50ms`, `1s`, `2m`, `6h`; a bare number is milliseconds.
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
        "h" => number * 3600.0,
        _ => return Err(expected("one of the units us, ms, s, m, h", text)),
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

/// A CI's time limit: a duration from 1 s to 30 days. A bare number would be milliseconds, which no limit is counted in.
///
/// # Errors
/// When it is none.
pub fn parse_ci_timeout(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text)?;
    let has_unit = !split(text).1.is_empty();
    if has_unit && (Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)).contains(&limit) {
        Ok(limit)
    } else {
        Err(expected("a time with its unit, such as 60m or 6h", text))
    }
}

/// A name, of a job or a branch for instance.
///
/// # Errors
/// When it is too long or holds a control character.
pub fn parse_name(text: &str) -> Result<String, String> {
    bounded(text, MAX_NAME_BYTES)
}

/// A commit; the zeros that stand for none where a branch is new say nothing.
///
/// # Errors
/// As of a name.
pub fn parse_commit(text: &str) -> Result<String, String> {
    let commit = parse_name(text)?;
    let is_none = commit.bytes().all(|byte| byte == b'0');
    Ok(if is_none { String::new() } else { commit })
}

/// `owner/repo`.
///
/// # Errors
/// When it is none.
pub fn parse_project(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Ok(String::new()),
        slug => ProjectSlug::new(slug)
            .map(String::from)
            .map_err(|_| expected("`owner/repo` of letters, digits, `.`, `_` and `-`", text)),
    }
}

/// Address of a page.
///
/// # Errors
/// When it is no address that a browser opens, or too long.
pub fn parse_url(text: &str) -> Result<String, String> {
    let url = bounded(text, MAX_TEXT_BYTES)?;
    let is_page = url.starts_with("https://") || url.starts_with("http://");
    if url.is_empty() || is_page {
        Ok(url)
    } else {
        Err(expected("an http or https address", text))
    }
}

/// Address of a server; `host:port` is taken as `http://host:port`.
///
/// # Errors
/// When it is none, or holds a password, which is then not repeated: the address is printed and written to files.
pub fn parse_server(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    if whole.contains('@') {
        return Err(
            "an address with a user or password would be shown in logs; put a token into HIGHWATER_TOKEN"
                .to_owned(),
        );
    }
    let is_known = whole.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if is_known {
        Ok(whole)
    } else {
        Err(expected("an address such as http://127.0.0.1:8080", text))
    }
}

/// `K=V`.
///
/// # Errors
/// When there is no `=`, nothing before it, or a part is no name.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((parse_name(key)?, parse_name(value)?)),
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

fn bounded(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.len() > most {
        return Err(format!(
            "{} bytes are more than the {most} allowed",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(expected("one line of text", text));
    }
    Ok(text.to_owned())
}

fn expected(what: &str, text: &str) -> String {
    let shown: String = text.chars().take(100).collect();
    format!("{shown:?} is not {what}")
}
