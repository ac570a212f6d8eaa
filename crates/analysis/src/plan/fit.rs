//! Which file goes into which job.

use super::{File, key, peak};

/// So many exchanges between jobs are tried at most: what is left between the longest and the others then is little.
const MOST_TRIES: usize = 100_000;

/// The files of one job, always in the order with the lowest peak.
#[derive(Debug, Clone)]
pub(super) struct Bin<'a> {
    base_bytes: i64,
    pub(super) files: Vec<&'a File>,
}

impl<'a> Bin<'a> {
    pub(super) fn peak(&self) -> i64 {
        peak(self.base_bytes, &self.files)
    }

    pub(super) fn duration_us(&self) -> i64 {
        self.files.iter().map(|file| file.duration_us).sum()
    }

    fn with(&self, file: &'a File) -> Self {
        let mut with = self.clone();
        let at = with.files.partition_point(|other| key(other) <= key(file));
        with.files.insert(at, file);
        with
    }

    fn without(&self, at: usize) -> Self {
        let mut without = self.clone();
        without.files.remove(at);
        without
    }
}

/// Puts all files into so many jobs inside a budget; `None` where none of the ways that are tried does. What retains most goes first, as in
/// packing by falling size.
pub(super) fn into<'a>(
    base_bytes: i64,
    files: &'a [File],
    budget_bytes: i64,
    jobs: usize,
) -> Option<Vec<Bin<'a>>> {
    let empty = Bin {
        base_bytes,
        files: Vec::new(),
    };
    let by = |size: fn(&File) -> i64| {
        let mut files: Vec<&'a File> = files.iter().collect();
        files.sort_by(|one, other| {
            size(other)
                .cmp(&size(one))
                .then_with(|| one.path.cmp(&other.path))
        });
        files
    };
    let orders = [
        by(|file| file.retained_bytes),
        by(|file| file.retained_bytes.max(file.spike_bytes)),
    ];
    // The emptiest job leaves all about alike; the fullest that still takes a file leaves most room in the others.
    for files in &orders {
        for emptiest in [true, false] {
            let mut bins = vec![empty.clone(); jobs];
            let mut place = |file: &&'a File| {
                let fitting = bins.iter().enumerate().filter_map(|(at, bin)| {
                    let with = bin.with(file);
                    let (peak, duration_us) = (with.peak(), with.duration_us());
                    (peak <= budget_bytes).then_some((at, with, (peak, duration_us)))
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
            if files.iter().all(&mut place) {
                return Some(bins);
            }
        }
    }
    None
}

/// Makes durations alike, inside the budget: moves a file out of a long job, or exchanges it for another, as long as that makes the longer of the
/// two shorter; the longest job that this is possible for first.
pub(super) fn balance(bins: &mut [Bin<'_>], budget_bytes: i64) {
    let mut tries = 0;
    loop {
        let mut longest: Vec<usize> = (0..bins.len()).collect();
        longest.sort_by_key(|at| std::cmp::Reverse(bins[*at].duration_us()));
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
fn better<'a>(
    bins: &[Bin<'a>],
    longest: usize,
    budget_bytes: i64,
    tries: &mut usize,
) -> Option<(usize, Bin<'a>, Bin<'a>)> {
    let long = &bins[longest];
    let mut best = None;
    let mut most_us = long.duration_us();
    let shorter = |(at, bin): &(usize, &Bin<'a>)| *at != longest && bin.duration_us() < most_us;
    let shorter: Vec<(usize, &Bin<'a>)> = bins.iter().enumerate().filter(shorter).collect();
    for (at, bin) in shorter {
        let (long_us, bin_us) = (long.duration_us(), bin.duration_us());
        for (out, file) in long.files.iter().enumerate() {
            // Nothing comes back, or one that takes less time.
            let back = bin.files.iter().enumerate().map(Some);
            for back in std::iter::once(None).chain(back) {
                let moved_us = file.duration_us - back.map_or(0, |(_, file)| file.duration_us);
                let longer_us = (long_us - moved_us).max(bin_us + moved_us);
                if longer_us >= most_us || *tries >= MOST_TRIES {
                    continue;
                }
                *tries += 1;
                let (mut from, mut to) = (long.without(out), bin.clone());
                if let Some((back, other)) = back {
                    (from, to) = (from.with(other), to.without(back));
                }
                to = to.with(file);
                if from.peak().max(to.peak()) <= budget_bytes {
                    most_us = longer_us;
                    best = Some((at, from, to));
                }
            }
        }
    }
    best
}
