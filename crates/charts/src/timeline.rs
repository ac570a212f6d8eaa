//! Memory of a job over time, with the lane of test files of each worker below.

use plotters::{
    coord::Shift,
    element::{Circle, PathElement, Polygon, Rectangle, Text},
    prelude::{DrawingArea, IntoDrawingArea, SVGBackend},
    style::{
        Color, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{theme, ticks};

const WIDTH: i32 = 1100;
const LEFT: i32 = 84;
const RIGHT: i32 = 14;
const TOP: i32 = 26;
const PLOT: i32 = 300;
const AXIS: i32 = 30;
const LANE: i32 = 26;
const LANE_GAP: i32 = 6;
const FONT: f64 = 16.0;
/// About the width of a character, for labels that must fit.
const CHARACTER: f64 = 7.0;
/// A limit further away than this many times the peak is told in words only.
const NEAR_LIMIT: i64 = 3;

/// Least and greatest memory from a time to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// µs since the job's start.
    pub t_us: i64,
    /// Least, bytes.
    pub min: i64,
    /// Greatest, bytes.
    pub max: i64,
}

/// Memory of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Time and bytes.
    pub points: Vec<(i64, i64)>,
}

/// A line not to be crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Whose it is.
    pub label: String,
    /// Bytes.
    pub bytes: i64,
}

/// A stretch of one test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// From, µs.
    pub from_us: i64,
    /// To, µs.
    pub to_us: i64,
    /// The file.
    pub label: String,
    /// What it is.
    pub kind: BlockKind,
}

/// What a stretch was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Tests of a file.
    Tests,
    /// Tests of a file, of which one failed.
    Failed,
    /// No file: the time before the first test, in which all of them are imported.
    Collection,
}

/// What one worker ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The worker.
    pub label: String,
    /// In order of time.
    pub blocks: Vec<Block>,
}

/// Everything of the chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// From where on the job is drawn, µs since its start.
    pub from_us: i64,
    /// Length of the job, µs.
    pub span_us: i64,
    /// The job's curve.
    pub tree: Vec<Band>,
    /// Its processes; four at most are drawn.
    pub processes: Vec<Line>,
    /// Its limits.
    pub limits: Vec<Limit>,
    /// The peak: time and bytes.
    pub peak: Option<(i64, i64)>,
    /// Its workers.
    pub lanes: Vec<Lane>,
    /// What the peak comes to by the end of a job that goes on.
    pub forecast: Option<Outlook>,
}

/// Where the peak will lie, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// The low end of the interval.
    pub low: i64,
    /// The figure itself.
    pub value: i64,
    /// The high end.
    pub high: i64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws the chart as an SVG document.
///
/// # Errors
/// When the backend fails, which drawing into memory does not do.
pub fn timeline(data: &Timeline) -> Result<String, Box<dyn std::error::Error>> {
    let lanes = i32::try_from(data.lanes.len()).unwrap_or(0);
    let height = TOP + PLOT + AXIS + lanes * (LANE + LANE_GAP) + 4;
    let mut svg = String::new();
    {
        let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let scale = Scale::of(data);
        draw_axes(&area, &scale)?;
        draw_memory(&area, data, &scale)?;
        if let Some(forecast) = data.forecast {
            draw_forecast(&area, forecast, data.peak, &scale)?;
        }
        for (lane, at) in data.lanes.iter().zip(0..) {
            draw_lane(
                &area,
                lane,
                TOP + PLOT + AXIS + at * (LANE + LANE_GAP),
                &scale,
            )?;
        }
        area.present()?;
    }
    Ok(svg)
}

struct Scale {
    from_us: i64,
    to_us: i64,
    top: i64,
}

