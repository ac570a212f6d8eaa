//! What moved from one file to another. Which file imports a library late, or fills a cache first, changes with the order under xdist: what one file holds more
//! another holds less, or in the jobs before another held. In one process the order is the same each time: what one file holds less there is no reason for what another holds more, unless
//! one of both has another name since the job before, or is gone, so that another comes first.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::JobReport;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::{Before, FileFigures, OneRun, is_cut_short};
use crate::{
    changepoint,
    regression::{LEAST_CHANGE_BYTES, LEAST_JOBS, LEAST_NOISE_BYTES, least_change},
    robust,
};

/// A change came from others where these changed by this share of it the other way, all together.
pub const LEAST_NET: f64 = 0.6;
/// A job in which more than this part of the files is missing ran a part of the suite: none of them is gone.
pub const MOST_GONE: f64 = 0.25;
/// What files of several jobs hold more is the same where the one is at least this share of the other.
pub const LEAST_SHARE: f64 = 0.8;
/// What now this file and now that one holds is no one's where this share of the jobs before had it elsewhere.
pub const FLOATS: f64 = 0.5;
/// And where by chance, from the noise of all other files together, so many jobs had it elsewhere with this probability at the most: of many files some file often lies anywhere.
pub const FLOATS_BY_CHANCE: f64 = 0.01;

/// How the files of a job, and of each job of the baseline, lie beside their levels: by how much, bytes, where that is much.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    now: Vec<(String, f64)>,
    before: Vec<Vec<(String, f64)>>,
    /// How far each file lies from its levels without a reason, bytes.
    noise: Vec<(String, f64)>,
    order: Order,
}

/// What the order in which files run hangs on.
#[derive(Debug, Clone, Default)]
pub(super) enum Order {
    /// On chance, as workers share them.
    #[default]
    OfChance,
    /// On what they are called, and on which there are, as one process runs each in its turn.
    OfNames(Names),
}

/// What became of the names of files since the job before, so that another may come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Those that have another name since.
    renamed: BTreeSet<String>,
    /// Session of each file of this job, and when it began there, µs.
    began: BTreeMap<String, (u32, i64)>,
    /// Those that are gone since, with what they retained, bytes.
    gone: Vec<(String, f64)>,
}

impl Order {
    /// Of a job whose files one process ran.
    pub(super) fn of_names(
        job: &JobReport,
        run: &OneRun,
        before: &[Before],
        earlier: &[BTreeMap<String, FileFigures>],
    ) -> Self {
        let renamed = before.last().map(|it| it.renamed.clone());
        // Those of a shard may be in another one.
        let knows_gone = !is_cut_short(job) && job.shard.is_none();
        Self::OfNames(Names {
            renamed: renamed.unwrap_or_default(),
            began: run.began.clone(),
            gone: match knows_gone {
                true => gone(run, earlier),
                false => Vec::new(),
            },
        })
    }
}

impl Names {
    /// Whether one of both files has another name since, and the first began before the other.
    fn changed_places(&self, first: &str, later: &str) -> bool {
        let began = self.began.get(first).zip(self.began.get(later));
        began.is_some_and(|(first, later)| first.0 == later.0 && first.1 < later.1)
            && (self.renamed.contains(first) || self.renamed.contains(later))
    }
}

/// Files of the newest of the earlier jobs that are there no more, and what they retained, bytes; none where so many are missing that the job ran a part of the suite.
fn gone(run: &OneRun, earlier: &[BTreeMap<String, FileFigures>]) -> Vec<(String, f64)> {
    let newest = earlier.last().into_iter().flat_map(BTreeMap::keys);
    let gone: Vec<&String> = newest.filter(|path| !run.known.contains(*path)).collect();
    let had = earlier.last().map_or(0, BTreeMap::len);
    if gone.len() as f64 > MOST_GONE * had as f64 {
        return Vec::new();
    }
    let level = |path: &String| {
        let had = earlier.iter().filter_map(|files| files.get(path));
        let had = had.filter(|file| file.is_whole);
        let values: Vec<f64> = had.map(|file| file.retained_bytes as f64).collect();
        let levels = changepoint::levels(&values, LEAST_CHANGE_BYTES / 2.0);
        levels
            .last()
            .filter(|_| values.len() >= LEAST_JOBS)
            .map(|level| level.value)
    };
    let retained = gone
        .into_iter()
        .filter_map(|path| Some((path.clone(), level(path)?)));
    retained
        .filter(|(_, bytes)| *bytes >= LEAST_CHANGE_BYTES)
        .collect()
}

