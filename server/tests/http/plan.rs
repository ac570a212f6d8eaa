//! A job's suite cut into jobs: as programs and as people get it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{App, batch, end, job},
};

/// Four files that start at 10 to 13 MB, retain 1 MB each and spike by 5.
fn recorded(app: &App, names: [&str; 4], budget_bytes: Value) -> String {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    let mut begin = job("unit");
    begin["budgetBytes"] = budget_bytes;
    app.put_new(&path, &begin);
    for (n, name) in (0_i64..).zip(names) {
        let sent = batch(n, name);
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
    }
    app.put_new(&format!("{path}/end"), &end(stream, 4));
    app.settled(uuid, "finished");
    path
}

const NAMES: [&str; 4] = ["test_a.py", "test_b.py", "test_c.py", "-k it's.py"];

#[test]
fn a_plan_is_answered_in_each_form_that_a_ci_takes() {
    let app = App::start();
    let path = recorded(&app, NAMES, json!(0));
    let at = format!("{path}/plan?budget=17000000");
    let plan = app.get(&at).json();
    let jobs = plan["jobs"].as_array().unwrap();
    assert_eq!((jobs.len(), &plan["workers"]), (2, &json!(1)), "{plan}");
    let mut files: Vec<&str> = jobs
        .iter()
        .flat_map(|job| job["files"].as_array().unwrap())
        .map(|file| file.as_str().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["-k it's.py", "test_a.py", "test_b.py", "test_c.py"]);
    for job in jobs {
        assert!(job["peak_bytes"].as_i64().unwrap() <= 17_000_000, "{job}");
    }
    // Asked again, it is the same.
    assert_eq!(app.get(&format!("{at}&format=json")).json(), plan);

    let answer = app.get(&format!("{at}&format=github"));
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    let legs = answer.json()["include"].clone();
    let args = app.get(&format!("{at}&format=args"));
    let lines: Vec<&str> = args.text.lines().collect();
    for (leg, line) in legs.as_array().unwrap().iter().zip(&lines) {
        assert_eq!(
            (&leg["shards"], leg["args"].as_str()),
            (&json!(2), Some(*line))
        );
    }
    assert!(args.text.contains(r"'./-k it'\''s.py'"), "{}", args.text);
    let gitlab = app.get(&format!("{at}&format=gitlab")).text;
    assert!(
        gitlab.contains("HIGHWATER_SHARD:\n        - \"1/2\"\n        - \"2/2\"\n"),
        "{gitlab}"
    );
    let selection = app.get(&format!("{at}&format=selection&shard=2"));
    let disposition = "attachment; filename=\"test_selection_2.txt\"";
    assert_eq!(selection.header("content-disposition"), disposition);
    assert_eq!(
        selection.text.lines().count(),
        jobs[1]["files"].as_array().unwrap().len()
    );

    // Workers are more processes, and what stays together is in one job.
    let wide = app
        .get(&format!(
            "{path}/plan?budget=60MB&workers=2&together=test_a*%0A%0A-k*"
        ))
        .json();
    assert_eq!(
        (&wide["bound"], &wide["together"][1]["globs"]),
        (&json!("at_most"), &json!(["-k*"]))
    );
    assert_ne!(wide["id"], plan["id"]);
}

