use uuid::Uuid;

use super::{Expiry, Kind};
use crate::{tests::*, *};

/// A finalised job with so many pages of two kilobytes, last heard of at a time.
async fn settled(store: &Store, name: &str, heard_unix_us: i64, pages: i64) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::from_u128(7));
    let begin = job(name);
    store.put_job(uuid, begin, at(heard_unix_us)).await.unwrap();
    let batch = batch(stream, 0, 1, 1);
    store.put_batch(uuid, batch, heard_unix_us).await.unwrap();
    let key = key_of(store, uuid).await;
    let detail = |kind| Detail::pack(key.id, kind, b"rows").unwrap();
    let page = |at| StoredPage {
        column_no: 0,
        level: 0,
        first_index: at,
        length: 1,
        content: vec![7; 2_048],
    };
    let done = Finalised {
        pages: (0..pages).map(page).collect(),
        details: [DetailKind::Report, DetailKind::Tests, DetailKind::Residue]
            .map(detail)
            .into(),
        facts: vec![fact("test_a.py", 1)],
        ..finalised(&key, 1, key.arrivals, vec![(stream, 0)])
    };
    assert_eq!(store.put_finalised(done).await.unwrap(), Put::New);
    uuid
}

/// What is there of a job: pages, and which of its details.
async fn kept(store: &Store, uuid: Uuid) -> Option<(usize, Vec<DetailKind>)> {
    let mut snapshot = store.snapshot().await.unwrap();
    let job = snapshot.job(uuid).await.unwrap()?.id;
    let mut kinds = Vec::new();
    for kind in [DetailKind::Report, DetailKind::Tests, DetailKind::Residue] {
        kinds.extend(snapshot.detail(job, kind).await.unwrap().map(|_| kind));
    }
    Some((snapshot.value_pages(job).await.unwrap().len(), kinds))
}

async fn expiry(store: &Store, kind: Kind, heard_unix_us: i64) -> Expiry {
    Expiry {
        project: store.project("owner/repo").await.unwrap().unwrap().id,
        kind,
        heard_unix_us,
    }
}

async fn remove(store: &Store, kind: Kind, heard_unix_us: i64) {
    let expiry = expiry(store, kind, heard_unix_us).await;
    while store.expire(expiry, 99).await.unwrap() {}
    while store.sweep().await.unwrap() {}
}

#[tokio::test]
async fn each_kind_goes_in_its_time_and_what_is_pinned_or_under_way_does_not() {
    let (_folder, store) = store().await;
    let old = settled(&store, "old", 5, 3).await;
    let young = settled(&store, "young", 6, 3).await;
    let pinned = settled(&store, "pinned", 5, 3).await;
    assert!(store.pin(pinned, true).await.unwrap());
    let live = Uuid::now_v7();
    store.put_job(live, job("live"), at(5)).await.unwrap();
    let whole = (
        3,
        vec![DetailKind::Report, DetailKind::Tests, DetailKind::Residue],
    );
    let steps = [
        (
            Kind::Pages,
            Some((0, vec![DetailKind::Report, DetailKind::Tests])),
        ),
        (Kind::Detail, Some((0, vec![DetailKind::Report]))),
        (Kind::Facts, None),
    ];
    for (kind, left) in steps {
        let told = expiry(&store, kind, 5).await;
        assert_eq!(store.expired(&told).await.unwrap().jobs, 1, "{kind:?}");
        remove(&store, kind, 5).await;
        assert_eq!(store.expired(&told).await.unwrap(), Expired::default());
        assert_eq!(kept(&store, old).await, left, "{kind:?}");
        assert_eq!(kept(&store, young).await.as_ref(), Some(&whole));
        assert_eq!(kept(&store, pinned).await.as_ref(), Some(&whole));
        assert!(kept(&store, live).await.is_some());
    }
    assert!(store.pin(pinned, false).await.unwrap());
    remove(&store, Kind::Facts, 9).await;
    for uuid in [young, pinned] {
        assert_eq!(kept(&store, uuid).await, None);
        assert!(!store.pin(uuid, true).await.unwrap());
    }
    let project = expiry(&store, Kind::Facts, 9).await.project;
    let history = store
        .file_history(project, "test_a.py", None, None, 9)
        .await;
    assert_eq!(history.unwrap(), []);
    // The one under way is of the same run.
    assert_eq!(store.runs(project, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_told_to_go_is_gone_for_readers_and_writers_before_its_rows_are() {
    let (folder, store) = store().await;
    let uuid = settled(&store, "large", 5, 2_000).await;
    let key = key_of(&store, uuid).await;
    let expiry = expiry(&store, Kind::Pages, 5).await;
    assert!(!store.expire(expiry, 99).await.unwrap());
    assert!(store.sweep().await.unwrap(), "not all in one transaction");
    let (left, _) = kept(&store, uuid).await.unwrap();
    assert!((1..2_000).contains(&left), "{left}");
    assert_eq!(key_of(&store, uuid).await.pages_removed_unix_us, Some(99));
    let stream = Uuid::from_u128(7);
    let again = store.put_batch(uuid, batch(stream, 0, 1, 1), 9).await;
    assert_eq!(again.unwrap(), Put::Same);
    let late = store.put_batch(uuid, batch(stream, 1, 1, 1), 9).await;
    assert_eq!(late.unwrap(), Put::Removed);
    let end = highwater_wire::v1::End::default();
    assert_eq!(store.put_end(uuid, end, 9).await.unwrap(), Put::Removed);
    assert_eq!(store.reopen(uuid).await.unwrap(), Put::Unknown);
    let made_before = finalised(&key, 2, key.arrivals, Vec::new());
    let put = store.put_finalised(made_before).await.unwrap();
    assert_eq!(put, Put::Conflict);
    assert_eq!(store.unsettled(i64::MAX).await.unwrap(), []);
    // Interrupted, it goes on with the next start.
    store.close().await;
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.to_be_swept().await.unwrap(), 1);
    while store.sweep().await.unwrap() {}
    assert_eq!(store.to_be_swept().await.unwrap(), 0);
    assert_eq!(kept(&store, uuid).await.unwrap().0, 0);
}

#[tokio::test]
async fn the_file_gets_shorter_by_what_was_removed() {
    let (folder, store) = store().await;
    settled(&store, "large", 5, 2_000).await;
    settled(&store, "small", 6, 10).await;
    let length = || folder.path().join("test.db").metadata().unwrap().len();
    store.checkpoint().await.unwrap();
    let before = length();
    remove(&store, Kind::Pages, 5).await;
    let free = store.space().await.unwrap().free_bytes;
    while store.give_back().await.unwrap() {}
    store.checkpoint().await.unwrap();
    let after = length();
    assert!(
        before > 4_096_000 && after < 1_000_000,
        "{before} {free} {after}"
    );
    assert_eq!(after.cast_signed(), store.space().await.unwrap().bytes);
}
