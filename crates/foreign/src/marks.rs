//! What the plugin writes, or whoever else runs in the tests.

use std::{fs::OpenOptions, io::Write};

use highwater_agent::marks::{JobStart, Tailer, Told};
use highwater_wire::{
    codec::{MAX_LINE_BYTES, MAX_NAME_BYTES, MAX_TIME_US},
    marks::parse,
};

use crate::pieces::{in_a_folder, lay};

/// An events file: read whole it says the same as read while it grows, and its times are of this job.
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
        match told {
            Told::Header(header) => assert_ne!(header.pid, 0),
            Told::Session(_, session) => {
                let length = session.session.len();
                assert!((1..=MAX_NAME_BYTES).contains(&length));
            }
            // What else a server would refuse the recorder leaves out, mark by mark.
            Told::Mark(_, mark) => assert!((-MAX_TIME_US..=MAX_TIME_US).contains(&mark.t_us)),
            Told::Malformed { reason, .. } => {
                assert!(reason.len() <= 2 * MAX_LINE_BYTES, "a reason is short");
            }
            Told::Unread { reason } => {
                assert!(reason.is_empty(), "the folder can be read: {reason}");
            }
            Told::Notice(..) | Told::OtherBoot(_) => {}
        }
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
            while tailer.drain(&mut told) {}
        }
        told
    })
}
