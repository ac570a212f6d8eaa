//! What files to come are drawn from.
//!
//! Files that no job before has run are taken to be like those that were seen. Runs of neighbours are drawn whole (the moving blocks of Künsch 1989),
//! since what one file leaves the next often gives back; and each draw of the rest of the suite first draws what was seen itself anew (Efron
//! 1979), since so few files do not tell their own mean. In the highest tenth of what was seen heights are drawn from a generalised Pareto tail
//! (Pickands 1975) with the mean excess of that tenth: of as many files to come as have ended every second time one goes higher than any before.
//! A file of history is what it was then, give or take what the files that were seen differ from history by.

use super::{Chance, Known, LEAST_FILES, Point, Step, growth, robust, settled::Settled};

/// Share of what was seen that has a tail.
pub(super) const TAIL: f64 = 0.1;
/// How heavy that tail is: that of the generalised Pareto distribution (Pickands 1975) of this shape.
pub(super) const SHAPE: f64 = 0.5;
/// How little so few high ones tell of that mean: the standard deviation of its logarithm.
pub(super) const TAIL_SPREAD: f64 = 1.0;
/// Where too few files were seen to tell, a run differs from the one before by so much of each figure, all files alike and each by itself.
pub(super) const BETWEEN_RUNS: f64 = 0.05;
/// What files go higher than history says beside others counts up to so many spreads above the middle.
pub(super) const CAP_SPREADS: f64 = 3.0;
/// How far the heights of several workers meet, at the most, of what they did in what was seen.
pub(super) const MOST_MEETING: f64 = 1.25;
/// What noise a file has where nothing was seen, bytes.
const LEAST_NOISE_BYTES: f64 = 1_048_576.0;

/// Retained and above of a file, bytes.
type Pair = (f64, f64);

/// What was seen.
#[derive(Debug)]
pub(super) struct Pool {
    /// Of each file, or of files of history where none was seen.
    seen: Vec<Pair>,
    /// From here on files say what is retained: before, memory warmed up.
    warm: usize,
    /// Or later, as likely as it is that growth ended.
    settled: Option<Settled>,
    /// Of each file that history knows too, by how much it differs, in units of what is usual for its size.
    differences: Vec<Pair>,
    usual: (Usual, Usual),
    /// What of that is there whatever others do: what workers share, in units as above.
    least: f64,
    workers: usize,
}

impl Pool {
    /// `None` where there is a file to come of which nothing can be said.
    pub(super) fn of(
        steps: &[(Step, Option<Known>)],
        ahead: &[Option<Known>],
        workers: usize,
    ) -> Option<Self> {
        let steps: Vec<_> = steps.iter().filter(|(step, _)| !step.is_first).collect();
        let pair = |(step, _): &&(Step, Option<Known>)| {
            (step.retained_bytes() as f64, step.above_bytes() as f64)
        };
        let mut pairs: Vec<Pair> = steps.iter().map(pair).collect();
        let both = |it: &&(Step, Option<Known>)| {
            let known = it.1?;
            let known = (known.retained_bytes as f64, known.above_bytes as f64);
            Some((known, pair(it)))
        };
        let both: Vec<(Pair, Pair)> = steps.iter().filter_map(both).collect();
        let of_retained = Usual::of(both.iter().map(|(known, seen)| (known.0, seen.0)));
        let of_above = match workers {
            0 | 1 => Usual::of(both.iter().map(|(known, seen)| (known.1, seen.1))),
            // What others take beside a file does not grow with it.
            _ => Usual {
                each: 1.0,
                share: 0.0,
            },
        };
        let differences = both.iter().map(|(known, seen)| {
            let retained = (seen.0 - known.0) / of_retained.at(known.0);
            (retained, (seen.1 - known.1) / of_above.at(known.1))
        });
        let mut differences: Vec<Pair> = differences.collect();
        let mut least = 0.0;
        if workers > 1 {
            cap(&mut differences);
            let mut above: Vec<f64> = differences.iter().map(|pair| pair.1).collect();
            least = robust::median(&mut above).unwrap_or(0.0).min(0.0);
        }
        // What history says of a file alone is no measure for several at once, before it is seen how they meet.
        if workers > 1 && differences.len() < LEAST_FILES && ahead.iter().any(Option::is_some) {
            return None;
        }
        let (mut warm, mut settled) = (0, None);
        if pairs.len() < LEAST_FILES {
            // Files of history are some measure for those that it does not know.
            let of_history = ahead.iter().flatten();
            pairs.extend(of_history.map(|it| (it.retained_bytes as f64, it.above_bytes as f64)));
            if pairs.len() < LEAST_FILES && ahead.iter().any(Option::is_none) {
                return None;
            }
        } else {
            let held = held(&pairs);
            settled = Settled::of(&held);
            if levels_off(&held) {
                warm = pairs.len() / 2;
            }
        }
        Some(Self {
            seen: pairs,
            warm,
            settled,
            differences,
            usual: (of_retained, of_above),
            least,
            workers,
        })
    }

