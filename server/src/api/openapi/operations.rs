//! What every operation of the document says besides its own words: what its parts may be, what it is refused with, which scope it takes.

use serde_json::{Map, Value, json};

use super::examples;
use crate::{
    api::{MOST_POINTS, MOST_ROWS, USUAL_ROWS},
    comparing::{MOST_COMPARED, MOST_FILES, USUAL_FILES},
    error::{AppError, JOB},
    finalise::USUAL_POINTS,
    planning::MOST_WORKERS,
};
use highwater_analysis::check::{MOST_FILE_LIMIT_BYTES, MOST_FILE_LIMITS};
use highwater_wire::codec::{MAX_BATCHES, MAX_COMPRESSED_BYTES};

/// A number in a key of a list.
const NUMBER: &str = "-?[0-9]{1,18}";

/// A job in a comparison.
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// Completes every operation.
pub(super) fn complete(document: &mut Value) {
    let paths = document["paths"].as_object_mut();
    for item in paths.into_iter().flat_map(Map::values_mut) {
        let operations = item.as_object_mut();
        for (method, operation) in operations.into_iter().flatten() {
            let about = About::of(method, operation);
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                describe(parameter, &about);
            }
            if let Some(schema) = answer_of(&about) {
                let content = operation["responses"]["200"]["content"].as_object_mut();
                for (kind, content) in content.into_iter().flatten() {
                    content["schema"] = schema(kind);
                }
            }
            if about.tag == "ingest" {
                take_in(operation, &about);
            }
            if about.id == "acknowledge" {
                let content = &mut operation["requestBody"]["content"]["application/json"];
                content["example"] = examples::acknowledgement(JOB);
            }
            if about.is_shown && about.id != "live" {
                confirm(operation, "Of a settled job: changes with its revision.");
            }
            if about.id == "kept_plan" {
                confirm(operation, "Changes with the version of the server alone.");
            }
            refuse(operation, &about);
            operation["security"] = json!([{}, {"token": [about.scope()]}]);
        }
    }
}

/// What the rest hangs on.
struct About {
    id: String,
    tag: String,
    is_safe: bool,
    has_parameters: bool,
    /// Something of one job.
    is_shown: bool,
}

impl About {
    fn of(method: &str, operation: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tag = text(&operation["tags"][0]);
        let is_safe = method == "get";
        Self {
            id: text(&operation["operationId"]),
            is_shown: tag == "jobs" && is_safe,
            tag,
            is_safe,
            has_parameters: operation["parameters"].is_array(),
        }
    }

    fn scope(&self) -> &'static str {
        match (self.tag.as_str(), self.is_safe) {
            ("ingest", _) => "ingest",
            (_, true) => "read",
            (_, false) => "admin",
        }
    }

    /// Whether it can be refused for a reason, by code.
    fn can_be(&self, code: &str) -> bool {
        let (takes_body, id) = (self.tag == "ingest", self.id.as_str());
        match code {
            "unauthorised" | "foreign_host" | "too_many_failures" | "internal" | "unavailable"
            | "issuer_unavailable" => true,
            "bad_request" => self.has_parameters,
            "malformed" | "unknown_version" | "invalid_field" | "conflict" => takes_body,
            "too_slow" => takes_body || id == "acknowledge",
            "too_large" => takes_body,
            "busy" => takes_body || id == "live",
            "forbidden" | "cross_origin" | "disk_full" | "unwritable" => !self.is_safe,
            "not_found" => self.has_parameters && id != "projects",
            "unsettled" => matches!(id, "export" | "acknowledge"),
            "infeasible" | "too_few_jobs" | "unplannable" => {
                matches!(id, "plan" | "keep_plan")
            }
            "removed" => match self.tag.as_str() {
                "ingest" => id != "put_job",
                "projects" => id == "acknowledge",
                "jobs" => !matches!(id, "job" | "live" | "report"),
                _ => false,
            },
            "job_full" => id == "put_batch",
            _ => false,
        }
    }
}

