//! The JSON of a diagnosis.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::v1::{Diagnosis, Grown};

/// As the plugin writes it; what is not there is nothing, but for `trimmed_bytes`, without which nothing was found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    cost_us: u64,
    trim: bool,
    trimmed_bytes: Option<u64>,
    collected_bytes: u64,
    kept_bytes: i64,
    pinned_bytes: i64,
    freed_bytes: i64,
    live_bytes: i64,
    live_blocks: i64,
    collected: u64,
    tracing_bytes: i64,
    garbage: Vec<Row>,
    types: Vec<Row>,
    lines: Vec<Row>,
    pytest: BTreeMap<String, i64>,
}

/// Name, count, bytes.
#[derive(Debug, Deserialize)]
struct Row(String, i64, i64);

impl From<Row> for Grown {
    fn from(Row(name, count, bytes): Row) -> Self {
        Self { name, count, bytes }
    }
}

fn rows(said: Vec<Row>) -> Vec<Grown> {
    said.into_iter().map(Grown::from).collect()
}

impl From<Said> for Diagnosis {
    fn from(said: Said) -> Self {
        let pytest = said.pytest.into_iter();
        Self {
            cost_us: said.cost_us,
            trimmed_bytes: said.trimmed_bytes,
            collected_bytes: said.collected_bytes,
            kept_bytes: said.kept_bytes,
            pinned_bytes: said.pinned_bytes,
            freed_bytes: said.freed_bytes,
            live_bytes: said.live_bytes,
            live_blocks: said.live_blocks,
            collected: said.collected,
            tracing_bytes: said.tracing_bytes,
            trim: said.trim,
            garbage: rows(said.garbage),
            types: rows(said.types),
            lines: rows(said.lines),
            pytest: pytest
                .map(|(name, bytes)| Grown {
                    name,
                    count: 0,
                    bytes,
                })
                .collect(),
        }
    }
}
