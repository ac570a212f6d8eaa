//! A small job that the document's examples begin, fill, end and ask about.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::JOB;

pub(super) const PROJECT: &str = "example/api";
pub(super) const FILE: &str = "test_example.py";
pub(super) const STREAM: Uuid = Uuid::from_u128(0x0197_a7d4_0000_4000_8000_0000_0000_0002);

/// How it begins.
pub(super) fn job() -> Value {
    json!({
        "version": 1,
        "project": PROJECT,
        "run": {"provider": "local", "id": "1", "branch": "main"},
        "name": "unit",
        "attempt": 1,
        "startedUnixUs": "1767225600000000",
        "intervalUs": "50000",
    })
}

/// Its one batch: a pytest that grows by 8 MiB in a test.
pub(super) fn batch() -> Value {
    let test = json!({"execution": 1, "path": FILE, "nodeid": format!("{FILE}::test_one")});
    let passed =
        json!({"outcome": "passed", "setup": "passed", "call": "passed", "teardown": "passed"});
    json!({
        "version": 1,
        "fromUs": "0",
        "toUs": "1000000",
        "processes": [{"pid": 7, "startTicks": "1", "command": "pytest", "role": "ROLE_PYTEST", "session": "s", "exact": true, "startedUs": "0"}],
        "sessions": [{"id": "s", "beganUs": "0"}],
        "samples": [{
            "tUsDelta": ["0", "50000", "50000"],
            "latenessUs": ["3", "3", "3"],
            "series": [{"metric": "METRIC_RSS", "process": 0, "first": 0, "valueDelta": ["41943040", "4194304", "4194304"]}],
        }],
        "marks": [
            {"process": 0, "tUs": "10", "rssBytes": "41943040", "peakBytes": "41943040", "testBegin": test},
            {"process": 0, "tUs": "900000", "rssBytes": "50331648", "peakBytes": "58720256", "testEnd": passed},
        ],
    })
}

/// What somebody knows of it.
pub(super) fn acknowledgement(job: Uuid) -> Value {
    json!({
        "job": job,
        "figure": "peak",
        "reason": "the new parser keeps its tables",
        "days": 30,
    })
}

/// The id of its plan of one job with its one file.
pub(super) fn plan() -> Uuid {
    Uuid::new_v5(&JOB, format!("job 1\n {FILE}\n").as_bytes())
}

/// How it ends.
pub(super) fn end() -> Value {
    json!({
        "version": 1,
        "endedUs": "1000000",
        "exitCode": 0,
        "streams": [{"stream": STREAM, "batches": "1"}],
    })
}
