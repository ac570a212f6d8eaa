//! A job as a report, and a project's badge.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{App, batch, command, end, job, wait_for},
};

const FORMATS: [(&str, &str); 9] = [
    ("terminal", "text/plain; charset=utf-8"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("json", "application/json"),
    ("junit", "application/xml"),
    ("html", "text/html; charset=utf-8"),
    ("prometheus", "text/plain; version=0.0.4; charset=utf-8"),
    ("github", "text/plain; charset=utf-8"),
    ("gitlab", "application/json"),
    ("badge", "image/svg+xml"),
];

/// Records a job that peaks at so many MB, on a branch.
fn record(app: &App, name: &str, branch: &str, mb: i64) -> Uuid {
    let mut begin = job(name);
    begin["run"]["branch"] = json!(branch);
    begin["run"]["id"] = json!(Uuid::new_v4().to_string());
    recorded(app, &begin, mb)
}

/// Records a shard of a suite, of so many, in a run of main.
fn record_shard(app: &App, run: &str, [index, total, attempt]: [u32; 3], mb: i64) {
    let mut begin = job("unit");
    begin["run"] = json!({"provider": "ci", "id": run, "branch": "main"});
    begin["shard"] = json!({"index": index, "total": total});
    begin["attempt"] = json!(attempt);
    begin["budgetBytes"] = json!((1_000 * i64::from(index) * 1_048_576).to_string());
    recorded(app, &begin, mb);
}

fn recorded(app: &App, begin: &Value, mb: i64) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, begin);
    let mut sent = batch(0, "tests/test_a.py");
    for series in sent["samples"][0]["series"].as_array_mut().unwrap() {
        let ticks = series["valueDelta"].as_array().unwrap().len();
        let mut deltas = vec![json!(0); ticks];
        deltas[0] = json!((mb * 1_000_000).to_string());
        series["valueDelta"] = Value::Array(deltas);
    }
    let ended = json!({"tUs": 900_000, "sessionEnd": {"exitStatus": 0}});
    sent["marks"].as_array_mut().unwrap().push(ended);
    for mark in sent["marks"].as_array_mut().unwrap() {
        mark["rssBytes"] = json!((mb * 1_000_000).to_string());
        mark["peakBytes"] = json!((mb * 1_000_000).to_string());
    }
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    uuid
}

#[test]
fn every_form_is_answered_as_what_it_is() {
    let app = App::start();
    let uuid = record(&app, "unit", "main", 100);
    for (format, kind) in FORMATS {
        let answer = app.get(&format!("/api/v1/jobs/{uuid}/report?format={format}"));
        assert_eq!(answer.status, 200, "{format}: {}", answer.text);
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(
            answer.header("highwater-job"),
            format!("{uuid}; revision=1")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert_eq!(
            policy.contains("sandbox"),
            format == "html",
            "{format}: {policy}"
        );
        assert!(!policy.contains("script-src 'unsafe"), "{policy}");
    }
    let page = app
        .get(&format!("/api/v1/jobs/{uuid}/report?format=html"))
        .text;
    assert!(page.contains("</svg>") && page.contains("tests/test_a.py"));
    let url = format!("{}/jobs/{uuid}", app.url);
    assert!(page.contains(&format!("href=\"{url}\"")), "{page}");
    let document = app
        .get(&format!("/api/v1/jobs/{uuid}/report?format=json"))
        .json();
    assert_eq!(
        document["job"],
        app.get(&format!("/api/v1/jobs/{uuid}")).json()
    );
    assert_eq!(document["remarks"], json!([]));
    let files = app.get(&format!("/api/v1/jobs/{uuid}/files")).json();
    assert_eq!(document["files"], files["files"]);
    let wrong = app.get(&format!("/api/v1/jobs/{uuid}/report?format=pdf"));
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("prometheus"), "{}", wrong.text);
    let none = app.get(&format!("/api/v1/jobs/{}/report?format=json", Uuid::nil()));
    assert_eq!(none.status, 404);
}

