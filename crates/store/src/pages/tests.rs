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
    fn damage_is_told_and_never_panics(mut packed in proptest::collection::vec(any::<u8>(), 0..200), expected in 0_usize..5000) {
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

#[test]
fn another_number_of_values_is_refused() {
    let packed = pack(&[1, 2, 3]);
    assert!(unpack(&packed, 2).is_err());
    assert!(unpack(&packed, 4).is_err());
}
