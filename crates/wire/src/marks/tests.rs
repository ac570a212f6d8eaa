use proptest::prelude::*;

use super::*;

#[test]
fn a_test_begins_with_its_path_and_an_escaped_name() {
    let line = parse(b"tb\t12\t4096\t8192\t2\ta/test_b.py\ta/test_b.py::test[x\\ty\\\\n]").unwrap();
    let Line::Mark(mark) = line else {
        panic!("{line:?}")
    };
    assert_eq!(
        (mark.t_us, mark.rss_bytes, mark.peak_bytes),
        (12, 4096, Some(8192))
    );
    assert_eq!(
        mark.what,
        Some(What::TestBegin(TestBegin {
            execution: 2,
            path: "a/test_b.py".to_owned(),
            nodeid: "a/test_b.py::test[x\ty\\n]".to_owned(),
        }))
    );
}

#[test]
fn a_dash_is_a_peak_that_is_not_known() {
    let Line::Mark(mark) = parse(b"sb\t1\t2\t-").unwrap() else {
        panic!("no mark")
    };
    assert_eq!(mark.peak_bytes, None);
}

#[test]
fn a_newer_kind_and_further_fields_are_passed_over() {
    assert_eq!(parse(b"zz\t1\t2").unwrap(), Line::Unknown);
    assert!(matches!(parse(b"sb\t1\t2\t3\tnew"), Ok(Line::Mark(_))));
}

#[test]
fn errors_name_the_kind_the_field_and_the_next_step() {
    assert_eq!(
        parse(b"te\t1\tmuch\t3").unwrap_err().to_string(),
        r#"te: field rss_bytes is "much", no number that fits"#
    );
    assert_eq!(
        parse(b"ib\t1\t2\t3").unwrap_err().to_string(),
        "ib: field path is missing"
    );
    let version = parse(b"H\t2\t{}").unwrap_err().to_string();
    assert!(
        version.contains("install the plugin of the agent's version"),
        "{version}"
    );
}

proptest! {
    #[test]
    fn foreign_lines_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&line);
    }
}
