//! The wire's messages as schemas of their JSON mapping, with the comments of the one schema.

use std::collections::HashMap;

use highwater_wire::{DESCRIPTORS, VERSION};
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use serde_json::{Map, Value, json};

/// Numbers of the fields in a path of the descriptor that name a message, an enumeration, a field and a value.
const MESSAGE: i32 = 4;
const ENUMERATION: i32 = 5;
const FIELD: i32 = 2;
const VALUE: i32 = 2;

type Comments = HashMap<Vec<i32>, String>;

/// Every message and enumeration, under `wire.` and its name.
pub(super) fn schemas() -> Map<String, Value> {
    // These are bytes of this very program: what the build wrote is what is read.
    let files = FileDescriptorSet::decode(DESCRIPTORS)
        .unwrap_or_default()
        .file;
    let mut schemas = Map::new();
    for file in &files {
        let comments = comments(file);
        for (number, message) in (0..).zip(&file.message_type) {
            let name = format!("wire.{}", message.name());
            schemas.insert(name, object(message, &[MESSAGE, number], &comments));
        }
        for (number, kind) in (0..).zip(&file.enum_type) {
            let name = format!("wire.{}", kind.name());
            schemas.insert(name, enumeration(kind, &[ENUMERATION, number], &comments));
        }
    }
    schemas
}

/// What is written above each thing, or behind it, in one line.
fn comments(file: &FileDescriptorProto) -> Comments {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comment = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    locations
        .filter(|location| location.leading_comments.is_some())
        .map(|location| (location.path.clone(), comment(location.leading_comments())))
        .collect()
}

fn object(message: &DescriptorProto, path: &[i32], comments: &Comments) -> Value {
    let mut properties = Map::new();
    for (number, field) in (0..).zip(&message.field) {
        let path = [path, &[FIELD, number]].concat();
        let mut schema = of_field(message, field);
        if let Some(words) = comments.get(&path) {
            schema["description"] = words.as_str().into();
        }
        properties.insert(field.json_name().to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if let Some(words) = comments.get(path) {
        schema["description"] = words.as_str().into();
    }
    // A message without a version is of one that nobody knows.
    if properties.contains_key("version") {
        schema["required"] = json!(["version"]);
        schema["properties"]["version"] =
            json!({"type": "integer", "minimum": 1, "maximum": VERSION});
    }
    schema
}

fn of_field(message: &DescriptorProto, field: &FieldDescriptorProto) -> Value {
    let name = field.type_name().rsplit('.').next().unwrap_or_default();
    let entries = message.nested_type.iter().find(|nested| {
        nested.name() == name
            && nested
                .options
                .as_ref()
                .is_some_and(prost_types::MessageOptions::map_entry)
    });
    if entries.is_some() {
        return json!({"type": "object", "additionalProperties": {"type": "string"}});
    }
    let single = match field.r#type() {
        Type::Message | Type::Enum => json!({"$ref": format!("#/components/schemas/wire.{name}")}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int32 | Type::Sint32 => whole(
            "int32",
            i64::from(i32::MIN),
            u64::from(i32::MAX.unsigned_abs()),
        ),
        Type::Uint32 => whole("int32", 0, u64::from(u32::MAX)),
        Type::Int64 | Type::Sint64 => whole("int64", i64::MIN, i64::MAX.unsigned_abs()),
        Type::Uint64 => whole("int64", 0, u64::MAX),
        _ => json!({"type": "string"}),
    };
    if field.label() == Label::Repeated {
        return json!({"type": "array", "items": single});
    }
    or_null(field, single)
}

/// What may be absent may also be there as null.
fn or_null(field: &FieldDescriptorProto, mut schema: Value) -> Value {
    if schema["$ref"].is_string() {
        return json!({"oneOf": [{"type": "null"}, schema]});
    }
    if field.proto3_optional() {
        let types = match schema["type"].take() {
            Value::Array(types) => types,
            one => vec![one],
        };
        schema["type"] = types.into_iter().chain(["null".into()]).collect();
    }
    schema
}

/// An integer, which may stand as a string: a number of JSON loses what is beyond 2^53 in some programs.
fn whole(format: &str, least: i64, most: u64) -> Value {
    let pattern = if least < 0 { "^-?[0-9]+$" } else { "^[0-9]+$" };
    json!({"type": ["integer", "string"], "format": format, "minimum": least, "maximum": most, "pattern": pattern})
}

/// The names of an enumeration, or the numbers that stand for them.
fn enumeration(kind: &EnumDescriptorProto, path: &[i32], comments: &Comments) -> Value {
    let names: Vec<&str> = kind
        .value
        .iter()
        .map(prost_types::EnumValueDescriptorProto::name)
        .collect();
    let words = (0..).zip(&kind.value).filter_map(|(number, value)| {
        let words = comments.get(&[path, &[VALUE, number]].concat())?;
        Some(format!("`{}`: {words}", value.name()))
    });
    let own = comments.get(path).cloned();
    let words: Vec<String> = own.into_iter().chain(words).collect();
    let names = names.into_iter().map(Value::from);
    let values: Vec<Value> = names
        .chain(kind.value.iter().map(|value| value.number().into()))
        .collect();
    json!({"type": ["string", "integer"], "enum": values, "description": words.join(" ")})
}
