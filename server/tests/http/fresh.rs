//! What is asked again and again: a settled job that somebody has already, and a running one that somebody follows.

use serde_json::Value;
use uuid::Uuid;

use crate::app::{App, batch, end, job, wait_for};

fn begin(app: &App) -> (Uuid, Uuid, String) {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("unit"));
    app.put_new(
        &format!("{path}/streams/{stream}/batches/0"),
        &batch(0, "test_a.py"),
    );
    (uuid, stream, path)
}

#[test]
fn a_settled_job_is_confirmed_and_not_made_again_until_something_comes() {
    let app = App::start();
    let (uuid, stream, path) = begin(&app);
    let page = format!("/jobs/{uuid}?sort=peak");
    assert_eq!(
        app.get(&page).header("etag"),
        "",
        "a running job changes all the time"
    );
    app.put_new(&format!("{path}/end"), &end(stream, 1));
    app.settled(uuid, "finished");
    for path in [
        &page,
        &path,
        &format!("{path}/tests?limit=1"),
        &format!("{path}/series"),
    ] {
        let answer = app.get(path);
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with("W/\"1-"), "{path}: {tag:?}");
        assert!(answer.header("cache-control").contains("private"));
        let known = app.ask(
            "GET",
            path,
            &[("If-None-Match", &format!("\"x\", {tag}"))],
            "",
        );
        assert_eq!((known.status, known.text.as_str()), (304, ""), "{path}");
        assert_eq!(known.header("etag"), tag);
        let other = app.ask("GET", path, &[("If-None-Match", "W/\"1-0\"")], "");
        assert_eq!((other.status, other.header("etag")), (200, tag.as_str()));
    }
    let known = app.get(&page).header("etag").to_owned();
    begin(&app);
    let again = app.ask("GET", &page, &[("If-None-Match", &known)], "");
    assert_eq!(
        again.status, 200,
        "the page names the other jobs of the run"
    );
    let tag = app.get(&path).header("etag").to_owned();
    app.put_new(
        &format!("{path}/streams/{stream}/batches/1"),
        &batch(1, "test_a.py"),
    );
    let again = app.ask("GET", &path, &[("If-None-Match", &tag)], "");
    assert_eq!(again.status, 200, "something came late");
    // Finalised again, it has a tag once more, and not the one of before.
    wait_for("the second revision", || {
        let job = app.get(&path).json();
        (job["revision"] == 2).then_some(())
    });
    let again = app.ask("GET", &path, &[("If-None-Match", &tag)], "");
    assert_eq!(again.status, 200);
    assert!(
        again.header("etag").starts_with("W/\"2-"),
        "{}",
        again.header("etag")
    );
    // A pin changes the page, and no figure.
    let tag = again.header("etag").to_owned();
    assert_eq!(app.ask("PUT", &format!("{path}/pin"), &[], "").status, 200);
    let again = app.ask("GET", &path, &[("If-None-Match", &tag)], "");
    assert_eq!(again.status, 200);
}

/// The events of a stream: their names and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let parts = text.split("\n\n").filter(|part| part.contains("event:"));
    let event = |part: &str| {
        let field = |name: &str| {
            let line = part.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        (
            field("event:"),
            serde_json::from_str(&field("data:")).unwrap(),
        )
    };
    parts.map(event).collect()
}

#[test]
fn a_running_job_is_followed_to_its_end() {
    let app = App::start();
    let (uuid, stream, path) = begin(&app);
    let live = format!("{path}/live");
    let text = std::thread::scope(|scope| {
        let following = scope.spawn(|| app.get(&live));
        let route = r#"route="/api/v1/jobs/{uuid}/live",status="200"} 1"#;
        wait_for("somebody to follow", || {
            app.get("/metrics").text.contains(route).then_some(())
        });
        for n in 1..4 {
            app.put_new(
                &format!("{path}/streams/{stream}/batches/{n}"),
                &batch(n, "test_a.py"),
            );
        }
        app.put_new(&format!("{path}/end"), &end(stream, 4));
        let answer = following.join().unwrap();
        assert_eq!(answer.header("content-type"), "text/event-stream");
        answer.text
    });
    let events = events(&text);
    let (name, first) = &events[0];
    assert_eq!(
        (name.as_str(), &first["state"]),
        ("progress", &"running".into()),
        "{text}"
    );
    assert!(first["memory_bytes"].as_i64() > Some(9_000_000), "{first}");
    let (name, last) = events.last().unwrap();
    assert_eq!(
        (name.as_str(), &last["state"]),
        ("settled", &"finished".into()),
        "{text}"
    );
    assert_eq!(
        (&last["tests"], &last["revision"]),
        (&4.into(), &1.into()),
        "{text}"
    );
    assert!(last["memory_bytes"].is_null());
    // Whoever comes after it is told at once.
    assert!(app.get(&live).text.starts_with("event: settled\n"));
    assert_eq!(
        app.get(&format!("/api/v1/jobs/{}/live", Uuid::nil()))
            .status,
        404
    );
    let page = app.get(&format!("/jobs/{uuid}")).text;
    assert!(!page.contains("live.js"), "a settled page does not move");
}
