//! Who may do what, once a server has tokens.

use std::time::Duration;

use highwater_server::config::Config;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, App, batch, command, end, job};

/// How a form is sent.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn token(database: &str, args: &[&str]) -> String {
    let (ok, token, notes) = command(database, &[&["token", "create"], args].concat());
    assert!(ok && notes.contains("not shown again"), "{notes}");
    token.trim().to_owned()
}

/// A server with two projects, a job in each, and tokens.
pub(crate) struct Guarded {
    pub(crate) app: App,
    pub(crate) all: String,
    pub(crate) ingest: String,
    pub(crate) read: String,
    pub(crate) other: String,
    pub(crate) job: Uuid,
    pub(crate) others_job: Uuid,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        Self::with(App::config(Duration::from_secs(600)))
    }

    fn with(config: Config) -> Self {
        let mut tokens = Vec::new();
        let app = App::with(config, |database| {
            for args in [
                &["--all-projects", "--scope", "admin"][..],
                &["--project", "owner/repo", "--scope", "ingest"],
                &["--project", "owner/repo", "--scope", "read"],
                &["--project", "other/repo", "--scope", "admin"],
            ] {
                tokens.push(token(database, args));
            }
        });
        let [all, ingest, read, other] = tokens.try_into().unwrap();
        let mut guarded = Self {
            app,
            all,
            ingest,
            read,
            other,
            job: Uuid::now_v7(),
            others_job: Uuid::now_v7(),
        };
        let (job, others_job) = (guarded.job, guarded.others_job);
        guarded.record(job, "owner/repo", &guarded.ingest.clone());
        guarded.record(others_job, "other/repo", &guarded.other.clone());
        guarded.job = job;
        guarded
    }

    fn record(&self, uuid: Uuid, project: &str, token: &str) {
        let stream = Uuid::new_v4();
        let path = format!("/api/v1/jobs/{uuid}");
        let mut begin = job("unit");
        begin["project"] = json!(project);
        assert_eq!(self.put(&path, token, &begin).status, 201);
        let path_of_batch = format!("{path}/streams/{stream}/batches/0");
        assert_eq!(
            self.put(&path_of_batch, token, &batch(0, "test_a.py"))
                .status,
            201
        );
        assert_eq!(
            self.put(&format!("{path}/end"), token, &end(stream, 1))
                .status,
            201
        );
    }

    pub(crate) fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Content-Type", "application/json"),
            ("Authorization", &bearer),
        ];
        let headers = if token.is_empty() {
            &headers[..1]
        } else {
            &headers
        };
        self.app.ask("PUT", path, headers, &body.to_string())
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        if token.is_empty() {
            return self.app.get(path);
        }
        let bearer = format!("bearer {token}");
        self.app.ask("GET", path, &[("Authorization", &bearer)], "")
    }

    /// Signs a browser in that brings this cookie; the cookie it has afterwards.
    fn sign_in(&self, token: &str, cookie: &str) -> String {
        let headers = [FORM, ("Cookie", cookie)];
        let form = format!("token={token}&to=/jobs/{}", self.job);
        let answer = self.app.ask("POST", "/sign-in", &headers, &form);
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert_eq!(answer.header("location"), format!("/jobs/{}", self.job));
        let set = answer.header("set-cookie");
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Lax"),
            "{set}"
        );
        set.split(';').next().unwrap().to_owned()
    }
}

/// Everything that shows something of a job or its project.
fn paths(job: Uuid, project: &str) -> Vec<String> {
    let of_job = [
        "",
        "/processes",
        "/files",
        "/tests",
        "/fixtures",
        "/series",
        "/export?format=csv",
        "/plan?budget=1GB",
        "/check",
        "/report?format=json",
    ];
    let mut paths: Vec<String> = of_job
        .map(|part| format!("/api/v1/jobs/{job}{part}"))
        .into();
    let of_project = [
        "/runs",
        "/jobs",
        "/files/test_a.py",
        "/acknowledgements",
        "/changes",
        "/changes/test_a.py",
    ];
    paths.extend(of_project.map(|part| format!("/api/v1/projects/{project}{part}")));
    paths.extend(["", "/plan"].map(|part| format!("/jobs/{job}{part}")));
    paths.extend(["", "/runs/1", "/files/test_a.py"].map(|part| format!("/p/{project}{part}")));
    paths
}

