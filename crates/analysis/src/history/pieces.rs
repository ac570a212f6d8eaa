//! A series as levels and climbs.

use std::ops::Range;

use super::{
    CERTAIN_CREEP_JOBS, CLEAN_SERIES, CREEP_SURE, LEAST_CREEP_JOBS, SHARED, open,
    short::{self, BETTER, CLEARLY_BETTER},
};
use crate::{
    changepoint::{self, Level},
    regression::{self, LEAST_NOISE_BYTES},
    robust,
};

/// A series and the pieces that it falls into.
pub(super) struct Cut<'a> {
    pub(super) values: &'a [f64],
    pub(super) floor: f64,
    pub(super) pieces: Vec<Piece>,
}

impl<'a> Cut<'a> {
    pub(super) fn new(values: &'a [f64], floor: f64) -> Self {
        let mut cut = Self {
            values,
            floor,
            pieces: Vec::new(),
        };
        // Finer levels than are told: of those a climb is made.
        cut.take(&changepoint::levels(values, floor / 2.0));
        while let Some(at) = cut.least_sure() {
            let to = cut.pieces.remove(at + 1).to;
            let joined = changepoint::level(values, cut.pieces[at].from, to);
            cut.pieces[at] = Piece::from(&joined);
        }
        for at in 1..cut.pieces.len() {
            cut.meet(at);
        }
        cut.settle();
        if let Some((levels, pieces)) = open::climb(&cut) {
            cut.replace(levels, pieces);
        }
        while let Some((levels, pieces)) = cut.short_climb() {
            cut.replace(levels, pieces);
        }
        cut
    }

    /// Lets a climb begin where it leaves the level before, if the jobs between lie on it about as well: the first jobs of a climb are too near to that level to be one of their own.
    fn meet(&mut self, at: usize) {
        let (before, climb) = (self.pieces[at - 1], self.pieces[at]);
        let (None, Some((slope, _))) = (before.slope, climb.slope) else {
            return;
        };
        let jobs = (climb.begin - before.begin) / slope;
        if !(0.5..before.len() as f64 - 0.5).contains(&jobs) {
            return;
        }
        let jobs = jobs.round() as usize;
        let from = climb.from - jobs;
        let level = changepoint::level(self.values, before.from, from);
        let longer = Piece {
            from,
            begin: climb.begin - slope * jobs as f64,
            ..climb
        };
        let together = [Piece::from(&level), longer];
        let noise = self.noise();
        let loss = |pieces: [Piece; 2]| -> f64 {
            pieces.iter().map(|it| it.loss(self.values, noise)).sum()
        };
        // There is no step between them any more.
        let of_step = changepoint::cost(self.values.len());
        if loss(together) < loss([before, climb]) + of_step {
            self.pieces.splice(at - 1..=at, together);
        }
    }

    /// Lets a line to the newest job end before the newest few, where these are better told as a level at its end: too few for one of their own.
    fn settle(&mut self) {
        let Some(line) = self.pieces.last().copied() else {
            return;
        };
        let Some((slope, _)) = line.slope.filter(|_| line.len() > LEAST_CREEP_JOBS) else {
            return;
        };
        let noise = self.noise();
        let parted = |newest: usize| {
            let at = line.to - newest;
            let level = Piece::from(&changepoint::level(self.values, at, line.to));
            let before = Piece { to: at, ..line };
            let goes_on = (level.begin - before.end()) * slope > slope.powi(2) * newest as f64;
            let pieces = [before, level];
            let loss: f64 = pieces.iter().map(|it| it.loss(self.values, noise)).sum();
            (loss, goes_on, pieces)
        };
        let parted = (2..=open::NEWEST).map(parted).filter(|it| !it.1);
        let Some((loss, _, pieces)) = parted.min_by(|one, other| one.0.total_cmp(&other.0)) else {
            return;
        };
        if loss + changepoint::cost(self.values.len()) < line.loss(self.values, noise) {
            self.pieces.pop();
            self.pieces.extend(pieces);
        }
    }

    fn replace(&mut self, levels: Range<usize>, pieces: Vec<Piece>) {
        let pieces = pieces.into_iter().filter(|it| it.len() > 0);
        self.pieces.splice(levels, pieces);
    }

