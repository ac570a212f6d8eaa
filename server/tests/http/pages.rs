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
        format!("/compare?before={uuid}&after={uuid}"),
        format!("/compare?after={uuid}"),
        format!("/compare?before={file}&after={uuid}"),
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

#[test]
fn a_job_without_a_command_shows_those_of_its_sessions() {
    let app = App::start();
    for (command, told) in [
        (json!([]), "1: pytest tests/<wbr>unit"),
        (json!(["make", "test"]), "make test"),
    ] {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        let mut begin = job("unit");
        begin["command"] = command;
        app.put_new(&path, &begin);
        let mut sent = batch(0, "a.py");
        sent["processes"][0]["command"] = json!("pytest tests/unit");
        app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        let page = app.get(&format!("/jobs/{uuid}")).text;
        let fact = format!("<dt>Command</dt><dd><bdi>{told}</bdi></dd>");
        assert!(page.contains(&fact), "{page}");
    }
}

#[test]
fn a_file_of_any_name_leads_to_its_own_page() {
    let app = App::start();
    for (name, address) in [
        ("tests/test_a.py", "tests/test_a.py"),
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("/srv//test_a.py", "%2Fsrv%2F%2Ftest_a.py"),
        ("", ""),
        ("..", ""),
    ] {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        app.put_new(&path, &job("unit"));
        app.put_new(
            &format!("{path}/streams/{stream}/batches/0"),
            &batch(0, name),
        );
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        let page = app.get(&format!("/jobs/{uuid}")).text;
        let link = page.split("href=\"/p/owner~repo/files/").nth(1);
        let link = link.and_then(|rest| rest.split('"').next());
        let (link, of_jobs) = link.unwrap_or("?name=unit").split_once('?').unwrap();
        assert_eq!((link, of_jobs), (address, "name=unit"), "{name:?}");
        if !address.is_empty() {
            let answer = app.get(&format!("/p/owner~repo/files/{address}"));
            assert_eq!(answer.status, 200, "{name:?}");
        }
    }
}

#[test]
fn the_timeline_tells_of_workers_it_does_not_draw() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("wide"));
    let mut wide = batch(0, "test_a.py");
    wide["processes"] = (0..20)
        .map(|n| json!({"pid": 10 + n, "startTicks": 1, "role": "ROLE_WORKER", "worker": format!("gw{n}"), "session": "s", "startedUs": 0}))
        .collect();
    let begin = json!({"execution": 1, "path": "test_a.py", "nodeid": "test_a.py::test_a"});
    wide["marks"] = (0..20)
        .map(|n| json!({"process": n, "tUs": 10, "rssBytes": 1, "testBegin": begin}))
        .collect();
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &wide);
    let page = app.get(&format!("/jobs/{uuid}")).text;
    let words = "20 visits of test files on 20 workers, of which the first 16 are drawn.";
    assert!(page.contains(words), "{page}");
}

#[test]
fn the_timeline_of_a_job_without_tests_points_at_none() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("bare"));
    let mut bare = batch(0, "test_a.py");
    bare["marks"] = json!([]);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &bare);
    let page = app.get(&format!("/jobs/{uuid}")).text;
    assert!(page.contains("Memory of all processes over"), "{page}");
    assert!(!page.contains("of test files on"), "{page}");
}

