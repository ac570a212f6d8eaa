//! A sink that takes nothing, for a while or for ever.

use std::collections::BTreeSet;

use highwater_wire::marks::{Header, SessionLine};

use super::*;

#[test]
fn a_disk_that_is_full_for_a_while_loses_nothing() {
    let mut scene = scene(2);
    scene.born(7, 1, "sh", 5);
    while let Ok(Message::Seen(seen)) = scene.recorder.messages.try_recv() {
        scene.recorder.see(seen);
    }
    for _ in 0..3 {
        scene.recorder.flush(false);
    }
    let recorded = scene.finish();
    assert_eq!((recorded.batches, recorded.warnings.len()), (4, 0));
    assert_eq!(recorded.sink.kept[0].processes.len(), 1);
    assert_eq!(notices(&recorded.sink.kept)["spool_failed"], 2);
}

#[test]
fn what_a_disk_that_stays_full_did_not_take_is_handed_back_with_its_numbers() {
    let scene = scene(usize::MAX);
    scene.born(7, 1, "sh", 5);
    let recorded = scene.finish();
    assert_eq!((recorded.sink.kept.len(), recorded.batches), (0, 1));
    let [(0, batch)] = recorded.unwritten.as_slice() else {
        panic!("{recorded:?}")
    };
    assert_eq!(batch.processes[0].command, "sh");
    assert_eq!(recorded.warnings, Vec::<String>::new());
}

#[test]
fn marks_that_end_with_the_file_they_stood_in_are_told_as_missing() {
    let mut scene = scene(0);
    scene.write(7, &header(7));
    scene.write(8, &format!("{}xx\t5\t5\t-\t-\n", header(8)));
    scene.recorder.look(false);
    for pid in [7, 8] {
        let path = scene.folder.path().join(format!("{pid}.events"));
        std::fs::remove_file(path).unwrap();
    }
    let recorded = scene.finish();
    assert_eq!(notices(&recorded.sink.kept)["marks_missing"], 1);
}

#[test]
fn what_waits_in_memory_loses_its_oldest_fine_samples_first_and_says_so() {
    let mut scene = scene(100);
    let values: Vec<u64> = (0..20).map(|tick| (tick % 7) << 30).collect();
    for second in 0..60 {
        let columns = (0..400).map(|pid| Column {
            key: key(pid + 1),
            first: 0,
            rss: values.clone(),
            anon: values.clone(),
        });
        let block = GridBlock {
            t_us: (0..20)
                .map(|tick| second * 1_000_000 + tick * 50_000)
                .collect(),
            lateness_us: vec![0; 20],
            columns: columns.collect(),
        };
        scene.recorder.see(Seen::Grid(block));
        scene.recorder.flush(false);
    }
    let recorded = scene.finish();
    let batches: Vec<_> = recorded.unwritten.iter().map(|(_, batch)| batch).collect();
    let ticks: Vec<_> = batches
        .iter()
        .flat_map(|batch| &batch.samples)
        .map(|samples| samples.t_us_delta.len())
        .collect();
    let thin = ticks.iter().take_while(|ticks| **ticks == 1).count();
    assert!(thin > 10 && thin < 60, "{ticks:?}");
    assert!(ticks[thin..].iter().all(|ticks| *ticks == 20), "{ticks:?}");
    let told = batches.iter().flat_map(|batch| &batch.notices);
    let told = told.filter(|notice| notice.code == "samples_thinned");
    assert_eq!(told.map(|notice| notice.count).sum::<u64>(), thin as u64);
}

fn session(number: usize, bytes: usize) -> SessionLine {
    SessionLine {
        session: format!("s{number}"),
        role: "controller".to_owned(),
        root: "x".repeat(bytes),
        ..SessionLine::default()
    }
}

#[test]
fn sessions_that_nobody_takes_are_not_said_for_ever() {
    let mut scene = scene(100);
    for number in 0..600 {
        let line = session(number, 8_000);
        scene.recorder.sessions.joined(key(7), line);
    }
    // Each of these weighs about 4 MB.
    for _ in 0..20 {
        scene.recorder.sessions.say_all_again();
        scene.recorder.flush(false);
    }
    let recorded = scene.finish();
    assert!(recorded.batches <= 22, "{} batches", recorded.batches);
    assert!(
        recorded.warnings[0].contains("are lost"),
        "{:?}",
        recorded.warnings
    );
}

#[test]
fn processes_that_one_batch_cannot_hold_are_all_said() {
    let mut scene = scene(0);
    let all = 1..=20_000;
    for pid in all.clone() {
        let header = Header {
            pid,
            start_ticks: 1,
            ..Header::default()
        };
        scene.recorder.table.plugin(&header, 5);
    }
    let recorded = scene.finish();
    assert_eq!(recorded.unwritten.len(), 0, "a batch was refused");
    let batches = recorded.sink.kept.iter();
    let said: BTreeSet<u32> = batches
        .flat_map(|batch| &batch.processes)
        .filter(|process| process.exact.is_some())
        .map(|process| process.pid)
        .collect();
    assert!(said.into_iter().eq(all));
}

#[test]
fn sessions_that_one_batch_cannot_hold_are_all_said_at_the_end() {
    let mut scene = scene(0);
    for number in 0..1_600 {
        let line = session(number, 0);
        scene.recorder.sessions.joined(key(7), line);
    }
    let recorded = scene.finish();
    let sizes = recorded.sink.kept.iter().map(|batch| batch.sessions.len());
    assert!(sizes.eq([500, 500, 500, 100]));
}

#[test]
fn what_does_not_fit_into_memory_is_thrown_away_and_everything_said_again() {
    let mut scene = scene(230);
    scene.born(7, 1, "sh", 5);
    while let Ok(Message::Seen(seen)) = scene.recorder.messages.try_recv() {
        scene.recorder.see(seen);
    }
    scene.recorder.flush(false);
    let mark = v1::Mark {
        what: Some(What::TestBegin(v1::TestBegin {
            nodeid: "x".repeat(15_000),
            ..v1::TestBegin::default()
        })),
        ..v1::Mark::default()
    };
    for _ in 0..229 {
        scene.recorder.gathered.marks = vec![(key(7), mark.clone()); 20];
        scene.recorder.flush(false);
    }
    let recorded = scene.finish();
    assert!(notices(&recorded.sink.kept).contains_key("batches_lost"));
    let known = recorded
        .sink
        .kept
        .iter()
        .flat_map(|batch| &batch.processes)
        .any(|process| process.command == "sh");
    assert!(known, "the word that was thrown away is said again");
}