    /// Levels in a row that a short climb explains clearly better, and the pieces that take their place; of the longest such row.
    fn short_climb(&self) -> Option<(Range<usize>, Vec<Piece>)> {
        let noise = self.noise();
        let counts = (2..=self.pieces.len()).rev();
        let mut rows =
            counts.flat_map(|count| (count..=self.pieces.len()).map(move |to| to - count..to));
        rows.find_map(|row| {
            let climb = short::between(
                self.values,
                &self.pieces[row.clone()],
                noise,
                CERTAIN_CREEP_JOBS,
            )?;
            (climb.gain >= CLEARLY_BETTER).then_some((row, climb.pieces))
        })
    }

    /// Whether the step from a piece to the next one may be a short climb as well, or a part of one.
    pub(super) fn may_be_a_climb(&self, at: usize, noise: f64) -> bool {
        let Some(pieces) = self.pieces.get(at..at + 2) else {
            return false;
        };
        let climb = short::between(self.values, pieces, noise, CERTAIN_CREEP_JOBS);
        pieces.iter().any(|it| it.slope.is_some()) || climb.is_some_and(|it| it.gain >= BETTER)
    }

    /// Whether one of the two jobs beside the begin of a piece has half of the step there or more, of which it has no part by its own piece, and that is more than noise: which of
    /// both commits brought it nobody knows.
    pub(super) fn is_shared_at(&self, at: usize, noise: f64) -> bool {
        let before = at.checked_sub(1).map(|before| &self.pieces[before]);
        let (Some(before), Some(after)) = (before, self.pieces.get(at)) else {
            return false;
        };
        let step = after.begin - before.end();
        let least = (changepoint::WILD * noise).max(SHARED * step.abs());
        let last = self.values[after.from - 1] - before.end();
        let first = after.begin - self.values[after.from];
        [last, first]
            .iter()
            .any(|away| away * step.signum() >= least)
    }

    /// Takes the longest climb out of levels, and so on with what is left before and behind it.
    fn take(&mut self, levels: &[Level]) {
        for count in (1..=levels.len()).rev() {
            for first in 0..=levels.len() - count {
                let row = &levels[first..first + count];
                if let Some(climb) = climb(self.values, row, self.floor) {
                    self.take(&levels[..first]);
                    self.pieces.push(climb);
                    self.take(&levels[first + count..]);
                    return;
                }
            }
        }
        self.pieces.extend(levels.iter().map(Piece::from));
    }

    /// Of the levels that are no step apart the two that are least so.
    fn least_sure(&self) -> Option<usize> {
        let noise = self.noise();
        let apart = |at: &usize| self.apart(&self.pieces[*at], &self.pieces[at + 1], noise);
        let is_level = |at: usize| self.pieces[at].slope.is_none();
        (0..self.pieces.len().saturating_sub(1))
            .filter(|at| is_level(*at) && is_level(at + 1) && apart(at) < 1.0)
            .min_by(|one, other| apart(one).total_cmp(&apart(other)))
    }

    /// How far values lie from their pieces.
    pub(super) fn noise(&self) -> f64 {
        self.noise_with(self.pieces.len(), &[])
    }

    /// The same with other pieces from one of them on; a rough climb to the end says nothing of it.
    pub(super) fn noise_with(&self, from: usize, others: &[Piece]) -> f64 {
        let others = others.iter().filter(|piece| !piece.is_rough);
        let residuals = self.pieces[..from]
            .iter()
            .chain(others)
            .flat_map(|piece| piece.residuals(self.values));
        changepoint::noise(&residuals.collect::<Vec<f64>>()).max(LEAST_NOISE_BYTES)
    }

    /// How far two pieces that follow each other are apart; a step is 1 at least.
    pub(super) fn apart(&self, before: &Piece, after: &Piece, noise: f64) -> f64 {
        let by_chance = self.by_chance(before, after, self.pieces.len(), noise);
        (after.begin - before.end()).abs() / by_chance.max(self.floor)
    }

    /// How far two pieces are apart by chance, where the series has so many of them.
    pub(super) fn by_chance(
        &self,
        before: &Piece,
        after: &Piece,
        pieces: usize,
        noise: f64,
    ) -> f64 {
        let part = 1.0 / CLEAN_SERIES / (2 * self.values.len()) as f64;
        let degrees = self.values.len().saturating_sub(pieces);
        let error = noise * (1.0 / before.len() as f64 + 1.0 / after.len() as f64).sqrt();
        regression::quantile(degrees, part) * error
    }
}