#[test]
fn a_curve_that_misses_the_peak_says_which_of_them_is_sampled() {
    let app = App::start();
    for (name, peak, is_told) in [("spike", 200_000_000, true), ("flat", 15_000_000, false)] {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        app.put_new(&path, &job(name));
        let mut sent = batch(0, "test_a.py");
        sent["processes"][0]["exact"] = json!(true);
        sent["marks"][1]["peakBytes"] = json!(peak);
        for value in sent["samples"][0]["series"][0]["valueDelta"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .skip(1)
        {
            *value = json!(200_000);
        }
        app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        let page = app.get(&format!("/jobs/{uuid}")).text;
        let words = "The peak is 190.7 MiB by the kernel&#39;s mark; the curve is sampled and reaches 13.2 MiB.";
        assert_eq!(page.contains(words), is_told, "{page}");
    }
}

#[test]
fn the_rows_of_several_sessions_say_which_they_are_of() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("twice"));
    for n in 0..2 {
        let mut sent = batch(n, "test_a.py");
        let id = format!("s{n}");
        sent["processes"][0]["pid"] = json!(7 + n);
        sent["processes"][0]["session"] = json!(id);
        sent["sessions"][0]["id"] = json!(id);
        sent["sessions"][0]["beganUs"] = json!(n * 1_000_000);
        sent["sessions"][0]["args"] = json!([format!("part{n}"), "-q"]);
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
    }
    app.put_new(&format!("{path}/end"), &end(stream, 2));
    app.settled(uuid, "finished");
    let page = app.get(&format!("/jobs/{uuid}")).text;
    for words in [
        "1 (part0 -q): 1 test; 0 failed",
        "2 (part1 -q): 1 test; 0 failed",
        "\nsession 1\n",
        "\nsession 2\n",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let names = [
        "test_<wbr>a.py",
        "test_<wbr>a.py::<wbr>test_<wbr>0",
        "test_<wbr>a.py::<wbr>test_<wbr>1",
    ];
    for (name, sessions) in names.iter().zip([&[1, 2][..], &[1], &[2]]) {
        for session in sessions {
            let row = page.lines().find(|line| {
                line.contains(&format!("<bdi>{name}</bdi>"))
                    && line.contains(&format!(">session {session}</span>"))
            });
            assert!(row.is_some(), "{name} {session}: {page}");
        }
    }
}

#[test]
fn the_timeline_names_collection_and_begins_where_pytest_does() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("late"));
    let mut sent = batch(0, "test_a.py");
    sent["toUs"] = json!(60_000_000);
    sent["processes"][0]["startedUs"] = json!(40_000_000);
    sent["sessions"][0]["beganUs"] = json!(40_000_000);
    sent["samples"][0]["tUsDelta"][0] = json!(40_000_000);
    let test = sent["marks"].as_array().unwrap().clone();
    let mut marks = vec![
        json!({"tUs": 40_000_000, "rssBytes": 1_000_000, "sessionBegin": {}}),
        json!({"tUs": 40_100_000, "rssBytes": 1_000_000, "collectBegin": {}}),
        json!({"tUs": 50_100_000, "rssBytes": 9_000_000, "collectEnd": {"items": "1"}}),
    ];
    for (mut mark, at) in test.into_iter().zip([51_000_000, 59_000_000]) {
        mark["tUs"] = json!(at);
        marks.push(mark);
    }
    sent["marks"] = json!(marks);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    let mut over = end(stream, 1);
    over["endedUs"] = json!(60_000_000);
    app.put_new(&format!("{path}/end"), &over);
    app.settled(uuid, "finished");
    let rows = app.get(&format!("{path}/processes")).json();
    assert_eq!(
        rows["processes"][0]["collections"],
        json!([{"session": 1, "began_us": 40_100_000, "ended_us": 50_100_000}])
    );
    let page = app.get(&format!("/jobs/{uuid}")).text;
    for words in [
        "Collection (outlined), in which the test files are imported, took 10.0 s.",
        "The first 39.6 s are not drawn: pytest had not begun.",
        "\ncollection\n",
        "?timeline=whole#timeline",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("\n0 s\n"), "{page}");
    let whole = app.get(&format!("/jobs/{uuid}?timeline=whole")).text;
    assert!(whole.contains("\n0 s\n") && !whole.contains("are not drawn"));
}

