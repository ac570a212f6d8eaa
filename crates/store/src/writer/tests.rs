use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::*;
use crate::{
    Trouble,
    tests::{at, batch, job, store},
    trouble::Health,
};

#[tokio::test]
async fn a_disk_that_is_full_in_the_middle_of_a_group_refuses_all_of_it_and_is_called_so() {
    let (folder, store) = store().await;
    store.close().await;
    let path = folder.path().join("test.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    let limit = |pages: u32| {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "PRAGMA max_page_count = {pages}"
        )))
    };
    // As much as there is already: SQLite is told so at the statement that needs one more, and takes the whole transaction back.
    limit(1).execute(&mut connection).await.unwrap();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let large = NewBatch {
        body: vec![7; 1 << 20],
        ..batch(stream, 1, 2, 2)
    };
    let requests = [
        Request::Job(uuid, Box::new(job("unit")), at(0)),
        Request::Batch(uuid, batch(stream, 0, 1, 1), 0),
        Request::Batch(uuid, large, 0),
    ];
    let error = write_group(&mut connection, &requests).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert_eq!(Health::of(&path).failed(&error), Trouble::DiskFull);
    let _ = sqlx::query(ROLLBACK).execute(&mut connection).await;
    assert_eq!(known(&mut connection, uuid).await.unwrap(), None);
    limit(1_000_000).execute(&mut connection).await.unwrap();
    let outcomes = write_group(&mut connection, &requests).await.unwrap();
    assert!(
        outcomes.iter().all(|put| matches!(put, Ok(Put::New))),
        "{outcomes:?}"
    );
}
