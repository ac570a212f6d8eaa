//! The checks of the kernel and of the machine, on trees of files.

use std::fs;

use tempfile::TempDir;

use super::{
    super::{Status, kernel, machine, witness},
    assert_check,
};
use crate::{doctor::Check, procfs::Procfs};

/// A `/proc` of real files; `{root}` in them stands for the folder above it.
fn proc(files: Files<'_>) -> (TempDir, Procfs) {
    let root = TempDir::new().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("{root}", root.path().to_str().unwrap())).unwrap();
    }
    let procfs = Procfs::new(root.path().join("proc"));
    (root, procfs)
}

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A check of a process or of the machine.
type Look7 = fn(&Procfs) -> Check;

#[test]
fn what_the_kernel_says_is_judged() {
    use Status::{Limited, Missing, Works};
    const CLEAR_REFS: Look7 = |procfs| kernel::clear_refs(procfs, 7);
    const STATM: Look7 = |procfs| kernel::statm(procfs, 7);
    const ROLLUP: Look7 = |procfs| kernel::smaps_rollup(procfs, 7);
    const CHILDREN: Look7 = |procfs| kernel::children(procfs, 7);
    const OOM_SCORE: Look7 = |procfs| kernel::oom_score_adj(procfs, 7);
    let status = ("proc/7/status", "Name:\tx\nVmHWM:\t  4096 kB\n");
    let cases: &[(Look7, Files, Status, &str)] = &[
        (CLEAR_REFS, &[], Limited, "no VmHWM"),
        (
            CLEAR_REFS,
            &[status, ("proc/7/clear_refs", "")],
            Limited,
            "VmHWM stayed at 4.0 MiB",
        ),
        (STATM, &[], Missing, "is not there"),
        (STATM, &[("proc/7/statm", "9 8")], Missing, "four numbers"),
        (
            STATM,
            &[("proc/7/statm", "9 8 7 1 0 5 0\n")],
            Works,
            "µs a read",
        ),
        (ROLLUP, &[], Limited, "is not there"),
        (
            ROLLUP,
            &[("proc/7/smaps_rollup", "Rss: 1 kB\n")],
            Limited,
            "no line says Pss",
        ),
        (
            ROLLUP,
            &[("proc/7/smaps_rollup", "Pss: 1 kB\n")],
            Works,
            "µs a read",
        ),
        (CHILDREN, &[], Limited, "lists no children"),
        (
            CHILDREN,
            &[("proc/7/task/7/children", "8 9 ")],
            Works,
            "lists the children",
        ),
        (OOM_SCORE, &[], Limited, "cannot be written"),
        (
            OOM_SCORE,
            &[("proc/7/oom_score_adj", "-5\n")],
            Works,
            "is -5 and",
        ),
        (kernel::ptrace_scope, &[], Works, "no Yama"),
        (
            kernel::ptrace_scope,
            &[("proc/sys/kernel/yama/ptrace_scope", "1\n")],
            Limited,
            "1, memory of what the agent itself starts",
        ),
        (
            kernel::ptrace_scope,
            &[("proc/sys/kernel/yama/ptrace_scope", "2\n")],
            Limited,
            "2, administrators",
        ),
        (
            kernel::ptrace_scope,
            &[("proc/sys/kernel/yama/ptrace_scope", "3\n")],
            Limited,
            "3, nobody",
        ),
    ];
    for (look, files, expected, seen) in cases {
        let (_root, procfs) = proc(files);
        assert_check(&look(&procfs), *expected, seen);
    }
}

#[test]
fn a_mark_must_fall_by_what_was_given_back() {
    let mib = 1 << 20;
    for (before, after, expected) in [
        (40 * mib, 8 * mib, true),
        (40 * mib, 39 * mib, false),
        (8 * mib, 8 * mib, false),
        (8 * mib, 40 * mib, false),
    ] {
        assert_eq!(
            kernel::has_fallen(before, after),
            expected,
            "{before} {after}"
        );
    }
}