#[test]
fn what_belongs_to_another_project_is_not_there() {
    let guarded = Guarded::start();
    guarded.app.wait_settled(guarded.job, &guarded.read);
    guarded.app.wait_settled(guarded.others_job, &guarded.other);
    for path in paths(guarded.job, "owner~repo") {
        assert_eq!(guarded.get(&path, &guarded.read).status, 200, "{path}");
        assert_eq!(guarded.get(&path, &guarded.all).status, 200, "{path}");
        // A token that only records sees nothing either.
        for token in [&guarded.other, &guarded.ingest] {
            let answer = guarded.get(&path, token);
            assert_eq!(answer.status, 404, "{path}");
            assert!(!answer.text.contains("unit"), "{path}: {}", answer.text);
        }
    }
    // And just like what was never there.
    let unknown = guarded.get(&format!("/api/v1/jobs/{}", Uuid::nil()), &guarded.other);
    let hidden = guarded.get(&format!("/api/v1/jobs/{}", guarded.job), &guarded.other);
    let nameless = hidden
        .text
        .replace(&guarded.job.to_string(), &Uuid::nil().to_string());
    assert_eq!((hidden.status, nameless), (unknown.status, unknown.text));
    let listed = guarded.get("/api/v1/projects", &guarded.read).json();
    let slugs: Vec<&str> = listed["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["project"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, ["owner/repo"]);
    let home = guarded.get("/", &guarded.read).text;
    assert!(
        home.contains("owner/repo") && !home.contains("other/repo"),
        "{home}"
    );
}

#[test]
fn who_brings_nothing_is_asked_for_a_token_whether_it_is_there_or_not() {
    let guarded = Guarded::start();
    for path in paths(guarded.job, "owner~repo")
        .into_iter()
        .chain(paths(Uuid::nil(), "no~such"))
    {
        let answer = guarded.get(&path, "");
        if path.starts_with("/api") {
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer realm=\"highwater\""
            );
            assert!(answer.text.contains("HIGHWATER_TOKEN"), "{}", answer.text);
        } else {
            assert_eq!(answer.status, 303, "{path}");
            let to = path.replace('/', "%2F").replace('~', "%7E");
            assert_eq!(answer.header("location"), format!("/sign-in?to={to}"));
        }
    }
    assert_eq!(guarded.get("/", "").header("location"), "/sign-in?to=%2F");
    assert_eq!(guarded.get("/metrics", "").status, 401);
    assert_eq!(guarded.get("/metrics", &guarded.read).status, 403);
    assert_eq!(guarded.get("/metrics", &guarded.all).status, 200);
    for open in [
        "/healthz",
        "/readyz",
        "/api/v1/openapi.json",
        "/api",
        "/static/highwater.css",
        "/sign-in",
    ] {
        assert_eq!(guarded.get(open, "").status, 200, "{open}");
    }
}

#[test]
fn what_cannot_be_asked_is_told_only_to_who_may_see_the_job() {
    let guarded = Guarded::start();
    for part in [
        "/series?points=0",
        "/series?from=9&to=1",
        "/export?format=json&what=tests",
        "/plan",
        "/plan?budget=much",
    ] {
        let path = format!("/api/v1/jobs/{}{part}", guarded.job);
        assert_eq!(guarded.get(&path, "").status, 401, "{path}");
        assert_eq!(guarded.get(&path, &guarded.other).status, 404, "{path}");
        assert_eq!(guarded.get(&path, &guarded.read).status, 400, "{path}");
    }
}

#[test]
fn a_token_writes_to_its_own_project_only() {
    let guarded = Guarded::start();
    let fresh = format!("/api/v1/jobs/{}", Uuid::now_v7());
    for (token, status, says) in [
        ("", 401, "with a token only"),
        (&guarded.read, 403, "read of owner/repo"),
        (&guarded.other, 403, "admin of other/repo"),
        (&guarded.all, 201, ""),
    ] {
        let answer = guarded.put(&fresh, token, &job("unit"));
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains(says), "{}", answer.text);
    }
    // A job of another project cannot be told from one that is not there.
    let stream = Uuid::new_v4();
    for uuid in [guarded.job, Uuid::nil()] {
        let path = format!("/api/v1/jobs/{uuid}");
        let batched = guarded.put(
            &format!("{path}/streams/{stream}/batches/0"),
            &guarded.other,
            &batch(0, "test_a.py"),
        );
        let ended = guarded.put(&format!("{path}/end"), &guarded.other, &end(stream, 1));
        assert_eq!((batched.status, ended.status), (404, 404));
    }
    let mut theirs = job("unit");
    theirs["project"] = json!("other/repo");
    let path = format!("/api/v1/jobs/{}", guarded.job);
    assert_eq!(guarded.put(&path, &guarded.other, &theirs).status, 404);
}

