//! Ratios pair by pair, and their spread.

use std::fmt;

use serde_json::{Value, json};

/// What one run cost, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu: f64,
    pub(super) wall: f64,
}

/// Least, middle and greatest of some ratios.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

pub(super) struct Ratios {
    pub(super) cpu: Spread,
    pub(super) wall: Spread,
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The lines of a text that are numbers.
pub(super) fn numbers(text: &[u8]) -> Vec<f64> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Each cost over its partner.
pub(super) fn ratios(over: &[Cost], under: &[Cost]) -> Ratios {
    let spread = |figure: fn(&Cost) -> f64| {
        let values: Vec<f64> = over
            .iter()
            .zip(under)
            .map(|(a, b)| figure(a) / figure(b))
            .collect();
        Spread {
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(0.0, f64::max),
            median: median(values),
        }
    };
    Ratios {
        cpu: spread(|cost| cost.cpu),
        wall: spread(|cost| cost.wall),
    }
}

impl Ratios {
    pub(super) fn to_json(&self) -> Value {
        let of =
            |spread: Spread| json!({"min": spread.min, "median": spread.median, "max": spread.max});
        json!({"cpu": of(self.cpu), "wall": of(self.wall)})
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} {:.4} {:.4}", self.min, self.median, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_even_and_odd() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
