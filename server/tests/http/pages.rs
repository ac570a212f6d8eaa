//! Pages hold what anybody sent, as text.

use serde_json::json;
use uuid::Uuid;

use crate::app::{App, batch, end, job};

const HOSTILE: &str =
    "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\u{0}";

#[test]
fn nothing_that_was_sent_becomes_markup() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let mut begin = job(HOSTILE);
    begin["run"] = json!({"provider": HOSTILE, "id": HOSTILE, "branch": HOSTILE, "headCommit": HOSTILE, "event": HOSTILE,
        "url": "https://ci.example/?\"><script>alert(3)</script>"});
    begin["variant"] = json!({HOSTILE: HOSTILE});
    begin["command"] = json!([HOSTILE]);
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &begin);
    let mut sent = batch(0, HOSTILE);
    sent["processes"][0]["command"] = json!(HOSTILE);
    sent["notices"] = json!([{"code": HOSTILE, "message": HOSTILE}]);
    sent["sessions"][0]["args"] = json!([HOSTILE]);
    let answer = app.put(&format!("{path}/streams/{stream}/batches/0"), &sent);
    assert_eq!(answer.status, 201, "{}", answer.text);
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    let runs = app.get("/api/v1/projects/owner~repo/runs").json();
    let run = runs["runs"][0]["run"].to_string();
    let file: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let pages = [
        "/".to_owned(),
        "/p/owner~repo".to_owned(),
        format!("/p/owner~repo/runs/{run}"),
        format!("/jobs/{uuid}"),
        format!("/p/owner~repo/files/{file}"),
        format!("/p/owner~repo/runs/{file}"),
        format!("/jobs/{file}"),
    ];
    for page in pages {
        let answer = app.get(&page);
        assert!(
            answer.text.starts_with("<!doctype html>"),
            "{page}: {}",
            answer.text
        );
        for markup in ["<script>alert", "<img src=x", "href=\"javascript:"] {
            assert!(!answer.text.contains(markup), "{page}: {markup}");
        }
    }
}
