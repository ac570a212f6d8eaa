use std::fs;

use tempfile::TempDir;

use super::*;

/// What a kernel 6.18 wrote when a process of `/ci/job/inner` met the limit of `/ci/job`.
const MEMORY_CGROUP: &str = include_str!("memory_cgroup.kmsg");

/// What a kernel 6.1 wrote when a cgroup with `memory.oom.group` met its limit: one process of it is named twice.
const OOM_GROUP: &str = include_str!("oom_group.kmsg");

fn killed(records: &str) -> Vec<KernelOom> {
    kills_in(records.lines())
}

fn kernel(lines: &[&str]) -> Vec<KernelOom> {
    let records: Vec<_> = lines.iter().map(|line| format!("3,1,1,-;{line}")).collect();
    killed(&records.join("\n"))
}

#[test]
fn a_recorded_kill_by_the_limit_of_a_cgroup_is_told_whole() {
    let [oom] = &killed(MEMORY_CGROUP)[..] else {
        panic!("one kill");
    };
    assert!(oom.pid > 1);
    assert_eq!(
        (oom.comm.as_str(), oom.cgroup.as_str()),
        ("python3", "/ci/job")
    );
    assert!((60 << 20..64 << 20).contains(&oom.anon_bytes));
}

#[test]
fn the_machine_has_no_cgroup() {
    let found = kernel(&[
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/system.slice/x,task=a b) c,pid=77,uid=0",
        "Out of memory: Killed process 77 (a b) c) total-vm:102400kB, anon-rss:51200kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:192kB oom_score_adj:500",
    ]);
    let [oom] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (oom.pid, oom.comm.as_str(), oom.cgroup.as_str()),
        (77, "a b) c", "")
    );
    assert_eq!(oom.anon_bytes, 50 << 20);
}

#[test]
fn older_kernels_are_understood() {
    // 3.10 to 4.19.
    let found = kernel(&[
        "Task in /docker/ab killed as a result of limit of /docker",
        "Memory cgroup out of memory: Kill process 5 (python) score 1000 or sacrifice child",
        "Killed process 5 (python) total-vm:1000kB, anon-rss:8kB, file-rss:0kB",
        // The next is of the machine.
        "Out of memory: Kill process 6 (java) score 9 or sacrifice child",
        "Killed process 6 (java), UID 0, total-vm:1000kB, anon-rss:9kB, file-rss:0kB",
    ]);
    let told: Vec<_> = found
        .iter()
        .map(|oom| {
            (
                oom.pid,
                oom.comm.as_str(),
                oom.cgroup.as_str(),
                oom.anon_bytes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [(5, "python", "/docker", 8 << 10), (6, "java", "", 9 << 10)]
    );
}

#[test]
fn all_of_a_group_that_is_killed_at_once_are_told() {
    let killed = |pid| {
        format!(
            "Memory cgroup out of memory: Killed process {pid} (p) total-vm:9kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0"
        )
    };
    let found = kernel(&[
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,b,task_memcg=/a,b/c,task=p,pid=1,uid=0",
        &killed(1),
        "Tasks in /a,b are going to be killed due to memory.oom.group set",
        &killed(1),
        &killed(2),
    ]);
    let told: Vec<_> = found
        .iter()
        .map(|oom| (oom.pid, oom.cgroup.as_str()))
        .collect();
    assert_eq!(told, [(1, "/a,b"), (2, "/a,b")]);
}

#[test]
fn who_is_named_again_after_others_of_its_group_is_told_once() {
    let told: Vec<_> = killed(OOM_GROUP)
        .into_iter()
        .map(|oom| (oom.pid, oom.comm, oom.cgroup))
        .collect();
    let of_job = |pid, comm: &str| (pid, comm.to_owned(), "/ci/job".to_owned());
    assert_eq!(told, [of_job(140, "python"), of_job(136, "highwater")]);
}

#[test]
fn what_programs_write_and_what_is_no_kill_is_passed_over() {
    let line = "Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB";
    assert_eq!(killed(&format!("12,1,1,-;{line}")), []);
    assert_eq!(killed(line), []);
    for line in [
        "oom_reaper: reaped process 7 (x), now anon-rss:0kB",
        "Killed process",
        "Killed process x (y) total-vm:1kB",
        "Killed process 7 y",
        "oom-kill:",
        "Task in ",
    ] {
        assert_eq!(kernel(&[line]), [], "{line}");
    }
}

#[test]
fn the_log_is_read_from_its_end_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kmsg");
    let line = "3,1,1,-;Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB\n";
    fs::write(&path, line).unwrap();
    let procfs = Procfs::new(folder.path());
    let mut log = KernelLog::open_at(&path, &procfs).unwrap();
    assert!(!log.has_our_pids());
    assert_eq!(log.read().unwrap(), []);
    fs::write(&path, format!("{line}{line}")).unwrap();
    let found = log.read().unwrap();
    // The numbers of another namespace say nothing.
    assert_eq!(
        (found.len(), found[0].pid, found[0].comm.as_str()),
        (1, 0, "x")
    );
    assert!(KernelLog::open_at(&folder.path().join("none"), &procfs).is_err());
}

#[test]
fn a_name_that_anybody_can_give_forges_no_kill() {
    for line in [
        "x[7]: segfault at 0 ip 0 sp 0 error 4 in Killed process 5 (python) total-vm:1kB, anon-rss:1kB[400000+1000]",
        "Out of memory: [7]: segfault at 0 ip 0 sp 0 error 4 in Killed process 5 (python) total-vm:1kB, anon-rss:1kB",
        "traps: Memory cgroup out of memory: Killed process 5 (python) total-vm:1kB, anon-rss:1kB",
    ] {
        let told = Parser::default().take(&format!("3,1,2,-;{line}"));
        assert_eq!(told, None, "{line}");
    }
}
