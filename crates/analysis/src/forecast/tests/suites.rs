//! Suites with their truth: workers that run files one after the other, each of which takes memory for a while and keeps some.

use super::super::{Chance, Known, Seen, Step, Steps, steps::Ended};

pub(super) const MB: i64 = 1_048_576;
const MIB: f64 = MB as f64;

/// How a worker grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    None,
    WarmUp,
    Steady,
    Steps,
}

/// One file.
#[derive(Debug, Clone)]
struct File {
    retained: f64,
    /// Above what is held before or after.
    above: f64,
    duration: f64,
}

/// A suite with one run of it.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) growth: Growth,
    pub(super) workers: usize,
    pub(super) has_history: bool,
    files: Vec<File>,
    /// Of each file what the job before saw.
    known: Vec<Option<Known>>,
    base: f64,
    noise: f64,
    seed: u64,
}

/// A job that was cut: what was seen, and the truth.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) steps: Vec<(Step, Option<Known>)>,
    held_bytes: i64,
    seen_peak_bytes: i64,
    workers: usize,
    pub(super) ahead: Vec<Option<Known>>,
    /// The peak of the whole run.
    pub(super) peak_bytes: i64,
    pub(super) limit_bytes: i64,
    /// Which of the files to come crosses it.
    pub(super) crossed: Option<usize>,
    /// Whether no file to come goes higher above than those before it, or than history knows.
    pub(super) holds_nothing_unseen: bool,
}

impl Cut {
    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            steps: &self.steps,
            held_bytes: self.held_bytes,
            peak_bytes: self.seen_peak_bytes,
            workers: self.workers,
        }
    }
}

/// Many small ones and a few large ones.
fn skewed(chance: &mut Chance, middle: f64, spread: f64) -> f64 {
    middle * (spread * chance.normal()).exp()
}

impl Suite {
    pub(super) fn of(seed: u64) -> Self {
        let chance = &mut Chance(seed.wrapping_mul(0x1234_5677).wrapping_add(99));
        let growths = [Growth::None, Growth::WarmUp, Growth::Steady, Growth::Steps];
        let growth = growths[(seed % 4) as usize];
        let workers = if (seed / 4) % 3 == 2 { 4 } else { 1 };
        let has_history = (seed / 12).is_multiple_of(2);
        let count = chance.between(44.0, 160.0) as usize;
        let each = chance.between(2.0, 45.0) * MIB;
        let unequal = chance.between(0.1, 0.8);
        let warm = chance.between(40.0, 400.0) * MIB;
        let warm_files = (count as f64 * chance.between(0.03, 0.12)).max(2.0);
        let steps = chance.between(0.02, 0.08);
        let middle = chance.between(5.0, 120.0) * MIB;
        let spread = chance.between(0.2, 0.8);
        // Up to three files are of another kind: they start a database, or load a model.
        let heavy: Vec<usize> = (0..chance.place(4)).map(|_| chance.place(count)).collect();
        let mut files: Vec<File> = (0..count)
            .map(|at| {
                let rise = |at: f64| warm * (1.0 - (-at / warm_files).exp());
                let retained = match growth {
                    Growth::None => 0.0,
                    Growth::WarmUp => rise(at as f64 + 1.0) - rise(at as f64),
                    Growth::Steady => skewed(chance, each, unequal),
                    Growth::Steps if chance.next() < steps => chance.between(20.0, 80.0) * MIB,
                    Growth::Steps => 0.0,
                };
                File {
                    retained,
                    above: skewed(chance, middle, spread),
                    duration: skewed(chance, 5.0, 0.7),
                }
            })
            .collect();
        for at in heavy {
            files[at].above += chance.between(200.0, 900.0) * MIB;
        }
        let known = files
            .iter()
            .map(|file| {
                // A tenth of the files is new since then.
                let is_known = has_history && (!seed.is_multiple_of(5) || chance.next() < 0.9);
                let alike = 1.0 + 0.03 * chance.normal();
                is_known.then(|| Known {
                    retained_bytes: (file.retained * alike + 0.5 * MIB * chance.normal()) as i64,
                    above_bytes: (file.above * (1.0 + 0.05 * chance.normal())).max(0.0) as i64,
                })
            })
            .collect();
        Self {
            growth,
            workers,
            has_history,
            files,
            known,
            base: chance.between(50.0, 300.0) * MIB,
            noise: chance.between(0.05, 1.0) * MIB,
            seed,
        }
    }