impl Moved {
    pub(super) fn of(
        files: &BTreeMap<String, FileFigures>,
        earlier: &[BTreeMap<String, FileFigures>],
        order: Order,
    ) -> Self {
        let mut moved = Self {
            now: Vec::new(),
            before: vec![Vec::new(); earlier.len()],
            noise: Vec::new(),
            order,
        };
        for file in files.values().filter(|file| file.is_whole) {
            let had = earlier.iter().enumerate();
            let had = had.filter_map(|(at, files)| Some((at, files.get(&file.path)?)));
            let had = had.filter(|(_, file)| file.is_whole);
            let (places, values): (Vec<usize>, Vec<f64>) = had
                .map(|(at, file)| (at, file.retained_bytes as f64))
                .unzip();
            if values.len() < LEAST_JOBS {
                continue;
            }
            let floor = least_change(file.size_bytes());
            let levels = changepoint::levels(&values, floor / 2.0);
            let mut away = Vec::with_capacity(values.len());
            for level in &levels {
                for at in level.from..level.to {
                    away.push(values[at] - level.value);
                    note(
                        &mut moved.before[places[at]],
                        file,
                        values[at] - level.value,
                    );
                }
            }
            // What less than half of the jobs had beside the rest is no part of this noise, so that a figure that floats is none.
            let noise = robust::spread(&away).max(LEAST_NOISE_BYTES);
            moved.noise.push((file.path.clone(), noise));
            if let Some(level) = levels.last() {
                note(
                    &mut moved.now,
                    file,
                    file.retained_bytes as f64 - level.value,
                );
            }
        }
        moved
    }

    /// Whether files that this one changed places with, or that are gone, held about as much as it holds more, or the other way round, and no third has it now.
    fn is_reordered(&self, names: &Names, path: &str, change_bytes: f64) -> bool {
        // Whichever comes first holds it now.
        let changed_places = |other: &str| match change_bytes > 0.0 {
            true => names.changed_places(path, other),
            false => names.changed_places(other, path),
        };
        let is_passed_on = |by: &f64| is_like(-by, change_bytes);
        let others = self.now.iter().filter(|(other, _)| other != path);
        let beside = others.filter_map(|(other, by)| {
            let is_alike = *by * change_bytes > 0.0;
            (is_alike || is_passed_on(by) && changed_places(other)).then_some(*by)
        });
        // pytest goes through the files of a folder in the order of their names.
        let came_before = names.gone.iter().filter(|(gone, _)| gone.as_str() < path);
        let gone = came_before.map(|(_, bytes)| -bytes);
        let all = beside.chain(gone.filter(is_passed_on)).sum::<f64>();
        all * change_bytes.signum() <= -LEAST_NET * change_bytes.abs()
    }

    /// Whether a change of a file is one that came from another, or went to it.
    pub(super) fn explains(&self, path: &str, change_bytes: f64) -> bool {
        let others = |job: &[(String, f64)], is: &dyn Fn(f64) -> bool| {
            job.iter().any(|(other, by)| other != path && is(*by))
        };
        let is_like = |by: f64| is_like(by, change_bytes);
        let had = self
            .before
            .iter()
            .filter(|job| others(job, &is_like))
            .count();
        let came_from_others = match &self.order {
            Order::OfChance => {
                // What the others gained or lost together: a fall that went to a third file is not this one's.
                let beside = self.now.iter().filter(|(other, _)| other != path);
                let beside = beside.map(|(_, by)| by * change_bytes.signum());
                beside.sum::<f64>() <= -LEAST_NET * change_bytes.abs()
            }
            Order::OfNames(names) => self.is_reordered(names, path, change_bytes),
        };
        came_from_others
            || had as f64 >= FLOATS * self.before.len().max(1) as f64
                && self.is_no_chance(had, path, change_bytes)
    }

    /// Whether noise of the other files does not explain that so many jobs had a like change elsewhere.
    fn is_no_chance(&self, had: usize, path: &str, change_bytes: f64) -> bool {
        let least = LEAST_SHARE * change_bytes.abs().max(LEAST_CHANGE_BYTES);
        let most = change_bytes.abs() / LEAST_SHARE;
        let normal = Normal::standard();
        let others = self.noise.iter().filter(|(other, _)| other != path);
        let none: f64 = others
            .map(|(_, noise)| 1.0 - (normal.sf(least / noise) - normal.sf(most / noise)).max(0.0))
            .product();
        let jobs = Binomial::new(1.0 - none, self.before.len() as u64);
        // So many or more.
        let by_chance = jobs.map(|jobs| match had.checked_sub(1) {
            Some(fewer) => jobs.sf(fewer as u64),
            None => 1.0,
        });
        by_chance.is_ok_and(|chance| chance <= FLOATS_BY_CHANCE)
    }
}

/// Whether a change is about as much as another.
fn is_like(by: f64, change_bytes: f64) -> bool {
    let share = by / change_bytes;
    (LEAST_SHARE..=1.0 / LEAST_SHARE).contains(&share)
}

fn note(job: &mut Vec<(String, f64)>, file: &FileFigures, by: f64) {
    if by.abs() >= LEAST_SHARE * LEAST_CHANGE_BYTES {
        job.push((file.path.clone(), by));
    }
}

#[cfg(test)]
mod tests;
