//! Whether a job took more memory than those before it: a hint for the eye, on a badge. It tells a direction and judges nothing.

use crate::robust;

/// With fewer earlier jobs nothing is said.
pub const LEAST_EARLIER: usize = 3;
/// No more of them count, the newest first.
pub const MOST_EARLIER: usize = 10;
/// A difference is none below this share of their median.
pub const LEAST_SHARE: f64 = 0.05;
/// And below so many bytes.
pub const LEAST_BYTES: f64 = 10.0 * 1_048_576.0;

/// Where the peak of a job lies beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// About where they were.
    Level,
    /// Above their median, by so many percent.
    Up(i64),
    /// Below it.
    Down(i64),
}

/// The peak of a job beside those of the jobs before it, newest first; nothing where there are too few of them.
#[must_use]
pub fn trend(peak_bytes: i64, earlier: &[i64]) -> Option<Trend> {
    let counted = earlier.iter().take(MOST_EARLIER);
    let mut peaks: Vec<f64> = counted.map(|bytes| *bytes as f64).collect();
    if peaks.len() < LEAST_EARLIER {
        return None;
    }
    let usual = robust::median(&mut peaks)?;
    let change = peak_bytes as f64 - usual;
    if change.abs() < LEAST_BYTES || change.abs() < usual * LEAST_SHARE {
        return Some(Trend::Level);
    }
    let percent = (change.abs() / usual.max(1.0) * 100.0).round() as i64;
    Some(match change > 0.0 {
        true => Trend::Up(percent),
        false => Trend::Down(percent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: i64 = 1 << 20;
    /// What the page for users says of it.
    const PAGE: &str = include_str!("../../../docs/ANALYSIS.md");

    #[test]
    fn a_direction_is_told_where_it_is_more_than_noise() {
        let around = [100 * MIB, 104 * MIB, 98 * MIB, 102 * MIB];
        for (peak, earlier, told) in [
            (100 * MIB, &around[..2], None),
            (100 * MIB, &around[..], Some(Trend::Level)),
            (110 * MIB, &around[..], Some(Trend::Level)),
            (202 * MIB, &around[..], Some(Trend::Up(100))),
            (0, &around[..], Some(Trend::Down(100))),
            (1_030 * MIB, &[1_000 * MIB; 3][..], Some(Trend::Level)),
            (1_050 * MIB, &[1_000 * MIB; 3][..], Some(Trend::Up(5))),
        ] {
            assert_eq!(trend(peak, earlier), told, "{peak} {earlier:?}");
        }
        // A year of jobs that no longer count.
        let old = [vec![100 * MIB; MOST_EARLIER], vec![MIB; 300]].concat();
        assert_eq!(trend(100 * MIB, &old), Some(Trend::Level));
    }

    #[test]
    fn the_page_says_what_the_constants_are() {
        let told = format!(
            "the median of up to {MOST_EARLIER} jobs before it, {LEAST_EARLIER} at least; a difference below {:.0} % of that or below {:.0} MiB is none",
            LEAST_SHARE * 100.0,
            LEAST_BYTES / 1_048_576.0
        );
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
}
