use highwater_wire::{
    report::{FileRow, ForecastReport, LimitKind},
    v1::{CollectEnd, Metric, Role, mark::What},
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
        told.is_warning && told.sentence.starts_with("Had it gone on so"),
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
    let history = History::of(&files);
    let cut = story(15, super::builder::ce(30)).ends(None, Some(9));
    let digest = digest_with(&cut.recording(), &context(whole.job.state), &history);
    let told = forecast(digest);
    assert_eq!(
        (told.files_done, told.files, told.files_known),
        (15, 30, 15)
    );
    // 100 MB, 29 files of 20, and 405 above.
    assert!((told.peak_bytes.value / MB - 1_085).abs() < 40, "{told:?}");
}
