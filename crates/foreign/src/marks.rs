//! What the plugin writes, or whoever else runs in the tests.

use std::{fs::OpenOptions, io::Write};

use highwater_agent::marks::{JobStart, Tailer, Told};
use highwater_wire::{
    VERSION,
    codec::{Checked, MAX_LINE_BYTES},
    marks::parse,
    v1::{Batch, Process},
};

use crate::pieces::{in_a_folder, lay};

/// An events file: read whole it says the same as read while it grows, and what it says a server takes.
pub(crate) fn events(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Err(error) = parse(line) {
            assert!(
                error.to_string().len() < 2_000 + line.len(),
                "an error is short"
            );
        }
    }
    let whole = told(&[bytes]);
    let (begin, rest) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, told(&[begin, rest]), "a growing file says the same");
    for told in &whole {
        if let Told::Malformed { reason, .. } = told {
            assert!(reason.len() <= 2 * MAX_LINE_BYTES, "a reason is short");
        }
    }
    let marks = whole.into_iter().filter_map(|told| match told {
        Told::Mark(_, mark) => Some(mark),
        _ => None,
    });
    let batch = Batch {
        version: VERSION,
        processes: vec![Process {
            pid: 1,
            ..Process::default()
        }],
        marks: marks.collect(),
        ..Batch::default()
    };
    if let Err(problem) = batch.check() {
        panic!("no server takes what is told: {problem}");
    }
}

fn told(parts: &[&[u8]]) -> Vec<Told> {
    in_a_folder(|folder| {
        let path = folder.join("7.events");
        lay(&path, b"");
        let start = JobStart {
            boot_id: "boot".to_owned(),
            monotonic_us: 1_000_000,
            unix_us: 1_700_000_000_000_000,
        };
        let mut tailer = Tailer::new(folder, start);
        let mut told = Vec::new();
        for part in parts {
            let file = OpenOptions::new().append(true).open(&path);
            file.and_then(|mut file| file.write_all(part))
                .expect("a file that grows");
            while tailer.drain(&mut told).expect("a folder that can be read") {}
        }
        told
    })
}
