use std::{fs, io, path::Path};

use highwater_wire::{
    mask,
    v1::{Batch, Process},
};
use tempfile::TempDir;

use super::*;

/// A tree of real files that looks like `/proc`.
fn tree(files: &[(&str, &str)]) -> (TempDir, Procfs) {
    let root = TempDir::new().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let procfs = Procfs::new(root.path());
    (root, procfs)
}

/// `stat` of a process, as the kernel writes it.
fn stat_line(
    pid: u32,
    comm: &str,
    state: char,
    parent: u32,
    start: u64,
    exit_signal: i32,
) -> String {
    let before = "1 1 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0";
    let after = "3133440 394 18446744073709551615 1 1 1 1 1 0 0 0 0 0 0 0";
    format!("{pid} ({comm}) {state} {parent} {before} {start} {after} {exit_signal} 0 0 0 0 0\n")
}

#[test]
fn the_name_of_a_program_may_hold_anything() {
    for comm in ["cat", "a b", "a) R 1 (b", "((", "))", "tab\tnew\nline"] {
        let (_root, procfs) = tree(&[("7/stat", &stat_line(7, comm, 'S', 3, 819_411, 17))]);
        let stat = procfs.stat(7, &mut Vec::new()).unwrap().unwrap();
        let expected = Stat {
            comm: comm.to_owned(),
            state: 'S',
            parent_pid: 3,
            group: 1,
            start_ticks: 819_411,
            is_thread: false,
            exit_status: 0,
        };
        assert_eq!(stat, expected);
    }
}

#[test]
fn the_status_of_the_dead_is_the_52nd_field() {
    let fields = |last: &str| {
        let middle: Vec<_> = (5..52)
            .map(|field| {
                if field == 38 {
                    "17".to_owned()
                } else {
                    field.to_string()
                }
            })
            .collect();
        format!("7 (z) Z 3 {} {last}\n", middle.join(" "))
    };
    for (text, status) in [(fields("9"), 9), (fields("1792"), 7 << 8), (fields(""), 0)] {
        let (_root, procfs) = tree(&[("7/stat", &text)]);
        let stat = procfs.stat(7, &mut Vec::new()).unwrap().unwrap();
        assert_eq!(stat.exit_status, status, "{text}");
    }
}

#[test]
fn threads_and_the_dead_are_told_apart() {
    let (_root, procfs) = tree(&[
        ("7/stat", &stat_line(7, "t", 'S', 3, 1, -1)),
        ("8/stat", &stat_line(8, "z", 'Z', 3, 1, 17)),
    ]);
    assert!(procfs.stat(7, &mut Vec::new()).unwrap().unwrap().is_thread);
    assert!(procfs.stat(8, &mut Vec::new()).unwrap().unwrap().is_dead());
}

#[test]
fn own_stat_is_what_the_system_says() {
    let own = std::process::id();
    let stat = Procfs::system()
        .stat(own, &mut Vec::new())
        .unwrap()
        .unwrap();
    assert_eq!(stat.parent_pid, std::os::unix::process::parent_id());
    assert!(!stat.is_thread && stat.start_ticks > 0);
    let thread = std::thread::spawn(|| {
        let tid = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
        Procfs::system()
            .stat(tid, &mut Vec::new())
            .unwrap()
            .unwrap()
    });
    assert!(thread.join().unwrap().is_thread);
}

#[test]
fn gone_is_no_error_and_every_error_says_where() {
    let (root, procfs) = tree(&[
        ("7/stat", "7 cat S"),
        ("8/status", "Name: x\nVmHWM: much\n"),
    ]);
    let mut buffer = Vec::new();
    assert_eq!(procfs.stat(9, &mut buffer).unwrap(), None);
    assert_eq!(procfs.status(9, &mut buffer).unwrap(), None);
    assert!(procfs.open_statm(9, 4096).unwrap().is_none());
    assert_eq!(procfs.words(9, &mut buffer).unwrap(), Vec::<String>::new());
    let root = root.path().display();
    assert_eq!(
        procfs.stat(7, &mut buffer).unwrap_err().to_string(),
        format!("failed to understand {root}/7/stat, line 1: has no `(`")
    );
    assert_eq!(
        procfs.status(8, &mut buffer).unwrap_err().to_string(),
        format!("failed to understand {root}/8/status, line 2: VmHWM has no number that fits")
    );
}

