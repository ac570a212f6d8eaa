use std::fs;

use highwater_wire::{ids::ProjectSlug, v1::Batch};
use proptest::prelude::*;

use super::*;

fn named() -> Named {
    Named {
        project: Some(ProjectSlug::new("owner/repo").unwrap()),
        job: None,
    }
}

fn read_text(text: &[u8]) -> Result<Imported, String> {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("file.dat");
    fs::write(&path, text).unwrap();
    read(&path, &named()).map_err(|error| error.to_string())
}

fn batch_of(imported: &Imported) -> Batch {
    highwater_wire::codec::decode(&imported.whole.batches[0].body).unwrap()
}

#[test]
fn looks_become_ticks_and_children_belong_to_the_look_before_them() {
    let text = "CMDLINE python suite.py\nMEM 10.5 1700000000.1000\nCHLD 70 2.0 1700000000.1044\nCHLD 0 0.0 1700000000.1044\nMEM 11.0 1700000000.2000\n\
        FUNC a.b (x) 1.0 1700000000.1 2.0 1700000000.2 0\nMEM 12.0 1700000000.3000\nCHLD 70 3.0 1700000000.3001\nMEM 9.0 17000000";
    let imported = read_text(text.as_bytes()).unwrap();
    let job = &imported.whole.job;
    assert_eq!(
        (job.started_unix_us, job.interval_us),
        (1_700_000_000_100_000, 100_000)
    );
    assert_eq!(job.command, ["python suite.py"]);
    let batch = batch_of(&imported);
    let [samples] = &batch.samples[..] else {
        panic!("{batch:?}")
    };
    assert_eq!(samples.t_us_delta, [0, 100_000, 100_000]);
    let series: Vec<_> = samples
        .series
        .iter()
        .map(|series| (series.process, series.first, series.value_delta.clone()))
        .collect();
    let mib = 1 << 20;
    assert_eq!(
        series,
        [
            (Some(0), 0, vec![21 * mib / 2, mib / 2, mib]),
            (Some(1), 0, vec![2 * mib]),
            (Some(1), 2, vec![3 * mib]),
        ]
    );
    let codes: Vec<&str> = batch.notices.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "imported_from_mprof",
            "functions_left_out",
            "last_line_torn"
        ]
    );
    let end = imported.whole.end.unwrap();
    assert_eq!(
        (end.ended_us, end.exit_code, end.signal),
        (200_000, None, None)
    );
}

#[test]
fn the_same_file_is_the_same_job_and_another_is_another() {
    let of = |text: &str| read_text(text.as_bytes()).unwrap().uuid;
    let one = "MEM 1.0 1700000000.1\n";
    assert_eq!(of(one), of(one));
    assert_ne!(of(one), of("MEM 1.0 1700000000.2\n"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let good = "CMDLINE x\nMEM 1.0 1700000000.1\n";
    let table = [
        ("MEM x 1.0\n", "file.dat:3: \"x\" is no size in MiB"),
        ("MEM -1 1.0\n", "file.dat:3: \"-1\" is no size"),
        ("MEM 1e30 1.0\n", "file.dat:3: \"1e30\" is no size"),
        ("MEM nan 1.0\n", "file.dat:3: \"nan\" is no size"),
        ("MEM 1.0 inf\n", "file.dat:3: \"inf\" is no time"),
        ("MEM 1.0 1e300\n", "file.dat:3: \"1e300\" is no time"),
        ("MEM 1.0\n", "file.dat:3: MEM with 1 fields"),
        (
            "CHLD 1.5 1.0 1.0\n",
            "file.dat:3: \"1.5\" is no number of a process",
        ),
        ("\n", "file.dat:3: \"\" is no line of mprof"),
        ("\u{0}\u{1}\n", "is no line of mprof"),
        ("MEM 1.0 9000000000\n", "more than ten years"),
    ];
    for (line, expected) in table {
        let error = read_text(format!("{good}{line}").as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{line:?}: {error}");
    }
    for (text, expected) in [
        ("CMDLINE x\n", "no line MEM"),
        ("CHLD 7 1.0 1.0\n", "file.dat:1: CHLD before any MEM"),
    ] {
        let error = read_text(text.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let endless = vec![b'x'; MAX_LINE_BYTES + 1];
    let error = read_text(&[b"CMDLINE ", &endless[..]].concat()).unwrap_err();
    assert!(error.contains("file.dat:1: is longer"), "{error}");
}

proptest! {
    #[test]
    fn no_file_makes_it_fail_otherwise(lines in proptest::collection::vec(
        prop_oneof![
            "(MEM|CHLD|FUNC|CMDLINE) [0-9.e ]{0,20}",
            "MEM [0-9]{1,4}\\.[0-9] 17000000[0-9]{2}\\.[0-9]",
            "CHLD [0-9] [0-9]{1,4}\\.[0-9] 17000000[0-9]{2}\\.[0-9]",
            "\\PC{0,10}",
        ], 0..20)) {
        let _ = read_text((lines.join("\n") + "\n").as_bytes());
    }
}
