use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use highwater_wire::v1::mark::What;
use tempfile::TempDir;

use super::*;

const START: i64 = 1_000_000;

fn start() -> JobStart {
    JobStart {
        boot_id: "boot-a".to_owned(),
        monotonic_us: START,
        unix_us: 50_000_000,
    }
}

fn header(pid: u32, start_ticks: u64, boot: &str) -> String {
    format!(
        "H\t1\t{{\"pid\": {pid}, \"start_ticks\": {start_ticks}, \"boot_id\": \"{boot}\", \"monotonic_us\": 7000, \"unix_us\": 50100000}}\n"
    )
}

fn append(folder: &Path, name: &str, text: &[u8]) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(name))
        .unwrap();
    file.write_all(text).unwrap();
}

/// What was told, short: kind of line, process, time.
fn short(told: &[Told]) -> Vec<String> {
    told.iter()
        .map(|told| match told {
            Told::Header(header) => format!("header {}", header.pid),
            Told::Session(key, session) => format!("session {} {}", key.pid, session.session),
            Told::Notice(key, notice) => format!("notice {} {}", key.pid, notice.code),
            Told::Mark(key, mark) => format!("mark {}.{} {}", key.pid, key.start_ticks, mark.t_us),
            Told::Malformed { line, .. } => format!("malformed {line}"),
            Told::Unread { reason } => format!("unread {reason}"),
            Told::OtherBoot(key) => format!("other boot {}", key.pid),
        })
        .collect()
}

/// A look at files of whose processes nothing is known.
fn look(tailer: &mut Tailer, now_us: i64, told: &mut Vec<Told>) -> bool {
    tailer.look(now_us, |_| false, told)
}

#[test]
fn a_file_is_followed_while_it_grows_however_it_is_cut() {
    let folder = TempDir::new().unwrap();
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    let text = format!(
        "{}sb\t1000100\t5\t-\ntb\t1000200\t6\t7\t1\ta.py\ta.py::t\\te\n",
        header(7, 3, "boot-a")
    );
    for byte in text.as_bytes() {
        append(folder.path(), "7.events", &[*byte]);
        assert!(!look(&mut tailer, 0, &mut told));
    }
    assert_eq!(short(&told), ["header 7", "mark 7.3 100", "mark 7.3 200"]);
    let Told::Mark(_, mark) = &told[2] else {
        panic!("{told:?}")
    };
    assert!(matches!(&mark.what, Some(What::TestBegin(test)) if test.nodeid == "a.py::t\te"));
    assert!(tailer.has_file_of(7) && !tailer.has_file_of(8));
}

#[test]
fn what_follows_another_header_is_another_process() {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "{}sb\t1000100\t5\t-\n{}sb\t1000300\t5\t-\n",
        header(7, 3, "boot-a"),
        header(7, 9, "boot-a")
    );
    append(folder.path(), "7.events", text.as_bytes());
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    assert_eq!(
        short(&told),
        ["header 7", "mark 7.3 100", "header 7", "mark 7.9 300"]
    );
}

#[test]
fn another_clock_of_the_same_boot_is_placed_by_the_wall_clock() {
    const HOUR_US: i64 = 3_600_000_000;
    for (monotonic_us, unix_us, expected) in [
        // A time namespace ahead, and one behind.
        (START + 1_000 * HOUR_US, 50_200_000, "mark 7.3 200500"),
        (START - 1_000 * HOUR_US, 50_200_000, "mark 7.3 200500"),
        // A machine that slept, and a clock that was set a little.
        (START + 100_000, 50_000_000 + 9 * HOUR_US, "mark 7.3 100500"),
        (START + 100_000, 20_000_000, "mark 7.3 100500"),
    ] {
        let folder = TempDir::new().unwrap();
        let text = format!(
            "H\t1\t{{\"pid\": 7, \"start_ticks\": 3, \"boot_id\": \"boot-a\", \"monotonic_us\": {monotonic_us}, \"unix_us\": {unix_us}}}\nsb\t{}\t5\t-\n",
            monotonic_us + 500
        );
        append(folder.path(), "7.events", text.as_bytes());
        let mut told = Vec::new();
        let mut tailer = Tailer::new(folder.path(), start());
        tailer.drain(&mut told);
        let told = short(&told);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{told:?}");
    }
}

