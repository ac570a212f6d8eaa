//! Folders that are removed under their writer.

use std::path::Path;

use super::*;

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

#[test]
fn where_its_place_takes_none_the_folder_is_made_elsewhere() {
    let root = TempDir::new().unwrap();
    let place = root.path().join("root");
    let other = root.path().join("other");
    let mut spool = spool(&place);
    append(&mut spool, 0..2);
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "").unwrap();
    spool.be_quick();
    spool.append(2, &batch(2)).unwrap_err();
    let removed = spool.take_removed().unwrap();
    assert!(removed.goes_on.is_err(), "{removed:?}");
    spool.append(2, &batch(2)).unwrap_err();
    assert_eq!(spool.take_removed(), None, "it is told once");
    let mut spool = spool.with_elsewhere(Some(other.clone()));
    append(&mut spool, 2..3);
    assert!(spool.folder().starts_with(&other));
    assert_eq!(spool.handoff().moved().as_deref(), Some(spool.folder()));
    assert_eq!(seqs(spool.folder()), [0, 1, 2]);
}
