use highwater_wire::{
    report::{Course, GrowthReport, JobReport, LimitKind},
    v1::{Metric, Role},
};

use super::builder::{MB, Story, fb, fe, rb, re, sb, se, tb, te};
use crate::plan::{self, Facts};

/// A worker that ends its files at so many MB each, one every `every` ms.
fn worker(story: Story, pid: u32, name: &str, every: i64, ends: &[(&str, i64)]) -> Story {
    let role = match name {
        "" => Role::Pytest,
        _ => Role::Worker,
    };
    let mut marks = vec![(0, 50, 50, sb())];
    let mut before = 50;
    for (at, (path, end)) in (1..).zip(ends) {
        marks.push((at * every, before, before, tb(path, "it")));
        marks.push(((at + 1) * every - 1, *end, *end, te("passed")));
        before = *end;
    }
    let last = i64::try_from(ends.len()).unwrap() + 1;
    marks.push((last * every, before, before, se(0)));
    story.process(pid, 1, role, name, "s").marks(&marks)
}

fn files(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("test_{at:02}.py")).collect()
}

fn growth(story: Story) -> Vec<GrowthReport> {
    story.ends(Some(0), None).digest().job.growth
}

#[test]
fn steady_growth_says_how_many_files_more_the_tightest_limit_bears() {
    let paths = files(20);
    let ends: Vec<(&str, i64)> = (1..)
        .zip(&paths)
        .map(|(at, path)| (path.as_str(), 300 + 40 * at))
        .collect();
    let story = worker(Story::new().session("s", 0), 10, "", 1_000, &ends)
        .series(Metric::CgroupLimit, None, "/a", 0, &[1_600, 1_600], MB)
        .series(Metric::CgroupWorkingSet, None, "/a", 0, &[100, 1_150], MB)
        .series(Metric::MachineTotal, None, "", 0, &[8_000, 8_000], MB)
        .series(Metric::MachineAvailable, None, "", 0, &[5_000, 4_000], MB)
        .of_process(10, |process| process.cgroup = "/a".to_owned());
    let digest = story.ends(Some(0), None).digest();
    let facts = Facts::of(&digest.job.sessions, &digest.files, &digest.fixtures);
    let job = digest.job;
    let [report] = &job.growth[..] else {
        panic!("one session");
    };
    assert_eq!(
        (report.session, report.course, report.files),
        (1, Course::Steady, 20)
    );
    let command = |job: &JobReport, page: Option<&str>| {
        let hint = plan::hint(job, &facts, page)?;
        Some(hint.command().unwrap().to_owned())
    };
    // 50 of what was used of the limit are not the job's.
    let hint = format!("highwater plan --budget 1317MB {}", job.uuid);
    assert_eq!(command(&job, None), Some(hint));
    // It runs as it stands where the recording is on a server.
    let page = |server: &str| format!("{server}/jobs/{}", job.uuid);
    let told = command(&job, Some(&page("http://127.0.0.1:8080/highwater"))).unwrap();
    assert!(
        told.starts_with(
            "highwater plan --budget 1317MB --server http://127.0.0.1:8080/highwater "
        ),
        "{told}"
    );
    let strange = command(&job, Some(&page("http://a$(b)"))).unwrap();
    assert!(!strange.contains("--server"), "{strange}");
    // Its jobs are for as many workers as ran, and a coarse recording is no ground for a plan.
    let mut wide = job.clone();
    wide.sessions[0].numprocesses = 4;
    let hint = format!("highwater plan --budget 1317MB --workers 4 {}", job.uuid);
    assert_eq!(command(&wide, None), Some(hint));
    wide.sessions[0].sampled = true;
    assert_eq!(command(&wide, None), None);
    let each = report.per_file_bytes;
    assert_eq!([each.value, each.low, each.high].map(|it| it / MB), [40; 3]);
    assert_eq!(report.per_minute_bytes.value / MB, 2_400);
    let room = report.room.as_ref().unwrap();
    assert_eq!((room.kind, room.bytes / MB), (LimitKind::Cgroup, 450));
    assert_eq!(
        (room.files.value, room.duration_us.value / 1_000),
        (11, 11_250)
    );
    assert!(
        report
            .sentence
            .starts_with("Memory grew on and on: 38.1 MiB a file, ")
            && report
                .sentence
                .ends_with("If it goes on so, the limit of the cgroup has room for 11 files more."),
        "{}",
        report.sentence
    );
}

#[test]
fn what_comes_before_the_first_file_ends_is_nobodys_growth() {
    let paths = files(12);
    let ends: Vec<(&str, i64)> = paths.iter().map(|path| (path.as_str(), 900)).collect();
    let [report] = &growth(worker(Story::new().session("s", 0), 10, "", 100, &ends))[..] else {
        panic!("one session");
    };
    assert_eq!((report.course, report.grown_bytes), (Course::Level, 0));
    assert_eq!(report.room, None);
}

