use std::fs;

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::back_up;
use crate::{Store, StoreError, tests::*};

#[tokio::test]
async fn a_copy_holds_everything_and_takes_no_name_that_is_taken() {
    let (folder, store) = store().await;
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let uuid = Uuid::now_v7();
    store.put_job(uuid, job("unit"), at(5)).await.unwrap();
    let file = folder.path().join("copy.db");
    let backup = back_up(&url, &file).await.unwrap();
    assert_eq!((backup.projects, backup.jobs, backup.batches), (1, 1, 0));
    assert_eq!(backup.bytes, file.metadata().unwrap().len());
    let before = fs::read(&file).unwrap();
    let again = back_up(&url, &file).await;
    assert!(matches!(again, Err(StoreError::File { .. })), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
    let names = fs::read_dir(folder.path()).unwrap();
    let parts = names.filter(|name| {
        let name = name.as_ref().unwrap().file_name();
        name.to_string_lossy().contains(".part")
    });
    assert_eq!(parts.count(), 0);
    let copy = Store::open(&format!("sqlite://{}", file.display())).await;
    assert_eq!(key_of(&copy.unwrap(), uuid).await.project, "owner/repo");
}

#[tokio::test]
async fn what_cannot_be_copied_leaves_nothing_behind() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("copy.db");
    let nothing = format!("sqlite://{}", folder.path().join("none.db").display());
    assert!(back_up(&nothing, &file).await.is_err());
    let garbage = folder.path().join("garbage.db");
    fs::write(&garbage, "no database\n".repeat(99)).unwrap();
    let url = format!("sqlite://{}", garbage.display());
    assert!(back_up(&url, &file).await.is_err());
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[tokio::test]
async fn the_copy_of_a_database_that_never_got_shorter_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let old = folder.path().join("old.db");
    let plain = SqliteConnectOptions::new()
        .filename(&old)
        .create_if_missing(true)
        .pragma("application_id", "1");
    let connection = plain.connect().await.unwrap();
    connection.close().await.unwrap();
    let url = format!("sqlite://{}", old.display());
    let store = Store::open(&url).await.unwrap();
    assert!(!store.space().await.unwrap().shrinks);
    let file = folder.path().join("new.db");
    back_up(&url, &file).await.unwrap();
    let copy = Store::open(&format!("sqlite://{}", file.display())).await;
    assert!(copy.unwrap().space().await.unwrap().shrinks);
}
