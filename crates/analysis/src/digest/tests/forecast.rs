use highwater_wire::{
    report::{FileRow, ForecastReport, JobState, LimitKind},
    v1::{CollectEnd, GuardAction, Metric, Role, event, mark::What},
};

use super::builder::{MB, Story, context, sb, se, tb, te};
use crate::{
    digest::{Digest, digest_with},
    forecast::History,
};

const FILES: i64 = 30;

fn list(files: i64) -> What {
    let lines: Vec<String> = (1..=files).map(|at| format!("1 test_{at:02}.py")).collect();
    What::CollectEnd(CollectEnd {
        items: files.cast_unsigned(),
        files: lines.join("\n"),
    })
}

/// A session in which each of the first files keeps 20 MB, a second each.
fn story(done: i64, list: What) -> Story {
    let mut marks = vec![(0, 100, 100, sb()), (10, 100, 100, list)];
    for at in 1..=done {
        let (before, held) = (80 + 20 * at, 100 + 20 * at);
        let path = format!("test_{at:02}.py");
        marks.push((at * 1_000, before, before, tb(&path, "it")));
        marks.push(((at + 1) * 1_000 - 1, held, held + 5, te("passed")));
    }
    let last = 100 + 20 * done;
    if done == FILES {
        marks.push(((done + 1) * 1_000, last, last, se(0)));
    }
    let held: Vec<i64> = (0..=done).map(|at| 100 + 20 * at).collect();
    // Ten MB more count against the cgroup than the job holds.
    let used: Vec<i64> = held.iter().map(|held| held + 10).collect();
    let limits = vec![500; used.len()];
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&marks)
        .of_process(10, |process| process.cgroup = "/a".to_owned())
        .samples(Metric::Rss, 0, &held)
        .series(Metric::CgroupLimit, None, "/a", 0, &limits, MB)
        .series(Metric::CgroupWorkingSet, None, "/a", 0, &used, MB)
}

/// The guard, a signal and `pytest.exit` end the tests of a session in order.
#[test]
fn a_file_in_which_a_session_was_interrupted_was_cut_short() {
    let files = |exit_status| {
        let list = What::CollectEnd(CollectEnd {
            items: 4,
            files: "1 test_a.py\n2 test_b.py\n1 test_c.py".to_owned(),
        });
        let story = Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .marks(&[
                (0, 10, 10, sb()),
                (1, 10, 10, list),
                (2, 10, 10, tb("test_a.py", "one")),
                (3, 20, 20, te("passed")),
                (4, 20, 20, tb("test_b.py", "one")),
                (5, 20, 20, te("passed")),
                (6, 20, 20, se(exit_status)),
            ])
            .ends(Some(exit_status), None);
        let files = story.digest().files;
        files
            .iter()
            .map(|row| (row.path.clone(), row.censored))
            .collect::<Vec<_>>()
    };
    let told = |b| [("test_a.py".to_owned(), false), ("test_b.py".to_owned(), b)];
    assert_eq!(files(2), told(true));
    // Of one that ended by itself nobody cut anything short.
    assert_eq!(files(0), told(false));
}

fn forecast(digest: Digest) -> ForecastReport {
    digest.job.forecast.expect("a forecast")
}

#[test]
fn a_job_that_died_says_where_it_would_have_crossed() {
    let job = story(15, list(FILES)).ends(None, Some(9)).digest();
    let told = forecast(job);
    assert_eq!((told.session, told.files_done, told.files), (1, 15, 30));
    assert_eq!(told.peak_bytes.value / MB, 705);
    let [crossing] = &told.crossings[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (crossing.kind, crossing.path.as_str()),
        (LimitKind::Cgroup, "/a")
    );
    assert_eq!(
        crossing.test_file,
        format!("test_{:02}.py", crossing.file.unwrap())
    );
    assert!(
        !told.is_warning && told.sentence.starts_with("Had it gone on so"),
        "{}",
        told.sentence
    );
}

#[test]
fn a_job_that_ran_all_its_files_has_no_forecast() {
    let job = story(FILES, list(FILES)).ends(Some(0), None).digest().job;
    assert_eq!(job.forecast, None);
}

#[test]
fn without_a_list_and_without_history_it_is_not_known_what_is_to_come() {
    let job = story(15, super::builder::ce(30))
        .ends(None, Some(9))
        .digest()
        .job;
    assert_eq!(job.forecast, None);
}

