mod made;
mod statements;

use highwater_wire::v1;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{facts, jobs};

pub(crate) use made::{fact, plan_of};

pub(crate) async fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    (folder, Store::open(&url).await.unwrap())
}

pub(crate) fn job(name: &str) -> v1::Job {
    v1::Job {
        version: 1,
        project: "owner/repo".to_owned(),
        run: Some(v1::Run {
            provider: "local".to_owned(),
            id: "1".to_owned(),
            ..v1::Run::default()
        }),
        name: name.to_owned(),
        attempt: 1,
        ..v1::Job::default()
    }
}

/// Heard of at that time, µs since 1970.
pub(crate) fn at(heard_unix_us: i64) -> Moment {
    Moment {
        started_unix_us: 0,
        heard_unix_us,
        clock_skew_us: None,
    }
}

pub(crate) fn batch(stream: Uuid, seq: u64, digest: u8, body: u8) -> NewBatch {
    NewBatch {
        stream,
        seq,
        digest: [digest; 32],
        body: vec![body],
        weight: 1_000,
    }
}

#[tokio::test]
async fn the_same_twice_is_the_same_and_another_is_a_conflict() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    assert_eq!(
        store
            .put_batch(uuid, batch(stream, 0, 1, 1), 5)
            .await
            .unwrap(),
        Put::Unknown
    );
    assert_eq!(
        store.put_job(uuid, job("unit"), at(5)).await.unwrap(),
        Put::New
    );
    assert_eq!(
        store.put_job(uuid, job("unit"), at(6)).await.unwrap(),
        Put::Same
    );
    assert_eq!(
        store.put_job(uuid, job("other"), at(7)).await.unwrap(),
        Put::Conflict
    );
    assert_eq!(
        store
            .put_batch(uuid, batch(stream, 0, 1, 1), 8)
            .await
            .unwrap(),
        Put::New
    );
    assert_eq!(
        store
            .put_batch(uuid, batch(stream, 0, 1, 9), 9)
            .await
            .unwrap(),
        Put::Same
    );
    assert_eq!(
        store
            .put_batch(uuid, batch(stream, 0, 2, 1), 9)
            .await
            .unwrap(),
        Put::Conflict
    );
    let end = v1::End {
        version: 1,
        exit_code: Some(1),
        ..v1::End::default()
    };
    let later = v1::End {
        revision: 1,
        ..end.clone()
    };
    let contradicting = v1::End {
        exit_code: Some(0),
        ..end.clone()
    };
    assert_eq!(
        store.put_end(uuid, end.clone(), 10).await.unwrap(),
        Put::New
    );
    assert_eq!(
        store.put_end(uuid, contradicting, 10).await.unwrap(),
        Put::Conflict
    );
    assert_eq!(store.put_end(uuid, later, 10).await.unwrap(), Put::New);
    assert_eq!(store.put_end(uuid, end, 10).await.unwrap(), Put::Same);
    let mut snapshot = store.snapshot().await.unwrap();
    let key = snapshot.job(uuid).await.unwrap().unwrap();
    // The batch and two ends were new.
    assert_eq!(key.arrivals, 3);
    assert_eq!(snapshot.batch_counts(key.id).await.unwrap(), [(stream, 1)]);
    assert_eq!(snapshot.batch_bodies(key.id).await.unwrap()[0].body, [1]);
}

#[tokio::test]
async fn a_list_is_in_the_order_of_an_index_whatever_it_is_filtered_by() {
    let (_folder, store) = store().await;
    let explain = |statement: &str| format!("EXPLAIN QUERY PLAN {statement}");
    let word = |is_asked: bool| is_asked.then(|| "x".to_owned());
    for asked in 0..32_u8 {
        let is_asked = |bit: u8| asked & (1 << bit) != 0;
        let filter = JobFilter {
            branch: word(is_asked(0)),
            name: word(is_asked(1)),
            verdict: word(is_asked(2)),
            run: is_asked(3).then_some(1),
            is_itself: is_asked(4),
            confirming: false,
            before: None,
        };
        let mut query = jobs::list(&explain(jobs::LIST), 1, &filter, 10);
        let plan: Vec<(i64, i64, i64, String)> = query
            .build_query_as()
            .fetch_all(&store.readers)
            .await
            .unwrap();
        let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
        let job = steps.iter().find(|step| step.contains(" j ")).unwrap();
        for (is_asked, column) in [
            (filter.branch.is_some() && filter.run.is_none(), "branch=?"),
            (filter.name.is_some() && filter.run.is_none(), "name=?"),
            (
                filter.verdict.is_some() && filter.run.is_none(),
                "verdict=?",
            ),
        ] {
            assert!(!is_asked || job.contains(column), "{asked:05b}: {steps:?}");
        }
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE")) || filter.run.is_some(),
            "{asked:05b}: {steps:?}"
        );
    }
    for statement in [jobs::RUNS, facts::HISTORY] {
        let explained = explain(statement);
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explained))
            .bind(1)
            .bind("x")
            .bind(1)
            .bind(1)
            .bind(1)
            .bind(1)
            .fetch_all(&store.readers)
            .await
            .unwrap();
        let is_sorted_later = plan.iter().any(|step| step.3.contains("TEMP B-TREE"));
        assert!(!is_sorted_later, "{plan:?}");
    }
}

