use super::*;

const MIB: i64 = 1 << 20;
const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");
const ADVICE: &str = include_str!("../../../../docs/diagnose.md");

fn row(name: &str, mib: i64) -> Grown {
    Grown {
        name: name.to_owned(),
        count: 1,
        bytes: mib * MIB,
    }
}

fn whys(found: &Diagnosis) -> Vec<(Why, i64)> {
    let advice = advice(found, &[]);
    advice
        .iter()
        .map(|advice| (advice.why, advice.bytes / MIB))
        .collect()
}

fn mixed() -> Diagnosis {
    Diagnosis {
        visits: 3,
        stayed_bytes: 97 * MIB,
        garbage_bytes: 30 * MIB,
        allocator_bytes: 50 * MIB,
        pymalloc_bytes: 10 * MIB,
        live_bytes: 20 * MIB,
        rest_bytes: -3 * MIB,
        collected: 40,
        garbage: vec![row("a.Node", 25), row("bytes", 4), row("c", 1), row("d", 1)],
        types: vec![row("str", 15)],
        trim: true,
        ..Diagnosis::default()
    }
}

#[test]
fn the_parts_are_told_largest_first_and_what_is_nothing_is_not() {
    assert_eq!(
        sentence(&mixed()),
        "After 3 visits 97.0 MiB had stayed: 40.0 MiB free in the C library's heap, 30.0 MiB garbage not yet collected, 20.0 MiB live Python objects, 10.0 MiB free in pymalloc, −3.0 MiB native rest."
    );
    let nothing = Diagnosis {
        visits: 1,
        stayed_bytes: 40_000,
        live_bytes: 40_000,
        ..Diagnosis::default()
    };
    assert_eq!(
        sentence(&nothing),
        "After its tests next to nothing stayed."
    );
}

#[test]
fn what_fixtures_took_of_it_that_are_set_up_is_said() {
    let found = Diagnosis {
        fixture_bytes: 12 * MIB,
        ..mixed()
    };
    let told = sentence(&found);
    assert!(
        told.starts_with("After 3 visits 97.0 MiB had stayed, 12.0 MiB of it in fixtures that were still set up: 40.0 MiB free"),
        "{told}"
    );
}

#[test]
fn each_part_that_matters_has_its_advice_and_no_other() {
    assert_eq!(
        whys(&mixed()),
        [
            (Why::Heap, 40),
            (Why::Garbage, 30),
            (Why::Live, 20),
            (Why::Pymalloc, 10)
        ]
    );
    // A tenth of what stayed, and a mebibyte at least.
    let small = |live_bytes, garbage_bytes| {
        whys(&Diagnosis {
            live_bytes,
            garbage_bytes,
            ..Diagnosis::default()
        })
    };
    assert_eq!(small(MIB - 1, 0), []);
    assert_eq!(small(90 * MIB, 10 * MIB).len(), 2);
    assert_eq!(small(91 * MIB, 10 * MIB), [(Why::Live, 91)]);
    assert_eq!(small(-5 * MIB, -5 * MIB), []);
}

#[test]
fn an_advice_names_types_and_files() {
    let [node, other] = [20, 5].map(|mib| Diagnosis {
        garbage_bytes: mib * MIB,
        ..Diagnosis::default()
    });
    let advice = advice(&mixed(), &[("b.py", &other), ("a.py", &node)]);
    let garbage = &advice[1].sentence;
    assert!(
        garbage.starts_with("30.0 MiB was garbage that waited for Python's collector, 40 objects in cycles, most of it a.Node (25.0 MiB), bytes (4.0 MiB), c (1.0 MiB), most in a.py (20.0 MiB), b.py (5.0 MiB)."),
        "{garbage}"
    );
}

#[test]
fn what_fixtures_left_is_a_matter_of_their_scope() {
    let told = |fixture_bytes| {
        let found = Diagnosis {
            fixture_bytes,
            ..mixed()
        };
        let advice = advice(&found, &[]);
        let live = advice.iter().find(|advice| advice.why == Why::Live);
        live.unwrap().sentence.clone()
    };
    assert!(told(10 * MIB).contains("narrower scope, or let their teardown"));
    assert!(told(10 * MIB - 1).contains("cache_clear()"));
}

#[test]
fn what_pytest_keeps_is_told_by_its_largest_part() {
    let told = |captured, reports, coverage| {
        let found = Diagnosis {
            live_bytes: 20 * MIB,
            pytest: PytestKeeps {
                captured_bytes: captured * MIB,
                reports_bytes: reports * MIB,
                coverage_bytes: coverage * MIB,
            },
            ..Diagnosis::default()
        };
        let mut advice = advice(&found, &[]);
        let advice = advice.remove(0);
        (advice.why, advice.bytes / MIB, advice.sentence)
    };
    for (kept, word) in [
        ([10, 1, 1], "--capture=no"),
        ([1, 10, 1], "--tb=short"),
        ([1, 1, 10], "omit="),
    ] {
        let (why, mib, sentence) = told(kept[0], kept[1], kept[2]);
        assert_eq!((why, mib), (Why::Pytest, 12));
        assert!(sentence.contains(word), "{sentence}");
    }
    assert_eq!(told(9, 0, 0).0, Why::Live);
}

#[test]
fn without_malloc_trim_the_rest_says_what_it_holds() {
    let found = |trim| Diagnosis {
        rest_bytes: 9 * MIB,
        trim,
        ..Diagnosis::default()
    };
    let told = |trim| advice(&found(trim), &[]).remove(0).sentence;
    assert!(told(false).contains("no malloc_trim here") && !told(true).contains("malloc_trim"));
}

#[test]
fn the_pages_say_what_the_constants_are() {
    for told in [
        format!("from {} MiB", LEAST_BYTES / MIB),
        format!("a tenth ({LEAST_PART})"),
        format!("half ({MOST})"),
        format!("{MOST_NAMED} types"),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
    for word in [
        "gc.collect()",
        "malloc_trim",
        "MALLOC_ARENA_MAX",
        "PYTHONMALLOC",
        "cache_clear()",
        "scope",
    ] {
        let said = ADVICE.contains(word);
        assert!(said, "docs/diagnose.md does not say {word:?}");
    }
}
