use highwater_wire::v1;
use sqlx::Executor;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{batches, db, details, facts, jobs, projects, series, writer};

async fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    (folder, Store::open(&url).await.unwrap())
}

fn job(name: &str) -> v1::Job {
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

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let (_folder, store) = store().await;
    let statements = [
        db::PING,
        projects::INSERT,
        projects::ID,
        projects::LIST,
        jobs::INSERT_RUN,
        jobs::RUN_ID,
        jobs::INSERT,
        jobs::BEGIN_BODY,
        jobs::HEARD,
        jobs::END_BODY,
        jobs::SET_END,
        jobs::KEY,
        jobs::UNSETTLED,
        jobs::SETTLE,
        jobs::LIST,
        jobs::RUNS,
        jobs::RUN,
        jobs::COUNTS,
        batches::STREAM_NO,
        batches::INSERT_STREAM,
        batches::DIGEST,
        batches::INSERT,
        batches::COUNTS,
        batches::BODIES,
        batches::DROP_BODY,
        series::LIST,
        series::DELETE_SERIES,
        series::DELETE_PAGES,
        series::INSERT_SERIES,
        series::INSERT_PAGE,
        series::PAGES,
        details::GET,
        details::DELETE,
        details::INSERT,
        facts::DELETE,
        facts::INSERT_FILE,
        facts::INSERT,
        facts::HISTORY,
        writer::BEGIN,
        writer::COMMIT,
        writer::ROLLBACK,
        writer::SAVEPOINT,
        writer::RELEASE,
        writer::BACK,
    ];
    let mut connection = store.readers.acquire().await.unwrap();
    for statement in statements {
        let prepared = connection
            .prepare(sqlx::SqlStr::from_static(statement))
            .await;
        assert!(prepared.is_ok(), "{statement}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn the_same_twice_is_the_same_and_another_is_a_conflict() {
    let (_folder, store) = store().await;
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    assert_eq!(
        store
            .put_batch(uuid, stream, 0, [1; 32], vec![1], 5)
            .await
            .unwrap(),
        Put::NoJob
    );
    assert_eq!(store.put_job(uuid, job("unit"), 5).await.unwrap(), Put::New);
    assert_eq!(
        store.put_job(uuid, job("unit"), 6).await.unwrap(),
        Put::Same
    );
    assert_eq!(
        store.put_job(uuid, job("other"), 7).await.unwrap(),
        Put::Conflict
    );
    assert_eq!(
        store
            .put_batch(uuid, stream, 0, [1; 32], vec![1], 8)
            .await
            .unwrap(),
        Put::New
    );
    assert_eq!(
        store
            .put_batch(uuid, stream, 0, [1; 32], vec![9], 9)
            .await
            .unwrap(),
        Put::Same
    );
    assert_eq!(
        store
            .put_batch(uuid, stream, 0, [2; 32], vec![1], 9)
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
    let key = store.job(uuid).await.unwrap().unwrap();
    assert_eq!(store.batch_counts(key.id).await.unwrap(), [(stream, 1)]);
    assert_eq!(store.batch_bodies(key.id).await.unwrap()[0].body, [1]);
}

#[tokio::test]
async fn requests_that_wait_together_are_each_answered_for_themselves() {
    let (_folder, store) = store().await;
    let uuids: Vec<Uuid> = (0..50).map(|_| Uuid::now_v7()).collect();
    let puts = uuids.iter().map(|uuid| {
        let (store, uuid) = (store.clone(), *uuid);
        tokio::spawn(async move { store.put_job(uuid, job("unit"), 1).await })
    });
    for put in puts.collect::<Vec<_>>() {
        assert_eq!(put.await.unwrap().unwrap(), Put::New);
    }
    let project = store.project_id("owner/repo").await.unwrap().unwrap();
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
    store.put_job(uuid, job("unit"), 1).await.unwrap();
    store.close().await;
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let again = Store::open(&url).await.unwrap();
    assert!(again.job(uuid).await.unwrap().is_some());
}

#[tokio::test]
async fn an_address_that_is_none_is_told() {
    let error = Store::open("postgres://x").await.unwrap_err().to_string();
    assert_eq!(
        error,
        r#""postgres://x" is no database address; write sqlite://PATH"#
    );
}