#[tokio::test]
async fn requests_that_wait_together_are_each_answered_for_themselves() {
    let (_folder, store) = store().await;
    let uuids: Vec<Uuid> = (0..50).map(|_| Uuid::now_v7()).collect();
    let puts = uuids.iter().map(|uuid| {
        let (store, uuid) = (store.clone(), *uuid);
        tokio::spawn(async move { store.put_job(uuid, job("unit"), at(1)).await })
    });
    for put in puts.collect::<Vec<_>>() {
        assert_eq!(put.await.unwrap().unwrap(), Put::New);
    }
    let project = store.project("owner/repo").await.unwrap().unwrap().id;
    let listed = store
        .jobs(project, &JobFilter::default(), 100)
        .await
        .unwrap();
    assert_eq!(listed.len(), 50);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_closing_and_opening() {
    let (folder, store) = store().await;
    let uuid = Uuid::now_v7();
    store.put_job(uuid, job("unit"), at(1)).await.unwrap();
    store.close().await;
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let again = Store::open(&url).await.unwrap();
    let mut snapshot = again.snapshot().await.unwrap();
    assert!(snapshot.job(uuid).await.unwrap().is_some());
}

fn report(key: &crate::JobKey, content: &str) -> Detail {
    Detail::pack(key.id, DetailKind::Report, content.as_bytes()).unwrap()
}

/// What finalising would write of an empty job at this revision, as of these arrivals.
pub(crate) fn finalised(
    key: &crate::JobKey,
    revision: u32,
    arrivals: i64,
    settled: Vec<(Uuid, u64)>,
) -> Finalised {
    Finalised {
        job: key.id,
        project: key.project_id,
        arrivals,
        state: "finished".to_owned(),
        revision,
        duration_us: 1,
        peak_bytes: i64::from(revision),
        peak_kind: "sampled".to_owned(),
        headroom_bytes: None,
        verdict: None,
        confidence: None,
        tests: 0,
        failed: 0,
        comparable: None,
        ordered_unix_us: 0,
        diagnosed: false,
        series: Vec::new(),
        pages: Vec::new(),
        details: vec![report(key, &revision.to_string())],
        facts: Vec::new(),
        news_since_unix_us: None,
        settled,
    }
}

pub(crate) async fn key_of(store: &Store, uuid: Uuid) -> crate::JobKey {
    let mut snapshot = store.snapshot().await.unwrap();
    snapshot.job(uuid).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_arrives_while_a_job_is_finalised_leaves_it_unsettled_and_keeps_its_body() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    for seq in 0..2 {
        // The clock stands still: only the count of arrivals tells them apart.
        let put = store.put_batch(uuid, batch(stream, seq, 1, 1), 5).await;
        assert_eq!(put.unwrap(), Put::New);
    }
    let key = key_of(&store, uuid).await;
    let seen_one = finalised(&key, 1, key.arrivals - 1, vec![(stream, 0)]);
    assert_eq!(store.put_finalised(seen_one).await.unwrap(), Put::New);
    let key = key_of(&store, uuid).await;
    assert!(key.unsettled);
    let mut snapshot = store.snapshot().await.unwrap();
    let left = snapshot.batch_bodies(key.id).await.unwrap();
    assert_eq!(left.iter().map(|batch| batch.seq).collect::<Vec<_>>(), [1]);
    drop(snapshot);
    let seen_both = finalised(&key, 2, key.arrivals, vec![(stream, 1)]);
    assert_eq!(store.put_finalised(seen_both).await.unwrap(), Put::New);
    assert!(!key_of(&store, uuid).await.unsettled);
}

#[tokio::test]
async fn of_two_that_finalise_the_same_revision_the_second_changes_nothing() {
    let (_folder, store) = store().await;
    let uuid = Uuid::now_v7();
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    let key = key_of(&store, uuid).await;
    let first = finalised(&key, 1, key.arrivals, Vec::new());
    let mut second = finalised(&key, 1, key.arrivals, Vec::new());
    second.details = vec![report(&key, "another")];
    assert_eq!(store.put_finalised(first).await.unwrap(), Put::New);
    assert_eq!(store.put_finalised(second).await.unwrap(), Put::Conflict);
    assert_eq!(
        store.sizes().await.unwrap(),
        Sizes {
            samples: 0,
            page_bytes: 0,
            jobs: 1
        }
    );
    let mut snapshot = store.snapshot().await.unwrap();
    let report = snapshot.detail(key.id, DetailKind::Report).await.unwrap();
    assert_eq!(report.unwrap().unpack().unwrap(), b"1");
}

#[tokio::test]
async fn a_snapshot_is_one_moment() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    let key = snapshot.job(uuid).await.unwrap().unwrap();
    store
        .put_batch(uuid, batch(stream, 0, 1, 1), 6)
        .await
        .unwrap();
    assert_eq!(snapshot.batch_bodies(key.id).await.unwrap(), []);
    assert_eq!(snapshot.job(uuid).await.unwrap().unwrap(), key);
    drop(snapshot);
    assert_eq!(key_of(&store, uuid).await.arrivals, key.arrivals + 1);
}

