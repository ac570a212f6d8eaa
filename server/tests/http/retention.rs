//! What has had its time goes, and what is left says so.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use highwater_server::config::{Config, Limits, Retention};
use highwater_store::{Finalised, Moment, NewBatch, Put, Store, StoredPage};
use highwater_wire::{
    codec,
    v1::{Batch, End, Job},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{Answer, App, batch, command, end, job, wait_for};

const LONG: Duration = Duration::from_secs(600);
const DAY_US: i64 = 86_400_000_000;
const STREAM: Uuid = Uuid::from_u128(7);
const DETAIL: [&str; 4] = ["/processes", "/files", "/tests", "/fixtures"];

fn file_of(name: &str) -> String {
    format!("test_{name}.py")
}

/// Keeps a whole job as if it had come so many days ago.
async fn keep(store: &Store, project: &str, name: &str, days: i64) -> Uuid {
    let uuid = Uuid::now_v7();
    let heard = jiff::Timestamp::now().as_microsecond() - days * DAY_US;
    let mut begin: Job = serde_json::from_value(job(name)).unwrap();
    begin.project = project.to_owned();
    let at = Moment {
        started_unix_us: begin.started_unix_us,
        heard_unix_us: heard,
        clock_skew_us: None,
    };
    store.put_job(uuid, begin, at).await.unwrap();
    let sent: Batch = serde_json::from_value(batch(0, &file_of(name))).unwrap();
    let new = NewBatch {
        stream: STREAM,
        seq: 0,
        digest: digest(&sent),
        body: codec::encode(&sent).unwrap(),
        weight: codec::weight(&sent),
    };
    store.put_batch(uuid, new, heard).await.unwrap();
    let ended: End = serde_json::from_value(end(STREAM, 1)).unwrap();
    store.put_end(uuid, ended, heard).await.unwrap();
    uuid
}

/// As the server tells a repeated batch.
fn digest(batch: &Batch) -> [u8; 32] {
    use prost::Message;
    use sha2::Digest;
    sha2::Sha256::digest(batch.encode_to_vec()).into()
}

fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 86_400))
}

/// A server that removes nothing, with jobs of these names and days of age, all of them settled.
pub(crate) fn with_jobs<const N: usize>(jobs: [(&str, i64); N]) -> (App, BTreeMap<String, Uuid>) {
    let mut uuids = BTreeMap::new();
    let app = App::with(App::config(LONG), |database| {
        Runtime::new().unwrap().block_on(async {
            let store = Store::open(database).await.unwrap();
            for (name, days) in jobs {
                let uuid = keep(&store, "owner/repo", name, days).await;
                uuids.insert(name.to_owned(), uuid);
            }
            store.close().await;
        });
    });
    for uuid in uuids.values() {
        app.settled(*uuid, "finished");
    }
    (app, uuids)
}

fn of(app: &App, uuid: Uuid, part: &str) -> Answer {
    app.get(&format!("/api/v1/jobs/{uuid}{part}"))
}

/// A job without its notices, and the codes of these.
fn figures(app: &App, uuid: Uuid) -> (Value, Vec<String>) {
    let mut job = of(app, uuid, "").json();
    let notices = job["notices"].take();
    let codes = notices.as_array().unwrap().iter();
    let codes = codes.map(|notice| notice["code"].as_str().unwrap().to_owned());
    (job, codes.collect())
}

fn assert_removed(answer: &Answer) {
    assert_eq!(answer.status, 410, "{}", answer.text);
    assert_eq!(answer.json()["error"]["code"], "removed");
    assert!(answer.text.contains("retention"), "{}", answer.text);
}