/// Values in a row that lie on a line; a level where it is flat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Of the first value.
    pub(super) begin: f64,
    /// Of each value over the one before it, with the end of its interval that is nearer to nothing; none of a level.
    pub(super) slope: Option<(f64, f64)>,
    /// Its values need not lie on the line, only between its ends.
    pub(super) is_rough: bool,
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// How many of its last values lie off its line by more than noise and half of what it rose, so that it had ended before them; fewer than half of them.
    pub(super) fn off_at_end(&self, values: &[f64], noise: f64) -> usize {
        let rise = (self.end() - self.begin).abs();
        let least = (changepoint::WILD * noise).max(SHARED * rise);
        let is_off = |place: &usize| (values[*place] - self.at(*place)).abs() > least;
        let off = (self.from..self.to).rev().take_while(is_off).count();
        if self.is_rough {
            return 0;
        }
        off.min((self.len() - 1) / 2)
    }

    pub(super) fn at(&self, place: usize) -> f64 {
        let (slope, _) = self.slope.unwrap_or_default();
        self.begin + slope * place.saturating_sub(self.from) as f64
    }

    pub(super) fn end(&self) -> f64 {
        self.at(self.to.saturating_sub(1))
    }

    fn residuals<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let ends = (self.begin.min(self.end()), self.begin.max(self.end()));
        (self.from..self.to).map(move |place| match self.is_rough {
            true => values[place] - values[place].max(ends.0).min(ends.1),
            false => values[place] - self.at(place),
        })
    }

    pub(super) fn loss(&self, values: &[f64], noise: f64) -> f64 {
        let losses = self.residuals(values);
        losses.map(|away| changepoint::loss(away, noise)).sum()
    }
}

impl From<&Level> for Piece {
    fn from(level: &Level) -> Self {
        Self {
            from: level.from,
            to: level.to,
            begin: level.value,
            slope: None,
            is_rough: false,
        }
    }
}

/// The middle of the values between two places.
pub(super) fn median(values: &[f64], from: usize, to: usize) -> f64 {
    changepoint::level(values, from, to).value
}

/// The slope of values by their place, and the end of its interval that is nearer to nothing.
pub(super) fn sure_slope(values: &[f64]) -> Option<(f64, f64)> {
    let places = (0_u32..).map(f64::from);
    let points: Vec<(f64, f64)> = places.zip(values.iter().copied()).collect();
    let slope = robust::slope(&points)?;
    let nearer = match slope.value > 0.0 {
        true => slope.low.max(0.0),
        false => slope.high.min(0.0),
    };
    Some((slope.value, nearer))
}

/// The line that explains levels in a row better than they do themselves, where it goes one way all the time, surely, and far enough.
fn climb(values: &[f64], levels: &[Level], floor: f64) -> Option<Piece> {
    let (from, to) = (levels.first()?.from, levels.last()?.to);
    let steps = || levels.windows(2).map(|pair| pair[1].value - pair[0].value);
    let part = &values[from..to];
    if part.len() < LEAST_CREEP_JOBS || steps().any(|step| step * steps().sum::<f64>() <= 0.0) {
        return None;
    }
    if robust::trend(part).abs() < CREEP_SURE {
        return None;
    }
    let (slope, nearer) = sure_slope(part)?;
    let mut begins: Vec<f64> = part
        .iter()
        .zip(0_u32..)
        .map(|(y, x)| y - slope * f64::from(x))
        .collect();
    let line = Piece {
        from,
        to,
        begin: robust::median(&mut begins)?,
        slope: Some((slope, nearer)),
        is_rough: false,
    };
    let noise = changepoint::scale(values, floor / 2.0);
    let cost = changepoint::cost(values.len());
    let of_line = line.loss(values, noise) + cost;
    let of_levels: f64 = levels
        .iter()
        .map(|level| Piece::from(level).loss(values, noise))
        .sum();
    let is_better = of_line < of_levels + cost * (levels.len() - 1) as f64;
    // What lies off the line as a whole is a level of its own, and not wild values.
    let is_wild = |level: &Level| {
        let mut away: Vec<f64> = (level.from..level.to)
            .map(|place| values[place] - line.at(place))
            .collect();
        let middle = robust::median(&mut away).unwrap_or(0.0);
        middle.abs() >= changepoint::WILD * noise
    };
    let is_far = (line.end() - line.begin).abs() >= floor;
    (is_better && is_far && !levels.iter().any(is_wild)).then_some(line)
}
