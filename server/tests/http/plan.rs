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
fn a_budget_that_nobody_names_is_taken_of_the_limit_and_it_is_said() {
    let app = App::start();
    // Each file alone takes 15 MB.
    for (limit, budget, of) in [
        (20_000_000, 17_000_000, "85 % of the budget, 19.1 MiB"),
        (
            16_000_000,
            15_000_000,
            "94 % of the budget, 15.3 MiB, which the file that needs most takes",
        ),
    ] {
        let path = recorded(&app, NAMES, json!(limit));
        let plan = app.get(&format!("{path}/plan")).json();
        assert_eq!(
            (&plan["budget_bytes"], &plan["limit"]),
            (
                &json!(budget),
                &json!({"kind": "budget", "limit_bytes": limit, "left_bytes": limit})
            ),
            "{plan}"
        );
        let named = app.get(&format!("{path}/plan?budget={budget}")).json();
        assert_eq!((&named["id"], named.get("limit")), (&plan["id"], None));
        let page = app
            .get(&format!("{}/plan", path.replace("/api/v1", "")))
            .text;
        assert!(page.contains(&format!(" ({of}); each begins")), "{page}");
    }
    let path = recorded(&app, NAMES, json!(14_000_000));
    let answer = app.get(&format!("{path}/plan"));
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["code"]), (422, &json!("infeasible")));
    for says in [
        "no plan fits into the budget, 13.4 MiB: a job stands at ",
        "; it needs a runner that has 16.9 MiB for it, or that file less memory",
    ] {
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
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

/// A job of a branch, or of a pull request from it.
fn begin_of(branch: &str, pull_request: &str) -> Value {
    let mut begin = job("unit");
    let id = Uuid::now_v7().to_string();
    begin["run"] =
        json!({"provider": "local", "id": id, "branch": branch, "pullRequest": pull_request});
    begin
}

/// Its batches but for the last, which is sent without the end of its test: it was cut short there.
fn cut_short(app: &App, begin: &Value) -> String {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, begin);
    for (n, name) in (0_i64..).zip(["test_a.py", "test_b.py"]) {
        let mut sent = batch(n, name);
        if n == 1 {
            sent["marks"].as_array_mut().unwrap().pop();
        }
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
    }
    let mut end = end(stream, 2);
    end["exitCode"] = Value::Null;
    end["signal"] = json!(9);
    app.put_new(&format!("{path}/end"), &end);
    app.settled(uuid, "finished");
    path
}

/// A job that ran two files, of which the second needed so much for a while, bytes.
fn needed(app: &App, begin: &Value, spike_bytes: i64) -> Uuid {
    needed_as(app, begin, spike_bytes, |_, _| {})
}

fn needed_as(
    app: &App,
    begin: &Value,
    spike_bytes: i64,
    sent_as: impl Fn(i64, &mut Value),
) -> Uuid {
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}");
    app.put_new(&path, begin);
    for (n, name) in (0_i64..).zip(["test_a.py", "test_b.py"]) {
        let mut sent = batch(n, name);
        if n == 1 {
            sent["marks"][1]["peakBytes"] = json!(11_000_000 + spike_bytes);
        }
        sent_as(n, &mut sent);
        app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
    }
    app.put_new(&format!("{path}/end"), &end(stream, 2));
    app.settled(uuid, "finished");
    uuid
}

/// What the file of a batch left, taken apart.
fn diagnosed(n: i64, sent: &mut Value) {
    let at = |us: i64| n * 1_000_000 + us;
    let rss = 11_000_000 + n * 1_000_000;
    let found = json!({"trimmedBytes": rss, "collectedBytes": rss, "trim": true});
    let marks = sent["marks"].as_array_mut().unwrap();
    marks
        .push(json!({"tUs": at(600_000), "rssBytes": rss, "peakBytes": rss, "diagnosisBegin": {}}));
    marks.push(
        json!({"tUs": at(700_000), "rssBytes": rss, "peakBytes": rss, "diagnosisEnd": found}),
    );
}

