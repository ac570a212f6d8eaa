//! The OpenAPI document. What macros cannot say of a route is added to what they say: `operations` what a request is refused with and what
//! its parts may be, `messages` the wire's schema, `examples` something to try.

mod examples;
mod messages;
mod operations;

use std::sync::LazyLock;

use axum::Json;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{
    access, acknowledgements, changes, check, compare, export, jobs, live, pins, plan, projects,
    report, series,
};
use crate::ingest;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater",
        description = "Memory of pytest runs: recordings in, answers out. Sizes are bytes, durations microseconds, both integers; times of day are RFC 3339. The page `/api` shows this document."
    ),
    paths(
        ingest::put_job,
        ingest::put_batch,
        ingest::put_end,
        projects::projects,
        projects::runs,
        projects::jobs,
        projects::file_history,
        compare::compare,
        changes::changes,
        changes::changes_of_file,
        acknowledgements::acknowledgements,
        acknowledgements::acknowledge,
        acknowledgements::withdraw,
        jobs::job,
        jobs::processes,
        jobs::files,
        jobs::tests,
        jobs::fixtures,
        check::check,
        series::series,
        plan::plan,
        plan::keep_plan,
        plan::kept_plan,
        pins::pin,
        pins::unpin,
        export::export,
        report::report,
        access::access,
        live::live,
    ),
    tags(
        (name = "ingest", description = "What agents send. Each may be repeated and may come late; what the answer names is on disk."),
        (name = "jobs", description = "One job, what is within it, and how it is kept."),
        (name = "plans", description = "Plans that are kept, by their id."),
        (name = "projects", description = "What is asked across the jobs of a project."),
        (name = "access", description = "What whoever asks may do."),
    ),
)]
struct Document;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    operations::complete(&mut document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(messages::schemas());
    }
    document["components"]["securitySchemes"]["token"] = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `highwater-server token create`, or an identity token of the CI where the server takes these. A server that has no \
            tokens asks for none, and what is of a published project is shown without one.",
    });
    document
});

/// The OpenAPI 3.1 document of this server.
#[must_use]
pub fn openapi() -> &'static Value {
    &DOCUMENT
}

pub(crate) async fn document() -> Json<&'static Value> {
    Json(openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::error::AppError;

    /// Calls with each object within a value.
    fn each(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                visit(object);
                object.values().for_each(|value| each(value, visit));
            }
            Value::Array(values) => values.iter().for_each(|value| each(value, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut references = BTreeSet::new();
        each(openapi(), &mut |object| {
            if let Some(Value::String(to)) = object.get("$ref") {
                references.insert(to.clone());
            }
        });
        assert!(references.len() > 40, "{references:?}");
        for to in references {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(openapi().pointer(pointer).is_some(), "{to}");
        }
    }

    #[test]
    fn every_refusal_but_of_a_wrong_method_is_told_by_some_route() {
        let mut codes = BTreeSet::new();
        each(&openapi()["paths"], &mut |object| {
            if let Some(Value::Object(examples)) = object.get("examples") {
                codes.extend(examples.keys().cloned());
            }
        });
        codes.insert("method_not_allowed".to_owned());
        let known = AppError::samples()
            .into_iter()
            .map(|sample| sample.code.to_owned());
        assert_eq!(codes, known.collect());
    }

    #[test]
    fn every_answer_and_every_route_is_described() {
        for (path, item) in openapi()["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let words = answer["description"].as_str().unwrap_or("");
                    assert!(!words.is_empty(), "{method} {path} {status}");
                }
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let words = parameter["description"].as_str().unwrap_or("");
                    assert!(!words.is_empty(), "{method} {path} {parameter}");
                }
            }
        }
    }
}
