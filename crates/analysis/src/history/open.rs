//! Climbs that still go on with the newest job: there is no level behind them yet.

use std::ops::Range;

use super::{
    LEAST_CREEP_JOBS, LIKELY_JOBS, SHARED,
    pieces::{Cut, Piece, median, sure_slope},
    short::{self, CLEARLY_BETTER, COST_BETWEEN},
};
use crate::changepoint;

/// Fewer jobs behind the level are no climb that goes on.
pub const LEAST_RISING: usize = 3;

/// Of so many jobs it is asked whether the climb had ended there.
pub(super) const NEWEST: usize = 5;

/// Jobs whose middle lies off the level by fewer errors of it are not looked at: [`is_sure`] asks for more than twice as many.
const HOPELESS: f64 = 2.0;

/// A way to tell the newest levels as one and a climb behind it.
struct Way {
    /// The levels whose place it takes.
    row: Range<usize>,
    /// What is left of the first of them, and the climb.
    pieces: [Piece; 2],
    /// How far values lie from their pieces by it.
    noise: f64,
    /// What it costs less than the levels, in squares of the noise.
    gain: f64,
}

/// The newest levels that a climb explains clearly better which still goes on, and the pieces that take their place.
pub(super) fn climb(cut: &Cut<'_>) -> Option<(Range<usize>, Vec<Piece>)> {
    let count = cut.pieces.len();
    let levels = cut.pieces.iter().rev();
    let levels = levels.take_while(|it| it.slope.is_none()).count();
    let rows = (1..=levels).map(|it| count - it..count);
    let ways = rows.flat_map(|row| ways(cut, &row));
    let way = ways.max_by(|one, other| one.gain.total_cmp(&other.gain))?;
    if !is_sure(cut, &way) || !is_better(cut, &way) {
        return None;
    }
    let pieces = ended(cut, &way).unwrap_or_else(|| way.pieces.to_vec());
    Some((way.row, pieces))
}

/// The climbs that begin in the first level of a row, at each of its jobs, on a line and not, which go far enough and the way that the levels go.
fn ways(cut: &Cut<'_>, row: &Range<usize>) -> Vec<Way> {
    let levels = &cut.pieces[row.clone()];
    let [first, ..] = levels else {
        return Vec::new();
    };
    let to = cut.values.len();
    // Noise that began with a step looks like a climb behind a level of a job or two.
    let begins = first.from + LIKELY_JOBS..=first.to.min(to.saturating_sub(LEAST_RISING));
    let least = HOPELESS * changepoint::scale(cut.values, cut.floor / 2.0);
    let has_hope = |begin: usize, low: f64| {
        let away = median(cut.values, begin, to) - low;
        away.abs() * ((to - begin) as f64).sqrt() >= least
    };
    let begins = begins.map(|begin| (begin, median(cut.values, first.from, begin)));
    let begins = begins.filter(|(begin, low)| has_hope(*begin, *low));
    let climbs = begins.flat_map(|(begin, low)| {
        let level = level(first.from, begin - 1, low);
        let line = line(cut, begin, low);
        let rough = rough(cut, begin, low);
        [line, rough].map(|climb| climb.map(|it| [level, it]))
    });
    let way = |pieces: [Piece; 2]| {
        let climb = &pieces[1];
        let rise = climb.end() - climb.begin;
        let mut steps = levels.windows(2).map(|it| it[1].begin - it[0].begin);
        if rise.abs() < cut.floor || steps.any(|step| step * rise <= 0.0) {
            return None;
        }
        let noise = cut.noise_with(row.start, &pieces);
        let of_levels: f64 = levels.iter().map(|it| it.loss(cut.values, noise)).sum();
        let change = changepoint::cost(to);
        let of_levels = of_levels + change * (levels.len() - 1) as f64;
        let of_freedom = match climb.is_rough {
            true => COST_BETWEEN * (climb.len() - 2) as f64,
            false => 0.0,
        };
        let of_climb: f64 = pieces.iter().map(|it| it.loss(cut.values, noise)).sum();
        Some(Way {
            row: row.clone(),
            pieces,
            noise,
            gain: of_levels - of_climb - of_freedom - change,
        })
    };
    climbs.flatten().filter_map(way).collect()
}