#[test]
fn a_file_that_was_cut_short_is_planned_by_its_own_branch_then_by_the_baseline_and_else_it_is_said()
{
    let app = App::start();
    let path = cut_short(&app, &begin_of("fix", "7"));
    let at = format!("{path}/plan?budget=1GB");
    let uuid = path.rsplit('/').next().unwrap();
    let note = "test_b.py ran to the end in no other job of its own branch or of the baseline";
    let page = |path: &str| {
        app.get(&format!("{}/plan?budget=1GB", path.replace("/api/v1", "")))
            .text
    };
    let told = || {
        let plan = app.get(&at).json();
        let history = format!("/api/v1/projects/owner~repo/files/test_b.py?near={uuid}");
        let history = app.get(&history).json();
        let newest = history["history"][0].clone();
        let spike = newest["spike_bytes"].as_i64().unwrap();
        assert_eq!(
            newest["censored"],
            json!(plan["recalled"] == json!([])),
            "{history}"
        );
        // The base is 10 MB, and the file that needs most comes first.
        (
            plan["jobs"][0]["peak_bytes"].as_i64().unwrap() / 1_000_000,
            spike / 1_000_000,
            plan["elsewhere"].clone(),
        )
    };
    assert_eq!(app.get(&at).json()["cut_short"], json!(["test_b.py"]));
    // Of a fork, whose main is not this project's.
    needed(&app, &begin_of("main", "8"), 700_000_000);
    assert_eq!(told(), (710, 700, json!(["test_b.py"])));
    assert!(page(&path).contains(note), "{}", page(&path));
    needed(&app, &begin_of("main", ""), 300_000_000);
    needed(&app, &begin_of("main", "8"), 700_000_000);
    assert_eq!(told(), (310, 300, Value::Null));
    assert!(!page(&path).contains(note));
    needed(&app, &begin_of("fix", ""), 200_000_000);
    assert_eq!(told(), (210, 200, Value::Null));
    needed(&app, &begin_of("fix", "7"), 100_000_000);
    needed(&app, &begin_of("main", ""), 300_000_000);
    assert_eq!(told(), (110, 100, Value::Null));
    // What many jobs of others ran since hides it not.
    for _ in 0..21 {
        needed(&app, &begin_of("main", "8"), 700_000_000);
    }
    assert_eq!(told(), (110, 100, Value::Null));
    let stranger = Uuid::now_v7();
    let answer = app.get(&format!(
        "/api/v1/projects/owner~repo/files/test_b.py?near={stranger}"
    ));
    assert_eq!(answer.status, 404, "{}", answer.text);
    for (beside, status) in [
        ("name=unit", 200),
        ("name=other", 404),
        ("after=1_1_1", 200),
    ] {
        let at = format!("/api/v1/projects/owner~repo/files/test_b.py?near={uuid}&{beside}");
        let answer = app.get(&at);
        assert_eq!(answer.status, status, "{beside}: {}", answer.text);
        if beside.starts_with("after") {
            assert_eq!(answer.json()["history"], json!([]), "there is one page");
        }
    }
}

#[test]
fn a_plan_takes_what_another_matrix_leg_needed_only_where_its_own_tells_nothing() {
    let app = App::start();
    let of_leg = |python: &str| {
        let mut begin = begin_of("main", "");
        begin["variant"] = json!({ "python": python });
        begin
    };
    let path = cut_short(&app, &of_leg("3.11"));
    let spike = || {
        let plan = app.get(&format!("{path}/plan?budget=1GB")).json();
        plan["jobs"][0]["peak_bytes"].as_i64().unwrap() / 1_000_000 - 10
    };
    needed(&app, &of_leg("3.8"), 500_000_000);
    assert_eq!(spike(), 500);
    needed(&app, &of_leg("3.11"), 100_000_000);
    needed(&app, &of_leg("3.8"), 500_000_000);
    assert_eq!(spike(), 100);
}

#[test]
fn a_plan_of_a_forks_pull_request_takes_nothing_from_a_branch_that_is_called_as_the_forks() {
    let app = App::start();
    needed(&app, &begin_of("main", ""), 300_000_000);
    needed(&app, &begin_of("fix", ""), 200_000_000);
    for (is_fork, mb) in [(false, 210), (true, 310)] {
        let mut begin = begin_of("fix", "7");
        begin["run"]["fork"] = json!(is_fork);
        let path = cut_short(&app, &begin);
        let plan = app.get(&format!("{path}/plan?budget=1GB")).json();
        let peak = plan["jobs"][0]["peak_bytes"].as_i64().unwrap();
        assert_eq!(peak / 1_000_000, mb, "{plan}");
    }
}

