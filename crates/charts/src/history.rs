//! A figure over jobs: one bar a job, oldest first.

use plotters::{
    element::{PathElement, Rectangle, Text},
    prelude::{IntoDrawingArea, SVGBackend},
    style::{
        Color, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{theme, ticks};

const WIDTH: i32 = 1100;
const HEIGHT: i32 = 200;
const LEFT: i32 = 84;
const RIGHT: i32 = 14;
/// Above are the numbers of changes.
const TOP: i32 = 26;
const BOTTOM: i32 = 12;

/// One job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBar {
    /// The figure, bytes; may be negative.
    pub bytes: i64,
    /// True when it is a lower bound.
    pub censored: bool,
    /// Number of the change that begins with it, as the words beside the chart count them.
    pub change: Option<usize>,
}

/// Draws the bars as an SVG document.
///
/// # Errors
/// When the backend fails, which drawing into memory does not do.
pub fn history(bars: &[HistoryBar]) -> Result<String, Box<dyn std::error::Error>> {
    let highest = bars
        .iter()
        .map(|bar| bar.bytes)
        .max()
        .unwrap_or(0)
        .max(1 << 20)
        / 100
        * 108;
    let lowest = bars.iter().map(|bar| bar.bytes).min().unwrap_or(0).min(0);
    let y = |bytes: i64| {
        let share = (bytes - lowest) as f64 / (highest - lowest).max(1) as f64;
        HEIGHT - BOTTOM - (share * f64::from(HEIGHT - TOP - BOTTOM)).round() as i32
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs()))
            .into_drawing_area();
        for bytes in ticks::byte_ticks(highest, 4) {
            area.draw(&PathElement::new(
                [(LEFT, y(bytes)), (WIDTH - RIGHT, y(bytes))],
                theme::GRID,
            ))?;
            let style = TextStyle::from(("sans-serif", 16.0))
                .color(&theme::FAINT)
                .pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(
                ticks::bytes_label(bytes),
                (LEFT - 8, y(bytes)),
                style,
            ))?;
        }
        let room = f64::from(WIDTH - LEFT - RIGHT) / bars.len().max(1) as f64;
        let wide = (room * 0.8).clamp(1.0, 40.0);
        for (bar, at) in bars.iter().zip(0_i32..) {
            let from = f64::from(LEFT) + room * f64::from(at) + (room - wide) / 2.0;
            let corners = [
                (from as i32, y(bar.bytes.max(0))),
                ((from + wide).ceil() as i32, y(bar.bytes.min(0))),
            ];
            let style = if bar.censored {
                theme::BLOCK_FAILED.stroke_width(2)
            } else {
                theme::BLOCK.filled()
            };
            area.draw(&Rectangle::new(corners, style))?;
        }
        for (bar, at) in bars.iter().zip(0_i32..) {
            let Some(number) = bar.change else { continue };
            let x = (f64::from(LEFT) + room * f64::from(at)) as i32;
            area.draw(&PathElement::new(
                [(x, TOP - 6), (x, HEIGHT - BOTTOM)],
                theme::INK.stroke_width(2),
            ))?;
            let style = TextStyle::from(("sans-serif", 16.0))
                .color(&theme::INK)
                .pos(Pos::new(HPos::Center, VPos::Bottom));
            area.draw(&Text::new(number.to_string(), (x, TOP - 8), style))?;
        }
        area.present()?;
    }
    Ok(svg)
}
