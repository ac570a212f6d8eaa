//! Test files of two sides, pair by pair.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{
    ComparedFigure, ComparedFile, FileChange, FileComparison, FileCounts,
};

use super::{CHILDREN_BYTES, NOISE_BYTES, Side, beyond_noise, moved};

/// Paths that ran on one side and of which the other knows nothing: they may have moved.
#[must_use]
pub fn only_here(one: &Side, other: &Side) -> BTreeSet<String> {
    paths_only_in(one, other).map(str::to_owned).collect()
}

fn paths_only_in<'a>(one: &'a Side, other: &'a Side) -> impl Iterator<Item = &'a str> {
    let ran = one.files.iter().filter(|(_, figures)| figures.is_some());
    ran.map(|(path, _)| path.as_str())
        .filter(|path| !other.files.contains_key(*path))
}

/// Every file that ran on either side, those that changed most first.
pub(super) fn compare(before: &Side, after: &Side) -> Vec<FileComparison> {
    let gone: Vec<&str> = paths_only_in(before, after).collect();
    let came: Vec<&str> = paths_only_in(after, before).collect();
    let moved = moved::pairs((&before.tests, gone), (&after.tests, came));
    let left: BTreeSet<&str> = moved.values().copied().collect();
    let paths: BTreeSet<&str> = [before, after]
        .iter()
        .flat_map(|side| side.files.keys())
        .map(String::as_str)
        .filter(|path| !left.contains(path))
        .collect();
    let pair = |path: &str| pair(before, after, path, &moved);
    let mut files: Vec<FileComparison> = paths.into_iter().filter_map(pair).collect();
    // Paths are in order already, and those alike stay in it.
    files.sort_by_key(|file| std::cmp::Reverse(weight(file)));
    files
}

fn pair(
    before: &Side,
    after: &Side,
    path: &str,
    moved: &BTreeMap<&str, &str>,
) -> Option<FileComparison> {
    let from = moved.get(path).copied();
    let was = before.files.get(from.unwrap_or(path));
    let is = after.files.get(path);
    let (one, other) = (was.copied().flatten(), is.copied().flatten());
    let beyond_noise = match (&one, &other) {
        (Some(one), Some(other)) => beyond(one, other),
        _ => Vec::new(),
    };
    let change = match (&one, &other) {
        (None, None) => return None,
        (None, Some(_)) if was.is_some() || before.is_cut_short() => FileChange::NotRunBefore,
        (None, Some(_)) => FileChange::New,
        (Some(_), None) if is.is_some() || after.is_cut_short() => FileChange::NotRunAfter,
        (Some(_), None) => FileChange::Gone,
        (Some(_), Some(_)) if from.is_some() => FileChange::Moved,
        (Some(_), Some(_)) if beyond_noise.is_empty() => FileChange::Alike,
        (Some(_), Some(_)) => FileChange::Changed,
    };
    let changed_by = |figure: Figure| {
        let (one, other) = (one.as_ref()?, other.as_ref()?);
        Some(figure(other).saturating_sub(figure(one)))
    };
    Some(FileComparison {
        path: path.to_owned(),
        moved_from: from.map(str::to_owned),
        change,
        beyond_noise,
        retained_change_bytes: changed_by(|file| file.retained_bytes),
        tree_spike_change_bytes: changed_by(|file| file.tree_spike_bytes),
        before: one,
        after: other,
    })
}

/// A figure of a test file.
type Figure = fn(&ComparedFile) -> i64;

const FIGURES: [(ComparedFigure, Figure); 3] = [
    (ComparedFigure::Retained, |file| file.retained_bytes),
    (ComparedFigure::TreeSpike, |file| file.tree_spike_bytes),
    (ComparedFigure::Import, |file| file.import_bytes),
];

/// The figures that changed by more than noise. Of a file that was cut short they are lower bounds: only what the other one passes them by is known.
fn beyond(before: &ComparedFile, after: &ComparedFile) -> Vec<ComparedFigure> {
    let has_children = [before, after].iter().any(|file| {
        let children = file.tree_spike_bytes.saturating_sub(file.spike_bytes);
        children > NOISE_BYTES
    });
    let allowed = |figure: ComparedFigure| match figure {
        ComparedFigure::TreeSpike if has_children => CHILDREN_BYTES,
        ComparedFigure::Retained if is_of_children(before, after) => CHILDREN_BYTES,
        _ => 0,
    };
    let is_known = |name: ComparedFigure, one: i64, other: i64| {
        beyond_noise(one, other, allowed(name))
            && (other > one || !after.censored)
            && (other < one || !before.censored)
    };
    FIGURES
        .iter()
        .filter(|(name, figure)| is_known(*name, figure(before), figure(after)))
        .map(|(name, _)| *name)
        .collect()
}

/// Whether what changed of what a file retained is what children were measured to hold that were there both times: what the workers themselves retained is
/// exact, and a child that is there on one side only is a change.
fn is_of_children(before: &ComparedFile, after: &ComparedFile) -> bool {
    let has_children = |file: &ComparedFile| {
        let held = file.children_retained_bytes.saturating_abs();
        file.children_start_bytes.max(held) > NOISE_BYTES
    };
    let own = |file: &ComparedFile| {
        let children = file.children_retained_bytes;
        file.retained_bytes.saturating_sub(children)
    };
    has_children(before) && has_children(after) && !beyond_noise(own(before), own(after), 0)
}

/// What a file is put in order by: what it changed, by more than noise first; one that ran on one side only by what it takes there.
fn weight(file: &FileComparison) -> (bool, u64) {
    let figure = |of: &Option<ComparedFile>, figure: Figure| of.as_ref().map_or(0, figure);
    let changes = FIGURES
        .iter()
        .map(|(_, of)| figure(&file.after, *of).abs_diff(figure(&file.before, *of)));
    let is_one_sided = file.before.is_none() || file.after.is_none();
    let is_told = !file.beyond_noise.is_empty() || is_one_sided;
    (is_told, changes.max().unwrap_or(0))
}

pub(super) fn count(files: &[FileComparison]) -> FileCounts {
    let mut counts = FileCounts::default();
    for file in files {
        let count = match file.change {
            FileChange::New => &mut counts.new,
            FileChange::Gone => &mut counts.gone,
            FileChange::Moved => &mut counts.moved,
            FileChange::Changed => &mut counts.changed,
            FileChange::Alike => &mut counts.alike,
            FileChange::NotRunBefore => &mut counts.not_run_before,
            FileChange::NotRunAfter => &mut counts.not_run_after,
        };
        *count += 1;
    }
    counts
}