#[test]
fn a_diagnosed_job_tells_plans_of_others_only_where_no_other_does_and_is_named_beside_others() {
    let app = App::start();
    let path = cut_short(&app, &begin_of("fix", ""));
    let main = begin_of("main", "");
    let spike = || {
        let plan = app.get(&format!("{path}/plan?budget=1GB")).json();
        plan["jobs"][0]["peak_bytes"].as_i64().unwrap() / 1_000_000 - 10
    };
    let own = needed_as(&app, &begin_of("fix", ""), 500_000_000, diagnosed);
    assert_eq!(spike(), 500);
    let plain = needed(&app, &main, 100_000_000);
    needed_as(&app, &main, 500_000_000, diagnosed);
    assert_eq!(spike(), 100);
    let uuid = path.rsplit('/').next().unwrap();
    let history = format!("/api/v1/projects/owner~repo/files/test_b.py?near={uuid}");
    let history = app.get(&history).json();
    assert_eq!(history["history"][0]["diagnosed"], json!(false));
    let history = app.get("/api/v1/projects/owner~repo/files/test_b.py");
    let newest = &history.json()["history"][0];
    assert_eq!(newest["diagnosed"], json!(true));

    let note = "the recorded job was diagnosed";
    for (job, is_diagnosed) in [(own, true), (plain, false)] {
        let plan = app
            .get(&format!("/api/v1/jobs/{job}/plan?budget=1GB"))
            .json();
        assert_eq!(
            plan.get("is_diagnosed"),
            is_diagnosed.then_some(&json!(true))
        );
        let page = app.get(&format!("/jobs/{job}/plan?budget=1GB")).text;
        assert_eq!(page.contains(&note.replacen("the", "The", 1)), is_diagnosed);
    }
    let beside = format!("compare?before={plain}&after={own}");
    let said = "Diagnosis differs: not diagnosed → diagnosed.";
    let compared = app.get(&format!("/api/v1/{beside}"));
    assert!(compared.text.contains(said), "{}", compared.text);
    let page = app.get(&format!("/{beside}")).text;
    assert!(page.contains(said), "{page}");
}

#[test]
fn a_forecast_knows_the_last_good_job_of_its_branch_or_the_baseline_and_else_says_whose_it_is() {
    let app = App::start();
    let forecast = |branch: &str, pull_request: &str| {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        let mut begin = begin_of(branch, pull_request);
        begin["startedUnixUs"] = json!("1700000009000000");
        app.put_new(&path, &begin);
        let sent = batch(0, "test_a.py");
        app.put_new(&format!("{path}/streams/{stream}/batches/0"), &sent);
        app.get(&path).json()["forecast"].clone()
    };
    let good_as = |branch: &str, pull_request: &str, names: [&str; 4], is_diagnosed: bool| {
        let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
        let path = format!("/api/v1/jobs/{uuid}");
        app.put_new(&path, &begin_of(branch, pull_request));
        for (n, name) in (0_i64..).zip(names) {
            let mut sent = batch(n, name);
            if is_diagnosed {
                diagnosed(n, &mut sent);
            }
            if n == 3 {
                let ended = json!({"tUs": 3_900_000, "rssBytes": 14_000_000, "sessionEnd": {"exitStatus": 0}});
                sent["marks"].as_array_mut().unwrap().push(ended);
            }
            app.put_new(&format!("{path}/streams/{stream}/batches/{n}"), &sent);
        }
        app.put_new(&format!("{path}/end"), &end(stream, 4));
        app.settled(uuid, "finished");
    };
    let good = |branch: &str, pull_request: &str, names: [&str; 4]| {
        good_as(branch, pull_request, names, false);
    };
    assert_eq!(forecast("main", ""), Value::Null);
    let many = ["test_a.py", "test_b.py", "test_c.py", "test_d.py"];
    good("fix", "7", many);
    let told = forecast("main", "");
    assert_eq!(
        (&told["files"], &told["elsewhere"]),
        (&json!(4), &json!("pull request 7"))
    );
    let says = "as in the last good job of this name (of pull request 7, as none of its own branch or of the baseline's is known)";
    assert!(told["sentence"].as_str().unwrap().contains(says), "{told}");
    good(
        "main",
        "",
        ["test_a.py", "test_b.py", "test_b.py", "test_b.py"],
    );
    good("fix", "7", many);
    // Its files began lower.
    good_as("main", "", many, true);
    for (branch, pull_request, files) in [("main", "", 2), ("other", "", 2), ("fix", "7", 4)] {
        let told = forecast(branch, pull_request);
        assert_eq!(
            (&told["files"], told.get("elsewhere")),
            (&json!(files), None),
            "{told}"
        );
        let says = "as in the last good job of this name, memory comes to";
        assert!(told["sentence"].as_str().unwrap().contains(says), "{told}");
    }
}
