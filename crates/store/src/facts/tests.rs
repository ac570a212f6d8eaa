use uuid::Uuid;

use super::{HISTORY_OF_BRANCH, HISTORY_OF_NAME, JOB_NAMES, JOB_OF_NAME, NEWEST};
use crate::{tests::*, *};

#[tokio::test]
async fn the_history_of_one_name_is_read_in_the_order_of_an_index() {
    let (_folder, store) = store().await;
    let steps = plan_of(&store, HISTORY_OF_NAME).await;
    let has = |words: &[&str]| {
        let step = steps
            .iter()
            .find(|step| words.iter().all(|word| step.contains(word)));
        assert!(step.is_some(), "{words:?}: {steps:?}");
    };
    has(&[
        "SEARCH j ",
        "project_id=?",
        "name=?",
        "started_unix_us>? AND started_unix_us<?",
    ]);
    has(&["SEARCH f ", "file_id=?", "started_unix_us=?", "job_id=?"]);
    let is_sorted_later = steps.iter().any(|step| step.contains("TEMP B-TREE"));
    assert!(!is_sorted_later, "{steps:?}");
    let steps = plan_of(&store, HISTORY_OF_BRANCH).await;
    let is_bounded =
        |step: &String| step.contains("SEARCH job USING") && step.contains("job_by_branch_name");
    assert!(steps.iter().any(is_bounded), "{steps:?}");
    let is_slow = |step: &String| step.contains("SCAN") && !step.contains("newest");
    assert!(!steps.iter().any(is_slow), "{steps:?}");
    for statement in [NEWEST, JOB_OF_NAME] {
        let steps = plan_of(&store, statement).await;
        let is_of_index = |step: &String| step.contains("SEARCH") || step.contains("SUBQUERY");
        assert!(steps.iter().all(is_of_index), "{steps:?}");
    }
    let steps = plan_of(&store, JOB_NAMES).await;
    let is_scanned = steps
        .iter()
        .any(|step| step.contains("SCAN") && !step.contains("newest"));
    assert!(!is_scanned, "{steps:?}");
}

/// Jobs by their names and starts, with the file that each ran.
async fn jobs(store: &Store, table: &[(&str, i64, &str)]) -> Vec<Uuid> {
    let mut uuids = Vec::new();
    for (name, started, path) in table {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let moment = Moment {
            started_unix_us: *started,
            ..at(9)
        };
        store.put_job(uuid, job(name), moment).await.unwrap();
        store
            .put_batch(uuid, batch(stream, 0, 1, 1), 9)
            .await
            .unwrap();
        let key = key_of(store, uuid).await;
        let facts = [1, 2].map(|session| fact(path, session));
        let done = Finalised {
            facts: facts.into(),
            ..finalised(&key, 1, key.arrivals, vec![(stream, 0)])
        };
        assert_eq!(store.put_finalised(done).await.unwrap(), Put::New);
        uuids.push(uuid);
    }
    uuids
}

#[tokio::test]
async fn of_jobs_that_did_not_run_a_file_so_many_are_gone_through() {
    let (_folder, store) = store().await;
    let uuids = jobs(
        &store,
        &[
            ("unit", 1, "left.py"),
            ("unit", 2, "moved.py"),
            ("unit", 3, "other.py"),
            ("unit", 4, "other.py"),
            ("e2e", 5, "moved.py"),
        ],
    )
    .await;
    let project = store.project("owner/repo").await.unwrap().unwrap().id;
    let found = async |path, most_jobs| -> Vec<Uuid> {
        let jobs = ("unit", most_jobs);
        let points = store.history_of_name(project, path, jobs, [i64::MAX; 3], 1);
        let points = points.await.unwrap();
        points.iter().map(|point| point.uuid).collect()
    };
    // From the newest job with the file on, so that those since cost nothing.
    assert_eq!(found("left.py", 1).await, [uuids[0]]);
    assert!(found("moved.py", 2).await.is_empty());
    assert_eq!(found("moved.py", 3).await, [uuids[1]]);
    assert!(found("never.py", 9).await.is_empty());
}

#[tokio::test]
async fn jobs_of_different_names_have_histories_of_their_own() {
    let (_folder, store) = store().await;
    let uuids = jobs(
        &store,
        &[
            ("unit", 1, "test_a.py"),
            ("e2e", 2, "test_a.py"),
            ("unit", 3, "test_a.py"),
            ("e2e", 3, "test_a.py"),
            ("other", 4, "test_b.py"),
        ],
    )
    .await;
    let project = store.project("owner/repo").await.unwrap().unwrap().id;
    let history = async |name, after, limit| {
        let points = store.file_history(project, "test_a.py", name, after, limit);
        points.await.unwrap()
    };
    let seen = |points: &[HistoryPoint]| -> Vec<(Uuid, u32)> {
        points
            .iter()
            .map(|point| (point.uuid, point.session))
            .collect()
    };
    let unit = [(uuids[2], 1), (uuids[2], 2), (uuids[0], 1), (uuids[0], 2)];
    assert_eq!(seen(&history(Some("unit"), None, 9).await), unit);
    assert_eq!(history(None, None, 9).await.len(), 8);
    assert_eq!(history(Some("other"), None, 9).await, []);
    let mut after = None;
    for expected in unit {
        let page = history(Some("unit"), after, 1).await;
        assert_eq!(seen(&page), [expected]);
        let point = &page[0];
        after = Some([point.started_unix_us, point.job, point.session.into()]);
    }
    assert_eq!(history(Some("unit"), after, 1).await, []);
    let names = async |rows| {
        let names = store.job_names_of_file(project, "test_a.py", rows);
        names.await.unwrap()
    };
    assert_eq!(names(100).await, ["e2e", "unit"]);
    assert_eq!(names(2).await, ["e2e"]);
}