impl Scale {
    fn of(data: &Timeline) -> Self {
        let of_tree = data.tree.iter().map(|band| band.max);
        let of_processes = data
            .processes
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1));
        let highest = of_tree
            .chain(of_processes)
            .chain(data.peak.map(|peak| peak.1))
            .max()
            .unwrap_or(0)
            .max(1 << 20);
        let limit = data
            .limits
            .iter()
            .map(|limit| limit.bytes)
            .filter(|bytes| *bytes <= highest * NEAR_LIMIT)
            .max();
        let forecast = data.forecast.map(|forecast| forecast.value);
        let forecast = forecast.filter(|bytes| *bytes <= highest * NEAR_LIMIT);
        let limit = limit.max(forecast);
        Self {
            from_us: data.from_us,
            to_us: data.span_us.max(data.from_us.saturating_add(1)),
            top: limit.unwrap_or(0).max(highest) / 100 * 106,
        }
    }

    fn x(&self, t_us: i64) -> i32 {
        let since_us = t_us.clamp(self.from_us, self.to_us) - self.from_us;
        let share = since_us as f64 / (self.to_us - self.from_us) as f64;
        LEFT + (share * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    }

    fn y(&self, bytes: i64) -> i32 {
        let share = bytes.clamp(0, self.top) as f64 / self.top.max(1) as f64;
        TOP + PLOT - (share * f64::from(PLOT)).round() as i32
    }
}

fn text(colour: RGBColor, across: HPos, along: VPos) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", FONT));
    style.color = colour.to_backend_color();
    style.pos(Pos::new(across, along))
}

fn draw_axes(area: &Area<'_>, scale: &Scale) -> Drawn {
    for bytes in ticks::byte_ticks(scale.top, 6) {
        let y = scale.y(bytes);
        area.draw(&PathElement::new(
            [(LEFT, y), (WIDTH - RIGHT, y)],
            theme::GRID,
        ))?;
        let style = text(theme::FAINT, HPos::Right, VPos::Center);
        area.draw(&Text::new(ticks::bytes_label(bytes), (LEFT - 8, y), style))?;
    }
    for t_us in ticks::time_ticks(scale.from_us, scale.to_us, 10) {
        let x = scale.x(t_us);
        area.draw(&PathElement::new(
            [(x, TOP + PLOT), (x, TOP + PLOT + 5)],
            theme::FAINT,
        ))?;
        let style = text(theme::FAINT, HPos::Center, VPos::Top);
        area.draw(&Text::new(
            ticks::time_label(t_us),
            (x, TOP + PLOT + 9),
            style,
        ))?;
    }
    Ok(())
}

fn draw_memory(area: &Area<'_>, data: &Timeline, scale: &Scale) -> Drawn {
    let before = data.tree.partition_point(|band| band.t_us < scale.from_us);
    let tree = &data.tree[before..];
    let upper = tree
        .iter()
        .map(|band| (scale.x(band.t_us), scale.y(band.max)));
    let lower = tree
        .iter()
        .rev()
        .map(|band| (scale.x(band.t_us), scale.y(band.min)));
    if tree.len() > 1 {
        area.draw(&Polygon::new(
            upper.clone().chain(lower).collect::<Vec<_>>(),
            theme::BAND.filled(),
        ))?;
    }
    for (line, at) in data.processes.iter().zip(0..theme::PROCESS.len()) {
        let points: Vec<_> = line
            .points
            .iter()
            .filter(|(t_us, _)| *t_us >= scale.from_us)
            .map(|(t_us, bytes)| (scale.x(*t_us), scale.y(*bytes)))
            .collect();
        if points.is_empty() {
            continue;
        }
        draw_dashed(area, &points, theme::PROCESS[at], at)?;
    }
    area.draw(&PathElement::new(
        upper.collect::<Vec<_>>(),
        width(theme::TREE, 2),
    ))?;
    for limit in data.limits.iter().filter(|limit| limit.bytes <= scale.top) {
        let y = scale.y(limit.bytes);
        area.draw(&PathElement::new(
            [(LEFT, y), (WIDTH - RIGHT, y)],
            width(theme::LIMIT, 2),
        ))?;
        let words = format!("limit: {} {}", limit.label, ticks::bytes_label(limit.bytes));
        area.draw(&Text::new(
            words,
            (LEFT + 6, y + 4),
            text(theme::LIMIT, HPos::Left, VPos::Top),
        ))?;
    }
    if let Some((t_us, bytes)) = data.peak {
        let (x, y) = (scale.x(t_us), scale.y(bytes));
        area.draw(&Circle::new((x, y), 4, theme::PEAK.filled()))?;
        // Above the point, where no curve can be.
        let (across, gap) = if x > WIDTH / 2 {
            (HPos::Right, 5)
        } else {
            (HPos::Left, -5)
        };
        let words = format!("peak {}", ticks::bytes_label(bytes));
        area.draw(&Text::new(
            words,
            (x + gap, y - 8),
            text(theme::INK, across, VPos::Bottom),
        ))?;
    }
    Ok(())
}