#[test]
fn the_history_of_a_file_keeps_jobs_of_different_names_apart() {
    let app = App::start();
    let mut uuids = Vec::new();
    for (n, name) in ["unit", "e2e & more", "unit"].into_iter().enumerate() {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        let mut begin = job(name);
        begin["startedUnixUs"] = json!((1_700_000_000_000_000_i64 + n as i64).to_string());
        begin["variant"] = json!({"python": format!("3.{n}")});
        app.put_new(&path, &begin);
        app.put_new(
            &format!("{path}/streams/{stream}/batches/0"),
            &batch(0, "test_a.py"),
        );
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        uuids.push(uuid.to_string());
    }
    let page = "/p/owner~repo/files/test_a.py";
    for (asked, shown) in [
        ("", &[0, 2][..]),
        ("?name=unit", &[0, 2]),
        ("?name=e2e%20%26%20more", &[1]),
    ] {
        let html = app.get(&format!("{page}{asked}")).text;
        for (n, uuid) in uuids.iter().enumerate() {
            let is_shown = html.contains(&format!("href=\"/jobs/{uuid}\""));
            assert_eq!(is_shown, shown.contains(&n), "{asked} {n}: {html}");
            assert_eq!(
                html.contains(&format!("python=3.{n}")),
                is_shown,
                "{asked} {n}"
            );
        }
        let is_alone = html.contains("In the one job that there is it retained 1.0 MiB.");
        assert_eq!(is_alone, shown.len() == 1, "{asked}: {html}");
        let other = if asked.contains("e2e") {
            "unit"
        } else {
            "e2e%20%26%20more"
        };
        assert!(
            html.contains(&format!("<a href=\"?name={other}\">")),
            "{html}"
        );
    }
    // A job that still runs leads there by a name of which nothing is finished.
    let nobody = app.get(&format!("{page}?name=nobody"));
    assert_eq!(nobody.status, 200);
    for words in [
        "No finished job of this name ran this file.",
        "<a href=\"?name=unit\">",
    ] {
        assert!(nobody.text.contains(words), "{words}: {}", nobody.text);
    }
    assert_eq!(app.get(&format!("{page}.other")).status, 404);
    assert_eq!(
        app.get(&format!("{page}.other?name=nobody")).status,
        404,
        "no job is called so"
    );
    // A file that no job was settled with yet, from the page of the first that runs it.
    let uuid = Uuid::now_v7();
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("first"));
    let first = app.get(&format!("{page}.other?name=first"));
    assert_eq!(first.status, 200, "{}", first.text);
    assert!(
        first
            .text
            .contains("No finished job of this name ran this file."),
        "{}",
        first.text
    );
    let api = "/api/v1/projects/owner~repo/files/test_a.py";
    for (asked, rows) in [("", 3), ("?name=unit", 2), ("?name=e2e%20%26%20more", 1)] {
        let answer = app.get(&format!("{api}{asked}")).json();
        assert_eq!(
            answer["history"].as_array().unwrap().len(),
            rows,
            "{answer}"
        );
    }
    let first = app.get(&format!("{api}?name=unit&limit=1")).json();
    assert_eq!(first["history"][0]["job"], uuids[2]);
    assert_eq!(first["history"][0]["variant"], json!({"python": "3.2"}));
    let after = first["next"].as_str().unwrap();
    let second = app
        .get(&format!("{api}?name=unit&limit=1&after={after}"))
        .json();
    assert_eq!(second["history"][0]["job"], uuids[0]);
    assert_eq!(app.get(&format!("{api}?name=nobody")).status, 404);
}

#[test]
fn a_job_leads_to_its_ci_and_to_the_other_jobs_of_its_run() {
    let app = App::start();
    let mut uuids = Vec::new();
    for (name, run, url) in [
        ("unit", "77", "https://ci.example/jobs/1"),
        ("e2e", "77", ""),
        ("nightly", "78", ""),
    ] {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        let mut begin = job(name);
        begin["url"] = json!(url);
        begin["run"] =
            json!({"provider": "github", "id": run, "url": "https://ci.example/runs/77?a&b"});
        app.put_new(&path, &begin);
        app.put_new(
            &format!("{path}/streams/{stream}/batches/0"),
            &batch(0, "test_a.py"),
        );
        app.put_new(&format!("{path}/end"), &end(stream, 1));
        app.settled(uuid, "finished");
        uuids.push(uuid);
    }
    let page = |n: usize| app.get(&format!("/jobs/{}", uuids[n])).text;
    let link = |url: &str| format!("href=\"{url}\" rel=\"noopener noreferrer\"");
    let of_run = link("https://ci.example/runs/77?a&#38;b");
    assert!(
        page(0).contains(&link("https://ci.example/jobs/1")),
        "{}",
        page(0)
    );
    for n in 0..3 {
        assert!(page(n).contains(&of_run), "{}", page(n));
        for (other, uuid) in uuids.iter().enumerate() {
            let is_there = page(n).contains(&format!("href=\"/jobs/{uuid}\""));
            assert_eq!(is_there, n != other && n < 2 && other < 2, "{n} {other}");
        }
    }
    let runs = app.get("/api/v1/projects/owner~repo/runs").json();
    for run in runs["runs"].as_array().unwrap() {
        let address = format!("/p/owner~repo/runs/{}", run["run"]);
        assert!(app.get(&address).text.contains(&of_run), "{run}");
        let leads = page(if run["id"] == "77" { 0 } else { 2 });
        assert!(
            leads.contains(&format!("<a href=\"{address}\">")),
            "{leads}"
        );
    }
}