#[test]
fn each_kind_goes_in_its_time_and_what_is_left_says_what_is_gone() {
    let ages = [
        ("young", 1),
        ("grown", 40),
        ("old", 100),
        ("ancient", 800),
        ("pinned", 800),
    ];
    let (app, jobs) = with_jobs(ages);
    let pin = format!("/api/v1/jobs/{}/pin", jobs["pinned"]);
    assert_eq!(app.put(&pin, &Value::Null).status, 200);
    let parts = |name: &str, parts: &[&str]| -> Vec<Value> {
        let parts = parts.iter().map(|part| of(&app, jobs[name], part).json());
        parts.collect()
    };
    let everything: Vec<&str> = DETAIL.into_iter().chain(["", "/series"]).collect();
    let untouched = || ["young", "pinned"].map(|name| parts(name, &everything));
    let before = (
        untouched(),
        figures(&app, jobs["grown"]).0,
        parts("grown", &DETAIL),
        figures(&app, jobs["old"]).0,
    );
    let limits = Limits {
        pages: days(30),
        detail: days(90),
        facts: days(730),
    };
    let config = Config {
        retention: Retention::of_all(limits),
        ..App::config(LONG)
    };
    let _other = App::on(config, app.database.clone());
    wait_for("the oldest to be gone", || {
        (of(&app, jobs["ancient"], "").status == 404).then_some(())
    });
    let (grown, old) = (jobs["grown"], jobs["old"]);
    let (job, codes) = figures(&app, grown);
    assert_eq!(job, before.1);
    assert_eq!(codes, ["samples_removed"]);
    assert_eq!(parts("grown", &DETAIL), before.2);
    assert_removed(&of(&app, grown, "/series"));
    assert_removed(&of(&app, grown, "/series?points=7"));
    let page = app.get(&format!("/jobs/{grown}")).text;
    assert!(page.contains("samples were removed by retention"), "{page}");
    assert!(
        page.contains("test_<wbr>grown.py::<wbr>test_<wbr>0"),
        "{page}"
    );

    let (job, codes) = figures(&app, old);
    assert_eq!(job, before.3);
    assert_eq!(codes, ["samples_removed", "detail_removed"]);
    for part in DETAIL {
        assert_removed(&of(&app, old, part));
    }
    let page = app.get(&format!("/jobs/{old}"));
    assert_eq!(page.status, 200);
    assert!(page.text.contains("(test files, tests, fixtures"));
    assert!(!page.text.contains("No test was seen"), "{}", page.text);
    for (format, files) in [
        ("json", "\"files_gone\": \"The rows within the job"),
        (
            "html",
            "<h2 id=\"files\">Test files</h2><p>The rows within the job",
        ),
        ("markdown", "\n\nThe rows within the job"),
        ("terminal", "note: detail_removed: The rows within the job"),
        (
            "junit",
            "name=\"files_gone\" value=\"The rows within the job",
        ),
        ("prometheus", "# The rows within the job"),
    ] {
        let of = |uuid| {
            app.get(&format!("/api/v1/jobs/{uuid}/report?format={format}"))
                .text
        };
        let gone = of(old);
        assert!(gone.contains(files), "{format}: {gone}");
        assert!(!of(grown).contains(files), "{format}");
    }
    let history = |name: &str| {
        let path = format!("/api/v1/projects/owner~repo/files/{}", file_of(name));
        app.get(&path).status
    };
    assert_eq!((history("old"), history("ancient")), (200, 404));
    let page = app.get("/p/owner~repo/files/test_old.py");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("history of its test files remain"));

    assert_eq!(before.0, untouched());
    let listed = app.get("/api/v1/projects/owner~repo/jobs").json();
    let listed = listed["jobs"].as_array().unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|job| job["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["pinned", "old", "grown", "young"]);
    let metrics = app.get("/metrics").text;
    assert!(metrics.contains("highwater_unsettled_jobs 0"), "{metrics}");
}

#[test]
fn what_comes_after_the_samples_are_gone_is_refused_and_what_came_before_is_not() {
    let (app, jobs) = with_jobs([("late", 40)]);
    let uuid = jobs["late"];
    let before = figures(&app, uuid).0;
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder, "[retention]\npages = '30d'\n");
    let (ok, said, _) = command(&app.database, &["retention", "--config", &settings]);
    assert!(ok, "{said}");
    let path = format!("/api/v1/jobs/{uuid}");
    let put = |seq: i64| {
        let path = format!("{path}/streams/{STREAM}/batches/{seq}");
        app.put(&path, &batch(seq, "test_late.py"))
    };
    assert_eq!(app.put(&path, &job("late")).status, 200);
    assert_eq!(put(0).status, 200);
    assert_removed(&put(1));
    assert_eq!(app.put(&format!("{path}/end"), &end(STREAM, 1)).status, 200);
    let mut revised = end(STREAM, 2);
    revised["revision"] = 1.into();
    assert_removed(&app.put(&format!("{path}/end"), &revised));
    assert_eq!(figures(&app, uuid).0, before);
}

