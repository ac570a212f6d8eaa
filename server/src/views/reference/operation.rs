//! One operation: what it takes, what it answers, how to try it.

use serde_json::Value;

use super::{Kind, Piece, items, members, pieces, text};

/// A method on a path.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: Vec<Piece>,
    pub(super) words: Vec<Piece>,
    /// Which scope a token must have.
    pub(super) scope: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) refused: Vec<Refused>,
    /// What follows the address of the server in the example.
    target: String,
}

pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query` or `header`.
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) limits: String,
    pub(super) words: Vec<Piece>,
}

pub(super) struct Body {
    pub(super) words: Vec<Piece>,
    pub(super) forms: Vec<Form>,
    example: String,
}

/// A content type, and what is in it.
pub(super) struct Form {
    pub(super) content_type: String,
    pub(super) kind: Kind,
}

pub(super) struct Answer {
    pub(super) status: String,
    pub(super) words: Vec<Piece>,
    pub(super) forms: Vec<Form>,
    pub(super) headers: Vec<String>,
}

/// Reasons why it may not be done, of one status.
pub(super) struct Refused {
    pub(super) status: String,
    pub(super) words: Vec<Piece>,
    pub(super) headers: Vec<String>,
    pub(super) refusals: Vec<Refusal>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: Vec<Piece>,
    pub(super) hint: Vec<Piece>,
}

impl Operation {
    pub(super) fn of(method: &str, path: &str, operation: &Value) -> Self {
        let (mut answers, mut refused) = (Vec::new(), Vec::new());
        for (status, answer) in members(&operation["responses"]) {
            if status < "400" {
                answers.push(Answer::of(status, answer));
            } else {
                refused.push(Refused::of(status, answer));
            }
        }
        let security = items(&operation["security"]);
        let scope = security.flat_map(|way| items(&way["token"])).next();
        Self {
            id: text(&operation["operationId"]).to_owned(),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: pieces(text(&operation["summary"])),
            words: pieces(text(&operation["description"])),
            scope: scope.map(text).unwrap_or_default().to_owned(),
            parameters: items(&operation["parameters"]).map(Parameter::of).collect(),
            body: operation["requestBody"]
                .is_object()
                .then(|| Body::of(&operation["requestBody"])),
            answers,
            refused,
            target: target(path, operation),
        }
    }

    /// Where it stands, so that the examples work one after the other: a job is begun, filled and ended, followed until it is settled, asked
    /// about, pinned and let go of.
    pub(super) fn place(&self) -> (bool, usize, bool, bool, String) {
        let is_last = self.method == "DELETE";
        let ends = is_last || self.path.ends_with("/end");
        let follows = self.path.ends_with("/live");
        let depth = self.path.matches('/').count();
        (
            ends,
            depth,
            !follows,
            self.method != "GET",
            self.path.clone(),
        )
    }

    /// A command that does it.
    pub(super) fn curl(&self, url: &str, asks: &bool) -> String {
        let mut lines = vec![format!("curl '{url}{}'", self.target)];
        if self.method != "GET" {
            lines[0].insert_str(4, &format!(" -X {}", self.method));
        }
        if *asks {
            lines.push("-H \"Authorization: Bearer $HIGHWATER_TOKEN\"".to_owned());
        }
        if let Some(body) = &self.body {
            lines.push("-H 'Content-Type: application/json'".to_owned());
            lines.push(format!("-d '{}'", body.example));
        }
        lines.join(" \\\n  ")
    }
}

/// Path and query with the examples of the parameters.
fn target(path: &str, operation: &Value) -> String {
    let mut target = path.to_owned();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for parameter in items(&operation["parameters"]) {
        let (name, example) = (text(&parameter["name"]), &parameter["example"]);
        let value = match example {
            Value::Null => continue,
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        if let Value::Array(values) = example {
            query.extend_pairs(values.iter().map(|value| (name, text(value))));
        } else if parameter["in"] == "path" {
            target = target.replace(&format!("{{{name}}}"), &value);
        } else {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        target
    } else {
        format!("{target}?{query}")
    }
}

impl Parameter {
    fn of(parameter: &Value) -> Self {
        let schema = &parameter["schema"];
        let mut limits = Vec::new();
        let values: Vec<&str> = items(&schema["enum"]).map(text).collect();
        if !values.is_empty() {
            limits.push(format!("one of {}", values.join(", ")));
        }
        match (&schema["minimum"], &schema["maximum"]) {
            (Value::Number(least), Value::Number(most)) => {
                limits.push(format!("{least} to {most}"));
            }
            (Value::Number(least), _) => limits.push(format!("from {least}")),
            _ => {}
        }
        match &schema["default"] {
            Value::Null => {}
            Value::String(usual) => limits.push(format!("{usual} where nothing is said")),
            usual => limits.push(format!("{usual} where nothing is said")),
        }
        Self {
            name: text(&parameter["name"]).to_owned(),
            place: text(&parameter["in"]).to_owned(),
            kind: Kind::of(schema),
            is_required: parameter["required"] == true,
            limits: limits.join("; "),
            words: pieces(text(&parameter["description"])),
        }
    }
}

impl Body {
    fn of(body: &Value) -> Self {
        let example = &body["content"]["application/json"]["example"];
        Self {
            words: pieces(text(&body["description"])),
            forms: forms(body),
            example: example.to_string(),
        }
    }
}

impl Answer {
    fn of(status: &str, answer: &Value) -> Self {
        Self {
            status: status.to_owned(),
            words: pieces(text(&answer["description"])),
            forms: forms(answer),
            headers: headers(answer),
        }
    }
}

impl Refused {
    fn of(status: &str, answer: &Value) -> Self {
        let examples = members(&answer["content"]["application/json"]["examples"]);
        let refusals = examples.map(|(code, example)| {
            let error = &example["value"]["error"];
            Refusal {
                code: code.to_owned(),
                message: pieces(text(&error["message"])),
                hint: pieces(text(&error["hint"])),
            }
        });
        Self {
            status: status.to_owned(),
            words: pieces(text(&answer["description"])),
            headers: headers(answer),
            refusals: refusals.collect(),
        }
    }
}

fn headers(answer: &Value) -> Vec<String> {
    members(&answer["headers"])
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn forms(told: &Value) -> Vec<Form> {
    let form = |(content_type, content): (&str, &Value)| Form {
        content_type: content_type.to_owned(),
        kind: Kind::of(&content["schema"]),
    };
    members(&told["content"]).map(form).collect()
}
