//! Figures as people read and write them: one rule for the sentences, the terminal, the pages and the charts.

use highwater_wire::report::PeakKind;

/// From here on a size is written in GiB.
const GIBIBYTES_FROM: f64 = 10_240.0;

/// Bytes in MiB with one digit, in GiB from 10 GiB on; a minus sign as wide as a digit.
#[must_use]
pub fn mebibytes(bytes: i64) -> String {
    let mib = bytes as f64 / 1_048_576.0;
    let text = if mib.abs() < GIBIBYTES_FROM {
        format!("{:.1} MiB", mib.abs())
    } else {
        format!("{:.1} GiB", mib.abs() / 1024.0)
    };
    if mib <= -0.05 {
        format!("−{text}")
    } else {
        text
    }
}

/// The same with as many bytes or more: what is asked for by these figures is enough.
#[must_use]
pub fn mebibytes_at_least(bytes: i64) -> String {
    let unit = match (bytes as f64 / 1_048_576.0).abs() < GIBIBYTES_FROM {
        true => 1_i64 << 20,
        false => 1 << 30,
    };
    // A tenth is shown, so this is of whole tenths, the next one up.
    let tenths = (i128::from(bytes) * 10 + i128::from(unit) - 1).div_euclid(i128::from(unit));
    mebibytes(i64::try_from((tenths * i128::from(unit)).div_euclid(10)).unwrap_or(i64::MAX))
}

/// `3GB` (10⁹), `200MiB` (2²⁰), a bare number is bytes.
///
/// # Errors
/// When it is none of these.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let expected = |what: &str| {
        let shown: String = text.chars().take(100).collect();
        format!("{shown:?} is not {what}")
    };
    let number: f64 = number
        .parse()
        .map_err(|_| expected("a size such as 3GB or 200MiB"))?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => {
            return Err(expected(
                "one of the units kB, MB, GB, TB, KiB, MiB, GiB, TiB",
            ));
        }
    };
    let bytes = number * factor;
    if (0.0..=(1_u64 << 56) as f64).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(expected("a size that can be"))
    }
}

/// A duration in the unit that fits.
#[must_use]
pub fn duration(us: i64) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => format!("{} min {:02} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// A time of day to the second, from RFC 3339 in UTC.
#[must_use]
pub fn whole_moment(rfc3339: &str) -> String {
    rfc3339.get(..19).map_or_else(
        || rfc3339.to_owned(),
        |second| format!("{} UTC", second.replace('T', " ")),
    )
}

/// A number of things, in words.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// An address that a link may lead to; nothing where it is of another kind.
#[must_use]
pub fn web_address(url: &str) -> &str {
    match url.starts_with("https://") || url.starts_with("http://") {
        true => url,
        false => "",
    }
}

/// A text in one line, whatever is in it: what moves a cursor, begins a line or turns the direction of text is shown as an escape.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Marks that turn the direction of text would carry on into what comes after.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        // Some readers begin a line at these, and XML has no place for the last two.
        let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
        if c.is_control() || turns || breaks {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A curve is told apart from the peak beside it where it ends lower by this part of the peak, and by this many bytes.
const APART_FROM_PART: i64 = 20;
const APART_FROM_BYTES: i64 = 2 << 20;

/// Which is which where the highest point of the sampled curve is notably below the job's peak; nothing where they agree.
#[must_use]
pub fn peak_above_curve(peak_bytes: u64, kind: PeakKind, highest_of_curve: i64) -> Option<String> {
    let peak = peak_bytes.cast_signed();
    let by = match kind {
        PeakKind::Exact => "by the kernel's mark",
        PeakKind::Sampled => "by the kernel's marks and samples together",
    };
    let apart = peak.saturating_sub(highest_of_curve);
    (apart >= APART_FROM_BYTES && apart >= peak / APART_FROM_PART).then(|| {
        format!(
            "The peak is {} {by}; the curve is sampled and reaches {}.",
            mebibytes(peak),
            mebibytes(highest_of_curve)
        )
    })
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::PeakKind;

    use super::{mebibytes, mebibytes_at_least, parse_bytes, peak_above_curve};

    #[test]
    fn a_curve_is_told_apart_from_a_peak_that_is_notably_higher() {
        const MIB: u64 = 1 << 20;
        for (peak, highest, is_told) in [
            (100 * MIB, 100 << 20, false),
            (100 * MIB, 96 << 20, false),
            (100 * MIB, 95 << 20, true),
            (20 * MIB, 19 << 20, false),
            (20 * MIB, 17 << 20, true),
            (90 * MIB, 100 << 20, false),
            (0, 0, false),
        ] {
            let told = peak_above_curve(peak, PeakKind::Exact, highest);
            assert_eq!(told.is_some(), is_told, "{peak} {highest}");
        }
        assert_eq!(
            peak_above_curve(300 * MIB, PeakKind::Exact, 200 << 20).unwrap(),
            "The peak is 300.0 MiB by the kernel's mark; the curve is sampled and reaches 200.0 MiB."
        );
        // Others were there beside the process whose mark it is.
        assert_eq!(
            peak_above_curve(300 * MIB, PeakKind::Sampled, 200 << 20).unwrap(),
            "The peak is 300.0 MiB by the kernel's marks and samples together; the curve is sampled and reaches 200.0 MiB."
        );
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, told) in [
            (0, "0.0 MiB"),
            (-1, "0.0 MiB"),
            (-3 << 20, "−3.0 MiB"),
            (1_572_864, "1.5 MiB"),
            ((10_240 << 20) - (1 << 18), "10239.8 MiB"),
            (20 << 30, "20.0 GiB"),
            (-20 << 30, "−20.0 GiB"),
        ] {
            assert_eq!(mebibytes(bytes), told);
        }
    }

    /// The plugin's tests read the same table, so that a limit of a test and one of a job are written alike.
    #[test]
    fn a_size_is_what_the_table_says_that_plugin_and_agent_share() {
        const TABLE: &str = include_str!("../../../pytest-plugin/tests/sizes.json");
        let cases: Vec<(String, Option<u64>)> = serde_json::from_str(TABLE).unwrap();
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(&text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn sizes_that_are_asked_for_by_their_words_are_enough() {
        for (bytes, told) in [
            (0, "0.0 MiB"),
            (1, "0.1 MiB"),
            (15_000_000, "14.4 MiB"),
            (3 << 19, "1.5 MiB"),
            ((3 << 19) + 1, "1.6 MiB"),
            (20 << 30, "20.0 GiB"),
            ((20 << 30) + 1, "20.1 GiB"),
        ] {
            assert_eq!(mebibytes_at_least(bytes), told);
        }
        for bytes in (0..40_000_000_000_i64).step_by(7_777_777) {
            let words = mebibytes_at_least(bytes).replace(' ', "");
            let asked = parse_bytes(&words).unwrap();
            assert!(asked.cast_signed() >= bytes, "{words} {bytes}");
        }
    }
}
