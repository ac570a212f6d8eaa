//! Which file goes into which job.

use super::{File, Ground, Group, key, order, peak, top};

/// So much is looked at to make durations alike at most, in files: what is left between the longest and the others then is little.
const MOST_LOOKED_AT: usize = 10_000_000;

/// Shares of the budget that the same number of jobs is put into, the least first. A job takes some hundredths more or less than was predicted, since
/// garbage waits for longer or shorter, so it had better not end at the budget.
pub(super) const SHARES: [f64; 2] = [0.9, 0.95];
/// So much longer than without that room the longest job may take for it.
pub(super) const LONGER: f64 = 1.1;
/// Or so much longer, seconds: less than a job of a CI takes to begin.
pub(super) const LONGER_S: i64 = 30;

/// Files that go into one job: one, or those that stay together. In the order with the lowest peak.
#[derive(Debug, Clone)]
pub(super) struct Unit<'a> {
    files: Vec<&'a File>,
    retained_bytes: i64,
    /// What it takes above the level at most.
    top_bytes: i64,
    work_us: i64,
}

impl<'a> Unit<'a> {
    pub(super) fn of(mut files: Vec<&'a File>) -> Self {
        order(&mut files);
        Self {
            retained_bytes: files.iter().map(|file| file.retained_bytes).sum(),
            top_bytes: peak(0, &files),
            work_us: files.iter().map(|file| file.duration_us).sum(),
            files,
        }
    }

    pub(super) fn files(&self) -> &[&'a File] {
        &self.files
    }

    pub(super) fn retained_bytes(&self) -> i64 {
        self.retained_bytes
    }

    fn path(&self) -> &str {
        self.files.first().map_or("", |file| &file.path)
    }
}

/// What goes into jobs: each group, and each file of none.
pub(super) fn units<'a>(files: &'a [File], groups: &[Group]) -> Vec<Unit<'a>> {
    let mut is_grouped = vec![false; files.len()];
    let mut units = Vec::with_capacity(files.len());
    for group in groups {
        let mut members: Vec<&'a File> = Vec::with_capacity(group.files.len());
        for at in &group.files {
            if let (Some(file), Some(taken)) = (files.get(*at), is_grouped.get_mut(*at))
                && !std::mem::replace(taken, true)
            {
                members.push(file);
            }
        }
        if !members.is_empty() {
            units.push(Unit::of(members));
        }
    }
    let single = files.iter().zip(is_grouped).filter(|(_, taken)| !taken);
    units.extend(single.map(|(file, _)| Unit::of(vec![file])));
    units
}

/// The files of one job, always in the order with the lowest peak.
#[derive(Debug, Clone)]
pub(super) struct Bin<'a, 'u> {
    ground: Ground,
    units: Vec<&'u Unit<'a>>,
    pub(super) files: Vec<&'a File>,
    work_us: i64,
    course: Course,
}

impl<'a, 'u> Bin<'a, 'u> {
    fn empty(ground: Ground) -> Self {
        Self {
            ground,
            units: Vec::new(),
            files: Vec::new(),
            work_us: 0,
            course: Course::of(ground, &[]),
        }
    }

    pub(super) fn peak(&self) -> i64 {
        self.course.peak
    }

    /// The peak with a unit more, without making it.
    fn peak_with(&self, unit: &Unit<'a>) -> i64 {
        match (&unit.files[..], self.ground.workers) {
            ([file], 0 | 1) => {
                let at = self.place_of(file);
                self.course.peak_with(at, file)
            }
            _ => {
                let mut files = self.files.clone();
                files.extend(&unit.files);
                // Among workers the order is no matter.
                if self.ground.workers <= 1 {
                    order(&mut files);
                }
                self.ground.peak(&files)
            }
        }
    }

    fn place_of(&self, file: &File) -> usize {
        self.files.partition_point(|other| key(other) <= key(file))
    }

    fn add(&mut self, unit: &'u Unit<'a>) {
        for file in &unit.files {
            self.files.insert(self.place_of(file), file);
        }
        self.units.push(unit);
        self.work_us += unit.work_us;
        self.course = Course::of(self.ground, &self.files);
    }

