//! Where figures changed for good, over recordings of many commits.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, batch, end, job};

const MIB: i64 = 1 << 20;
const CHANGES: &str = "/api/v1/projects/owner~repo/changes";

/// A job of a commit that passed, with one file that retained so much; which it is.
fn record(app: &App, name: &str, (branch, day): (&str, i64), file: &str, retained: i64) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    let mut begin = job(name);
    let commit_unix_us = 1_700_000_000_000_000 + day * 86_400_000_000;
    begin["run"] = json!({"provider": "github", "id": uuid.to_string(), "branch": branch,
        "headCommit": format!("{day:040x}"), "commitUnixUs": commit_unix_us.to_string()});
    app.put_new(&path, &begin);
    let mut sent = batch(0, file);
    sent["sessions"][0]["endedUs"] = json!(900_000);
    sent["sessions"][0]["exitStatus"] = json!(0);
    sent["marks"][1]["rssBytes"] = json!(10_000_000 + retained);
    sent["marks"][1]["peakBytes"] = json!(10_000_000 + retained);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    let settled = app.settled(uuid, "finished");
    assert_eq!(settled["ending"]["verdict"], "passed", "{settled}");
    uuid
}

fn told(report: &Value) -> Vec<(&str, &str)> {
    let changes = report["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| {
            let figure = change["figure"].as_str().unwrap();
            (figure, change["since"]["commit"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_change_is_told_with_its_commit_in_the_api_and_on_the_pages() {
    let app = App::start();
    let file = "tests/test a<b>.py";
    let address = "tests/test%20a%3Cb%3E.py";
    assert_eq!(app.get(CHANGES).status, 404, "there is no such project");
    // They arrive in another order than that of their commits.
    let mut jobs = [Uuid::nil(); 12];
    for day in [3, 0, 9, 6, 1, 11, 4, 2, 10, 5, 8, 7] {
        let retained = if day < 7 { 20 } else { 60 } * MIB + day % 3 * 100_000;
        jobs[day as usize] = record(&app, "unit", ("main", day), file, retained);
        if day == 3 {
            let early = app.get(&format!("{CHANGES}/{address}")).json();
            assert_eq!(early["changes"], json!([]));
            let why = early["sentence"].as_str().unwrap();
            assert!(
                why.contains("in 1 job of main that went well and ran alike, and 5 are needed"),
                "{why}"
            );
        }
    }
    let of_file = app
        .get(&format!("{CHANGES}/{address}?name=unit&branch=main"))
        .json();
    let commit = format!("{:040x}", 7);
    assert_eq!(told(&of_file), [("retained", commit.as_str())], "{of_file}");
    let change = &of_file["changes"][0];
    assert_eq!(change["since"]["uuid"], json!(jobs[7]));
    assert_eq!(change["last_before"]["uuid"], json!(jobs[6]));
    assert_eq!(change["confidence"], "certain");
    assert_eq!(change["direction"], "worse");
    assert_eq!(
        (&change["jobs"], &change["jobs_before"]),
        (&json!(5), &json!(7))
    );
    let differs = change["change_bytes"].as_i64().unwrap() - 40 * MIB;
    assert!(differs.abs() < MIB / 4, "{change}");
    assert_eq!(of_file["looked_at"][0]["jobs"], 12);
    assert_eq!(of_file["looked_at"][0]["last"]["uuid"], json!(jobs[11]));

    let suite = app.get(CHANGES).json();
    assert_eq!(
        told(&suite),
        [("peak", commit.as_str()), ("retained", &commit)],
        "{suite}"
    );
    let least = app.get(&format!("{CHANGES}?limit=1&name=unit")).json();
    assert_eq!((told(&least).len(), &least["left_out"]), (1, &json!(1)));

    let page = app.get(&format!("/p/owner~repo/files/{address}")).text;
    let sentence = "Since 0000000000 (21 Nov 2023) it retains 60.1 MiB, 40.0 MiB more than in the 7 jobs before; certain.";
    assert!(page.contains(sentence), "{page}");
    assert!(page.contains(&format!("href=\"/jobs/{}\"", jobs[7])));
    assert!(page.contains("A line stands where a change of the list below began: 1 0000000000."));
    let project = app.get("/p/owner~repo").text;
    assert!(project.contains("What changed lately"), "{project}");
    assert!(project.contains(&format!("/p/owner~repo/files/{address}?name=unit")));
    assert!(!project.contains("<b>.py"));
}

#[test]
fn the_same_jobs_are_looked_through_once_however_often_their_project_is_shown() {
    let app = App::start();
    let looked_through = || {
        let figures = app.get("/metrics").text;
        let mut lines = figures.lines();
        let line = lines.find_map(|line| line.strip_prefix("highwater_histories_total "));
        line.unwrap().parse::<u32>().unwrap()
    };
    for day in 0..6 {
        record(&app, "unit", ("main", day), "a.py", 10 * MIB);
    }
    let first = app.get("/p/owner~repo").text;
    assert_eq!(looked_through(), 1);
    assert_eq!(app.get("/p/owner~repo").text, first);
    let suite = app.get(CHANGES).json();
    assert_eq!(suite["looked_at"][0]["jobs"], 6);
    assert_eq!(looked_through(), 1);
    record(&app, "unit", ("main", 6), "a.py", 10 * MIB);
    let suite = app.get(CHANGES).json();
    assert_eq!(suite["looked_at"][0]["jobs"], 7);
    assert_eq!(looked_through(), 2);
}

#[test]
fn newer_jobs_of_which_there_are_few_push_none_out_of_which_there_are_many() {
    let app = App::start();
    for day in 0..8 {
        let kept = if day < 4 { 10 } else { 40 } * MIB;
        record(&app, "unit", ("main", day), "a.py", kept);
    }
    for (at, name) in ["diagnosed", "shard 1", "shard 2", "xdist", "nightly"]
        .iter()
        .enumerate()
    {
        record(&app, name, ("main", 20 + at as i64), "a.py", 10 * MIB);
    }
    let suite = app.get(CHANGES).json();
    let fifth = format!("{:040x}", 4);
    assert!(told(&suite).contains(&("retained", &fifth)), "{suite}");
    assert_eq!(suite["looked_at"].as_array().map(Vec::len), Some(4));
}

#[test]
fn jobs_of_other_names_and_branches_are_told_apart() {
    let app = App::start();
    for day in 0..8 {
        let more = |from: i64| if day < from { 10 } else { 40 } * MIB;
        record(&app, "unit", ("main", day), "a.py", more(100));
        record(&app, "e2e", ("main", day), "a.py", more(4));
        record(&app, "unit", ("feature", day), "a.py", more(3));
    }
    let of = |query: &str| app.get(&format!("{CHANGES}/a.py?{query}")).json();
    assert_eq!(told(&of("name=unit")), []);
    let fifth = format!("{:040x}", 4);
    assert_eq!(told(&of("name=e2e")), [("retained", fifth.as_str())]);
    let fourth = format!("{:040x}", 3);
    let feature = of("name=unit&branch=feature");
    assert_eq!(told(&feature), [("retained", fourth.as_str())]);
    assert_eq!(feature["branch"], "feature");
    let suite = app.get(CHANGES).json();
    assert_eq!(suite["branch"], "main");
    assert_eq!(suite["looked_at"].as_array().unwrap().len(), 2);
    assert_eq!(told(&suite).len(), 2, "{suite}");
    assert!(
        suite["changes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["name"] == "e2e")
    );
    let nothing = app.get(&format!("{CHANGES}?branch=nowhere")).json();
    assert_eq!(nothing["changes"], json!([]));
    assert!(
        nothing["sentence"]
            .as_str()
            .unwrap()
            .contains("no job of nowhere went well")
    );

    for (path, status, what) in [
        ("/none.py", 404, "none.py"),
        ("/a.py?name=other", 404, "other"),
        ("?limit=0", 400, "limit 0"),
        ("?limit=many", 400, "limit"),
    ] {
        let answer = app.get(&format!("{CHANGES}{path}"));
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn a_renamed_file_is_checked_beside_what_it_was_under_its_old_name() {
    let app = App::start();
    let (old, new) = ("tests/test_old.py", "tests/test_new.py");
    for day in 0..6 {
        record(&app, "unit", ("main", day), old, 20 * MIB);
    }
    let uuid = record(&app, "unit", ("main", 6), new, 60 * MIB);
    let report = app.get(&format!("/api/v1/jobs/{uuid}/check")).json();
    let moved = json!([{"path": new, "moved_from": old}]);
    assert_eq!(report["moved_files"], moved, "{report}");
    assert_eq!(
        (&report["new_files"], &report["gone_files"]),
        (&json!([]), &json!([]))
    );
    let findings = report["findings"].as_array().unwrap();
    let of_file = findings.iter().find(|it| it["path"] == new).unwrap();
    assert_eq!(of_file["cause"], "changed");
    let sentence = of_file["sentence"].as_str().unwrap();
    assert!(
        sentence.ends_with("It was tests/test_old.py before."),
        "{sentence}"
    );
    let page = app.get(&format!("/jobs/{uuid}")).text.replace("<wbr>", "");
    let told = "Compared with what they were under another name: tests/test_new.py (was tests/test_old.py).";
    assert!(page.contains(told), "{page}");
}
