//! Limits of files, as a check takes them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{Answer, App, batch, end, job},
};

/// A job of one file, test_a.py.
fn recorded(app: &App) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("unit"));
    let sent = batch(0, "test_a.py");
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    uuid
}

/// The check of a job with limits of files.
fn checked(app: &App, uuid: Uuid, limits: &[&str]) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(limits.iter().map(|limit| ("file_limit", limit)));
    app.get(&format!("/api/v1/jobs/{uuid}/check?{}", query.finish()))
}

fn findings(report: &Value) -> Vec<[&Value; 3]> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|it| [&it["figure"], &it["path"], &it["limit"]])
        .collect()
}

#[test]
fn a_finding_names_the_limit_and_the_files_it_was_set_for() {
    let app = App::start();
    let uuid = recorded(&app);
    let limits = ["test_?.py=max-peak:1kB,max-spike:off", "e2e/*=max-peak:1"];
    let report = checked(&app, uuid, &limits).json();
    assert_eq!(
        findings(&report),
        [[
            &json!("peak"),
            &json!("test_a.py"),
            &json!({"name": "max_peak", "files": "test_?.py"})
        ]]
    );
    let found = &report["findings"][0];
    assert_eq!(
        (&found["cause"], &found["least_bytes"]),
        (&json!("limit"), &json!(1000))
    );
    let sentence = found["sentence"].as_str().unwrap();
    let rule = "above the limit of 0.0 MiB (max-peak of test_?.py).";
    assert!(sentence.ends_with(rule), "{sentence}");
    assert_eq!(report["unmatched_limits"], json!(["e2e/*"]));
    // The last that says something of the figure counts; the job's own peak is another.
    let lifted = [limits[0], "*=max-peak:off", "test_a.py=max-spike:1TB"];
    let report = checked(&app, uuid, &lifted).json();
    assert_eq!(findings(&report), Vec::<[&Value; 3]>::new());
    let of_job = app.get(&format!(
        "/api/v1/jobs/{uuid}/check?max_peak=1&file_limit=*%3Dmax-peak:off"
    ));
    assert_eq!(
        findings(&of_job.json()),
        [[
            &json!("peak"),
            &Value::Null,
            &json!({"name": "max_peak", "files": null})
        ]]
    );
}

#[test]
fn the_peak_of_a_file_over_its_limit_can_be_acknowledged() {
    let app = App::start();
    let uuid = recorded(&app);
    let limits = ["test_a.py=max-peak:1kB"];
    let known =
        json!({"job": uuid, "figure": "peak", "path": "test_a.py", "reason": "a", "days": 1});
    let known = app.ask(
        "POST",
        "/api/v1/projects/owner~repo/acknowledgements",
        &[],
        &known.to_string(),
    );
    assert_eq!(known.status, 201, "{}", known.text);
    let report = checked(&app, uuid, &limits).json();
    let found = &report["findings"][0];
    assert_eq!(found["acknowledged"]["bytes"], found["bytes"], "{report}");
    assert_eq!(report["verdict"], "not_enough_data");
}

#[test]
fn what_cannot_be_a_limit_of_files_is_refused_in_words() {
    let app = App::start();
    let uuid = recorded(&app);
    let long = format!("{}=max-peak:1", "x".repeat(200));
    let many = ["a=max-peak:1"; 101];
    let most = format!("{}=max-peak:1", "é".repeat(94));
    assert_eq!(checked(&app, uuid, &[most.as_str(); 100]).status, 200);
    for (limits, says) in [
        (
            &["a"][..],
            "file_limit: \\\"a\\\" is no limit of files, such as",
        ),
        (
            &["a=max-peek:1"],
            "file_limit: a: max-peek: there is no such limit of files; there are max-retained",
        ),
        (
            &["a=max-peak:much"],
            "is not a size such as 3GB or 200MiB, nor off",
        ),
        (
            &[&long],
            "a limit of files has 211 bytes, and 200 are the most",
        ),
        (&many, "101 limits of files are more than 100"),
    ] {
        let answer = checked(&app, uuid, limits);
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(says), "{}", answer.text);
        assert_eq!(answer.json()["error"]["code"], "bad_request");
    }
}

#[test]
fn who_may_not_see_a_job_learns_nothing_by_its_limits() {
    let guarded = Guarded::start();
    let ask = |job: Uuid| {
        let path = format!("/api/v1/jobs/{job}/check?file_limit=*%3Dmax-peak:1");
        guarded.get(&path, &guarded.read)
    };
    assert_eq!(ask(guarded.job).status, 200);
    let (hidden, unknown) = (ask(guarded.others_job), ask(Uuid::nil()));
    let nameless = hidden
        .text
        .replace(&guarded.others_job.to_string(), &Uuid::nil().to_string());
    assert_eq!((hidden.status, nameless), (404, unknown.text));
}
