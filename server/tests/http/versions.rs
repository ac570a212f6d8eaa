//! What a server of another version left in the store.

use highwater_store::{Detail, DetailKind, Finalised, Put, Store};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{App, batch, end, job, wait_for};

const KINDS: [DetailKind; 6] = [
    DetailKind::Report,
    DetailKind::Processes,
    DetailKind::Files,
    DetailKind::Tests,
    DetailKind::Fixtures,
    DetailKind::Visits,
];
const PAGES: [&str; 5] = ["", "/processes", "/files", "/tests", "/fixtures"];

/// Writes rows in the place of those that this version stored, as its next revision.
async fn leave(database: &str, uuid: Uuid, rows: &[u8]) {
    let store = Store::open(database).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    let key = snapshot.job(uuid).await.unwrap().unwrap();
    let residue = snapshot.detail(key.id, DetailKind::Residue).await;
    let mut details: Vec<_> = KINDS
        .map(|kind| Detail::pack(key.id, kind, rows).unwrap())
        .into();
    details.push(residue.unwrap().unwrap());
    let other = Finalised {
        job: key.id,
        project: key.project_id,
        arrivals: key.arrivals,
        state: key.state,
        revision: key.revision + 1,
        duration_us: 1,
        peak_bytes: 1,
        peak_kind: "sampled".to_owned(),
        headroom_bytes: None,
        verdict: None,
        confidence: None,
        tests: 0,
        failed: 0,
        series: snapshot.series(key.id).await.unwrap(),
        pages: snapshot.value_pages(key.id).await.unwrap(),
        details,
        facts: Vec::new(),
        settled: Vec::new(),
    };
    drop(snapshot);
    assert_eq!(store.put_finalised(other).await.unwrap(), Put::New);
    store.close().await;
}

#[test]
fn rows_of_another_version_are_made_again() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("versions"));
    app.put_new(
        &format!("{path}/streams/{stream}/batches/0"),
        &batch(0, "test_a.py"),
    );
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    let everything = || {
        PAGES.map(|page| {
            let mut answer = app.get(&format!("{path}{page}")).json();
            if let Some(job) = answer.as_object_mut() {
                job.remove("revision");
            }
            answer
        })
    };
    let revision = || app.get(&path).json()["revision"].as_u64().unwrap();
    let expected: [Value; 5] = everything();
    let before_versions = &br#"{"uuid":"gone"}"#[..];
    let cases = [before_versions, b"\xff{}", b"\x01{\"half", b"", b"\x01[{}]"];
    for (rows, left) in cases.into_iter().zip((2..).step_by(2)) {
        Runtime::new()
            .unwrap()
            .block_on(leave(&app.database, uuid, rows));
        assert_eq!(everything(), expected, "{rows:?}");
        assert_eq!(app.get(&format!("/jobs/{uuid}")).status, 200);
        wait_for("the job to be settled again", || {
            (revision() == left + 1).then_some(())
        });
        assert_eq!(everything(), expected, "{rows:?}");
    }
}
