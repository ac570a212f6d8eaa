//! Where the lines of an axis lie, and what they are called.

/// Steps that people read easily: 1, 2 and 5 times powers of ten of a MiB.
pub(crate) fn byte_ticks(top: i64, most: i64) -> Vec<i64> {
    const MIB: i64 = 1 << 20;
    let scales = std::iter::successors(Some(MIB), |scale| scale.checked_mul(10));
    let step = scales
        .flat_map(|scale| [scale, scale.saturating_mul(2), scale.saturating_mul(5)])
        .find(|step| top / step <= most)
        .unwrap_or(i64::MAX);
    (0..=most)
        .map(|n| n.saturating_mul(step))
        .take_while(|bytes| *bytes <= top)
        .collect()
}

/// Times between two, at steps of 1, 2, 5, 10, 15, 30 of a unit.
pub(crate) fn time_ticks(from_us: i64, to_us: i64, most: i64) -> Vec<i64> {
    let span_us = to_us.saturating_sub(from_us);
    const STEPS_MS: [i64; 19] = [
        10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
        300_000, 600_000, 1_800_000, 3_600_000, 7_200_000,
    ];
    let step = STEPS_MS
        .iter()
        .map(|ms| ms * 1_000)
        .find(|step| span_us / step <= most)
        .unwrap_or(span_us / most.max(1) + 1);
    let first = from_us.div_euclid(step) + i64::from(from_us.rem_euclid(step) > 0);
    (first..)
        .map(|n| n.saturating_mul(step))
        .take_while(|t_us| *t_us <= to_us)
        .collect()
}

/// Bytes in MiB or GiB.
#[must_use]
pub fn bytes_label(bytes: i64) -> String {
    let mib = bytes as f64 / 1_048_576.0;
    if mib.abs() >= 10_240.0 {
        format!("{:.1} GiB", mib / 1_024.0)
    } else if mib.abs() >= 100.0 || bytes == 0 {
        format!("{mib:.0} MiB")
    } else {
        format!("{mib:.1} MiB")
    }
}

/// Time since the job's start.
#[must_use]
pub fn time_label(t_us: i64) -> String {
    const S: i64 = 1_000_000;
    // Rounded before it is taken apart: 60 seconds are a minute.
    let (s, minutes) = ((t_us + S / 2) / S, (t_us + 30 * S) / (60 * S));
    if s >= 3_600 {
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    } else if s >= 120 {
        format!("{} min {:02} s", s / 60, s % 60)
    } else if t_us % S == 0 {
        format!("{s} s")
    } else if t_us < S {
        format!("{:.2} s", t_us as f64 / 1e6)
    } else {
        format!("{:.1} s", t_us as f64 / 1e6)
    }
}
