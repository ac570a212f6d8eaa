//! Jobs before and after: which they are, who may see them, and what becomes of many files.

use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{Answer, App, batch, command, end, job},
    retention::{settings, with_jobs},
};

/// Records a job of one test in each of some files; answers its uuid.
fn record(app: &App, say: impl FnOnce(&mut Value), files: &[&str]) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    let mut begin = job("unit");
    say(&mut begin);
    app.put_new(&path, &begin);
    for (n, file) in (0..).zip(files) {
        let path = format!("{path}/streams/{stream}/batches/{n}");
        let mut sent = batch(n, file);
        let at = n * 1_000_000 + 900_000;
        let whole = json!({"tUs": at, "rssBytes": 12_000_000, "peakBytes": 12_000_000, "sessionEnd": {"exitStatus": 0}});
        let marks = sent["marks"].as_array_mut().unwrap();
        marks.extend((usize::try_from(n + 1) == Ok(files.len())).then_some(whole));
        app.put_new(&path, &sent);
    }
    let batches = i64::try_from(files.len()).unwrap();
    app.put_new(&format!("{path}/end"), &end(stream, batches));
    app.settled(uuid, "finished");
    uuid
}

fn compared(app: &App, query: &str) -> Value {
    let answer = app.get(&format!("/api/v1/compare?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()
}

fn uuids(side: &Value) -> Vec<Uuid> {
    let jobs = side["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["uuid"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_run_is_the_newest_attempt_of_each_of_its_jobs() {
    let app = App::start();
    let shard = |index: u32, attempt: u32| {
        move |begin: &mut Value| {
            begin["shard"] = json!({"index": index, "total": 2});
            begin["attempt"] = json!(attempt);
            begin["run"]["id"] = json!("split");
        }
    };
    let monolith = record(&app, |_| (), &["a.py", "b.py"]);
    record(&app, shard(1, 1), &["a.py"]);
    let again = record(&app, shard(1, 2), &["a.py"]);
    let second = record(&app, shard(2, 1), &["b.py"]);
    let runs = app.get("/api/v1/projects/owner~repo/runs").json();
    let run = runs["runs"].as_array().unwrap().iter();
    let run = run.clone().find(|run| run["id"] == "split").unwrap()["run"].clone();
    let query = format!("before={monolith}&after=run:{run}&project=owner~repo");
    let told = compared(&app, &query);
    assert_eq!(uuids(&told["after"]), [again, second]);
    assert_eq!(told["after"]["files"], 2);
    assert!(
        told["sentence"]
            .as_str()
            .unwrap()
            .starts_with("Split into 2 jobs: peak ")
    );
    // A job that is named twice counts once.
    let twice = compared(
        &app,
        &format!("before={monolith}&before={monolith}&after={again}"),
    );
    assert_eq!(uuids(&twice["before"]), [monolith]);
    let none = app.get(&format!("/api/v1/compare?{query}&name=other"));
    assert_eq!(none.status, 404, "{}", none.text);
    assert!(
        none.text.contains(r#"with a job named \"other\""#),
        "{}",
        none.text
    );
}

#[test]
fn a_branch_is_its_newest_job_that_passed_with_all_shards() {
    let app = App::start();
    let of = |branch: &'static str, run: &'static str, shard: Option<(u32, u32)>| {
        move |begin: &mut Value| {
            begin["run"] = json!({"provider": "local", "id": run, "branch": branch});
            if let Some((index, total)) = shard {
                begin["shard"] = json!({"index": index, "total": total});
            }
        }
    };
    let whole = [1, 2].map(|index| record(&app, of("main", "whole", Some((index, 2))), &["a.py"]));
    // One shard of a newer run never came.
    record(&app, of("main", "half", Some((1, 2))), &["a.py"]);
    let leg = |begin: &mut Value| {
        of("main", "leg", None)(begin);
        begin["name"] = json!("legs");
        begin["variant"] = json!({"python": "3.11"});
    };
    let old_leg = record(&app, leg, &["a.py"]);
    let other_leg = |begin: &mut Value| {
        of("main", "leg2", None)(begin);
        begin["name"] = json!("legs");
        begin["variant"] = json!({"python": "3.12"});
    };
    record(&app, other_leg, &["a.py"]);
    let feature = record(&app, of("feature", "f", None), &["a.py"]);
    let ended = compared(
        &app,
        &format!("before=branch:main&after={feature}&project=owner~repo"),
    );
    assert_eq!(uuids(&ended["before"]), whole);
    let mine = record(
        &app,
        |begin| {
            leg(begin);
            begin["run"] = json!({"provider": "local", "id": "mine", "branch": "feature"});
        },
        &["a.py"],
    );
    let legs = compared(
        &app,
        &format!("before=branch:main&after={mine}&project=owner~repo"),
    );
    assert_eq!(uuids(&legs["before"]), [old_leg]);
    // Two names on one side do not say which of the branch is meant.
    let query = format!("before={mine}&before={feature}&after=branch:main&project=owner~repo");
    let unclear = app.get(&format!("/api/v1/compare?{query}"));
    assert_eq!(unclear.status, 400, "{}", unclear.text);
    let named = compared(&app, &format!("{query}&name=legs"));
    assert_eq!(named["after"]["jobs"][0]["name"], "legs");
}

#[test]
fn a_pull_request_from_a_branch_that_is_called_so_is_not_the_branch() {
    let app = App::start();
    let of = |branch: &'static str, pull_request: &'static str| {
        let record = |app: &App| {
            let run = json!({"provider": "local", "id": Uuid::now_v7(), "branch": branch, "pullRequest": pull_request});
            record(app, |begin| begin["run"] = run, &["a.py"])
        };
        record(&app)
    };
    let asked = |branch: &str, after: Uuid| {
        let query = format!("before=branch:{branch}&after={after}&project=owner~repo");
        app.get(&format!("/api/v1/compare?{query}"))
    };
    let fork = of("main", "7");
    let own = of("patch-1", "8");
    assert_eq!(asked("main", own).status, 404);
    let main = of("main", "");
    of("main", "7");
    assert_eq!(uuids(&asked("main", fork).json()["before"]), [main]);
    // Where only pull requests are recorded these are all that there is of a branch.
    assert_eq!(uuids(&asked("patch-1", main).json()["before"]), [own]);
    let itself = of("patch-1", "");
    of("patch-1", "8");
    assert_eq!(uuids(&asked("patch-1", main).json()["before"]), [itself]);
}

#[test]
fn a_check_of_a_forks_pull_request_goes_by_no_branch_that_is_called_as_the_forks() {
    let app = App::start();
    let of = |run: Value| record(&app, |begin| begin["run"] = run, &["a.py"]);
    let branch = json!({"provider": "local", "id": "branch", "branch": "patch-1"});
    let itself = of(branch);
    for (is_fork, compared_with) in [(false, vec![itself]), (true, vec![])] {
        let pull = of(
            json!({"provider": "local", "id": Uuid::now_v7(), "branch": "patch-1", "pullRequest": "7", "fork": is_fork}),
        );
        let report = app.get(&format!("/api/v1/jobs/{pull}/check")).json();
        assert_eq!(uuids(&report["baseline"]), compared_with, "{report}");
    }
}

#[test]
fn jobs_are_compared_by_those_who_may_read_all_of_them() {
    let guarded = Guarded::start();
    let (own, other) = (guarded.job, guarded.others_job);
    for uuid in [own, other] {
        guarded.app.wait_settled(uuid, &guarded.all);
    }
    let ask = |token: &str, query: &str| -> Vec<Answer> {
        let addresses = [
            format!("/api/v1/compare?{query}"),
            format!("/compare?{query}"),
        ];
        addresses
            .iter()
            .map(|address| guarded.get(address, token))
            .collect()
    };
    let both = format!("before={own}&after={other}");
    let twice = format!("before={own}&after={own}");
    let nobodys = format!("before={own}&after={}", Uuid::now_v7());
    for (token, query, status) in [
        (&guarded.read, &twice, 200),
        (&guarded.all, &both, 200),
        (&guarded.read, &both, 404),
        (&guarded.other, &both, 404),
        (&guarded.read, &nobodys, 404),
    ] {
        for answer in ask(token, query) {
            assert_eq!(answer.status, status, "{query}: {}", answer.text);
        }
    }
    // What belongs to somebody else is answered as what is not there.
    let hidden = guarded.get(&format!("/api/v1/compare?{both}"), &guarded.read);
    let absent = guarded.get(&format!("/api/v1/compare?{nobodys}"), &guarded.read);
    let without = |answer: &Answer, uuid: &str| answer.text.replace(uuid, "");
    assert_eq!(
        without(&hidden, &other.to_string()),
        without(&absent, nobodys.rsplit('=').next().unwrap())
    );
    for query in [
        "project=other~repo",
        "project=other~repo&before=branch:x&after=run:1",
    ] {
        let page = guarded.get(&format!("/compare?{query}"), &guarded.read);
        assert_eq!(page.status, 404, "{}", page.text);
    }
    // An ingest token reads nothing, and whoever brings none is asked for one.
    let ingest = guarded.get(&format!("/api/v1/compare?{twice}"), &guarded.ingest);
    assert_eq!(ingest.status, 404, "{}", ingest.text);
    let nobody = guarded.app.get(&format!("/api/v1/compare?{twice}"));
    assert_eq!(nobody.status, 401, "{}", nobody.text);
}

#[test]
fn what_cannot_be_compared_is_said_with_what_to_do() {
    let app = App::start();
    let known = record(&app, |_| (), &["a.py"]);
    let many: String = (0..65)
        .map(|_| format!("before={}&", Uuid::now_v7()))
        .collect();
    for (query, told) in [
        ("", "before is missing"),
        (&format!("before={known}"), "after is missing"),
        (
            &format!("before={known}&after=it"),
            r#"\"it\" names no job"#,
        ),
        (
            &format!("before={known}&after=run:x"),
            r#"\"run:x\" names no job"#,
        ),
        (
            &format!("before={known}&after=branch:"),
            r#"\"branch:\" names no job"#,
        ),
        (
            &format!("before={known}&after=run:1"),
            "without its project",
        ),
        (
            &format!("{many}after={known}"),
            "before names 65 jobs, and 64 at most",
        ),
        (
            &format!("before={known}&after={known}&limit=0"),
            "limit 0 is not between",
        ),
        (
            &format!("before={known}&after={known}&name=a&name=b"),
            "name is given twice",
        ),
    ] {
        let answer = app.get(&format!("/api/v1/compare?{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(answer.text.contains(told), "{query}: {}", answer.text);
    }
    let nowhere = app.get("/compare");
    assert_eq!(nowhere.status, 400);
    assert!(
        nowhere.text.starts_with("<!doctype html>"),
        "{}",
        nowhere.text
    );
}

#[test]
fn the_pages_lead_from_a_job_to_the_one_before_it_and_to_any_other() {
    let app = App::start();
    let first = record(
        &app,
        |begin| begin["startedUnixUs"] = json!("1700000000000000"),
        &["a.py"],
    );
    let second = record(
        &app,
        |begin| begin["startedUnixUs"] = json!("1700000100000000"),
        &["a.py"],
    );
    let other = |begin: &mut Value| {
        begin["variant"] = json!({"python": "3.12"});
        begin["startedUnixUs"] = json!("1700000050000000");
    };
    record(&app, other, &["a.py"]);
    let page = app.get(&format!("/jobs/{second}")).text;
    let link = format!("/compare?before={first}&after={second}");
    let as_markup = link.replace('&', "&#38;");
    assert!(page.contains(&as_markup), "{page}");
    assert!(app.get(&link).text.contains("passed before and after"));
    let page = app.get(&format!("/jobs/{first}")).text;
    assert!(!page.contains("previous job"), "{page}");
    let list = app.get("/p/owner~repo").text;
    assert!(list.contains("/compare?project=owner~repo"), "{list}");
    let choose = app.get(&format!("/compare?after={second}")).text;
    let fields = choose.matches("type=\"checkbox\" name=\"before\"").count();
    assert_eq!((fields, choose.matches("name=\"after\"").count()), (2, 1));
}

#[test]
fn retention_leaves_what_can_still_be_compared() {
    let (app, jobs) = with_jobs([("old", 40), ("new", 1)]);
    let (old, new) = (jobs["old"], jobs["new"]);
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder, "[retention]\ndetail = '30d'\n");
    let (ok, said, why) = command(&app.database, &["retention", "--config", &settings]);
    assert!(ok, "{said}{why}");
    let told = compared(&app, &format!("before={old}&after={new}"));
    assert_eq!(told["counts"], Value::Null);
    assert!(told["after"]["peak_bytes"].as_u64() > Some(0));
    let notes = told["notes"].to_string();
    assert!(
        notes.contains(&old.to_string()) && !notes.contains(&new.to_string()),
        "{notes}"
    );
    let page = app.get(&format!("/compare?before={old}&after={new}"));
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("id=\"files\""), "{}", page.text);
}

/// A batch with one short test in each of many files.
fn wide(folder: &str, files: i64) -> Value {
    let mut sent = batch(0, "first.py");
    let marks = (0..files).flat_map(|n| {
        let (at, rss, file) = (1_000 + n * 20, 10_000_000 + n * 4_096, format!("{folder}/test_{n}.py"));
        [
            json!({"tUs": at, "rssBytes": rss, "peakBytes": rss, "testBegin": {"execution": 1, "path": file, "nodeid": format!("{file}::test_{n}")}}),
            json!({"tUs": at + 10, "rssBytes": rss + 4_096, "peakBytes": rss + 8_192, "testEnd": {"outcome": "passed", "setup": "passed", "call": "passed", "teardown": "passed"}}),
        ]
    });
    sent["marks"] = marks.collect();
    sent
}

#[test]
fn ten_thousand_files_that_moved_are_compared() {
    let app = App::start();
    let sent = ["old", "new"].map(|folder| {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        app.put_new(&path, &job("unit"));
        app.put_new(
            &format!("{path}/streams/{stream}/batches/0"),
            &wide(folder, 10_000),
        );
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        uuid
    });
    let query = format!("before={}&after={}", sent[0], sent[1]);
    let begun = Instant::now();
    let told = compared(&app, &query);
    println!(
        "10,000 files were compared in {} ms",
        begun.elapsed().as_millis()
    );
    assert_eq!(told["counts"]["moved"], 10_000);
    assert_eq!(told["files"].as_array().unwrap().len(), 1_000);
    assert_eq!(told["files_left"], 9_000);
    let all = compared(&app, &format!("{query}&limit=10000"));
    assert_eq!(all["files"].as_array().unwrap().len(), 10_000);
    let page = app.get(&format!("/compare?{query}"));
    assert!(
        page.text.contains(">9950 more<") && page.text.len() < 200_000,
        "{}",
        page.text.len()
    );
}
