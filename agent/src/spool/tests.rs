use std::fs;

use highwater_wire::{VERSION, codec, v1};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

mod removed;

fn job() -> v1::Job {
    v1::Job {
        version: VERSION,
        project: "owner/repo".to_owned(),
        run: Some(v1::Run {
            provider: "local".to_owned(),
            id: "1".to_owned(),
            ..v1::Run::default()
        }),
        name: "unit".to_owned(),
        attempt: 1,
        interval_us: 50_000,
        ..v1::Job::default()
    }
}

fn batch(seq: u64) -> v1::Batch {
    v1::Batch {
        version: VERSION,
        from_us: seq.cast_signed() * 10,
        to_us: seq.cast_signed() * 10 + 10,
        ..v1::Batch::default()
    }
}

fn recorded(batches: u64) -> (TempDir, Spool) {
    let root = TempDir::new().unwrap();
    let mut spool = Spool::create(root.path(), &job(), Uuid::now_v7()).unwrap();
    for seq in 0..batches {
        spool.append(seq, &batch(seq)).unwrap();
    }
    (root, spool)
}

#[test]
fn what_was_written_is_read_back() {
    let (root, spool) = recorded(3);
    let end = v1::End {
        version: VERSION,
        ended_us: 30,
        ..v1::End::default()
    };
    write_end(spool.folder(), &end).unwrap();
    let back = read(spool.folder()).unwrap();
    let folder = root.path().join(back.uuid.to_string());
    assert_eq!((folder.as_path(), back.job), (spool.folder(), job()));
    assert_eq!(back.end, Some(end));
    let expected: Vec<_> = (0..3)
        .map(|seq| (spool.stream(), seq, batch(seq)))
        .collect();
    assert_eq!(back.batches, expected);
}

/// What a loss of power leaves: a file's length reaches the disk before its last bytes do.
#[test]
fn zeros_up_to_the_end_are_not_there_yet() {
    let (_root, spool) = recorded(2);
    let path = segment_path(spool.folder(), spool.stream(), 0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &[0; 9_000]].concat()).unwrap();
    let back = read(spool.folder()).unwrap();
    assert_eq!((back.batches.len(), back.skipped), (2, 0));
    let mut reader = SegmentReader::open(&path).unwrap();
    while reader.next_record().unwrap().is_some() {}
    assert!(!reader.has_rest().unwrap());
    // What stands behind zeros was written, and cannot be found.
    fs::write(&path, [&whole[..], &[0; 9_000], &[1]].concat()).unwrap();
    let back = read(spool.folder()).unwrap();
    assert_eq!((back.batches.len(), back.skipped), (2, 1));
    // Not even the first bytes.
    fs::write(&path, [0; 4_000]).unwrap();
    let back = read(spool.folder()).unwrap();
    assert_eq!((back.batches.len(), back.skipped), (0, 0));
}

#[test]
fn a_reader_behind_the_writer_sees_each_record_once_it_is_whole() {
    let (_root, mut spool) = recorded(1);
    let mut reader = SegmentReader::open(&segment_path(spool.folder(), spool.stream(), 0)).unwrap();
    assert_eq!(
        reader.next_record().unwrap().map(|record| record.seq),
        Some(0)
    );
    assert_eq!(reader.next_record().unwrap(), None);
    spool.append(1, &batch(1)).unwrap();
    assert_eq!(
        reader.next_record().unwrap().map(|record| record.seq),
        Some(1)
    );
}