#[test]
fn history_stands_in_for_the_list_and_knows_the_files_to_come() {
    let whole = story(FILES, list(FILES)).ends(Some(0), None).digest();
    let heavy = |file: FileRow| match file.path.as_str() {
        "test_29.py" => {
            let mut file = file;
            for worker in &mut file.workers {
                worker.tree_peak_bytes += 400 * MB;
            }
            file
        }
        _ => file,
    };
    let files: Vec<FileRow> = whole.files.into_iter().map(heavy).collect();
    let history = History::of(&files, &whole.job.sessions);
    let running = story(15, super::builder::ce(30));
    let digest = digest_with(&running.recording(), &context(JobState::Running), &history);
    let told = forecast(digest);
    assert_eq!(
        (told.files_done, told.files, told.files_known),
        (15, 30, 15)
    );
    // 100 MB, 29 files of 20, and 405 above.
    assert!((told.peak_bytes.value / MB - 1_085).abs() < 40, "{told:?}");
}

/// The job reached the 420 MB of its cgroup, where nothing could be sampled any more, and the kernel killed in it.
fn killed(story: Story) -> Story {
    story
        .of_process(10, |process| {
            process.ended_us = Some(17_000_000);
            process.signal = Some(9);
        })
        .series(Metric::CgroupLimit, None, "/a", 16_900, &[420, 420], MB)
        .series(Metric::CgroupPeak, None, "/a", 16_900, &[410, 420], MB)
        .series(Metric::CgroupOomKills, None, "/a", 16_900, &[0, 1], 1)
}

#[test]
fn a_session_that_ran_to_its_end_has_no_forecast_whoever_was_killed_in_it() {
    let ended = vec![(16_000, 400, 400, se(1))];
    let story = killed(story(15, list(FILES))).marks(&ended);
    let died = story.clone().ends(Some(1), None).digest().job;
    assert_eq!(died.forecast, None);
    let running = digest_with(
        &story.recording(),
        &context(JobState::Running),
        &History::default(),
    );
    assert_eq!(running.job.forecast, None);
}

#[test]
fn a_job_that_ended_is_not_told_what_another_ran() {
    let whole = story(FILES, list(FILES)).ends(Some(0), None).digest();
    let history = History::of(&whole.files, &whole.job.sessions);
    let ended = |sampled: bool, end: Story| {
        let mut story = end;
        for session in &mut story.batch.sessions {
            session.sampled = sampled;
            session.ended_us = sampled.then_some(16_500_000);
        }
        let recording = story.recording();
        digest_with(&recording, &context(JobState::Finished), &history).job
    };
    let story = story(15, super::builder::ce(30));
    let passed = ended(true, story.clone().ends(Some(0), None));
    assert!(!passed.censored);
    assert_eq!(passed.forecast, None);
    let died = ended(false, story.ends(None, Some(9)));
    assert!(died.censored);
    assert_eq!(died.forecast, None);
}

#[test]
fn the_interruption_by_the_guard_is_no_height_of_a_file() {
    let stop = event::What::Guard(GuardAction {
        action: "stopped".to_owned(),
        ..GuardAction::default()
    });
    let marks = vec![
        (16_000, 400, 400, tb("test_16.py", "it")),
        (16_900, 420, 900, te("failed")),
        (16_950, 420, 420, se(2)),
    ];
    let told = |story: Story| forecast(story.ends(Some(2), None).digest());
    let stopped = story(15, list(FILES)).marks(&marks);
    let counted = told(stopped.clone());
    assert_eq!(counted.files_done, 16);
    let told = told(stopped.event(16_500, stop));
    assert_eq!((told.files_done, told.files), (15, FILES as u64));
    // What was held in it was held all the same; beyond that files go 5 MB above what they leave, as before.
    assert_eq!(told.peak_bytes.high, 900 * MB);
}

#[test]
fn a_pytest_that_the_kernel_killed_is_not_open_though_the_job_goes_on() {
    let story = killed(story(15, list(FILES)));
    let digest = digest_with(
        &story.recording(),
        &context(JobState::Running),
        &History::default(),
    );
    let fallen = digest.job.sessions[0].fallen.clone().unwrap();
    assert_eq!(
        (fallen.at_us, fallen.by_kernel, fallen.sentence.as_str()),
        (
            17_000_000,
            true,
            "The kernel killed pytest because its cgroup reached its memory limit, after 15 tests."
        )
    );
    assert!(!digest.job.sessions[0].is_open());
    let told = forecast(digest);
    assert!(!told.is_warning && told.crossings.is_empty(), "{told:?}");
    assert!(
        told.sentence.starts_with("Had it gone on so")
            && told
                .sentence
                .ends_with("It had reached the limit of the cgroup, 400.5 MiB."),
        "{}",
        told.sentence
    );
    // Of one that lives nothing is told.
    let lives = self::story(15, list(FILES));
    let digest = digest_with(
        &lives.recording(),
        &context(JobState::Running),
        &History::default(),
    );
    assert!(digest.job.sessions[0].is_open());
}
