use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;

/// A `/proc/7` and hierarchies of real files below one folder; `{root}` in the files stands for that folder.
fn system(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> (TempDir, Cgroups) {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("{root}", root.path().to_str().unwrap())).unwrap();
    };
    write("proc/7/cgroup", cgroup);
    write("proc/7/mountinfo", mountinfo);
    for (name, text) in files {
        write(name, text);
    }
    let cgroups = Cgroups::of(&Procfs::new(root.path().join("proc")), 7).unwrap();
    (root, cgroups)
}

fn readings(cgroups: &Cgroups) -> Vec<(String, CgroupReading)> {
    let mut buffer = Vec::new();
    let read = |level: &Level| (level.name().to_owned(), level.read(&mut buffer).unwrap());
    cgroups.levels().iter().map(read).collect()
}

const MOUNT_TWO: &str = "30 20 0:26 / {root}/cg rw - cgroup2 cgroup2 rw,nsdelegate\n";
const MOUNT_ONE: &str = "31 20 0:27 / {root}/memory rw - cgroup cgroup rw,memory\n32 20 0:28 / {root}/cpu rw - cgroup cgroup rw,cpu\n";

#[test]
fn without_a_limit_only_usage_is_read_but_in_full() {
    let (_root, cgroups) = system(
        "0::/a/b\n",
        MOUNT_TWO,
        &[
            ("cg/a/b/memory.current", "1000\n"),
            ("cg/a/b/memory.stat", "inactive_file 300\n"),
            ("cg/a/b/memory.max", "max\n"),
            ("cg/a/b/memory.peak", "2000\n"),
            ("cg/a/memory.current", "1500\n"),
            ("cg/a/memory.stat", "inactive_file 400\n"),
            ("cg/a/memory.max", "9000\n"),
            ("cg/a/memory.peak", "3000\n"),
        ],
    );
    let mut buffer = Vec::new();
    let mut read = |in_full| {
        let read = |level: &Level| {
            let mut reading = CgroupReading::default();
            level
                .read_sizes(&mut reading, in_full, &mut buffer)
                .unwrap();
            (
                reading.usage_bytes,
                reading.working_set_bytes,
                reading.peak_bytes,
            )
        };
        cgroups.levels().iter().map(read).collect::<Vec<_>>()
    };
    let limited = (Some(1500), Some(1100), Some(3000));
    assert_eq!(read(true), [(Some(1000), Some(700), Some(2000)), limited]);
    assert_eq!(read(false), [(Some(1000), None, None), limited]);
}

#[test]
fn version_2_is_read_from_the_leaf_to_the_root() {
    let (_root, cgroups) = system(
        "0::/a.slice/job\n",
        MOUNT_TWO,
        &[
            ("cg/a.slice/job/memory.current", "1000\n"),
            (
                "cg/a.slice/job/memory.stat",
                "anon 5\ninactive_file 300\nactive_file 9\n",
            ),
            ("cg/a.slice/job/memory.max", "5000\n"),
            ("cg/a.slice/job/memory.peak", "2000\n"),
            ("cg/a.slice/job/memory.oom.group", "1\n"),
            (
                "cg/a.slice/job/memory.events",
                "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n",
            ),
            ("cg/a.slice/memory.current", "1500\n"),
            ("cg/a.slice/memory.max", "max\n"),
            // The root has statistics but no usage.
            ("cg/memory.stat", "inactive_file 1\n"),
        ],
    );
    assert_eq!(cgroups.version(), Version::Two);
    let job = CgroupReading {
        usage_bytes: Some(1000),
        working_set_bytes: Some(700),
        limit_bytes: Some(5000),
        peak_bytes: Some(2000),
        oom_kills: Some(1),
        limit_met: Some(4),
        ooms: Some(2),
        oom_group: Some(1),
        oom_group_kills: Some(0),
        is_removed: false,
    };
    let slice = CgroupReading {
        usage_bytes: Some(1500),
        ..CgroupReading::default()
    };
    assert_eq!(
        readings(&cgroups),
        [
            ("/a.slice/job".to_owned(), job),
            ("/a.slice".to_owned(), slice)
        ]
    );
}

