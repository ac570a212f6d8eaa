//! Why memory stayed: what the diagnoses of all processes found, by file and together.

use std::collections::BTreeMap;

use highwater_wire::{
    report::{Diagnosis, FileRow, Grown},
    v1,
};

use super::walk::{DiagnosisFacts, Walk};
use crate::diagnosis;

/// Gives each file its own diagnosis, and answers that of the job; none where nothing was diagnosed.
pub(super) fn take_apart(walks: &[Walk<'_>], files: &mut [FileRow]) -> Option<Diagnosis> {
    let mut job = Diagnosis::default();
    let mut of_files: BTreeMap<(u32, &str), Diagnosis> = BTreeMap::new();
    let all = || walks.iter().flat_map(|walk| &walk.diagnoses);
    all().next()?;
    for facts in all() {
        add(&mut job, facts);
        // What several files left together is nobody's alone.
        if let [path, rest @ ..] = facts.paths.as_slice()
            && rest.iter().all(|other| other == path)
        {
            add(of_files.entry((facts.session, path)).or_default(), facts);
        }
    }
    let each = of_files.iter().map(|((_, path), found)| (*path, found));
    settle(&mut job, &each.collect::<Vec<_>>());
    for row in files {
        let found = of_files.get(&(row.session, row.path.as_str()));
        row.diagnosis = found.cloned().map(|mut found| {
            settle(&mut found, &[]);
            found
        });
    }
    Some(job)
}

/// Adds the parts of one diagnosis. Each step of it uncovered what those before it did not: first what the C library gave back, could not give
/// back for what pins it, and pymalloc kept was nobody's any more; then what the collector found; then what lives; the rest is what is left.
fn add(sum: &mut Diagnosis, facts: &DiagnosisFacts<'_>) {
    let v1::Diagnosis {
        collected_bytes,
        kept_bytes,
        freed_bytes,
        pinned_bytes,
        live_bytes,
        live_blocks,
        collected,
        tracing_bytes,
        cost_us,
        ..
    } = *facts.found;
    let stayed = facts.end.saturating_sub(facts.start);
    // tracemalloc is stopped first, and what it took is given back with the rest.
    let given_back = facts.end - facts.trimmed - tracing_bytes;
    let allocator = given_back.saturating_add(kept_bytes + pinned_bytes);
    let garbage = (facts.trimmed - collected_bytes.cast_signed()).saturating_add(freed_bytes);
    let explained = [allocator, garbage, live_bytes, tracing_bytes];
    let explained = explained.into_iter().fold(0, i64::saturating_add);
    for (figure, more) in [
        (&mut sum.stayed_bytes, stayed),
        (&mut sum.start_bytes, facts.start),
        (&mut sum.end_bytes, facts.end),
        (&mut sum.trimmed_bytes, facts.trimmed),
        (&mut sum.collected_bytes, collected_bytes.cast_signed()),
        (&mut sum.pinned_bytes, pinned_bytes),
        (&mut sum.freed_bytes, freed_bytes),
        (&mut sum.fixture_bytes, facts.fixture_bytes),
        (&mut sum.allocator_bytes, allocator),
        (&mut sum.pymalloc_bytes, kept_bytes),
        (&mut sum.garbage_bytes, garbage),
        (&mut sum.live_bytes, live_bytes),
        (&mut sum.tracing_bytes, tracing_bytes),
        (&mut sum.rest_bytes, stayed.saturating_sub(explained)),
        (&mut sum.live_blocks, live_blocks),
    ] {
        *figure = figure.saturating_add(more);
    }
    sum.trim = facts.found.trim;
    sum.visits += facts.paths.len() as u64;
    sum.collected = sum.collected.saturating_add(collected);
    sum.cost_us = sum.cost_us.saturating_add(cost_us);
    for kept in &facts.found.pytest {
        let figure = match kept.name.as_str() {
            "captured" => &mut sum.pytest.captured_bytes,
            "reports" => &mut sum.pytest.reports_bytes,
            "coverage" => &mut sum.pytest.coverage_bytes,
            // Of a later plugin.
            _ => continue,
        };
        *figure = figure.saturating_add(kept.bytes);
    }
    for (rows, more) in [
        (&mut sum.garbage, &facts.found.garbage),
        (&mut sum.types, &facts.found.types),
        (&mut sum.lines, &facts.found.lines),
    ] {
        rows.extend(more.iter().map(|row| Grown {
            name: row.name.clone(),
            count: row.count,
            bytes: row.bytes,
        }));
    }
}

fn settle(found: &mut Diagnosis, files: &[(&str, &Diagnosis)]) {
    for rows in [&mut found.garbage, &mut found.types, &mut found.lines] {
        *rows = largest(std::mem::take(rows));
    }
    found.sentence = diagnosis::sentence(found);
    found.advice = diagnosis::advice(found, files);
}

/// Rows of one name together, the largest first.
fn largest(rows: Vec<Grown>) -> Vec<Grown> {
    let mut together: BTreeMap<String, Grown> = BTreeMap::new();
    for row in rows {
        match together.get_mut(&row.name) {
            Some(known) => {
                known.count = known.count.saturating_add(row.count);
                known.bytes = known.bytes.saturating_add(row.bytes);
            }
            None => {
                together.insert(row.name.clone(), row);
            }
        }
    }
    let mut rows: Vec<Grown> = together.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
    rows.truncate(diagnosis::MOST_NAMED);
    rows
}
