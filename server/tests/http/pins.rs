//! Who may pin a job, and where that shows.

use serde_json::json;
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{App, command, job},
};

/// Pins or lets go with a token: the status, and what came with it.
fn ask(guarded: &Guarded, method: &str, job: Uuid, token: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let headers = if token.is_empty() { &[] } else { &headers[..] };
    let path = format!("/api/v1/jobs/{job}/pin");
    let answer = guarded.app.ask(method, &path, headers, "");
    (answer.status, answer.text)
}

fn is_pinned(guarded: &Guarded) -> serde_json::Value {
    let path = "/api/v1/projects/owner~repo/jobs";
    guarded.get(path, &guarded.all).json()["jobs"][0]["pinned"].clone()
}

#[test]
fn a_job_is_pinned_by_who_may_change_how_its_project_is_kept() {
    let guarded = Guarded::start();
    for method in ["PUT", "DELETE"] {
        let table = [
            ("", 401, "asks for a token"),
            (&guarded.read, 403, "not for admin of owner/repo"),
            (&guarded.ingest, 404, "there is no job"),
            (&guarded.other, 404, "there is no job"),
        ];
        for (token, status, says) in table {
            let (got, text) = ask(&guarded, method, guarded.job, token);
            assert_eq!(got, status, "{method}: {text}");
            assert!(text.contains(says), "{text}");
        }
        let (got, _) = ask(&guarded, method, Uuid::nil(), &guarded.all);
        assert_eq!(got, 404);
    }
    assert_eq!(is_pinned(&guarded), false);
    // Twice is as once.
    for (method, pinned) in [("PUT", true), ("PUT", true), ("DELETE", false)] {
        let (got, text) = ask(&guarded, method, guarded.job, &guarded.all);
        assert_eq!((got, text), (200, json!({ "pinned": pinned }).to_string()));
        assert_eq!(is_pinned(&guarded), pinned);
    }
    // What everybody may read is not for everybody to keep.
    let (ok, ..) = command(&guarded.app.database, &["project", "publish", "owner/repo"]);
    assert!(ok);
    assert_eq!(ask(&guarded, "PUT", guarded.job, "").0, 401);
    assert_eq!(ask(&guarded, "PUT", guarded.job, &guarded.other).0, 403);
    assert_eq!(is_pinned(&guarded), false);
}

#[test]
fn whoever_runs_the_server_pins_on_the_command_line() {
    let app = App::start();
    let uuid = Uuid::now_v7();
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("unit"));
    let pinned = || app.get("/api/v1/projects/owner~repo/jobs").json()["jobs"][0]["pinned"].clone();
    for (word, expected) in [("pin", true), ("unpin", false)] {
        let (ok, said, _) = command(&app.database, &["job", word, &uuid.to_string()]);
        assert!(ok && said.contains("pinned"), "{said}");
        assert_eq!(pinned(), expected);
    }
    let none = Uuid::nil().to_string();
    let (ok, _, error) = command(&app.database, &["job", "pin", &none]);
    assert!(!ok && error.contains("there is no job"), "{error}");
}
