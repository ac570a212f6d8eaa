use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use super::{
    maps::{Image, Images, read},
    *,
};

/// A process of a tree that looks like `/proc`.
fn process(exe: &str, maps: &str) -> (TempDir, Procfs) {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("7");
    fs::create_dir(&folder).unwrap();
    symlink(exe, folder.join("exe")).unwrap();
    fs::write(folder.join("maps"), maps).unwrap();
    let procfs = Procfs::new(root.path());
    (root, procfs)
}

fn image(path: &str, start: u64, offset: u64) -> Image {
    Image {
        path: path.into(),
        start,
        offset,
    }
}

const PYTHON: &str = "\
00400000-0041f000 r--p 00000000 fe:00 7541                               /usr/bin/python3.11
0041f000-006be000 r-xp 0001f000 fe:00 7541                               /usr/bin/python3.11
006be000-008ca000 r--p 002be000 fe:00 7541                               /usr/bin/python3.11
00a3a000-00a84000 rw-p 0063a000 fe:00 7541                               /usr/bin/python3.11
00a84000-00a86000 rw-p 00000000 00:00 0 
01234000-01334000 rw-p 00000000 00:00 0                                  [heap]
7f1000000000-7f1000026000 r--p 00000000 fe:00 99                         /lib/x86_64-linux-gnu/libc.so.6
7f1000026000-7f100017b000 r-xp 00026000 fe:00 99                         /lib/x86_64-linux-gnu/libc.so.6
7f10001cf000-7f10001d1000 rw-p 001cf000 fe:00 99                         /lib/x86_64-linux-gnu/libc.so.6
7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

#[test]
fn the_executable_and_its_libc_are_found() {
    let (_root, procfs) = process("/usr/bin/python3.11", PYTHON);
    let expected = Images {
        executable: Some(image("/usr/bin/python3.11", 0x0040_0000, 0)),
        libcs: vec![image(
            "/lib/x86_64-linux-gnu/libc.so.6",
            0x7f10_0000_0000,
            0,
        )],
    };
    assert_eq!(read(&procfs, 7).unwrap(), Some(expected));
    assert_eq!(read(&procfs, 8).unwrap(), None);
}

#[test]
fn every_name_of_a_libc_is_known() {
    for (name, known) in [
        ("/lib/libc.so.6", true),
        ("/lib/libc-2.31.so", true),
        ("/lib/ld-musl-x86_64.so.1", true),
        ("/lib/libc.musl-x86_64.so.1", true),
        ("/usr/lib/musl/lib/libc.so", true),
        ("/lib/libc.so.6 (deleted)", true),
        ("/a b\\012c/libc.so.6", true),
        ("/lib/libcrypto.so.3", false),
        ("/lib/libc-client.so", false),
        ("/lib/libcap.so.2", false),
        ("/tmp/libc.so.6.txt", false),
        ("[heap]", false),
    ] {
        let maps = format!("10000-20000 r-xp 00000000 fe:00 9   {name}\n");
        let (_root, procfs) = process("/bin/x", &maps);
        let libcs = read(&procfs, 7).unwrap().unwrap().libcs;
        let path = name.replace("\\012", "\n");
        let expected = known.then(|| image(&path, 0x1_0000, 0));
        assert_eq!(libcs, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn a_libc_that_is_mapped_to_be_read_is_not_taken_for_the_one_that_runs() {
    let maps = "\
10000-40000 r--p 00000000 fe:00 9   /lib/libc.so.6
50000-60000 r--p 00000000 fe:00 9   /lib/libc.so.6
60000-70000 r-xp 00010000 fe:00 9   /lib/libc.so.6
80000-90000 r--p 00000000 fe:00 9   /lib/libc.so.6
";
    let (_root, procfs) = process("/bin/x", maps);
    let images = read(&procfs, 7).unwrap().unwrap();
    assert_eq!(images.executable, None);
    assert_eq!(images.libcs, [image("/lib/libc.so.6", 0x5_0000, 0)]);
}

#[test]
fn a_line_that_is_no_mapping_is_told_with_its_number() {
    for line in [
        "x",
        "1-2",
        "1-g r-xp 0 0 0 /x",
        "1-2 r 0 0 0 /x",
        "1-2 r-xp z 0 0 /x",
    ] {
        let (_root, procfs) = process("/bin/x", &format!("1-2 r--p 0 0 0 \n{line}\n"));
        let error = read(&procfs, 7).unwrap_err().to_string();
        assert!(error.contains("maps, line 2: is no mapping"), "{error}");
    }
}

#[test]
fn a_process_that_is_not_there_is_gone_and_is_tried_again_ever_more_rarely() {
    let root = TempDir::new().unwrap();
    let mut reader = Reader::new(Procfs::new(root.path()), 7);
    for _ in 0..50 {
        assert_eq!(reader.look(), Look::Unknown(&Reason::Gone));
    }
    // What is there by now has no memory of a process: that is seen only when it is tried again.
    fs::create_dir(root.path().join("7")).unwrap();
    fs::write(root.path().join("7/mem"), "").unwrap();
    fs::write(root.path().join("7/stat"), "7 (x").unwrap();
    assert_eq!(reader.look(), Look::Unknown(&Reason::Gone));
    // It was tried at the looks 1, 6, 15 and 32.
    let tried = (52..100).find(|_| {
        let looked = reader.look();
        matches!(looked, Look::Unknown(Reason::Unreadable { .. }))
    });
    assert_eq!(tried, Some(65));
}

#[test]
fn what_forbids_it_is_told() {
    let scope = |root: &Path, scope: &str| {
        let folder = root.join("sys/kernel/yama");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ptrace_scope"), scope).unwrap();
    };
    let own = rustix::process::geteuid().as_raw();
    let (root, procfs) = process("/bin/x", "");
    let status = root.path().join("7/status");
    fs::write(
        &status,
        format!("Name:\tx\nUid:\t{own}\t{own}\t{own}\t{own}\n"),
    )
    .unwrap();
    assert_eq!(attach::forbidden(&procfs, 7), Reason::Forbidden);
    scope(root.path(), "1\n");
    assert_eq!(
        attach::forbidden(&procfs, 7),
        Reason::PtraceScope { scope: 1 }
    );
    fs::write(&status, "Uid:\t4242\t4242\t4242\t4242\n").unwrap();
    assert_eq!(
        attach::forbidden(&procfs, 7),
        Reason::OtherUser { uid: 4242 }
    );
}
