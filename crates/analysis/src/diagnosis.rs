//! What a diagnosis means and what to do about it: figures in, sentences out.
//!
//! docs/ANALYSIS.md says how the parts are worked out, docs/diagnose.md what the advice rests on.

use highwater_wire::report::{Advice, Diagnosis, Grown, PytestKeeps, Why};

use crate::figures::mebibytes;

/// A part is worth advice from so many bytes on: less is within what arenas and heaps are rounded to.
pub const LEAST_BYTES: i64 = 1 << 20;
/// And from this part of all that stayed.
pub const LEAST_PART: f64 = 0.1;
/// What is most of live objects: pytest's own, or fixtures'.
pub const MOST: f64 = 0.5;
/// Rows of types and lines that are kept.
pub const MOST_NAMED: usize = 10;
/// Types and files that a sentence names.
const IN_A_SENTENCE: usize = 3;
/// What is told in a sentence at all: it is not 0.0 MiB.
pub const LEAST_SHOWN_BYTES: i64 = 52_429;

/// The diagnoses of the single files, where one is that of a job.
type Files<'a> = &'a [(&'a str, &'a Diagnosis)];

fn figure(found: &Diagnosis, why: Why) -> i64 {
    let PytestKeeps {
        captured_bytes,
        reports_bytes,
        coverage_bytes,
    } = found.pytest;
    match why {
        Why::Garbage => found.garbage_bytes,
        Why::Heap => found.allocator_bytes.saturating_sub(found.pymalloc_bytes),
        Why::Pymalloc => found.pymalloc_bytes,
        Why::Live => found.live_bytes,
        Why::Rest => found.rest_bytes,
        Why::Pytest => [captured_bytes, reports_bytes, coverage_bytes]
            .into_iter()
            .fold(0, i64::saturating_add),
    }
}

const PARTS: [Why; 5] = [Why::Garbage, Why::Heap, Why::Pymalloc, Why::Live, Why::Rest];

/// The parts in words, those that are not nothing, the largest first.
#[must_use]
pub fn sentence(found: &Diagnosis) -> String {
    let named = |why| match why {
        Why::Garbage => "garbage not yet collected",
        Why::Heap => "free in the C library's heap",
        Why::Pymalloc => "free in pymalloc",
        Why::Live => "live Python objects",
        Why::Pytest => "pytest's own",
        Why::Rest => "native rest",
    };
    let parts = PARTS.map(|why| (figure(found, why), named(why)));
    let tracing = (found.tracing_bytes, "tracemalloc's own");
    let mut parts: Vec<_> = parts.into_iter().chain([tracing]).collect();
    parts.retain(|(bytes, _)| bytes.abs() >= LEAST_SHOWN_BYTES);
    parts.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let after = match found.visits {
        1 => "After its tests".to_owned(),
        visits => format!("After {visits} visits"),
    };
    if parts.is_empty() {
        return format!("{after} next to nothing stayed.");
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(bytes, name)| format!("{} {name}", mebibytes(bytes)))
        .collect();
    let stayed = mebibytes(found.stayed_bytes);
    let parts = parts.join(", ");
    match found.fixture_bytes {
        // Of so little nobody asks whose it is.
        bytes if bytes < LEAST_BYTES => format!("{after} {stayed} had stayed: {parts}."),
        bytes => format!(
            "{after} {stayed} had stayed, {} of it in fixtures that were still set up: {parts}.",
            mebibytes(bytes)
        ),
    }
}

/// What to do about each part that matters, the largest first.
#[must_use]
pub fn advice(found: &Diagnosis, files: Files<'_>) -> Vec<Advice> {
    let stayed: f64 = PARTS
        .iter()
        .map(|why| figure(found, *why).max(0) as f64)
        .sum();
    let matters = |bytes: i64| bytes >= LEAST_BYTES && bytes as f64 >= LEAST_PART * stayed;
    let mut advice: Vec<Advice> = PARTS
        .into_iter()
        .filter(|why| matters(figure(found, *why)))
        .map(|why| match why {
            Why::Live if is_most(figure(found, Why::Pytest), found.live_bytes) => Why::Pytest,
            why => why,
        })
        .map(|why| Advice {
            why,
            bytes: figure(found, why),
            sentence: words(found, files, why),
        })
        .collect();
    advice.sort_by_key(|advice| std::cmp::Reverse(advice.bytes));
    advice
}

fn is_most(part: i64, whole: i64) -> bool {
    part as f64 >= MOST * whole as f64
}

