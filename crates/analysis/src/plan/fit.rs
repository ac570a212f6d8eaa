//! Which file goes into which job.

use super::{File, Ground, Group, key, order, peak, top};

/// So many exchanges between jobs are tried at most: what is left between the longest and the others then is little.
const MOST_TRIES: usize = 100_000;

/// Files that go into one job: one, or those that stay together. In the order with the lowest peak.
#[derive(Debug, Clone)]
pub(super) struct Unit<'a> {
    files: Vec<&'a File>,
}

impl<'a> Unit<'a> {
    pub(super) fn files(&self) -> &[&'a File] {
        &self.files
    }

    pub(super) fn retained_bytes(&self) -> i64 {
        self.files.iter().map(|file| file.retained_bytes).sum()
    }

    /// What it takes above the level at most.
    fn top(&self) -> i64 {
        match &self.files[..] {
            [file] => top(file),
            files => peak(0, files),
        }
    }

    fn duration_us(&self) -> i64 {
        self.files.iter().map(|file| file.duration_us).sum()
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
            order(&mut members);
            units.push(Unit { files: members });
        }
    }
    let single = files.iter().zip(is_grouped).filter(|(_, taken)| !taken);
    units.extend(single.map(|(file, _)| Unit { files: vec![file] }));
    units
}

/// The files of one job, always in the order with the lowest peak.
#[derive(Debug, Clone)]
pub(super) struct Bin<'a, 'u> {
    ground: Ground,
    units: Vec<&'u Unit<'a>>,
    pub(super) files: Vec<&'a File>,
}

impl<'a, 'u> Bin<'a, 'u> {
    pub(super) fn peak(&self) -> i64 {
        self.ground.peak(&self.files)
    }

    /// What its files take one after another, µs.
    fn work_us(&self) -> i64 {
        self.files.iter().map(|file| file.duration_us).sum()
    }

    fn with(&self, unit: &'u Unit<'a>) -> Self {
        let mut with = self.clone();
        for file in &unit.files {
            let at = with.files.partition_point(|other| key(other) <= key(file));
            with.files.insert(at, file);
        }
        with.units.push(unit);
        with
    }

    fn without(&self, at: usize) -> Self {
        let mut without = self.clone();
        let unit = without.units.remove(at);
        let is_of_it = |file: &&'a File| unit.files.iter().any(|it| std::ptr::eq(*it, *file));
        without.files.retain(|file| !is_of_it(file));
        without
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
    let empty = Bin {
        ground,
        units: Vec::new(),
        files: Vec::new(),
    };
    let by = |size: fn(&Unit<'a>) -> i64| {
        let mut units: Vec<&'u Unit<'a>> = units.iter().collect();
        units.sort_by(|one, other| {
            size(other)
                .cmp(&size(one))
                .then_with(|| one.path().cmp(other.path()))
        });
        units
    };
    let orders = [
        by(Unit::retained_bytes),
        by(|unit| unit.retained_bytes().max(unit.top())),
    ];
    // The emptiest job leaves all about alike; the fullest that still takes a file leaves most room in the others.
    for units in &orders {
        for emptiest in [true, false] {
            let mut bins = vec![empty.clone(); jobs];
            let mut place = |unit: &&'u Unit<'a>| {
                let fitting = bins.iter().enumerate().filter_map(|(at, bin)| {
                    let with = bin.with(unit);
                    let (peak, work_us) = (with.peak(), with.work_us());
                    (peak <= budget_bytes).then_some((at, with, (peak, work_us)))
                });
                // What retains nothing goes where the least time is taken.
                let found = match emptiest {
                    true => fitting.min_by_key(|(at, _, size)| (*size, *at)),
                    false => fitting.max_by_key(|(at, _, size)| (*size, std::cmp::Reverse(*at))),
                };
                let Some((at, with, _)) = found else {
                    return false;
                };
                bins[at] = with;
                true
            };
            if units.iter().all(&mut place) {
                return Some(bins);
            }
        }
    }
    None
}

/// Makes durations alike, inside the budget: moves what goes together out of a long job, or exchanges it, as long as that makes the longer of the
/// two shorter; the longest job that this is possible for first.
pub(super) fn balance(bins: &mut [Bin<'_, '_>], budget_bytes: i64) {
    let mut tries = 0;
    loop {
        let mut longest: Vec<usize> = (0..bins.len()).collect();
        longest.sort_by_key(|at| std::cmp::Reverse(bins[*at].work_us()));
        let exchange = longest.into_iter().find_map(|at| {
            let (other, from, to) = better(bins, at, budget_bytes, &mut tries)?;
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
    tries: &mut usize,
) -> Option<(usize, Bin<'a, 'u>, Bin<'a, 'u>)> {
    let long = &bins[longest];
    let mut best = None;
    let mut most_us = long.work_us();
    let shorter = |(at, bin): &(usize, &Bin<'a, 'u>)| *at != longest && bin.work_us() < most_us;
    let shorter: Vec<(usize, &Bin<'a, 'u>)> = bins.iter().enumerate().filter(shorter).collect();
    for (at, bin) in shorter {
        let (long_us, bin_us) = (long.work_us(), bin.work_us());
        for (out, unit) in long.units.iter().enumerate() {
            // Nothing comes back, or what takes less time.
            let back = bin.units.iter().enumerate().map(Some);
            for back in std::iter::once(None).chain(back) {
                let moved_us = unit.duration_us() - back.map_or(0, |(_, unit)| unit.duration_us());
                let longer_us = (long_us - moved_us).max(bin_us + moved_us);
                if longer_us >= most_us || *tries >= MOST_TRIES {
                    continue;
                }
                *tries += 1;
                let (mut from, mut to) = (long.without(out), bin.clone());
                if let Some((back, other)) = back {
                    (from, to) = (from.with(other), to.without(back));
                }
                to = to.with(unit);
                if from.peak().max(to.peak()) <= budget_bytes {
                    most_us = longer_us;
                    best = Some((at, from, to));
                }
            }
        }
    }
    best
}