#[test]
fn the_machine_is_judged() {
    use Status::{Limited, Missing, Works};
    const OOM_KILLS: Look7 = machine::oom_kills;
    const LOG: Look7 = |procfs| witness::kernel_log(procfs, &procfs.path("kmsg"));
    const PROTECTION: Look7 = |procfs| witness::protection(procfs, 7);
    let meminfo = (
        "proc/meminfo",
        "MemTotal: 4096 kB\nMemAvailable: 2048 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    );
    let pressure = (
        "proc/pressure/memory",
        "some avg10=1.05 avg60=0.00\nfull avg10=0.00 avg60=0.00\n",
    );
    let cases: &[(Look7, Files, Status, &str)] = &[
        (machine::memory, &[], Missing, "meminfo"),
        (
            machine::memory,
            &[("proc/meminfo", "MemTotal: 1 kB\n")],
            Limited,
            "no MemAvailable",
        ),
        (
            machine::memory,
            &[meminfo],
            Works,
            "2.0 MiB of 4.0 MiB available, no swap",
        ),
        (machine::pressure, &[meminfo], Limited, "no pressure"),
        (
            machine::pressure,
            &[meminfo, pressure],
            Works,
            "some 1.05 %, full 0.00 %",
        ),
        (LOG, &[], Limited, "kmsg: No such file"),
        (
            LOG,
            &[("proc/kmsg", "6,1,1,-;x\n")],
            Works,
            "outside this container",
        ),
        (PROTECTION, &[], Limited, "nothing stands above"),
        (
            PROTECTION,
            &[("proc/7/oom_score_adj", "500\n")],
            Works,
            "raised to oom_score_adj 1000",
        ),
        (OOM_KILLS, &[meminfo], Limited, "no oom_kill"),
        (
            OOM_KILLS,
            &[meminfo, ("proc/vmstat", "pgfault 1\noom_kill 3\n")],
            Works,
            "3 since boot",
        ),
    ];
    for (look, files, expected, seen) in cases {
        let (_root, procfs) = proc(files);
        assert_check(&look(&procfs), *expected, seen);
    }
}

#[test]
fn the_tightest_limit_on_the_way_counts() {
    use Status::{Limited, Works};
    let two = ("proc/7/cgroup", "0::/a/b\n");
    let mount = (
        "proc/7/mountinfo",
        "30 20 0:26 / {root}/cg rw - cgroup2 cgroup2 rw\n",
    );
    let leaf = ("cg/a/b/memory.current", "1048576\n");
    let counter = ("cg/a/b/memory.events", "oom_kill 0\n");
    let leaf_limit = ("cg/a/b/memory.max", "8388608\n");
    let above = ("cg/a/memory.current", "2097152\n");
    let above_limit = ("cg/a/memory.max", "4194304\n");
    let cases: &[(Files, Status, &str)] = &[
        (&[], Limited, "no memory controller"),
        (&[two, mount], Limited, "no memory controller"),
        (
            &[two, mount, leaf, counter],
            Works,
            "version 2, no limit, 1.0 MiB used",
        ),
        (
            &[two, mount, leaf, counter, leaf_limit, above, above_limit],
            Works,
            "version 2, limit 4.0 MiB at /a, 1.0 MiB used",
        ),
        (
            &[two, mount, leaf, leaf_limit],
            Limited,
            "no oom_kill counter",
        ),
        (
            &[two, mount, ("cg/a/b/memory.current", "many\n")],
            Limited,
            "is no number",
        ),
    ];
    for (files, expected, seen) in cases {
        let (_root, procfs) = proc(files);
        assert_check(&machine::cgroup(&procfs, 7), *expected, seen);
    }
}

#[test]
fn how_processes_end_is_tried_with_a_child() {
    let check = witness::exits(Ok("/bin/true".into()));
    assert!(check.seen.starts_with("told of "), "{check:?}");
    let none = witness::exits(Ok("/nowhere".into()));
    assert_eq!(none.status, Status::Limited);
}