/// What a parameter of this name may be, wherever it stands.
fn describe(parameter: &mut Value, about: &About) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let (words, schema, example) = match name.as_str() {
        "uuid" => (
            "The job, by the uuid its sender made for it.",
            json!({}),
            json!(JOB),
        ),
        "id" if about.id == "kept_plan" => {
            ("The plan, by its id.", json!({}), json!(examples::plan()))
        }
        "id" => (
            "The acknowledgement, by its identity.",
            json!({}),
            Value::Null,
        ),
        "stream" => (
            "The stream, by a uuid that is made afresh at each start of an agent.",
            json!({}),
            json!(examples::STREAM),
        ),
        "seq" => (
            "Number of the batch in its stream: from 0, without holes.",
            json!({"minimum": 0, "maximum": MAX_BATCHES - 1}),
            json!(0),
        ),
        "project" => (
            "The project, written `owner~repo`.",
            json!({"minLength": 1}),
            json!(examples::PROJECT.replace('/', "~")),
        ),
        "path" => (
            "Path of the test file as its job tells it; slashes may stand as they are.",
            json!({"minLength": 1}),
            json!(examples::FILE),
        ),
        "before" | "after" if about.id == "compare" => {
            let which = format!("^({UUID}|run:[0-9]{{1,18}}|branch:.+)$");
            (
                "",
                json!({"minItems": 1, "maxItems": MOST_COMPARED, "items": {"type": "string", "pattern": which}}),
                json!([JOB]),
            )
        }
        "file_limit" => {
            let each = "^.+=\\s*(max-retained|max-spike|max-peak)\\s*:.+$";
            (
                "",
                json!({"maxItems": MOST_FILE_LIMITS, "items": {"type": "string", "maxLength": MOST_FILE_LIMIT_BYTES, "pattern": each}}),
                json!([format!(
                    "{}=max-retained:64MB,max-spike:off",
                    examples::FILE
                )]),
            )
        }
        "limit" if about.id == "compare" => (
            "Most test files.",
            json!({"minimum": 1, "maximum": MOST_FILES, "default": USUAL_FILES}),
            json!(10),
        ),
        "limit" => (
            "Most rows.",
            json!({"minimum": 1, "maximum": MOST_ROWS, "default": USUAL_ROWS}),
            json!(10),
        ),
        // Rows of a job are counted, those across jobs are found again by the numbers they are ordered by.
        "after" => (
            "`next` of the page before, unchanged.",
            json!({"pattern": match (about.tag.as_str(), about.id.as_str()) {
                ("jobs", _) => "^[0-9]{1,18}$".to_owned(),
                (_, "file_history") => ["^", NUMBER, "_", NUMBER, "_", NUMBER, "$"].concat(),
                _ => ["^", NUMBER, "_", NUMBER, "$"].concat(),
            }}),
            Value::Null,
        ),
        "points" => (
            "Most points of a series.",
            json!({"minimum": 1, "maximum": MOST_POINTS, "default": USUAL_POINTS}),
            json!(100),
        ),
        "format" if matches!(about.id.as_str(), "plan" | "kept_plan") => {
            ("", json!({"default": "json"}), json!("json"))
        }
        "format" if about.id == "report" => ("", json!({}), json!("markdown")),
        "format" => ("", json!({}), json!("csv")),
        "max_peak" | "min_headroom" | "max_retained" | "max_spike" => {
            ("", json!({"minimum": 0}), Value::Null)
        }
        "budget" => ("", json!({}), json!("1GB")),
        "jobs" => ("", json!({"minimum": 1, "maximum": u32::MAX}), Value::Null),
        "workers" => (
            "",
            json!({"minimum": 1, "maximum": MOST_WORKERS}),
            Value::Null,
        ),
        "shard" => ("", json!({"minimum": 1}), Value::Null),
        "what" => ("", json!({"default": "series"}), json!("tests")),
        _ => ("", json!({}), Value::Null),
    };
    if !words.is_empty() {
        parameter["description"] = words.into();
    }
    add(&mut parameter["schema"], schema);
    // To leave a parameter out is what null says in a body; here it would be a word.
    if let Some(Value::Array(types)) = parameter["schema"].get("type").cloned() {
        let mut types = types.into_iter().filter(|name| name != "null");
        parameter["schema"]["type"] = types.next().unwrap_or_default();
    }
    if !example.is_null() {
        parameter["example"] = example;
    }
}

/// The bodies that agents send.
fn take_in(operation: &mut Value, about: &About) {
    let (message, example) = match about.id.as_str() {
        "put_job" => ("Job", examples::job()),
        "put_batch" => ("Batch", examples::batch()),
        _ => ("End", examples::end()),
    };
    operation["requestBody"] = json!({
        "description": format!(
            "`{message}` of the wire schema, as JSON or protobuf, at most {} MiB; with `Content-Encoding: zstd` compressed. \
             What the schema does not know is ignored.",
            MAX_COMPRESSED_BYTES >> 20
        ),
        "required": true,
        "content": {
            "application/json": {
                "schema": {"$ref": format!("#/components/schemas/wire.{message}")},
                "example": example,
            },
            "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
        },
    });
    if about.id == "put_job" {
        let clock = json!({
            "name": "Highwater-Clock",
            "in": "header",
            "description": "What the sender's clock shows as it sends this, µs since 1970: the server measures by it how far off that clock is. What cannot be is passed over.",
            "required": false,
            "schema": {"type": "string"},
        });
        operation["parameters"]
            .as_array_mut()
            .into_iter()
            .for_each(|parameters| parameters.push(clock.clone()));
    }
}