/// Of the lines from a level through one of the newest jobs the one that all behind it lie on best.
fn line(cut: &Cut<'_>, begin: usize, low: f64) -> Option<Piece> {
    let noise = cut.floor / 2.0 / changepoint::WILD;
    let newest = begin.max(cut.values.len().saturating_sub(NEWEST));
    let lines = (newest..cut.values.len()).map(|place| {
        let slope = (cut.values[place] - low) / (place + 1 - begin) as f64;
        let line = Piece {
            slope: Some((slope, 0.0)),
            ..level(begin - 1, cut.values.len(), low)
        };
        (line.loss(cut.values, noise), line)
    });
    let (_, line) = lines.min_by(|one, other| one.0.total_cmp(&other.0))?;
    let nearer = match line.len() >= LEAST_CREEP_JOBS {
        true => sure_slope(&cut.values[line.from..line.to])?.1,
        false => 0.0,
    };
    let slope = line.slope.map(|(slope, _)| (slope, nearer));
    Some(Piece { slope, ..line })
}

/// A climb from a level to the newest job, all of whose jobs go the way of it and none of which has half of it.
fn rough(cut: &Cut<'_>, begin: usize, low: f64) -> Option<Piece> {
    let behind = &cut.values[begin..];
    let rise = behind.last()? - low;
    let had = [low].into_iter().chain(behind.iter().copied());
    let steps = had.zip(behind).map(|(had, has)| (has - had) / rise);
    let is_even = steps.into_iter().all(|part| part > 0.0 && part <= SHARED);
    let slope = Some((rise / behind.len() as f64, 0.0));
    is_even.then(|| Piece {
        slope,
        is_rough: true,
        ..level(begin - 1, cut.values.len(), low)
    })
}

fn level(from: usize, to: usize, value: f64) -> Piece {
    Piece {
        from,
        to,
        begin: value,
        slope: None,
        is_rough: false,
    }
}

/// Whether the jobs of the climb are off its level by more than noise, as those of a step must be.
fn is_sure(cut: &Cut<'_>, way: &Way) -> bool {
    let [before, climb] = &way.pieces;
    let behind = climb.from + 1..climb.to;
    let middle = median(cut.values, behind.start, behind.end);
    let before = level(before.from, behind.start, climb.begin);
    // The jobs of a climb that is no line say nothing of the noise.
    let given = match climb.is_rough {
        true => climb.len(),
        false => 1,
    };
    let pieces = way.row.start + 1 + given;
    let away = (middle - climb.begin).abs();
    away >= cut.by_chance(
        &before,
        &level(behind.start, behind.end, middle),
        pieces,
        way.noise,
    )
}

/// What levels cost, and a climb that leads from one to the other, in squares of the noise.
fn cost(cut: &Cut<'_>, levels: &[Piece], noise: f64) -> f64 {
    let losses = levels.iter().map(|it| it.loss(cut.values, noise));
    losses.sum::<f64>() + changepoint::cost(cut.values.len()) * (levels.len() - 1) as f64
}

/// Whether the climb explains its jobs better than one level with wild jobs, and clearly better than steps.
fn is_better(cut: &Cut<'_>, way: &Way) -> bool {
    let (from, to) = (way.pieces[0].from, cut.values.len());
    let levels = &cut.pieces[way.row.clone()];
    let of_levels = cost(cut, levels, way.noise);
    let of_climb = of_levels - way.gain;
    let of_levels = match levels.len() {
        // That is no step.
        1 => of_levels + CLEARLY_BETTER,
        _ => of_levels,
    };
    let step = |at: usize| cost(cut, &split(cut, from, at), way.noise);
    let of_step = (from + 1..to).map(step).fold(f64::INFINITY, f64::min);
    of_levels.min(of_step) - of_climb >= CLEARLY_BETTER
}

/// What explains the jobs clearly better than a climb that goes on: one that has ended, over the newest jobs, too few perhaps for a level.
fn ended(cut: &Cut<'_>, way: &Way) -> Option<Vec<Piece>> {
    let (from, to) = (way.pieces[0].from, cut.values.len());
    let newest = to.saturating_sub(NEWEST);
    let at = match &cut.pieces[way.row.clone()] {
        [_, .., last] => last.from.min(newest),
        _ => newest,
    };
    if at <= from {
        return None;
    }
    let levels = split(cut, from, at);
    let climb = short::between(cut.values, &levels, way.noise, to)?;
    let of_ended = cost(cut, &levels, way.noise) - climb.gain;
    let of_open = cost(cut, &cut.pieces[way.row.clone()], way.noise) - way.gain;
    (of_open - of_ended >= CLEARLY_BETTER).then_some(climb.pieces)
}

/// Two levels, cut at a place.
fn split(cut: &Cut<'_>, from: usize, at: usize) -> [Piece; 2] {
    let piece = |from, to| level(from, to, median(cut.values, from, to));
    [piece(from, at), piece(at, cut.values.len())]
}
