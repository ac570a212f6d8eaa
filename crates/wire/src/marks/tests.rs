use proptest::prelude::*;

use super::*;
use crate::v1::Diagnosis;

#[test]
fn a_test_begins_with_its_path_and_an_escaped_name() {
    let line = parse(b"tb\t12\t4096\t8192\t2\ta/test_b.py\ta/test_b.py::test[x\\ty\\\\n]").unwrap();
    let Line::Mark(mark) = line else {
        panic!("{line:?}")
    };
    assert_eq!(
        (mark.t_us, mark.rss_bytes, mark.peak_bytes),
        (12, 4096, Some(8192))
    );
    assert_eq!(
        mark.what,
        Some(What::TestBegin(TestBegin {
            execution: 2,
            path: "a/test_b.py".to_owned(),
            nodeid: "a/test_b.py::test[x\ty\\n]".to_owned(),
            time_limit_us: None,
            time_limit_ends_process: None,
        }))
    );
}

#[test]
fn a_dash_is_a_peak_that_is_not_known() {
    let Line::Mark(mark) = parse(b"sb\t1\t2\t-").unwrap() else {
        panic!("no mark")
    };
    assert_eq!(mark.peak_bytes, None);
}

#[test]
fn a_newer_kind_and_further_fields_are_passed_over() {
    assert_eq!(parse(b"zz\t1\t2").unwrap(), Line::Unknown);
    assert!(matches!(parse(b"sb\t1\t2\t3\tnew"), Ok(Line::Mark(_))));
}

#[test]
fn what_later_writers_add_is_read_where_it_is_there() {
    let what = |line: &[u8]| match parse(line) {
        Ok(Line::Mark(mark)) => mark.what,
        other => panic!("{other:?}"),
    };
    let limit = |line: &[u8]| match what(line) {
        Some(What::TestBegin(test)) => test.time_limit_us,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        limit(b"tb\t1\t2\t3\t1\ta.py\ta.py::t\t5000000"),
        Some(5_000_000)
    );
    assert_eq!(limit(b"tb\t1\t2\t3\t1\ta.py\ta.py::t\t-"), None);
    assert_eq!(limit(b"tb\t1\t2\t3\t1\ta.py\ta.py::t"), None);
    let ends_process = |line: &[u8]| match what(line) {
        Some(What::TestBegin(test)) => test.time_limit_ends_process,
        other => panic!("{other:?}"),
    };
    for (method, expected) in [
        ("\tthread", Some(true)),
        ("\tsignal", Some(false)),
        ("\tother", None),
        ("", None),
    ] {
        let line = format!("tb\t1\t2\t3\t1\ta.py\ta.py::t\t5000000{method}");
        assert_eq!(ends_process(line.as_bytes()), expected, "{line}");
    }
    let cause = |line: &[u8]| match what(line) {
        Some(What::TestEnd(test)) => test.cause,
        Some(What::ImportEnd(import)) => import.cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        cause(b"te\t1\t2\t3\tfailed\tpassed\tfailed\t-\tmemory_error"),
        "memory_error"
    );
    assert_eq!(cause(b"te\t1\t2\t3\tfailed\tpassed\tfailed\t-"), "");
    assert_eq!(cause(b"ie\t1\t2\t3\tfailed\t-"), "");
}

#[test]
fn errors_name_the_kind_the_field_and_the_next_step() {
    assert_eq!(
        parse(b"te\t1\tmuch\t3").unwrap_err().to_string(),
        r#"te: field rss_bytes is "much", no number that fits"#
    );
    assert_eq!(
        parse(b"ib\t1\t2\t3").unwrap_err().to_string(),
        "ib: field path is missing"
    );
    let version = parse(b"H\t2\t{}").unwrap_err().to_string();
    assert!(
        version.contains("install the plugin of the agent's version"),
        "{version}"
    );
}

proptest! {
    #[test]
    fn foreign_lines_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&line);
    }
}

/// The golden files of the plugin: what Python reads, Rust reads.
#[test]
fn golden_files_are_read_as_they_were_meant() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../pytest-plugin/tests/golden"
    );
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "events")
        {
            continue;
        }
        read += 1;
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        let content = std::fs::read(&path).unwrap();
        let whole = &content[..content.iter().rposition(|byte| *byte == b'\n').unwrap()];
        let (mut lines, mut malformed) = (Vec::new(), Vec::new());
        for (line, number) in whole.split(|byte| *byte == b'\n').zip(1_u64..) {
            match parse(line) {
                Ok(Line::Unknown) => {}
                Ok(line) => lines.push(line),
                Err(_) => malformed.push(number),
            }
        }
        let records = expected["records"].as_array().unwrap();
        assert_eq!(lines.len(), records.len(), "{}", path.display());
        assert_eq!(
            serde_json::json!(malformed),
            expected["malformed_lines"],
            "{}",
            path.display()
        );
        for (line, record) in lines.iter().zip(records) {
            agree(line, record);
        }
    }
    assert!(read >= 4);
}

