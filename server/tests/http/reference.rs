//! The API's document as a page.

use std::process::Command;

use highwater_server::{config::Config, openapi};
use serde_json::Value;

use crate::app::{App, PATIENCE, command};

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().unwrap().iter()
}

#[test]
fn the_page_tells_every_route_refusal_schema_and_field() {
    let app = App::start();
    let answer = app.get("/api");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-security-policy"),
        app.get("/").header("content-security-policy")
    );
    assert!(!answer.text.contains("<script") && !answer.text.contains(" style="));
    let mut count = 0;
    for (path, item) in members(&openapi()["paths"]) {
        for (method, operation) in members(item) {
            let id = operation["operationId"].as_str().unwrap();
            let (_, section) = answer
                .text
                .split_once(&format!("<h3 id=\"{id}\">"))
                .unwrap();
            let (section, _) = section.split_once("</section>").unwrap();
            assert!(section.contains(&format!("<code>{path}</code>")), "{path}");
            assert!(
                section.contains(&format!(">{}<", method.to_uppercase())),
                "{path}"
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                assert!(
                    section.contains(&format!("<code>{name}</code>")),
                    "{path}: {name}"
                );
            }
            for (status, told) in members(&operation["responses"]) {
                assert!(
                    section.contains(&format!("<th scope=\"row\">{status}</th>")),
                    "{path}: {status}"
                );
                let Some(examples) = told["content"]["application/json"]["examples"].as_object()
                else {
                    continue;
                };
                for code in examples.keys() {
                    assert!(
                        section.contains(&format!("#code-{code}\"")),
                        "{path}: {code}"
                    );
                    assert!(
                        answer.text.contains(&format!("id=\"code-{code}\"")),
                        "{code}"
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100, "{count} refusals are told");
    for (name, schema) in members(&openapi()["components"]["schemas"]) {
        let (_, section) = answer
            .text
            .split_once(&format!("<h3 id=\"{name}\">"))
            .unwrap();
        let (section, _) = section.split_once("</section>").unwrap();
        for field in schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys)
        {
            assert!(
                section.contains(&format!("<code>{field}</code>")),
                "{name}: {field}"
            );
        }
    }
}

/// Commands of the page, as a reader copies them.
fn commands(page: &str) -> Vec<String> {
    let found = page.split("<pre class=\"curl\"><code>").skip(1);
    let command = |rest: &str| {
        let (command, _) = rest.split_once("</code></pre>").unwrap();
        let plain = command.replace("&#39;", "'").replace("&#34;", "\"");
        plain
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
            .replace("&#38;", "&")
    };
    found.map(command).collect()
}

/// The command with the identity of the newest acknowledgement, which the server made up, where it needs one.
fn with_identity(command: String, token: &str) -> String {
    const WHERE: &str = "/acknowledgements/{id}";
    if !command.contains(WHERE) {
        return command;
    }
    let list = command.split('\'').nth(1).unwrap().replace("/{id}", "");
    let bearer = format!("Authorization: Bearer {token}");
    let mut curl = Command::new("curl");
    let found = curl.args(["-sS", "-H", &bearer, &list]).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let id = found["acknowledgements"][0]["id"].as_str().unwrap();
    command.replace("{id}", id)
}

/// Runs each; whatever is not answered by 2xx fails.
fn run_all(page: &str, token: &str) {
    let commands = commands(page);
    let routes = members(&openapi()["paths"]).map(|(_, item)| members(item).count());
    assert_eq!(commands.len(), routes.sum::<usize>());
    for command in commands {
        let command = with_identity(command, token);
        let strict = format!(
            "curl() {{ command curl -sS --fail-with-body --max-time {} \"$@\"; }}\n{command}",
            PATIENCE.as_secs()
        );
        let done = Command::new("sh")
            .args(["-c", &strict])
            .env("HIGHWATER_TOKEN", token)
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        assert!(
            done.status.success(),
            "{command}\n{}",
            String::from_utf8_lossy(&said)
        );
    }
}

#[test]
fn every_example_works_from_top_to_bottom() {
    let app = App::start();
    let page = app.get("/api").text;
    run_all(&page, "");
    // And again: everything may be repeated.
    run_all(&page, "");
}

#[test]
fn with_tokens_the_page_is_for_everybody_and_its_examples_take_one() {
    let mut token = String::new();
    let config = Config {
        public_url: Some("https://highwater.example".to_owned()),
        ..App::config(PATIENCE)
    };
    let app = App::with(config, |database| {
        let (_, made, _) = command(
            database,
            &["token", "create", "--all-projects", "--scope", "admin"],
        );
        token = made.trim().to_owned();
    });
    assert_eq!(app.get("/api/v1/projects").status, 401);
    let page = app.get("/api").text;
    assert!(page.contains("This server asks for tokens."));
    assert!(
        page.contains("curl &#39;https://highwater.example/api/v1/access&#39;"),
        "{page}"
    );
    run_all(&page.replace("https://highwater.example", &app.url), &token);
}