    /// Takes out what gives back and is not needed for the others to fit.
    pub(super) fn let_go(&mut self, budget_bytes: i64) -> Vec<Unit<'a>> {
        let mut gone = Vec::new();
        let gives_back = |unit: &&Unit<'a>| unit.retained_bytes < 0;
        for at in (0..self.units.len()).rev() {
            if self.units.get(at).is_some_and(gives_back) {
                let without = self.exchanged(Some(at), None);
                if without.peak() <= budget_bytes {
                    gone.push(self.units[at].clone());
                    *self = without;
                }
            }
        }
        gone
    }

    /// The job that it is with a unit less and a unit more.
    fn exchanged(&self, out: Option<usize>, unit: Option<&'u Unit<'a>>) -> Self {
        let mut exchanged = self.clone();
        if let Some(out) = out {
            let unit = exchanged.units.remove(out);
            let is_of_it = |file: &&'a File| unit.files.iter().any(|it| std::ptr::eq(*it, *file));
            exchanged.files.retain(|file| !is_of_it(file));
            exchanged.work_us -= unit.work_us;
        }
        match unit {
            Some(unit) => exchanged.add(unit),
            None => exchanged.course = Course::of(self.ground, &exchanged.files),
        }
        exchanged
    }
}

/// How the level goes in a job. For one process also at each place between two files, so that the peak with one more is known at once.
#[derive(Debug, Clone)]
struct Course {
    peak: i64,
    /// The level before each file, and at the end.
    levels: Vec<i64>,
    /// The peak up to there.
    before: Vec<i64>,
    /// The peak from there on.
    after: Vec<i64>,
}

impl Course {
    fn of(ground: Ground, files: &[&File]) -> Self {
        let mut course = Self {
            peak: 0,
            levels: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
        };
        if ground.workers > 1 {
            course.peak = ground.peak(files);
            return course;
        }
        let (mut level, mut highest) = (ground.base_bytes, ground.begin_bytes());
        for file in files {
            course.levels.push(level);
            course.before.push(highest);
            highest = highest.max(level + top(file));
            level += file.retained_bytes;
        }
        course.levels.push(level);
        course.before.push(highest);
        course.peak = highest;
        course.after = vec![i64::MIN; files.len() + 1];
        for (at, file) in files.iter().enumerate().rev() {
            course.after[at] = course.after[at + 1].max(course.levels[at] + top(file));
        }
        course
    }

    fn peak_with(&self, at: usize, file: &File) -> i64 {
        let during = self.levels[at] + top(file);
        let after = self.after[at].saturating_add(file.retained_bytes);
        self.before[at].max(during).max(after)
    }
}

/// Puts everything into so many jobs inside a budget; `None` where none of the ways that are tried does. What retains most goes first, as in
/// packing by falling size.
pub(super) fn into<'a, 'u>(
    ground: Ground,
    units: &'u [Unit<'a>],
    budget_bytes: i64,
    jobs: usize,
) -> Option<Vec<Bin<'a, 'u>>> {
    let empty = Bin::empty(ground);
    let by = |makes_room_first: bool, size: fn(&Unit<'a>) -> i64| {
        let mut units: Vec<&'u Unit<'a>> = units.iter().collect();
        let is_late = |unit: &Unit<'a>| makes_room_first && unit.retained_bytes() >= 0;
        units.sort_by(|one, other| {
            is_late(one)
                .cmp(&is_late(other))
                .then_with(|| size(other).cmp(&size(one)))
                .then_with(|| one.path().cmp(other.path()))
        });
        units
    };
    let mut orders = Vec::new();
    // What gives back makes room for the others, but only where they find it.
    let gives_back = units.iter().any(|unit| unit.retained_bytes() < 0);
    for makes_room_first in [false, true] {
        if gives_back || !makes_room_first {
            orders.push(by(makes_room_first, Unit::retained_bytes));
            orders.push(by(makes_room_first, |unit| {
                unit.retained_bytes.max(unit.top_bytes)
            }));
        }
    }
    if gives_back {
        // In the order in which one job runs them, none is in the way of those before it.
        let mut as_run: Vec<&'u Unit<'a>> = units.iter().collect();
        as_run.sort_by_key(|unit| match unit.retained_bytes < 0 {
            true => (0, unit.top_bytes, unit.path()),
            false => (1, unit.retained_bytes - unit.top_bytes, unit.path()),
        });
        orders.push(as_run);
    }
    // The emptiest job leaves all about alike; the fullest that still takes a file leaves most room in the others.
    for units in &orders {
        for emptiest in [true, false] {
            let mut bins = vec![empty.clone(); jobs];
            let mut place = |unit: &&'u Unit<'a>| {
                let fitting = bins.iter().enumerate().filter_map(|(at, bin)| {
                    let (peak, work_us) = (bin.peak_with(unit), bin.work_us + unit.work_us);
                    (peak <= budget_bytes).then_some((at, (peak, work_us)))
                });
                // What retains nothing goes where the least time is taken.
                let found = match emptiest {
                    true => fitting.min_by_key(|(at, size)| (*size, *at)),
                    false => fitting.max_by_key(|(at, size)| (*size, std::cmp::Reverse(*at))),
                };
                let Some((at, _)) = found else {
                    return false;
                };
                bins[at].add(unit);
                true
            };
            if units.iter().all(&mut place) {
                return Some(bins);
            }
        }
    }
    None
}

