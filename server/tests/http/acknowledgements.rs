//! Who may say that a figure is known, and what becomes of it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{access::Guarded, app::Answer};

const OF_PROJECT: &str = "/api/v1/projects/owner~repo/acknowledgements";

fn ask(guarded: &Guarded, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let headers = if token.is_empty() { &[] } else { &headers[..] };
    guarded.app.ask(method, path, headers, body)
}

fn peak(job: Uuid) -> Value {
    json!({"job": job, "figure": "peak", "reason": "a cache", "days": 30})
}

fn acknowledge(guarded: &Guarded, token: &str, new: &Value) -> Answer {
    ask(guarded, "POST", OF_PROJECT, token, &new.to_string())
}

fn settled() -> Guarded {
    let guarded = Guarded::start();
    guarded.app.wait_settled(guarded.job, &guarded.read);
    guarded.app.wait_settled(guarded.others_job, &guarded.other);
    guarded
}

#[test]
fn who_may_change_how_a_project_is_kept_acknowledges_and_withdraws() {
    let guarded = settled();
    let table = [
        ("", 401, "asks for a token"),
        (&guarded.read, 403, "not for admin of owner/repo"),
        (&guarded.ingest, 404, "there is no project"),
        (&guarded.other, 404, "there is no project"),
    ];
    let made = acknowledge(&guarded, &guarded.all, &peak(guarded.job));
    assert_eq!(made.status, 201, "{}", made.text);
    let known = made.json();
    let one = format!("{OF_PROJECT}/{}", known["id"].as_str().unwrap());
    for (token, status, says) in table {
        for answer in [
            acknowledge(&guarded, token, &peak(guarded.job)),
            ask(&guarded, "DELETE", &one, token, ""),
        ] {
            assert_eq!(answer.status, status, "{}", answer.text);
            assert!(answer.text.contains(says), "{}", answer.text);
        }
    }
    let report = guarded
        .get(&format!("/api/v1/jobs/{}", guarded.job), &guarded.read)
        .json();
    assert_eq!(known["bytes"], report["peak_bytes"]);
    assert_eq!(known["name"], report["name"]);
    assert_eq!(known["variant"], json!({}));
    assert_eq!(
        (&known["counts"], &known["path"]),
        (&json!(true), &json!(null))
    );
    // A token that nobody gave a note is told by its name in the list.
    assert!(
        guarded.all.contains(known["by"].as_str().unwrap()),
        "{known}"
    );
    let listed = guarded.get(OF_PROJECT, &guarded.read).json();
    assert_eq!(listed, json!({"acknowledgements": [known], "next": null}));
    for twice in 0..2 {
        let gone = ask(&guarded, "DELETE", &one, &guarded.all, "");
        assert_eq!(gone.status, 200, "{twice}: {}", gone.text);
        assert_eq!(gone.json()["counts"], false);
        assert!(gone.json()["withdrawn_at"].is_string());
    }
}

#[test]
fn what_is_of_another_project_is_not_there() {
    let guarded = settled();
    let unknown = acknowledge(&guarded, &guarded.all, &peak(Uuid::nil()));
    let hidden = acknowledge(&guarded, &guarded.all, &peak(guarded.others_job));
    let others = guarded.others_job.to_string();
    let nameless = hidden.text.replace(&others, &Uuid::nil().to_string());
    assert_eq!((hidden.status, nameless), (404, unknown.text));
    // An acknowledgement is found through its own project alone.
    let made = acknowledge(&guarded, &guarded.all, &peak(guarded.job)).json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/projects/other~repo/acknowledgements/{id}");
    assert_eq!(
        ask(&guarded, "DELETE", &path, &guarded.other, "").status,
        404
    );
    let own = guarded.get(
        "/api/v1/projects/other~repo/acknowledgements",
        &guarded.other,
    );
    assert_eq!(own.json()["acknowledgements"], json!([]));
    let still = guarded.get(OF_PROJECT, &guarded.read).json();
    assert_eq!(still["acknowledgements"][0]["counts"], true);
}