#[test]
fn another_boot_is_placed_by_the_wall_clock() {
    let folder = TempDir::new().unwrap();
    // Its clock stood at 7,000 µs, 100 ms after the job's start by the wall clock.
    append(
        folder.path(),
        "7.events",
        format!("{}sb\t7500\t5\t-\n", header(7, 3, "boot-b")).as_bytes(),
    );
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    assert_eq!(
        short(&told),
        ["header 7", "other boot 7", "mark 7.3 100500"]
    );
}

#[test]
fn bad_lines_are_named_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(highwater_wire::codec::MAX_LINE_BYTES + 1);
    let text = format!(
        "sb\t1\t2\t3\n{}sb\tsoon\t5\t-\nnew\tkind\n{long}\nN\t{{\"code\": \"c\"}}\n\u{0}\nsb\t1000001\t5\t-\textra\n",
        header(7, 3, "")
    );
    append(folder.path(), "7.events", text.as_bytes());
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    assert_eq!(
        short(&told),
        [
            "malformed 1",
            "header 7",
            "malformed 3",
            "malformed 5",
            "notice 7 c",
            "mark 7.3 1"
        ]
    );
    let Told::Malformed { path, reason, .. } = &told[0] else {
        panic!("{told:?}")
    };
    assert!(
        path.ends_with("7.events") && reason == "stands before any header",
        "{reason}"
    );
}

#[test]
fn a_file_of_an_unknown_version_is_refused_with_one_word() {
    let folder = TempDir::new().unwrap();
    append(
        folder.path(),
        "7.events",
        b"H\t2\t{}\nsb\t1\t2\t3\nsb\t1\t2\t3\n",
    );
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    assert_eq!(short(&told), ["malformed 1"]);
}

#[test]
fn a_quiet_file_is_still_read_to_its_end() {
    let folder = TempDir::new().unwrap();
    append(folder.path(), "7.events", header(7, 3, "boot-a").as_bytes());
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    look(&mut tailer, 0, &mut told);
    look(&mut tailer, QUIET_AFTER_US, &mut told);
    append(
        folder.path(),
        "7.events",
        b"sb\t1000100\t5\t-\nse\t1000200\t5\t-\t0\nhalf a li",
    );
    append(folder.path(), "8.events", header(8, 4, "boot-a").as_bytes());
    tailer.drain(&mut told);
    assert_eq!(
        short(&told),
        ["header 7", "mark 7.3 100", "mark 7.3 200", "header 8"]
    );
}

/// A writer whose end is not known and one that lives, among many that are through.
#[test]
fn what_begins_after_a_long_silence_is_read_with_the_next_block() {
    const BLOCK_US: i64 = 1_000_000;
    for through in [0, 5 * MOST_QUIET] {
        let folder = TempDir::new().unwrap();
        let mut tailer = Tailer::new(folder.path(), start());
        let mut told = Vec::new();
        for pid in 10_000..10_000 + through {
            let text = header(pid as u32, 1, "boot-a");
            append(folder.path(), &format!("{pid}.events"), text.as_bytes());
        }
        let names = ["7.events", "99999.events"];
        append(folder.path(), names[0], header(7, 3, "boot-a").as_bytes());
        append(
            folder.path(),
            names[1],
            header(99_999, 3, "boot-a").as_bytes(),
        );
        let lives = |key: ProcessKey| key.pid == 7;
        let mut now_us = 0;
        let mut look = |tailer: &mut Tailer, told: &mut Vec<Told>| {
            tailer.look(now_us, lives, told);
            now_us += BLOCK_US;
        };
        // Whatever the silence lasts, and wherever the round stands that the others' turns make.
        for silence in 60..70 {
            for _ in 0..silence {
                look(&mut tailer, &mut told);
            }
            told.clear();
            for name in names {
                append(folder.path(), name, b"sb\t1000100\t5\t-\n");
            }
            look(&mut tailer, &mut told);
            assert!(
                short(&told).contains(&"mark 7.3 100".to_owned()),
                "{told:?}"
            );
            // Those of whom nothing is known have their turn within a round.
            let rounds = through / MOST_QUIET + 1;
            for _ in 0..rounds {
                look(&mut tailer, &mut told);
            }
            assert_eq!(told.len(), 2, "{told:?}");
        }
    }
}