#[test]
fn a_badge_tells_of_the_newest_job_beside_those_before_it() {
    let app = App::start();
    assert_eq!(app.get("/p/owner~repo/badge.svg").status, 404);
    for mb in [100, 101, 99] {
        record(&app, "unit", "main", mb);
    }
    record(&app, "unit", "main", 200);
    let mut forks = job("unit");
    forks["run"] = json!({"provider": "ci", "id": "fork", "branch": "main", "pullRequest": "7"});
    recorded(&app, &forks, 700);
    record(&app, "e2e", "wild", 900);
    let title = |query: &str| {
        let answer = app.get(&format!("/p/owner~repo/badge.svg{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "image/svg+xml");
        // Nobody made it public: what one may see another may not.
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        let title = answer.text.split("<title>").nth(1).unwrap();
        title.split("</title>").next().unwrap().to_owned()
    };
    assert_eq!(title("?name=unit&branch=main"), "memory: 190.7 MiB ↑ 100 %");
    assert_eq!(title(""), "memory: 858.3 MiB");
    assert_eq!(title("?branch=wild"), "memory: 858.3 MiB");
    assert_eq!(title("?name=none"), "memory: no job yet");
}

#[test]
fn a_badge_of_a_suite_in_shards_tells_of_all_of_them() {
    let app = App::start();
    let title = || {
        let svg = app
            .get("/p/owner~repo/badge.svg?name=unit&branch=main")
            .text;
        let title = svg.split("<title>").nth(1).unwrap();
        title.split("</title>").next().unwrap().to_owned()
    };
    for (run, highest) in [("1", 500), ("2", 510), ("3", 490)] {
        record_shard(&app, run, [1, 2, 1], highest);
        record_shard(&app, run, [2, 2, 1], 100);
    }
    // The highest peak is the first shard's, and so is the least headroom: 1000 MiB less 490 MB.
    assert_eq!(title(), "memory: 467.3 MiB, 532.7 MiB left");
    record_shard(&app, "4", [2, 2, 1], 1_500);
    // Its other shard still runs, so its peak is beside no other.
    assert_eq!(title(), "memory: 1430.5 MiB, 569.5 MiB left, 1 of 2 shards");
    record_shard(&app, "4", [1, 2, 1], 700);
    // The highest peak is the second one's, the least headroom the first one's.
    assert_eq!(title(), "memory: 1430.5 MiB ↑ 200 %, 332.4 MiB left");
    // It is run again, and does with less: that attempt counts.
    record_shard(&app, "4", [2, 2, 2], 505);
    assert_eq!(title(), "memory: 667.6 MiB ↑ 40 %, 332.4 MiB left");
}

#[test]
fn reports_and_badges_are_for_those_who_may_see_the_job() {
    let guarded = Guarded::start();
    let app = &guarded.app;
    app.wait_settled(guarded.job, &guarded.all);
    let report = format!("/api/v1/jobs/{}/report?format=markdown", guarded.job);
    let badge = "/p/owner~repo/badge.svg".to_owned();
    let status = |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        app.ask("GET", path, &[("Authorization", &bearer)], "")
            .status
    };
    for path in [&report, &badge] {
        assert_eq!(status(path, &guarded.read), 200, "{path}");
        assert_eq!(status(path, &guarded.other), 404, "{path}");
        assert_ne!(app.get(path).status, 200, "{path}");
    }
    let public = ["project", "publish", "owner/repo"];
    let (ok, _, why) = command(&app.database, &public);
    assert!(ok, "{why}");
    let answer = wait_for("the project to be public", || {
        Some(app.get(&badge)).filter(|answer| answer.status == 200)
    });
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        "cross-origin"
    );
    let svg = &answer.text;
    assert!(
        svg.starts_with("<svg ") && !svg.contains("<script"),
        "{svg}"
    );
}
