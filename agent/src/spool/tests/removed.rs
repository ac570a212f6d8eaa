//! Folders that are removed under their writer.

use std::{
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use super::*;
use crate::spool::removed::SETTLES;

fn spool(root: &Path) -> Spool {
    Spool::create(root, &job(), Uuid::now_v7()).unwrap()
}

fn append(spool: &mut Spool, seqs: std::ops::Range<u64>) {
    for seq in seqs {
        spool.append(seq, &batch(seq)).unwrap();
    }
}

fn seqs(folder: &Path) -> Vec<u64> {
    let recorded = read(folder).unwrap();
    let seqs = recorded.batches.into_iter().map(|(_, seq, _)| seq);
    seqs.collect()
}

#[test]
fn a_folder_that_was_removed_is_made_anew_once_whoever_removes_it_is_through() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(&root.path().join("root"));
    append(&mut spool, 0..3);
    fs::remove_dir_all(root.path().join("root")).unwrap();
    let left_alone = spool.append(3, &batch(3)).unwrap_err();
    assert!(matches!(left_alone, SpoolError::Removed(_)), "{left_alone}");
    assert!(!root.path().join("root").exists());
    assert_eq!(spool.take_removed(), None);
    spool.be_quick();
    append(&mut spool, 3..5);
    let folder = spool.folder().to_path_buf();
    assert_eq!(
        spool.take_removed(),
        Some(Removed {
            folder: folder.clone(),
            missing: 0,
            goes_on: Ok(folder.clone()),
            lacks_events: false,
            is_cut: false,
        })
    );
    assert_eq!(seqs(&folder), [0, 1, 2, 3, 4]);
    assert!(is_locked(&folder) && spool.events().is_dir());
    append(&mut spool, 5..6);
    assert_eq!(spool.take_removed(), None);
}

#[test]
fn what_no_server_has_of_closed_segments_is_missing_and_no_number_is_given_again() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    append(&mut spool, 0..150);
    spool.handoff().set_acknowledged(100);
    fs::remove_dir_all(spool.folder()).unwrap();
    spool.be_quick();
    append(&mut spool, 150..151);
    assert_eq!(spool.take_removed().unwrap().missing, 28);
    assert!(seqs(spool.folder()).into_iter().eq(128..151));
}

#[test]
fn a_segment_that_alone_was_removed_or_replaced_is_written_again() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    append(&mut spool, 0..70);
    let path = segment_path(spool.folder(), spool.stream(), 1);
    fs::rename(&path, root.path().join("elsewhere")).unwrap();
    fs::write(&path, "something else").unwrap();
    spool.be_quick();
    append(&mut spool, 70..71);
    assert_eq!(spool.take_removed().unwrap().missing, 0);
    assert!(seqs(spool.folder()).into_iter().eq(0..71));
    assert!(is_locked(spool.folder()));
}

/// What somebody puts where a folder stood.
fn puts(what: &str, place: &Path) {
    match what {
        "a file" => fs::write(place, "").unwrap(),
        "a link to itself" => symlink(place, place).unwrap(),
        _ => symlink("nowhere", place).unwrap(),
    }
}

#[test]
fn where_its_place_takes_none_the_folder_is_made_elsewhere() {
    for what in ["a file", "a link to itself", "a link to nowhere"] {
        for is_root in [true, false] {
            goes_elsewhere(what, is_root);
        }
    }
}

fn goes_elsewhere(what: &str, is_root: bool) {
    let root = TempDir::new().unwrap();
    let place = root.path().join("root");
    let other = root.path().join("other");
    let mut spool = spool(&place);
    let name = spool.folder().file_name().unwrap().to_owned();
    let taken = if is_root { &place } else { spool.folder() }.to_path_buf();
    append(&mut spool, 0..2);
    fs::remove_dir_all(&taken).unwrap();
    puts(what, &taken);
    spool.be_quick();
    spool.append(2, &batch(2)).unwrap_err();
    let removed = spool.take_removed().unwrap();
    assert!(
        removed.goes_on.is_err() && removed.lacks_events,
        "{what}: {removed:?}"
    );
    spool.append(2, &batch(2)).unwrap_err();
    assert_eq!(spool.take_removed(), None, "it is told once");
    let mut spool = spool.with_elsewhere(Some(other.clone()));
    append(&mut spool, 2..3);
    assert!(spool.folder().starts_with(&other));
    assert_eq!(spool.handoff().moved().as_deref(), Some(spool.folder()));
    assert_eq!(seqs(spool.folder()), [0, 1, 2]);
    assert!(spool.take_removed().unwrap().lacks_events);
    // The plugin still writes to where it was told to.
    assert!(!spool.events().exists());
    fs::remove_file(&taken).unwrap();
    append(&mut spool, 3..4);
    assert!(place.join(&name).join("events").is_dir());
    assert!(!place.join(&name).join("job").exists());
}

