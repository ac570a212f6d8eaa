//! What lies in a spool: its own agent reads it, and a server imports it.

use std::{fs, path::Path};

use highwater_agent::spool::{self, SegmentReader};
use highwater_server::foreign;
use highwater_wire::{
    ids::ProjectSlug,
    spool::{HEAD_BYTES, MAGIC, Records},
};

use crate::{
    import::waited,
    pieces::{self, in_a_folder, lay},
};

const UUID: &str = "01a213ed-2ce5-7245-8847-f2bac90afb22";
const STREAM: &str = "01a213ed-2ce5-7245-8847-f2bac90afb23";

/// A job, its end and a batch in protobuf, which are put into records; then bytes that follow them in the segment.
pub(crate) fn spool(bytes: &[u8]) {
    let [job, end, batch, rest] = pieces::of(bytes);
    in_a_folder(|folder| {
        let folder = folder.join(UUID);
        lay(&folder.join("job"), &file(&[&record(1, 0, job)]));
        lay(&folder.join("end"), &file(&[&record(3, 0, end)]));
        if end.is_empty() {
            fs::remove_file(folder.join("end")).expect("it was just written");
        }
        let segment = folder.join(format!("{STREAM}.segment"));
        // Bytes that begin as a file does are one.
        match rest.starts_with(MAGIC) {
            true => lay(&segment, rest),
            false => lay(&segment, &file(&[&record(2, 0, batch), rest])),
        }
        check(&folder, &segment);
    });
}

/// Both readers find the same in a segment, and in the whole folder.
fn check(folder: &Path, segment: &Path) {
    let (mut of_agent, mut of_all) = (Vec::new(), Vec::new());
    let mut reader = SegmentReader::open(segment).ok();
    while let Some(record) = reader
        .as_mut()
        .and_then(|reader| reader.next_record().expect("a file that can be read"))
    {
        of_agent.push(record);
    }
    let bytes = fs::read(segment).expect("a file that can be read");
    let mut records = Records::of(&bytes[..]).expect("bytes can be read");
    while let Some(record) = records
        .as_mut()
        .and_then(|records| records.next_record().expect("bytes can be read"))
    {
        of_all.push(record);
    }
    assert_eq!(of_agent, of_all, "both readers find the same records");
    let skipped = reader.as_ref().map(SegmentReader::skipped);
    assert_eq!(skipped, records.as_ref().map(Records::skipped));
    let held: usize = of_all.iter().map(|it| HEAD_BYTES + it.payload.len()).sum();
    assert!(held <= bytes.len(), "records are made of what is there");

    let project = |name: &str| ProjectSlug::new(name).expect("a job has passed its checks");
    let Ok(read) = spool::read(folder) else {
        return;
    };
    let imported = waited(foreign::import(folder, project(&read.job.project)));
    let imported = imported.expect("what the agent reads a server imports");
    let [whole] = &imported[..] else {
        panic!("a folder is one job");
    };
    assert_eq!((&whole.job, &whole.end), (&read.job, &read.end));
    assert_eq!(whole.batches.len(), read.batches.len());
}

fn file(records: &[&[u8]]) -> Vec<u8> {
    [&MAGIC[..], &records.concat()].concat()
}

/// A whole record of a message in protobuf.
pub(crate) fn record(kind: u8, seq: u64, message: &[u8]) -> Vec<u8> {
    let payload = zstd::bulk::compress(message, 1).expect("zstd compresses");
    let behind = [&[kind][..], &seq.to_le_bytes(), &payload].concat();
    let length = u32::try_from(payload.len()).expect("an input is short");
    let crc = crc32fast::hash(&behind);
    [&length.to_le_bytes()[..], &crc.to_le_bytes(), &behind].concat()
}
