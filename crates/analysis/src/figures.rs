//! Figures as people read them: one rule for the sentences, the terminal, the pages and the charts.

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

#[cfg(test)]
mod tests {
    use super::mebibytes;

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
}