#[test]
fn a_reader_goes_on_behind_what_it_read_where_a_segment_was_written_again() {
    let (_root, mut spool) = recorded(0);
    for seq in 0..4 {
        let samples = v1::Samples {
            t_us_delta: vec![1, 50_000],
            series: vec![v1::Series {
                metric: v1::Metric::Rss.into(),
                process: Some(0),
                value_delta: vec![5, 1],
                ..v1::Series::default()
            }],
            ..v1::Samples::default()
        };
        let process = v1::Process {
            pid: 7,
            ..v1::Process::default()
        };
        let batch = v1::Batch {
            processes: vec![process],
            samples: vec![samples],
            ..batch(seq)
        };
        spool.append(seq, &batch).unwrap();
    }
    let path = segment_path(spool.folder(), spool.stream(), 0);
    let mut reader = SegmentReader::open(&path).unwrap();
    for seq in 0..2 {
        assert_eq!(reader.next_record().unwrap().unwrap().seq, seq);
    }
    let place = reader.place();
    drop(reader);
    let handoff = spool.handoff();
    handoff.set_acknowledged(1);
    let mut encoder = codec::Encoder::new().unwrap();
    let done = room::rewrite(&path, Detail::Thin, &handoff, &mut encoder).unwrap();
    assert_eq!((done.less_us, done.lost_us), (4 * 100_000, 3 * 100_000));
    let mut reader = SegmentReader::resume(&path, place).unwrap();
    for seq in 2..4 {
        let record = reader.next_record().unwrap().unwrap();
        let batch: v1::Batch = codec::decode(&record.payload).unwrap();
        assert_eq!((record.seq, batch.samples[0].t_us_delta.len()), (seq, 1));
    }
    assert_eq!(reader.next_record().unwrap(), None);
    assert!(!reader.has_rest().unwrap());
    // Once more changes nothing, not even the file.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let done = room::rewrite(&path, Detail::Thin, &handoff, &mut encoder).unwrap();
    assert_eq!(done, room::Rewritten::default());
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
}

#[test]
fn a_stream_of_many_batches_lies_in_several_files_and_is_one() {
    let (_root, spool) = recorded(200);
    assert_eq!(segments(spool.folder()).unwrap().len(), 4);
    let seqs: Vec<_> = read(spool.folder())
        .unwrap()
        .batches
        .into_iter()
        .map(|(stream, seq, _)| (stream, seq))
        .collect();
    let expected: Vec<_> = (0..200).map(|seq| (spool.stream(), seq)).collect();
    assert_eq!(seqs, expected);
    let reserve = spool.folder().join("reserve");
    assert!(reserve.exists());
    drop(spool);
    assert!(!reserve.exists(), "its room is for the end");
}

#[test]
fn a_running_agents_spool_is_left_alone_and_a_dead_ones_is_taken() {
    let (_root, spool) = recorded(1);
    assert!(matches!(lock(spool.folder()), Err(SpoolError::Busy(_))));
    assert!(is_locked(spool.folder()));
    let folder = spool.folder().to_path_buf();
    drop(spool);
    assert!(!is_locked(&folder));
    assert!(lock(&folder).is_ok());
    fs::remove_file(folder.join("lock")).unwrap();
    assert!(!is_locked(&folder) && !folder.join("lock").exists());
}

#[test]
fn a_spool_of_another_version_is_refused() {
    let (_root, spool) = recorded(0);
    let path = spool.folder().join("job");
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] = 2;
    fs::write(&path, bytes).unwrap();
    let error = read(spool.folder()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "no spool file of version 1, or its begin is damaged; if another version wrote it, read it with that"
        ),
        "{error}"
    );
}

proptest! {
    #[test]
    fn cut_anywhere_all_records_before_the_cut_are_there(cut in 0_usize..400) {
        let (_root, spool) = recorded(5);
        let path = segment_path(spool.folder(), spool.stream(), 0);
        let bytes = fs::read(&path).unwrap();
        let cut = cut.min(bytes.len());
        let whole = (bytes.len() - MAGIC.len()) / 5;
        fs::write(&path, &bytes[..cut]).unwrap();
        if cut < MAGIC.len() {
            prop_assert!(read(spool.folder()).unwrap().batches.is_empty());
        } else {
            let back = read(spool.folder()).unwrap();
            prop_assert!(back.batches.len() >= (cut - MAGIC.len()) / (whole + 8));
            for (at, (_, seq, found)) in back.batches.iter().enumerate() {
                prop_assert_eq!((at as u64, found), (*seq, &batch(*seq)));
            }
        }
    }

    #[test]
    fn a_flipped_byte_costs_at_most_what_follows_and_never_lies(at in 8_usize..400, bit in 0_u8..8) {
        let (_root, spool) = recorded(5);
        let path = segment_path(spool.folder(), spool.stream(), 0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let back = read(spool.folder()).unwrap();
        prop_assert!(back.batches.len() < 5);
        for (_, seq, found) in &back.batches {
            prop_assert_eq!(found, &batch(*seq));
        }
    }
}