#[test]
fn a_process_that_ends_between_two_reads_is_gone() {
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let procfs = Procfs::system();
    let statm = procfs.open_statm(child.id(), 4096).unwrap().unwrap();
    assert!(statm.read().unwrap().unwrap().resident_bytes > 0);
    child.kill().unwrap();
    let zombie = procfs.path_of(child.id(), "stat");
    while !fs::read_to_string(&zombie).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(statm.read().unwrap(), None, "a zombie has no memory");
    child.wait().unwrap();
    assert_eq!(
        statm.read().unwrap(),
        None,
        "a reaped process answers ESRCH"
    );
}

#[test]
fn statm_is_counted_in_pages() {
    let (_root, procfs) = tree(&[
        ("7/statm", "765 394 372 5 0 90 0\n"),
        ("8/statm", "0 0 0 0 0 0 0\n"),
        ("9/statm", "1 2\n"),
    ]);
    let read = |pid| procfs.open_statm(pid, 4096).unwrap().unwrap().read();
    let expected = Statm {
        size_bytes: 765 * 4096,
        resident_bytes: 394 * 4096,
        anon_bytes: 22 * 4096,
        text_bytes: 5 * 4096,
    };
    assert_eq!(read(7).unwrap(), Some(expected));
    assert_eq!(read(8).unwrap(), None);
    assert!(
        read(9)
            .unwrap_err()
            .to_string()
            .ends_with("line 1: has no four numbers that fit")
    );
}

#[test]
fn status_and_rollup_are_in_kib() {
    let (_root, procfs) = tree(&[
        (
            "7/status",
            "Name:\tVmHWM: 1\nVmHWMx: 9\nVmPeak:\t 9000 kB\nVmHWM:\t  1740 kB\nVmSwap:\t 12 kB\n",
        ),
        (
            "7/smaps_rollup",
            "55-66 ---p [rollup]\nRss: 9 kB\nPss: 8 kB\nPss_Dirty: 3 kB\nSwap: 2 kB\nSwapPss: 1 kB\n",
        ),
        ("8/smaps_rollup", ""),
        ("9/smaps_rollup", "Rss: 9 kB\n"),
    ]);
    let mut buffer = Vec::new();
    let status = Status {
        high_water_bytes: 1740 << 10,
        swap_bytes: 12 << 10,
        address_space_peak_bytes: 9000 << 10,
    };
    assert_eq!(procfs.status(7, &mut buffer).unwrap(), Some(status));
    let rollup = Rollup {
        rss_bytes: 9 << 10,
        pss_bytes: 8 << 10,
        swap_bytes: 2 << 10,
    };
    assert_eq!(procfs.rollup(7, &mut buffer).unwrap(), Some(rollup));
    assert_eq!(procfs.rollup(8, &mut buffer).unwrap(), None);
    assert!(
        procfs
            .rollup(9, &mut buffer)
            .unwrap_err()
            .to_string()
            .ends_with("no line says Pss")
    );
}

#[test]
fn the_limits_of_memory_are_the_soft_ones() {
    let limits = |data: &str, space: &str| {
        format!(
            "Limit                     Soft Limit           Hard Limit           Units     \nMax cpu time              9                    9                    seconds   \nMax data size             {data}           unlimited            bytes     \nMax address space         {space}           unlimited            bytes     \n"
        )
    };
    let read = |text: &str| {
        let (_root, procfs) = tree(&[("7/limits", text)]);
        let limits = procfs.memory_limits(7, &mut Vec::new()).unwrap();
        (limits.data_bytes, limits.address_space_bytes)
    };
    let both = read(&limits("1048576", "314572800"));
    assert_eq!(both, (Some(1_048_576), Some(314_572_800)));
    assert_eq!(read(&limits("unlimited", "unlimited")), (None, None));
    let more_than_there_is = "9223372036854775807";
    assert_eq!(read(&limits(more_than_there_is, "9")), (None, Some(9)));
    assert_eq!(read(""), (None, None));
    let (_root, procfs) = tree(&[]);
    assert_eq!(
        procfs.memory_limits(7, &mut Vec::new()).unwrap(),
        MemoryLimits::default()
    );
}