#[test]
fn what_is_removed_is_left_alone_for_a_while_and_then_made_anew() {
    let root = TempDir::new().unwrap();
    let now = Instant::now();
    let (before, after) = (now + SETTLES - Duration::from_nanos(1), now + SETTLES);
    let mut spool = spool(root.path());
    fs::remove_dir_all(spool.folder()).unwrap();
    for at in [now, before] {
        let left_alone = spool.append_at(at, 0, &batch(0)).unwrap_err();
        assert!(matches!(left_alone, SpoolError::Removed(_)), "{left_alone}");
        assert!(!spool.folder().exists());
    }
    spool.append_at(after, 0, &batch(0)).unwrap();
    assert_eq!(seqs(spool.folder()), [0]);
    assert!(spool.folder().join("events").is_dir());
}

#[test]
fn what_alone_was_removed_beside_the_segment_is_made_again() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    let mut now = Instant::now();
    let mut seqs = 0..;
    for name in ["lock", "job", "events"] {
        let path = spool.folder().join(name);
        drop(fs::remove_file(&path));
        drop(fs::remove_dir(&path));
        let mut append = |now| {
            let seq = seqs.next().unwrap();
            spool.append_at(now, seq, &batch(seq)).unwrap();
        };
        append(now);
        assert!(!path.exists(), "{name} is left alone");
        now += SETTLES;
        append(now);
        assert!(path.exists(), "{name} is there again");
    }
    assert!(is_locked(spool.folder()) && is_job(spool.folder()));
    assert_eq!(spool.take_removed(), None);
}

#[test]
fn a_lock_that_somebody_else_holds_is_not_taken_for_the_own() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    append(&mut spool, 0..1);
    fs::remove_dir_all(spool.folder()).unwrap();
    fs::create_dir(spool.folder()).unwrap();
    let other = lock(spool.folder()).unwrap();
    spool.be_quick();
    let busy = spool.append(1, &batch(1)).unwrap_err();
    assert!(matches!(busy, SpoolError::Busy(_)), "{busy}");
    drop(other);
    append(&mut spool, 1..2);
    assert_eq!(seqs(spool.folder()), [0, 1]);
    assert!(is_locked(spool.folder()));
}

#[test]
fn a_segment_that_cannot_be_written_again_sends_nothing_elsewhere() {
    let root = TempDir::new().unwrap();
    let other = root.path().join("other");
    let mut spool = spool(&root.path().join("root")).with_elsewhere(Some(other.clone()));
    append(&mut spool, 0..1);
    let path = segment_path(spool.folder(), spool.stream(), 0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    spool.be_quick();
    spool.append(1, &batch(1)).unwrap_err();
    assert!(spool.take_removed().unwrap().goes_on.is_err());
    assert!(!other.exists());
    fs::remove_dir(&path).unwrap();
    append(&mut spool, 1..2);
    assert_eq!(seqs(spool.folder()), [0, 1]);
}

#[test]
fn a_segment_that_was_cut_is_written_again_with_what_is_left_and_what_it_lost_is_told() {
    // To nothing, within the first bytes, to where the third record begins, and within that.
    type Case = (fn(u64) -> u64, std::ops::Range<u64>, u64);
    let cases: [Case; 4] = [
        (|_| 0, 0..0, 3),
        (|_| 3, 0..0, 3),
        (|two| two, 0..2, 2),
        (|two| two + 5, 0..2, 2),
    ];
    for (length, there, missing) in cases {
        let root = TempDir::new().unwrap();
        let mut spool = spool(root.path());
        let path = segment_path(spool.folder(), spool.stream(), 0);
        append(&mut spool, 0..2);
        let two = fs::metadata(&path).unwrap().len();
        append(&mut spool, 2..4);
        spool.handoff().set_acknowledged(1);
        let mut reader = SegmentReader::open(&path).unwrap();
        while reader.next_record().unwrap().is_some() {}
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).open(&path).unwrap();
        file.set_len(length(two)).unwrap();
        append(&mut spool, 4..5);
        let removed = spool.take_removed().unwrap();
        assert!(removed.is_cut && removed.goes_on.is_ok(), "{removed:?}");
        assert_eq!(removed.missing, missing);
        assert!(seqs(spool.folder()).into_iter().eq(there.chain(4..5)));
        // Who had read it goes on behind what was read.
        let mut reader = SegmentReader::resume(&path, reader.place()).unwrap();
        assert_eq!(reader.next_record().unwrap().unwrap().seq, 4);
        append(&mut spool, 5..6);
        assert_eq!(spool.take_removed(), None);
    }
}

#[test]
fn of_closed_segments_that_were_cut_what_no_server_has_is_missing() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    append(&mut spool, 0..150);
    spool.handoff().set_acknowledged(100);
    for segment in segments(spool.folder()).unwrap() {
        fs::write(segment.path, "").unwrap();
    }
    append(&mut spool, 150..151);
    assert_eq!(spool.take_removed().unwrap().missing, 50);
    assert_eq!(seqs(spool.folder()), [150]);
}

#[test]
fn a_segment_without_its_first_bytes_is_read_and_known_to_be_damaged() {
    let root = TempDir::new().unwrap();
    let mut spool = spool(root.path());
    append(&mut spool, 0..2);
    let path = segment_path(spool.folder(), spool.stream(), 0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[MAGIC.len()..]).unwrap();
    let recorded = read(spool.folder()).unwrap();
    assert_eq!((recorded.batches.len(), recorded.skipped), (2, 1));
}
