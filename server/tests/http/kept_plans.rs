//! Plans that are kept under their id.

use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    access::Guarded,
    app::{App, command},
    plan::{NAMES, recorded},
    retention::{settings, with_jobs},
};

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
    let command = format!("--highwater-shard $HIGHWATER_SHARD --highwater-plan={id}\n");
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
        format!("pytest -n 2 --dist loadfile --highwater-shard 1/1 --highwater-plan={id}</code>"),
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

#[test]
fn a_kept_plan_outlives_what_retention_removes() {
    let (app, jobs) = with_jobs([("old", 100), ("ancient", 800)]);
    let folder = TempDir::new().unwrap();
    let config = settings(&folder, "[retention]\ndetail = '90d'\nfacts = '730d'\n");
    let kept = ["old", "ancient"].map(|name| {
        let at = format!("/api/v1/jobs/{}/plan?budget=1GB", jobs[name]);
        let kept = app.ask("POST", &at, &[], "");
        assert_eq!(kept.status, 201, "{}", kept.text);
        (at, kept.json())
    });
    let (ok, said, _) = command(&app.database, &["retention", "--config", &config]);
    assert!(ok, "{said}");
    for ((at, plan), (status, words)) in kept.into_iter().zip([
        (410, "<bdi>old</bdi></a> (<a href="),
        (404, "of a job that is gone"),
    ]) {
        assert_eq!(app.ask("POST", &at, &[], "").status, status);
        let id = plan["id"].as_str().unwrap();
        assert_eq!(app.get(&format!("/api/v1/plans/{id}")).json(), plan);
        let page = app.get(&format!("/plans/{id}"));
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
}
