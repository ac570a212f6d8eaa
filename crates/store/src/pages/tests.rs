use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_column_is_what_it_was(values in proptest::collection::vec(any::<i64>(), 0..300)) {
        prop_assert_eq!(unpack(&pack(&values), values.len()).unwrap(), values);
    }

    #[test]
    fn a_calm_column_is_small(start in 0_i64..1 << 40, steps in proptest::collection::vec(-3_i64..4, 500..1000)) {
        let values: Vec<i64> = steps.iter().scan(start, |sum, step| { *sum += step * 4096; Some(*sum) }).collect();
        let packed = pack(&values);
        prop_assert!(packed.len() < values.len());
        prop_assert_eq!(unpack(&packed, values.len()).unwrap(), values);
    }

    #[test]
    fn damage_is_told_and_never_panics(mut packed in proptest::collection::vec(any::<u8>(), 0..200), expected in 0..2 * PAGE_VALUES) {
        let _ = unpack(&packed, expected);
        let _ = unpack_summary(&packed, expected);
        if let Some(first) = packed.first_mut() {
            *first = BY_PCO;
        }
        let _ = unpack(&packed, expected);
    }

    #[test]
    fn a_bucket_bounds_its_values(values in proptest::collection::vec(any::<i64>(), 1..700), first in 0_usize..200) {
        let summary = summarise(&values, first);
        for (at, value) in values.iter().enumerate() {
            let bucket = (first + at) / FACTOR - first / FACTOR;
            prop_assert!(summary.min[bucket] <= *value && *value <= summary.max[bucket]);
        }
        prop_assert_eq!(summary.last.last(), values.last());
        let packed = pack_summary(&summary);
        prop_assert_eq!(unpack_summary(&packed, summary.min.len()).unwrap(), summary);
    }
}

/// Runs with their places: holes and values in turn, in about half the cases for several pages.
fn runs() -> impl Strategy<Value = Vec<(usize, Vec<i64>)>> {
    let values = proptest::collection::vec(-9_i64..9, 1..PAGE_VALUES / 8);
    proptest::collection::vec((1_usize..50, values), 1..32).prop_map(|runs| {
        let place = |end: &mut usize, (hole, values): (usize, Vec<i64>)| {
            let first = *end + hole;
            *end = first + values.len();
            Some((first, values))
        };
        runs.into_iter().scan(0, place).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_are_what_they_were(runs in runs()) {
        let pages = cut(runs.iter().map(|(first, values)| (*first, values.as_slice())));
        let mut found: Vec<(usize, Vec<i64>)> = Vec::new();
        for page in &pages {
            let (first, covers, content) = pack_pieces(page);
            let pieces = unpack_pieces(&content, covers).unwrap();
            let values: usize = pieces.iter().map(|(_, values)| values.len()).sum();
            prop_assert!(values <= PAGE_VALUES);
            prop_assert_eq!(values_in(&content[..HEAD_BYTES.min(content.len())], covers), values);
            prop_assert!(unpack_pieces(&content, covers + 1).is_err());
            for (at, values) in pieces {
                match found.last_mut() {
                    Some((start, run)) if *start + run.len() == first + at => run.extend(values),
                    _ => found.push((first + at, values)),
                }
            }
        }
        prop_assert!(pages.len() <= runs.iter().map(|run| run.1.len()).sum::<usize>().div_ceil(PAGE_VALUES));
        prop_assert_eq!(found, runs);
    }

    #[test]
    fn damaged_holes_are_told_and_never_panic(runs in runs(), at in 0_usize..400, byte in any::<u8>(), expected in 0..4 * PAGE_VALUES) {
        let pieces: Vec<_> = runs.iter().map(|(first, values)| (*first, values.as_slice())).collect();
        let (_, covers, mut content) = pack_pieces(&pieces[..1 + (pieces.len() - 1) % 9]);
        let at = at % content.len();
        content[at] = byte;
        let _ = unpack_pieces(&content, covers);
        let _ = unpack_pieces(&content, expected);
        let _ = unpack_pieces(&content[..at], covers);
    }
}

#[test]
fn many_short_runs_are_cut_where_their_stretches_fill_a_page() {
    let values = [1_i64];
    let pages = cut((0..PAGE_VALUES).map(|at| (2 * at, values.as_slice())));
    assert_eq!(pages.len(), 2);
    for page in pages {
        let (_, covers, content) = pack_pieces(&page);
        assert_eq!(unpack_pieces(&content, covers).unwrap().len(), PAGE_RUNS);
    }
}

#[test]
fn another_number_of_values_is_refused() {
    let packed = pack(&[1, 2, 3]);
    assert!(unpack(&packed, 2).is_err());
    assert!(unpack(&packed, 4).is_err());
}
