use super::*;
use crate::forecast::Ended;

const MB: i64 = 1_000_000;

fn steps(files: usize, done: usize) -> Steps {
    let mut steps = Steps::default();
    let list: Vec<String> = (1..=files).map(|at| format!("2 test_{at:02}.py")).collect();
    steps.collected(&list.join("\n"));
    for at in 1..=done {
        let held = 100 + 20 * at as i64;
        let is_done = steps.ended(&Ended {
            process: 7,
            path: &format!("test_{at:02}.py"),
            start_bytes: (held - 20) * MB,
            end_bytes: held * MB,
            peak_bytes: (held + 5) * MB,
            tests: 2,
        });
        assert!(is_done);
    }
    steps
}

fn situation<'a>(steps: &'a Steps, limits: &'a [Measured], history: &'a History) -> Situation<'a> {
    Situation {
        session: 1,
        steps,
        peak_bytes: steps.held_bytes() + 5 * MB,
        held_bytes: 0,
        workers: 1,
        limits,
        history,
        asked: &[],
        goes_on: true,
    }
}

fn cgroup(limit: i64) -> Measured {
    Measured {
        kind: LimitKind::Cgroup,
        path: "/a".to_owned(),
        limit: Limit {
            limit_bytes: limit * MB,
            beside_bytes: 0,
        },
        is_reached: false,
    }
}

#[test]
fn the_file_at_which_a_limit_is_crossed_is_named() {
    let (steps, history) = (steps(40, 20), History::default());
    let limits = [cgroup(9_000), cgroup(700)];
    let told = report(&situation(&steps, &limits, &history)).unwrap();
    assert_eq!(
        (told.files_done, told.files, told.is_warning),
        (20, 40, true)
    );
    let first = &told.crossings[0];
    // 100 MB, 20 a file and 5 above that.
    assert_eq!(
        (first.file, first.test_file.as_str()),
        (Some(30), "test_30.py")
    );
    assert_eq!(
        told.sentence,
        "If it goes on so, memory comes to 863.1 MiB by the end, after 20 of 40 files. It crosses the limit of the cgroup, 667.6 MiB, at file 30 of 40, test_30.py."
    );
    let workers = Situation {
        workers: 2,
        goes_on: false,
        ..situation(&steps, &limits, &history)
    };
    assert_eq!(
        report(&workers).unwrap().sentence,
        "Had it gone on so, memory would have come to 863.1 MiB by the end, after 20 of 40 files. It would have crossed the limit of the cgroup, 667.6 MiB, at file 30 of 40."
    );
}

#[test]
fn a_suite_that_ran_to_its_end_has_no_forecast() {
    let (steps, history) = (steps(20, 20), History::default());
    assert_eq!(report(&situation(&steps, &[], &history)), None);
}

#[test]
fn history_names_the_files_where_no_list_does() {
    let mut history = History {
        asked: Some(Vec::new()),
        ..History::default()
    };
    for path in ["a.py", "b.py", "c.py"] {
        history.paths.push(path.to_owned());
        let known = Known {
            retained_bytes: 0,
            above_bytes: 300 * MB,
        };
        history.known.insert(path.to_owned(), known);
    }
    let steps = Steps::default();
    let nothing_yet = Situation {
        peak_bytes: 50 * MB,
        held_bytes: 50 * MB,
        ..situation(&steps, &[], &history)
    };
    let told = report(&nothing_yet).unwrap();
    assert_eq!((told.files_done, told.files, told.files_known), (0, 3, 3));
    assert!(
        told.sentence
            .starts_with("By the last good job of this name memory comes to "),
        "{}",
        told.sentence
    );
    // Of a job that ended, or was asked for something else, or ran a file that the other did not, it is not known what was to come.
    let ended = Situation {
        goes_on: false,
        ..nothing_yet
    };
    assert_eq!(report(&ended), None);
    let asked = ["other.py".to_owned()];
    let other = Situation {
        asked: &asked,
        ..nothing_yet
    };
    assert_eq!(report(&other), None);
    let mut steps = Steps::default();
    steps.ended(&Ended {
        process: 7,
        path: "other.py",
        start_bytes: MB,
        end_bytes: MB,
        peak_bytes: MB,
        tests: 1,
    });
    let strange = Situation {
        steps: &steps,
        ..nothing_yet
    };
    assert_eq!(report(&strange), None);
}

#[test]
fn a_forecast_that_rests_on_another_job_says_so_and_of_which_branch_that_was() {
    let steps = steps(20, 18);
    let mut history = History::default();
    for at in 1..=19 {
        let known = Known {
            retained_bytes: 20 * MB,
            above_bytes: 5 * MB,
        };
        history.known.insert(format!("test_{at:02}.py"), known);
    }
    let said = |history: &History, goes_on: bool| {
        let of = Situation {
            goes_on,
            ..situation(&steps, &[], history)
        };
        let told = report(&of).unwrap();
        let (begin, _) = told.sentence.split_once(" MiB").unwrap();
        let (begin, _) = begin.rsplit_once(' ').unwrap();
        (begin.to_owned(), told.elsewhere)
    };
    let alone = said(&History::default(), true);
    assert_eq!(
        alone,
        ("If it goes on so, memory comes to".to_owned(), None)
    );
    let (begin, elsewhere) = said(&history, true);
    assert_eq!(
        begin,
        "If it goes on so, with 1 of the 2 files to come as in the last good job of this name, memory comes to"
    );
    assert_eq!(elsewhere, None);
    history
        .known
        .insert("test_20.py".to_owned(), history.known["test_19.py"]);
    let fork = Branch {
        name: "main".to_owned(),
        pull_request: "7".to_owned(),
        is_fork: true,
    };
    let (begin, elsewhere) = said(&history.elsewhere(&fork), false);
    assert_eq!(elsewhere.as_deref(), Some("pull request 7"));
    assert_eq!(
        begin,
        "Had it gone on so, with the files to come as in the last good job of this name (of pull request 7, as none of its own branch or of the baseline's is known), memory would have come to"
    );
}

#[test]
fn no_figure_lies_below_a_limit_that_was_reached() {
    let (steps, history) = (steps(20, 19), History::default());
    let mut limits = [cgroup(9_000), cgroup(700)];
    limits[1].is_reached = true;
    limits[1].limit.beside_bytes = 50 * MB;
    let died = Situation {
        goes_on: false,
        ..situation(&steps, &limits, &history)
    };
    // One file of 20 MB is to come, and 480 are held.
    let told = report(&died).unwrap();
    assert_eq!(told.peak_bytes.low, 650 * MB);
    assert_eq!((told.crossings.len(), told.is_warning), (1, false));
    assert!(
        told.sentence
            .ends_with(" It had reached the limit of the cgroup, 667.6 MiB."),
        "{}",
        told.sentence
    );
}
