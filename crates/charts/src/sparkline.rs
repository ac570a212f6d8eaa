//! A curve the size of a word.

use plotters::{
    element::PathElement,
    prelude::{IntoDrawingArea, SVGBackend},
    style::Color,
};

use crate::theme;

const WIDTH: i32 = 120;
const HEIGHT: i32 = 24;

/// Draws values, oldest first, as an SVG document.
///
/// # Errors
/// When the backend fails, which drawing into memory does not do.
pub fn sparkline(values: &[i64]) -> Result<String, Box<dyn std::error::Error>> {
    let top = values.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = f64::from(WIDTH - 4) / values.len().saturating_sub(1).max(1) as f64;
    let points: Vec<_> = values
        .iter()
        .zip(0_i32..)
        .map(|(value, at)| {
            let y = f64::from(HEIGHT - 3) * (1.0 - (*value).max(0) as f64 / top);
            (2 + (step * f64::from(at)) as i32, 2 + y as i32)
        })
        .collect();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs()))
            .into_drawing_area();
        area.draw(&PathElement::new(points, theme::TREE.stroke_width(2)))?;
        area.present()?;
    }
    Ok(svg)
}
