//! A job's suite cut into jobs: as programs and as people get it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, batch, end, job};

/// Four files that start at 10 to 13 MB, retain 1 MB each and spike by 5.
pub(crate) fn recorded(app: &App, names: [&str; 4], budget_bytes: Value) -> String {
    let mut begin = job("unit");
    begin["budgetBytes"] = budget_bytes;
    recorded_as(app, names, &begin)
}

fn recorded_as(app: &App, names: [&str; 4], begin: &Value) -> String {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, begin);
    for (n, name) in (0_i64..).zip(names) {
        let sent = batch(n, name);
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
    }
    app.put_new(&format!("{path}/end"), &end(stream, 4));
    app.settled(uuid, "finished");
    path
}

pub(crate) const NAMES: [&str; 4] = ["test_a.py", "test_b.py", "test_c.py", "-k it's.py"];

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
fn a_plan_of_one_shard_says_so_and_how_it_is_run_without_the_others_files() {
    let app = App::start();
    let mut begin = job("unit");
    begin["shard"] = json!({"index": 2, "total": 3});
    let path = recorded_as(&app, NAMES, &begin);
    let query = "plan?budget=17MB";
    let plan = app.get(&format!("{path}/{query}")).json();
    assert_eq!(plan["shard"], json!({"index": 2, "total": 3}), "{plan}");
    let page = path.replace("/api/v1", "");
    let kept = app.ask("POST", &format!("{page}/{query}"), &[], "");
    let kept = kept.header("location").to_owned();
    for at in [format!("{page}/{query}"), kept] {
        let told = app.get(&at).text;
        for part in [
            "The recorded job was shard 2 of 3: files of the other shards are in none of these jobs",
            "<code>pytest @test_selection_1.txt</code>",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        // Run so, a job would take the files of the others too.
        for part in ["--highwater-shard", "--plan ", "without a gap"] {
            assert!(!told.contains(part), "{part}: {told}");
        }
    }
    let gitlab = app.get(&format!("{path}/{query}&format=gitlab")).text;
    let script = "In the script: pytest @DIR/test_selection_${HIGHWATER_SHARD%/*}.txt\n";
    assert!(gitlab.contains(script), "{gitlab}");
    // Of a suite that is in one there are no others.
    begin["shard"] = json!({"index": 1, "total": 1});
    let path = recorded_as(&app, NAMES, &begin);
    let whole = app.get(&format!("{path}/{query}")).json();
    assert_eq!(whole.get("shard"), None, "{whole}");
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
        (
            "budget=17MB&shard=0",
            400,
            "bad_request",
            "shard 0 is not between 1 and 2",
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
        "pytest -n 2 --dist loadfile --highwater-shard 1/1 --highwater-plan=plan.json",
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
