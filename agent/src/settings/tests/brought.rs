//! What a job brings along of the project, and what it is called.

use super::*;

#[test]
fn a_job_that_nobody_names_is_called_the_same_whatever_runs_in_it() {
    let bare = folder("");
    for command in [
        &["/usr/bin/pytest"][..],
        &["python3", "-m", "pytest"],
        &["tox"],
        &[],
    ] {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let settings = resolve(Given::default(), &env(&[]), bare.path(), &command).unwrap();
        assert_eq!(settings.job.name, "pytest", "{command:?}");
    }
}

#[test]
fn a_job_brings_along_the_limits_that_a_check_would_hold_it_to() {
    let file = folder(
        "[tool.highwater.check]\nmax-peak = '3GB'\nmin-headroom = '1GB'\n[[tool.highwater.check.files]]\npath = 'a/*'\nmax-spike = '1MB'\n",
    );
    let variables = [
        ("HIGHWATER_MAX_RETAINED", "5"),
        ("HIGHWATER_FILE_LIMIT", "b=max-peak:7"),
    ];
    let settings = resolve_in(&file, Given::default(), &variables);
    assert_eq!(settings.places.problems, [""; 0]);
    let limits = settings.job.check_limits.unwrap();
    assert_eq!(limits.max_peak_bytes, Some(3_000_000_000));
    assert_eq!(limits.min_headroom_bytes, Some(1_000_000_000));
    assert_eq!(
        (limits.max_retained_bytes, limits.max_spike_bytes),
        (Some(5), None)
    );
    assert_eq!(limits.files, ["a/*=max-spike:1000000", "b=max-peak:7"]);
    let bare = folder("");
    assert_eq!(
        resolve_in(&bare, Given::default(), &[]).job.check_limits,
        None
    );
}

#[test]
fn limits_that_cannot_be_are_told_once_and_nothing_else_is_lost() {
    let bare = folder("");
    let wrong = resolve_in(&bare, Given::default(), &[("HIGHWATER_MAX_PEAK", "much")]);
    let [problem] = &wrong.places.problems[..] else {
        panic!("{:?}", wrong.places.problems)
    };
    assert!(
        problem.starts_with("HIGHWATER_MAX_PEAK: \"much\"")
            && problem.ends_with("; the limits are left out"),
        "{problem}"
    );
    let file = folder("[tool.highwater.check]\nmax-peek = '3GB'\n");
    let wrong = resolve_in(&file, Given::default(), &[]);
    assert_eq!(
        wrong.places.problems.len(),
        1,
        "{:?}",
        wrong.places.problems
    );
    assert_eq!(wrong.job.check_limits, None);
}
