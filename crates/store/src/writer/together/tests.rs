use std::str::FromStr;

use proptest::{collection::vec, prelude::*};
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    Store,
    tests::{at, batch, job, key_of, store},
    writer::{BEGIN, ROLLBACK},
};

const RUNS: u128 = 1;
const WAS_LOST: u128 = 2;
const IS_REMOVED: u128 = 3;
const IS_UNKNOWN: u128 = 4;

/// A database with a job of each kind, and a connection of its own to it.
async fn jobs() -> (TempDir, Store, SqliteConnection) {
    let (folder, store) = store().await;
    for uuid in [RUNS, WAS_LOST, IS_REMOVED] {
        let begun = store.put_job(Uuid::from_u128(uuid), job("unit"), at(1));
        assert_eq!(begun.await.unwrap(), Put::New);
    }
    let there = store.put_batch(Uuid::from_u128(RUNS), batch(Uuid::from_u128(0), 0, 0, 0), 1);
    assert_eq!(there.await.unwrap(), Put::New);
    let mut connection = connect(&folder).await;
    for change in [
        "UPDATE job SET state = 'lost', verdict = 'agent_lost', unsettled = 0 WHERE id = 2",
        "UPDATE job SET pages_removed_unix_us = 1 WHERE id = 3",
    ] {
        sqlx::query(change).execute(&mut connection).await.unwrap();
    }
    (folder, store, connection)
}

async fn connect(folder: &TempDir) -> SqliteConnection {
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let options = SqliteConnectOptions::from_str(&url).unwrap();
    options.connect().await.unwrap()
}

/// All that batches change.
async fn content(connection: &mut SqliteConnection) -> Vec<String> {
    let mut found = Vec::new();
    for table in [
        "SELECT job_id || ' ' || stream_no || ' ' || hex(uuid) FROM stream ORDER BY 1",
        "SELECT job_id || ' ' || stream_no || ' ' || seq || ' ' || hex(digest) FROM batch ORDER BY 1",
        "SELECT job_id || ' ' || stream_no || ' ' || seq || ' ' || hex(content) FROM body ORDER BY 1",
        "SELECT id || ' ' || state || ' ' || COALESCE(verdict, '') || ' ' || heard_unix_us || ' ' || unsettled || ' ' || arrivals
            || ' ' || weight FROM job ORDER BY 1",
    ] {
        let rows = sqlx::query(table).fetch_all(&mut *connection).await.unwrap();
        found.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    found
}

/// What becomes of batches that are written so many at a time, and what is there then; nothing stays.
async fn tried(
    connection: &mut SqliteConnection,
    sent: &[Sent<'_>],
    at_a_time: usize,
) -> (Vec<Put>, Vec<String>) {
    sqlx::query(BEGIN).execute(&mut *connection).await.unwrap();
    let mut puts = Vec::new();
    for some in sent.chunks(at_a_time) {
        puts.extend(write(connection, some).await.unwrap());
    }
    let content = content(connection).await;
    sqlx::query(ROLLBACK).execute(connection).await.unwrap();
    (puts, content)
}

#[test]
fn together_is_as_one_after_the_other() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_folder, _store, connection) = runtime.block_on(jobs());
    let connection = std::cell::RefCell::new(connection);
    let one = (RUNS..=IS_UNKNOWN, 0..3_u128, 0..3_u64, 0..2_u8, 0..3_u64);
    proptest!(|(drawn in vec(one, 0..40))| {
        let batches: Vec<(Uuid, NewBatch)> = drawn.iter().map(|(uuid, stream, seq, digest, weight)| {
            let batch = NewBatch {
                weight: weight * MAX_JOB_WEIGHT / 4,
                ..batch(Uuid::from_u128(*stream), *seq, *digest, *digest)
            };
            (Uuid::from_u128(*uuid), batch)
        }).collect();
        let sent: Vec<Sent<'_>> = (10..).zip(&batches).map(|(at, (uuid, batch))| Sent::new(*uuid, batch, at)).collect();
        let mut connection = connection.borrow_mut();
        let singly = runtime.block_on(tried(&mut connection, &sent, 1));
        let together = runtime.block_on(tried(&mut connection, &sent, 40));
        prop_assert_eq!(together, singly);
    });
}

#[tokio::test]
async fn of_one_that_cannot_be_written_the_others_do_not_suffer() {
    let (_folder, store, mut connection) = jobs().await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON batch WHEN NEW.seq = 7 BEGIN SELECT RAISE(ABORT, 'damaged'); END";
    sqlx::query(refuse).execute(&mut connection).await.unwrap();
    let stream = Uuid::from_u128(9);
    let puts = (0..20).map(|seq| {
        let store = store.clone();
        tokio::spawn(async move {
            let uuid = Uuid::from_u128(RUNS);
            store.put_batch(uuid, batch(stream, seq, 1, 1), 2).await
        })
    });
    for (seq, put) in puts.collect::<Vec<_>>().into_iter().enumerate() {
        match put.await.unwrap() {
            Ok(put) => assert!(put == Put::New && seq != 7),
            Err(error) => assert!(seq == 7 && error.to_string().contains("damaged"), "{error}"),
        }
    }
    let key = key_of(&store, Uuid::from_u128(RUNS)).await;
    assert_eq!(key.arrivals, 1 + 19);
}

#[tokio::test]
async fn as_many_as_wait_go_into_one_statement() {
    let (_folder, _store, mut connection) = jobs().await;
    let stream = Uuid::from_u128(9);
    let batches: Vec<NewBatch> = (0..5_000).map(|seq| batch(stream, seq, 1, 1)).collect();
    let sent: Vec<Sent<'_>> = batches
        .iter()
        .map(|batch| Sent::new(Uuid::from_u128(RUNS), batch, 5))
        .collect();
    let (puts, content) = tried(&mut connection, &sent, sent.len()).await;
    assert!(puts.iter().all(|put| *put == Put::New));
    assert_eq!(content.len(), 2 + 2 * 5_001 + 3);
}