    /// Runs all of it and tells what was seen when this share of the files had ended.
    pub(super) fn cut(&self, share: f64) -> Cut {
        let mut run = Run::of(self);
        let mut peaks = Vec::new();
        while run.step() {
            peaks.push(run.peak);
        }
        let all: Vec<Step> = run.steps.done().to_vec();
        let order: Vec<usize> = all
            .iter()
            .filter_map(|step| step.path.parse().ok())
            .collect();
        let done = (all.len() as f64 * share) as usize;
        let start = (self.base * self.workers as f64) as i64;
        let known = |step: &Step| {
            let at: usize = step.path.parse().ok()?;
            self.known[at]
        };
        let seen_peak = done.checked_sub(1).map_or(start as f64, |at| peaks[at]);
        let peak = peaks.last().copied().unwrap_or(0.0);
        // Between what was held and what will be: where it matters.
        let chance = &mut Chance(self.seed + 7);
        let limit = seen_peak + (peak - seen_peak).max(20.0 * MIB) * chance.between(0.2, 1.6);
        let crossed = peaks[done..].iter().position(|peak| *peak > limit);
        // In the order of the list: who of the workers ends what when is not known.
        let ended = &order[..done];
        let mut left: Vec<usize> = (0..self.files.len())
            .filter(|at| !ended.contains(at))
            .collect();
        left.sort_unstable();
        let highest = |files: &[usize]| {
            files
                .iter()
                .map(|at| self.files[*at].above)
                .fold(0.0, f64::max)
        };
        let all_known = left.iter().all(|at| self.known[*at].is_some());
        Cut {
            held_bytes: all[..done].last().map_or(start, |step| step.after_bytes),
            steps: all[..done]
                .iter()
                .map(|step| (step.clone(), known(step)))
                .collect(),
            seen_peak_bytes: seen_peak as i64,
            workers: self.workers,
            ahead: left.iter().map(|at| self.known[*at]).collect(),
            peak_bytes: peak as i64,
            limit_bytes: limit as i64,
            crossed,
            holds_nothing_unseen: all_known || highest(&left) <= highest(ended),
        }
    }
}

/// What a worker does.
#[derive(Debug, Clone)]
struct Worker {
    held: f64,
    noise: f64,
    file: Option<usize>,
    since: f64,
    until: f64,
    /// When the file goes up, and when down again.
    spike: (f64, f64),
}

/// A run, file by file.
struct Run<'a> {
    suite: &'a Suite,
    chance: Chance,
    workers: Vec<Worker>,
    next: usize,
    now: f64,
    peak: f64,
    steps: Steps,
}

impl<'a> Run<'a> {
    fn of(suite: &'a Suite) -> Self {
        let mut run = Self {
            suite,
            chance: Chance(suite.seed ^ 0xfeed),
            workers: vec![
                Worker {
                    held: suite.base,
                    noise: 0.0,
                    file: None,
                    since: 0.0,
                    until: 0.0,
                    spike: (0.0, 0.0),
                };
                suite.workers
            ],
            next: 0,
            now: 0.0,
            peak: 0.0,
            steps: Steps::default(),
        };
        for at in 0..suite.workers {
            run.begin(at);
        }
        run
    }

    fn begin(&mut self, worker: usize) {
        let file = self.suite.files.get(self.next);
        let worker = &mut self.workers[worker];
        worker.file = file.map(|_| self.next);
        let Some(file) = file else { return };
        self.next += 1;
        worker.since = self.now;
        worker.until = self.now + file.duration;
        let from = self.now + file.duration * 0.6 * self.chance.next();
        worker.spike = (from, from + file.duration * self.chance.between(0.1, 0.4));
    }

    fn held_at(&self, worker: &Worker, t: f64) -> f64 {
        let held = worker.held + worker.noise;
        let Some(at) = worker.file else { return held };
        let file = &self.suite.files[at];
        let (retained, above) = (file.retained, file.above);
        match t {
            t if t < worker.spike.0 => held,
            t if t < worker.spike.1 => held + retained + above,
            _ => held + retained,
        }
    }

    /// The next file ends.
    fn step(&mut self) -> bool {
        let running = |it: &(usize, &Worker)| it.1.file.is_some();
        let next = self.workers.iter().enumerate().filter(running);
        let next = next.min_by(|a, b| a.1.until.total_cmp(&b.1.until));
        let Some((at, _)) = next else { return false };
        let until = self.workers[at].until;
        // Memory changes where somebody goes up or down.
        let mut moments: Vec<f64> = self
            .workers
            .iter()
            .flat_map(|worker| [worker.spike.0, worker.spike.1, worker.since])
            .filter(|t| *t >= self.now && *t < until)
            .collect();
        moments.push(until);
        let mut highest: f64 = 0.0;
        for t in moments {
            let sum: f64 = self.workers.iter().map(|it| self.held_at(it, t)).sum();
            highest = highest.max(sum);
        }
        self.peak = self.peak.max(highest);
        self.now = until;
        let worker = &mut self.workers[at];
        let Some(file) = worker.file else {
            return false;
        };
        let start = worker.held + worker.noise;
        let of_file = &self.suite.files[file];
        worker.held += of_file.retained;
        // Now and then a file leaves something for the next to free.
        let left = match self.chance.next() < 0.03 {
            true => self.chance.between(0.0, 20.0) * MIB,
            false => 0.0,
        };
        worker.noise = self.suite.noise * self.chance.normal() + left;
        let end = worker.held + worker.noise;
        self.steps.holds(highest as i64);
        self.steps.ended(&Ended {
            process: at as u32,
            path: &file.to_string(),
            start_bytes: start as i64,
            end_bytes: end as i64,
            peak_bytes: (start.max(start + of_file.retained) + of_file.above) as i64,
            tests: 1,
        });
        self.peak = self.peak.max(end);
        self.begin(at);
        true
    }
}