#[test]
fn children_of_every_thread_are_found() {
    let (_root, procfs) = tree(&[
        ("7/task/7/children", "8 9 "),
        ("7/task/11/children", "12 "),
        ("7/task/13/children", ""),
    ]);
    let mut found = Vec::new();
    procfs.children(7, &mut Vec::new(), &mut found).unwrap();
    found.sort_unstable();
    assert_eq!(found, [8, 9, 12]);
    assert!(procfs.has_children_files(7));
    procfs.children(99, &mut Vec::new(), &mut found).unwrap();
    assert_eq!(found.len(), 3);
}

#[test]
fn only_numbers_are_processes() {
    let (_root, procfs) = tree(&[
        ("7/stat", ""),
        ("12/stat", ""),
        ("self/stat", ""),
        ("meminfo", ""),
        ("4x/stat", ""),
    ]);
    let mut pids = procfs.pids().unwrap();
    pids.sort_unstable();
    assert_eq!(pids, [7, 12]);
}

#[test]
fn commands_are_kept_as_words_and_shown_as_a_line() {
    let (_root, procfs) = tree(&[("7/cmdline", "sh\0-c\0echo 'a b'\0\0"), ("8/cmdline", "")]);
    let words = procfs.words(7, &mut Vec::new()).unwrap();
    assert_eq!(words, ["sh", "-c", "echo 'a b'", ""]);
    assert_eq!(command_line(&words), r"sh -c 'echo '\''a b'\''' ''");
    assert_eq!(command_line(&["'".repeat(4_000)]).len(), 4_000);
    assert_eq!(
        procfs.words(8, &mut Vec::new()).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn a_command_line_says_no_secret_and_stays_as_it_is_in_a_batch() {
    for (words, expected) in [
        ("mysql|-uroot|-pP W|db", "mysql -uroot '-p***' db"),
        ("curl|-u|me:P W|https://h", "curl -u 'me:***' https://h"),
        ("x|--password|--PW|--quiet", "x --password '***' --quiet"),
        (
            "sh|-c|mysql -p'P W' db && x --token='P W' --dsn //u:PW@h/d",
            r"sh -c 'mysql -p'\''***'\'' db && x --token='\''***'\'' --dsn //u:***@h/d'",
        ),
        (
            r#"sh|-c|curl -H 'X-Api-Key: P W' -d '{"token": "P W"}' -u 'me:P W'"#,
            r#"sh -c 'curl -H '\''X-Api-Key: ***'\'' -d '\''{"token": "***"}'\'' -u '\''me:***'\'''"#,
        ),
        (
            "docker|run|--user=node:app|-p|80:80|x",
            "docker run --user=node:app -p 80:80 x",
        ),
    ] {
        let words: Vec<String> = words.split('|').map(str::to_owned).collect();
        let line = command_line(&words);
        assert_eq!(line, expected);
        let mut batch = Batch {
            processes: vec![Process {
                command: line.clone(),
                ..Process::default()
            }],
            ..Batch::default()
        };
        mask::batch(&mut batch);
        assert_eq!(batch.processes[0].command, line, "it is masked again");
    }
}

#[test]
fn the_machine_says_what_it_can() {
    let (root, procfs) = tree(&[
        (
            "meminfo",
            "MemTotal: 100 kB\nMemAvailable: 60 kB\nSwapTotal: 10 kB\nSwapFree: 7 kB\n",
        ),
        ("vmstat", "nr_free_pages 1\noom_kill_x 5\noom_kill 3\n"),
        (
            "pressure/memory",
            "some avg10=1.25 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.07 avg60=0 avg300=0 total=0\n",
        ),
    ]);
    let machine = procfs.open_machine().unwrap();
    let mut buffer = Vec::new();
    let all = MachineReading {
        total_bytes: Some(100 << 10),
        available_bytes: Some(60 << 10),
        swap_total_bytes: Some(10 << 10),
        swap_used_bytes: Some(3 << 10),
        oom_kills: Some(3),
        psi_some: Some(125),
        psi_full: Some(7),
    };
    assert_eq!(machine.read(&mut buffer).unwrap(), all);
    // Read again from the begin, after it changed.
    fs::write(root.path().join("vmstat"), "oom_kill 4\n").unwrap();
    assert_eq!(machine.read(&mut buffer).unwrap().oom_kills, Some(4));

    // Far behind, and cut off by the end of a piece.
    for before in [3_000, 3_060, 3_065, 3_071, 9_000] {
        let others = format!("nr_other {}\n", "1".repeat(before - 10));
        fs::write(
            root.path().join("vmstat"),
            others + "oom_kill 12345\nrest 1\n",
        )
        .unwrap();
        let oom_kills = machine.read(&mut buffer).unwrap().oom_kills;
        assert_eq!(oom_kills, Some(12_345), "{before}");
    }

    let (_root, procfs) = tree(&[("meminfo", "MemTotal: 100 kB\n")]);
    let reading = procfs.open_machine().unwrap().read(&mut buffer).unwrap();
    let little = MachineReading {
        total_bytes: Some(100 << 10),
        ..MachineReading::default()
    };
    assert_eq!(reading, little);
}

#[test]
fn the_newest_number_is_the_last_field() {
    let (root, procfs) = tree(&[("loadavg", "0.02 0.11 0.08 1/92 12062\n")]);
    let births = procfs.open_births().unwrap();
    assert_eq!(births.newest().unwrap(), 12_062);
    fs::write(root.path().join("loadavg"), "0.02 0.11 0.08 1/92 \n").unwrap();
    assert!(births.newest().is_err());
}

#[test]
fn the_newest_number_of_the_system_is_a_fresh_childs() {
    let births = Procfs::system().open_births().unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let newest = births.newest().unwrap();
    child.wait().unwrap();
    // Others are born meanwhile; numbers may begin anew.
    assert!(
        newest >= child.id() || newest < child.id() / 2,
        "{newest} after {}",
        child.id()
    );
}

#[test]
fn ignored_signals_are_a_mask() {
    assert_eq!(
        ignored_signals("SigBlk:\t0\nSigIgn:\t0000000000001006\n"),
        Some(0x1006)
    );
    assert_eq!(ignored_signals("Name:\tx\n"), None);
}

#[test]
fn what_is_forbidden_is_known_as_such() {
    let error = ProcError::io(
        Path::new("/proc/1/smaps_rollup"),
        io::Error::from(io::ErrorKind::PermissionDenied),
    );
    assert!(error.is_forbidden());
    assert!(!ProcError::malformed(Path::new("/x"), 1, "y").is_forbidden());
}

#[test]
fn the_innermost_number_is_told_where_there_is_one() {
    let (_root, procfs) = tree(&[
        ("7/status", "Name:\tx\nNSpid:\t7\t3\t1\nNSpgid:\t9\t8\n"),
        ("8/status", "Name:\tx\nNSpid:\t8\n"),
        ("9/status", "Name:\tx\n"),
    ]);
    let numbers = [7, 8, 9, 10].map(|pid| procfs.innermost_pid(pid, &mut Vec::new()));
    assert_eq!(numbers, [Some(1), None, None, None]);
}

#[test]
fn a_size_that_fits_no_number_of_bytes_is_told_and_not_wrapped() {
    let most = u64::MAX;
    let (_root, procfs) = tree(&[
        ("meminfo", &format!("MemTotal: {most} kB\n")),
        ("7/statm", &format!("{most} 1 1 1 0 1 0\n")),
        ("7/status", &format!("VmHWM: {most} kB\n")),
        ("7/smaps_rollup", &format!("Pss: {most} kB\n")),
    ]);
    let mut buffer = Vec::new();
    let machine = procfs.open_machine().unwrap().read(&mut buffer);
    let statm = procfs.open_statm(7, 4096).unwrap().unwrap().read();
    let told = [
        machine.unwrap_err(),
        statm.unwrap_err(),
        procfs.status(7, &mut buffer).unwrap_err(),
        procfs.rollup(7, &mut buffer).unwrap_err(),
    ];
    for error in told {
        assert!(error.to_string().contains("fit"), "{error}");
    }
}

#[test]
fn a_share_of_time_that_fits_no_number_is_none() {
    let (_root, procfs) = tree(&[
        ("meminfo", ""),
        (
            "pressure/memory",
            "some avg10=18446744073709551615.00 avg60=0.00\n",
        ),
    ]);
    let machine = procfs.open_machine().unwrap();
    let reading = machine.read(&mut Vec::new()).unwrap();
    assert_eq!(reading.psi_some, None);
}