/// A text that need not be there.
fn text<'a>(record: &'a serde_json::Value, name: &str) -> &'a str {
    record
        .get(name)
        .map_or("", |value| value.as_str().expect("a text"))
}

/// Numbers that are not there are 0, but for the first reading.
fn agree_on_diagnosis(end: &Diagnosis, record: &serde_json::Value) {
    let number = |name: &str| record.get(name).and_then(serde_json::Value::as_i64);
    assert_eq!(
        number("trimmed_bytes"),
        end.trimmed_bytes.map(u64::cast_signed)
    );
    for (name, found) in [
        ("cost_us", end.cost_us.cast_signed()),
        ("collected_bytes", end.collected_bytes.cast_signed()),
        ("collected", end.collected.cast_signed()),
        ("kept_bytes", end.kept_bytes),
        ("pinned_bytes", end.pinned_bytes),
        ("freed_bytes", end.freed_bytes),
        ("live_bytes", end.live_bytes),
        ("live_blocks", end.live_blocks),
        ("tracing_bytes", end.tracing_bytes),
    ] {
        assert_eq!(number(name).unwrap_or(0), found, "{name}");
    }
    for (name, rows) in [
        ("garbage", &end.garbage),
        ("types", &end.types),
        ("lines", &end.lines),
    ] {
        let found: Vec<_> = rows
            .iter()
            .map(|row| serde_json::json!([row.name, row.count, row.bytes]))
            .collect();
        let said = record.get(name).cloned();
        assert_eq!(
            said.unwrap_or_else(|| serde_json::json!([])),
            serde_json::json!(found)
        );
    }
    for kept in &end.pytest {
        assert_eq!(record["pytest"][&kept.name], kept.bytes);
    }
}

/// A line and the record of it in JSON say the same.
fn agree(line: &Line, record: &serde_json::Value) {
    match line {
        Line::Header(header) => {
            assert_eq!(record["pid"], header.pid);
            assert_eq!(record["exact"], header.exact);
            assert_eq!(record["forked_from"], header.forked_from);
        }
        Line::Session(session) => assert_eq!(record["session"], session.session),
        Line::Notice(notice) => assert_eq!(record["code"], notice.code),
        Line::Mark(mark) => {
            assert_eq!(record["t_us"], mark.t_us);
            match &mark.what {
                Some(What::Blocks(blocks)) => assert_eq!(record["blocks"], blocks.blocks),
                Some(What::TestBegin(test)) => {
                    assert_eq!(record["nodeid"], test.nodeid);
                    assert_eq!(record["path"], test.path);
                    assert_eq!(record["execution"], test.execution);
                    let limit = record
                        .get("time_limit_us")
                        .and_then(serde_json::Value::as_u64);
                    assert_eq!(limit, test.time_limit_us);
                    let method = match test.time_limit_ends_process {
                        Some(true) => "thread",
                        Some(false) => "signal",
                        None => "",
                    };
                    assert_eq!(text(record, "time_limit_method"), method);
                }
                Some(What::TestEnd(test)) => {
                    assert_eq!(record["outcome"], test.outcome);
                    assert_eq!(text(record, "cause"), test.cause);
                }
                Some(What::ImportEnd(import)) => {
                    assert_eq!(record["outcome"], import.outcome);
                    assert_eq!(text(record, "cause"), import.cause);
                }
                Some(What::ModuleBegin(import)) => assert_eq!(record["module"], import.module),
                Some(What::FixtureBegin(fixture)) => {
                    assert_eq!(record["name"], fixture.name);
                    assert_eq!(record["fixture"], fixture.fixture);
                }
                Some(What::DiagnosisEnd(end)) => agree_on_diagnosis(end, &record["diagnosis"]),
                _ => assert_eq!(record["rss_bytes"], mark.rss_bytes),
            }
            assert_eq!(
                record.get("peak_bytes").and_then(serde_json::Value::as_u64),
                mark.peak_bytes
            );
        }
        Line::Unknown => panic!("an unknown line has no record"),
    }
}