#[test]
fn version_1_holds_the_controller_where_both_are_mounted() {
    let (_root, cgroups) = system(
        "4:memory:/job\n1:cpu:/other\n0::/\n",
        &format!("{MOUNT_TWO}{MOUNT_ONE}"),
        &[
            ("memory/job/memory.usage_in_bytes", "1000\n"),
            (
                "memory/job/memory.stat",
                "inactive_file 1\ntotal_inactive_file 400\n",
            ),
            ("memory/job/memory.limit_in_bytes", "4096\n"),
            ("memory/job/memory.max_usage_in_bytes", "1200\n"),
            (
                "memory/job/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            ),
            ("memory/job/memory.failcnt", "122\n"),
            ("memory/memory.usage_in_bytes", "9000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ],
    );
    assert_eq!(
        (cgroups.version(), cgroups.version().number()),
        (Version::One, 1)
    );
    let job = CgroupReading {
        usage_bytes: Some(1000),
        working_set_bytes: Some(600),
        limit_bytes: Some(4096),
        peak_bytes: Some(1200),
        oom_kills: Some(3),
        limit_met: Some(122),
        ..CgroupReading::default()
    };
    let root = CgroupReading {
        usage_bytes: Some(9000),
        ..CgroupReading::default()
    };
    assert_eq!(
        readings(&cgroups),
        [("/job".to_owned(), job), ("/".to_owned(), root)]
    );
}

#[test]
fn a_container_sees_only_what_is_mounted_in_it() {
    let files = [
        ("cg/memory.current", "7\n"),
        ("cg/inner/memory.current", "3\n"),
    ];
    // The container's own cgroup is mounted, and the process is in one below it.
    let (_root, below) = system(
        "0::/docker/abc/inner\n",
        "30 20 0:26 /docker/abc {root}/cg ro - cgroup2 cgroup rw\n",
        &files,
    );
    let names = |cgroups: &Cgroups| {
        cgroups
            .levels()
            .iter()
            .map(|level| level.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&below), ["/docker/abc/inner", "/docker/abc"]);
    // A name from another namespace leads nowhere: the mount itself is what is visible.
    for name in ["/../outside", "/elsewhere"] {
        let (_root, outside) = system(
            &format!("0::{name}\n"),
            "30 20 0:26 /docker/abc {root}/cg ro - cgroup2 cgroup rw\n",
            &files,
        );
        assert_eq!(names(&outside), ["/docker/abc"], "{name}");
    }
}

#[test]
fn the_cgroups_of_others_join_with_all_above_them_once() {
    let (_root, mut cgroups) = system(
        "0::/docker/abc/agent\n",
        "30 20 0:26 /docker/abc {root}/cg ro - cgroup2 cgroup rw\n",
        &[
            ("cg/memory.current", "7\n"),
            ("cg/agent/memory.current", "3\n"),
            ("cg/tests/one/memory.current", "3\n"),
            ("cg/tests/memory.current", "3\n"),
        ],
    );
    let mut watch = |text: &str| {
        let home = cgroups.watch(text.as_bytes(), true);
        home.map(|home| (home.name.to_string(), home.is_new))
    };
    let found = |name: &str, is_new| Some((name.to_owned(), is_new));
    let inside = "0::/docker/abc/tests/one\n";
    assert_eq!(watch(inside), found("/docker/abc/tests/one", true));
    assert_eq!(watch(inside), found("/docker/abc/tests/one", false));
    assert_eq!(
        watch("0::/docker/abc/agent\n"),
        found("/docker/abc/agent", false)
    );
    // One without a controller of its own lives by the limits of the next above it.
    let without = "0::/docker/abc/tests/one/without\n";
    assert_eq!(watch(without), found("/docker/abc/tests/one", false));
    for elsewhere in [
        "0::/\n",
        "0::/../x\n",
        "0::/docker/other\n",
        "1:cpu:/\n",
        "",
    ] {
        assert_eq!(watch(elsewhere), None, "{elsewhere:?}");
    }
    let names: Vec<_> = cgroups.levels().iter().map(Level::name).collect();
    let expected = [
        "/docker/abc/agent",
        "/docker/abc",
        "/docker/abc/tests/one",
        "/docker/abc/tests",
    ];
    assert_eq!(names, expected);
}

#[test]
fn where_there_are_too_many_those_with_a_pytest_stay() {
    let files: Vec<_> = (0..40)
        .map(|n| (format!("cg/c{n}/memory.current"), "1\n"))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .chain([("cg/agent/memory.current", "1\n")])
        .collect();
    let (_root, mut cgroups) = system("0::/agent\n", MOUNT_TWO, &files);
    for n in 0..40 {
        cgroups.watch(format!("0::/c{n}\n").as_bytes(), n % 4 == 0);
    }
    assert_eq!(cgroups.levels().len(), 32);
    let has = |name: &str| cgroups.levels().iter().any(|level| level.name() == name);
    assert!(has("/agent"));
    assert!((0..40).step_by(4).all(|n| has(&format!("/c{n}"))));
}

#[test]
fn a_mount_may_have_blanks_in_its_name() {
    let root = TempDir::new().unwrap();
    let proc = root.path().join("proc/7");
    fs::create_dir_all(&proc).unwrap();
    fs::create_dir_all(root.path().join("c g")).unwrap();
    fs::write(root.path().join("c g/memory.current"), "1\n").unwrap();
    fs::write(proc.join("cgroup"), "0::/\n").unwrap();
    let mount = format!(
        "30 20 0:26 / {}/c\\040g rw - cgroup2 none rw\n",
        root.path().display()
    );
    fs::write(proc.join("mountinfo"), mount).unwrap();
    let cgroups = Cgroups::of(&Procfs::new(root.path().join("proc")), 7).unwrap();
    assert_eq!(cgroups.levels().len(), 1);
}

#[test]
fn no_controller_is_no_error() {
    for (cgroup, mountinfo) in [("", ""), ("0::/\n", ""), ("1:cpu:/\n", MOUNT_ONE)] {
        let (_root, cgroups) = system(cgroup, mountinfo, &[]);
        assert_eq!(
            (cgroups.version(), cgroups.levels().len()),
            (Version::None, 0),
            "{cgroup:?}"
        );
    }
}

#[test]
fn what_cannot_be_understood_is_named() {
    let (root, cgroups) = system("0::/\n", MOUNT_TWO, &[("cg/memory.current", "many\n")]);
    let error = cgroups.levels()[0]
        .read(&mut Vec::new())
        .unwrap_err()
        .to_string();
    let path = Path::new(root.path()).join("cg/memory.current");
    let expected = format!(
        "failed to understand {}, line 1: is no number and not `max`",
        path.display()
    );
    assert_eq!(error, expected);
}

#[test]
fn the_systems_own_cgroups_are_read() {
    let cgroups = Cgroups::of(&Procfs::system(), std::process::id()).unwrap();
    if cgroups.levels().is_empty() {
        crate::terminal::answer("NOT RUN: memory cgroup: no memory controller is visible here");
        return;
    }
    for (name, reading) in readings(&cgroups) {
        assert!(
            reading.usage_bytes.is_some_and(|bytes| bytes > 0),
            "{name}: {reading:?}"
        );
        assert!(
            reading.working_set_bytes <= reading.usage_bytes,
            "{name}: {reading:?}"
        );
    }
}
