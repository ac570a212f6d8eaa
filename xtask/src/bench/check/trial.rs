//! What is counted: steps that were found, clean jobs that were told to be worse, changes on their commit.

use std::collections::{BTreeMap, BTreeSet};

use highwater_analysis::{chance::Chance, changepoint, regression};

use super::{
    histories::{History, Job, Kind, Maker},
    judges,
};

/// The steps that are to be found are of this part of the file's tree peak, …
const STEP_SHARE: f64 = 0.1;
/// … so many bytes, or …
const STEP_BYTES: f64 = 20e6;
/// … so many standard deviations of the figure, whichever is the most.
const STEP_DEVIATIONS: f64 = 6.0;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) of: u64,
    pub(super) had: u64,
}

impl Part {
    pub(super) fn add(&mut self, has: bool) {
        self.of += 1;
        self.had += u64::from(has);
    }

    pub(super) fn share(self) -> f64 {
        self.had as f64 / self.of.max(1) as f64
    }
}

/// How a job is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    Once,
    /// Once, and the files that were told again (`--confirm`).
    Confirmed,
    /// Twice, and of each figure the mean is taken.
    Mean,
}

/// A history with a step in one file of the newest job.
pub(super) struct Stepped {
    pub(super) history: History,
    pub(super) path: String,
    pub(super) kind: Kind,
    /// How much a step must be that is to be found, bytes.
    pub(super) bytes: i64,
}

impl Stepped {
    /// A history, and a file of it in which there is no step yet.
    pub(super) fn next(maker: &Maker<'_>, chance: &mut Chance) -> Option<Self> {
        let history = maker.history(chance);
        let last = history.steady.len().checked_sub(1)?;
        let (path, apart) = history.steady[chance.whole(0, last)].clone();
        let kind = [Kind::Retained, Kind::Spike][chance.whole(0, 1)];
        let peak = history.now.file(&path)?.tree_peak_bytes as f64;
        let deviation = apart[usize::from(kind == Kind::Spike)];
        let bytes = (STEP_SHARE * peak)
            .max(STEP_BYTES)
            .max(STEP_DEVIATIONS * deviation) as i64;
        Some(Self {
            history,
            path,
            kind,
            bytes,
        })
    }

    /// The newest job with a step of so many bytes.
    pub(super) fn job(&self, bytes: i64, measured: Measured) -> Job {
        let once = self.with_step(&self.history.now, bytes);
        match measured {
            Measured::Once | Measured::Confirmed => once,
            Measured::Mean => once.with(&self.again(bytes), i64::midpoint),
        }
    }

    /// Its second measurement.
    fn again(&self, bytes: i64) -> Job {
        self.with_step(&self.history.again, bytes)
    }

    fn with_step(&self, job: &Job, bytes: i64) -> Job {
        let mut job = job.clone();
        job.step(&self.path, self.kind, bytes);
        job
    }

    /// Whether `check` finds a step of so many bytes in that file.
    pub(super) fn is_found(&self, bytes: i64, measured: Measured) -> bool {
        let now = self.job(bytes, measured);
        let before = &self.history.before;
        let told = match measured {
            Measured::Confirmed => judges::confirmed(before, &now, &self.again(bytes)),
            Measured::Once | Measured::Mean => judges::highwater(before, &now),
        };
        judges::has(&told, &self.path)
    }

    /// The series of the figure with the step at a place that leaves two jobs at least on its either side, the place, and what is too little to be a change.
    pub(super) fn series(&self, chance: &mut Chance) -> (Vec<f64>, usize, f64) {
        let mut values = judges::values(&self.history.before, &self.path, |it| self.kind.of(it));
        let at = chance.whole(regression::LEAST_JOBS, values.len() - 2);
        for value in &mut values[at..] {
            *value += self.bytes as f64;
        }
        let file = self.history.now.file(&self.path);
        // Levels that differ by less are one.
        let least = file.map_or(0.0, |file| {
            regression::least_change(file.size_bytes()) / 2.0
        });
        (values, at, least)
    }
}

/// Where a series changes.
pub(super) fn changes(values: &[f64], least: f64) -> Vec<usize> {
    let levels = changepoint::levels(values, least);
    levels.iter().skip(1).map(|level| level.from).collect()
}

/// What `check` does on histories.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Steps that were found on the first job.
    pub(super) found: Part,
    /// Clean jobs that were told to be worse.
    pub(super) alarms: Part,
    /// The same with `--confirm`.
    pub(super) confirmed_alarms: Part,
    /// Changes on their very commit.
    pub(super) exact: Part,
    /// In how many clean jobs each file was told; the job itself has no path.
    pub(super) told: BTreeMap<String, u64>,
    /// Steps that were found, by their bytes.
    pub(super) power: Vec<(i64, Measured, Part)>,
}

pub(super) const SIZES: [i64; 4] = [2_000_000, 5_000_000, 10_000_000, 20_000_000];
pub(super) const MEASURED: [Measured; 3] = [Measured::Once, Measured::Confirmed, Measured::Mean];

/// Tries so many steps and so many clean jobs.
pub(super) fn figures(
    maker: &Maker<'_>,
    steps: usize,
    clean: usize,
    chance: &mut Chance,
) -> Figures {
    let mut figures = Figures::default();
    for bytes in SIZES {
        figures
            .power
            .extend(MEASURED.map(|it| (bytes, it, Part::default())));
    }
    for _ in 0..steps {
        let Some(stepped) = Stepped::next(maker, chance) else {
            continue;
        };
        figures
            .found
            .add(stepped.is_found(stepped.bytes, Measured::Once));
        for (bytes, measured, part) in &mut figures.power {
            part.add(stepped.is_found(*bytes, *measured));
        }
        let (values, at, least) = stepped.series(chance);
        figures.exact.add(changes(&values, least).contains(&at));
    }
    for _ in 0..clean {
        let history = maker.history(chance);
        let told = judges::highwater(&history.before, &history.now);
        figures.alarms.add(!told.is_empty());
        let named = told.iter().map(|path| path.as_deref().unwrap_or_default());
        // Without the part of the job that it is in.
        let names: BTreeSet<&str> = named
            .map(|it| it.split_once('/').map_or(it, |(_, path)| path))
            .collect();
        for name in names {
            *figures.told.entry(name.to_owned()).or_default() += 1;
        }
        let confirmed = judges::confirmed(&history.before, &history.now, &history.again);
        figures.confirmed_alarms.add(!confirmed.is_empty());
    }
    figures
}