/// A band beside the plot, where time has not come to yet.
fn draw_forecast(area: &Area<'_>, it: Outlook, peak: Option<(i64, i64)>, scale: &Scale) -> Drawn {
    let (left, right) = (WIDTH - RIGHT + 2, WIDTH - 2);
    let [low, value, high] = [it.low, it.value, it.high].map(|bytes| scale.y(bytes));
    // Not even one that is sure is without height.
    let corners = [(left, high.min(value - 2)), (right, low.max(value + 2))];
    area.draw(&Rectangle::new(corners, theme::BAND.filled()))?;
    area.draw(&PathElement::new(
        [(left - 6, value), (right, value)],
        width(theme::TREE, 2),
    ))?;
    // Where the peak is so near its own label says enough.
    let label_fits = peak.is_none_or(|(_, bytes)| scale.y(bytes) - value > 2 * FONT as i32);
    if label_fits && it.value <= scale.top {
        let words = format!("by the end {}", ticks::bytes_label(it.value));
        let style = text(theme::INK, HPos::Right, VPos::Center);
        area.draw(&Text::new(words, (left - 10, value), style))?;
    }
    Ok(())
}

fn width(colour: RGBColor, pixels: u32) -> ShapeStyle {
    colour.stroke_width(pixels)
}

/// The nth line's dashes: whole, long, short, dotted; so that lines differ without colour.
fn draw_dashed(area: &Area<'_>, points: &[(i32, i32)], colour: RGBColor, nth: usize) -> Drawn {
    let (on, off) = [(1, 0), (12, 5), (6, 5), (2, 4)][nth % 4];
    if off == 0 {
        area.draw(&PathElement::new(points.to_vec(), width(colour, 1)))?;
    } else {
        let dashed =
            plotters::element::DashedPathElement::new(points.to_vec(), on, off, width(colour, 1));
        area.draw(&dashed)?;
    }
    Ok(())
}

fn draw_lane(area: &Area<'_>, lane: &Lane, y: i32, scale: &Scale) -> Drawn {
    let style = text(theme::INK, HPos::Right, VPos::Center);
    area.draw(&Text::new(
        fitting(&lane.label, LEFT - 12),
        (LEFT - 8, y + LANE / 2),
        style,
    ))?;
    for (block, at) in lane.blocks.iter().zip(0_usize..) {
        let (from, to) = (
            scale.x(block.from_us),
            scale.x(block.to_us).max(scale.x(block.from_us) + 1),
        );
        let (style, ink) = match (block.kind, at % 2) {
            (BlockKind::Collection, _) => (width(theme::FAINT, 1), theme::INK),
            (BlockKind::Failed, _) => (theme::BLOCK_FAILED.filled(), theme::LABEL),
            (BlockKind::Tests, 0) => (theme::BLOCK.filled(), theme::LABEL),
            (BlockKind::Tests, _) => (theme::BLOCK_OTHER.filled(), theme::LABEL),
        };
        // A gap between neighbours of one colour.
        let right = if to - from > 3 { to - 1 } else { to };
        area.draw(&Rectangle::new([(from, y), (right, y + LANE)], style))?;
        let label = fitting(short(&block.label), to - from - 6);
        if !label.is_empty() {
            let style = text(ink, HPos::Left, VPos::Center);
            area.draw(&Text::new(label, (from + 4, y + LANE / 2), style))?;
        }
    }
    Ok(())
}

/// The last part of a path without its ending.
fn short(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".py").unwrap_or(name)
}

/// As much of a label as has room; nothing where not even four characters have.
fn fitting(label: &str, pixels: i32) -> String {
    let room = (f64::from(pixels) / CHARACTER).floor();
    if room < 4.0 {
        return String::new();
    }
    let room = room as usize;
    if label.chars().count() <= room {
        return label.to_owned();
    }
    let head: String = label.chars().take(room - 1).collect();
    format!("{head}…")
}