#[test]
fn a_token_that_no_longer_counts_is_refused_at_once_also_in_browsers() {
    let guarded = Guarded::start();
    let path = format!("/api/v1/jobs/{}", guarded.job);
    let cookie = guarded.sign_in(&guarded.read, "");
    assert_eq!(
        guarded
            .app
            .ask("GET", &path, &[("Cookie", &cookie)], "")
            .status,
        200
    );
    let (ok, _, notes) = command(&guarded.app.database, &["token", "revoke", &guarded.read]);
    assert!(ok && notes.contains("no longer counts"), "{notes}");
    let refused = guarded.get(&path, &guarded.read);
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("was revoked"), "{}", refused.text);
    assert_eq!(
        guarded
            .app
            .ask("GET", &path, &[("Cookie", &cookie)], "")
            .status,
        401
    );
    // The list says so, and names no secret.
    let (_, listed, _) = command(&guarded.app.database, &["token", "list"]);
    let lines: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains("revoked"))
        .collect();
    assert_eq!(lines.len(), 1, "{listed}");
    assert!(
        lines[0].contains("read") && !lines[0].contains("never"),
        "{listed}"
    );
    for token in [&guarded.all, &guarded.ingest, &guarded.read, &guarded.other] {
        assert!(!listed.contains(token.rsplit('_').next().unwrap()));
    }
    let (ok, _, error) = command(&guarded.app.database, &["token", "revoke", "nothing"]);
    assert!(!ok && error.contains("token list"), "{error}");
}

#[test]
fn a_wrong_token_is_refused_and_soon_no_longer_looked_at() {
    let guarded = Guarded::start();
    let path = format!("/api/v1/jobs/{}", guarded.job);
    let mut wrong = guarded.read.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let mut refusals = 0;
    let answer = loop {
        let answer = guarded.get(&path, &wrong);
        if answer.status != 401 {
            break answer;
        }
        assert!(answer.text.contains("not known"), "{}", answer.text);
        refusals += 1;
        assert!(refusals < 100);
    };
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(refusals >= 10);
    // A page says it as well as the API.
    let page = guarded.get("/", &wrong);
    assert!(page.text.starts_with("<!doctype html>"), "{}", page.text);
    assert_eq!(page.status, 429);
    assert!(page.header("retry-after").parse::<u64>().unwrap() > 0);
    let form = guarded
        .app
        .ask("POST", "/sign-in", &[FORM], &format!("token={wrong}"));
    assert_eq!(form.status, 429, "{}", form.text);
    assert!(form.text.contains("Too many wrong tokens"));
    assert!(form.header("retry-after").parse::<u64>().unwrap() > 0);
    // One that is right comes from the same address, and is not held up.
    assert_eq!(guarded.get(&path, &guarded.read).status, 200);
}

#[test]
fn a_browser_may_hold_several_tokens_and_lets_go_of_all() {
    let guarded = Guarded::start();
    let cookie = guarded.sign_in(&guarded.read, "highwater=made-up-by-the-browser");
    assert!(!cookie.contains("made-up"), "{cookie}");
    // Under another cookie: whoever knew the first, as one that was planted, sees no more by that.
    let first = cookie;
    let cookie = guarded.sign_in(&guarded.other, &first);
    assert_ne!(cookie, first);
    let home = guarded.app.ask("GET", "/", &[("Cookie", &first)], "");
    assert_eq!(
        home.status, 303,
        "the first cookie stands for nothing any more"
    );
    let home = guarded.app.ask("GET", "/", &[("Cookie", &cookie)], "").text;
    assert!(
        home.contains("owner/repo") && home.contains("other/repo"),
        "{home}"
    );
    let page = guarded
        .app
        .ask("GET", "/sign-in", &[("Cookie", &cookie)], "")
        .text;
    assert!(
        page.contains("read of owner/repo") && page.contains("admin of other/repo"),
        "{page}"
    );
    let out = guarded
        .app
        .ask("POST", "/sign-out", &[("Cookie", &cookie)], "");
    assert_eq!(out.status, 303);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let home = guarded.app.ask("GET", "/", &[("Cookie", &cookie)], "");
    assert_eq!(
        home.status, 303,
        "the cookie must no longer stand for anything"
    );
}

#[test]
fn signing_in_says_what_is_wrong_and_leads_nowhere_else() {
    let guarded = Guarded::start();
    let refused = guarded
        .app
        .ask("POST", "/sign-in", &[FORM], "token=hw_nothing&to=/");
    assert_eq!(refused.status, 403);
    assert!(
        refused.text.contains("no token of this server"),
        "{}",
        refused.text
    );
    let body = format!("token={}", guarded.ingest);
    let refused = guarded.app.ask("POST", "/sign-in", &[FORM], &body);
    assert!(
        refused.text.contains("for recording only"),
        "{}",
        refused.text
    );
    let body = format!("token={}&to=//evil.example/", guarded.read);
    let answer = guarded.app.ask("POST", "/sign-in", &[FORM], &body);
    assert_eq!(answer.header("location"), "/");
    // Another site cannot make a browser sign in, out or record.
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
    ] {
        let answer = guarded
            .app
            .ask("POST", "/sign-in", &[FORM, (name, value)], &body);
        assert_eq!(answer.status, 403);
        assert!(answer.text.contains("cross_origin"), "{}", answer.text);
    }
    let own = guarded.app.url.clone();
    let answer = guarded
        .app
        .ask("POST", "/sign-in", &[FORM, ("Origin", &own)], &body);
    assert_eq!(answer.status, 303);
}

