use highwater_analysis::{digest::digest, recording::Recording};
use highwater_wire::v1::{self, mark::What};
use uuid::Uuid;

use super::*;

const MB: u64 = 1_000_000;

fn mark(ms: i64, rss_mb: u64, peak_mb: u64, what: What) -> v1::Mark {
    v1::Mark {
        process: 0,
        t_us: ms * 1_000,
        rss_bytes: rss_mb * MB,
        peak_bytes: Some(peak_mb * MB),
        what: Some(what),
    }
}

fn begin(path: &str, name: &str) -> What {
    What::TestBegin(v1::TestBegin {
        execution: 1,
        path: path.to_owned(),
        nodeid: format!("{path}::{name}"),
        ..v1::TestBegin::default()
    })
}

fn ended(outcome: &str) -> What {
    What::TestEnd(v1::TestEnd {
        outcome: outcome.to_owned(),
        ..v1::TestEnd::default()
    })
}

fn sample() -> Digest {
    let values: Vec<i64> = (0..60).map(|tick: i64| 40 + tick * 4).collect();
    let deltas = values.iter().scan(0, |last, value| {
        let delta = (value - *last) * MB.cast_signed();
        *last = *value;
        Some(delta)
    });
    let batch = v1::Batch {
        version: 1,
        to_us: 3_000_000,
        processes: vec![v1::Process {
            pid: 7,
            role: Some(v1::Role::Pytest.into()),
            session: "s".to_owned(),
            exact: Some(true),
            ..v1::Process::default()
        }],
        sessions: vec![v1::Session {
            id: "s".to_owned(),
            ..v1::Session::default()
        }],
        samples: vec![v1::Samples {
            t_us_delta: std::iter::once(0)
                .chain(std::iter::repeat_n(50_000, 59))
                .collect(),
            series: vec![v1::Series {
                metric: v1::Metric::Rss.into(),
                process: Some(0),
                value_delta: deltas.collect(),
                ..v1::Series::default()
            }],
            ..v1::Samples::default()
        }],
        marks: vec![
            mark(0, 40, 40, What::SessionBegin(v1::Empty {})),
            mark(10, 40, 40, begin("tests/test_keeps.py", "test_one")),
            mark(1_500, 160, 160, ended("passed")),
            mark(
                1_501,
                160,
                160,
                begin(
                    "tests/test_spikes.py",
                    "test_with_a_name_that_is_far_too_long_for_a_terminal_of_eighty_columns",
                ),
            ),
            mark(2_900, 165, 400, ended("failed")),
            mark(
                2_950,
                165,
                165,
                What::SessionEnd(v1::SessionEnd { exit_status: 1 }),
            ),
        ],
        ..v1::Batch::default()
    };
    let mut recording = Recording::new(v1::Job {
        budget_bytes: 500 * MB,
        ..v1::Job::default()
    });
    recording.add(Uuid::nil(), 0, &batch);
    recording.set_end(v1::End {
        ended_us: 3_000_000,
        exit_code: Some(1),
        ..v1::End::default()
    });
    let context = Context {
        uuid: Uuid::nil(),
        state: JobState::Finished,
        revision: 1,
        clock_skew_us: None,
    };
    digest(&recording, &context)
}

fn look(columns: usize, unicode: bool) -> Look {
    Look {
        columns,
        name_columns: columns,
        colour: false,
        unicode,
    }
}

#[test]
fn the_summary_at_eighty_columns() {
    insta::assert_snapshot!(terminal(
        &sample(),
        Some("http://127.0.0.1:8080/jobs/x"),
        &look(80, true)
    ));
}

#[test]
fn rows_of_several_sessions_are_told_apart() {
    let mut digest = sample();
    assert!(!terminal(&digest, None, &look(80, true)).contains("session"));
    let mut second = digest.job.sessions[0].clone();
    second.ordinal = 2;
    second.args = vec!["tests/e2e".to_owned(), "-q".to_owned()];
    digest.job.sessions.push(second);
    let mut again = digest.files[0].clone();
    again.session = 2;
    digest.files.push(again);
    digest.tests[1].session = 2;
    let text = terminal(&digest, None, &look(100, true));
    for line in [
        "session 1: 2 tests; 1 failed",
        "session 2: 2 tests; 1 failed: tests/e2e -q",
        "   114.4 MiB    152.6 MiB      1  tests/test_keeps.py (session 1)",
        "   114.4 MiB    152.6 MiB      1  tests/test_keeps.py (session 2)",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    let spike = text.lines().find(|line| line.contains("228.9 MiB"));
    let spike = spike.unwrap();
    assert!(spike.ends_with("_columns (session 2)"), "{spike}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn the_summary_without_unicode_is_ascii() {
    let text = terminal(&sample(), None, &look(60, false));
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn names_fit_by_width_and_cannot_steer_the_terminal() {
    assert_eq!(fitted("short", 10), "short");
    assert_eq!(fitted("0123456789abcdef", 9), "0123…cdef");
    assert_eq!(fitted("日本語のテスト名前", 9), "日本…名前");
    assert_eq!(fitted("a\x1b[31mb\u{202e}c", 40), "a\\u{1b}[31mb\\u{202e}c");
}

#[test]
fn a_fault_of_the_analysis_is_an_error_and_no_panic() {
    let fault = guarded(|| vec![1, 2].remove(7)).unwrap_err().to_string();
    assert!(fault.contains("removal index (is 7)"), "{fault}");
    assert_eq!(guarded(|| 7).unwrap(), 7);
}