#[tokio::test]
async fn only_jobs_that_ended_or_are_silent_are_to_be_settled() {
    let (_folder, store) = store().await;
    let (silent, live, ended) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    store.put_job(silent, job("unit"), at(5)).await.unwrap();
    store.put_job(live, job("unit"), at(50)).await.unwrap();
    store.put_job(ended, job("unit"), at(60)).await.unwrap();
    store.put_end(ended, v1::End::default(), 60).await.unwrap();
    let found = store.unsettled(20).await.unwrap();
    assert_eq!(found, [(silent, 0), (ended, 1)]);
}

#[tokio::test]
async fn a_job_takes_no_more_than_can_be_finalised() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    let heavy = |seq| NewBatch {
        weight: highwater_wire::codec::MAX_JOB_WEIGHT / 2,
        ..batch(stream, seq, 1, 1)
    };
    let mut puts = Vec::new();
    for seq in [0, 1, 2, 1, 3] {
        puts.push(store.put_batch(uuid, heavy(seq), 6).await.unwrap());
    }
    assert_eq!(
        puts,
        [Put::New, Put::New, Put::Full, Put::Same, Put::Full],
        "what is there already is still acknowledged"
    );
    let other = NewBatch {
        stream: Uuid::new_v4(),
        ..heavy(0)
    };
    assert_eq!(store.put_batch(uuid, other, 6).await.unwrap(), Put::Full);
    let key = key_of(&store, uuid).await;
    assert_eq!(key.arrivals, 2);
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.batch_counts(key.id).await.unwrap(), [(stream, 2)]);
}

#[tokio::test]
async fn a_job_that_was_given_up_runs_again_when_it_is_heard_of() {
    for state in ["lost", "incomplete"] {
        let (_folder, store) = store().await;
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        store.put_job(uuid, job("unit"), at(5)).await.unwrap();
        let key = key_of(&store, uuid).await;
        let given_up = Finalised {
            state: state.to_owned(),
            verdict: Some("agent_lost".to_owned()),
            confidence: Some("likely".to_owned()),
            ..finalised(&key, 1, key.arrivals, Vec::new())
        };
        store.put_finalised(given_up).await.unwrap();
        assert_eq!(store.unsettled(i64::MIN).await.unwrap(), []);
        store.reopen(uuid).await.unwrap();
        assert_eq!(store.unsettled(i64::MIN).await.unwrap(), [(uuid, 0)]);
        let late = store.put_batch(uuid, batch(stream, 0, 1, 1), 9).await;
        assert_eq!(late.unwrap(), Put::New);
        let row = &store.projects(&Visible::All, None, 1).await.unwrap()[0].newest;
        assert_eq!(
            (row.state.as_str(), &row.verdict, &row.confidence),
            ("running", &None, &None)
        );
    }
}

#[tokio::test]
async fn projects_come_in_pages_with_their_newest_job() {
    let (_folder, store) = store().await;
    for (number, project) in (1..).zip(["a/old", "b/new", "a/old", "c/newest"]) {
        let job = v1::Job {
            project: project.to_owned(),
            started_unix_us: number,
            ..job(&format!("job {number}"))
        };
        store.put_job(Uuid::now_v7(), job, at(1)).await.unwrap();
    }
    let first = store.projects(&Visible::All, None, 2).await.unwrap();
    let after = first
        .last()
        .map(|row| [row.newest.started_unix_us, row.newest.id]);
    let rest = store.projects(&Visible::All, after, 2).await.unwrap();
    let found: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|row| {
            (
                row.newest.project.as_str(),
                row.newest.name.as_str(),
                row.jobs,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("c/newest", "job 4", 1),
            ("a/old", "job 3", 2),
            ("b/new", "job 2", 1)
        ]
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_told() {
    let error = Store::open("postgres://x").await.unwrap_err().to_string();
    assert_eq!(
        error,
        r#""postgres://x" is no database address; write sqlite://PATH"#
    );
}

/// What the tables take in the file, bytes: free pages are not counted.
async fn used_bytes(store: &Store) -> i64 {
    let space = store.space().await.unwrap();
    space.bytes - space.free_bytes
}

#[tokio::test]
async fn of_a_batch_that_is_in_the_pages_little_is_left() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    let before = used_bytes(&store).await;
    for seq in 0..600 {
        let mut batch = batch(stream, seq, 1, 1);
        batch.body = vec![7; 1_500];
        store.put_batch(uuid, batch, 5).await.unwrap();
    }
    assert!(used_bytes(&store).await - before > 600 * 1_500);
    let key = key_of(&store, uuid).await;
    let settled = (0..600).map(|seq| (stream, seq)).collect();
    let done = finalised(&key, 1, key.arrivals, settled);
    assert_eq!(store.put_finalised(done).await.unwrap(), Put::New);
    let left = used_bytes(&store).await - before;
    assert!(left < 600 * 100, "a digest and its key are some 50: {left}");
}