    /// A way in which the rest of the suite may go.
    pub(super) fn draw(&self, chance: &mut Chance) -> Draw {
        let common = 1.0 + BETWEEN_RUNS * chance.normal();
        let settled = self.settled.filter(|it| chance.next() < it.chance);
        let warm = settled.map_or(self.warm, |it| it.from);
        let late = anew(&self.seen[warm..], chance);
        let above = match warm {
            0 => None,
            _ => Some(Blocks::of(anew(&self.seen, chance))),
        };
        let of_all = above.as_ref().map_or(&late, |blocks| &blocks.pairs);
        let mut tail = Tail::of(of_all.iter().map(|pair| pair.1).collect());
        tail.mean_excess *= (TAIL_SPREAD * chance.normal()).exp();
        Draw {
            tail,
            above,
            seen: Blocks::of(late),
            differences: (self.differences.len() >= LEAST_FILES)
                .then(|| Blocks::of(anew(&self.differences, chance))),
            usual: self.usual,
            meeting: match self.workers {
                0 | 1 => 1.0,
                _ => MOST_MEETING * chance.next(),
            },
            least: self.least,
            common,
        }
    }
}

/// How much a figure differs from that of the run before: a part that all have, and one that grows with the figure.
#[derive(Debug, Clone, Copy)]
struct Usual {
    each: f64,
    share: f64,
}

impl Usual {
    /// The line through sizes and differences (least squares), neither part below nothing.
    fn of(both: impl Iterator<Item = (f64, f64)>) -> Self {
        let points: Vec<Pair> = both
            .map(|(was, is)| (was.abs(), (is - was).abs()))
            .collect();
        let n = points.len().max(1) as f64;
        let mean = |of: fn(&Pair) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (size, off) = (mean(|it| it.0), mean(|it| it.1));
        let across: f64 = points.iter().map(|it| (it.0 - size) * (it.1 - off)).sum();
        let along: f64 = points.iter().map(|it| (it.0 - size).powi(2)).sum();
        let slope = if along > 0.0 { across / along } else { 0.0 };
        // Where all are as far off, or those that are small more, size does not matter; where the line begins below nothing, it begins there.
        let most = if size > 0.0 { off / size } else { 0.0 };
        let share = slope.clamp(0.0, most);
        Self {
            each: (off - share * size).max(1.0),
            share: share.max(BETWEEN_RUNS),
        }
    }

    fn at(self, size: f64) -> f64 {
        self.each + self.share * size.abs()
    }
}

/// A file beside one that history knows to be heavy goes high by that one, which comes once.
fn cap(differences: &mut [Pair]) {
    let above: Vec<f64> = differences.iter().map(|pair| pair.1).collect();
    let middle = robust::median(&mut above.clone()).unwrap_or(0.0);
    let most = middle + CAP_SPREADS * robust::spread(&above);
    for pair in differences {
        pair.1 = pair.1.min(most);
    }
}

/// Before the first file and after each, but for what workers held when they came or took with them.
fn held(pairs: &[Pair]) -> Vec<f64> {
    let after = pairs.iter().scan(0.0, |held, (retained, _)| {
        *held += retained;
        Some(*held)
    });
    std::iter::once(0.0).chain(after).collect()
}

fn levels_off(held: &[f64]) -> bool {
    let point = |(at, bytes): (i64, &f64)| Point {
        t_us: at,
        bytes: *bytes as i64,
    };
    let points: Vec<Point> = (0..).zip(held).map(point).collect();
    growth::of(&points).course == growth::Course::LevelsOff
}