#[test]
fn what_cannot_be_planned_is_told_with_what_can() {
    let app = App::start();
    let path = recorded(&app, NAMES, json!(0));
    for (query, status, code, says) in [
        ("", 400, "bad_request", "a plan needs a budget"),
        ("budget=", 400, "bad_request", "a plan needs a budget"),
        (
            "budget=much",
            400,
            "bad_request",
            "is not a size such as 3GB",
        ),
        (
            "budget=12MB",
            422,
            "infeasible",
            ".py alone brings it to 14.4 MiB, so that is the least budget (15000000 bytes)",
        ),
        (
            "budget=16MB&together=test_*",
            422,
            "infeasible",
            "with the 2 files that stay together with it",
        ),
        ("budget=17MB&jobs=1", 422, "too_few_jobs", "2 do"),
        (
            "budget=17MB&jobs=none",
            400,
            "bad_request",
            "jobs \"none\" is not a number from 1",
        ),
        (
            "budget=17MB&workers=0",
            400,
            "bad_request",
            "workers \"0\" is not a number from 1 to 1024",
        ),
        (
            "budget=17MB&together=test_x*",
            400,
            "bad_request",
            "no test file of that recording looks like test_x*",
        ),
        (
            "budget=17MB&format=selection&shard=3",
            400,
            "bad_request",
            "shard 3 is not between 1 and 2",
        ),
        (
            "budget=17MB&format=selection",
            400,
            "bad_request",
            "is not between 1 and 2",
        ),
        ("budget=17MB&format=odd", 400, "bad_request", "odd"),
    ] {
        let answer = app.get(&format!("{path}/plan?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], code, "{query}: {error}");
        assert!(
            error["message"].as_str().unwrap().contains(says),
            "{query}: {error}"
        );
    }
    let empty = Uuid::now_v7();
    app.put_new(&format!("/api/v1/jobs/{empty}"), &job("empty"));
    let answer = app.get(&format!("/api/v1/jobs/{empty}/plan?budget=1GB"));
    assert_eq!(
        (answer.status, answer.text.contains("unplannable")),
        (422, true),
        "{}",
        answer.text
    );
}

#[test]
fn the_page_of_a_plan_is_a_form_that_keeps_what_was_said() {
    let app = App::start();
    let names = ["test_a.py", "test_<b>.py", "test_c.py", "test_d.py"];
    let page =
        |path: &str, query: &str| app.get(&format!("{}/plan{query}", path.replace("/api/v1", "")));
    let path = recorded(&app, names, json!(0));
    // Without a limit nothing can be guessed.
    let told = page(&path, "").text;
    assert!(
        told.contains("name=\"budget\" value=\"\"") && !told.contains("<table>"),
        "{told}"
    );
    let told = page(&path, "?budget=17MB&jobs=&workers=&together=").text;
    for part in [
        "value=\"17MB\"",
        "2 jobs of 4 test files inside 16.2 MiB",
        "test_<wbr>&lt;b&gt;.py",
        "plan?budget=17MB&#38;format=github",
        "&#38;format=selection&#38;shard=2",
        "over the budget",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // The commands run it as it was planned.
    let told = page(&path, "?budget=60MB&workers=2").text;
    for part in [
        "pytest -n 2 --dist loadfile --highwater-shard 1/1 --highwater-plan plan.json",
        "pytest -n 2 --dist loadfile --highwater-shard $HIGHWATER_SHARD",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let hostile = page(
        &path,
        "?budget=%3Cscript%3E&together=%3C/textarea%3E%3Cscript%3E",
    )
    .text;
    assert!(
        hostile.contains("role=\"alert\"") && !hostile.contains("<script>"),
        "{hostile}"
    );
    let told = page(&path, "?budget=12MB").text;
    assert!(
        told.contains("so that is the least budget") && told.contains("value=\"12MB\""),
        "{told}"
    );
    // The job's own page leads there, and its limit is what it is planned for.
    let of_job = app.get(&path.replace("/api/v1", "")).text;
    assert!(
        of_job.contains("/plan\">Cut this suite into jobs that fit a budget</a>"),
        "{of_job}"
    );
    let limited = recorded(&app, names, json!(20_000_000));
    let told = page(&limited, "").text;
    assert!(
        told.contains("value=\"17MB\"") && told.contains("2 jobs of 4"),
        "{told}"
    );
    assert_eq!(page("/jobs/none", "").status, 404);
}

#[test]
fn a_plan_is_kept_once_and_answered_by_its_id() {
    let app = App::start();
    let path = recorded(&app, NAMES, json!(0));
    let asked = app.get(&format!("{path}/plan?budget=17MB")).json();
    let id = asked["id"].as_str().unwrap();
    let at = format!("/api/v1/plans/{id}");
    let none = app.get(&at);
    assert_eq!(none.status, 404, "{}", none.text);
    assert!(
        none.text.contains(&format!("there is no plan {id}")),
        "{}",
        none.text
    );
    let keep = |query: &str| app.ask("POST", &format!("{path}/plan?{query}"), &[], "");
    let kept = keep("budget=17MB");
    assert_eq!((kept.status, kept.json()), (201, asked.clone()));
    // Another budget that leads to the same jobs: what was kept first stays.
    for budget in ["17MB", "17000001"] {
        let same = keep(&format!("budget={budget}"));
        assert_eq!((same.status, same.json()), (200, asked.clone()));
    }
    let answer = app.get(&at);
    assert_eq!((answer.status, answer.json()), (200, asked.clone()));
    // Who has it already is not sent it again.
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with(&format!("W/\"{id}")), "{tag}");
    let again = app.ask("GET", &at, &[("If-None-Match", &tag)], "");
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    // In each form, and by its id.
    let gitlab = app.get(&format!("{at}?format=gitlab"));
    assert_ne!(gitlab.header("etag"), tag);
    let command = format!("--highwater-shard $HIGHWATER_SHARD --highwater-plan {id}\n");
    assert!(gitlab.text.contains(&command), "{}", gitlab.text);
    let selection = app.get(&format!("{at}?format=selection&shard=2"));
    let files = asked["jobs"][1]["files"].as_array().unwrap().len();
    assert_eq!(selection.text.lines().count(), files);
    let odd = app.get(&format!("{at}?format=selection&shard=3"));
    assert_eq!(odd.status, 400, "{}", odd.text);
    for (query, status, says) in [
        ("", 400, "a plan needs a budget"),
        ("budget=12MB", 422, "so that is the least budget"),
    ] {
        let refused = keep(query);
        assert_eq!(refused.status, status, "{query}: {}", refused.text);
        assert!(refused.text.contains(says), "{query}: {}", refused.text);
    }
    let nobodys = format!("/api/v1/jobs/{}/plan?budget=17MB", Uuid::now_v7());
    assert_eq!(app.ask("POST", &nobodys, &[], "").status, 404);
    assert_eq!(app.get("/api/v1/plans/none").status, 400);
}

#[test]
fn a_kept_plan_has_a_page_that_the_plan_of_its_job_leads_to() {
    let app = App::start();
    let names = ["test_a.py", "test_<b>.py", "test_c.py", "test_d.py"];
    let path = recorded(&app, names, json!(0));
    let page = format!("{}/plan?budget=60MB&workers=2", path.replace("/api/v1", ""));
    let before = app.get(&page);
    assert!(
        before
            .text
            .contains("<button type=\"submit\">Keep this plan</button>")
            && !before.text.contains("/plans/"),
        "{}",
        before.text
    );
    let kept = app.ask("POST", &page, &[], "");
    assert_eq!(kept.status, 303, "{}", kept.text);
    let at = kept.header("location").to_owned();
    let id = at.strip_prefix("/plans/").unwrap();
    // Though the job did not change, its page did.
    let tag = before.header("etag").to_owned();
    let after = app.ask("GET", &page, &[("If-None-Match", &tag)], "");
    assert_eq!(after.status, 200);
    assert!(
        after
            .text
            .contains(&format!("<a href=\"{at}\">how its shards name it</a>"))
            && !after.text.contains("Keep this plan"),
        "{}",
        after.text
    );
    let told = app.get(&at).text;
    for part in [
        format!("highwater run --plan {id} --shard 1/1 -- pytest -n 2 --dist loadfile</code>"),
        format!("pytest -n 2 --dist loadfile --highwater-shard 1/1 --highwater-plan {id}</code>"),
        format!("\"/api/v1/plans/{id}?format=github\""),
        "test_<wbr>&lt;b&gt;.py".to_owned(),
        "<bdi>unit</bdi></a> (<a href=".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    assert!(!told.contains("Keep this plan"), "{told}");
    for none in [Uuid::now_v7().to_string(), "none".to_owned()] {
        let answer = app.get(&format!("/plans/{none}"));
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert!(answer.text.contains("There is no plan"), "{}", answer.text);
    }
}

#[test]
fn a_kept_plan_is_for_who_may_read_its_project() {
    let guarded = Guarded::start();
    let Guarded {
        app,
        all,
        ingest,
        read,
        other,
        job,
        ..
    } = &guarded;
    app.wait_settled(*job, read);
    let at = format!("/api/v1/jobs/{job}/plan?budget=1GB");
    let ask = |method: &str, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        let headers = if token.is_empty() { &[][..] } else { &headers };
        app.ask(method, path, headers, "")
    };
    for (token, status) in [("", 401), (read, 403), (ingest, 404), (other, 404)] {
        let refused = ask("POST", &at, token);
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    let page = format!("/jobs/{job}/plan?budget=1GB");
    let told = ask("GET", &page, read).text;
    assert!(
        told.contains("takes a token with the scope admin") && !told.contains("Keep this plan"),
        "{told}"
    );
    assert_eq!(ask("POST", &page, read).status, 403);
    let kept = ask("POST", &at, all);
    assert_eq!(kept.status, 201, "{}", kept.text);
    let id = kept.json()["id"].as_str().unwrap().to_owned();
    for place in ["/api/v1/plans", "/plans"] {
        let nothing = format!("{place}/{}", Uuid::now_v7());
        for (token, status) in [(all, 200), (read, 200), (ingest, 404), (other, 404)] {
            let answer = ask("GET", &format!("{place}/{id}"), token);
            assert_eq!(answer.status, status, "{place}: {}", answer.text);
            if status == 404 {
                // Word for word as what is not there.
                let unknown = ask("GET", &nothing, token);
                let there = answer.text.replace(&id, "ID");
                let known = unknown.text.replace(&nothing[place.len() + 1..], "ID");
                assert_eq!(there, known);
            }
        }
    }
    assert_eq!(ask("GET", &format!("/api/v1/plans/{id}"), "").status, 401);
}
