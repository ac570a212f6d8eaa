use proptest::prelude::*;

use super::{super::tests::row, *};

#[test]
fn a_limit_of_files_is_read_from_its_text_and_written_as_one() {
    for (text, canonical) in [
        (
            "tests/e2e/**=max-retained:5MB,max-spike:200MB",
            "tests/e2e/**=max-retained:5000000,max-spike:200000000",
        ),
        (
            " a = max-spike : off , max-peak: 1.5 GiB ",
            "a=max-peak:1610612736,max-spike:off",
        ),
        (
            "tests/x=y/a:b,c.py=max-peak:0",
            "tests/x=y/a:b,c.py=max-peak:0",
        ),
        ("tests/é.py=max-peak:1kB", "tests/é.py=max-peak:1000"),
    ] {
        let read: FileLimits = text.parse().unwrap();
        assert_eq!(read.to_string(), canonical);
        assert_eq!(canonical.parse(), Ok(read), "{text}");
    }
}

#[test]
fn what_cannot_be_a_limit_of_files_is_told_with_what_is_allowed() {
    let long = "x".repeat(MOST_FILE_LIMIT_BYTES - "=max-peak:1TB".len());
    let example = "is no limit of files, such as tests/e2e/**=max-retained:5MB,max-spike:off";
    for (text, says) in [
        ("", example),
        ("tests/e2e/**", example),
        ("tests/e2e/**=5MB", example),
        ("a=max-peak:1,", example),
        ("a=,max-peak:1", example),
        (
            "=max-peak:5MB",
            "\"\": files are named by a glob that is not empty",
        ),
        ("a\nb=max-peak:5MB", "has no control character"),
        (
            "a=",
            "a: no limit is given; give max-retained, max-spike or max-peak",
        ),
        (
            "a=max-peek:5MB",
            "a: max-peek: there is no such limit of files; there are max-retained, max-spike and max-peak",
        ),
        (
            "a=min-headroom:5MB",
            "a: min-headroom: there is no such limit of files",
        ),
        (
            "a=max-peak:5 apples",
            "a: max-peak: \"5 apples\" is not one of the units",
        ),
        (
            "a=max-peak:",
            "a: max-peak: \"\" is not a size such as 3GB or 200MiB, nor off",
        ),
        ("a=max-peak:-1", "is not a size such as"),
        (
            "a=max-peak:1MB,max-peak:off",
            "a: max-peak: it is given twice",
        ),
        (
            &format!("{long}x=max-peak:1TB"),
            "a limit of files has 201 bytes, and 200 are the most; shorten its glob with *",
        ),
        // It is sent with its size in bytes.
        (
            &format!("{long}=max-peak:1TB"),
            "a limit of files has 210 bytes",
        ),
    ] {
        let error = FileLimits::from_str(text).unwrap_err();
        assert!(error.contains(says), "{text:?}: {error}");
    }
    let one: FileLimits = "a=max-peak:1".parse().unwrap();
    assert!(few_enough(&vec![one.clone(); MOST_FILE_LIMITS]).is_ok());
    let error = few_enough(&vec![one; MOST_FILE_LIMITS + 1]).unwrap_err();
    assert_eq!(
        error,
        "101 limits of files are more than 100; give fewer, with wider globs"
    );
}

#[test]
fn the_most_limits_fit_into_an_address() {
    // What is sent as %XX takes three times as much, and a server takes an address of 65534 bytes.
    let sent = MOST_FILE_LIMITS * ("&file_limit=".len() + 3 * MOST_FILE_LIMIT_BYTES);
    assert!(sent + 4_000 < 65_534, "{sent}");
}

#[test]
fn limits_that_would_take_too_long_to_look_through_are_refused() {
    let glob = format!("*{}b=max-peak:1", "a".repeat(98));
    let limits = vec![glob.parse().unwrap(); MOST_FILE_LIMITS];
    // 10 000 bytes of globs, and 100 bytes a path.
    let files = |count| vec![row(&"a".repeat(100), 1, 1); count];
    assert_eq!(quick_enough(&limits, &files(1_073)), Ok(()));
    assert_eq!(
        quick_enough(&limits, &files(1_074)).unwrap_err(),
        "100 limits of files are too many for a job of 1074 test files; give fewer, with wider globs"
    );
    assert_eq!(quick_enough(&[], &files(100_000)), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_refused_or_stays_the_same_limit(text in "([a*?/=,:é ]{0,9}=)?(max-(peak|spike|retained)[:, ]{1,2}(off|[0-9.]{1,9}[kMGT]?i?B?)[,]?){0,4}.{0,3}") {
        if let Ok(read) = FileLimits::from_str(&text) {
            let again = read.to_string();
            prop_assert_eq!(FileLimits::from_str(&again), Ok(read), "{}", again);
        }
    }
}