/// As many of them, in blocks from anywhere.
fn anew(pairs: &[Pair], chance: &mut Chance) -> Vec<Pair> {
    let mut blocks = Blocks::of(pairs.to_vec());
    let mut drawn: Vec<Pair> = (0..pairs.len())
        .filter_map(|_| blocks.next(chance))
        .collect();
    // So few lie closer together than what they are drawn from: by that much their spread is too small.
    let n = drawn.len() as f64;
    let wider = ((n + 1.0) / (n - 1.0).max(1.0)).sqrt();
    let mean = drawn.iter().map(|pair| pair.0).sum::<f64>() / n.max(1.0);
    for pair in &mut drawn {
        pair.0 = mean + (pair.0 - mean) * wider;
    }
    drawn
}

/// Draws pairs in runs of neighbours.
#[derive(Debug)]
struct Blocks {
    pairs: Vec<Pair>,
    length: usize,
    at: usize,
    left: usize,
}

impl Blocks {
    fn of(pairs: Vec<Pair>) -> Self {
        let length = (pairs.len() as f64).sqrt().round().max(1.0) as usize;
        Self {
            pairs,
            length,
            at: 0,
            left: 0,
        }
    }

    fn next(&mut self, chance: &mut Chance) -> Option<Pair> {
        if self.pairs.is_empty() {
            return None;
        }
        if self.left == 0 {
            self.left = self.length;
            self.at = chance.place(self.pairs.len());
        }
        let pair = self.pairs[self.at];
        // Round and round, so that each is drawn as often.
        self.at = (self.at + 1) % self.pairs.len();
        self.left -= 1;
        Some(pair)
    }
}

/// What lies above most of what was seen.
#[derive(Debug)]
struct Tail {
    from: f64,
    mean_excess: f64,
}

impl Tail {
    fn of(mut above: Vec<f64>) -> Self {
        above.sort_unstable_by(f64::total_cmp);
        let count = ((above.len() as f64 * TAIL).ceil() as usize).max(2);
        let Some(first) = above.len().checked_sub(count + 1) else {
            return Self {
                from: f64::INFINITY,
                mean_excess: 0.0,
            };
        };
        let from = above[first];
        let excess: f64 = above[first + 1..].iter().map(|it| it - from).sum();
        Self {
            from,
            mean_excess: excess / count as f64,
        }
    }

    fn spread(&self, above: f64, chance: &mut Chance) -> f64 {
        match above > self.from {
            true => self.from + self.mean_excess * chance.long(SHAPE),
            false => above,
        }
    }
}

/// One way in which the rest of the suite may go.
#[derive(Debug)]
pub(super) struct Draw {
    seen: Blocks,
    /// Where what is retained is drawn from fewer.
    above: Option<Blocks>,
    tail: Tail,
    differences: Option<Blocks>,
    usual: (Usual, Usual),
    /// How far the heights of several workers meet.
    meeting: f64,
    least: f64,
    common: f64,
}

impl Draw {
    /// What a file retains, and how high it goes above, where this share of the workers is busy.
    pub(super) fn file(&mut self, known: Option<Known>, busy: f64, chance: &mut Chance) -> Pair {
        match known {
            Some(known) => self.known(known, busy, chance),
            None => {
                let (retained, mut above) = self.seen.next(chance).unwrap_or_default();
                if let Some(of_all) = &mut self.above {
                    above = of_all.next(chance).unwrap_or_default().1;
                }
                (retained, self.tail.spread(above, chance))
            }
        }
    }

    fn known(&mut self, known: Known, busy: f64, chance: &mut Chance) -> Pair {
        let (retained, above) = (known.retained_bytes as f64, known.above_bytes as f64);
        let (more_retained, more_above) = match &mut self.differences {
            Some(differences) => {
                let units = differences.next(chance).unwrap_or_default();
                let (of_retained, of_above) = self.usual;
                // What they share does not hang on how they meet.
                let met = (units.1 - self.least) * of_above.at(above) * busy * self.meeting;
                let more_above = self.least * of_above.at(above) + met;
                (units.0 * of_retained.at(retained), more_above)
            }
            None => {
                let noise = |bytes: f64, chance: &mut Chance| {
                    let own = (BETWEEN_RUNS * bytes.abs()).max(LEAST_NOISE_BYTES);
                    (self.common - 1.0) * bytes + own * chance.normal()
                };
                (noise(retained, chance), noise(above, chance))
            }
        };
        (retained + more_retained, above + more_above)
    }
}