#[test]
fn many_that_are_through_cost_few_looks() {
    let folder = TempDir::new().unwrap();
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    for pid in 1..=5 * MOST_QUIET {
        let text = header(pid as u32, 1, "boot-a");
        append(folder.path(), &format!("{pid}.events"), text.as_bytes());
    }
    look(&mut tailer, 0, &mut told);
    for pid in 1..=5 * MOST_QUIET {
        append(
            folder.path(),
            &format!("{pid}.events"),
            b"sb\t1000100\t5\t-\n",
        );
    }
    told.clear();
    let mut read = Vec::new();
    for at in 0..5 {
        let now_us = QUIET_AFTER_US + at * QUIET_EVERY_US;
        look(&mut tailer, now_us, &mut told);
        // One that follows sooner looks at those alone that have just grown.
        look(&mut tailer, now_us + QUIET_EVERY_US - 1, &mut told);
        read.push(told.len());
    }
    assert_eq!(read, [1, 2, 3, 4, 5].map(|turn| turn * MOST_QUIET));
}

#[test]
fn a_file_that_may_not_be_written_any_more_broke_off_and_is_read_to_its_end() {
    let folder = TempDir::new().unwrap();
    append(folder.path(), "7.events", header(7, 3, "boot-a").as_bytes());
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    look(&mut tailer, 0, &mut told);
    append(folder.path(), "7.events", b"sb\t1000100\t5\t-\ntorn");
    let path = folder.path().join("7.events");
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    look(&mut tailer, 0, &mut told);
    tailer.drain(&mut told);
    assert_eq!(
        short(&told),
        ["header 7", "mark 7.3 100", "notice 7 plugin_stopped"]
    );
}

#[test]
fn much_at_once_is_taken_in_pieces() {
    let folder = TempDir::new().unwrap();
    let mut text = header(7, 3, "boot-a");
    let lines = MAX_LOOK_BYTES / 10;
    for at in 0..lines {
        text += &format!("sb\t{}\t5\t-\n", START + at as i64);
    }
    append(folder.path(), "7.events", text.as_bytes());
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    assert!(look(&mut tailer, 0, &mut told));
    assert!(told.len() < lines);
    while look(&mut tailer, 0, &mut told) {}
    assert_eq!(told.len(), lines + 1);
    assert_eq!(short(&told[lines..]), [format!("mark 7.3 {}", lines - 1)]);
}

#[test]
fn a_folder_that_is_removed_is_no_error_and_a_plugin_that_writes_all_again_is_read_on() {
    let folder = TempDir::new().unwrap();
    let events = folder.path().join("events");
    fs::create_dir(&events).unwrap();
    let mut tailer = Tailer::new(&events, start());
    let mut told = Vec::new();
    let begin = format!("{}sb\t1000100\t5\t-\n", header(7, 3, "boot-a"));
    append(&events, "7.events", begin.as_bytes());
    append(&events, "8.events", header(8, 3, "boot-a").as_bytes());
    let whole = format!("{}xx\t1000100\t5\t-\t-\n", header(9, 3, "boot-a"));
    append(&events, "9.events", whole.as_bytes());
    look(&mut tailer, 0, &mut told);
    assert_eq!(tailer.cut_off().count(), 0);
    fs::remove_dir_all(&events).unwrap();
    told.clear();
    look(&mut tailer, 0, &mut told);
    let cut_off = |tailer: &Tailer| tailer.cut_off().map(|key| key.pid).collect::<Vec<_>>();
    assert_eq!(cut_off(&tailer), [7, 8], "9 had left");
    fs::create_dir(&events).unwrap();
    // As it is written again, piece by piece; and another process of a number that was used before.
    for piece in [
        &begin[..20],
        &begin[20..begin.len() - 2],
        &begin[begin.len() - 2..],
    ] {
        append(&events, "7.events", piece.as_bytes());
        look(&mut tailer, 0, &mut told);
        assert!(told.is_empty(), "{told:?}");
    }
    append(&events, "7.events", b"se\t1000200\t5\t-\t0\n");
    let other = format!("{}sb\t1000300\t5\t-\n", header(8, 4, "boot-a"));
    append(&events, "8.events", other.as_bytes());
    tailer.drain(&mut told);
    assert_eq!(short(&told), ["mark 7.3 200", "header 8", "mark 8.4 300"]);
    assert_eq!(cut_off(&tailer), [0; 0]);
}

