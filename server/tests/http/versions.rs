//! What a server of another version left in the store.

use highwater_store::{Detail, DetailKind, Expiry, Finalised, Put, RetentionKind, Store};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{App, batch, end, job, wait_for};

const KINDS: [DetailKind; 7] = [
    DetailKind::Report,
    DetailKind::Processes,
    DetailKind::Files,
    DetailKind::Tests,
    DetailKind::Fixtures,
    DetailKind::Visits,
    DetailKind::Collected,
];
const PAGES: [&str; 5] = ["", "/processes", "/files", "/tests", "/fixtures"];

/// Writes rows in the place of those that this version stored, made from these, as its next revision.
async fn leave(database: &str, uuid: Uuid, rows: impl Fn(Vec<u8>) -> Vec<u8>) {
    let store = Store::open(database).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    let key = snapshot.job(uuid).await.unwrap().unwrap();
    let mut details = Vec::new();
    for kind in KINDS {
        let stored = snapshot.detail(key.id, kind).await.unwrap().unwrap();
        let left = rows(stored.unpack().unwrap());
        details.push(Detail::pack(key.id, kind, &left).unwrap());
    }
    let residue = snapshot.detail(key.id, DetailKind::Residue).await;
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
        verdict: Some("tests_failed".to_owned()),
        confidence: Some("certain".to_owned()),
        tests: 0,
        failed: 0,
        comparable: None,
        ordered_unix_us: 0,
        diagnosed: false,
        series: snapshot.series(key.id).await.unwrap(),
        pages: snapshot.value_pages(key.id).await.unwrap(),
        details,
        facts: Vec::new(),
        news_since_unix_us: None,
        settled: Vec::new(),
    };
    drop(snapshot);
    assert_eq!(store.put_finalised(other).await.unwrap(), Put::New);
    store.close().await;
}

/// A finished job.
fn finished(app: &App) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("versions"));
    app.put_new(
        &format!("{path}/streams/{stream}/batches/0"),
        &batch(0, "test_a.py"),
    );
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    uuid
}

#[test]
fn rows_of_another_version_are_made_again() {
    let app = App::start();
    let uuid = finished(&app);
    let path = format!("/api/v1/jobs/{uuid}");
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
            .block_on(leave(&app.database, uuid, |_| rows.to_vec()));
        assert_eq!(everything(), expected, "{rows:?}");
        assert_eq!(app.get(&format!("/jobs/{uuid}")).status, 200);
        wait_for("the job to be settled again", || {
            (revision() == left + 1).then_some(())
        });
        assert_eq!(everything(), expected, "{rows:?}");
    }
}

/// Removes the samples of every job, and what would restore their recordings.
async fn remove_samples(database: &str) {
    let store = Store::open(database).await.unwrap();
    let expiry = Expiry {
        project: store.project("owner/repo").await.unwrap().unwrap().id,
        kind: RetentionKind::Pages,
        heard_unix_us: i64::MAX,
    };
    while store.expire(expiry, 1_700_000_000_000_000).await.unwrap() {}
    while store.sweep().await.unwrap() {}
    store.close().await;
}

#[test]
fn rows_of_another_version_stay_once_nothing_can_make_them_again() {
    // As this version reads them too, with what their version put before them, or nothing.
    let readable: [fn(Vec<u8>) -> Vec<u8>; 2] = [
        |rows| [b"\x01", &rows[1..]].concat(),
        |rows| rows[1..].to_vec(),
    ];
    for rows in readable {
        let app = App::start();
        let uuid = finished(&app);
        let path = format!("/api/v1/jobs/{uuid}");
        let before = PAGES.map(|page| app.get(&format!("{path}{page}")).json());
        Runtime::new().unwrap().block_on(async {
            leave(&app.database, uuid, rows).await;
            remove_samples(&app.database).await;
        });
        let after = PAGES.map(|page| app.get(&format!("{path}{page}")).json());
        assert_eq!(after[1..], before[1..]);
        let notices = after[0]["notices"].as_array().unwrap();
        let codes: Vec<&Value> = notices.iter().map(|notice| &notice["code"]).collect();
        assert_eq!(codes, ["samples_removed", "older_figures"]);
        assert_eq!(after[0]["ending"], before[0]["ending"]);
    }
    for rows in [&b"\xff{}"[..], b"\x01{\"half", b"", b"\x03[{}]"] {
        let app = App::start();
        let uuid = finished(&app);
        let path = format!("/api/v1/jobs/{uuid}");
        Runtime::new().unwrap().block_on(async {
            leave(&app.database, uuid, |_| rows.to_vec()).await;
            remove_samples(&app.database).await;
        });
        let job = app.get(&path).json();
        assert_eq!(job["name"], "versions");
        // The row's own figures, which `leave` wrote.
        let figures = (&job["peak_bytes"], &job["ending"]["verdict"], &job["state"]);
        let expected = (&1.into(), &"tests_failed".into(), &"finished".into());
        assert_eq!(figures, expected, "{rows:?}");
        for page in &PAGES[1..] {
            let answer = app.get(&format!("{path}{page}"));
            assert_eq!(answer.status, 410, "{page}: {}", answer.text);
            assert!(answer.text.contains("Another version"), "{}", answer.text);
        }
        let page = app.get(&format!("/jobs/{uuid}"));
        assert!(page.status == 200 && page.text.contains("Another version"));
        assert_eq!(job["revision"], app.get(&path).json()["revision"]);
        let metrics = app.get("/metrics").text;
        for left in ["unsettled_jobs 0", "finalised_total 1"] {
            assert!(metrics.contains(&format!("highwater_{left}")), "{metrics}");
        }
    }
}
