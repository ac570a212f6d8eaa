//! The page of the API: the OpenAPI document, for people.

mod operation;
mod schema;

use std::{collections::BTreeMap, sync::LazyLock};

use askama::Template;
use serde_json::Value;

use self::{
    operation::{Operation, Refusal},
    schema::{Kind, Named},
};
use crate::api;

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::of(api::openapi()));

/// The document, sorted for reading. It is the same for everybody.
pub(crate) struct Reference {
    version: String,
    description: Vec<Piece>,
    token: Vec<Piece>,
    groups: Vec<Group>,
    /// Each code with its status.
    refusals: Vec<(String, Refusal)>,
    schemas: Vec<Named>,
    messages: Vec<Named>,
}

struct Group {
    name: String,
    words: Vec<Piece>,
    operations: Vec<Operation>,
}

/// A part of a text; `is_code` stood between backticks.
#[derive(Clone)]
struct Piece {
    is_code: bool,
    text: String,
}

#[derive(Template)]
#[template(path = "reference.html")]
pub(crate) struct ReferencePage {
    reference: &'static Reference,
    /// Whether this server asks for tokens.
    asks: bool,
    /// Where the examples send their requests.
    url: String,
}

impl ReferencePage {
    pub(crate) fn new(url: String, asks: bool) -> Self {
        Self {
            reference: &REFERENCE,
            asks,
            url,
        }
    }
}

impl Reference {
    fn of(document: &Value) -> Self {
        let mut operations: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
        for (path, item) in members(&document["paths"]) {
            for (method, operation) in members(item) {
                let tag = text(&operation["tags"][0]);
                let read = Operation::of(method, path, operation);
                operations.entry(tag).or_default().push(read);
            }
        }
        for group in operations.values_mut() {
            group.sort_by_key(Operation::place);
        }
        let groups: Vec<Group> = items(&document["tags"])
            .map(|tag| Group {
                name: text(&tag["name"]).to_owned(),
                words: pieces(text(&tag["description"])),
                operations: operations.remove(text(&tag["name"])).unwrap_or_default(),
            })
            .collect();
        let mut refusals = BTreeMap::new();
        let told = groups.iter().flat_map(|group| &group.operations);
        for refused in told.flat_map(|operation| &operation.refused) {
            for refusal in &refused.refusals {
                let key = (refused.status.clone(), refusal.code.clone());
                refusals.insert(key, (refused.status.clone(), refusal.clone()));
            }
        }
        let named = members(&document["components"]["schemas"])
            .map(|(name, schema)| Named::of(name, schema));
        let (messages, schemas) = named.partition(|schema| schema.name.starts_with("wire."));
        Self {
            version: text(&document["info"]["version"]).to_owned(),
            description: pieces(text(&document["info"]["description"])),
            token: pieces(text(
                &document["components"]["securitySchemes"]["token"]["description"],
            )),
            groups,
            refusals: refusals.into_values().collect(),
            schemas,
            messages,
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text of the document in pieces: what stands between backticks is code, also where it is a link to a name of the program.
fn pieces(text: &str) -> Vec<Piece> {
    let text = text.replace("[`", "`").replace("`]", "`");
    let parts = text.split('`').enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(number, part)| Piece {
            is_code: number % 2 == 1,
            text: part.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code() {
        let told = |text: &str| -> Vec<(bool, String)> {
            let pieces = pieces(text).into_iter();
            pieces.map(|piece| (piece.is_code, piece.text)).collect()
        };
        let part = |is_code, text: &str| (is_code, text.to_owned());
        assert_eq!(
            told("See [`FileRow::tests`]."),
            [
                part(false, "See "),
                part(true, "FileRow::tests"),
                part(false, ".")
            ]
        );
        assert_eq!(told("`gw0`"), [part(true, "gw0")]);
        assert!(told("").is_empty());
    }

    #[test]
    fn every_operation_of_the_document_is_in_a_group() {
        let document = api::openapi();
        let told = Reference::of(document);
        let told: usize = told.groups.iter().map(|group| group.operations.len()).sum();
        let there = members(&document["paths"]).map(|(_, item)| members(item).count());
        assert_eq!(told, there.sum::<usize>());
    }
}