#[test]
fn the_command_of_a_jobs_page_names_the_server() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    let mut begun = job("stopped");
    begun["budgetBytes"] = json!("100000000");
    app.put_new(&path, &begun);
    let mut sent = batch(0, "test_a.py");
    sent["marks"].as_array_mut().unwrap().truncate(1);
    sent["processes"][0]["signal"] = json!(2);
    sent["processes"][0]["endedUs"] = json!(900_000);
    sent["events"] = json!([{"tUs": 600_000, "guard": {"action": "stopped", "limit": "budget",
        "usedBytes": "95000000", "limitBytes": "100000000", "pids": [7], "signal": 2}}]);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    let mut over = end(stream, 1);
    over["exitCode"] = json!(130);
    app.put_new(&format!("{path}/end"), &over);
    app.settled(uuid, "finished");
    let page = app.get(&format!("/jobs/{uuid}")).text;
    let hint = page.split("or by hand: ").nth(1).unwrap();
    let hint = hint.split("</code>").next().unwrap();
    let origin = app.url.trim_end_matches('/');
    assert!(
        hint.contains(&format!(" --server {origin} {uuid}")),
        "{hint}"
    );
}

#[test]
fn what_ran_when_the_job_died_is_told_in_the_chart_and_the_table() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, &job("killed"));
    let mut sent = batch(0, "test_a.py");
    sent["marks"].as_array_mut().unwrap().truncate(1);
    sent["processes"][0]["signal"] = json!(9);
    sent["processes"][0]["endedUs"] = json!(900_000);
    app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
    let row = |page: &str| {
        page.lines()
            .find(|line| line.contains("test_<wbr>0"))
            .unwrap()
            .to_owned()
    };
    let red = "Red is where a test failed, or what ran did not finish.";
    let running = app.get(&format!("/jobs/{uuid}")).text;
    assert!(!running.contains(red) && !row(&running).contains("did not finish"));
    let mut over = end(stream, 1);
    over["exitCode"] = json!(137);
    app.put_new(&format!("{path}/end"), &over);
    app.settled(uuid, "finished");
    let page = app.get(&format!("/jobs/{uuid}")).text;
    let table = page.split("Heaviest tests").nth(1).unwrap();
    assert!(
        page.contains(red) && row(table).contains("<td>did not finish</td>"),
        "{page}"
    );
    let files = page.split("id=\"files\"").nth(1).unwrap();
    let row = files.split("<tbody>").nth(1).unwrap();
    assert!(row.contains("<td class=\"n\">at least "), "{row}");
    let file = app.get("/p/owner~repo/files/test_a.py?name=killed");
    assert!(
        file.text.contains("it retained at least 0.0 MiB")
            && file.text.contains("<td class=\"n\">at least 0.0 MiB"),
        "{}",
        file.text
    );
    let tests = app.get(&format!("{path}/tests")).json();
    assert_eq!(tests["tests"][0]["outcome"], "unknown");
}

#[test]
fn the_list_of_projects_has_pages() {
    let app = App::start();
    for n in 0..51 {
        let mut begin = job("unit");
        begin["project"] = json!(format!("owner/repo-{n}"));
        begin["startedUnixUs"] = json!((1_700_000_000_000_000_i64 + n).to_string());
        app.put_new(&format!("/api/v1/jobs/{}", Uuid::now_v7()), &begin);
    }
    let first = app.get("/").text;
    assert!(first.contains("owner/repo-50<") && !first.contains("owner/repo-0<"));
    let (_, rest) = first.split_once("href=\"?after=").unwrap();
    let (after, _) = rest.split_once('"').unwrap();
    let second = app.get(&format!("/?after={after}")).text;
    assert!(second.contains("owner/repo-0<") && !second.contains("owner/repo-50<"));
    let next = app.get("/api/v1/projects?limit=50").json()["next"].clone();
    assert_eq!(next, after);
}
