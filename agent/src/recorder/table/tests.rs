use std::sync::Arc;

use super::*;
use crate::witness::{Bystander, Scan};

const KEY: ProcessKey = ProcessKey {
    pid: 7,
    start_ticks: 70,
};

fn born(table: &mut Table) {
    let birth = Birth {
        key: KEY,
        parent_pid: 1,
        words: vec!["python".to_owned()],
        is_copy: false,
        is_as_large: None,
    };
    table.born(birth, 5, JobClock::new(0));
}

fn exit(code: i32) -> Ending {
    Ending {
        exit_code: Some(code),
        signal: None,
    }
}

fn killed(signal: i32) -> Ending {
    Ending {
        exit_code: None,
        signal: Some(signal),
    }
}

#[test]
fn who_reaped_a_process_knows_best_how_it_ended() {
    for reaped_first in [true, false] {
        let mut table = Table::default();
        born(&mut table);
        if reaped_first {
            table.reaped(7, 40, exit(3));
        }
        table.exited(KEY, 41, killed(9));
        if !reaped_first {
            table.reaped(7, 42, exit(3));
        }
        let word = table.word_of(KEY);
        assert_eq!((word.exit_code, word.signal), (Some(3), None));
    }
    let mut table = Table::default();
    born(&mut table);
    table.exited(KEY, 41, killed(9));
    table.gone(KEY, 60);
    let word = table.word_of(KEY);
    assert_eq!(
        (word.exit_code, word.signal, word.ended_us),
        (None, Some(9), Some(41)),
        "the end is when it was heard of, not when it was missed"
    );
}

#[test]
fn facts_are_said_and_what_is_not_known_any_more_stays() {
    let mut table = Table::default();
    born(&mut table);
    let facts = Facts {
        cgroup: Some(Arc::from("/ci/job")),
        address_space_limit_bytes: Some(9),
        address_space_peak_bytes: Some(8),
        data_limit_bytes: Some(7),
        oom_score_adj: Some(500),
    };
    table.facts(KEY, facts.clone(), 10);
    let without_cgroup = Facts {
        cgroup: None,
        ..facts
    };
    table.facts(KEY, without_cgroup, 20);
    let word = table.word_of(KEY);
    assert_eq!((word.cgroup.as_str(), word.seen_us), ("/ci/job", 20));
    assert_eq!(
        (
            word.address_space_limit_bytes,
            word.address_space_peak_bytes,
            word.data_limit_bytes,
            word.oom_score_adj
        ),
        (Some(9), Some(8), Some(7), Some(500))
    );
}

fn reading(t_us: i64, largest: &[ProcessKey]) -> RestReading {
    let bystander = |key: &ProcessKey| Bystander {
        key: *key,
        command: "postgres (docker/ab)".to_owned(),
        rss_bytes: 100 << 20,
    };
    let scan = Scan {
        rss_bytes: 200 << 20,
        largest: largest.iter().map(bystander).collect(),
    };
    RestReading { t_us, scan }
}

#[test]
fn a_bystander_is_said_once_and_forgotten_when_it_is_gone() {
    let mut table = Table::default();
    table.bystanders(&reading(10, &[KEY]));
    let word = table.word_of(KEY);
    assert_eq!(
        (word.role(), word.command.as_str()),
        (Role::Other, "postgres (docker/ab)")
    );
    table.bystanders(&reading(20, &[KEY]));
    assert_eq!(table.news().count(), 0);
    table.bystanders(&reading(30, &[]));
    table.forget_the_dead(30 + REMEMBERED_US);
    table.bystanders(&reading(40 + REMEMBERED_US, &[KEY]));
    assert_eq!(table.news().count(), 1, "whoever comes again is said again");
}

#[test]
fn a_bystander_may_turn_out_to_be_of_the_job() {
    let mut table = Table::default();
    table.bystanders(&reading(10, &[KEY]));
    table.bystanders(&reading(20, &[]));
    born(&mut table);
    table.bystanders(&reading(30, &[]));
    let word = table.word_of(KEY);
    assert_eq!(
        (word.role(), word.command.as_str()),
        (Role::Child, "python")
    );
    table.forget_the_dead(30 + REMEMBERED_US);
    assert!(table.was_born(KEY));
}

#[test]
fn of_those_whom_nobody_saw_the_longest_silent_are_forgotten_once_they_were_said() {
    let mut table = Table::default();
    born(&mut table);
    let key = |pid: u32| ProcessKey {
        pid,
        start_ticks: 1,
    };
    let unseen = 100..100 + MOST_UNSEEN as u32 + 10;
    for pid in unseen.clone() {
        let header = Header {
            pid,
            start_ticks: 1,
            ..Header::default()
        };
        table.plugin(&header, pid.into());
    }
    table.forget_the_dead(0);
    assert!(table.has_plugin(key(100)), "it was not said yet");
    for _ in 0..table.batches() {
        for key in table.news().collect::<Vec<_>>() {
            table.word_of(key);
        }
    }
    assert!(!table.has_news());
    table.forget_the_dead(0);
    let kept = unseen.filter(|pid| table.has_plugin(key(*pid)));
    assert!(kept.eq(110..110 + MOST_UNSEEN as u32));
    assert!(table.was_born(KEY));
}

#[test]
fn a_process_lives_from_its_first_sight_to_its_end() {
    let mut table = Table::default();
    assert!(!table.lives(KEY));
    born(&mut table);
    assert!(table.lives(KEY));
    let before = ProcessKey {
        start_ticks: 60,
        ..KEY
    };
    assert!(!table.lives(before), "another had its number");
    table.gone(KEY, 60);
    assert!(!table.lives(KEY));
}
