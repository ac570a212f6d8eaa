use super::*;

#[test]
fn intervals_of_shares() {
    // Clopper and Pearson: 0 of 10 and 3 of 10.
    let (low, high) = interval(Part { of: 10, had: 0 });
    assert!(low.abs() < 1e-12 && (high - 0.308_5).abs() < 1e-3, "{high}");
    let (low, high) = interval(Part { of: 10, had: 3 });
    assert!((low - 0.066_7).abs() < 1e-3 && (high - 0.652_5).abs() < 1e-3);
}

/// Steps that must be found, of one.
const LEAST_FOUND: f64 = 0.95;

/// The short form of the benchmark: a change of the method that breaks it is seen here.
#[test]
fn steps_are_found_and_no_clean_job_is_told_to_be_worse() {
    let cells = recordings::read(&root().join("xtask/data/regression")).unwrap();
    for dist in DISTS {
        let maker = maker(&cells, dist, Half::Second).unwrap();
        let figures = trial::figures(&maker, 60, 40, &mut Chance(SEED));
        println!("{dist}: {figures:?}");
        assert!(figures.found.share() >= LEAST_FOUND, "{dist}: {figures:?}");
        assert!(figures.exact.share() >= 0.95, "{dist}: {figures:?}");
        // One in two hundred may be, and so many are not tried here.
        assert_eq!(figures.alarms.had, 0, "{dist}: {figures:?}");
    }
}