/// A server that browsers reach over TLS, and its answer to one that signs in.
fn signed_in_over_tls() -> (Guarded, Answer) {
    let config = Config {
        public_url: Some("https://highwater.example".to_owned()),
        ..App::config(Duration::from_secs(600))
    };
    let guarded = Guarded::with(config);
    let body = format!("token={}", guarded.read);
    let answer = guarded.app.ask("POST", "/sign-in", &[FORM], &body);
    (guarded, answer)
}

#[test]
fn behind_tls_the_cookie_goes_over_tls_only() {
    let (guarded, answer) = signed_in_over_tls();
    let refused = guarded.app.ask(
        "POST",
        "/sign-in",
        &[
            FORM,
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "http://10.0.0.5"),
        ],
        &format!("token={}", guarded.read),
    );
    assert!(
        refused.text.contains("--public-url http://10.0.0.5"),
        "{}",
        refused.text
    );
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-highwater=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert!(
        answer
            .header("strict-transport-security")
            .contains("max-age")
    );
    // A name that is not of this machine is answered: it is not by its name that one is let in.
    assert_eq!(
        guarded.app.get_as("/healthz", "highwater.example").status,
        200
    );
}

#[test]
fn a_cookie_of_another_name_is_none() {
    let (guarded, answer) = signed_in_over_tls();
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/jobs/{}", guarded.job);
    assert_eq!(
        guarded
            .app
            .ask("GET", &path, &[("Cookie", &cookie)], "")
            .status,
        200
    );
    // A neighbour under the same domain can plant this one.
    let planted = cookie.replace("__Host-", "");
    assert_eq!(
        guarded
            .app
            .ask("GET", &path, &[("Cookie", &planted)], "")
            .status,
        401
    );
}

#[test]
fn a_server_that_a_proxy_opens_to_others_asks_for_tokens() {
    for config in [
        Config {
            behind_proxy: true,
            ..App::config(Duration::from_secs(600))
        },
        Config {
            public_url: Some("https://highwater.example".to_owned()),
            ..App::config(Duration::from_secs(600))
        },
    ] {
        let app = App::with(config, |_| {});
        assert_eq!(app.get("/api/v1/projects").status, 401);
        let path = format!("/api/v1/jobs/{}", Uuid::now_v7());
        assert_eq!(app.put(&path, &job("unit")).status, 401);
    }
    let here = Config {
        public_url: Some("http://localhost:8080".to_owned()),
        ..App::config(Duration::from_secs(600))
    };
    assert_eq!(App::with(here, |_| {}).get("/api/v1/projects").status, 200);
}

#[test]
fn a_published_project_is_for_everybody_to_read_and_for_nobody_to_write() {
    let guarded = Guarded::start();
    guarded.app.wait_settled(guarded.job, &guarded.read);
    let (ok, said, _) = command(&guarded.app.database, &["project", "publish", "owner/repo"]);
    assert!(ok && said.contains("everybody"), "{said}");
    for path in paths(guarded.job, "owner~repo") {
        assert_eq!(guarded.get(&path, "").status, 200, "{path}");
        assert_eq!(guarded.get(&path, &guarded.other).status, 200, "{path}");
    }
    let home = guarded.get("/", "").text;
    assert!(
        home.contains("owner/repo") && !home.contains("other/repo"),
        "{home}"
    );
    let path = format!("/api/v1/jobs/{}", guarded.job);
    assert_eq!(guarded.put(&path, "", &job("unit")).status, 401);
    let (ok, _, _) = command(
        &guarded.app.database,
        &["project", "unpublish", "owner/repo"],
    );
    assert!(ok);
    assert_eq!(guarded.get(&path, "").status, 401);
}

#[test]
fn the_first_token_closes_a_server_that_was_open() {
    let app = App::start();
    assert_eq!(app.get("/api/v1/projects").status, 200);
    let token = token(&app.database, &["--all-projects", "--scope", "read"]);
    assert_eq!(app.get("/api/v1/projects").status, 401);
    let (ok, _, _) = command(&app.database, &["token", "revoke", &token]);
    assert!(ok);
    assert_eq!(
        app.get("/api/v1/projects").status,
        401,
        "it never opens again"
    );
}