pub(crate) fn settings(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("highwater.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A job whose pages take four megabytes.
async fn keep_large(store: &Store, name: &str, days: i64) {
    let uuid = keep(store, "owner/large", name, days).await;
    let mut snapshot = store.snapshot().await.unwrap();
    let key = snapshot.job(uuid).await.unwrap().unwrap();
    drop(snapshot);
    let page = |at| StoredPage {
        column_no: 0,
        level: 0,
        first_index: at,
        length: 1,
        content: vec![7; 2_048],
    };
    let done = Finalised {
        job: key.id,
        project: key.project_id,
        arrivals: key.arrivals,
        state: "finished".to_owned(),
        revision: 1,
        duration_us: 1,
        peak_bytes: 1,
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
        pages: (0..2_000).map(page).collect(),
        details: Vec::new(),
        facts: Vec::new(),
        news_since_unix_us: None,
        settled: vec![(STREAM, 0)],
    };
    assert_eq!(store.put_finalised(done).await.unwrap(), Put::New);
}

#[test]
fn the_command_says_what_would_go_removes_it_and_gives_the_space_back_while_others_write() {
    let app = App::with(App::config(LONG), |database| {
        Runtime::new().unwrap().block_on(async {
            let store = Store::open(database).await.unwrap();
            for name in ["first", "second", "third"] {
                keep_large(&store, name, 40).await;
            }
            keep(&store, "owner/kept", "kept", 40).await;
            store.close().await;
        });
    });
    let folder = TempDir::new().unwrap();
    let settings = settings(
        &folder,
        "[retention]\npages = '30d'\n[retention.projects.'owner/kept']\npages = 'forever'\n",
    );
    let file = Path::new(app.database.strip_prefix("sqlite://").unwrap());
    let length = || file.metadata().unwrap().len();
    let run = |args: &[&str]| {
        let args = [&["retention", "--config", &settings], args].concat();
        let (ok, said, error) = command(&app.database, &args);
        assert!(ok, "{said}{error}");
        said
    };
    let said = run(&["--dry-run"]);
    let row = said.lines().find(|line| line.contains("owner/large"));
    let words: Vec<&str> = row.unwrap_or(&said).split_whitespace().collect();
    assert_eq!(words[..3], ["owner/large", "pages", "3"], "{said}");
    assert!(
        words[3..].join(" ").starts_with("11.7 MiB (12288000"),
        "{said}"
    );
    assert!(said.contains("Nothing was removed") && !said.contains("owner/kept"));
    assert_eq!(run(&["--dry-run"]), said, "a dry run changes nothing");
    let before = length();
    let uuid = Uuid::now_v7();
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("meanwhile"));
    std::thread::scope(|scope| {
        let removing = scope.spawn(|| run(&[]));
        for n in 0.. {
            let path = format!("{path}/streams/{STREAM}/batches/{n}");
            app.put_new(&path, &batch(n, "test_a.py"));
            if removing.is_finished() {
                break;
            }
        }
        let said = removing.join().unwrap();
        assert!(said.contains("The database had"), "{said}");
    });
    assert!(before > 12_000_000, "{before}");
    // What others wrote meanwhile may have kept the log from being moved into the file: what runs next does that.
    wait_for("a shorter file", || {
        run(&[]);
        (length() < before / 4).then_some(())
    });
    assert!(run(&["--dry-run"]).contains("Nothing has had its time"));
    let plain = command(&app.database, &["retention", "--dry-run"]);
    assert!(plain.1.contains("keep everything for good"), "{}", plain.1);
}
