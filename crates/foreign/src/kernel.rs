//! What the kernel says, or what stands in its place: gVisor and lxcfs write these files themselves, and tests can mount over them.

use std::fs;

use highwater_agent::{
    cgroup::Cgroups,
    procfs::{Procfs, command_line, effective_capabilities, ignored_signals},
    witness,
};
use highwater_wire::codec::{MAX_NAME_BYTES, MAX_TEXT_BYTES};

use crate::pieces::{self, in_a_folder, lay};

/// A page of this machine.
const PAGE_BYTES: u64 = 4096;
/// The longest command that is kept of a process.
const MOST_COMMAND_BYTES: usize = 4_000;

/// Files of a process, in the order of [`FILES_OF_PROCESS`].
pub(crate) fn process(bytes: &[u8]) {
    let files: [&[u8]; 7] = pieces::of(bytes);
    in_a_folder(|folder| {
        for (name, text) in FILES_OF_PROCESS.iter().zip(files) {
            lay(&folder.join("7").join(name), text);
        }
        let (procfs, mut buffer) = (Procfs::new(folder), Vec::new());
        if let Ok(Some(file)) = procfs.open_statm(7, PAGE_BYTES)
            && let Ok(Some(statm)) = file.read()
        {
            assert!(statm.anon_bytes <= statm.resident_bytes);
        }
        if let Ok(Some(stat)) = procfs.stat(7, &mut buffer) {
            assert!(stat.comm.len() <= 3 * files[1].len());
        }
        let _ = procfs.status(7, &mut buffer);
        let _ = procfs.rollup(7, &mut buffer);
        let _ = procfs.memory_limits(7, &mut buffer);
        let _ = procfs.innermost_pid(7, &mut buffer);
        let status = pieces::text(files[2]);
        let _ = (ignored_signals(&status), effective_capabilities(&status));
        if let Ok(words) = procfs.words(7, &mut buffer) {
            assert!(command_line(&words).len() <= MOST_COMMAND_BYTES);
        }
        let mut children = Vec::new();
        if procfs.children(7, &mut buffer, &mut children).is_ok() {
            assert!(children.len() <= files[6].len());
        }
    });
}

pub(crate) const FILES_OF_PROCESS: [&str; 7] = [
    "statm",
    "stat",
    "status",
    "smaps_rollup",
    "limits",
    "cmdline",
    "task/7/children",
];

/// Files of the machine, in the order of [`FILES_OF_MACHINE`].
pub(crate) fn machine(bytes: &[u8]) {
    let files: [&[u8]; 4] = pieces::of(bytes);
    in_a_folder(|folder| {
        for (name, text) in FILES_OF_MACHINE.iter().zip(files) {
            lay(&folder.join(name), text);
        }
        let (procfs, mut buffer) = (Procfs::new(folder), Vec::new());
        let opened = procfs.open_machine().expect("meminfo is there");
        if let Ok(reading) = opened.read(&mut buffer)
            && let (Some(used), Some(all)) = (reading.swap_used_bytes, reading.swap_total_bytes)
        {
            assert!(used <= all);
        }
        let births = procfs.open_births().expect("loadavg is there");
        let _ = births.newest();
    });
}

pub(crate) const FILES_OF_MACHINE: [&str; 4] = ["meminfo", "vmstat", "pressure/memory", "loadavg"];

/// `cgroup` and `mountinfo` of a process, in which `{root}` stands for a folder, then the files of a cgroup in the order of
/// [`FILES_OF_CGROUP`]: they lie in `cg/a/b` and in `cg/a` there.
pub(crate) fn cgroup(bytes: &[u8]) {
    let [cgroup, mounts, files] = pieces::of(bytes);
    let files: [&[u8]; 10] = pieces::of(files);
    in_a_folder(|folder| {
        let root = folder
            .to_str()
            .expect("a temporary folder has a name in UTF-8");
        let mounts = pieces::text(mounts).replace("{root}", root);
        lay(&folder.join("7/cgroup"), cgroup);
        lay(&folder.join("7/mountinfo"), mounts.as_bytes());
        for (name, text) in FILES_OF_CGROUP.iter().zip(files) {
            for level in ["cg/a", "cg/a/b"] {
                lay(&folder.join(level).join(name), text);
            }
        }
        let Ok(mut cgroups) = Cgroups::of(&Procfs::new(folder), 7) else {
            return;
        };
        if let Some(home) = cgroups.watch(cgroup, true) {
            let is_watched = cgroups
                .levels()
                .iter()
                .any(|level| level.name() == &*home.name);
            assert!(is_watched, "a process is in a cgroup that is watched");
        }
        let mut buffer = Vec::new();
        for level in cgroups.levels() {
            if let Ok(reading) = level.read(&mut buffer) {
                assert!(reading.working_set_bytes <= reading.usage_bytes);
            }
        }
    });
}

pub(crate) const FILES_OF_CGROUP: [&str; 10] = [
    "memory.current",
    "memory.max",
    "memory.peak",
    "memory.events",
    "memory.stat",
    "memory.oom.group",
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.failcnt",
    "memory.oom_control",
];

/// Records of the kernel's log, each a line.
pub(crate) fn log(bytes: &[u8]) {
    let records = pieces::text(bytes);
    for oom in witness::kills_in(records.lines()) {
        assert!(oom.comm.len() <= MAX_NAME_BYTES);
        assert!(oom.cgroup.len() <= MAX_TEXT_BYTES);
    }
    in_a_folder(|folder| {
        let path = folder.join("kmsg");
        lay(&path, b"");
        let log = witness::KernelLog::open_at(&path, &Procfs::new(folder));
        let mut log = log.expect("a file that can be read");
        fs::write(&path, bytes).expect("a file");
        log.read().expect("a file that can be read");
    });
}
