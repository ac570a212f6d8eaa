//! Schemas in words.

use serde_json::Value;

use super::{Piece, items, members, pieces, text};

/// A schema that has a name, and what is in it.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) words: Vec<Piece>,
    pub(super) fields: Vec<Field>,
    /// Of an enumeration.
    pub(super) values: Vec<String>,
}

/// A property.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Always there.
    pub(super) is_required: bool,
    pub(super) words: Vec<Piece>,
}

/// What a value can be: words around the name of a schema, where there is one.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) before: String,
    pub(super) name: String,
    pub(super) after: String,
}

impl Named {
    pub(super) fn of(name: &str, schema: &Value) -> Self {
        let required: Vec<&str> = items(&schema["required"]).map(text).collect();
        let field = |(name, schema): (&str, &Value)| Field {
            name: name.to_owned(),
            kind: Kind::of(schema),
            is_required: required.contains(&name),
            words: pieces(text(&schema["description"])),
        };
        Self {
            name: name.to_owned(),
            words: pieces(text(&schema["description"])),
            fields: members(&schema["properties"]).map(field).collect(),
            values: items(&schema["enum"])
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect(),
        }
    }
}

impl Kind {
    pub(super) fn of(schema: &Value) -> Self {
        if let Some((_, name)) = text(&schema["$ref"]).rsplit_once('/') {
            return Self {
                name: name.to_owned(),
                ..Self::default()
            };
        }
        let choices = items(&schema["oneOf"]);
        let (nothing, choices): (Vec<&Value>, Vec<&Value>) =
            choices.partition(|choice| choice["type"] == "null");
        if let Some(choice) = choices.first() {
            let mut kind = Self::of(choice);
            if !nothing.is_empty() {
                kind.after.push_str(" or null");
            }
            return kind;
        }
        if schema["properties"]["data"]["contentSchema"].is_object() {
            let mut kind = Self::of(&schema["properties"]["data"]["contentSchema"]);
            kind.before.insert_str(0, "events, the data of each ");
            return kind;
        }
        if schema["type"] == "array" {
            let mut kind = Self::of(&schema["items"]);
            kind.before.insert_str(0, "array of ");
            return kind;
        }
        if schema["additionalProperties"].is_object() {
            let mut kind = Self::of(&schema["additionalProperties"]);
            kind.before.insert_str(0, "object with values of ");
            return kind;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().map(text).collect(),
            Value::String(one) => vec![one],
            _ => vec!["any value"],
        };
        let mut before = types.join(" or ");
        match text(&schema["format"]) {
            "" => {}
            "binary" => before = "bytes".to_owned(),
            format => {
                before = before.replacen("integer", format, 1).replacen(
                    "string",
                    &format!("string ({format})"),
                    usize::from(format == "uuid"),
                );
            }
        }
        Self {
            before,
            ..Self::default()
        }
    }

    /// Whether it says more than a word.
    pub(super) fn is_named(&self) -> bool {
        !self.name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_told_in_words() {
        let table = [
            (json!({"type": "string"}), "string"),
            (
                json!({"type": ["integer", "null"], "format": "int64"}),
                "int64 or null",
            ),
            (json!({"type": "string", "format": "uuid"}), "string (uuid)"),
            (json!({"type": "string", "format": "binary"}), "bytes"),
            (json!({"$ref": "#/components/schemas/A"}), "A"),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/A"}}),
                "array of A",
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]}),
                "A or null",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "object with values of string",
            ),
            (json!({}), "any value"),
        ];
        for (schema, expected) in table {
            let Kind {
                before,
                name,
                after,
            } = Kind::of(&schema);
            assert_eq!(format!("{before}{name}{after}"), expected, "{schema}");
        }
    }
}