#[test]
fn a_file_that_came_back_with_less_than_was_read_is_cut_off_until_it_has_it_again() {
    let folder = TempDir::new().unwrap();
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    let begin = format!("{}sb\t1000100\t5\t-\n", header(7, 3, "boot-a"));
    append(folder.path(), "7.events", begin.as_bytes());
    append(folder.path(), "away", begin.as_bytes());
    append(folder.path(), "7.events", b"se\t1000200\t5\t-\t0\n");
    look(&mut tailer, 0, &mut told);
    assert_eq!(tailer.cut_off().count(), 0);
    fs::rename(folder.path().join("away"), folder.path().join("7.events")).unwrap();
    told.clear();
    look(&mut tailer, 0, &mut told);
    assert_eq!(tailer.cut_off().count(), 1);
    append(
        folder.path(),
        "7.events",
        b"se\t1000200\t5\t-\t0\nxx\t1000300\t5\t-\t-\n",
    );
    look(&mut tailer, 0, &mut told);
    assert_eq!(short(&told), ["mark 7.3 300"]);
    assert_eq!(tailer.cut_off().count(), 0);
}

#[test]
fn what_no_server_takes_is_malformed() {
    let folder = TempDir::new().unwrap();
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    let session = |id: &str| format!("S\t{{\"session\": \"{id}\", \"role\": \"pytest\"}}\n");
    let text = [
        header(0, 3, "boot-a"),
        "H\t1\t{\"pid\": 7, \"start_ticks\": 3, \"peak_error_bytes\": 18446744073709551615}\n"
            .to_owned(),
        header(7, 3, "boot-a"),
        session(""),
        session(&"s".repeat(2_000)),
        session("s"),
    ]
    .concat();
    append(folder.path(), "7.events", text.as_bytes());
    assert!(!look(&mut tailer, 0, &mut told));
    let expected = [
        "malformed 1",
        "malformed 2",
        "header 7",
        "malformed 4",
        "malformed 5",
        "session 7 s",
    ];
    assert_eq!(short(&told), expected);
}

#[test]
fn a_mark_that_cannot_be_is_malformed_and_costs_only_itself() {
    let folder = TempDir::new().unwrap();
    let text = [
        header(7, 3, "boot-a"),
        "sb\t99999999999999999\t5\t-\n".to_owned(),
        "sb\t-99999999999999999\t5\t-\n".to_owned(),
        "sb\t1000100\t5\t-\n".to_owned(),
    ]
    .concat();
    append(folder.path(), "7.events", text.as_bytes());
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    let expected = ["header 7", "malformed 2", "malformed 3", "mark 7.3 100"];
    assert_eq!(short(&told), expected);
}

#[test]
fn a_file_that_is_no_plugins_is_left_after_a_while() {
    let folder = TempDir::new().unwrap();
    let sparse = fs::File::create(folder.path().join("1.events")).unwrap();
    sparse.set_len(3 << 30).unwrap();
    for (name, line) in [("2.events", "sb\tx\n"), ("20.events", "?\n")] {
        append(folder.path(), name, line.repeat(1_000_000).as_bytes());
    }
    append(folder.path(), "3.events", header(3, 3, "boot-a").as_bytes());
    let mut tailer = Tailer::new(folder.path(), start());
    let mut told = Vec::new();
    let looks = (1..).find(|_| !tailer.drain(&mut told));
    assert!(looks.unwrap() < 5, "{looks:?}");
    assert_eq!(told.len(), 1 + 1_000 + 1 + 1);
    assert_eq!(short(&told[..2]), ["malformed 1", "malformed 1"]);
    let rest = ["malformed 1000", "malformed 1000", "header 3"];
    assert_eq!(short(&told[1_000..]), rest);
}

#[test]
fn pipes_and_links_are_passed_over() {
    let folder = TempDir::new().unwrap();
    let elsewhere = TempDir::new().unwrap();
    append(elsewhere.path(), "file", header(9, 3, "boot-a").as_bytes());
    let link = folder.path().join("1.events");
    std::os::unix::fs::symlink(elsewhere.path().join("file"), link).unwrap();
    let pipe = folder.path().join("2.events");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    append(folder.path(), "3.events", header(3, 3, "boot-a").as_bytes());
    let mut told = Vec::new();
    look(&mut Tailer::new(folder.path(), start()), 0, &mut told);
    assert_eq!(short(&told), ["header 3"]);
}