/// Puts everything into so many jobs of about the same duration, with the most room below the budget that does not make the longest much longer.
pub(super) fn with_room<'a, 'u>(
    ground: Ground,
    units: &'u [Unit<'a>],
    budget_bytes: i64,
    jobs: usize,
) -> Option<Vec<Bin<'a, 'u>>> {
    let inside = |share: f64| {
        let bytes = (budget_bytes as f64 * share) as i64;
        let mut bins = into(ground, units, bytes, jobs)?;
        balance(&mut bins, bytes);
        Some(bins)
    };
    let longest_us = |bins: &[Bin<'_, '_>]| {
        let durations = bins.iter().map(|bin| ground.duration_us(&bin.files));
        durations.max().unwrap_or(0) as f64
    };
    let full = inside(1.0)?;
    let longest = longest_us(&full);
    let most_us = (longest * LONGER).max(longest + LONGER_S as f64 * 1e6);
    let roomy = SHARES.into_iter().filter_map(inside);
    let found = { roomy }.find(|bins| longest_us(bins) <= most_us);
    Some(found.unwrap_or(full))
}

/// Makes durations alike, inside the budget: moves what goes together out of a long job, or exchanges it, as long as that makes the longer of the
/// two shorter; the longest job that this is possible for first.
pub(super) fn balance(bins: &mut [Bin<'_, '_>], budget_bytes: i64) {
    let mut left = MOST_LOOKED_AT;
    loop {
        let mut longest: Vec<usize> = (0..bins.len()).collect();
        longest.sort_by_key(|at| std::cmp::Reverse(bins[*at].work_us));
        let exchange = longest.into_iter().find_map(|at| {
            let (other, from, to) = better(bins, at, budget_bytes, &mut left)?;
            Some((at, other, from, to))
        });
        let Some((at, other, from, to)) = exchange else {
            return;
        };
        (bins[at], bins[other]) = (from, to);
    }
}

/// The exchange between a job and a shorter one that leaves the longer of both shortest.
fn better<'a, 'u>(
    bins: &[Bin<'a, 'u>],
    longest: usize,
    budget_bytes: i64,
    left: &mut usize,
) -> Option<(usize, Bin<'a, 'u>, Bin<'a, 'u>)> {
    let long = &bins[longest];
    let mut best = None;
    let mut most_us = long.work_us;
    let shorter = bins.iter().enumerate();
    let shorter = shorter.filter(|(at, bin)| *at != longest && bin.work_us < long.work_us);
    for (at, bin) in shorter {
        for (out, unit) in long.units.iter().enumerate() {
            // Nothing comes back, or what takes less time.
            let back = bin.units.iter().enumerate().map(Some);
            for back in std::iter::once(None).chain(back) {
                *left = left.saturating_sub(1);
                let moved_us = unit.work_us - back.map_or(0, |(_, unit)| unit.work_us);
                let longer_us = (long.work_us - moved_us).max(bin.work_us + moved_us);
                if longer_us >= most_us || *left == 0 {
                    continue;
                }
                *left = left.saturating_sub(long.files.len() + bin.files.len());
                let from = long.exchanged(Some(out), back.map(|(_, unit)| *unit));
                let to = bin.exchanged(back.map(|(at, _)| at), Some(unit));
                if from.peak().max(to.peak()) <= budget_bytes {
                    most_us = longer_us;
                    best = Some((at, from, to));
                }
            }
        }
    }
    best
}