#[test]
fn a_list_goes_on_at_its_key() {
    let guarded = settled();
    let mut made = Vec::new();
    for new in [
        peak(guarded.job),
        json!({"job": guarded.job, "figure": "retained", "path": "test_a.py", "reason": "a", "until": "2099-01-01"}),
        json!({"job": guarded.job, "figure": "retained", "path": "test_a.py", "reason": "a", "days": 365, "by": " Ada ", "every_variant": true}),
        json!({"job": guarded.job, "figure": "spike", "path": "test_a.py", "reason": "a", "days": 1}),
    ] {
        let answer = acknowledge(&guarded, &guarded.all, &new);
        if new.get("until").is_some() {
            assert_eq!(answer.status, 400, "{}", answer.text);
            assert!(
                answer.text.contains("more than 365 days"),
                "{}",
                answer.text
            );
            continue;
        }
        assert_eq!(answer.status, 201, "{}", answer.text);
        made.insert(0, answer.json());
    }
    assert_eq!(made[1]["by"], "Ada");
    assert_eq!(
        (&made[1]["variant"], &made[0]["variant"]),
        (&json!(null), &json!({}))
    );
    let mut listed = Vec::new();
    let mut path = format!("{OF_PROJECT}?limit=2");
    loop {
        let page = guarded.get(&path, &guarded.read).json();
        listed.extend(page["acknowledgements"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => path = format!("{OF_PROJECT}?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed, made);
}

#[test]
fn what_cannot_be_acknowledged_is_told_with_what_is_wrong() {
    let guarded = settled();
    let with = |name: &str, value: Value| {
        let mut new = peak(guarded.job);
        new[name] = value;
        new
    };
    for (new, status, says) in [
        (json!({}), 400, "missing field"),
        (json!("peak"), 400, "the body is not what is taken here"),
        (with("figure", json!("weight")), 400, "unknown variant"),
        (with("for", json!("ever")), 400, "unknown field `for`"),
        (
            with("figure", json!("retained")),
            400,
            "a figure of a file, and none is named",
        ),
        (
            json!({"job": guarded.job, "figure": "headroom", "path": "test_a.py", "reason": "a", "days": 1}),
            400,
            "headroom is a figure of the job",
        ),
        (with("reason", json!(" ")), 400, "reason is empty"),
        (with("reason", json!("x".repeat(501))), 400, "more than 500"),
        (with("by", json!("a\u{7}b")), 400, "none to read"),
        (with("days", json!(366)), 400, "more than 365 days"),
        (
            with("until", json!("2026-12-31")),
            400,
            "both days and until",
        ),
        (
            json!({"job": guarded.job, "figure": "spike", "path": "gone.py", "reason": "a", "days": 1}),
            404,
            "no test file",
        ),
    ] {
        let answer = acknowledge(&guarded, &guarded.all, &new);
        assert_eq!(answer.status, status, "{new}: {}", answer.text);
        assert!(answer.text.contains(says), "{new}: {}", answer.text);
        assert!(!answer.json()["error"]["hint"].as_str().unwrap().is_empty());
    }
    let large = acknowledge(
        &guarded,
        &guarded.all,
        &with("reason", json!("x".repeat(20_000))),
    );
    assert_eq!(large.status, 400, "{}", large.text);
    let none = guarded.get(OF_PROJECT, &guarded.read).json();
    assert_eq!(none["acknowledgements"], json!([]));
}

#[test]
fn the_forms_of_a_page_are_for_who_may_and_from_this_site_alone() {
    let guarded = settled();
    let path = format!("/jobs/{}/acknowledgements", guarded.job);
    let form = "finding=retained+test_a.py&reason=a+cache&days=30&by=";
    let post = |token: &str, site: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", site),
        ];
        guarded.app.ask("POST", &path, &headers, form)
    };
    for (token, site, status) in [
        (&guarded.all, "cross-site", 403),
        (&guarded.read, "same-origin", 403),
        (&guarded.other, "same-origin", 404),
        (&guarded.all, "same-origin", 303),
    ] {
        let answer = post(token, site);
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let page = format!("/jobs/{}#check", guarded.job);
    assert_eq!(post(&guarded.all, "same-origin").header("location"), page);
    // Who has to sign in first comes back to the page.
    assert_eq!(guarded.get(&path, &guarded.read).header("location"), page);
    let known = guarded.get(OF_PROJECT, &guarded.read).json();
    let known = &known["acknowledgements"][0];
    assert_eq!(
        (&known["figure"], &known["path"]),
        (&json!("retained"), &json!("test_a.py"))
    );
    let withdraw = format!("{path}/{}/withdraw", known["id"].as_str().unwrap());
    // Where somebody comes back to who was asked to sign in first.
    let back = guarded.get(&withdraw, &guarded.all);
    assert_eq!(back.status, 303, "{}", back.text);
    for (token, status) in [
        (&guarded.read, 403),
        (&guarded.other, 404),
        (&guarded.all, 303),
    ] {
        assert_eq!(ask(&guarded, "POST", &withdraw, token, "").status, status);
    }
    let after = guarded.get(OF_PROJECT, &guarded.read).json();
    assert_eq!(after["acknowledgements"][0]["counts"], false);
}
