//! A copy of the database that is made while the server takes in, and a server on that copy.

use std::{sync::Mutex, time::Duration};

use highwater_wire::receipt::Receipt;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::app::{App, batch, command, end, job, wait_for};

#[test]
fn a_server_on_the_copy_answers_what_was_acknowledged_before_it_was_made() {
    let app = App::start();
    let (done, live, stream) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::new_v4());
    let path = |uuid: Uuid| format!("/api/v1/jobs/{uuid}");
    let batches = |uuid: Uuid, n: i64| format!("{}/streams/{stream}/batches/{n}", path(uuid));
    for (uuid, name) in [(done, "done"), (live, "live")] {
        app.put_new(&path(uuid), &job(name));
    }
    app.put_new(&batches(done, 0), &batch(0, "test_a.py"));
    app.put_new(&format!("{}/end", path(done)), &end(stream, 1));
    app.settled(done, "finished");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.db");
    let copy = file.to_str().unwrap();
    let acknowledged = Mutex::new(0);
    let known = || *acknowledged.lock().unwrap();
    let (before, said) = std::thread::scope(|scope| {
        let backing_up = scope.spawn(|| {
            wait_for("some batches", || (known() >= 5).then_some(()));
            let before = known();
            let (ok, said, error) = command(&app.database, &["backup", copy]);
            assert!(ok, "{error}");
            (before, said)
        });
        for n in 0.. {
            app.put_new(&batches(live, n), &batch(n, "test_b.py"));
            *acknowledged.lock().unwrap() = n + 1;
            if backing_up.is_finished() {
                break;
            }
        }
        backing_up.join().unwrap()
    });
    assert!(
        said.contains("jobs 2,") && said.contains("is sound"),
        "{said}"
    );
    let (ok, _, error) = command(&app.database, &["backup", copy]);
    assert!(!ok && error.contains("is there already"), "{error}");

    let restored = App::on(
        App::config(Duration::from_secs(600)),
        format!("sqlite://{copy}"),
    );
    for part in ["", "/files", "/tests", "/processes", "/series"] {
        let part = format!("{}{part}", path(done));
        assert_eq!(restored.get(&part).json(), app.get(&part).json(), "{part}");
    }
    let tests = restored.get(&format!("{}/tests?limit=1000", path(live)));
    let found = tests.json()["tests"].as_array().unwrap().len();
    assert!(i64::try_from(found).unwrap() >= before, "{found} {before}");
    // What was acknowledged is known, and what came after the copy was made is taken.
    let again = restored.put(&batches(live, before - 1), &batch(before - 1, "test_b.py"));
    assert_eq!(again.status, 200);
    let next = known();
    let receipt = Receipt::of_batch(live, stream, next.unsigned_abs());
    let taken = restored.put(&batches(live, next), &batch(next, "test_b.py"));
    assert_eq!((taken.status, taken.json()), (201, json!(receipt)));
}
