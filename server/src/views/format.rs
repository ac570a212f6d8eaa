//! Figures as people read them.

use highwater_analysis::time::rfc3339;

pub(crate) use highwater_analysis::figures::{duration, mebibytes};

/// Day and minute in UTC; a job sent by hand may not say when it began.
pub(crate) fn moment(unix_us: i64) -> String {
    if unix_us == 0 {
        return "time not told".to_owned();
    }
    let text = rfc3339(unix_us);
    text.get(..16)
        .map_or_else(|| text.clone(), |minute| minute.replace('T', " "))
}

/// A time of day to the second, from RFC 3339 in UTC.
pub(crate) fn whole_moment(rfc3339: &str) -> String {
    rfc3339.get(..19).map_or_else(
        || rfc3339.to_owned(),
        |second| format!("{} UTC", second.replace('T', " ")),
    )
}

/// A number of things, in words.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The first characters of a commit.
pub(crate) fn commit(commit: &str) -> String {
    commit.chars().take(10).collect()
}

/// A path as part of an address, its slashes kept where every browser keeps them.
pub(crate) fn in_address(path: &str) -> String {
    use std::fmt::Write;
    // A browser takes such segments out of an address, and the page of another thing would be asked for.
    let is_plain = path
        .split('/')
        .all(|segment| !matches!(segment, "" | "." | ".."));
    path.bytes()
        .fold(String::with_capacity(path.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'.' | b'~')
                || (byte == b'/' && is_plain)
            {
                out.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

/// An address that a link may lead to; nothing where it is of another kind.
pub(crate) fn web_address(url: &str) -> &str {
    match url.starts_with("https://") || url.starts_with("http://") {
        true => url,
        false => "",
    }
}

/// A name as markup: a line may end where its parts join, after `/`, `::` and `_` and before `[`, and not in the middle of a word.
pub(crate) fn breaking(name: &str) -> String {
    const MAY_BREAK: &str = "<wbr>";
    let mut out = String::with_capacity(name.len() + name.len() / 2);
    let (mut before, mut is_doubled) = (' ', false);
    for c in name.chars() {
        let is_over = match before {
            '/' | '_' => c != before,
            ':' => is_doubled && c != before,
            _ => c == '[',
        };
        if is_over {
            out.push_str(MAY_BREAK);
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        is_doubled = c == before;
        before = c;
    }
    out
}

/// How an ending is marked: `good`, `warn`, `bad`, or nothing for what still runs.
pub(crate) fn tone(verdict: Option<&str>) -> &'static str {
    match verdict {
        None => "",
        Some("passed") => "good",
        Some(
            "tests_failed" | "no_tests" | "no_session" | "usage_error" | "interrupted"
            | "cancelled",
        ) => "warn",
        Some(_) => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_say_their_unit() {
        assert_eq!(mebibytes(52_428_800), "50.0 MiB");
        assert_eq!(mebibytes(24_658_313_216), "23.0 GiB");
        assert_eq!(mebibytes(-1_048_576), "−1.0 MiB");
        assert_eq!(mebibytes(-1), "0.0 MiB");
        assert_eq!(duration(999), "999 µs");
        assert_eq!(duration(1_500_000), "1.5 s");
        assert_eq!(duration(125_000_000), "2 min 05 s");
        assert_eq!(moment(1_700_000_000_000_000), "2023-11-14 22:13");
        assert_eq!(moment(0), "time not told");
        assert_eq!(in_address("a b/ü.py"), "a%20b/%C3%BC.py");
    }

    #[test]
    fn a_link_leads_to_the_web_only() {
        for url in ["https://ci.example/1", "http://ci.example/1"] {
            assert_eq!(web_address(url), url);
        }
        for url in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "//ci.example",
        ] {
            assert_eq!(web_address(url), "");
        }
    }

    #[test]
    fn a_name_breaks_between_its_parts_and_is_never_markup() {
        for (name, markup) in [
            (
                "tests/unit/test_a.py::TestB::test_c[x-1]",
                "tests/<wbr>unit/<wbr>test_<wbr>a.py::<wbr>TestB::<wbr>test_<wbr>c<wbr>[x-1]",
            ),
            ("__init__.py", "__<wbr>init__<wbr>.py"),
            ("https://ci.example", "https://<wbr>ci.example"),
            ("at 10:44:07", "at 10:44:07"),
            ("", ""),
            (
                "<b> & \"'</b>",
                "&lt;b&gt; &amp; &quot;&#39;&lt;/<wbr>b&gt;",
            ),
        ] {
            assert_eq!(breaking(name), markup);
        }
    }
}