fn words(found: &Diagnosis, files: Files<'_>, why: Why) -> String {
    let bytes = mebibytes(figure(found, why));
    let files = most_in(files, why);
    match why {
        Why::Garbage => {
            let types = named(&found.garbage);
            let types = match types.is_empty() {
                true => String::new(),
                false => format!(", most of it {types}"),
            };
            format!(
                "{bytes} was garbage that waited for Python's collector, {} objects in cycles{types}{files}. Break the cycles in a teardown (close, clear, or hold one side by a weakref), or call gc.collect() in the teardown of a module's fixture; where something calls gc.disable(), let it enable the collector again.",
                found.collected
            )
        }
        Why::Pymalloc => format!(
            "{bytes} is free and kept by pymalloc: small objects that still live lie scattered among many that are gone, and an arena is given back only whole{files}. Later files use it again, so it does no harm alone; to give it back, build what lives on before or apart from what is thrown away, make fewer objects at once, or set PYTHONMALLOC=malloc, which leaves small objects to the C library."
        ),
        Why::Heap => format!(
            "{bytes} is free and kept by the C library's heap{files}: blocks that live keep it from going back by itself. Later files use it again, so it does no harm alone; to give back what can be, call ctypes.CDLL(None).malloc_trim(0) in the teardown of a module's fixture, set MALLOC_ARENA_MAX=2 where many threads allocate, or set MALLOC_MMAP_THRESHOLD_=65536 so that large blocks go back at once."
        ),
        Why::Live if is_most(found.fixture_bytes, found.live_bytes) => format!(
            "{bytes} is Python objects that live{}{files}, and fixtures that are still set up took {} of what stayed. Give those fixtures a narrower scope, or let their teardown drop what they hold.",
            of_types(found),
            mebibytes(found.fixture_bytes)
        ),
        Why::Live => format!(
            "{bytes} is Python objects that live{}{files}. Something of the module's or the program's holds them: a global list or dict, functools.lru_cache (cache_clear()), a registry, a singleton. Clear it in a teardown, or give a fixture that holds them a narrower scope.{}",
            of_types(found),
            match found.lines.first() {
                Some(line) => format!(" Most of what stayed was made at {}.", line.name),
                None =>
                    " --diagnose=tracemalloc names the lines that made them, at a price.".to_owned(),
            }
        ),
        Why::Pytest => pytest_words(found, &bytes, &files),
        Why::Rest if !found.trim => format!(
            "{bytes} is neither Python objects nor garbage{files}. There is no malloc_trim here, so what the allocator keeps is in it, beside what C extensions and mmap hold."
        ),
        Why::Rest => format!(
            "{bytes} is native{files}: neither Python objects nor garbage nor free. C extensions, mmap or ctypes hold it: close or delete what holds it in a teardown. memray (run --native) and heaptrack name the callers."
        ),
    }
}

/// What pytest keeps itself, by its largest part.
fn pytest_words(found: &Diagnosis, bytes: &str, files: &str) -> String {
    let PytestKeeps {
        captured_bytes,
        reports_bytes,
        coverage_bytes,
    } = found.pytest;
    let most = captured_bytes.max(reports_bytes).max(coverage_bytes);
    let (what, remedy) = if most == captured_bytes {
        (
            "what tests printed and logged, which it keeps to the end of the session",
            "Print and log less, run with --capture=no, or leave out the log with -p no:logging",
        )
    } else if most == coverage_bytes {
        (
            "the data of coverage",
            "Measure less (source=, omit=, without branches or contexts), or in a job of its own",
        )
    } else {
        (
            "reports of tests, with the tracebacks of those that failed",
            "Mend what fails, or shorten it with --tb=short and --maxfail",
        )
    };
    format!("{bytes} is kept by pytest itself: {what}{files}. {remedy}.")
}

fn of_types(found: &Diagnosis) -> String {
    match named(&found.types) {
        types if types.is_empty() => String::new(),
        types => format!(", most of it {types}"),
    }
}

fn named(rows: &[Grown]) -> String {
    let row = |row: &Grown| format!("{} ({})", row.name, mebibytes(row.bytes));
    let told = rows.iter().filter(|row| row.bytes >= LEAST_SHOWN_BYTES);
    let told: Vec<String> = told.take(IN_A_SENTENCE).map(row).collect();
    told.join(", ")
}

/// The files that have most of a part.
fn most_in(files: Files<'_>, why: Why) -> String {
    let mut files: Vec<(i64, &str)> = files
        .iter()
        .map(|(path, found)| (figure(found, why), *path))
        .filter(|(bytes, _)| *bytes >= LEAST_BYTES)
        .collect();
    files.sort_by_key(|(bytes, path)| (std::cmp::Reverse(*bytes), *path));
    let told: Vec<String> = files
        .iter()
        .take(IN_A_SENTENCE)
        .map(|(bytes, path)| format!("{path} ({})", mebibytes(*bytes)))
        .collect();
    match told.is_empty() {
        true => String::new(),
        false => format!(", most in {}", told.join(", ")),
    }
}

#[cfg(test)]
mod tests;