/// What an answer by content type holds, where the types of the handlers do not say it.
fn answer_of(about: &About) -> Option<fn(&str) -> Value> {
    match about.id.as_str() {
        "live" => Some(|_| {
            json!({
                "type": "object",
                "description": "A server-sent event.",
                "required": ["event", "data"],
                "properties": {
                    "event": {"type": "string", "enum": ["progress", "settled"]},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": {"$ref": "#/components/schemas/Progress"},
                    },
                },
            })
        }),
        "plan" | "kept_plan" => Some(|kind| match kind {
            "application/json" => json!({"anyOf": [
                {"$ref": "#/components/schemas/PlanReport"},
                {"type": "object", "description": "What `strategy.matrix` takes.", "required": ["include"]},
            ]}),
            _ => json!({"type": "string"}),
        }),
        "export" => Some(|kind| match kind {
            "application/json" => json!({"type": "object"}),
            "text/csv" => json!({"type": "string"}),
            _ => json!({"type": "string", "format": "binary"}),
        }),
        "report" => Some(|kind| match kind {
            "application/json" => json!({
                "description": "Of the form `json` the document, of `gitlab` a list of issues.",
                "oneOf": [
                    {"$ref": "#/components/schemas/ReportDocument"},
                    {"type": "array", "items": {"type": "object"}},
                ],
            }),
            _ => json!({"type": "string"}),
        }),
        _ => None,
    }
}

/// What is shown of a settled job has a tag, and so has what is kept.
fn confirm(operation: &mut Value, changes: &str) {
    let tag = json!({"ETag": {
        "description": format!("{changes} `If-None-Match` gets 304."),
        "schema": {"type": "string"},
    }});
    let headers = &mut operation["responses"]["200"]["headers"];
    // The answer may have others.
    if !headers.is_object() {
        *headers = json!({});
    }
    add(headers, tag.clone());
    operation["responses"]["304"] =
        json!({"description": "what `If-None-Match` names is still so", "headers": tag});
}

/// Adds what it can be refused with, each with an example under its code.
fn refuse(operation: &mut Value, about: &About) {
    let responses = &mut operation["responses"];
    for answer in responses
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        if answer["description"].as_str().is_none_or(str::is_empty) {
            answer["description"] = "what was asked for".into();
        }
    }
    for refusal in AppError::samples() {
        if !about.can_be(refusal.code) {
            continue;
        }
        let status = refusal.status.as_str().to_owned();
        let answer = &mut responses[&status];
        let has_words = answer["content"].is_object()
            && answer["description"].as_str() != Some("what was asked for");
        if !has_words {
            answer["description"] = words_of(refusal.status.as_u16()).into();
        }
        if let Some(headers) = headers_of(refusal.status.as_u16()) {
            answer["headers"] = headers;
        }
        let content = &mut answer["content"]["application/json"];
        content["schema"] = json!({"$ref": "#/components/schemas/ErrorEnvelope"});
        let code = refusal.code;
        content["examples"][code] = json!({"value": refusal.envelope()});
    }
}

fn words_of(status: u16) -> &'static str {
    match status {
        400 => "what was sent cannot be",
        401 => "a token is asked for, or the one sent does not count",
        403 => "the token is for something else, or the request comes from where none may come",
        404 => "it is not there, or not for this token",
        408 => "the body did not come in time",
        409 => "it contradicts what is stored",
        413 => "it is more than is taken",
        429 => {
            "too many wrong tokens, or too much under way; `Retry-After` says when to come again"
        }
        500 => "the server failed; its log says more",
        _ => "the store cannot take or tell this now; `Retry-After` says when to come again",
    }
}

fn headers_of(status: u16) -> Option<Value> {
    match status {
        401 => Some(json!({"WWW-Authenticate": {
            "description": "`Bearer`: how to say who asks.", "required": true, "schema": {"type": "string"},
        }})),
        429 | 503 => Some(json!({"Retry-After": {
            "description": "When to come again, s.", "required": true, "schema": {"type": "integer", "minimum": 1},
        }})),
        _ => None,
    }
}

/// Adds the members of an object to another.
fn add(to: &mut Value, more: Value) {
    if let (Some(to), Value::Object(more)) = (to.as_object_mut(), more) {
        to.extend(more);
    }
}