#[test]
fn a_fixture_of_the_session_is_nobodys_growth_wherever_it_comes_and_goes() {
    let paths = files(20);
    let mut marks = vec![(0, 50, 50, sb())];
    let mut rss = 50;
    for (at, path) in (1..).zip(&paths) {
        let began = at * 100;
        marks.push((began, rss, rss, tb(path, "it")));
        if at == 3 {
            marks.push((began + 1, rss, rss, fb(1, "database", "session", "")));
            rss += 200;
            marks.push((began + 2, rss, rss, fe(1)));
        }
        rss += 5;
        if at == 20 {
            marks.push((began + 90, rss, rss, rb(1)));
            rss -= 200;
            marks.push((began + 91, rss, rss, re(1)));
        }
        marks.push((began + 99, rss, rss, te("passed")));
    }
    marks.push((2_200, rss, rss, se(0)));
    let story = Story::new().session("s", 0);
    let [report] = &growth(story.process(10, 1, Role::Pytest, "", "s").marks(&marks))[..] else {
        panic!("one session");
    };
    assert_eq!(
        (report.course, report.grown_bytes / MB),
        (Course::Steady, 95)
    );
    let each = report.per_file_bytes;
    assert_eq!([each.value, each.low, each.high].map(|it| it / MB), [5; 3]);
}

#[test]
fn steps_are_named_by_their_files() {
    let paths = files(24);
    let ends: Vec<(&str, i64)> = (0..)
        .zip(&paths)
        .map(|(at, path)| (path.as_str(), if at < 15 { 200 } else { 320 }))
        .collect();
    let [report] = &growth(worker(Story::new().session("s", 0), 10, "", 100, &ends))[..] else {
        panic!("one session");
    };
    assert_eq!(report.course, Course::Steps);
    let steps: Vec<_> = report
        .steps
        .iter()
        .map(|step| (step.path.as_str(), step.bytes / MB))
        .collect();
    assert_eq!(steps, [("test_15.py", 120)]);
    assert!(
        report
            .sentence
            .contains("over 24 files: in test_15.py (114.4 MiB), and hardly in any other."),
        "{}",
        report.sentence
    );
}

#[test]
fn what_grew_beside_steps_is_told_as_much_as_it_is() {
    // One step of 64, and 36 little by little behind it.
    let paths = files(60);
    let ends: Vec<(&str, i64)> = (0..)
        .zip(&paths)
        .map(|(at, path)| match at {
            ..50 => (path.as_str(), 200),
            _ => (path.as_str(), 264 + 4 * (at - 50)),
        })
        .collect();
    let [report] = &growth(worker(Story::new().session("s", 0), 10, "", 100, &ends))[..] else {
        panic!("one session");
    };
    assert_eq!(report.course, Course::Steps, "{report:?}");
    assert_eq!(
        report.sentence,
        "Memory stepped up by 95.4 MiB over 60 files: in test_50.py (61.0 MiB), and by 34.3 MiB (36 %) in all others."
    );
}

#[test]
fn workers_grow_together_and_a_file_in_parts_counts_once() {
    // Two workers share ten files under `load`: each visit of each leaves 5 MB.
    let paths = files(10);
    let visits: Vec<(&str, i64)> = (1..)
        .zip(paths.iter().cycle().take(20))
        .map(|(at, path)| (path.as_str(), 100 + 5 * at))
        .collect();
    let story = worker(Story::new().session("s", 0), 11, "gw0", 300, &visits);
    let [report] = &growth(worker(story, 12, "gw1", 300, &visits))[..] else {
        panic!("one session");
    };
    assert_eq!((report.course, report.files), (Course::Steady, 10));
    // Forty visits of 5 MB each over ten files; 200 visits a minute and worker.
    assert_eq!(
        (
            report.per_file_bytes.value / MB,
            report.per_minute_bytes.value / MB
        ),
        (20, 2_000)
    );
    assert!(
        report.sentence.contains("over 10 files on 2 workers"),
        "{}",
        report.sentence
    );
}

#[test]
fn of_a_few_files_nothing_is_said() {
    let paths = files(4);
    let ends: Vec<(&str, i64)> = paths.iter().map(|path| (path.as_str(), 900)).collect();
    assert_eq!(
        growth(worker(Story::new().session("s", 0), 10, "", 100, &ends)),
        []
    );
}

#[test]
fn a_worker_of_which_too_little_is_known_dilutes_nothing() {
    let paths = files(16);
    let ends = |from: usize, count: usize| -> Vec<(&str, i64)> {
        let paths = paths[from..from + count].iter();
        (1..)
            .zip(paths)
            .map(|(at, path)| (path.as_str(), 100 + 10 * at))
            .collect()
    };
    let story = worker(Story::new().session("s", 0), 11, "gw0", 300, &ends(0, 6));
    let story = worker(story, 12, "gw1", 300, &ends(6, 5));
    let [report] = &growth(story.clone())[..] else {
        panic!("six of eleven visits are most");
    };
    assert_eq!((report.files, report.per_file_bytes.value / MB), (6, 10));
    assert!(!report.sentence.contains("workers"), "{}", report.sentence);
    // Now most of the visits are of workers that had too few.
    assert_eq!(growth(worker(story, 13, "gw2", 300, &ends(11, 5))), []);
}
